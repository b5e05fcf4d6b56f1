"""`search_supernet`: a network, and a machine for it, by gradients through a supernet and dlco's costs.

Each decision has logits, and so has the choice among machines. The weights train on networks drawn from the
probabilities; the logits descend on other images, by

    cross-entropy + trade x log cost + penalties of the limits,

where cost is the expected energy, cycles or both of the operators as dlco's exact model prices them (`OperatorCosts`).
Between networks, the cross-entropy is that of the mix of operators: by Gumbel-softmax samples (Jang et al., ICLR 2017;
Wu et al., FBNet, CVPR 2019) or plain probabilities (Liu et al., DARTS, ICLR 2019). Limits are augmented-Lagrangian
terms of the log by which they are exceeded (Nocedal and Wright, Numerical Optimization, section 17.3), so no
weight needs to be guessed for them. In the end the likeliest network is improved by single changes within the limits.

The images that the logits see are no longer a test of the network chosen: accuracies on them are optimistic.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from math import log
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from dlco.errors import InvalidInput
from dlco.interrupts import held
from dlco.nas.space import FactoredSpace, Network
from dlco.nas.supernet.costs import OperatorCosts
from dlco.nas.supernet.images import Images, Labelled, percent_right
from dlco.nas.supernet.training import batches, train_shared
from dlco.progress import Listener, Progress
from dlco.progress_bar import listening

EXPONENTS = {"accuracy": (0, 0), "energy": (1, 0), "latency": (0, 1), "edp": (1, 1)}
"""By objective, the powers of energy and cycles whose product is to be small."""


class Supernet(Protocol):
    """A torch module that runs any network of a space, and mixes of them."""

    def __call__(self, images: Tensor, encoding: Tensor) -> Tensor:
        """Logits `[n, classes]` of images `[n, ...]` for an encoding `[features]`."""


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


def search_supernet(
    supernet: nn.Module,
    space: FactoredSpace,
    images: Images,
    costs: OperatorCosts,
    objective: str = "edp",
    *,
    energy_pj: float | None = None,
    cycles: float | None = None,
    training: SearchTraining | None = None,
    seed: int = 0,
    progress: bool | Listener = True,
) -> Searched:
    """Choose a network of a supernet, and one of the machines, by gradients.

    Args:
        supernet: a `Supernet`; its weights are trained in place.
        space: the networks.
        images: weights train on `train`, choices on `validation`; `test` is not looked at.
        costs: of the space's operators on the machines to choose from.
        objective: what is traded for accuracy: "energy", "latency", "edp", or "accuracy" for nothing.
        energy_pj: of one run at most.
        cycles: of one run at most.
        training: how.
        seed: of batches and samples; the same seed gives the same answer.
        progress: True for a bar, False for none, or a listener. Interrupted, the best so far is returned.

    Raises:
        InvalidInput: another objective, a limit that is not positive, or costs of other decisions.
    """
    training = training or SearchTraining()
    _check(space, costs, objective, energy_pj, cycles)
    search = _Search(supernet, space, images, costs, objective, (energy_pj, cycles), training, seed)
    history: list[Epoch] = []
    interrupted = False
    started = time.perf_counter()
    with held() as interrupts, listening(progress, "loss {:.4g}".format) as listener:

        def report(phase: str, done: float, loss: float | None) -> None:
            interrupts.check()
            listener(Progress(phase, done, loss, time.perf_counter() - started))

        total = training.warm_up + training.epochs
        try:
            with interrupts.heard():
                warming = training.warm_up / max(1, total)
                train_shared(
                    supernet,
                    space,
                    images.train,
                    training.warm_up,
                    seed,
                    listener=lambda p: report("train", warming * p.done, p.best),
                )
                for epoch in range(training.epochs):
                    history.append(search.epoch(epoch))
                    report("search", (training.warm_up + epoch + 1) / total, history[-1].cross_entropy)
        except KeyboardInterrupt:
            interrupted = True
        try:
            with interrupts.heard():
                search.round()
        except KeyboardInterrupt:
            interrupted = True
        return interrupts.insist(lambda: search.answer(history, interrupted))


def _check(
    space: FactoredSpace, costs: OperatorCosts, objective: str, energy_pj: float | None, cycles: float | None
) -> None:
    if objective not in EXPONENTS:
        raise InvalidInput(f"objective is {objective!r}; allowed: {', '.join(EXPONENTS)}")
    for name, limit in {"energy_pj": energy_pj, "cycles": cycles}.items():
        if limit is not None and not 0 < limit < float("inf"):
            raise InvalidInput(f"{name} is {limit!r}; it must be a positive number, or None for no limit")
    for decisions, table in zip(costs.decisions, costs.energy_pj, strict=True):
        there = [len(space.decisions[at].options) if at < len(space.decisions) else 0 for at in decisions]
        if list(table.shape[1:]) != there:
            raise InvalidInput(
                f"costs has {list(table.shape[1:])} options for decisions {decisions}; {space.name} has {there}"
            )


class _Search:
    """The logits, multipliers and optimisers of one run."""

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
        self.exponents = torch.tensor(EXPONENTS[objective], dtype=torch.float64)
        self.log_limits = torch.tensor([float("inf") if limit is None else log(limit) for limit in limits]).double()
        self.generator = torch.Generator().manual_seed(seed)
        self.logits = [
            torch.zeros(len(decision.options), dtype=torch.float64, requires_grad=True) for decision in space.decisions
        ]
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
        sizes = (len(decision.options) for decision in self.space.decisions)
        return [one_hot(torch.tensor(at), size).double() for at, size in zip(network, sizes, strict=True)]

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
