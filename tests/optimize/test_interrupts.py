"""Ctrl-C at any moment, several times: a search ends with the best so far, and never with a traceback."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlco import Budget, SolveEffort, conv2d, evaluate, solve
from dlco.bound import BoundEffort
from dlco.hardware.architecture import Architecture, Level
from dlco.hardware.space import HardwareSpace
from dlco.interrupts import Interrupts, held
from dlco.journal import Journal
from dlco.optimize import FrontEffort, Solution, finish, pareto
from dlco.optimize.phases import imperfect, reasons
from dlco.progress import Progress
from dlco.search import factor_moves, unit_moves
from dlco.search import imperfect as imperfect_search
from dlco.search.evolution import EvolutionEffort
from dlco.search.local_search import Effort
from dlco.workload import Layer

from ..efforts import NO_BOXES

FEW = Effort(rounds=4, patience=4, islands=2)
BRIEF = SolveEffort(
    starts=1,
    relax_rounds=1,
    survey=2,
    machines=2,
    roundings=2,
    descents=1,
    steps=1,
    polishes=1,
    fit=FEW,
    step=FEW,
    polish=FEW,
    evolution=EvolutionEffort(
        generations=1, machines=2, near_bound=4, mappings=Effort(rounds=2), longer=Effort(rounds=2)
    ),
    bound=BoundEffort(nodes=4, side=2, rounds=0, boxes=0),
    boxes=NO_BOXES,
)
SEARCH = replace(BRIEF, exact=False)


@pytest.fixture(autouse=True)
def _python_s_own_handler() -> Iterator[None]:
    """What runs in the background of a shell has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imperfect_search, "EFFORT", Effort(rounds=6, population=4, neighbours=8, islands=2))


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def ctrl_c_twice(ended: list[str]) -> None:
    try:
        ctrl_c()
    finally:
        ctrl_c()  # on the way out
        ended.append("out")


def test_held_interrupts_are_noted_and_heard_ones_come_once() -> None:
    ended = []
    with held() as interrupts:
        ctrl_c()
        ctrl_c()
        assert interrupts.noted
        with pytest.raises(KeyboardInterrupt), interrupts.heard():  # at once: one was noted
            ended.append("begun")
        assert not interrupts.noted
        with pytest.raises(KeyboardInterrupt), interrupts.heard():
            ctrl_c_twice(ended)
        ctrl_c()
        assert interrupts.noted
    assert ended == ["out"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        ctrl_c()


def test_a_block_within_a_block_tells_the_outer_one() -> None:
    with held() as outer, outer.heard():
        with held() as inner:
            assert inner is outer
            ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            outer.check()
    with held() as outer, outer.heard():
        with held():
            pass
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()  # the outer block hears again


def test_an_interrupt_that_python_loses_is_told_by_the_next_check(monkeypatch: pytest.MonkeyPatch) -> None:
    class Swallowing:
        def __del__(self) -> None:  # what it raises is printed, and forgotten
            ctrl_c()

    monkeypatch.setattr(sys, "unraisablehook", lambda raised: None)
    with held() as interrupts, interrupts.heard():
        Swallowing()
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_what_must_not_be_lost_is_done_again_and_the_interrupt_noted() -> None:
    raised = iter([True, True, False])

    def work() -> int:
        if next(raised):
            raise KeyboardInterrupt
        return 3

    interrupts = Interrupts()
    assert interrupts.insist(work) == 3
    assert interrupts.noted


def test_another_handler_is_left_in_place() -> None:
    def own(number: int, frame: object) -> None:
        raise RuntimeError("own")

    signal.signal(signal.SIGINT, own)
    with held() as interrupts, interrupts.heard():
        assert signal.getsignal(signal.SIGINT) is own
        with pytest.raises(RuntimeError, match="own"):
            ctrl_c()


# --- raised by what a search calls -----------------------------------------------------------------------------


class Interrupting:
    """Raises `KeyboardInterrupt` at some of the calls of all functions that it stands before, counted together."""

    def __init__(self, *at: int) -> None:
        self.at, self.calls, self.raised = at, 0, 0

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls in self.at:
                self.raised += 1
                raise KeyboardInterrupt
            return function(*arguments, **named)

        return called

    def stand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before both cost models, the pricing of answers, the journal and the diagnosis."""
        for place, name in (
            (unit_moves, "evaluate_totals"),
            (factor_moves, "evaluate_totals"),
            (finish, "evaluate_network"),
            (reasons, "diagnose"),
            (Journal, "record"),
        ):
            monkeypatch.setattr(place, name, self.before(getattr(place, name)))

    def __call__(self, progress: Progress) -> None:
        self.before(lambda: None)()


def asked(network: list[Layer], hardware: Architecture | HardwareSpace, path: Path, **more: Any) -> Solution:
    return solve(network, hardware, imperfect=True, effort=SEARCH, checkpoint=path, **more)


@pytest.mark.parametrize("free", [False, True], ids=["fixed", "space"])
def test_an_interrupt_anywhere_returns_the_best_so_far(
    free: bool, machine: Architecture, space: HardwareSpace, network: list[Layer], tmp_path: Path
) -> None:
    """Once; a second time and a third, soon after or later."""
    hardware = space if free else machine
    with pytest.MonkeyPatch.context() as patch:
        counting = Interrupting()
        counting.stand(patch)
        whole = asked(network, hardware, tmp_path / "whole", progress=counting)
    assert counting.calls > 40
    turns = 6 if free else 13
    for turn in range(turns):
        at = 1 + turn * counting.calls // (turns - 1)
        with pytest.MonkeyPatch.context() as patch:
            stop = Interrupting(at, at + (1, 2, 5, 17)[turn % 4], at + (2, 3, 6, 90)[turn % 4])
            stop.stand(patch)
            found = asked(network, hardware, tmp_path / f"{turn}", progress=stop)
        assert found.status == "interrupted" or (found.status, stop.at[0] > counting.calls - 8) == ("solved", True)
        assert set(found.mappings) == {layer.name for layer in network}
        if turn in (1, 5, 9):  # taken up again, it ends as if nothing had been
            again = solve(network, hardware, imperfect=True, effort=SEARCH, resume=tmp_path / f"{turn}")
            assert (again.mappings, again.cost, again.evaluations) == (whole.mappings, whole.cost, whole.evaluations)


def test_an_interrupted_diagnosis_keeps_the_nearest_design(machine: Architecture, network: list[Layer]) -> None:
    fastest = solve(network, machine, "latency", effort=BRIEF, bound=False)
    budget = Budget(latency_s=0.98 * fastest.cost.latency_s)
    for at in (1, 4):
        seen = Interrupting(at, at + 1)

        def stop(progress: Progress, seen: Interrupting = seen) -> None:
            if progress.phase == "diagnosis":
                seen(progress)

        found = solve(network, machine, budget=budget, effort=BRIEF, progress=stop)
        assert seen.raised
        assert found.status == "infeasible"


# --- imperfect factors are a phase like others -----------------------------------------------------------------


def test_the_search_for_imperfect_factors_tells_how_far_it_is(machine: Architecture, network: list[Layer]) -> None:
    seen: list[Progress] = []
    found = solve(network, machine, "latency", imperfect=True, effort=SEARCH, progress=seen.append)
    phases = list(dict.fromkeys(one.phase for one in seen))
    assert phases.index("refine") < phases.index("bound")
    done = [one.done for one in seen]
    assert done == sorted(done)
    assert len([one for one in seen if one.phase == "refine"]) > 2
    assert seen[-1].best == pytest.approx(found.value)
    assert found.trace[-1][1] == pytest.approx(found.value)


def test_a_resumed_run_does_not_search_imperfect_factors_again(
    machine: Architecture, network: list[Layer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = asked(network, machine, tmp_path / "run")
    monkeypatch.setattr(imperfect, "refine", None)
    again = solve(network, machine, imperfect=True, effort=SEARCH, resume=tmp_path / "run")
    assert (again.mappings, again.cost, again.evaluations) == (whole.mappings, whole.cost, whole.evaluations)


PRIME = conv2d("prime", C=4, M=7, R=1, S=1, P=13, Q=13)
ARRAY = Architecture(
    (
        Level("RF", kind="regfile", capacity=32, read_pj=0.3, write_pj=0.3, update_pj=0.3),
        Level("Buffer", capacity=4096, read_pj=6, write_pj=6, update_pj=6, fanout_x=4, fanout_y=4),
        Level("DRAM", kind="DRAM", read_pj=100, write_pj=100, update_pj=100),
    )
)
"""Perfect factors of 13 rows and 7 channels leave most of 4 x 4 children idle."""


def test_what_was_refined_until_an_interrupt_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imperfect_search, "EFFORT", Effort(rounds=30, population=4, neighbours=32, islands=2))
    monkeypatch.setattr(imperfect_search, "SLICE", 128)
    perfect = solve([PRIME], ARRAY, "latency", effort=BRIEF, bound=False, imperfect=False)
    seen = 0

    def stop(progress: Progress) -> None:
        nonlocal seen
        seen += progress.phase == "refine"
        if seen == 4:
            raise KeyboardInterrupt

    found = solve([PRIME], ARRAY, "latency", effort=SEARCH, bound=False, imperfect=True, progress=stop)
    assert found.status == "interrupted"
    assert found.cost.cycles < perfect.cost.cycles
    cycles = evaluate(PRIME, ARRAY, found.mappings["prime"]).cycles.item()
    assert found.cost.cycles == cycles


def test_a_limit_that_only_imperfect_factors_meet_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """The diagnosis of why nothing keeps the limits waits for them."""
    monkeypatch.setattr(imperfect_search, "EFFORT", Effort(rounds=30, population=4, neighbours=32, islands=2))
    perfect = solve([PRIME], ARRAY, "latency", effort=BRIEF, bound=False, imperfect=False)
    budget = Budget(latency_s=0.97 * perfect.cost.latency_s)
    found = solve([PRIME], ARRAY, "latency", budget, effort=SEARCH, imperfect=True)
    assert found.status == "solved"
    assert found.conflicts == ()
    assert found.lower_bound is not None


# --- fronts ----------------------------------------------------------------------------------------------------


def test_an_interrupted_front_keeps_its_points(machine: Architecture, network: list[Layer]) -> None:
    def front(**more: Any) -> Any:
        effort = FrontEffort(ends=BRIEF, points=BRIEF)
        return pareto(network[:1], machine, "latency", "energy", points=3, effort=effort, **more)

    with pytest.MonkeyPatch.context() as patch:
        counting = Interrupting()
        counting.stand(patch)
        front(progress=counting)
    for turn in range(6):
        at = 1 + turn * counting.calls // 6
        with pytest.MonkeyPatch.context() as patch:
            stop = Interrupting(at, at + 1 + turn)
            stop.stand(patch)
            found = front(progress=stop)
        assert found.status == "interrupted"
        assert found.points
