"""`AccelBenchSpace`: the 228,433,920 accelerators of AccelBench, for a search."""

from functools import cached_property
from math import prod

import torch

from dlco.hardware.accelbench.figures import NUMBERS, memories, options, parts

KERNEL = (NUMBERS.index("kernel_x_parallel"), NUMBERS.index("kernel_y_parallel"))
MEMORY = (NUMBERS.index("memory_type"), NUMBERS.index("memory_config"))


class AccelBenchSpace:
    """All vectors of AccelBench: 11 decisions, as the kernel's two parallelisms are one and so is the main memory.

    Attributes:
        decisions: the names of the decisions; "kernel" decides two numbers of a vector, and so does "memory".
        lengths: how many options each has.
    """

    def __init__(self) -> None:
        grids = options()
        tables: list[tuple[str, tuple[int, ...], list[tuple[int, ...]]]] = []
        for i, name in enumerate(NUMBERS):
            if i not in KERNEL + MEMORY:
                tables.append((name, (i,), [(value,) for value in grids[name]]))
            elif i == KERNEL[0]:
                tables.append(("kernel", KERNEL, [(value, value) for value in grids[name]]))
            elif i == MEMORY[0]:
                tables.append(("memory", MEMORY, list(memories())))
        self.decisions = tuple(name for name, _, _ in tables)
        self.lengths = tuple(len(choices) for _, _, choices in tables)
        self._columns = tuple(columns for _, columns, _ in tables)
        self._choices = tuple(torch.tensor(choices, dtype=torch.float64) for _, _, choices in tables)

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
        index = self.index(vector)
        found = []
        for i, (name, length) in enumerate(zip(self.decisions, self.lengths, strict=True)):
            now = int(index[i])
            for other in range(length) if name == "memory" else (now - 1, now + 1):
                if 0 <= other < length and other != now:
                    found.append(index.clone().index_fill_(0, torch.tensor([i], device=index.device), other))
        return self.vectors(torch.stack(found))

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
