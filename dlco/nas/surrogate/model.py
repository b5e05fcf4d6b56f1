"""`Surrogate`: what is believed of designs not looked at, learned from those that were."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlco.nas.surrogate.networks import (
    NaturalNetwork,
    PlainNetwork,
    Sides,
    Student,
    Teacher,
    natural_loss,
    squared_loss,
)

RATE = 1e-2  # of AdamW
PRIOR, FEW = 100.0, 20  # decay of weights: the first over the rows learned from, of which at least so many are assumed
FIRST, AGAIN = 200, 30  # steps of the first training and of every later one, which goes on from there
BATCH = 256  # rows of a step at most
PASSES = 16  # of the teacher

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Belief:
    """What is believed of inputs, in the unit of the targets.

    Attributes:
        mean: of the target, `[n]`.
        noise: standard deviation that more knowledge would not lessen (aleatoric), `[n]`.
        doubt: standard deviation that it would (epistemic), `[n]`.
    """

    mean: Tensor
    noise: Tensor
    doubt: Tensor


class Surrogate:
    """Three networks: one predicts, a teacher doubts by chance, a student doubts without.

    Weights that predict decay, as if known to be small before; less the more rows there are to learn from. The
    teacher's do not: where nothing holds its answers together they are to scatter.

    Args:
        sides: features of an input; of several sides each has a branch of its own.
        generator: of weights, batches and dropout.
        heteroscedastic: whether the prediction is a natural-parameter network; a plain one if not.
        student: whether doubt is the student's; the teacher's own, of fresh passes at every call, if not.
    """

    def __init__(
        self, sides: Sides, generator: torch.Generator, *, heteroscedastic: bool = True, student: bool = True
    ) -> None:
        self.generator = generator
        self.network: NaturalNetwork | PlainNetwork
        self.network = (NaturalNetwork if heteroscedastic else PlainNetwork)(sides, generator)
        self._loss = natural_loss if heteroscedastic else squared_loss
        self.teacher = Teacher(sides, generator)
        self.student = Student(sides, generator) if student else None
        self.shift, self.scale = torch.zeros(sum(sides)), torch.ones(sum(sides))
        self._steps = FIRST

    def standardise(self, inputs: Tensor) -> None:
        """Take mean 0 and variance 1 of these inputs `[n, features]` as the networks' own scale."""
        self.shift = inputs.mean(0)
        deviation = (inputs - self.shift).square().mean(0).sqrt()
        self.scale = torch.where(deviation > 1e-6, deviation, 1.0)

    def fit(self, inputs: Tensor, targets: Tensor, elsewhere: Tensor) -> None:
        """Learn, from where the last call ended.

        Args:
            inputs: `[n, features]`.
            targets: `[n]`, about of mean 0 and variance 1.
            elsewhere: `[m, features]`, more inputs at which the student is to know the teacher's doubt.
        """
        inputs, elsewhere = self._scaled(inputs), self._scaled(elsewhere)

        def train(network: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor, decay: float) -> None:
            _train(network, loss, inputs, targets, self._steps, decay, self.generator)

        def loss(inputs: Tensor, targets: Tensor) -> Tensor:
            mean, variance = self.network(inputs)
            return self._loss(mean, variance, targets)

        decay = PRIOR / max(FEW, len(inputs))
        train(self.network, loss, inputs, targets, decay)
        train(self.teacher, lambda x, y: (self.teacher(x) - y).square().mean(), inputs, targets, 0.0)
        if self.student is not None:
            student, both = self.student, torch.cat([inputs, elsewhere])
            with torch.no_grad():
                spread = self.teacher.spread(both, PASSES).log()
            train(student, lambda x, y: (student(x) - y).square().mean(), both, spread, 0.0)
        for part in (self.network, self.teacher, self.student):
            if part is not None:
                part.requires_grad_(False)  # until the next fit: gradients are the inputs'
        self._steps = AGAIN

    def __call__(self, inputs: Tensor) -> Belief:
        """The belief about inputs `[n, features]`, with gradients."""
        inputs = self._scaled(inputs)
        mean, variance = self.network(inputs)
        doubt = self.teacher.spread(inputs, PASSES) if self.student is None else self.student(inputs).exp()
        return Belief(mean, variance.clamp(min=1e-12).sqrt(), doubt)

    def _scaled(self, inputs: Tensor) -> Tensor:
        return (inputs - self.shift) / self.scale


def _train(
    network: nn.Module,
    loss: Loss,
    inputs: Tensor,
    targets: Tensor,
    steps: int,
    decay: float,
    generator: torch.Generator,
) -> None:
    """Steps of AdamW (Loshchilov and Hutter, ICLR 2019), their rate falling to nothing."""
    network.requires_grad_(True)
    kept = [weight for name, weight in network.named_parameters() if not name.startswith("weights")]
    decayed = [weight for name, weight in network.named_parameters() if name.startswith("weights")]
    groups = [{"params": kept, "weight_decay": 0.0}, {"params": decayed, "weight_decay": decay}]
    optimiser = torch.optim.AdamW(groups, RATE, fused=True)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / steps)
        some: slice | Tensor = slice(None)
        if len(inputs) > BATCH:
            some = torch.randint(len(inputs), (BATCH,), generator=generator)
        optimiser.zero_grad()
        loss(inputs[some], targets[some]).backward()
        optimiser.step()
