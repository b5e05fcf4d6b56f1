"""What an execution on numbers moves: the words that pass between buffers, as sets, and their counts."""

from collections import defaultdict
from collections.abc import Mapping as Table
from dataclasses import dataclass

Words = frozenset[int]
Instance = tuple[int, ...]  # an instance's iteration of the spatial loops above it, outermost first


@dataclass(frozen=True)
class Traffic:
    """Words that an execution really moved, all instances of a level together; `[levels][spaces]`.

    Attributes:
        reads: by the level below, and of sums that are added to. Children that ask for the same words are served once;
            an instance of a level that bypasses is a child that asks for what its own children ask for, in turn.
        fills: taken from the level above; of a result, those that the instance has seen before.
        updates: partial sums that arrived, those of children with the same words as one.
        entered, left: words that came into and went out of tiles, whatever they cost.
        first_visits: different words of a result that an instance updates, added up over the instances.
    """

    reads: list[list[int]]
    fills: list[list[int]]
    updates: list[list[int]]
    entered: list[list[int]]
    left: list[list[int]]
    first_visits: list[list[int]]


class Ledger:
    """Counts what passes.

    Args:
        lengths: of the names of each level's instances, the MACs' first.
        spaces: how many dataspaces there are.
    """

    def __init__(self, lengths: list[int], spaces: int) -> None:
        self._lengths = lengths
        levels = len(lengths) - 1
        self.traffic = Traffic(*([[0] * spaces for _ in range(levels)] for _ in range(6)))
        self._seen: dict[tuple[int, int, Instance], set[int]] = defaultdict(set)

    def above(self, level: int, name: Instance) -> Instance:
        """The instance of a level that lies above another instance: its name is the start of the other's."""
        return name[: self._lengths[level + 1]]

    def enter(self, s: int, level: int, name: Instance, words: Words, *, result: bool, outermost: bool) -> None:
        """Words come into a tile; the outermost level's come from nowhere."""
        self.traffic.entered[level][s] += len(words)
        if not outermost:
            self.traffic.fills[level][s] += len(words & self._seen[s, level, name]) if result else len(words)

    def leave(self, s: int, level: int, words: Words) -> None:
        """Words go out of a tile."""
        self.traffic.left[level][s] += len(words)

    def ask(self, s: int, below: int, level: int, sets: Table[Instance, Words]) -> None:
        """Instances of a level, or MACs, read words of a level above them."""
        for parts in self._merged(below, level, sets).values():
            self.traffic.reads[level][s] += sum(map(len, parts))

    def send(self, s: int, below: int, level: int, sets: Table[Instance, Words]) -> None:
        """The same the other way: sums arrive; those of words updated before are read to be added to."""
        for name, parts in self._merged(below, level, sets).items():
            seen = self._seen[s, level, name]
            for words in parts:
                fresh = words - seen
                self.traffic.updates[level][s] += len(words)
                self.traffic.reads[level][s] += len(words) - len(fresh)
                self.traffic.first_visits[level][s] += len(fresh)
                seen |= fresh

    def _merged(self, below: int, level: int, sets: Table[Instance, Words]) -> dict[Instance, tuple[Words, ...]]:
        """What reaches the instances of a level: of children that ask for, or send, the same, one."""
        bundles = {name: (words,) for name, words in sets.items()}
        parts: dict[Instance, tuple[Words, ...]] = dict(bundles)
        for between in range(below + 1, level + 1):
            if self._lengths[between + 1] < self._lengths[level + 1]:  # of a memory beyond the array: not on the way
                continue
            children: dict[Instance, dict[tuple[Words, ...], None]] = {}
            for name, bundle in parts.items():
                children.setdefault(self.above(between, name), {})[bundle] = None
            parts = {name: tuple(words for one in distinct for words in one) for name, distinct in children.items()}
        return parts
