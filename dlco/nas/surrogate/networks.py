"""The networks of the surrogate: one that knows how noisy its targets are, one with dropout, one that imitates doubt.

All are small perceptrons (64-32 hidden units) in single precision, smooth in their inputs, so that second derivatives
say something. Inputs of several sides, as networks and machines are, may have a branch each (32-32 units) that meet in
the last 32: BOSHCODE's form.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

HIDDEN = (64, 32)
BRANCH = 32  # units of a branch, in each of its two layers
DROPOUT = 0.2
SPREAD = 0.03  # variance of a weight at the start, times the layer's inputs
NOISE = 0.01  # variance of the outputs at the start, of targets whose variance is 1
LEAST = 1e-6  # variance that always remains: roots of it have gradients
LEVEL = 0.5  # how much the noise that it claims excuses an error; see `natural_loss`


Sides = tuple[int, ...]
"""Features of an input, by side; more than one: each has a branch of its own."""


@dataclass(frozen=True)
class Layer:
    """A layer's inputs and outputs; `mask`, `[inputs, outputs]`: which of them meet, or None: all."""

    inputs: int
    outputs: int
    mask: Tensor | None = None

    def kept(self, weight: Tensor) -> Tensor:
        """The weights `[inputs, outputs]` of what meets, 0 elsewhere."""
        return weight if self.mask is None else weight * self.mask


def layers_of(sides: Sides) -> list[Layer]:
    """The layers of a perceptron of one side, or of branches that meet."""
    if len(sides) == 1:
        return [Layer(inputs, outputs) for inputs, outputs in pairwise((*sides, *HIDDEN, 1))]
    joined = BRANCH * len(sides)
    masks = [torch.block_diag(*(torch.ones(n, BRANCH) for n in widths)) for widths in (sides, [BRANCH] * len(sides))]
    branches = [Layer(len(mask), mask.shape[1], mask) for mask in masks]
    return [*branches, Layer(joined, HIDDEN[-1]), Layer(HIDDEN[-1], 1)]


class NaturalNetwork(nn.Module):
    """A natural-parameter network: weights are Gaussian, and mean and variance pass through it in closed form.

    Wang, Shi and Yeung, "Natural-Parameter Networks", NeurIPS 2016, with rectified units, whose two moments are exact.
    Trained by likelihood, its output variance is the noise of the targets (aleatoric uncertainty), different from
    input to input.

    Args:
        sides: of an input.
        generator: of the first weights.
    """

    def __init__(self, sides: Sides, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = layers_of(sides)
        self.weights, self.biases = _linear(self.layers, generator)
        sizes = [(layer.inputs, layer.outputs) for layer in self.layers]
        self.spreads = nn.ParameterList([torch.full((i, o), SPREAD / max(1, i)).log() for i, o in sizes])
        self.noises = nn.ParameterList(
            [torch.full((o,), NOISE if o == 1 else SPREAD).log() for _, o in sizes]
        )  # log variances of the biases

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance, `[n]` each, of inputs `[n, features]`."""
        mean, variance = inputs, torch.zeros_like(inputs)
        parts = zip(self.layers, self.weights, self.spreads, self.biases, self.noises, strict=True)
        for number, (layer, weight, spread, bias, noise) in enumerate(parts):
            if number:
                mean, variance = _rectified(mean, variance)
            weight, spread = layer.kept(weight), layer.kept(spread.exp())
            variance = variance @ (weight.square() + spread) + mean.square() @ spread + noise.exp() + LEAST
            mean = mean @ weight + bias
        return mean[:, 0], variance[:, 0]


class PlainNetwork(nn.Module):
    """The same without variances: a perceptron that claims no noise."""

    def __init__(self, sides: Sides, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = layers_of(sides)
        self.weights, self.biases = _linear(self.layers, generator)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance, `[n]` each, of inputs `[n, features]`; the variance is nothing."""
        mean = _perceptron(inputs, self.layers, self.weights, self.biases)
        return mean, torch.zeros_like(mean)


class Teacher(nn.Module):
    """A perceptron with dropout behind its hidden layers.

    With dropout left on, its answers scatter where it was taught little (Gal and Ghahramani, "Dropout as a Bayesian
    approximation", ICML 2016): epistemic uncertainty.
    """

    def __init__(self, sides: Sides, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = layers_of(sides)
        self.weights, self.biases = _linear(self.layers, generator)
        self.generator = generator

    def forward(self, inputs: Tensor) -> Tensor:
        """Answers `[..., n]` to inputs `[..., n, features]`, each with units dropped anew."""
        return _perceptron(inputs, self.layers, self.weights, self.biases, self._drop)

    def spread(self, inputs: Tensor, passes: int) -> Tensor:
        """Standard deviation `[n]` of the answers over some passes to inputs `[n, features]`.

        A pass drops the same units for all inputs, so that it is one smooth function of them.
        """
        many = inputs.expand(passes, *inputs.shape)
        answers = _perceptron(many, self.layers, self.weights, self.biases, self._drop_together)
        return (answers.var(0, correction=1) + LEAST).sqrt()

    def _drop(self, hidden: Tensor) -> Tensor:
        return hidden * self._mask(hidden.shape)

    def _drop_together(self, hidden: Tensor) -> Tensor:
        return hidden * self._mask((*hidden.shape[:-2], 1, hidden.shape[-1]))

    def _mask(self, shape: tuple[int, ...]) -> Tensor:
        return (torch.rand(shape, generator=self.generator) >= DROPOUT) / (1 - DROPOUT)


class Student(nn.Module):
    """A perceptron that says how much the teacher scatters: the same doubt without chance, and with gradients."""

    def __init__(self, sides: Sides, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = layers_of(sides)
        self.weights, self.biases = _linear(self.layers, generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logarithm of the standard deviation `[n]` at inputs `[n, features]`."""
        return _perceptron(inputs, self.layers, self.weights, self.biases)


def natural_loss(mean: Tensor, variance: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of targets `[n]`, each weighted by the variance claimed to the power `LEVEL`.

    Without the weights, inputs that are called noisy are no longer learned from (Seitzer et al., "On the pitfalls of
    heteroscedastic uncertainty estimation", ICLR 2022).
    """
    each = 0.5 * ((mean - targets).square() / variance + variance.log())
    return (each * variance.detach().pow(LEVEL)).mean()


def squared_loss(mean: Tensor, variance: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error, whatever the variance."""
    return (mean - targets).square().mean()


def _linear(layers: list[Layer], generator: torch.Generator) -> tuple[nn.ParameterList, nn.ParameterList]:
    """Weights `[inputs, outputs]` as He et al. (ICCV 2015) begin, and biases of nothing."""
    weights = []
    for layer in layers:
        reached = layer.inputs if layer.mask is None else int(layer.mask.sum()) // layer.outputs  # on average
        drawn = torch.randn(layer.inputs, layer.outputs, generator=generator)
        weights.append(drawn * ((1 if layer.outputs == 1 else 2) / max(1, reached)) ** 0.5)
    return nn.ParameterList(weights), nn.ParameterList([torch.zeros(layer.outputs) for layer in layers])


def _perceptron(
    inputs: Tensor,
    layers: list[Layer],
    weights: nn.ParameterList,
    biases: nn.ParameterList,
    after: Callable[[Tensor], Tensor] = lambda hidden: hidden,
) -> Tensor:
    for number, (layer, weight, bias) in enumerate(zip(layers, weights, biases, strict=True)):
        if number:
            inputs = after(nn.functional.silu(inputs))
        inputs = inputs @ layer.kept(weight) + bias
    return inputs[..., 0]


def _rectified(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of max(0, x), x Gaussian."""
    deviation = variance.sqrt()
    ratio = mean / deviation
    above = torch.special.ndtr(ratio)
    density = (-0.5 * ratio.square()).exp() * (2 * torch.pi) ** -0.5
    first = mean * above + deviation * density
    second = (mean.square() + variance) * above + mean * deviation * density
    return first, (second - first.square()).clamp(min=LEAST)
