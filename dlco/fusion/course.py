"""The states between the steps of a network, and the moves between them: one step each, or a chain in tiles.

A state says which tensors are retained and still to be read, with the memory of each. A move leads from a state before
a step to one after that step, or after the last step of a chain that is executed tile by tile. What is retained while
something runs decides its exact front (`retained`); nothing else of the choices does.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from dlco.errors import NotSupported
from dlco.fusion.chains import Fused, Part, Uncut
from dlco.fusion.ranges import Ranged, ranges_of
from dlco.fusion.retained import Residence, Taken
from dlco.fusion.tensors import Tensor
from dlco.hardware.architecture import Architecture
from dlco.workload.graph import Network
from dlco.workload.tiling import Tiled

STATES = 4096  # of the choices between two steps, at most

State = tuple[tuple[int, str], ...]
"""(tensor by index, memory) of what is retained and still to be read."""


@dataclass(frozen=True, eq=False)
class Move:
    """What leads from one state to another: states by index.

    Attributes:
        start: the position of its first step; it ends where it is listed.
        before, after: the states.
        parts: what runs.
        held: what is retained whole meanwhile.
        fused: where it is a chain in tiles; `uncut`: where it is one that is cut in any way, or in ranges of sizes.
        of: where it is the only tiling for which there is room in ranges of sizes, these.
    """

    start: int
    before: int
    after: int
    parts: tuple[Part, ...]
    held: State
    fused: Fused | None = None
    uncut: Uncut | Ranged | None = None
    of: Ranged | None = None

    @property
    def last(self) -> int:
        """The position of its last step."""
        chain = self.fused or self.uncut
        return chain.last if chain else self.start


class Course:
    """The states before and after every step, and the moves between them.

    Args:
        network: with its graph.
        architecture: the machine.
        tensors: that may stay whole.
        fused: chains in tiles.
        beyond: chains cut in any way, or in ranges of sizes.

    Attributes:
        states: by position, 0 before the first step.
        moves: `[steps]` those that end after each step.
        beyond: `[steps]` those of chains cut in any way, which are bounded alone.

    Raises:
        NotSupported: too many tensors are to be read at once.
    """

    def __init__(
        self,
        network: Network,
        architecture: Architecture,
        tensors: Sequence[Tensor],
        fused: Sequence[Fused],
        beyond: Sequence[Uncut | Ranged],
    ) -> None:
        self.network, self.architecture, self.tensors = network, architecture, tensors
        self.fused, self.uncut = fused, beyond
        self.listed = set(fused)
        self.tree: dict[Uncut | Ranged, tuple[Ranged, ...]] = {}  # what was split, and into what
        self.states: list[list[State]] = [[()]]
        self.moves: list[list[Move]] = []
        self.beyond: list[list[Move]] = []

    def run(self) -> "Course":
        """List all of it, without what leads nowhere; returns it."""
        for _ in self.network.graph.steps:
            self._advance()
        self._prune()
        return self

    @property
    def alone(self) -> list[list[Move]]:
        """`[steps]` the moves of steps by themselves."""
        return [[move for move in some if move.fused is None] for some in self.moves]

    @property
    def every(self) -> list[list[Move]]:
        """`[steps]` the moves that end after each, of chains cut in any way too."""
        return [[*some, *more] for some, more in zip(self.moves, self.beyond, strict=True)]

    def _advance(self) -> None:
        """List the states after the next step and the moves that end there."""
        step = len(self.moves)
        ways = [*self._alone(step), *(way for one in self.fused if one.last == step for way in self._tiled(one))]
        index: dict[State, int] = {}

        def move(start: int, before: int, held: State, parts: tuple[Part, ...], fused: Fused | None) -> Move:
            left = self._left(held, step)
            return Move(start, before, index.setdefault(left, len(index)), parts, held, fused)

        moves = [move(*way) for way in ways]
        self.beyond.append([])
        for one in self.uncut:
            for way in self._any(one) if one.last == step else ():
                if way[-1] is None:
                    self.beyond[step].append(replace(move(*way), uncut=one))
                elif isinstance(one, Ranged):
                    moves.append(replace(move(*way), of=one))
        if len(index) > STATES:
            raise NotSupported(
                f"after step {step} there are {len(index):,} choices of what is retained; up to {STATES:,} are covered"
            )
        self.states.append(list(index))
        self.moves.append(moves)

    def _alone(self, step: int) -> "list[Way]":
        """The ways of running a step by itself for which there is room, as far as is known."""
        count, problem = self.network.graph.steps[step].count, self.network.layer_of(step).problem
        ways: list[Way] = []
        for before, held in self._chosen(step, step):
            homes, taken = self._held(step, step, held)
            own = tuple(sorted((space, level) for (_, space), level in homes.items()))
            parts = (Part(step, problem, count, Residence(own, taken)),)
            ways.append((step, before, held, parts, None))
        return [way for way in ways if self._is_there(way[3])]

    def _tiled(self, one: Fused) -> "list[Way]":
        """The ways of running a chain in tiles for which there is room, as far as is known."""
        ways: list[Way] = []
        for before, held in self._chosen(one.first, one.last):
            homes, taken = self._held(one.first, one.last, held)
            parts = one.parts(homes, taken)
            if all(self._has_room(part.residence.taken) for part in parts):
                ways.append((one.first, before, held, parts, one))
        return ways

    def _any(self, one: Uncut | Ranged) -> "Iterator[Way]":
        """The ways of running a chain cut in any way, or in ranges."""
        for before, held in self._chosen(one.first, one.last):
            homes, taken = self._held(one.first, one.last, held)
            if isinstance(one, Ranged):
                for parts, fused in self._ranged(one, homes, taken):
                    yield one.first, before, held, parts, fused
            elif self._has_room(taken) and (parts := one.parts(homes, self._room(one, taken))):
                yield one.first, before, held, parts, None

    def _ranged(
        self, wide: Ranged, homes: dict[tuple[int, str], str], taken: Taken
    ) -> Iterator[tuple[tuple[Part, ...], Fused | None]]:
        """The parts of tilings in ranges where there is room for some; those of a single one that is not listed."""
        part = wide.trimmed(homes, self._room(wide, taken))
        if part is None:
            return
        if part.tiling is None:
            yield part.parts(homes), None
        elif (fused := Fused(part.first, part.last, Tiled(part.chain, part.tiling), part.level)) not in self.listed:
            parts = fused.parts(homes, taken)
            if all(self._has_room(run.residence.taken) for run in parts):
                yield parts, fused

    def _room(self, one: Uncut | Ranged, taken: Taken) -> float:
        """Words of the chain's memory beside what is retained."""
        return self.architecture.level(one.level).usable_capacity - dict(taken).get(one.level, 0)

    def split(self, move: Move) -> list[Move]:
        """Put moves of fewer tilings in place of one of many: those of a single one are listed with `moves`."""
        some = self.halved(move)
        self.put({move: some}, [move.last])
        return some

    def halved(self, move: Move) -> list[Move]:
        """Moves of fewer tilings that are together what one of many is."""
        one = move.uncut
        assert one is not None
        if one not in self.tree:
            self.tree[one] = tuple(ranges_of(one) if isinstance(one, Uncut) else one.halves())
        return [own for wide in self.tree[one] for own in self._of(move, wide)]

    def put(self, new: Mapping[Move, Sequence[Move]], steps: Iterable[int]) -> None:
        """Put other moves, or none, in place of some that end after these steps."""
        for step in steps:
            beyond = [own for move in self.beyond[step] for own in new.get(move, (move,))]
            self.moves[step] = [own for move in self.moves[step] for own in new.get(move, (move,))]
            self.moves[step] += [move for move in beyond if not move.uncut]
            self.beyond[step] = [move for move in beyond if move.uncut]

    def on(self, machine: Architecture) -> "Course":
        """The same course on a machine with no more room; `anew` says what there is room for."""
        other = Course(self.network, machine, self.tensors, self.fused, self.uncut)
        other.listed, other.tree, other.states = self.listed, self.tree, self.states
        other.moves, other.beyond = ([list(some) for some in own] for own in (self.moves, self.beyond))
        return other

    def anew(self, move: Move) -> list[Move]:
        """What there is room for of a move of a machine with more room."""
        wide = move.of or move.uncut
        if isinstance(wide, Ranged):
            return self._of(move, wide)
        homes, taken = self._held(move.start, move.last, move.held)
        if wide is None:
            return [move] if self._is_there(move.parts) else []
        parts = wide.parts(homes, self._room(wide, taken)) if self._has_room(taken) else ()
        return [replace(move, parts=parts)] if parts else []

    def _of(self, move: Move, wide: Ranged) -> list[Move]:
        """Instead of a move the tilings in ranges for which there is room."""
        held = self._held(wide.first, wide.last, move.held)
        return [
            replace(move, parts=parts, fused=fused, uncut=None if fused else wide, of=wide if fused else None)
            for parts, fused in self._ranged(wide, *held)
        ]

    def add(self, one: Fused) -> list[Move]:
        """List the moves of a chain in tiles that was not among those listed; returns them."""
        if one in self.listed:
            return []
        self.listed.add(one)
        states, found = self.states[one.last + 1], []
        for start, before, held, parts, _ in self._tiled(one):
            left = self._left(held, one.last)
            if left in states:
                found.append(Move(start, before, states.index(left), parts, held, one))
        self.moves[one.last] += found
        return found

    def _left(self, held: State, step: int) -> State:
        """What is still to be read after a step."""
        return tuple((i, level) for i, level in held if self.tensors[i].ends > step)

    def _has_room(self, taken: Taken) -> bool:
        return all(words < self.architecture.level(name).usable_capacity for name, words in taken)

    def _is_there(self, parts: Sequence[Part]) -> bool:
        """Whether a machine is left for tiles while parts run."""
        return all(part.residence.machine(self.architecture) for part in parts)

    def _chosen(self, first: int, last: int) -> list[tuple[int, State]]:
        """(state before steps, what is retained while they run), with all choices for what the last of them writes."""
        born = [i for i, tensor in enumerate(self.tensors) if tensor.steps[0] == last]
        found = []
        for before, state in enumerate(self.states[first]):
            for chosen in product(*([None, *self.tensors[i].levels] for i in born)):
                new = ((i, level) for i, level in zip(born, chosen, strict=True) if level is not None)
                found.append((before, (*state, *new)))
        return found

    def _held(self, first: int, last: int, held: State) -> tuple[dict[tuple[int, str], str], Taken]:
        """(homes of operands by step and dataspace, words taken) while steps run with this retained."""
        taken: dict[str, int] = {}
        homes: dict[tuple[int, str], str] = {}
        for i, level in held:
            tensor = self.tensors[i]
            words = max(tensor.words_at(step) for step in range(first, last + 1))
            taken[level] = taken.get(level, 0) + words
            for step in range(first, last + 1):
                homes |= {(step, space): level for space in tensor.role(step, self.network.layer_of(step).problem)}
        return homes, tuple(sorted((name, words) for name, words in taken.items() if words))

    def _prune(self) -> None:
        """Leave out moves to states that lead nowhere, which a step had no room for."""
        alive: list[set[int]] = [set() for _ in self.states]
        alive[-1] = {0} if self.states[-1] else set()
        for step in reversed(range(len(self.moves))):
            self.moves[step] = [move for move in self.moves[step] if move.after in alive[step + 1]]
            self.beyond[step] = [move for move in self.beyond[step] if move.after in alive[step + 1]]
            for move in (*self.moves[step], *self.beyond[step]):
                alive[move.start].add(move.before)


Way = tuple[int, int, State, tuple[Part, ...], Fused | None]
"""A move whose state after it has no index yet."""
