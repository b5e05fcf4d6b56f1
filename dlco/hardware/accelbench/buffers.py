"""`Fifo`: one operand's cubes in a buffer that drops the oldest, where no formula says what is loaded again."""

from collections import deque
from collections.abc import Sequence
from functools import lru_cache


class Fifo:
    """Cubes 0, 1, 2, ... of one operand of one layer; an access loads those that are missing, in their order.

    What other layers left behind is older than all of them and goes first, so the operand has the whole buffer.

    Args:
        capacity: cubes that the buffer holds.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._runs: deque[tuple[int, int]] = deque()  # [first, end) of cubes loaded one after the other, oldest first
        self._held = 0

    def access(self, first: int, end: int) -> int:
        """Load what is missing of the cubes from `first` to before `end`; how many."""
        loaded = 0
        for run in self.missing(first, end):
            loaded += run[1] - run[0]
            if self._runs and self._runs[-1][1] == run[0]:
                self._runs[-1] = (self._runs[-1][0], run[1])
            else:
                self._runs.append(run)
        self._drop(self._held + loaded - self.capacity)
        self._held = min(self.capacity, self._held + loaded)
        return loaded

    def missing(self, first: int, end: int) -> list[tuple[int, int]]:
        """[first, end) of the runs of cubes in a range that are not held."""
        gaps, at = [], first
        for start, stop in sorted(self._runs):
            if stop <= at:
                continue
            if start >= end:
                break
            if start > at:
                gaps.append((at, start))
            at = max(at, stop)
        if at < end:
            gaps.append((at, end))
        return gaps

    def _drop(self, cubes: int) -> None:
        while cubes > 0:
            start, stop = self._runs.popleft()
            if stop - start > cubes:
                self._runs.appendleft((start + cubes, stop))
            cubes -= stop - start


def image_loads(tiles: Sequence[int], times: int, capacity: int) -> list[list[int]]:
    """Cubes loaded for each access to tiles of an image that has been loaded before, in their order.

    Args:
        tiles: cubes of each tile.
        times: accesses to a tile before the next one.
        capacity: cubes that the buffer holds.

    Returns:
        A list of `times` numbers a tile.
    """
    buffer = Fifo(capacity)
    buffer.access(0, sum(tiles))
    found, first = [], 0
    for cubes in tiles:
        loads: list[int] = []
        while len(loads) < times and (not loads or loads[-1]):  # once nothing is missing, nothing will be
            loads.append(buffer.access(first, first + cubes))
        found.append(loads + [0] * (times - len(loads)))
        first += cubes
    return found


@lru_cache(1024)
def repeated_loads(chunk: int, last: int, chunks: int, capacity: int, passes: int) -> tuple[dict[int, int], ...]:
    """Cubes loaded, by chunk, in each pass over all chunks after a first one.

    Args:
        chunk: cubes of every chunk but the last one.
        last: of that one.
        chunks: how many there are.
        capacity: cubes that the buffer holds, fewer than all chunks have.
        passes: how many passes after the first.
    """
    buffer = Fifo(capacity)
    total = chunk * (chunks - 1) + last
    for i in range(chunks):
        buffer.access(i * chunk, min((i + 1) * chunk, total))
    found = []
    for _ in range(passes):
        loads: dict[int, int] = {}
        at = 0
        while gaps := buffer.missing(at * chunk, total):
            at = min(gaps[0][0] // chunk, chunks - 1)
            loads[at] = buffer.access(at * chunk, min((at + 1) * chunk, total))
            at += 1
            if at == chunks:
                break
        found.append(loads)
    return tuple(found)
