"""The networks of the surrogate: one that knows how noisy its targets are, one with dropout, one that imitates doubt.

All are small perceptrons (64-32 hidden units) in single precision, smooth in their inputs, so that second derivatives
say something.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

HIDDEN = (64, 32)
DROPOUT = 0.2
SPREAD = 0.03  # variance of a weight at the start, times the layer's inputs
NOISE = 0.01  # variance of the outputs at the start, of targets whose variance is 1
LEAST = 1e-6  # variance that always remains: roots of it have gradients
LEVEL = 0.5  # how much the noise that it claims excuses an error; see `natural_loss`


class NaturalNetwork(nn.Module):
    """A natural-parameter network: weights are Gaussian, and mean and variance pass through it in closed form.

    Wang, Shi and Yeung, "Natural-Parameter Networks", NeurIPS 2016, with rectified units, whose two moments are exact.
    Trained by likelihood, its output variance is the noise of the targets (aleatoric uncertainty), different from
    input to input.

    Args:
        features: of an input.
        generator: of the first weights.
    """

    def __init__(self, features: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = list(pairwise((features, *HIDDEN, 1)))
        self.weights, self.biases = _linear(sizes, generator)
        self.spreads = nn.ParameterList([torch.full((i, o), SPREAD / max(1, i)).log() for i, o in sizes])
        self.noises = nn.ParameterList(
            [torch.full((o,), NOISE if o == 1 else SPREAD).log() for _, o in sizes]
        )  # log variances of the biases

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance, `[n]` each, of inputs `[n, features]`."""
        mean, variance = inputs, torch.zeros_like(inputs)
        layers = zip(self.weights, self.spreads, self.biases, self.noises, strict=True)
        for number, (weight, spread, bias, noise) in enumerate(layers):
            if number:
                mean, variance = _rectified(mean, variance)
            spread = spread.exp()
            variance = variance @ (weight.square() + spread) + mean.square() @ spread + noise.exp() + LEAST
            mean = mean @ weight + bias
        return mean[:, 0], variance[:, 0]


class PlainNetwork(nn.Module):
    """The same without variances: a perceptron that claims no noise."""

    def __init__(self, features: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weights, self.biases = _linear(list(pairwise((features, *HIDDEN, 1))), generator)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance, `[n]` each, of inputs `[n, features]`; the variance is nothing."""
        mean = _perceptron(inputs, self.weights, self.biases)
        return mean, torch.zeros_like(mean)


class Teacher(nn.Module):
    """A perceptron with dropout behind its hidden layers.

    With dropout left on, its answers scatter where it was taught little (Gal and Ghahramani, "Dropout as a Bayesian
    approximation", ICML 2016): epistemic uncertainty.
    """

    def __init__(self, features: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weights, self.biases = _linear(list(pairwise((features, *HIDDEN, 1))), generator)
        self.generator = generator

    def forward(self, inputs: Tensor) -> Tensor:
        """Answers `[..., n]` to inputs `[..., n, features]`, each with units dropped anew."""
        return _perceptron(inputs, self.weights, self.biases, self._drop)

    def spread(self, inputs: Tensor, passes: int) -> Tensor:
        """Standard deviation `[n]` of the answers over some passes to inputs `[n, features]`.

        A pass drops the same units for all inputs, so that it is one smooth function of them.
        """
        answers = _perceptron(inputs.expand(passes, *inputs.shape), self.weights, self.biases, self._drop_together)
        return (answers.var(0, correction=1) + LEAST).sqrt()

    def _drop(self, hidden: Tensor) -> Tensor:
        return hidden * self._mask(hidden.shape)

    def _drop_together(self, hidden: Tensor) -> Tensor:
        return hidden * self._mask((*hidden.shape[:-2], 1, hidden.shape[-1]))

    def _mask(self, shape: tuple[int, ...]) -> Tensor:
        return (torch.rand(shape, generator=self.generator) >= DROPOUT) / (1 - DROPOUT)


class Student(nn.Module):
    """A perceptron that says how much the teacher scatters: the same doubt without chance, and with gradients."""

    def __init__(self, features: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weights, self.biases = _linear(list(pairwise((features, *HIDDEN, 1))), generator)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logarithm of the standard deviation `[n]` at inputs `[n, features]`."""
        return _perceptron(inputs, self.weights, self.biases)


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


def _linear(sizes: list[tuple[int, int]], generator: torch.Generator) -> tuple[nn.ParameterList, nn.ParameterList]:
    """Weights `[inputs, outputs]` as He et al. (ICCV 2015) begin, and biases of nothing."""
    weights = [torch.randn(i, o, generator=generator) * ((1 if o == 1 else 2) / max(1, i)) ** 0.5 for i, o in sizes]
    return nn.ParameterList(weights), nn.ParameterList([torch.zeros(o) for _, o in sizes])


def _perceptron(
    inputs: Tensor,
    weights: nn.ParameterList,
    biases: nn.ParameterList,
    after: Callable[[Tensor], Tensor] = lambda hidden: hidden,
) -> Tensor:
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        if number:
            inputs = after(nn.functional.silu(inputs))
        inputs = inputs @ weight + bias
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
