"""`search_supernet`: a network, and a machine for it, by gradients through a supernet and dlco's costs.

Each decision has logits, and so has the choice among machines. The weights train on networks drawn from the
probabilities; the logits descend on other images, by

    cross-entropy + trade x log cost + penalties of the limits,

where cost is the expected energy, cycles or both of the operators as dlco's exact model has them (`OperatorCosts`).
Between networks, the cross-entropy is that of the mix of operators: by Gumbel-softmax samples (Jang et al., ICLR 2017;
Wu et al., FBNet, CVPR 2019) or plain probabilities (Liu et al., DARTS, ICLR 2019). Limits are augmented-Lagrangian
terms of the log by which they are exceeded (Nocedal and Wright, Numerical Optimization, section 17.3), so no
weight needs to be guessed for them. In the end the likeliest network is improved by single changes within the limits.

The images that the logits see are no longer a test of the network chosen: accuracies on them are optimistic.
"""

import time
from typing import Protocol

from torch import Tensor, nn

from dlco.design.objective import ACCURACY, Objective, parse_goal
from dlco.errors import InvalidInput
from dlco.interrupts import held
from dlco.nas.space import FactoredSpace
from dlco.nas.supernet.choices import Choices, Epoch, Searched, SearchTraining
from dlco.nas.supernet.costs import OF_RUNS, OperatorCosts
from dlco.nas.supernet.images import Images
from dlco.nas.supernet.training import train_shared
from dlco.progress import Listener, Progress
from dlco.progress_bar import listening


class Supernet(Protocol):
    """A torch module that runs any network of a space, and mixes of them."""

    def __call__(self, images: Tensor, encoding: Tensor) -> Tensor:
        """Logits `[n, classes]` of images `[n, ...]` for an encoding `[features]`."""


def search_supernet(
    supernet: nn.Module,
    space: FactoredSpace,
    images: Images,
    costs: OperatorCosts,
    objective: str = Objective.EDP,
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
    choices = Choices(supernet, space, images, costs, objective, (energy_pj, cycles), training, seed)
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
                    history.append(choices.epoch(epoch))
                    report("search", (training.warm_up + epoch + 1) / total, history[-1].cross_entropy)
        except KeyboardInterrupt:
            interrupted = True
        try:
            with interrupts.heard():
                choices.round()
        except KeyboardInterrupt:
            interrupted = True
        return interrupts.insist(lambda: choices.answer(history, interrupted))


def _check(
    space: FactoredSpace, costs: OperatorCosts, objective: str, energy_pj: float | None, cycles: float | None
) -> None:
    parse_goal(objective, (ACCURACY, *OF_RUNS))
    for name, limit in {"energy_pj": energy_pj, "cycles": cycles}.items():
        if limit is not None and not 0 < limit < float("inf"):
            raise InvalidInput(f"{name} is {limit!r}; it must be a positive number, or None for no limit")
    for decisions, table in zip(costs.decisions, costs.energy_pj, strict=True):
        there = [len(space.decisions[at].options) if at < len(space.decisions) else 0 for at in decisions]
        if list(table.shape[1:]) != there:
            raise InvalidInput(
                f"costs has {list(table.shape[1:])} options for decisions {decisions}; {space.name} has {there}"
            )
