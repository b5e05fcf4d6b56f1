"""Timeloop's constraints on mappings, of the map space and of the architecture, as `Constraints`."""

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Table
from dataclasses import dataclass, replace
from math import prod

from dlco.hardware.architecture import Architecture
from dlco.mapping.constraints import Constraints, SlotConstraint
from dlco.timeloop.architecture import TOP_KEYS, container_names
from dlco.timeloop.document import Entry, Source, load
from dlco.timeloop.loops import Directive, read_dataspaces, read_directive, read_factors, read_permutation
from dlco.workload.problem import Problem

_INLINE = ("temporal", "spatial", "dataspace")
_V4 = ("constraints", "extra_mapping_constraints")


def read_constraints(
    source: Source, problem: Problem, architecture: Architecture, containers: Table[str, str] | None = None
) -> Constraints:
    """What a document fixes of the mappings to be searched.

    Read are `architecture_constraints`, `mapspace_constraints` (or `mapspace: constraints`), v0.4's `constraints`, and
    those that it writes into the nodes of `architecture`. A permutation fixes the innermost loops; `C=4` fixes a
    factor and `C<=4` limits it; a split puts the dimensions before it along X and those after it along Y.

    Args:
        source: path or text of a YAML document with at least one of these.
        problem: its dimensions and dataspaces are what the constraints speak of.
        architecture: its levels are what they target.
        containers: as in `read_mapping`.

    Raises:
        InvalidInput: not such a document, two constraints on one thing, or constraints that nothing can meet.
        NotSupported: a kind of constraint that dlco does not model.
    """
    top = load(source, "constraints").fields([], TOP_KEYS)
    containers = dict(container_names(architecture)) if containers is None else containers
    slots: dict[tuple[str, str], SlotConstraint] = {}
    fanouts: dict[str, dict[str, _Spatial]] = {}
    bypass: dict[str, frozenset[str]] = {}
    for entry in _entries(top):
        directive = read_directive(entry, architecture, containers)
        level = architecture.levels[directive.level].name
        if directive.kind == "bypass":
            read_dataspaces(directive.fields.get("keep"), problem, directive.target)
            names = read_dataspaces(directive.fields.get("bypass"), problem, directive.target)
            if names and not directive.depth:
                bypass[level] = bypass.get(level, frozenset()) | frozenset(names)
        elif directive.kind == "spatial":
            parts = fanouts.setdefault(level, {})
            parts[directive.target] = _joined(parts.get(directive.target), _spatial(directive, problem, level), entry)
        elif not directive.depth:
            known = slots.get((level, "temporal"), SlotConstraint(level, "temporal"))
            slots[level, "temporal"] = _merged(known, _slot(directive, problem, level), entry)
    for level, parts in fanouts.items():
        inside = [name for name, outer in containers.items() if outer == level]
        free = max(0, len(inside) - len(parts)) if set(parts) & set(inside) else 0
        slots[level, "spatial"] = _fanout(level, [*parts.values(), *[_Spatial(level, problem)] * free], problem)
    constraints = Constraints(tuple(slots.values()), tuple(bypass.items()))
    constraints.check(problem, architecture)
    return constraints


def _entries(top: dict[str, Entry]) -> Iterator[Entry]:
    """Every constraint of a document, as an entry with target and type."""
    for name in ("architecture_constraints", "mapspace_constraints", "mapspace", *_V4):
        section = top.get(name)
        if section is not None and isinstance(section.value, dict):
            fields = section.fields([], ["version", "targets", "constraints", "template", "type"])
            section = fields.get("targets") or fields.get("constraints")
        yield from section.items() if section else ()
    architecture = top.get("architecture")
    nodes = architecture.mapping().get("nodes") if architecture else None
    yield from _inline(nodes) if nodes else ()


def _inline(nodes: Entry) -> Iterator[Entry]:
    """The constraints that v0.4 writes into its nodes."""
    for node in nodes.items():
        keys = node.mapping()
        if "nodes" in keys:
            yield from _inline(keys["nodes"])
        if "constraints" not in keys or keys["constraints"].value is None or node.tag == "Nothing":
            continue
        for kind, entry in keys["constraints"].fields([], _INLINE).items():
            if "name" not in keys:
                raise node.error("node has constraints but no 'name'; it must be given")
            labels = {"target": keys["name"], "type": replace(entry, value=kind, name="type")}
            yield replace(entry, value=labels | entry.mapping())


def _slot(directive: Directive, problem: Problem, level: str) -> SlotConstraint:
    factors = read_factors(directive.fields.get("factors"), problem, directive.target)
    return SlotConstraint(
        level,
        directive.kind,
        exact=tuple((dim, factor) for dim, (sign, factor) in factors.items() if sign == "="),
        at_most=tuple((dim, factor) for dim, (sign, factor) in factors.items() if sign == "<="),
        innermost=read_permutation(directive.fields.get("permutation"), problem, directive.target),
    )


def _merged(known: SlotConstraint, more: SlotConstraint, entry: Entry) -> SlotConstraint:
    if known.innermost and more.innermost:
        raise entry.error(f"permutation {more.where} is given twice; once is allowed")
    return replace(
        more,
        exact=known.exact + more.exact,
        at_most=known.at_most + more.at_most,
        innermost=known.innermost or more.innermost,
    )


@dataclass(frozen=True)
class _Spatial:
    """What is fixed of the loops over one container, or over a level's children."""

    level: str
    problem: Problem
    slot: SlotConstraint | None = None
    split: int | None = None

    def axes(self, dim: str) -> set[str]:
        """Axes along which the dimension may be split up here."""
        slot, split = self.slot, self.split
        if slot and dict(slot.exact).get(dim) == 1:
            return set()
        if slot is None or split is None:
            return {"x", "y"}
        if dim in slot.innermost:
            return {"x" if slot.innermost.index(dim) < split else "y"}
        if split <= len(slot.innermost):
            return {"y"}
        return {"x"} if split >= len(self.problem.dimensions) else {"x", "y"}

    def factors(self, name: str) -> dict[str, int]:
        """The pairs `exact` or `at_most` of the slot, by dimension."""
        return dict(getattr(self.slot, name)) if self.slot else {}


def _spatial(directive: Directive, problem: Problem, level: str) -> _Spatial:
    split = directive.fields["split"].integer(0) if "split" in directive.fields else None
    return _Spatial(level, problem, _slot(directive, problem, level), split)


def _joined(known: _Spatial | None, more: _Spatial, entry: Entry) -> _Spatial:
    if known is None or known.slot is None or more.slot is None:
        return more
    if known.split is not None and more.split is not None:
        raise entry.error(f"split at {more.level} is given twice; once is allowed")
    slot = _merged(known.slot, more.slot, entry)
    return replace(more, slot=slot, split=more.split if known.split is None else known.split)


def _fanout(level: str, parts: Sequence[_Spatial], problem: Problem) -> SlotConstraint:
    """One fan-out's constraint: a factor is fixed or limited where every part of the fan-out says so."""
    tables = {name: [part.factors(name) for part in parts] for name in ("exact", "at_most")}
    limits = [exact | limit for exact, limit in zip(tables["exact"], tables["at_most"], strict=True)]
    axes = {dim: set[str]().union(*(part.axes(dim) for part in parts)) for dim in problem.dimensions}
    exact = {d: prod(t[d] for t in tables["exact"]) for d in axes if all(d in t for t in tables["exact"])}
    at_most = {d: prod(t[d] for t in limits) for d in axes if d not in exact and all(d in t for t in limits)}
    return SlotConstraint(
        level,
        "spatial",
        exact=tuple(exact.items()),
        at_most=tuple(at_most.items()),
        innermost=parts[0].slot.innermost if len(parts) == 1 and parts[0].slot else (),
        axis_x=tuple(dim for dim, along in axes.items() if along == {"x"}),
        axis_y=tuple(dim for dim, along in axes.items() if along == {"y"}),
    )
