"""`AccelBenchCosts`, and the co-search on AccelBench's accelerators: pairs are costed whole, and nothing is mapped."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields, replace

import torch

from dlco.design.accelbench_design import AccelBenchDesign, per_image
from dlco.design.codesign import STATUSES, text_of
from dlco.errors import InvalidInput
from dlco.hardware.accelbench import AccelBench, AccelBenchSpace, pair_costs
from dlco.hardware.accelbench.figures import NUMBERS, parts
from dlco.hardware.accelbench.network import check_network
from dlco.interrupts import held
from dlco.nas.answer import front_of, point_of
from dlco.nas.evaluator import Evaluator
from dlco.nas.machines import AccelBenchMachines
from dlco.nas.options import CoOptions
from dlco.nas.request import CoRequest
from dlco.progress import Listener, Progress
from dlco.progress_bar import listening
from dlco.search import MachineIndex, NetworkPoint
from dlco.workload.layer import Layer

BATCH = NUMBERS.index("batch")
ALLOWED = ("network", "machine", "queries")  # options of a co-search here


class AccelBenchCosts:
    """What networks cost on AccelBench's accelerators, an image of the batch: energy, cycles and area.

    Args:
        request: of a co-search on an `AccelBenchSpace`.
    """

    def __init__(self, request: CoRequest) -> None:
        assert isinstance(request.machines, AccelBenchMachines)
        self.space, self.score = request.machines.hardware, request.score

    def networks(
        self, networks: Sequence[Sequence[Layer]], machines: Sequence[MachineIndex]
    ) -> tuple[NetworkPoint, ...]:
        """The costs of networks on machines, pair by pair.

        Raises:
            InvalidInput: a network has a layer that AccelBench has no unit for.
        """
        if not networks:
            return ()
        for layers in networks:
            check_network(layers)
        vectors = self.space.vectors(torch.tensor(machines, dtype=torch.long))
        found = pair_costs(vectors, networks, self.space.base.activation, self.space.assumptions)
        energy, cycles = per_image(found.energy_j * 1e12, found.cycles, vectors[:, BATCH])
        made = parts(vectors)
        excess = self.score.silicon_excess(found.area_mm2, made.pes * made.lanes * made.macs)
        scores = self.score.beyond(self.score(energy, cycles, found.area_mm2), excess)
        rows = zip(*(column.tolist() for column in (energy, cycles, found.area_mm2, scores)), strict=True)
        return tuple(NetworkPoint(e, t, a, s, ()) for e, t, a, s in rows)


def search_accelerators(
    request: CoRequest,
    explore: Callable[[CoRequest, Evaluator], None],
    *,
    method: str,
    evaluations: int | None,
    queries: int | None,
    seed: int,
    progress: bool | Listener,
) -> AccelBenchDesign:
    """The co-search of a request on an `AccelBenchSpace`.

    Args:
        request: the question.
        explore: searches until the evaluator has enough.
        method: its name.
        evaluations: pairs that may be evaluated, or None.
        queries: networks that may be judged, or None.
        seed: of the search.
        progress: as `cosearch` has it.

    Returns:
        The best pair. Its status is "infeasible" where none within the limits was found, "interrupted" after Ctrl-C.

    Raises:
        InvalidInput: the method does not work on this hardware, or nothing was evaluated before an interrupt.
    """
    assert isinstance(request.machines, AccelBenchMachines)
    machines = request.machines
    started = time.perf_counter()
    interrupted = False
    evaluator = Evaluator(request, AccelBenchCosts(request), evaluations, queries)
    with held() as interrupts, listening(progress, text_of(request.goal)) as listener:

        def tell(phase: str = "co-search") -> None:
            best = evaluator.best
            value = request.value(best) if best is not None and best.feasible else None
            done = 1.0 if phase == "done" else evaluator.done
            listener(Progress(phase, done, value, time.perf_counter() - started))

        evaluator.on_call = tell
        try:
            with interrupts.heard():
                explore(request, evaluator)
        except KeyboardInterrupt:
            interrupted = True
        best = evaluator.best
        if best is None:
            raise InvalidInput(f"method {method!r} was stopped before any pair was evaluated; let it run for longer")
        with suppress(KeyboardInterrupt):  # too late to stop anything
            tell("done")
        machine, layers = machines.machine(best.pair.machine), tuple(evaluator.layers(best.pair.network))
        design = AccelBenchDesign(
            status="interrupted",
            message=STATUSES["interrupted"],
            method=method,
            objective=request.goal,
            weights=request.weights,
            seed=seed,
            budget=request.budget,
            least_accuracy=request.least_accuracy,
            space=request.space.name,
            network=request.space.format(best.pair.network),
            accuracy=best.accuracy,
            layers=layers,
            machine=machine,
            assumptions=machines.hardware.assumptions,
            bill=machine.network_cost(layers, machines.hardware.assumptions),
            trace=tuple(point_of(request, one.best, one.evaluations, one.queries) for one in evaluator.improvements),
            front=front_of(evaluator),
            sizes=machines.names,
            evaluations=evaluator.evaluations,
            queries=evaluator.queries,
            seconds=time.perf_counter() - started,
        )
        if interrupted:
            return design
        status = "solved" if design.keeps_limits and best.accuracy >= (request.least_accuracy or 0.0) else "infeasible"
        return replace(design, status=status, message=STATUSES[status])


def as_accelerators(hardware: AccelBench | AccelBenchSpace) -> AccelBenchSpace:
    """The space of one accelerator, or the space itself."""
    return AccelBenchSpace.of(hardware) if isinstance(hardware, AccelBench) else hardware


def refuse_mapping(given: CoOptions, **others: object) -> None:
    """Raise `InvalidInput`, naming it, for an option of a co-search that AccelBench's accelerators have no use for.

    Args:
        given: the options.
        others: arguments of `cosearch` that are about mappings, None or False where they are not given.
    """
    default = CoOptions()
    names = [item.name for item in fields(given) if item.name not in ALLOWED]
    changed = [name for name in names if getattr(given, name) != getattr(default, name)]
    changed += [name for name, value in others.items() if value not in (None, False)]
    if changed:
        raise InvalidInput(
            f"{changed[0]} is given, but AccelBench's accelerators have no mappings to search, solve or keep; "
            f"allowed: {', '.join(ALLOWED)}"
        )
