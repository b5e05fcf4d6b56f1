"""Other ways to search hardware and mappings jointly, on the cost model and under the limits that `dlco.solve` has.

One module a method, each with `search(task, evaluator, seed)`, which runs until the evaluator stops it. All of them
evaluate in batches through the same `Evaluator`, start from nothing but the task, and end in a design that the exact
model prices anew. `run(method, task, seed, seconds=..., evaluations=...)` is the way in.
"""

from baselines.evaluator import Designs, Evaluator, Exhausted, Found, Mapped
from baselines.problem import Task
from baselines.run import METHODS, run

__all__ = ["METHODS", "Designs", "Evaluator", "Exhausted", "Found", "Mapped", "Task", "run"]
