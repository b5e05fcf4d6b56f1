"""`run`: one baseline on one task, within its seconds or evaluations."""

from importlib import import_module
from math import inf

from baselines.evaluator import Evaluator, Exhausted, Found
from baselines.problem import Task
from dlco.tasks import single_thread

METHODS = ("random", "genetic", "bayesian", "gumbel", "descent", "evolution")


def run(
    method: str,
    task: Task,
    seed: int,
    *,
    seconds: float = inf,
    evaluations: float = inf,
    pace: float | None = None,
) -> Found | None:
    """What a baseline finds, on one thread.

    Args:
        method: one of `METHODS`.
        task: what is asked.
        seed: the same seed and evaluations give the same design.
        seconds: CPU seconds of this process that it may use; the last batch may run a little over.
        evaluations: mappings of single layers that it may evaluate.
        pace: how many of these a second it is taken to evaluate, one after the other, whatever they take here; it
            then looks at few at a time, as a batch brings nothing.

    Returns:
        The best design, or None where none had a mapping of every layer.

    Raises:
        ValueError: an unknown method, or no limit on seconds nor on evaluations.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; allowed: {', '.join(METHODS)}")
    if seconds == inf and evaluations == inf:
        raise ValueError("seconds and evaluations are both infinite; a baseline runs until one is used up")
    search = import_module(f"baselines.{method}").search  # so that a library is needed by its own method alone
    with single_thread():
        evaluator = Evaluator(task, seconds=seconds, evaluations=evaluations, pace=pace)
        try:
            search(task, evaluator, seed)
        except Exhausted:
            pass
        return evaluator.found()
