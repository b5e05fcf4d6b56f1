"""`Choices`: what a search through a supernet chooses by gradients, and the shared weights that it trains beside."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from math import log

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dlco.design.objective import ACCURACY, Objective
from dlco.errors import InvalidInput
from dlco.nas.space import FactoredSpace, Network
from dlco.nas.supernet.costs import OperatorCosts
from dlco.nas.supernet.images import Images, Labelled, percent_right
from dlco.nas.supernet.training import batches


@dataclass(frozen=True)
class SearchTraining:
    """How a supernet is searched.

    Attributes:
        warm_up: epochs that train the weights alone, on uniformly drawn networks; 0 for a trained supernet.
        epochs: that train weights and logits in turn.
        sampling: "gumbel" or "softmax".
        temperature: of the Gumbel samples in the first and the last epoch.
        trade: nats of cross-entropy that a factor e of the cost is worth.
        penalty: of the augmented terms, nats a squared log.
        rate, choice_rate: learning rates of weights and logits.
    """

    warm_up: int = 60
    epochs: int = 60
    sampling: str = "gumbel"
    temperature: tuple[float, float] = (3.0, 0.3)
    trade: float = 0.05
    penalty: float = 2.0
    rate: float = 3e-3
    choice_rate: float = 0.03

    def __post_init__(self) -> None:
        if self.sampling not in ("gumbel", "softmax"):
            raise InvalidInput(f"sampling is {self.sampling!r}; allowed: gumbel, softmax")
        for field in ("warm_up", "epochs", "trade"):
            if not getattr(self, field) >= 0:
                raise InvalidInput(f"{field} is {getattr(self, field)!r}; it must not be negative")
        for field in ("penalty", "rate", "choice_rate"):
            if not getattr(self, field) > 0:
                raise InvalidInput(f"{field} is {getattr(self, field)!r}; it must be positive")
        if len(self.temperature) != 2 or not min(self.temperature) > 0:
            raise InvalidInput(f"temperature is {self.temperature!r}; it must be two positive numbers")


@dataclass(frozen=True)
class Epoch:
    """The state after an epoch.

    Attributes:
        cross_entropy: mean over the epoch's choice steps, nats.
        energy_pj, cycles: expected over the probabilities.
        certainty: probability of the likeliest option, mean over the decisions.
        multipliers: of the limits on energy and cycles; 0 where there is none.
    """

    cross_entropy: float
    energy_pj: float
    cycles: float
    certainty: float
    multipliers: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Searched:
    """What a search found.

    Attributes:
        network: chosen; `machine`: its machine's place in the costs.
        accuracy: on the validation images with the supernet's weights, percent: optimistic, and not that of the
            network trained by itself.
        energy_pj, cycles: of one run, each operator by its own best mapping.
        feasible: whether the limits hold.
        probabilities: of each decision's options; `machine_probabilities`: of the machines.
        history: of all epochs.
        interrupted: whether it was stopped early.
    """

    network: Network
    machine: int
    accuracy: float
    energy_pj: float
    cycles: float
    feasible: bool
    probabilities: tuple[Tensor, ...]
    machine_probabilities: Tensor
    history: tuple[Epoch, ...]
    interrupted: bool


class Choices:
    """The logits of the decisions and of the machines, with the limits' multipliers and the optimisers of one run."""

    def __init__(
        self,
        supernet: nn.Module,
        space: FactoredSpace,
        images: Images,
        costs: OperatorCosts,
        objective: str,
        limits: tuple[float | None, float | None],
        training: SearchTraining,
        seed: int,
    ) -> None:
        self.supernet, self.space, self.images, self.costs, self.training = supernet, space, images, costs, training
        powers = (0, 0) if objective == ACCURACY else Objective(objective).powers[:2]  # of energy and cycles
        self.exponents = torch.tensor(powers, dtype=torch.float64)
        self.log_limits = torch.tensor([float("inf") if limit is None else log(limit) for limit in limits]).double()
        self.generator = torch.Generator().manual_seed(seed)
        self.logits = [torch.zeros(n, dtype=torch.float64, requires_grad=True) for n in space.option_counts]
        self.machine_logits = torch.zeros(costs.machines, dtype=torch.float64, requires_grad=True)
        self.multipliers = torch.zeros(2, dtype=torch.float64)
        self.choosing = torch.optim.Adam([*self.logits, self.machine_logits], training.choice_rate, betas=(0.5, 0.999))
        self.best: tuple[Network, int] | None = None
        self.learning = torch.optim.AdamW(supernet.parameters(), training.rate, weight_decay=1e-3)

    def probabilities(self) -> list[Tensor]:
        """Of each decision's options."""
        return [logits.softmax(0) for logits in self.logits]

    def one_hot(self, network: Network) -> list[Tensor]:
        """Probabilities that leave no choice."""
        return list(self.space.split(self.space.encode([network])[0]))

    def excess(self, totals: Tensor) -> Tensor:
        """Logs by which energy and cycles `[..., 2]` exceed their limits; minus infinity without a limit."""
        return totals.double().log() - self.log_limits

    def epoch(self, number: int) -> Epoch:
        """Train the weights once over their images, and the choices once over theirs, in turn."""
        first, last = self.training.temperature
        temperature = first * (last / first) ** (number / max(1, self.training.epochs - 1))
        choices = list(batches(self.images.validation, self.generator))
        learned = list(batches(self.images.train, self.generator))
        every = max(1, len(learned) // len(choices))  # a step of the choices after so many of the weights
        losses: list[float] = []
        for step, batch in enumerate(learned):
            self._learn(batch)
            if step % every == every - 1 and len(losses) < len(choices):
                losses.append(self._choose(choices[len(losses)], temperature))
        with torch.no_grad():
            totals, probabilities = self._totals(), self.probabilities()
            push = self.multipliers + self.training.penalty * self.excess(totals)
            self.multipliers = push.clamp(min=0)
        certainty = sum(float(p.max()) for p in probabilities) / len(probabilities)
        energy, cycles = totals.tolist()
        multipliers = self.multipliers.tolist()
        return Epoch(sum(losses) / len(losses), energy, cycles, certainty, (multipliers[0], multipliers[1]))

    def _learn(self, batch: Labelled) -> None:
        """A step of the weights, on a network drawn from the probabilities."""
        drawn = [torch.multinomial(p.detach(), 1, generator=self.generator).item() for p in self.probabilities()]
        network = tuple(int(option) for option in drawn)
        if not self.space.is_valid(network):
            (network,) = self.space.sample(1, self.generator)
        pixels, labels = batch
        loss = cross_entropy(self.supernet(pixels, self.space.encode([network])[0]), labels)
        self.learning.zero_grad()
        loss.backward()
        self.learning.step()

    def _choose(self, batch: Labelled, temperature: float) -> float:
        """A step of the logits; returns the cross-entropy."""
        pixels, labels = batch
        mix = self._gumbel(temperature) if self.training.sampling == "gumbel" else self.probabilities()
        entropy = cross_entropy(self.supernet(pixels, torch.cat(mix)), labels)
        totals = self._totals()
        pushed = (self.excess(totals) + self.multipliers / self.training.penalty).clamp(min=0)
        penalties = self.training.penalty / 2 * pushed.square().sum()
        loss = entropy + self.training.trade * (self.exponents * totals.log()).sum() + penalties
        self.choosing.zero_grad()
        loss.backward()
        self.choosing.step()
        return entropy.item()

    def _gumbel(self, temperature: float) -> list[Tensor]:
        """A sample of each decision that is nearly one-hot at low temperatures."""
        samples = []
        for logits in self.logits:
            uniform = torch.rand(logits.shape, generator=self.generator, dtype=torch.float64).clamp(min=1e-12)
            samples.append(((logits - (-uniform.log()).log()) / temperature).softmax(0))
        return samples

    def _totals(self) -> Tensor:
        """Expected energy and cycles, `[2]`."""
        machines = self.machine_logits.softmax(0)
        return torch.stack([machines @ each for each in self.costs.expected(self.probabilities())])

    def logits_of(self, network: Network, pixels: Tensor) -> Tensor:
        """What the supernet says of images as this network."""
        with torch.no_grad():
            return self.supernet(pixels, self.space.encode([network])[0])

    def round(self) -> None:
        """Improve the likeliest network on the likeliest machine by single changes until none helps, in `best`.

        What breaks limits less is better; among those that keep them, what has the lower loss.
        """
        self.best = self.likeliest()
        known: dict[tuple[Network, int], tuple[float, float]] = {}
        rank = self._rank(self.best, known, (float("inf"), float("inf")))
        while True:
            network, machine = self.best
            changed = chain(
                zip(self.space.neighbours(network), repeat(machine)), zip(repeat(network), range(self.costs.machines))
            )
            before = rank
            for pair in changed:
                found = self._rank(pair, known, rank)
                if found < rank:
                    self.best, rank = pair, found
            if rank == before:
                return

    def likeliest(self) -> tuple[Network, int]:
        """The likeliest network that there is, and the likeliest machine."""
        network = tuple(int(p.argmax()) for p in self.probabilities())
        if not self.space.is_valid(network):
            drawn = self.space.sample(100, torch.Generator().manual_seed(0))
            scores = (self.space.encode(drawn) * torch.cat(self.probabilities()).detach().log()).sum(1)
            network = drawn[int(scores.argmax())]
        return network, int(self.machine_logits.argmax())

    def answer(self, history: Sequence[Epoch], interrupted: bool) -> Searched:
        """The best so far, with its figures."""
        network, machine = self.best or self.likeliest()
        energy, time_ = (float(total[machine]) for total in self.costs.expected(self.one_hot(network)))
        excess = self.excess(torch.tensor([energy, time_]))
        pixels, labels = self.images.validation
        return Searched(
            network,
            machine,
            percent_right(self.logits_of(network, pixels), labels),
            energy,
            time_,
            bool((excess <= 0).all()),
            tuple(p.detach() for p in self.probabilities()),
            self.machine_logits.detach().softmax(0),
            tuple(history),
            interrupted,
        )

    def _rank(
        self, pair: tuple[Network, int], known: dict[tuple[Network, int], tuple[float, float]], best: Sequence[float]
    ) -> tuple[float, float]:
        """By how much the limits are broken, and the loss; the loss only where it could matter."""
        if pair not in known:
            network, machine = pair
            totals = torch.stack([each[machine] for each in self.costs.expected(self.one_hot(network))])
            broken = float(self.excess(totals).clamp(min=0).sum())
            if broken > best[0]:
                return broken, float("inf")
            pixels, labels = self.images.validation
            entropy = cross_entropy(self.logits_of(network, pixels), labels)
            known[pair] = broken, float(entropy + self.training.trade * (self.exponents * totals.log()).sum())
        return known[pair]
