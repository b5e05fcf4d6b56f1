"""`Variants`: spaces of the same decisions, which of them is one decision more; for input resolutions above all."""

from collections.abc import Mapping

import torch

from dlco.errors import InvalidInput
from dlco.nas.space import Decision, Factor, FactoredSpace, Network


class Variants(FactoredSpace):
    """A network of one of several spaces that have the same decisions.

    A network is the variant's index before the network of its space; as text "variant: network".

    Args:
        name: of the decision between them.
        spaces: by the variant's text.

    Attributes:
        spaces: as given.

    Raises:
        InvalidInput: there is no space, or their decisions, or what their factors depend on, differ.

    Examples:
        >>> from dlco.nas import OfaMobileNetV3, Variants
        >>> space = Variants("resolution", {str(size): OfaMobileNetV3(size) for size in (160, 192, 224)})
        >>> text = "k3e3.k3e3-k3e3.k3e3-k5e3.k3e3-k3e3.k5e3-k5e3.k3e3"
        >>> [f"{space.macs(space.parse(f'{size}: {text}')):,}" for size in space.spaces]
        ['64,104,528', '91,085,504', '122,972,112']
    """

    def __init__(self, name: str, spaces: Mapping[str, FactoredSpace]) -> None:
        if not spaces:
            raise InvalidInput("spaces is empty; it must hold at least one")
        self.spaces = dict(spaces)
        self._variants = tuple(self.spaces.values())
        first = self._variants[0]
        shape = [factor.decisions for factor in first.factors()]
        for text, one in self.spaces.items():
            if one.decisions != first.decisions or [factor.decisions for factor in one.factors()] != shape:
                raise InvalidInput(f"space {text!r} has other decisions or factors than {next(iter(spaces))!r}")
        factors = [
            Factor(
                (0, *(at + 1 for at in some[0].decisions)),
                {(i, *chosen): layers for i, one in enumerate(some) for chosen, layers in one.layers.items()},
                {(i, *chosen): words for i, one in enumerate(some) for chosen, words in one.beside.items()},
            )
            for some in zip(*(one.factors() for one in self._variants), strict=True)
        ]
        decisions = [Decision(name, tuple(self.spaces)), *first.decisions]
        super().__init__(f"{first.name} by {name}", decisions, factors)

    def variant(self, network: Network) -> FactoredSpace:
        """The space that a network is of; `InvalidInput` for none of these."""
        self.check(network)
        return self._variants[network[0]]

    def is_valid(self, network: Network) -> bool:
        """Whether this is a variant's index and a network of that space."""
        return super().is_valid(network) and self._variants[network[0]].is_valid(network[1:])

    def sample(self, n: int, generator: torch.Generator) -> list[Network]:
        """`n` networks, each of a variant drawn uniformly, and drawn as that space does."""
        drawn = torch.randint(len(self.spaces), (n,), generator=generator).tolist()
        return [(i, *self._variants[i].sample(1, generator)[0]) for i in drawn]

    def parse(self, text: str) -> Network:
        """The network of a text "variant: network", the latter as its space writes it; `InvalidInput` for another."""
        name, colon, rest = text.partition(": ")
        if not colon or name not in self.spaces:
            raise InvalidInput(f"network is {text!r}; it must begin with one of {', '.join(self.spaces)}, and ': '")
        return (list(self.spaces).index(name), *self.spaces[name].parse(rest))

    def format(self, network: Network) -> str:
        """The text of a network, as `parse` reads it; `InvalidInput` where it is none."""
        return f"{self.decisions[0].options[network[0]]}: {self.variant(network).format(network[1:])}"
