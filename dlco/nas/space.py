"""`NetworkSpace`: the networks one may choose from, and what each of them computes.

A space knows shapes, never accuracies: an oracle judges its networks, and dlco costs the layers that `to_layers`
gives: convolutions, linear layers and matrix products, and what has no multiply-accumulates: pooling, the additions of
residual blocks, the scaling of squeeze-and-excitation (`dlco.workload.passes`). With `macs_only` these are left out.
Activations and normalisation are computed where a result is written, or folded into the weights, and cost nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Generic, TypeVar

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.workload import Layer
from dlco.workload.layer import MULTIPLY, merge_layers
from dlco.workload.problem import check_positive_int

Network = tuple[int, ...]
"""A network of a factored space: the index of the option chosen at each decision."""

N = TypeVar("N", bound=Hashable)


@dataclass(frozen=True)
class Decision:
    """One choice that a network makes.

    Attributes:
        name: unique within its space.
        options: what there is to choose from, as text.

    Raises:
        InvalidInput: there is no option, or one occurs twice.
    """

    name: str
    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.options or len(set(self.options)) != len(self.options):
            raise InvalidInput(f"options of decision {self.name} is {self.options!r}; it must be distinct texts")


@dataclass(frozen=True)
class Factor:
    """The layers that some decisions bring, together and independently of all others.

    The layers of a network are the union over the factors of its space. A factor of one decision makes every cost that
    is a sum over layers linear in that decision's probabilities; one of two decisions makes it bilinear.

    Attributes:
        decisions: indices of the decisions that it depends on; empty for layers that every network has.
        layers: for every combination of their options (indices, in the order of `decisions`) the layers it brings.
            Equal shapes may occur several times, and layers of different combinations may share a shape.
        beside: for a combination, the trained words besides the layers' weights (biases, normalisation); 0 where a
            combination is absent.
    """

    decisions: tuple[int, ...]
    layers: Mapping[tuple[int, ...], tuple[Layer, ...]]
    beside: Mapping[tuple[int, ...], int] = field(default_factory=dict)


def multiplying(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Those of some layers that have multiply-accumulates."""
    return tuple(layer for layer in layers if layer.operation == MULTIPLY)


def _multiplying(factor: Factor) -> Factor:
    return replace(factor, layers={options: multiplying(layers) for options, layers in factor.layers.items()})


class NetworkSpace(ABC, Generic[N]):
    """A set of networks.

    Attributes:
        name: of the space.
        decisions: what a network chooses; empty where networks are graphs.
    """

    name: str
    decisions: tuple[Decision, ...] = ()

    @cached_property
    def option_counts(self) -> tuple[int, ...]:
        """How many options each decision has."""
        return tuple(len(decision.options) for decision in self.decisions)

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> list[N]:
        """`n` valid networks drawn independently (one may occur twice); `generator` lives on the CPU."""

    @abstractmethod
    def encode(self, networks: Sequence[N]) -> Tensor:
        """The networks as numbers for a predictor: `[n, features]`, float64."""

    @abstractmethod
    def neighbours(self, network: N) -> list[N]:
        """The valid networks one small change away; `network` itself is not among them."""

    @abstractmethod
    def to_layers(self, network: N) -> tuple[Layer, ...]:
        """What the network computes: its distinct layers, with counts."""

    @abstractmethod
    def parameters(self, network: N) -> int:
        """Trained words of the network, with biases and normalisation."""

    def macs(self, network: N) -> int:
        """Multiply-accumulates of one run of the network's layers."""
        return sum(layer.count * layer.macs for layer in self.to_layers(network))

    @abstractmethod
    def parse(self, text: str) -> N:
        """The network that `text` describes; `InvalidInput` where it describes none."""

    @abstractmethod
    def format(self, network: N) -> str:
        """The text of a network, from which `parse` gives it back."""

    @abstractmethod
    def is_valid(self, network: N) -> bool:
        """Whether this is a network of the space."""

    def check(self, network: N) -> None:
        """Raise `InvalidInput`, naming the network, unless it is one of this space."""
        if not self.is_valid(network):
            raise InvalidInput(f"network is {network!r}; it must be a network of the space {self.name}")


class FactoredSpace(NetworkSpace[Network]):
    """A space whose networks choose one option at each decision, and whose layers fall into factors.

    Args:
        name: of the space.
        decisions: the choices, in the order of a network's entries.
        factors: where the layers come from.
        macs_only: whether to leave out layers without multiply-accumulates.

    Attributes:
        layers: every distinct layer that some network of the space has, each with count 1.

    Raises:
        InvalidInput: two decisions share a name, a factor names a decision that is not there, or a factor's layers
            lack a combination of options.
    """

    def __init__(
        self, name: str, decisions: Sequence[Decision], factors: Sequence[Factor], *, macs_only: bool = False
    ) -> None:
        self.name = name
        self.decisions = tuple(decisions)
        self.macs_only = macs_only
        self._factors = tuple(map(_multiplying, factors) if macs_only else factors)
        if len({decision.name for decision in self.decisions}) != len(self.decisions):
            raise InvalidInput(f"decisions is {[d.name for d in self.decisions]!r}; names must be distinct")
        for factor in self._factors:
            self._check_factor(factor)
        unmerged = [layer for factor in self._factors for layers in factor.layers.values() for layer in layers]
        self.layers = tuple(replace(layer, count=1) for layer in merge_layers(unmerged))
        place = {layer.work: index for index, layer in enumerate(self.layers)}
        # for each factor and combination, the places of its layers in `self.layers`, with counts: hashing a problem is
        # what takes time, so it is done once here and never again
        self._places = tuple(
            {
                options: tuple((place[layer.work], layer.count) for layer in layers)
                for options, layers in factor.layers.items()
            }
            for factor in self._factors
        )

    def factors(self) -> tuple[Factor, ...]:
        """Where the layers come from."""
        return self._factors

    def networks(self) -> Iterator[Network]:
        """Every valid network, in lexicographic order of the options' indices; most spaces are too large for it."""
        return (network for network in product(*map(range, self.option_counts)) if self.is_valid(network))

    def sample(self, n: int, generator: torch.Generator) -> list[Network]:
        """`n` networks, drawn uniformly and independently from the valid ones.

        Raises:
            InvalidInput: `n` is not a positive integer.
        """
        check_positive_int("n", n)
        found: list[Network] = []
        while len(found) < n:
            columns = [torch.randint(size, (n,), generator=generator).tolist() for size in self.option_counts]
            found += [network for network in zip(*columns, strict=True) if self.is_valid(network)]
        return found[:n]

    def encode(self, networks: Sequence[Network]) -> Tensor:
        """One-hot: for each decision in turn one feature an option, 1 where chosen; `[n, features]`, float64."""
        for network in networks:
            self.check(network)
        chosen = torch.tensor(networks, dtype=torch.long).reshape(len(networks), len(self.decisions))
        starts = torch.tensor([0, *self.option_counts[:-1]]).cumsum(0)
        encoded = torch.zeros(len(networks), sum(self.option_counts), dtype=torch.float64)
        return encoded.scatter_(1, chosen + starts, 1.0)

    def split(self, features: Tensor) -> tuple[Tensor, ...]:
        """One-hot encodings, or probabilities, `[..., features]` by decision: `[..., options]` each."""
        return features.split(self.option_counts, -1)

    def neighbours(self, network: Network) -> list[Network]:
        """The valid networks that differ from this one in exactly one decision."""
        self.check(network)
        changed = (
            (*network[:at], option, *network[at + 1 :])
            for at, size in enumerate(self.option_counts)
            for option in range(size)
            if option != network[at]
        )
        return [other for other in changed if self.is_valid(other)]

    def to_layers(self, network: Network) -> tuple[Layer, ...]:
        """The network's distinct layers, in the order in which the factors bring them, with counts.

        A shape has the same name in every network of the space.

        Raises:
            InvalidInput: this is no network of the space.
        """
        self.check(network)
        counts: dict[int, int] = {}
        for factor, places in zip(self._factors, self._places, strict=True):
            for place, count in places[tuple(network[at] for at in factor.decisions)]:
                counts[place] = counts.get(place, 0) + count
        found = ((self.layers[place], count) for place, count in counts.items())
        return tuple(replace(layer, count=count) for layer, count in found)

    def counts(self, networks: Sequence[Network]) -> Tensor:
        """How often each network runs each of `layers`: `[n, layers]`, float64.

        Times a vector of costs a layer, it gives the cost of thousands of networks at once.

        Raises:
            InvalidInput: one of the networks is not of the space.
        """
        return self.expected_counts(self.encode(networks))

    @cached_property
    def factor_counts(self) -> tuple[Tensor, ...]:
        """For each factor, how often each of `layers` comes with each combination of its decisions' options.

        Returns:
            Tensors `[combinations, layers]`, float64, the last decision's option changing fastest from row to row.
        """
        tables = []
        for factor, places in zip(self._factors, self._places, strict=True):
            table = torch.zeros(len(places), len(self.layers), dtype=torch.float64)
            for row, options in enumerate(product(*(range(self.option_counts[at]) for at in factor.decisions))):
                for place, count in places[options]:
                    table[row, place] += count
            tables.append(table)
        return tuple(tables)

    def expected_counts(self, probabilities: Tensor) -> Tensor:
        """How often each of `layers` is expected in networks whose decisions are drawn independently.

        Args:
            probabilities: `[n, features]` of the options, laid out as `encode` does.

        Returns:
            `[n, layers]`, float64, with gradients.
        """
        by_decision = self.split(probabilities)
        total = torch.zeros(len(probabilities), len(self.layers), dtype=torch.float64)
        for factor, table in zip(self._factors, self.factor_counts, strict=True):
            weight = torch.ones(len(probabilities), 1, dtype=torch.float64)
            for at in factor.decisions:
                weight = (weight[..., None] * by_decision[at][:, None]).flatten(1)
            total = total + weight @ table
        return total

    def parameters(self, network: Network) -> int:
        """Trained words of the network, with biases and normalisation.

        Raises:
            InvalidInput: this is no network of the space.
        """
        weights = sum(layer.count * layer.parameters for layer in self.to_layers(network))
        beside = (f.beside.get(tuple(network[at] for at in f.decisions), 0) for f in self._factors)
        return weights + sum(beside)

    def parse(self, text: str) -> Network:
        """The network whose options `text` names, joined by "-".

        Raises:
            InvalidInput: the text does not name one option a decision, or names no valid network.
        """
        return self.from_options(text.split("-") if text else [])

    def format(self, network: Network) -> str:
        """The options of the network, joined by "-".

        Raises:
            InvalidInput: this is no network of the space.
        """
        return "-".join(self.options(network))

    def options(self, network: Network) -> list[str]:
        """The text of the option chosen at each decision; `InvalidInput` for no network of the space."""
        self.check(network)
        return [decision.options[option] for decision, option in zip(self.decisions, network, strict=True)]

    def from_options(self, options: Sequence[str]) -> Network:
        """The network that chooses these options, one a decision.

        Raises:
            InvalidInput: there are more or fewer of them than decisions, a decision has no such option, or the
                network is not valid.
        """
        if len(options) != len(self.decisions):
            raise InvalidInput(f"options is {list(options)!r}; {self.name} needs {len(self.decisions)} of them")
        for decision, option in zip(self.decisions, options, strict=True):
            if option not in decision.options:
                allowed = ", ".join(decision.options)
                raise InvalidInput(f"{decision.name} is {option!r}; it must be one of {allowed}")
        network = tuple(d.options.index(option) for d, option in zip(self.decisions, options, strict=True))
        self.check(network)
        return network

    def is_valid(self, network: Network) -> bool:
        """Whether this is a tuple of one option's index a decision; spaces may forbid some of them."""
        return (
            isinstance(network, tuple)
            and len(network) == len(self.option_counts)
            and all(
                type(option) is int and 0 <= option < size
                for option, size in zip(network, self.option_counts, strict=True)
            )
        )

    def _check_factor(self, factor: Factor) -> None:
        for at in factor.decisions:
            if not 0 <= at < len(self.decisions):
                raise InvalidInput(f"factor names decision {at!r}; {self.name} has {len(self.decisions)} of them")
        wanted = set(product(*(range(self.option_counts[at]) for at in factor.decisions)))
        if set(factor.layers) != wanted:
            names = ", ".join(self.decisions[at].name for at in factor.decisions) or "no decision"
            raise InvalidInput(
                f"factor of {names} has layers for {len(factor.layers)} combinations of options; "
                f"it must have them for each of the {len(wanted)}"
            )
