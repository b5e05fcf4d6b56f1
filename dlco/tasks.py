"""Independent work, run through joblib: on one core, on several, or on a cluster, with the same results.

Under `joblib.parallel_config(backend="loky", n_jobs=2)`, or a Dask or Ray backend, tasks go to other processes; with
nothing configured they run here, one after another. Every task carries its own seed, so its result depends neither
on where it runs nor on what runs beside it. Tasks lost with a worker that was killed are run again: by the backend
itself (Dask, Ray), or all together where the death of one worker breaks the others' pool (loky). A pool also breaks at
tasks that cannot be read in another process, which trying again does not mend.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

import joblib
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError

from dlco.errors import DlcoError, reason_of

log = logging.getLogger("dlco")

Result = TypeVar("Result")

TRIES = 4  # of tasks whose workers are killed


def run_tasks(function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> list[Result]:
    """`[function(*job) for job in jobs]`, wherever joblib's configuration sends them; results in the jobs' order.

    Raises:
        DlcoError: workers were killed in each of `TRIES` tries, or cannot read the tasks.
    """
    if len(jobs) < 2:
        return [_alone(function, job) for job in jobs]
    for tried in range(1, TRIES + 1):
        try:
            return list(joblib.Parallel()(joblib.delayed(_alone)(function, job) for job in jobs))
        except TerminatedWorkerError as error:  # joblib puts another pool in its place
            log.warning("a worker process was killed; its tasks are run again (try %d of %d)", tried, TRIES)
            last = error
        except BrokenProcessPool as error:
            raise DlcoError(f"tasks cannot be run by worker processes: {reason_of(error)}") from error
    raise DlcoError(
        f"worker processes were killed in each of {TRIES} tries, perhaps for lack of memory; "
        f"use fewer of them (n_jobs of joblib.parallel_config): {reason_of(last)}"
    )


def derive_seed(*parts: int | str) -> int:
    """A seed for one part of a computation: any two lists of parts give unrelated ones, the same list the same."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


@contextmanager
def single_thread() -> Iterator[None]:
    """The rows of a search are too short to share between torch's threads: waiting for each other costs more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _alone(function: Callable[..., Result], job: tuple[Any, ...]) -> Result:
    with single_thread():
        return function(*job)
