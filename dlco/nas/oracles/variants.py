"""Accuracies of `Variants`: each variant's networks are judged by an oracle of its own."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.nas.oracles.accuracy import Accuracy, DifferentiableAccuracy, check_oracle, most_accurate
from dlco.nas.space import Network
from dlco.nas.spaces.variants import Variants


class VariantsAccuracy:
    """What an oracle a variant says of its networks.

    Args:
        space: the variants.
        oracles: by the variant's text, in the space's order.

    Raises:
        InvalidInput: a variant lacks its oracle, one is of no variant, or it judges another space.
    """

    def __init__(self, space: Variants, oracles: Mapping[str, Accuracy]) -> None:
        if list(oracles) != list(space.spaces):
            raise InvalidInput(f"oracles is of {', '.join(oracles)}; it must be of {', '.join(space.spaces)}, in order")
        for text, oracle in oracles.items():
            check_oracle(space.spaces[text], oracle)
        self.space, self.oracles = space, tuple(oracles.values())

    def most(self) -> float:
        """Percent that no network of any variant exceeds, as far as the oracles know."""
        return max(map(most_accurate, self.oracles))

    def accuracy(self, networks: Sequence[Network]) -> Tensor:
        """Accuracy of each network in percent: `[n]`, float64."""
        found = torch.empty(len(networks), dtype=torch.float64)
        for i, oracle in enumerate(self.oracles):
            mine = [at for at, network in enumerate(networks) if network[0] == i]
            if mine:
                found[mine] = oracle.accuracy([networks[at][1:] for at in mine])
        return found


class DifferentiableVariantsAccuracy(VariantsAccuracy):
    """The same of oracles that have a gradient, all of them."""

    oracles: tuple[DifferentiableAccuracy, ...]

    def accuracy_of_encoding(self, encoding: Tensor) -> Tensor:
        """Accuracy in percent `[...]` of encodings `[..., features]`: each variant's by its probability."""
        variants = len(self.oracles)
        judged = [oracle.accuracy_of_encoding(encoding[..., variants:]) for oracle in self.oracles]
        return (encoding[..., :variants] * torch.stack(judged, -1)).sum(-1)


def variants_accuracy(space: Variants, oracles: Mapping[str, Accuracy]) -> VariantsAccuracy:
    """`VariantsAccuracy`, with a gradient where all oracles have one; raises as it does."""
    differentiable = all(isinstance(oracle, DifferentiableAccuracy) for oracle in oracles.values())
    return (DifferentiableVariantsAccuracy if differentiable else VariantsAccuracy)(space, oracles)
