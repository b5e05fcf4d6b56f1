from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

import dlco
from dlco.bound import BoundEffort
from dlco.design.codec import decode
from dlco.design.history import History, HistoryPoint
from dlco.errors import InvalidInput

from ..optimize.test_solve import QUICK


def test_only_what_is_new_is_kept():
    history = History()
    history.note("relax")
    history.note("relax")
    history.note("relax", relaxed=3.0)
    history.note("search", best=9.0)
    history.note("search", best=10.0)  # worse
    history.note("bound", bound=2.0)
    history.note("bound", bound=1.0)  # lower
    known = [(point.phase, point.relaxed, point.best, point.bound) for point in history.points]
    assert known == [
        ("relax", None, None, None),
        ("relax", 3.0, None, None),
        ("search", 3.0, 9.0, None),
        ("bound", 3.0, 9.0, 2.0),
    ]
    seconds = [point.seconds for point in history.points]
    assert seconds == sorted(seconds)


@pytest.fixture(scope="module")
def solution() -> dlco.Solution:
    layers = [dlco.conv2d("conv", C=4, M=8, P=8, Q=8, R=3, S=3)]
    effort = replace(QUICK, bound=BoundEffort(nodes=40, side=10, boxes=1))
    return dlco.solve(layers, dlco.hardware.generic_space(), budget=dlco.Budget(area_mm2=4.0), effort=effort)


def test_a_search_tells_how_it_got_on(solution):
    history = solution.history
    phases = list(dict.fromkeys(point.phase for point in history))
    assert phases[0] == "relax"
    assert phases[-2:] == ["bound", "done"]
    for name, ordered in (("best", lambda a, b: a >= b), ("bound", lambda a, b: a <= b)):
        values = [getattr(point, name) for point in history if getattr(point, name) is not None]
        assert all(ordered(a, b) for a, b in pairwise(values))
    assert history[-1].best == pytest.approx(solution.value)
    assert history[-1].bound == pytest.approx(solution.lower_bound)
    assert all(point.bound <= point.best * (1 + 1e-9) for point in history if point.bound and point.best)
    # real numbers can do at least nearly what whole ones can, and the relaxed problem is solved to optimality locally
    assert history[-1].relaxed < 2 * solution.value
    assert solution.effort["starts"] == QUICK.starts
    assert solution.effort["fit"]["rounds"] == QUICK.fit.rounds


def test_the_history_is_saved_and_is_no_part_of_the_answer(solution, tmp_path):
    solution.save(tmp_path / "out.json")
    again = dlco.Solution.load(tmp_path / "out.json")
    assert (again, again.history, again.effort) == (solution, solution.history, solution.effort)
    assert replace(solution, history=(), effort={}) == solution


def test_files_without_a_history_are_read(solution):
    data = solution.to_dict()
    del data["history"], data["effort"]
    old = dlco.Solution.from_dict(data)
    assert (old, old.history, old.effort) == (solution, (), {})


def test_a_resumed_search_knows_what_was_relaxed(tmp_path):
    layers = [dlco.matmul("mm", M=8, K=8, N=8)]
    effort = replace(QUICK, exact=False)
    asked = {"hardware": dlco.hardware.gemmini_like(), "bound": False, "effort": effort}
    first = dlco.solve(layers, checkpoint=tmp_path / "run.ckpt", **asked)
    again = dlco.solve(layers, resume=tmp_path / "run.ckpt", **asked)
    assert [p.relaxed for p in again.history if p.relaxed][-1] == first.history[-1].relaxed
    assert again.history[-1].best == first.history[-1].best


@pytest.mark.parametrize("row", [{"seconds": "1", "phase": "x"}, {"seconds": 1.0, "phase": "x", "best": True}])
def test_figures_that_are_no_numbers_are_refused(row):
    read = partial(decode, tuple[HistoryPoint, ...], name="history of the solution")
    with pytest.raises(InvalidInput, match="in the history of the solution is"):
        read([row])
    assert read([{"seconds": 1, "phase": "x"}]) == (HistoryPoint(1, "x"),)
