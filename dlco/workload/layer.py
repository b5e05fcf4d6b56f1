"""`Layer`: a named problem and how often the network runs it; sums over a network's layers."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dlco.errors import InvalidInput
from dlco.workload.problem import Problem, check_positive_int, shown

MOST_RUNS = 2**63 - 1  # of a layer in its network
MULTIPLY = "multiply-accumulate"
OPERATIONS = (MULTIPLY, "pool", "upsample", "add", "scale", "normalise", "softmax", "embed")


@dataclass(frozen=True)
class Layer:
    """A layer of a network.

    Attributes:
        name: unique within a network.
        problem: what one execution computes.
        count: how often the network runs it; costs of a network weigh each layer by it.
        stored_weights: False where the network computes the "Weights" itself, as attention does its keys and values,
            so that they are no parameters of it. No cost depends on this.
        operation: what each point of the problem is, one of `OPERATIONS`. No cost depends on this: an addition is
            charged as a multiply-accumulate is.

    Examples:
        >>> layer = dlco.conv2d("conv", C=64, M=64, P=56, Q=56, R=3, S=3, count=4)
        >>> layer.count, layer.macs, layer.parameters  # of one execution
        (4, 115605504, 36864)
    """

    name: str
    problem: Problem
    count: int = 1
    stored_weights: bool = True
    operation: str = MULTIPLY

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise InvalidInput(f"name of a layer is {self.name!r}; it must be a non-empty string")
        check_positive_int(f"count of layer {self.name}", self.count)
        if self.count > MOST_RUNS:
            raise InvalidInput(f"count of layer {self.name} is {shown(self.count)}; it may be 2^63 - 1")
        if self.operation not in OPERATIONS:
            raise InvalidInput(
                f"operation of layer {self.name} is {self.operation!r}; allowed: {', '.join(OPERATIONS)}"
            )

    @property
    def operations(self) -> int:
        """Points of the problem, each one operation of a processing element; of one execution."""
        return self.problem.macs

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one execution: all operations, or 0 where they are of another kind."""
        return self.problem.macs if self.operation == MULTIPLY else 0

    @property
    def work(self) -> tuple[Problem, bool, str]:
        """What is computed, whatever the layer's name and count: equal for layers that are one but for these."""
        return self.problem, self.stored_weights, self.operation

    @property
    def parameters(self) -> int:
        """Trained words of one execution: those of "Weights", or 0 without `stored_weights`; biases not counted.

        Raises:
            InvalidInput: the problem has no dataspace "Weights".
        """
        return self.problem.words("Weights") if self.stored_weights else 0


def check_layers(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """The layers as a tuple; raises `InvalidInput` for no list, an empty one, a stranger in it or a name used twice."""
    if isinstance(layers, Layer | str) or not isinstance(layers, Iterable):
        raise InvalidInput(f"layers is {shown(layers)}; it must be a list of dlco.Layer")
    checked = tuple(layers)
    if not checked:
        raise InvalidInput("layers is empty; it must hold at least one Layer")
    seen: set[str] = set()
    for layer in checked:
        if not isinstance(layer, Layer):
            raise InvalidInput(f"layers holds {shown(layer)}; every entry must be a dlco.Layer")
        if layer.name in seen:
            raise InvalidInput(f"layers holds two layers named {layer.name!r}; names must be distinct")
        seen.add(layer.name)
    return checked


def merge_layers(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """The layers with those of one shape made one: counts added up, the first one's name and place kept."""
    found: dict[tuple[Problem, bool, str], Layer] = {}
    for layer in layers:
        key = layer.work
        found[key] = replace(found[key], count=found[key].count + layer.count) if key in found else layer
    return tuple(found.values())


def macs(layers: Iterable[Layer]) -> int:
    """Multiply-accumulates of one run of a network, each layer counted `count` times.

    Raises:
        InvalidInput: as `check_layers` does.

    Examples:
        >>> from dlco.workload import macs
        >>> macs(dlco.networks.resnet18())
        1814073344
    """
    return sum(layer.count * layer.macs for layer in check_layers(layers))


def parameters(layers: Iterable[Layer]) -> int:
    """Weight words of a network, without biases and normalisation; every execution of a layer has its own.

    Raises:
        InvalidInput: as `check_layers` does, or a problem has no dataspace "Weights".

    Examples:
        >>> from dlco.workload import parameters
        >>> parameters(dlco.networks.resnet18())
        11678912
    """
    return sum(layer.count * layer.parameters for layer in check_layers(layers))
