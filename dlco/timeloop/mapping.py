"""Timeloop's mapping, v0.3 and v0.4, as a `Mapping`."""

from collections.abc import Mapping as Table

from dlco.errors import InvalidMapping, NotSupported
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import Mapping
from dlco.timeloop.architecture import container_names
from dlco.timeloop.document import Source, sections
from dlco.timeloop.loops import (
    Directive,
    Factor,
    complete,
    read_dataspaces,
    read_directive,
    read_factors,
    read_permutation,
)
from dlco.timeloop.printed import as_mapping_file
from dlco.workload.problem import Problem

_ONE = Factor("=", 1, 1)
_KEYS = {"temporal": ("factors", "permutation"), "spatial": ("factors", "permutation", "split")}


def read_mapping(
    source: Source, problem: Problem, architecture: Architecture, containers: Table[str, str] | None = None
) -> Mapping:
    """The mapping that a list of Timeloop directives describes.

    As in Timeloop, factors left out are 1, dimensions left out of a permutation follow it (they lie further out) in
    the problem's order, a spatial directive without a split lies along X, and levels keep what is not bypassed.
    Imperfect factors (M=4,3) must come to the bound as Timeloop counts: from the outermost loop inwards, times the end
    and plus the residual less 1, and 1 in the end. So the ends and the bound say what the residuals are.

    Args:
        source: path or text of a YAML document with `mapping`, or of the map that Timeloop prints (`*.map.txt`).
        problem: its dimensions and dataspaces are what the directives speak of.
        architecture: its levels are what they target.
        containers: v0.4's containers: the level each fans out from, by name, outermost first. By default those that
            `write_architecture` makes.

    Raises:
        InvalidInput: not such a document; the message names file, line, key and what is allowed.
        InvalidMapping: the factors of a dimension come to more than its bound, or with residuals to less, or a level
            is to keep what the architecture bypasses there.
        NotSupported: a directive that dlco does not model.
    """
    entry = sections(as_mapping_file(source, problem), "mapping", ["mapping"])["mapping"]
    containers = dict(container_names(architecture)) if containers is None else containers
    directives: dict[tuple[str, str], Directive] = {}
    for item in entry.items():
        directive = read_directive(item, architecture, containers)
        for key in directive.fields:
            if key in ("split", "keep", "bypass", "factors", "permutation") and key not in _KEYS.get(
                directive.kind, ("keep", "bypass")
            ):
                raise directive.fields[key].error(f"unknown key {key!r} in a {directive.kind} directive")
        if (directive.kind, directive.target) in directives:
            raise item.error(f"{directive.target} has two {directive.kind} directives; one is allowed")
        directives[directive.kind, directive.target] = directive
    return _Builder(problem, architecture).build(list(directives.values()))


class _Builder:
    """Collects directives into the tables of a `Mapping`."""

    def __init__(self, problem: Problem, architecture: Architecture) -> None:
        self.problem = problem
        self.architecture = architecture
        levels = range(len(architecture.levels))
        self.factors = {slot: [dict.fromkeys(problem.dimensions, _ONE) for _ in levels] for slot in ("x", "y", "time")}
        self.order = [problem.dimensions for _ in levels]
        self.spatial_order = [problem.dimensions for _ in levels]
        self.bypass = [self.dropped(level.name) for level in architecture.levels]

    def build(self, directives: list[Directive]) -> Mapping:
        spatial: dict[int, list[Directive]] = {}
        for directive in directives:
            if directive.kind == "spatial":
                spatial.setdefault(directive.level, []).append(directive)
            elif directive.depth:
                self.on_container(directive)
            elif directive.kind == "temporal":
                self.temporal(directive)
            else:
                self.kept(directive)
        for level, group in spatial.items():
            self.spatial(level, sorted(group, key=lambda directive: -directive.depth))

        for dim, bound in self.problem.sizes.items():
            self.check(dim, bound)

        def table(slot: str) -> tuple[tuple[int, ...], ...]:
            return tuple(tuple(factor.end for factor in row.values()) for row in self.factors[slot])

        return Mapping(
            dimensions=self.problem.dimensions,
            levels=tuple(level.name for level in self.architecture.levels),
            temporal=table("time"),
            spatial_x=table("x"),
            spatial_y=table("y"),
            order=tuple(self.order),
            spatial_order=tuple(self.spatial_order),
            bypass=tuple(self.bypass),
        )

    def dropped(self, level: str) -> frozenset[str]:
        """Dataspaces that a level keeps out because its node lists all that it keeps (v0.4's `keep_only`)."""
        fixed = self.architecture.constraints
        return fixed.bypassed_of(level, [space.name for space in self.problem.dataspaces]) - fixed.bypassed(level)

    def check(self, dim: str, bound: int) -> None:
        """Refuse factors of a dimension that do not come to its bound; `check_mapping` sees to whole ones below it."""
        loops = [
            (level.name, self.factors[slot][i][dim])
            for i, level in enumerate(self.architecture.levels)
            for slot in self.factors
            if self.factors[slot][i][dim] != _ONE
        ]
        last = 0
        for _, factor in reversed(loops):
            last = last * factor.end + factor.residual - 1
        for level, factor in loops:
            if not 1 <= factor.residual <= factor.end:
                raise InvalidMapping(
                    f"factor {dim}={factor.end},{factor.residual} at {level} has a residual of {factor.residual}; "
                    f"it must be from 1 to {factor.end}",
                    level,
                )
        whole = all(factor.end == factor.residual for _, factor in loops)
        if last + 1 == bound or (whole and last + 1 < bound):
            return
        if whole:
            raise InvalidMapping(f"factors of {dim} multiply to {last + 1}; they must multiply to its bound {bound}")
        spelled = ", ".join(f"{dim}={factor.end},{factor.residual} at {level}" for level, factor in reversed(loops))
        raise InvalidMapping(f"factors {spelled} come to {last + 1}; they must come to the bound of {dim}, {bound}")

    def exact(self, directive: Directive) -> dict[str, Factor]:
        """Factors that must be exact in a mapping."""
        found = read_factors(directive.fields.get("factors"), self.problem, directive.target)
        for dim, factor in found.items():
            if factor.sign != "=":
                raise directive.entry.error(
                    f"factor {dim}<={factor.end} of {directive.target} must be exact in a mapping"
                )
        return found

    def temporal(self, directive: Directive) -> None:
        self.factors["time"][directive.level] |= self.exact(directive)
        permutation = read_permutation(directive.fields.get("permutation"), self.problem, directive.target)
        self.order[directive.level] = complete(permutation, self.problem)

    def spatial(self, level: int, group: list[Directive]) -> None:
        """One level's spatial loops; several containers of one fan-out multiply, the innermost's loops innermost."""
        used: list[str] = []
        order = self.problem.dimensions
        for directive in group:
            factors = self.exact(directive)
            where = directive.target
            order = complete(read_permutation(directive.fields.get("permutation"), self.problem, where), self.problem)
            split = directive.fields["split"].integer(0) if "split" in directive.fields else len(order)
            for i, dim in enumerate(order):
                row = self.factors["x" if i < split else "y"][level]
                row[dim] = _outside(row[dim], factors.get(dim, _ONE))
            used += [dim for dim in order if factors.get(dim, _ONE).end > 1 and dim not in used]
        self.spatial_order[level] = order if len(group) == 1 else complete(tuple(used), self.problem)

    def on_container(self, directive: Directive) -> None:
        """A container stores nothing: it can neither loop in time nor keep anything."""
        if directive.kind == "temporal" and any(factor.end > 1 for factor in self.exact(directive).values()):
            raise NotSupported(
                f"{directive.entry.where}: {directive.target} has temporal loops, but is no storage level"
            )
        if directive.kind == "bypass" and read_dataspaces(directive.fields.get("keep"), self.problem, directive.target):
            raise NotSupported(f"{directive.entry.where}: {directive.target} keeps data, but is no storage level")

    def kept(self, directive: Directive) -> None:
        level = self.architecture.levels[directive.level]
        keep = read_dataspaces(directive.fields.get("keep"), self.problem, directive.target)
        bypass = read_dataspaces(directive.fields.get("bypass"), self.problem, directive.target)
        for name in keep:
            if name in bypass:
                raise directive.entry.error(f"{directive.target} both keeps and bypasses {name}; one is allowed")
            if name in level.bypass | self.dropped(level.name):
                raise InvalidMapping(
                    f"{directive.entry.where}: {level.name} is to keep {name}, which it bypasses in the architecture",
                    level.name,
                )
        self.bypass[directive.level] |= frozenset(bypass)


def _outside(inner: Factor, outer: Factor) -> Factor:
    """Two loops over one dimension, one directly around the other, as one."""
    return Factor("=", inner.end * outer.end, (outer.residual - 1) * inner.end + inner.residual)
