"""`RunOptions`: what `solve`, `pareto` and `cosearch` take alike, and how every argument of theirs is checked."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypedDict, TypeVar

import torch

from dlco.design.codec import check_word
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.hardware.constraints import Constraints
from dlco.journal import Journal, recording
from dlco.mapping.kept import KEEPS, STATED
from dlco.workload.problem import check_count

LARGEST_SEED = 2**63 - 1  # that torch's generators take

Effort = TypeVar("Effort")


class RunOptions(TypedDict, total=False):
    """What `solve`, `pareto` and `dlco.nas.cosearch` take besides, by name; each may be left out.

    Attributes:
        device: where batches are evaluated: "cpu" (the default), or "cuda" for a GPU.
        constraints: what is fixed of the mappings, beside what the hardware carries itself.
        imperfect: whether tiles need not divide the layer's bounds (the last one is then short). By default only where
            that is proved at once, or better where several levels fan out: on a given machine, for layers of which
            perfect factors leave many MAC units idle (`dlco.exact.optimal.widened`).
        keep: what every level keeps: "stated" (the default), as the machine and the constraints say; or "free", a
            choice of each mapping: levels but the outermost may also bypass what they are stated to keep, unless a
            constraint fixes what a level keeps or bypasses. Proved on a given machine where the exact search answers;
            else machines are searched as stated, and the best one's mappings then choose, by their exact fronts or by
            a search that tries bypasses.
        uneven: whether each memory may cut each dataspace's loops elsewhere, so that its parts share its capacity
            (`dlco.hardware.split`), and a dimension lie along both axes; False by default. Found where the exact search
            covers them: on a given machine, and on the best machine of a space. Timeloop cannot run them.
        fuse: whether results may stay on the chip until they are read, where the network says who reads them
            (`dlco.workload.Network`); False by default. For `solve`, on machines that its exact search covers.
        start: a solution to begin from, or several, beside what the search finds by itself.
        checkpoint: a new file, in which finished parts of the run are kept.
        resume: the checkpoint of an earlier run with the same arguments, to go on from where it was cut off; the
            result is the one that the earlier run would have had.
    """

    device: str
    constraints: Constraints | None
    imperfect: bool | None
    keep: str
    uneven: bool
    fuse: bool
    start: Solution | Sequence[Solution]
    checkpoint: str | os.PathLike[str] | None
    resume: str | os.PathLike[str] | None


@dataclass(frozen=True)
class Options:
    """`RunOptions` as they were given, or by default.

    Raises:
        InvalidInput: one is not what it should be. (The files are looked at by `recording`.)
    """

    device: str = "cpu"
    constraints: Constraints | None = None
    imperfect: bool | None = None
    keep: str = STATED
    uneven: bool = False
    fuse: bool = False
    start: Solution | Sequence[Solution] = ()
    checkpoint: str | os.PathLike[str] | None = None
    resume: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        _check_device(self.device)
        if self.constraints is not None and not isinstance(self.constraints, Constraints):
            raise InvalidInput(f"constraints is {self.constraints!r}; it must be a dlco.mapping.Constraints")
        if self.imperfect is not None:
            check_flag("imperfect", self.imperfect)
        check_word("keep", self.keep, KEEPS)
        check_flag("uneven", self.uneven)
        check_flag("fuse", self.fuse)
        if not isinstance(self.starts, tuple) or not all(isinstance(one, Solution) for one in self.starts):
            raise InvalidInput(f"start is {self.start!r}; it must be a dlco.Solution or a list of them")

    @property
    def starts(self) -> tuple[Solution, ...]:
        """The solutions to begin from."""
        if isinstance(self.start, Solution):
            return (self.start,)
        return tuple(self.start) if isinstance(self.start, Sequence) else self.start

    @property
    def is_kept(self) -> bool:
        """Whether finished parts of the run are kept in a file."""
        return self.checkpoint is not None or self.resume is not None

    def refuse_fused(self, who: str) -> None:
        """Raise `InvalidInput` where results may stay on the chip, for a run that does not search that."""
        if self.fuse:
            raise InvalidInput(f"fuse is True, which {who} does not search; allowed: False (solve has it)")

    @contextmanager
    def recording(self, asked: object) -> Iterator[Journal | None]:
        """The journal of a run with these arguments, while the block runs; see `dlco.journal.recording`."""
        with recording(self.checkpoint, self.resume, asked) as journal:
            yield journal


def check_flag(name: str, value: object) -> None:
    """Raise `InvalidInput`, naming the argument, unless it is True or False."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} is {value!r}; it must be True or False")


def check_seed(seed: object) -> None:
    """Raise `InvalidInput` unless it is a seed: an integer from 0 that fits 64 bits."""
    check_count("seed", seed)
    if seed > LARGEST_SEED:  # type: ignore[operator]
        raise InvalidInput(f"seed is {seed!r}; it must be at most {LARGEST_SEED}")


def check_effort(effort: object, kind: type[Effort]) -> Effort:
    """The effort, by default that of its kind; `InvalidInput` for anything else."""
    if effort is not None and not isinstance(effort, kind):
        raise InvalidInput(f"effort is {effort!r}; it must be a dlco.{kind.__name__}")
    return kind() if effort is None else effort


def _check_device(device: object) -> None:
    try:
        kind = torch.device(device).type  # type: ignore[call-overload]
    except (RuntimeError, TypeError):
        kind = None
    if kind not in ("cpu", "cuda"):
        raise InvalidInput(f"device is {device!r}; allowed: cpu, cuda, cuda:0 and so on")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InvalidInput(f"device is {device!r}, but torch finds no GPU here; allowed: cpu")
