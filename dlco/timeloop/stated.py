"""What a Timeloop document states of the mappings to be searched, as `Constraints`, for whatever problem comes.

v0.3 has sections of their own, of the architecture and of the map space; v0.4 writes constraints into its nodes too.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dlco.errors import InvalidInput, NotSupported
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import ALL, Constraints, SlotConstraint
from dlco.timeloop.document import Entry
from dlco.timeloop.targets import UNMODELLED, check_modelled, factor_matches, read_kind, read_target
from dlco.workload.problem import Problem

logger = logging.getLogger("dlco")

SECTIONS = ("arch_constraints", "architecture_constraints", "mapspace_constraints", "mapspace")  # of v0.3
SECTIONS_V4 = ("constraints", "extra_mapping_constraints")
_LOOPS = ("factors", "permutation", "factors_only", "no_iteration_over_dataspaces", "must_iterate_over_dataspaces")
_KEYS = {
    "temporal": _LOOPS,
    "spatial": (*_LOOPS, "split"),
    "dataspace": ("keep", "bypass", "keep_only", "bypass_only"),
}
_UNMODELLED = (*UNMODELLED, "maximize_dims", "default_max_factor", "default_min_factor", "remainders")
_MARGINS = {"max_overbooked_proportion": "proportion", "utilization": "min", "parallelism": "min"}  # 0 says nothing
_OTHER_KINDS = ("skew", "no_link_transfer", "no_multicast", "no_reduction", "no_multicast_no_reduction")
_FACTOR = re.compile(
    r"(?P<name>[A-Za-z_]\w*?)\s*(?P<sign><=|==?|(?=\d))\s*(?P<factor>\d{1,18})(?:,\s*(?P<rest>\d{1,18}))?(?![\w=])",
    re.ASCII,
)
_MOST, _MOST_NAMES = 1000, 200  # nodes or constraints, and names in a list: more are a fault, or a trap


def stated_constraints(
    top: dict[str, Entry],
    architecture: Architecture,
    containers: Sequence[tuple[str, str]],
    problem: Problem | None = None,
) -> Constraints:
    """All constraints of a document.

    Args:
        top: its keys.
        architecture: the machine that they are for.
        containers: (name, level it fans out from) of v0.4's containers, outermost first.
        problem: where it is known, permutations written without separators are read by its dimensions.

    Raises:
        InvalidInput: an unknown key, kind or target, or two constraints on one thing.
        NotSupported: a kind of constraint that dlco does not model.
    """
    old, new = (_Reader(architecture, containers, problem) for _ in range(2))
    for name in SECTIONS:
        for entry in _section(top.get(name)):
            old.directive(entry, strict=True)
    tree = top.get("architecture")
    keys = tree.mapping() if tree else {}
    for entry in _section(keys.get("constraints")):
        old.directive(entry, strict=True)
    for name in SECTIONS_V4:
        for entry in _section(top.get(name)):
            new.directive(entry, strict=False)
    if "nodes" in keys:
        new.nodes(keys["nodes"], parallel=False)
    return old.constraints().joined(new.constraints())


def _section(section: Entry | None) -> Iterator[Entry]:
    """The constraints of a section, which may be a list or hold one."""
    if section is not None and isinstance(section.value, dict):
        fields = section.fields([], ["version", "targets", "constraints", "template", "type"])
        section = fields.get("targets") or fields.get("constraints")
    if section is not None and section.value:
        yield from _few(section, _MOST)


class _Reader:
    """Collects constraints, one after the other."""

    def __init__(
        self, architecture: Architecture, containers: Sequence[tuple[str, str]], problem: Problem | None
    ) -> None:
        self.levels = [level.name for level in architecture.levels]
        self.architecture, self.problem = architecture, problem
        self.boxes = dict(containers)
        self.shared = {level for level in self.levels if list(self.boxes.values()).count(level) > 1}
        self.slots: dict[tuple[str, str, str], SlotConstraint] = {}
        self.bypass: dict[str, frozenset[str]] = {}
        self.keep: dict[str, frozenset[str]] = {}
        self.visited = 0

    def constraints(self) -> Constraints:
        return Constraints(tuple(self.slots.values()), tuple(self.bypass.items()), tuple(self.keep.items()))

    def directive(self, entry: Entry, *, strict: bool) -> None:
        """One entry of a section; `strict` refuses to hear the same thing twice, as Timeloop does in v0.3."""
        keys = entry.mapping()
        if "type" not in keys or not ("target" in keys or "name" in keys):
            entry.fields(["target", "type"], _KEYS["spatial"] + _KEYS["dataspace"], keys)
        target = keys["target" if "target" in keys else "name"]
        kind = keys["type"].text()
        fields = {key: value for key, value in keys.items() if key not in ("target", "name", "type")}
        if kind in _MARGINS or kind in _OTHER_KINDS:
            self._margin(replace(entry, value=fields), kind, target)
            return
        kind = read_kind(keys["type"])
        kind = "dataspace" if kind == "bypass" else kind
        level, container = self._place(target, kind)
        self._take(replace(entry, value=fields), kind, level, container, target.text(), strict)

    def nodes(self, nodes: Entry, parallel: bool) -> None:
        """The constraints that v0.4 writes into its nodes."""
        for node in nodes.items():
            self.visited += 1
            if self.visited > _MOST:
                raise node.error(f"architecture has more than {_MOST} nodes")
            if node.tag == "Nothing":
                continue
            keys = node.mapping()
            given = keys.get("constraints")
            if "enabled" in keys and not keys["enabled"].flag():
                continue
            if "nodes" in keys:
                self.nodes(keys["nodes"], parallel or node.tag == "Parallel")
            if given is None or not given.value:
                continue
            if "name" not in keys:
                raise node.error("node has constraints but no 'name'; it must be given")
            self._node(keys["name"], node.tag, given.fields([], [*_KEYS, *_MARGINS]), parallel)

    def _node(self, name: Entry, tag: str | None, groups: dict[str, Entry], parallel: bool) -> None:
        """The constraints of one node by kind."""
        own = name.text().partition("[")[0].strip()
        known = tag == "Container" or own in self.levels or own in self.boxes or own == self.architecture.mac_name
        for kind, entry in groups.items():
            if not entry.value:
                continue
            if kind in _MARGINS:
                self._margin(entry, kind, name)
            elif kind == "spatial" and own in self.boxes:
                self._take(entry, kind, *self._box(own), own, strict=False)
            elif kind != "spatial" and own in self.levels:
                self._take(entry, kind, own, "", own, strict=False)
            elif kind != "dataspace" or not parallel:
                self._take(entry, kind, None, "", own, strict=False, known=known)

    def _place(self, target: Entry, kind: str) -> tuple[str | None, str]:
        """(level, container) of a target: a name, or a level's number; no level where it stores nothing."""
        level, container = read_target(target, kind, self.architecture, self.boxes)
        if container:
            return self._box(container) if kind == "spatial" else (None, "")
        return level, ""

    def _box(self, name: str) -> tuple[str, str]:
        """(level, container) of a container: without its name where it is all of the fan-out."""
        level = self.boxes[name]
        return level, name if level in self.shared else ""

    def _margin(self, entry: Entry, kind: str, target: Entry) -> None:
        """Refuse a kind of constraint that is not modelled, unless it says nothing."""
        margin = entry.mapping().get(_MARGINS.get(kind, ""))
        if kind not in _MARGINS or (margin is not None and margin.value is not None and margin.number() > 0):
            raise NotSupported(f"{entry.where}: type is {kind!r} for {target.shown}; dlco does not model it")

    def _take(
        self,
        entry: Entry,
        kind: str,
        level: str | None,
        container: str,
        target: str,
        strict: bool,
        known: bool = True,
    ) -> None:
        """Take in one constraint; without a level it is on something that has no such loops and stores nothing."""
        fields = entry.fields([], _KEYS[kind], (*_UNMODELLED, "maximize_dims_capacity", "type", "target"))
        check_modelled(fields, _UNMODELLED, repr(target))
        if kind == "dataspace":
            self._dataspaces(entry, fields, level, target)
            return
        slot = self._slot(fields, level or target, kind, container, target)
        if level is None:
            more = [dim for dim, factor in slot.exact if factor > 1] + list(slot.rest)
            if more and known:
                raise entry.error(f"{target} is to loop over {', '.join(more)} ({kind}); it has no such loops")
            if not known or kind == "spatial":
                logger.warning("%s: %s constraints of %s have no effect: no such loops", entry.where, kind, target)
            return
        before = self.slots.get(slot.place)
        if before and strict:
            _check_anew(before, slot, entry)
        try:
            self.slots[slot.place] = before.joined(slot) if before else slot
        except InvalidInput as error:
            raise entry.error(str(error)) from None

    def _slot(self, fields: dict[str, Entry], level: str, kind: str, container: str, target: str) -> SlotConstraint:
        factors = {"=": dict[str, int](), "<=": dict[str, int]()}
        for key in ("factors", "factors_only"):
            for dim, sign, factor in _factors(fields.get(key), target):
                if factors[sign].setdefault(dim, factor) != factor:
                    raise fields[key].error(f"factors of {target} name {dim} twice; once is allowed")
        return SlotConstraint(
            level,
            kind,
            exact=tuple((dim, factor) for dim, factor in factors["="].items() if factor),
            at_most=tuple((dim, factor) for dim, factor in factors["<="].items()),
            innermost=self._permutation(fields.get("permutation"), target),
            rest=tuple(dim for dim, factor in factors["="].items() if not factor),
            split=fields["split"].integer(0) if "split" in fields else None,
            container=container,
            only="factors_only" in fields,
            without=tuple(_names(fields.get("no_iteration_over_dataspaces"))),
            within=tuple(_names(fields.get("must_iterate_over_dataspaces"))),
        )

    def _permutation(self, entry: Entry | None, target: str) -> tuple[str, ...]:
        """Dimensions of "CPM", "C, P, M" or [C, P, M], innermost first; letters of a word alone are dimensions."""
        if entry is None or not entry.value:
            return ()
        known = self.problem.sizes if self.problem else ()
        if isinstance(entry.value, list):
            words = [item.text() for item in _few(entry)]
        else:
            words = re.split(r"[\s,]+", entry.text())
            words = [letter for word in words for letter in word] if len(words) == 1 else words
            words = [entry.text()] if entry.text() in known else words
        dims = [dim for word in words for dim in ([word] if word in known or not known else word)]
        seen: set[str] = set()
        for dim in dims:
            if dim in seen:
                raise entry.error(f"permutation of {target} names {dim} twice; once is allowed")
            seen.add(dim)
        return tuple(dims)

    def _dataspaces(self, entry: Entry, fields: dict[str, Entry], level: str | None, target: str) -> None:
        names = {key: frozenset(_names(fields.get(key))) for key in _KEYS["dataspace"]}
        keep = names["keep"] | names["keep_only"] | ({ALL} if "bypass_only" in fields else frozenset())
        bypass = names["bypass"] | names["bypass_only"] | ({ALL} if "keep_only" in fields else frozenset())
        for name in sorted(keep & bypass):
            raise entry.error(f"{target} both keeps and bypasses {name}; one is allowed")
        if level is None:
            if keep:
                logger.warning("%s: %s stores nothing: its keep is passed over", entry.where, target)
            return
        for table, other, more in ((self.keep, self.bypass, keep), (self.bypass, self.keep, bypass)):
            for name in sorted(more & other.get(level, frozenset()) - {ALL}):
                raise entry.error(f"{target} both keeps and bypasses {name}; one is allowed")
            if more:
                table[level] = table.get(level, frozenset()) | more


def _factors(entry: Entry | None, target: str) -> Iterator[tuple[str, str, int]]:
    """(dimension, sign, factor) of "C=16 M<=8", "C16,M8" or ["C=16", "M=8"]; the sign is "=" or "<="."""
    for item in _few(entry) if entry and isinstance(entry.value, list) else [entry] if entry else []:
        for match in factor_matches(item, item.text(), _FACTOR, target):
            dim, factor = match["name"], int(match["factor"])
            if match["rest"]:
                raise NotSupported(
                    f"{item.where}: factors of {target} have {match[0]!r}; a residual is for mappings only"
                )
            if not factor and match["sign"] == "<=":
                raise item.error(f"factors of {target} have {dim}<=0; a limit must be at least 1")
            yield dim, "<=" if match["sign"] == "<=" else "=", factor


def _names(entry: Entry | None) -> list[str]:
    return [item.text() for item in _few(entry)] if entry and entry.value else []


def _few(entry: Entry, most: int = _MOST_NAMES) -> list[Entry]:
    """The entries of a list; raises `InvalidInput` if it is none, or beyond measure."""
    items = entry.items()
    if len(items) > most:
        raise entry.error(f"{entry.name} has {len(items)} entries; there may be {most}")
    return items


def _check_anew(known: SlotConstraint, more: SlotConstraint, entry: Entry) -> None:
    """Refuse a constraint that says what another said before."""
    for name in ("exact", "at_most"):
        for dim, _ in getattr(more, name):
            if dim in dict(getattr(known, name)):
                raise entry.error(f"{name} factors {more.where} name {dim!r} twice; once is allowed")
    for dim in more.rest:
        if dim in known.rest:
            raise entry.error(f"factors {more.where} name {dim!r} twice; once is allowed")
    if known.innermost and more.innermost:
        raise entry.error(f"permutation {more.where} is given twice; once is allowed")
    if known.split is not None and more.split is not None:
        raise entry.error(f"split at {more.level} is given twice; once is allowed")
