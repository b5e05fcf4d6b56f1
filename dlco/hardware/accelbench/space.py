"""`AccelBenchSpace`: the 228,433,920 accelerators of AccelBench, or some of them, for a search."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import prod

import torch

from dlco.errors import InvalidInput
from dlco.hardware.accelbench.assumptions import PUBLISHED, Assumptions
from dlco.hardware.accelbench.figures import NUMBERS, memories, options, parts
from dlco.hardware.accelbench.machine import SPRING, AccelBench

KERNEL = (NUMBERS.index("kernel_x_parallel"), NUMBERS.index("kernel_y_parallel"))
MEMORY = (NUMBERS.index("memory_type"), NUMBERS.index("memory_config"))


class AccelBenchSpace:
    """Vectors of AccelBench: 11 decisions, as the kernel's two parallelisms are one and so is the main memory.

    Options go from the least to the greatest, main memories by their nJ an access.

    Args:
        only: for some of the 13 numbers, those of their options that are allowed; all of them for the others.
        base: the accelerator that a search fixes where it fixes one, or the one nearest to it; its activation function
            is that of all accelerators here.
        assumptions: under which networks are costed on them.

    Attributes:
        decisions: the names of the decisions; "kernel" decides two numbers of a vector, and so does "memory".
        lengths: how many options each has.

    Raises:
        InvalidInput: `only` names what is no number of a vector, or allows nothing, or what is no option; or `base` or
            `assumptions` are of another type.

    Examples:
        >>> from dlco.hardware import AccelBenchSpace
        >>> AccelBenchSpace().size, AccelBenchSpace({"batch": [1], "memory_type": [2, 3]}).size
        (228433920, 20766720)
    """

    def __init__(
        self,
        only: Mapping[str, Sequence[int]] | None = None,
        *,
        base: AccelBench = SPRING,
        assumptions: Assumptions = PUBLISHED,
    ) -> None:
        if not isinstance(base, AccelBench):
            raise InvalidInput(f"base is {base!r}; it must be a dlco.hardware.AccelBench")
        if not isinstance(assumptions, Assumptions):
            raise InvalidInput(f"assumptions is {assumptions!r}; it must be a dlco.hardware.Assumptions")
        self.base, self.assumptions, self.only = base, assumptions, _checked(only or {})
        pairs = sorted(memories().items(), key=lambda item: item[1])
        tables: list[tuple[str, tuple[int, ...], list[tuple[int, ...]]]] = []
        for i, name in enumerate(NUMBERS):
            if i not in KERNEL + MEMORY:
                tables.append((name, (i,), [(value,) for value in options()[name]]))
            elif i == KERNEL[0]:
                tables.append(("kernel", KERNEL, [(value, value) for value in options()[name]]))
            elif i == MEMORY[0]:
                tables.append(("memory", MEMORY, [pair for pair, _ in pairs]))
        allowed = [
            [one for one in choices if all(self._allows(NUMBERS[at], x) for at, x in zip(columns, one, strict=True))]
            for _, columns, choices in tables
        ]
        self.decisions = tuple(name for name, _, _ in tables)
        for name, choices in zip(self.decisions, allowed, strict=True):
            if not choices:
                raise InvalidInput(f"only is {dict(only or {})!r}; it allows no {name}")
        self.lengths = tuple(map(len, allowed))
        self._columns = tuple(columns for _, columns, _ in tables)
        self._choices = tuple(torch.tensor(choices, dtype=torch.float64) for choices in allowed)

    @classmethod
    def of(cls, machine: AccelBench, assumptions: Assumptions = PUBLISHED) -> "AccelBenchSpace":
        """The space of one accelerator alone."""
        only = {name: (value,) for name, value in zip(NUMBERS, machine.vector, strict=True)}
        return cls(only, base=machine, assumptions=assumptions)

    def _allows(self, name: str, value: int) -> bool:
        return name not in self.only or value in self.only[name]

    @property
    def size(self) -> int:
        """Number of accelerators."""
        return prod(self.lengths)

    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """`n` vectors drawn uniformly and independently, `[n, 13]`, float64 on the CPU."""
        lengths = torch.tensor(self.lengths)
        index = torch.rand(n, len(self.lengths), dtype=torch.float64, generator=generator) * lengths
        return self.vectors(index.long())

    def vectors(self, index: torch.Tensor) -> torch.Tensor:
        """The vectors `[..., 13]` of option indices `[..., 11]`."""
        found = torch.empty(*index.shape[:-1], len(NUMBERS), dtype=torch.float64, device=index.device)
        for i, (columns, choices) in enumerate(zip(self._columns, self._choices, strict=True)):
            found[..., list(columns)] = choices.to(index.device)[index[..., i]]
        return found

    def index(self, vectors: torch.Tensor) -> torch.Tensor:
        """Option indices `[..., 11]`, int64, of vectors `[..., 13]`; of one off the space, the nearest options."""
        return self.decode_index(self.encode(vectors))

    def encode(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors `[..., 13]` as numbers between 0 and 1, `[..., 13]` float64: what a surrogate or a gradient sees.

        The square root of buffers, the logarithm of all else, between those of the least and the greatest option. Of
        the two numbers of the main memory the first is its type, and the second its nJ an access, which their own
        arbitrary numbering hides.

        Raises:
            InvalidInput: the last dimension is not 13.
        """
        parts(vectors)  # checks
        scaled = self._scale(vectors.to(torch.float64))
        low, high = (end.to(vectors.device) for end in self._ends)
        return (scaled - low) / (high - low)

    def decode_index(self, points: torch.Tensor) -> torch.Tensor:
        """Option indices `[..., 11]` nearest to encoded points `[..., 13]`, decision by decision."""
        found = []
        for columns, options_ in zip(self._columns, self._encoded, strict=True):
            distance = points[..., None, list(columns)] - options_.to(points.device)
            found.append(distance.square().sum(-1).argmin(-1))
        return torch.stack(found, -1)

    def decode(self, points: torch.Tensor) -> torch.Tensor:
        """The vectors `[..., 13]` nearest to encoded points `[..., 13]`."""
        return self.vectors(self.decode_index(points))

    def neighbours(self, vector: torch.Tensor) -> torch.Tensor:
        """Vectors `[n, 13]` one step away from a vector `[13]` along one decision; any other memory is a step."""
        return self.vectors(self.neighbours_at(self.index(vector)))

    def neighbours_at(self, index: torch.Tensor) -> torch.Tensor:
        """The option indices `[n, 11]` of the neighbours of one `[11]`."""
        found = []
        for i, (name, length) in enumerate(zip(self.decisions, self.lengths, strict=True)):
            now = int(index[i])
            for other in range(length) if name == "memory" else (now - 1, now + 1):
                if 0 <= other < length and other != now:
                    found.append(index.clone().index_fill_(0, torch.tensor([i], device=index.device), other))
        return torch.stack(found) if found else index.new_empty(0, len(self.lengths))

    def _scale(self, vectors: torch.Tensor) -> torch.Tensor:
        columns = list(vectors.unbind(-1))
        for i, name in enumerate(NUMBERS):
            if name.endswith("_mb"):
                columns[i] = columns[i].sqrt()
            elif i not in MEMORY:
                columns[i] = columns[i].log()
        pairs = torch.tensor(list(memories()), dtype=torch.float64, device=vectors.device)
        energies = torch.tensor(list(memories().values()), dtype=torch.float64, device=vectors.device)
        nearest = (vectors[..., None, list(MEMORY)] - pairs).abs().sum(-1).argmin(-1)
        columns[MEMORY[1]] = energies.log()[nearest]
        return torch.stack(columns, -1)

    @cached_property
    def _ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Scaled numbers of the least and of the greatest options, `[13]` each."""
        energies = torch.tensor(list(memories().values()), dtype=torch.float64).log()
        ends = []
        for pick, energy in ((min, energies.min()), (max, energies.max())):
            vector = torch.tensor([pick(values) for values in options().values()], dtype=torch.float64)
            scaled = self._scale(vector)
            scaled[MEMORY[1]] = energy
            ends.append(scaled)
        return ends[0], ends[1]

    @cached_property
    def _encoded(self) -> tuple[torch.Tensor, ...]:
        """For each decision its options encoded, `[options, columns]`."""
        found = []
        base = torch.zeros(len(self.lengths), dtype=torch.long)
        for i, (columns, length) in enumerate(zip(self._columns, self.lengths, strict=True)):
            index = base.repeat(length, 1)
            index[:, i] = torch.arange(length)
            found.append(self.encode(self.vectors(index))[:, list(columns)])
        return tuple(found)


def _checked(only: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """What each of some numbers may be."""
    if not isinstance(only, Mapping):
        raise InvalidInput(f"only is {only!r}; it must be a dictionary of options by the number's name")
    for name, values in only.items():
        if name not in NUMBERS:
            raise InvalidInput(f"only names {name!r}; allowed: {', '.join(NUMBERS)}")
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise InvalidInput(f"only has {values!r} for {name}; it must be a list of some of its options")
        for value in values:
            if isinstance(value, bool) or value not in options()[name]:
                allowed = ", ".join(map(str, options()[name]))
                raise InvalidInput(f"only has {value!r} for {name}; allowed: {allowed}")
    return {name: tuple(values) for name, values in only.items()}
