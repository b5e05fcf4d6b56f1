"""Timeloop's own recursion through a loop nest, step by step on sets of points: slow, and without a shortcut.

As its sources do it: one recursive call a loop, indices and origins kept on the side, every level remembering what it
held last. `dlco.cost.residual` takes the same steps, but each kind of them once.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import product
from math import floor

from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping
from dlco.workload.problem import Dataspace, Problem

Points = frozenset[tuple[int, ...]]


@dataclass
class Loop:
    """One loop; `boundary`: the outermost of its level's temporal ones."""

    level: int
    slot: int
    dim: int
    end: int
    residual: int
    stride: int
    boundary: bool = False


@dataclass
class Seen:
    """What a loop's level remembers and counts."""

    held: Points = frozenset()
    slide: tuple[int, ...] | None = None
    before: dict[int, Points] = field(default_factory=dict)
    groups: Counter[tuple[int, int]] = field(default_factory=Counter)
    hops: Counter[tuple[int, int]] = field(default_factory=Counter)
    linked: int = 0
    size: int = 0


class TimeloopWalker:
    """Runs one dataspace of a mapping; `seen[level]` are its figures, as `dlco.cost.residual.Tally` has them.

    `meshes`: physical children along X and Y of each level.
    """

    def __init__(
        self, problem: Problem, mapping: Mapping, space: Dataspace, meshes: list[tuple[int, int]], links: bool
    ) -> None:
        self.problem, self.space, self.meshes, self.links = problem, space, meshes, links
        self.loops: list[Loop] = []
        stride, last = [1] * len(problem.bounds), [bound - 1 for bound in problem.bounds]
        for level, slots in enumerate(mapping.factors):
            for slot in (SPATIAL_X, SPATIAL_Y, TEMPORAL):
                order = mapping.order if slot == TEMPORAL else mapping.spatial_order
                rows = [(problem.dimensions.index(dim), slots[slot]) for dim in order[level]]
                for d, factors in rows:
                    if factors[d] > 1:
                        residual = last[d] % factors[d] + 1
                        self.loops.append(Loop(level, slot, d, factors[d], residual, stride[d]))
                        stride[d] *= factors[d]
                        last[d] //= factors[d]
            if not any(loop.level == level and loop.slot == TEMPORAL for loop in self.loops):
                self.loops.append(Loop(level, TEMPORAL, len(problem.bounds) - 1, 1, 1, 1))
            self.loops[-1].boundary = True
        self.seen = [Seen() for _ in self.loops]
        self.index = [0] * len(self.loops)
        self.origin = [0] * len(problem.bounds)
        self.epochs = 1
        self.runs: Counter[int] = Counter()
        self.visit(len(self.loops) - 1)

    def at_end(self, above: int, dim: int) -> bool:
        """Whether all loops further out over a dimension are in their last iteration."""
        outer = (i for i in range(above + 1, len(self.loops)) if self.loops[i].dim == dim)
        return all(self.index[i] + 1 >= self.loops[i].residual for i in outer)

    def points(self, i: int) -> Points:
        """The bounding box of what loop i and those inside it touch now."""
        high = list(self.origin)
        for d in range(len(high)):
            inner = [loop for loop in self.loops[: i + 1] if loop.dim == d]
            if self.at_end(i, d):
                high[d] += sum(loop.stride * (loop.residual - 1) for loop in inner)
            else:
                high[d] += sum(loop.stride * (loop.end - 1) for loop in inner)
        index = self.problem.dimensions.index
        corners = [
            (sum(c * self.origin[index(d)] for d, c in rank), sum(c * high[index(d)] for d, c in rank))
            for rank in self.space.projection
        ]
        return frozenset(product(*(range(low, top + 1) for low, top in corners)))

    def visit(self, i: int) -> Points:
        """Run loop i; what its tile needs that was not there."""
        loop, seen = self.loops[i], self.seen[i]
        if loop.slot == TEMPORAL:
            self.temporal(i)
        else:
            self.spatial(i)
        now = self.points(i)
        seen.size = max(seen.size, len(now))
        if not seen.held:
            seen.held = now
            return now
        step = tuple(
            floor(abs(gap) + 0.5) * (1 if gap > 0 else -1)
            for gap in ((min(b) + max(b) - min(a) - max(a)) / 2 for a, b in zip(zip(*seen.held), zip(*now)))  # noqa: B905
        )
        held, seen.held = seen.held, now
        if any(step):
            if seen.slide is not None and step != seen.slide:
                seen.slide = None
                return now
            seen.slide = step
        return now - held

    def temporal(self, i: int) -> None:
        loop = self.loops[i]
        last = self.at_end(i, loop.dim)
        n = loop.residual if last else loop.end
        if i == 0:
            self.runs[0] += n * self.epochs
            self.seen[0].groups[1, 1] += n * self.epochs
            return
        inner = [one for one in self.loops[:i] if one.dim == loop.dim and one.end != one.residual]
        run_last = last and bool(inner)
        run_before = run_last and loop.end != loop.residual
        between = max(0, n - 1 - run_last - run_before)
        sizes: list[list[int]] = []
        for index in range(n):
            if 1 < index <= between:
                continue
            times = between if index == 1 and between else 1
            self.index[i] = index
            self.origin[loop.dim] += index * loop.stride
            self.epochs *= times
            size = len(self.visit(i - 1))
            self.epochs //= times
            self.origin[loop.dim] -= index * loop.stride
            alike = index > between > 0 and (index == n - 2 if run_before else index == n - 1)
            if alike:
                sizes[-1][1] += 1
            else:
                sizes.append([size, times])
        if self.loops[i - 1].boundary:
            self.seen[i].groups[1, 1] += sum(size * times for size, times in sizes) * self.epochs

    def spatial(self, i: int) -> None:
        """All children of a level: i is the outermost of its spatial loops."""
        first = i
        while first and self.loops[first - 1].slot != TEMPORAL and self.loops[first - 1].level == self.loops[i].level:
            first -= 1
        group = self.loops[first : i + 1]
        ends = []
        for j in range(i, first - 1, -1):
            self.index[j] = 0
            ends.append(self.loops[j].residual if self.at_end(j, self.loops[j].dim) else self.loops[j].end)
        child = self.visit(first - 1) if first else frozenset({self.place()})
        now: dict[int, Points] = {}
        for number, place in enumerate(product(*(range(end) for end in ends))):
            shift = self.moved([(loop, at) for loop, at in zip(reversed(group), place, strict=True)])
            now[number] = frozenset(tuple(x + y for x, y in zip(point, shift, strict=True)) for point in child)
            if not first:
                self.runs[number] += self.epochs
        seen, words = self.seen[i], len(child)
        plain, served = self.multicast(now), now
        if self.links:
            needed = dict(now)
            width = max(self.meshes[group[0].level][0], self.along(group, SPATIAL_X))
            for number in now:
                x, y = number % width, number // width
                near = [(x, y - 1), (x, y + 1), (x - 1, y), (x + 1, y)]
                ids = [b * width + a for a, b in near if 0 <= a < width and b >= 0]
                if words and any(seen.before.get(other) == now[number] for other in ids):
                    needed.pop(number)
            linked = self.multicast(needed)
            if sum(linked.values()) < sum(plain.values()):
                plain, served = linked, needed
                seen.linked += (len(now) - len(needed)) * words * self.epochs
            seen.before = now
        for key, count in plain.items():
            seen.groups[key] += count * self.epochs
            seen.hops[key] += self.walked(group, served, key) * self.epochs

    def walked(self, group: list[Loop], served: dict[int, Points], key: tuple[int, int]) -> float:
        """Hops of all words that go to as many children at once: routes over the grid, link by link.

        A word enters in the middle of the column X = 0 (between two rows, half a hop from either, where they are
        even), walks along X as far as its children lie, and up and down their columns.
        """
        level = group[0].level
        width = max(self.meshes[level][0], self.along(group, SPATIAL_X))
        height = max(self.meshes[level][1], self.along(group, SPATIAL_Y))
        total = 0.0
        for points, count in Counter(served.values()).items():
            if count != key[0] or not points:
                continue
            links = set()
            for x, y in ((number % width, number // width) for number, own in served.items() if own == points):
                links |= {("along", 2 * at, 0) for at in range(x)}
                half = 2 * y - (height - 1)  # in half hops from the middle
                links |= {("down", x, at) for at in range(half)} | {("up", x, at) for at in range(-half)}
            total += len(points) * sum(1.0 if kind == "along" else 0.5 for kind, _, _ in links)
        return total

    @staticmethod
    def along(group: list[Loop], slot: int) -> int:
        width = 1
        for loop in group:
            width *= loop.end if loop.slot == slot else 1
        return width

    @staticmethod
    def multicast(needed: dict[int, Points]) -> Counter[tuple[int, int]]:
        """Words read out by (children that take them at once, how many such groups)."""
        sharing = Counter(needed.values())
        groups = Counter(sharing.values())
        sizes = {count: len(next(points for points, n in sharing.items() if n == count)) for count in groups}
        return Counter({(n, many): many * sizes[n] for n, many in groups.items() if sizes[n]})

    def place(self) -> tuple[int, ...]:
        """Where the dataspace is touched at the present indices."""
        return self.moved([(loop, at) for loop, at in zip(self.loops, self.index, strict=True)])

    def moved(self, steps: list[tuple[Loop, int]]) -> tuple[int, ...]:
        """How far iterations of loops move the dataspace."""
        index = self.problem.dimensions.index
        return tuple(
            sum(c * loop.stride * at for loop, at in steps for d, c in rank if index(d) == loop.dim)
            for rank in self.space.projection
        )

    def level(self, level: int) -> Seen:
        """Figures of what a level serves: they stand at its outermost spatial loop, or its innermost one."""
        own = [i for i, loop in enumerate(self.loops) if loop.level == level]
        across = [i for i in own if self.loops[i].slot != TEMPORAL]
        return self.seen[across[-1] if across else own[0]]

    def tile(self, level: int) -> int:
        """Words of a level's largest tile."""
        own = (i for i, loop in enumerate(self.loops) if loop.level == level and loop.boundary)
        return self.seen[next(own)].size
