"""The components of a Timeloop architecture, from v0.3's tree or v0.4's list of nodes, outermost first."""

import logging
import re
from dataclasses import dataclass, replace

from dlco.errors import NotSupported
from dlco.timeloop import attributes as attr
from dlco.timeloop.document import Entry
from dlco.timeloop.expressions import Symbols, numbers, resolve

logger = logging.getLogger("dlco")

_STORAGE = ("DRAM", "SRAM", "regfile", "smartbuffer", "storage")
_COMPUTE = ("mac", "compute")
_NETWORK = ("XY_NoC", "Legacy", "ReductionTree", "SimpleMulticast")
_COMPONENT_KEYS = (
    *("attributes", "spatial", "constraints", "subclass", "enabled", "required_actions", "area_scale"),
    *("energy_scale", "sparse_optimizations"),
)
_TAGS = ("Component", "Container", "Hierarchical", "Parallel", "Pipelined", "Nothing")
_MOST_COMPONENTS = 1000
_MOST_INSTANCES = 2**31 - 1


@dataclass(frozen=True)
class Component:
    """A storage or compute component with its place in the machine.

    Attributes:
        name, component_class: as written, without an instance range.
        attributes: what it is given, inherited ones included.
        instances, mesh_x: of the whole machine, and along X.
        bypass: dataspaces that it is declared not to keep.
        entry: where it stands.
    """

    name: str
    component_class: str
    attributes: attr.Attributes
    instances: int
    mesh_x: int
    bypass: frozenset[str]
    entry: Entry

    @property
    def mesh_y(self) -> int:
        """Instances along Y."""
        return self.instances // self.mesh_x

    @property
    def is_compute(self) -> bool:
        """Whether it is a MAC, not a storage level."""
        return not _is_a(self.component_class, _STORAGE)


@dataclass(frozen=True)
class Description:
    """What an architecture file says.

    Attributes:
        name: of the whole.
        components: storage levels and the MAC, outermost first.
        containers: of v0.4's containers with a fan-out, outermost first: the storage level that they fan out from.
        cycle_s: seconds a cycle.
    """

    name: str
    components: list[Component]
    containers: dict[str, str]
    cycle_s: float


def describe(entry: Entry, variables: Symbols | None = None) -> Description:
    """What the value of `architecture` says.

    Args:
        entry: the value.
        variables: numbers that v0.4's expressions may name; `global_cycle_seconds` is the cycle, unless a container
            has another.

    Raises:
        InvalidInput: a missing or unknown key or attribute, or a value out of range.
        NotSupported: an attribute or component that changes results and that dlco does not model.
    """
    keys = entry.mapping()
    if "nodes" in keys:
        fields = entry.fields(["nodes"], ["version", "attributes"])
        walk = _Nodes(variables or {})
        walk.visit(fields["nodes"], parallel=False, elsewhere=frozenset())
        return Description(walk.name, walk.components, walk.containers, walk.cycle_s)
    return _tree(entry.fields(["subtree"], ["version", "nodes"])["subtree"])


def _tree(subtree: Entry) -> Description:
    """The components of v0.3's tree: each subtree one node, whose local components come outermost first."""
    components: list[Component] = []
    instances, name, cycle_s = 1, "", 1e-9
    below: Entry | None = subtree
    while below is not None:
        nodes = below.items()
        if len(nodes) != 1:
            raise below.error(f"subtree has {len(nodes)} nodes; it must have one")
        node = nodes[0].fields(["name"], ["attributes", "local", "subtree", "class"])
        own_name, count = _ranged(node["name"])
        instances *= count
        name = name or own_name
        if "attributes" in node:
            given = node["attributes"].mapping()
            cycle_s = _cycle(given, cycle_s)
            for key in sorted({*attr.STORAGE, *attr.COMPUTE} & set(given)):
                logger.warning("%s: %s of %s has no effect on what it holds", given[key].where, key, own_name)
        for local in node["local"].items() if "local" in node else ():
            component = _component(local, instances, None, {})
            components += [component] if component else []
        _check_count(components, below)
        below = node.get("subtree")
    return Description(name, components, {}, cycle_s)


class _Nodes:
    """Walks v0.4's nodes: containers multiply the instances of all that follows and hand attributes down."""

    def __init__(self, variables: Symbols) -> None:
        self.name = ""
        self.components: list[Component] = []
        self.containers: dict[str, str] = {}
        self.cycle_s = variables.get("global_cycle_seconds") or 1e-9
        self._symbols = dict(variables)
        self._keeps: dict[int, frozenset[str]] = {}
        self._mesh = (1, 1)
        self._inherited: attr.Attributes = {}
        self._visited = 0

    def visit(self, nodes: Entry, parallel: bool, elsewhere: frozenset[str]) -> None:
        """Take the nodes of a branch; `elsewhere` are the dataspaces that !Parallel nodes beside it keep."""
        kept = {id(node): self._kept(node) for node in nodes.items()} if parallel else {}
        for node in nodes.items():
            self._visited += 1
            if self._visited > _MOST_COMPONENTS:
                raise node.error(f"architecture has more than {_MOST_COMPONENTS} nodes")
            if node.tag not in _TAGS:
                raise node.error(f"node has the tag {node.tag!r}; allowed: {', '.join('!' + tag for tag in _TAGS)}")
            others = elsewhere.union(*(spaces for key, spaces in kept.items() if key != id(node)))
            both = others & kept.get(id(node), frozenset())
            if both - elsewhere:
                raise node.error(f"{', '.join(sorted(both))} kept in two branches of one !Parallel; one may keep it")
            if node.tag in ("Hierarchical", "Parallel", "Pipelined"):
                self.visit(node.fields(["nodes"], ["name"])["nodes"], node.tag == "Parallel", others)
            elif node.tag != "Nothing":
                self._leaf(self._resolved(node), parallel, others)

    def _kept(self, node: Entry) -> frozenset[str]:
        """The dataspaces that a node and those inside it are declared to keep; what aliases share is read once."""
        key = id(node.value)
        if isinstance(node.value, dict) and key not in self._keeps:
            self._keeps[key] = _dataspaces(node.value, "keep")
            inside = node.value["nodes"].items() if "nodes" in node.value else []
            self._keeps[key] = self._keeps[key].union(*map(self._kept, inside))
        return self._keeps.get(key, frozenset())

    def _resolved(self, node: Entry) -> Entry:
        """A node with numbers for the expressions in its attributes and its mesh."""
        keys = dict(node.mapping())
        for name in ("attributes", "spatial"):
            if name in keys:
                keys[name] = resolve(keys[name], self._symbols)
        return replace(node, value=keys)

    def _leaf(self, node: Entry, parallel: bool, elsewhere: frozenset[str]) -> None:
        is_container = node.tag == "Container"
        required = ["name"] if is_container else ["name", "class"]
        fields = node.fields(required, (*_COMPONENT_KEYS, "networks"))
        if "enabled" in fields and not fields["enabled"].flag():
            return
        name = fields["name"].text()
        x, y = _mesh(fields.get("spatial"))
        if x * y > 1:
            if parallel:
                raise node.error(f"{name} fans out within !Parallel nodes; a fan-out must be outside them")
            storage = [component.name for component in self.components if not component.is_compute]
            if not storage:
                raise NotSupported(f"{node.where}: {name} fans out above all storage; the outermost level must be one")
            self.containers[name] = storage[-1]
            self._mesh = (self._mesh[0] * x, self._mesh[1] * y)
        if is_container:
            self.name = self.name or (name if not self.components else "")
            if "attributes" in fields:
                given = attr.known_attributes(fields["attributes"], name, attr.STORAGE + attr.COMPUTE, loose=True)
                self._inherited = self._inherited | given
                self._symbols |= numbers(fields["attributes"])
                self.cycle_s = _cycle(given, self.cycle_s)
            return
        component = _component(node, self._mesh[0] * self._mesh[1], self._mesh[0], self._inherited)
        if component is not None:
            self.components.append(replace(component, bypass=component.bypass | elsewhere))


def _component(entry: Entry, instances: int, mesh_x: int | None, inherited: attr.Attributes) -> Component | None:
    """A storage or compute component, or None for what Timeloop passes over."""
    fields = entry.fields(["name", "class"], _COMPONENT_KEYS)
    name, count = _ranged(fields["name"])
    component_class = fields["class"].text()
    if "enabled" in fields and not fields["enabled"].flag():
        return None
    if _is_a(component_class, _NETWORK):
        raise NotSupported(f"{entry.where}: {name} is a network of class {component_class}; dlco does not model it")
    if not _is_a(component_class, (*_STORAGE, *_COMPUTE)):
        logger.warning("%s: %s of class %s is no storage and no MAC: passed over", entry.where, name, component_class)
        return None
    own = attr.STORAGE if _is_a(component_class, _STORAGE) else attr.COMPUTE
    attributes = {key: value for key, value in inherited.items() if key in own or key in attr.HARMLESS}
    if "attributes" in fields:
        attributes |= attr.known_attributes(fields["attributes"], name, own, loose=mesh_x is not None)
    if mesh_x is None:
        instances, mesh_x = _instances(attributes, instances * count, name, entry)
    if instances > _MOST_INSTANCES:
        raise entry.error(f"{name} has {instances} instances; there may be {_MOST_INSTANCES}")
    return Component(name, component_class, attributes, instances, mesh_x, _bypass(fields), entry)


def _instances(attributes: attr.Attributes, instances: int, name: str, entry: Entry) -> tuple[int, int]:
    """Instances in all and along X; by default all of them lie along X."""
    if "instances" in attributes:
        instances = attributes["instances"].integer()
    x = attributes["meshX"].integer() if "meshX" in attributes else None
    y = attributes["meshY"].integer() if "meshY" in attributes else None
    if instances % (x or 1) or instances % (y or 1) or (x and y and x * y != instances):
        mesh = " and ".join(f"mesh{axis} {n}" for axis, n in (("X", x), ("Y", y)) if n)
        raise entry.error(f"{name} has {mesh}; they must make up its {instances} instances")
    return instances, x or instances // (y or 1)


def _bypass(fields: dict[str, Entry]) -> frozenset[str]:
    return _dataspaces(fields, "bypass")


def _dataspaces(keys: dict[str, Entry], which: str) -> frozenset[str]:
    """The list `keep` or `bypass` of a node's constraints."""
    constraints = keys.get("constraints")
    dataspace = constraints.mapping().get("dataspace") if constraints and constraints.value is not None else None
    given = dataspace.mapping().get(which) if dataspace and dataspace.value is not None else None
    return frozenset(given.texts()) if given and given.value is not None else frozenset()


def _mesh(spatial: Entry | None) -> tuple[int, int]:
    fields = spatial.fields(optional=["meshX", "meshY"]) if spatial else {}
    return (
        fields["meshX"].integer() if "meshX" in fields else 1,
        fields["meshY"].integer() if "meshY" in fields else 1,
    )


def _cycle(attributes: attr.Attributes, default: float) -> float:
    given = attributes.get("global_cycle_seconds")
    return given.number(positive=True) if given and given.value is not None else default


def _ranged(entry: Entry) -> tuple[str, int]:
    """Name and count of "PE[0..167]"."""
    text = entry.text()
    match = re.fullmatch(r"([^\[\]]+?)\s*(?:\[\s*(\d{1,18})\s*\.\.\s*(\d{1,18})\s*\])?", text)
    if match is None or (match[2] and int(match[3]) < int(match[2])):
        raise entry.error(f"name is {entry.shown}; it must be a name, with a range such as PE[0..15] for instances")
    return match[1], int(match[3]) - int(match[2]) + 1 if match[2] else 1


def _check_count(components: list[Component], entry: Entry) -> None:
    if len(components) > _MOST_COMPONENTS:
        raise entry.error(f"architecture has more than {_MOST_COMPONENTS} components")


def _is_a(component_class: str, names: tuple[str, ...]) -> bool:
    return any(name in component_class for name in names)
