"""Independent tasks: in order, the same on every backend, and none lost with a worker."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import joblib
import pytest
import torch

from dlco import Budget, Solution, SolveEffort, solve, tasks
from dlco.bound import BoundEffort
from dlco.errors import DlcoError
from dlco.hardware import eyeriss_space
from dlco.progress import Progress
from dlco.search.local_search import Effort
from dlco.tasks import derive_seed, run_tasks
from dlco.workload import Layer, conv2d

from .. import killed
from ..efforts import EVOLUTION

EFFORT = SolveEffort(
    starts=1,
    relax_rounds=1,
    survey=2,
    machines=2,
    bound=BoundEffort(nodes=60, side=20, boxes=0),
    evolution=EVOLUTION,
    descents=1,
    steps=2,
    fit=Effort(rounds=8, patience=8, population=4, neighbours=64, islands=16),  # several slices a search
    step=Effort(rounds=4, neighbours=12),
    polish=Effort(rounds=10, population=8, neighbours=16, islands=24),
    polishes=1,
)


def net() -> list[Layer]:
    return [conv2d(f"conv{i}", C=8 * i, M=16, P=14, Q=14, R=3, S=3) for i in range(1, 9)]


@pytest.fixture(scope="module")
def alone() -> Solution:
    """What one process finds."""
    return solve(net(), eyeriss_space(), "edp", Budget(area_mm2=4), effort=EFFORT, bound=False)


def threads_and(value: int) -> tuple[int, int]:
    return torch.get_num_threads(), value


@pytest.fixture
def two_workers() -> Iterator[object]:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_results_come_in_the_order_of_the_jobs() -> None:
    assert [value for _, value in run_tasks(threads_and, [(i,) for i in range(5)])] == list(range(5))
    assert run_tasks(threads_and, []) == []


def test_a_task_has_one_thread_and_leaves_the_others_as_they_were() -> None:
    before = torch.get_num_threads()
    assert {threads for threads, _ in run_tasks(threads_and, [(1,), (2,)])} == {1}
    assert torch.get_num_threads() == before


def test_seeds_differ_by_any_part_and_repeat() -> None:
    parts = [(0,), (1,), (0, 0), ("0", 1), (0, "search"), ("search", 0), (10, 0), (1, 0, 0)]
    seeds = [derive_seed(*part) for part in parts]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [derive_seed(*part) for part in parts]
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.slow
def test_processes_find_what_one_process_finds(alone: Solution) -> None:
    with joblib.parallel_config(backend="loky", n_jobs=2):
        shared = solve(net(), eyeriss_space(), "edp", Budget(area_mm2=4), effort=EFFORT, bound=False)
    assert shared.mappings == alone.mappings
    assert shared.architecture == alone.architecture
    assert shared.evaluations == alone.evaluations


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # a killed worker is reported as a warning
def test_nothing_is_lost_with_a_worker_of_a_dask_cluster(two_workers: object, alone: Solution) -> None:
    pids = list(two_workers.run(os.getpid).values())  # type: ignore[attr-defined]
    gone: list[int] = []

    def kill_one(progress: Progress) -> None:
        if progress.done >= 0.25 and not gone:
            os.kill(pids[0], signal.SIGKILL)
            gone.append(pids[0])

    with joblib.parallel_config(backend="dask"):
        shared = solve(net(), eyeriss_space(), "edp", Budget(area_mm2=4), effort=EFFORT, bound=False, progress=kill_one)
    assert gone
    assert shared.mappings == alone.mappings
    assert shared.architecture == alone.architecture
    assert shared.evaluations == alone.evaluations


@pytest.fixture
def _pickled_by_value() -> Iterator[None]:
    """Workers need not find the tests' own modules."""
    cloudpickle.register_pickle_by_value(killed)
    yield
    cloudpickle.unregister_pickle_by_value(killed)


@pytest.mark.usefixtures("_pickled_by_value")
def test_tasks_of_a_killed_worker_are_run_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of loky too, whose pool breaks with one worker."""
    with joblib.parallel_config(backend="loky", n_jobs=2), caplog.at_level("WARNING", logger="dlco"):
        found = run_tasks(killed.killed_once, [(str(tmp_path / "mark"), i) for i in range(6)])
    assert found == [i**2 for i in range(6)]
    assert "a worker process was killed; its tasks are run again" in caplog.text


@pytest.mark.usefixtures("_pickled_by_value")
def test_workers_killed_again_and_again_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "TRIES", 2)
    with (
        joblib.parallel_config(backend="loky", n_jobs=2),
        pytest.raises(DlcoError, match="worker processes were killed in each of 2 tries, perhaps for lack of memory"),
    ):
        run_tasks(killed.always_killed, [(1,), (2,)])


class Unreadable:
    """Can be sent to a worker, but not read there."""

    def __reduce__(self) -> tuple[object, ...]:
        return _refuse, ()


def _refuse() -> None:
    raise RuntimeError("cannot be made here")


def test_tasks_that_no_worker_can_read_are_an_error_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Not taken for a worker that was killed, which would be tried again and put down to a lack of memory."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        with (
            joblib.parallel_config(backend="loky", n_jobs=2),
            pytest.raises(DlcoError, match=r"tasks cannot be run by worker processes: .*un-serialize"),
        ):
            run_tasks(threads_and, [(Unreadable(),), (Unreadable(),)])
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert "killed" not in caplog.text
