"""`HardwareSpace`: a machine some of whose sizes are free, each on a grid.

One vector of sizes, `[parameters]`, is one machine. Optimisers move it through the reals (`machine`) and end on the
grid (`architecture`); both price the resized memories with the same technology, so they agree where both are defined.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import inf, prod
from typing import TYPE_CHECKING

import torch

from dlco.errors import InvalidInput
from dlco.hardware.architecture import LEVEL_FIELDS, MACHINE_FIELDS, PORTS, Architecture, Level, Machine
from dlco.hardware.forms import Monomial, monomial
from dlco.hardware.limits import SLACK, Limit, excess_of
from dlco.hardware.parameter import Parameter
from dlco.hardware.reach import Reach
from dlco.hardware.resize import laid_machine, resized, with_networks
from dlco.hardware.technology import TECHNOLOGY_45NM, MemoryCurves, Technology
from dlco.hardware.wires import Wires

if TYPE_CHECKING:
    import cvxpy


@dataclass(frozen=True)
class HardwareSpace:
    """All machines that differ from `base` in the given sizes.

    A register file or SRAM with a free capacity or bandwidth takes its energies, leakage and area from `technology`,
    or from curves of its own; leakage is scaled to the base's clock cycle. A DRAM with a free bandwidth keeps the
    base's energy a word. All other levels, and the MACs, keep the base's numbers. Networks of a kind are laid out from
    the sizes (`dlco.hardware.wires`); where `technology` says nothing of wires, they keep the base's numbers too.

    Attributes:
        base: the machine, with the values that stay fixed; also what a search may start from (`base_sizes`).
        parameters: the free sizes; none of a fixed machine, which is a space like any other.
        technology: what a resized memory costs.
        curves: (level, its curves) of resized memories that do not follow `technology`.
        limits: inequalities between the free sizes that its machines keep, see `subject_to`.

    Raises:
        InvalidInput: an unknown level, a size given twice, a capacity of DRAM, a capacity that the level's
            multiple buffering does not divide, an access wider than its memory, curves of a level that is not
            resized, or a limit on what is no parameter.

    Examples:
        >>> from dlco.hardware import TECHNOLOGY_45NM, HardwareSpace, Parameter, Tie, generic
        >>> side = Parameter("GlobalBuffer", "fanout_x", (8, 16, 32), also=(Tie("GlobalBuffer", "fanout_y"),))
        >>> room = Parameter("GlobalBuffer", "capacity", (16384, 65536))
        >>> space = HardwareSpace(generic(), (side, room), TECHNOLOGY_45NM)
        >>> space.size, space.architecture([32, 16384]).macs
        (6, 1024)
    """

    base: Architecture
    parameters: tuple[Parameter, ...] = ()
    technology: Technology = TECHNOLOGY_45NM
    curves: tuple[tuple[str, MemoryCurves], ...] = ()
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(self.parameters))
        seen: set[str] = set()
        for tie in (tie for parameter in self.parameters for tie in parameter.drives):
            level = self.base.level(tie.level)
            # a block a cycle is both of these bandwidths
            taken = {tie.name} | ({f"{tie.level}.{port}" for port in PORTS[:2]} if tie.field == "bandwidth" else set())
            if taken & seen:
                raise InvalidInput(f"parameters holds {sorted(taken & seen)[0]} twice; each size may be decided once")
            seen |= taken
            if level.memory is not None:
                raise InvalidInput(
                    f"parameters frees {tie.name}, of a part of {level.memory!r}; sizes of parts are fixed"
                )
            if tie.field == "capacity" and level.kind == "DRAM":
                raise InvalidInput(f"kind of {level.name!r} is 'DRAM'; a free capacity is allowed for: regfile, SRAM")
        for name, driven in self.driven.items():
            self._check_memory(self.base.level(name), driven)
        object.__setattr__(self, "limits", tuple(self.limits))
        for limit in self.limits:
            for name in limit.names:
                if name not in self.names:
                    raise InvalidInput(f"limit is {limit}; {name!r} is none of the parameters {', '.join(self.names)}")
        object.__setattr__(self, "curves", tuple(self.curves))
        for i, (name, _) in enumerate(self.curves):
            if name in [other for other, _ in self.curves[:i]]:
                raise InvalidInput(f"curves name {name!r} twice; once is allowed")
            resized = self.driven.get(name, {}).keys() & {"capacity", "bandwidth"}
            if self.base.level(name).kind == "DRAM" or not resized:
                raise InvalidInput(
                    f"curves name {name!r}; only a regfile or SRAM whose capacity or bandwidth is free has any"
                )

    def __getitem__(self, name: str) -> "cvxpy.Expression":
        """A free size in words of cvxpy, to state limits on it and for programs of one's own.

        Args:
            name: `level.field`, such as "shared_glb.capacity": a positive variable where it is a parameter, the same
                one whenever it is asked for; a multiple of one where it follows a parameter.

        Raises:
            InvalidInput: no such size is free.
        """
        from dlco.hardware.cvxpy_limits import variables  # cvxpy takes a second to load

        found = self._multiple(name)
        ((parameter, _),) = found.exponents
        variable = variables(self.base, self.parameters)[parameter]
        return variable if found.coefficient == 1 else found.coefficient * variable

    def subject_to(self, *limits: "cvxpy.Constraint | str") -> "HardwareSpace":
        """The space of those of its machines that keep further limits.

        Args:
            limits: inequalities of cvxpy between sizes (`space["buffer.capacity"] <= 4 * space["registers.capacity"]`)
                or texts ("buffer.capacity <= 4 * registers.capacity"). What goes is what is log-log convex: sums,
                products, quotients by products, powers, max, `cvxpy.sum`, `prod`, `geo_mean`, `pnorm` of sizes and
                numbers above 0, at most a product or a min of products; and products that are equal (==).

        Raises:
            InvalidInput: a limit is of another kind, or names what is no free size of this space.

        Examples:
            >>> from dlco.hardware import eyeriss_space
            >>> space = eyeriss_space().subject_to("shared_glb.capacity <= 512 * weights_spad.capacity")
            >>> [str(limit) for limit in space.limits]
            ['shared_glb.capacity <= 512 * weights_spad.capacity']
        """
        found = [*self.limits]
        for one in limits:
            if isinstance(one, str):
                found += Limit.parse(one, self._multiple)
            else:
                from dlco.hardware.cvxpy_limits import to_limits

                found += to_limits(one, self.base, self.parameters)
        return replace(self, limits=tuple(dict.fromkeys(found)))

    def _multiple(self, name: object) -> Monomial:
        """The parameter, times a number, that a free size is."""
        level, _, field = name.rpartition(".") if isinstance(name, str) else ("", "", "")
        if field not in self.driven.get(level, {}):
            free = [f"{at}.{size}" for at, sizes in self.driven.items() for size in sizes]
            raise InvalidInput(
                f"size is {name!r}; the free sizes of {self.base.name!r} are: {', '.join(free) or 'none'}"
            )
        at, scale = self.driven[level][field]
        return monomial(scale, [(self.parameters[at].name, 1.0)])

    @property
    def is_fixed(self) -> bool:
        """Whether the base is its only machine, no size being free."""
        return not self.parameters

    @cached_property
    def driven(self) -> dict[str, dict[str, tuple[int, float]]]:
        """What decides each size that is not fixed: by level and field, (position of its parameter, scale)."""
        driven: dict[str, dict[str, tuple[int, float]]] = {}
        for i, parameter in enumerate(self.parameters):
            for tie in parameter.drives:
                driven.setdefault(tie.level, {})[tie.field] = (i, tie.scale)
        return driven

    def _check_memory(self, level: Level, driven: dict[str, tuple[int, float]]) -> None:
        """Refuse capacities that are no multiple of the buffering, and blocks that exceed a capacity."""
        ends = {}
        for name, (i, scale) in driven.items():
            values = [value * scale for value in self.parameters[i].grid]
            ends[name] = (values[0], values[-1])
            # The relaxed machine does not round down; where nothing is to be rounded it agrees with the exact one.
            for value in values if name == "capacity" else ():
                if value % level.multiple_buffering:
                    raise InvalidInput(
                        f"grid of {self.parameters[i].name} holds {value / scale:g}; its values must be multiples of "
                        f"the level's multiple_buffering of {level.multiple_buffering:g}"
                    )
        if level.kind == "DRAM" or not driven.keys() & {"capacity", "bandwidth"}:
            return
        capacity, width = ends.get("capacity", (level.capacity,))[0], ends.get("bandwidth", (level.block_size,))[-1]
        if capacity == inf:
            raise InvalidInput(f"capacity of {level.name!r} is infinite; it must be finite where the bandwidth is free")
        if width > capacity:
            raise InvalidInput(
                f"block_size of {level.name!r} reaches {width:g} words; "
                f"it must not exceed the smallest capacity, {capacity:g} words"
            )

    @cached_property
    def _grid(self) -> torch.Tensor:
        """`[parameters, longest grid]`, short grids filled up with infinity."""
        longest = max((len(p.grid) for p in self.parameters), default=1)
        rows = [[*p.grid, *[inf] * (longest - len(p.grid))] for p in self.parameters]
        return torch.tensor(rows, dtype=torch.float64).reshape(-1, longest)

    @cached_property
    def _lengths(self) -> torch.Tensor:
        return torch.tensor([len(p.grid) for p in self.parameters], dtype=torch.long)

    @property
    def names(self) -> tuple[str, ...]:
        """`level.field` of each parameter."""
        return tuple(p.name for p in self.parameters)

    @property
    def low(self) -> torch.Tensor:
        """Smallest sizes, `[parameters]`."""
        return torch.tensor([p.low for p in self.parameters], dtype=torch.float64)

    @property
    def high(self) -> torch.Tensor:
        """Largest sizes, `[parameters]`."""
        return torch.tensor([p.high for p in self.parameters], dtype=torch.float64)

    @property
    def size(self) -> int:
        """Number of machines on the grid, within the limits or not."""
        return prod(len(p.grid) for p in self.parameters)

    def excess(self, sizes: torch.Tensor) -> torch.Tensor:
        """By how much machines of sizes `[..., parameters]` exceed each limit, `[..., limits]`.

        Logs of one side over the other, above 0 where the limit is broken; differentiable in the sizes.
        """
        self._check(sizes)
        return excess_of(self._reach.rows, sizes.log())

    def within(self, index: torch.Tensor) -> torch.Tensor:
        """Whether the machines at grid positions `[..., parameters]` keep the limits, BoolTensor `[...]`."""
        if not self.limits:
            return torch.ones(index.shape[:-1], dtype=torch.bool, device=index.device)
        return (self.excess(self.index_to_sizes(index)) <= SLACK).all(-1)

    def brought_within(self, index: torch.Tensor) -> torch.Tensor:
        """The same grid positions `[..., parameters]`, and near ones within the limits for those outside.

        Raises:
            Infeasible: no machine of the grid keeps the limits.
            InvalidInput: none was found in reasonable time.
        """
        if not self.limits:
            return index
        flat = index.reshape(-1, len(self.parameters)).clone()
        for row in (~self.within(flat)).nonzero().flatten().tolist():
            flat[row] = torch.tensor(self._reach.nearest(flat[row].tolist()), dtype=flat.dtype)
        return flat.view(index.shape)

    def trimmed(self) -> "HardwareSpace":
        """The same space without the ends of its grids that no machine within the limits has.

        Raises:
            Infeasible, InvalidInput: as `brought_within`.
        """
        if not self.limits:
            return self
        self.brought_within(torch.zeros(len(self.parameters), dtype=torch.long))
        ends = self._reach.ends()
        grids = [parameter.grid[low : high + 1] for parameter, low, high in zip(self.parameters, *ends, strict=True)]
        return replace(
            self, parameters=tuple(replace(p, grid=grid) for p, grid in zip(self.parameters, grids, strict=True))
        )

    @cached_property
    def _reach(self) -> Reach:
        return Reach([parameter.grid for parameter in self.parameters], self.names, self.limits)

    @property
    def free_fanouts(self) -> list[tuple[str, int]]:
        """(level, axis) of the fan-outs that are still open; axis 1 is X and 2 is Y, as in a mapping."""
        axes = {"fanout_x": 1, "fanout_y": 2}
        return [(level, axes[name]) for level, sizes in self.driven.items() for name in sizes if name in axes]

    @property
    def base_sizes(self) -> torch.Tensor:
        """The sizes of `base`, `[parameters]`, on the grid or not."""
        return torch.tensor([parameter.of(self.base) for parameter in self.parameters], dtype=torch.float64)

    def machine(self, sizes: torch.Tensor) -> Machine:
        """The machines of the given sizes, for the cost model.

        The usable capacity is the capacity over the multiple buffering, not rounded down: on the grid the division
        leaves no remainder, so that it is `architecture(sizes).tensors()` to the last bit there (in a batch, to the
        last bit but one: vectorised powers round differently).

        Args:
            sizes: `[..., parameters]` positive sizes, on the grid or between its points.

        Returns:
            A machine of batch shape `[...]`, of the dtype and device of `sizes` and differentiable in them.

        Raises:
            InvalidInput: the last dimension is not the number of parameters.
        """
        self._check(sizes)
        values = self.base.tensors(sizes.dtype, sizes.device)
        batch = sizes.shape[:-1]
        rows: dict[str, list[torch.Tensor]] = {}
        for i, level in enumerate(self.base.levels):
            resized = self._resize(level, self._free(level, sizes))
            for name in LEVEL_FIELDS:
                fixed = getattr(values, name)[i]
                rows.setdefault(name, []).append(resized.get(name, fixed).expand(batch))
        scalars = {name: getattr(values, name).expand(batch) for name in MACHINE_FIELDS}
        levels = {name: torch.stack(row, dim=-1) for name, row in rows.items()}
        machine = replace(values, **levels, **scalars)
        return laid_machine(machine, self.base.levels, self.wires) if self.wires else machine

    @cached_property
    def wires(self) -> Wires | None:
        """What networks are laid out by as sizes change; None where there are none to lay out, or no size is free."""
        kinds = any(level.network is not None and level.network.kind for level in self.base.levels)
        return self.technology.wires if kinds and self.parameters else None

    def _free(self, level: Level, sizes: torch.Tensor) -> dict[str, torch.Tensor]:
        """The level's sizes that are not fixed, by field, each `[...]` of `[..., parameters]`."""
        return {name: sizes[..., i] * scale for name, (i, scale) in self.driven.get(level.name, {}).items()}

    def _resize(self, level: Level, free: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The `Machine` columns of one level that its free sizes change, each of the shape of the sizes."""
        own = dict(self.curves).get(level.name)
        memory = own.cost if own else partial(self.technology.memory, level.kind)
        return resized(level, free, memory, self.base.cycle_s / self.technology.cycle_s)

    def architecture(self, sizes: torch.Tensor | Sequence[float]) -> Architecture:
        """The fixed machine of sizes that lie on the grid.

        Args:
            sizes: `[parameters]`.

        Returns:
            The base with these sizes, and with the costs that `machine` gives them.

        Raises:
            InvalidInput: the wrong number of sizes, a size off its grid, or sizes outside the limits.
        """
        sizes = torch.as_tensor(sizes, dtype=torch.float64).detach().cpu()
        self._check(sizes)
        if sizes.dim() != 1:
            raise InvalidInput(f"sizes has shape {tuple(sizes.shape)}; it must be [{len(self.parameters)}]")
        for parameter, value in zip(self.parameters, sizes.tolist(), strict=True):
            if value not in parameter.grid:
                allowed = ", ".join(f"{v:g}" for v in parameter.grid)
                raise InvalidInput(f"size of {parameter.name} is {value:g}; allowed: {allowed}")
        for limit, excess in zip(self.limits, self.excess(sizes).tolist(), strict=True):
            if excess > SLACK:
                kept = ", ".join(f"{name} {size:g}" for name, size in zip(self.names, sizes.tolist(), strict=True))
                raise InvalidInput(f"sizes are {kept}; the space has the limit {limit}")
        levels = []
        for level in self.base.levels:
            free = self._free(level, sizes)
            changed = {name: float(value) for name, value in self._resize(level, free).items()}
            if "capacity" in free:
                changed["capacity"] = float(free["capacity"])
            whole = {name: int(changed[name]) for name in ("block_size", "fanout_x", "fanout_y") if name in changed}
            levels.append(replace(level, **(changed | whole)))  # type: ignore[arg-type]
        made = replace(self.base, levels=tuple(levels))
        return with_networks(made, self.wires) if self.wires else made

    def machines_at(self, index: torch.Tensor) -> Machine:
        """The machines at grid positions `[..., parameters]`, on the device of these; raises as `index_to_sizes`."""
        return self.machine(self.index_to_sizes(index))

    def architecture_at(self, index: torch.Tensor) -> Architecture:
        """The fixed machine at grid positions `[parameters]`; raises as `index_to_sizes`."""
        return self.architecture(self.index_to_sizes(index))

    def nearest(self, sizes: torch.Tensor) -> torch.Tensor:
        """Grid positions closest to the sizes in logarithm.

        Args:
            sizes: `[..., parameters]` positive sizes.

        Returns:
            `[..., parameters]` positions in each parameter's grid, int64.
        """
        self._check(sizes)
        grid = self._grid.to(sizes)
        return (sizes[..., None].log() - grid.log()).abs().argmin(-1)

    def round(self, sizes: torch.Tensor) -> torch.Tensor:
        """The grid point closest to the sizes in logarithm, parameter by parameter; `[..., parameters]` both."""
        return self.index_to_sizes(self.nearest(sizes)).to(sizes)

    def index_to_sizes(self, index: torch.Tensor) -> torch.Tensor:
        """The sizes at grid positions.

        Args:
            index: `[..., parameters]` positions in each parameter's grid, integers.

        Returns:
            `[..., parameters]` sizes, float64.

        Raises:
            InvalidInput: a position outside its grid, or the wrong number of them.
        """
        self._check(index)
        lengths = self._lengths.to(index.device)
        if bool(((index < 0) | (index >= lengths)).any()):
            raise InvalidInput(f"index is {index.tolist()!r}; each position must be below the length of its grid")
        grid = self._grid.to(index.device)
        return grid.expand(*index.shape, -1).gather(-1, index[..., None]).squeeze(-1)

    def neighbours(self, index: torch.Tensor) -> torch.Tensor:
        """The grid points one step from a point along one parameter.

        Args:
            index: `[parameters]` positions in each parameter's grid.

        Returns:
            `[neighbours, parameters]` positions within the limits: at most two a parameter, none beyond the ends of a
            grid.
        """
        self._check(index)
        steps = torch.eye(len(self.parameters), dtype=index.dtype, device=index.device)
        moved = index + torch.cat([-steps, steps])
        inside = ((moved >= 0) & (moved < self._lengths.to(index.device))).all(-1)
        return moved[inside][self.within(moved[inside])]

    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Sizes of `n` grid points drawn uniformly and independently, `[n, parameters]`, float64 on the CPU.

        In place of one outside the limits stands one near it that keeps them.
        """
        index = (torch.rand(n, len(self.parameters), dtype=torch.float64, generator=generator) * self._lengths).long()
        return self.index_to_sizes(self.brought_within(index))

    def _check(self, sizes: torch.Tensor) -> None:
        if sizes.dim() == 0 or sizes.shape[-1] != len(self.parameters):
            raise InvalidInput(
                f"sizes has shape {tuple(sizes.shape)}; its last dimension must be the {len(self.parameters)} "
                f"parameters {', '.join(self.names)}"
            )


def as_space(hardware: object) -> HardwareSpace:
    """The space that an argument `hardware` is: a machine is one without parameters; `InvalidInput` for all else."""
    if isinstance(hardware, HardwareSpace):
        return hardware
    if not isinstance(hardware, Architecture):
        raise InvalidInput(f"hardware is {hardware!r}; it must be an Architecture or a HardwareSpace")
    return HardwareSpace(hardware)
