"""A co-search that is cut off anywhere and taken up again ends as one that was not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from dlco import Budget, Progress, SolveEffort
from dlco.design.codesign import CoDesign
from dlco.errors import InvalidInput
from dlco.nas.cosearch import cosearch
from dlco.nas.request import CoRequest
from dlco.search import Effort, LayerCosts
from tests.nas.small import FAST, Linear, Opaque, make_hardware, make_space

SPACE, HARDWARE = make_space(), make_hardware()
EFFORT = SolveEffort(starts=0, polishes=0, fit=Effort(rounds=4))
BUDGET = Budget(area_mm2=1.0)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """The space is small, and so may the relaxation be."""
    monkeypatch.setattr("dlco.nas.methods.relaxed.STARTS", 2)
    monkeypatch.setattr("dlco.nas.methods.relaxed.STEPS", 8)


def search(oracle: Opaque | Linear, method: str = "relaxed", **options) -> CoDesign:
    request = CoRequest(SPACE, oracle, HARDWARE, "edp", BUDGET)
    costs = LayerCosts(HARDWARE, request.score, effort=FAST)
    options = {"least_accuracy": 85.0, "evaluations": 24, "effort": EFFORT, "costs": costs, "seed": 2} | options
    return cosearch(SPACE, oracle, HARDWARE, "edp", BUDGET, method=method, **options)


def timeless(design: CoDesign) -> CoDesign:
    return replace(design, seconds=0.0, solution=replace(design.solution, seconds=0.0, trace=()))


def stop_at(share: float) -> Callable[[Progress], None]:
    """A listener that stops the run when so much of it is done."""

    def listener(progress: Progress) -> None:
        if progress.done >= share:
            raise KeyboardInterrupt

    return listener


class Counting(Opaque):
    """Counts the networks that it is asked about, as each may be a training run."""

    asked = 0

    def accuracy(self, networks):
        self.asked += len(networks)
        return super().accuracy(networks)


@pytest.mark.parametrize("method", ["relaxed", "two-stage", "evolutionary"])
def test_an_interrupted_search_is_taken_up_again(method, tmp_path):
    path, asked = tmp_path / "run.ckpt", []
    whole = timeless(search(Opaque(SPACE), method))
    for share, mode in ((0.3, {"checkpoint": path}), (0.8, {"resume": path})):
        oracle = Counting(SPACE)
        stopped = search(oracle, method, progress=stop_at(share), **mode)
        assert stopped.status == "interrupted"
        assert stopped.evaluations <= whole.evaluations
        asked.append(oracle.asked)
    oracle = Counting(SPACE)
    assert timeless(search(oracle, method, resume=path)) == whole
    assert sum(asked) + oracle.asked == whole.queries, "no network is judged twice"
    oracle = Counting(SPACE)
    assert timeless(search(oracle, method, resume=path)) == whole
    assert oracle.asked == 0, "a finished run asks nothing"


def test_what_is_done_is_done_only_once(tmp_path, monkeypatch):
    """A run resumed after its end searches no mapping and relaxes nothing."""
    whole = search(Linear(SPACE), bound=True, checkpoint=tmp_path / "run.ckpt")

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("this was done already")

    for place in ("search.layer_costs._search", "nas.methods.relaxed.relax_jointly"):
        monkeypatch.setattr(f"dlco.{place}", refuse)
    monkeypatch.setattr("dlco.optimize.proofs.lower_bound", refuse)
    monkeypatch.setattr("dlco.search.designs.DesignSearch._fit", refuse)
    again = search(Linear(SPACE), bound=True, resume=tmp_path / "run.ckpt")
    assert timeless(again) == timeless(whole)
    assert again.solution.lower_bound is not None


def test_an_interrupted_final_solve_is_no_finished_one(tmp_path):
    def stop(progress: Progress) -> None:
        if progress.phase == "final solve":
            raise KeyboardInterrupt

    path = tmp_path / "run.ckpt"
    found = search(Opaque(SPACE), "random", progress=stop, checkpoint=path)
    assert found.status == "interrupted"
    assert len(found.solution.mappings) == len(found.solution.layers)
    assert timeless(search(Opaque(SPACE), "random", resume=path)) == timeless(search(Opaque(SPACE), "random"))


class Better(Linear):
    def accuracy_of_encoding(self, encoding):
        return super().accuracy_of_encoding(encoding) + 0.5


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 3},
        {"evaluations": 3},
        {"least_accuracy": 86.0},
        {"method": "random"},
        {"network": (0, 1, 2)},
        {"oracle": Opaque(SPACE)},
        {"oracle": Better(SPACE)},
    ],
    ids=["seed", "evaluations", "accuracy", "method", "network", "oracle", "better oracle"],
)
def test_a_checkpoint_of_another_run_is_refused(changed, tmp_path):
    path = tmp_path / "run.ckpt"
    options = {"method": "local-search", "evaluations": 2}
    search(Linear(SPACE), **options, checkpoint=path)
    options |= changed
    with pytest.raises(InvalidInput, match="other arguments"):
        search(options.pop("oracle", Linear(SPACE)), **options, resume=path)


def test_a_checkpoint_is_not_overwritten_and_one_is_enough(tmp_path):
    path = tmp_path / "run.ckpt"
    path.touch()
    with pytest.raises(InvalidInput, match="there already"):
        search(Linear(SPACE), checkpoint=path)
    with pytest.raises(InvalidInput, match="both given"):
        search(Linear(SPACE), checkpoint=path, resume=path)
