"""The components of a Timeloop architecture, from v0.3's tree or v0.4's list of nodes, outermost first."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from dlco.errors import NotSupported
from dlco.timeloop import attributes as attr
from dlco.timeloop.document import Entry
from dlco.timeloop.expressions import Symbols, named, numbers, resolve
from dlco.timeloop.spelling import misspelt

logger = logging.getLogger("dlco")

_STORAGE = ("DRAM", "SRAM", "regfile", "smartbuffer", "storage")
_COMPUTE = ("mac", "compute")
_NETWORK = ("XY_NoC", "Legacy", "ReductionTree", "SimpleMulticast")
_GRIDS = ("XY_NoC", "Legacy")  # those that are as the inferred ones
_COMPONENT_KEYS = (
    *("attributes", "spatial", "constraints", "subclass", "enabled", "required_actions", "area_scale"),
    *("energy_scale", "sparse_optimizations"),
)
_NAME = "system"  # of nodes without a container around them all
_UNIT_KEYS = ("name", "attributes", "local", "subtree", "class")
_TAGS = ("Component", "Container", "Hierarchical", "Parallel", "Pipelined", "Nothing")
_MOST_COMPONENTS = 1000
_MOST_INSTANCES = 2**53

Mesh = tuple[int, int]  # instances along X and Y


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
        meshes: of the same containers: instances along X and Y.
        networks: of the same: attributes of networks that they have, or take from those around them.
        wires: attributes of v0.3's networks that are components, by name.
        cycle_s: seconds a cycle.
    """

    name: str
    components: list[Component]
    containers: dict[str, str]
    meshes: dict[str, Mesh]
    networks: dict[str, attr.Attributes]
    wires: dict[str, attr.Attributes]
    cycle_s: float


def describe(entry: Entry, variables: Symbols | None = None) -> Description:
    """What the value of `architecture` says.

    Args:
        entry: the value.
        variables: numbers that attributes may name (in v0.4 within expressions); `global_cycle_seconds` is the cycle
            of v0.4, unless a container has another.

    Raises:
        InvalidInput: a missing or unknown key or attribute, or a value out of range.
        NotSupported: an attribute or component that changes results and that dlco does not model.
    """
    keys = entry.mapping()
    if "nodes" in keys:
        fields = entry.fields(["nodes"], ["version"])
        walk = _Nodes(variables or {})
        walk.visit(fields["nodes"], parallel=False, elsewhere=frozenset())
        return Description(
            walk.name or _NAME, walk.components, walk.containers, walk.meshes, walk.networks, {}, walk.cycle_s
        )
    return _tree(entry.fields(["subtree"], ["version", "nodes", "constraints"])["subtree"], variables or {})


def _tree(subtree: Entry, variables: Symbols) -> Description:
    """The components of v0.3's tree: each subtree one node, whose local components come outermost first."""
    components: list[Component] = []
    wires: dict[str, attr.Attributes] = {}
    instances, name, cycle_s = 1, "", 1e-9
    below: Entry | None = subtree
    while below is not None:
        nodes = below.items()
        if len(nodes) != 1:
            raise below.error(f"subtree has {len(nodes)} nodes; it must have one")
        node = _looked_up(nodes[0], _UNIT_KEYS).fields(["name"], _UNIT_KEYS)
        own_name, count = _ranged(node["name"])
        instances *= count
        name = name or own_name
        if "attributes" in node:
            given = node["attributes"].mapping()
            cycle_s = _cycle(given, cycle_s)
            for key in sorted({*attr.STORAGE, *attr.COMPUTE, *attr.NETWORK} & set(given)):
                logger.warning("%s: %s of %s has no effect on what it holds", given[key].where, key, own_name)
        place = partial(_in_tree, instances)
        for local in node["local"].items() if "local" in node else ():
            known = _named(_looked_up(local, ("name", "class", *_COMPONENT_KEYS)), variables)
            if _is_grid(known):
                wires |= _wire(known, wires)
                continue
            component = _component(known, {}, place)
            components += [component] if component else []
        _check_count(components, below)
        below = node.get("subtree")
    return Description(name, components, {}, {}, {}, wires, cycle_s)


def _is_grid(entry: Entry) -> bool:
    """Whether a component is a network as Timeloop infers them, of a name of its own."""
    given = entry.mapping().get("class")
    return given is not None and given.value in _GRIDS


def _wire(entry: Entry, others: dict[str, attr.Attributes]) -> dict[str, attr.Attributes]:
    """Name and attributes of a network that is a component."""
    fields = entry.fields(["name", "class"], _COMPONENT_KEYS)
    name = _ranged(fields["name"])[0]
    if name in others:
        raise fields["name"].error(f"name is {name!r}; another network has it")
    given = attr.known_attributes(fields["attributes"], name, attr.COMPUTE) if "attributes" in fields else {}
    return {name: given}


def _looked_up(node: Entry, keys: tuple[str, ...]) -> Entry:
    """A node without the keys that Timeloop never looks up, but for those that look like one it does."""
    given = node.mapping()
    strange = [key for key in given if key not in keys and not misspelt(key, keys)]
    if strange:
        names = ", ".join(key[:60] for key in strange[:10])
        logger.warning("%s: nothing looks up %s in %s: passed over", given[strange[0]].where, names, node.name)
    return replace(node, value={key: value for key, value in given.items() if key not in strange})


def _named(node: Entry, variables: Symbols) -> Entry:
    """A component with numbers for the attributes that name a variable."""
    keys = node.mapping()
    if "attributes" not in keys:
        return node
    return replace(node, value=keys | {"attributes": named(keys["attributes"], variables)})


class _Nodes:
    """Walks v0.4's nodes: containers multiply the instances of all that follows and hand attributes down."""

    def __init__(self, variables: Symbols) -> None:
        self.name = ""
        self.components: list[Component] = []
        self.containers: dict[str, str] = {}
        self.meshes: dict[str, Mesh] = {}
        self.networks: dict[str, attr.Attributes] = {}
        self.cycle_s = variables.get("global_cycle_seconds") or 1e-9
        self._symbols = dict(variables)
        self._keeps: dict[int, frozenset[str]] = {}
        self._mesh: Mesh = (1, 1)
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
            self._keeps[key] = _dataspaces(node.value, "keep") | _dataspaces(node.value, "keep_only")
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
        required = ["name"] if node.tag == "Container" else ["name", "class"]
        fields = node.fields(required, (*_COMPONENT_KEYS, "networks"))
        if "enabled" in fields and not fields["enabled"].flag():
            return
        if "networks" in fields and not fields["networks"].empty:
            raise NotSupported(f"{fields['networks'].where}: networks are given; dlco does not model them")
        if node.tag == "Container":
            self._container(fields, parallel, node)
            return
        name = _ranged(fields["name"])[0]
        self._fan_out(_placed(_spatial(fields), None, (1, 1), fields["name"]), name, parallel, node)
        component = _component(node, self._inherited, self._in_nodes)
        if component is not None:
            mesh = component.mesh_x, component.mesh_y
            share = self._own_share(name, mesh) if mesh != self._mesh else (1, 1)
            if share != (1, 1):
                self._fans_out(name, share, parallel, node)
            self.components.append(replace(component, bypass=component.bypass | elsewhere))

    def _container(self, fields: dict[str, Entry], parallel: bool, node: Entry) -> None:
        name, count = _ranged(fields["name"])
        _check_dense(fields)
        modelled = attr.STORAGE + attr.COMPUTE
        given = attr.known_attributes(fields["attributes"], name, modelled) if "attributes" in fields else {}
        own = {key: given.pop(key) for key in attr.MESH if key in given}
        for key, entry in _spatial(fields).items():
            if key in own and own[key].number() != entry.number():
                raise entry.error(f"{name} has {key} {entry.shown} and the attribute {own[key].shown}; they must agree")
            own[key] = entry
        mesh = _placed(own, count if count > 1 else None, (1, 1), fields["name"])
        _check_range(own, count, fields["name"])
        if "attributes" in fields:
            self._inherited = self._inherited | given
        self._fan_out(mesh, name, parallel, node)
        self.name = self.name or (name if not self.components else "")
        if "attributes" in fields:
            self._symbols |= numbers(fields["attributes"])
            self.cycle_s = _cycle(given, self.cycle_s)

    def _in_nodes(self, given: attr.Attributes, name: Entry) -> Mesh:
        """Instances of a component: those of the containers around it, or more by its own account."""
        count = _ranged(name)[1]
        around = self._mesh
        instances = around[0] * around[1] * count
        mesh = _placed(given, instances if count > 1 else None, around, name)
        _check_range(given, instances if count > 1 else 1, name)
        for axis, own, outer in zip("XY", mesh, around, strict=True):
            if own % outer:
                raise name.error(
                    f"{name.text()} has {own} instances along {axis}; that must be a multiple of the {outer} of the "
                    "containers around it"
                )
        return mesh

    def _fan_out(self, mesh: Mesh, name: str, parallel: bool, node: Entry) -> None:
        """Multiply the instances of all that follows."""
        if mesh != (1, 1):
            self._fans_out(name, mesh, parallel, node)
            self._mesh = self._mesh[0] * mesh[0], self._mesh[1] * mesh[1]

    def _own_share(self, name: str, mesh: Mesh) -> Mesh:
        """What a component that counts itself adds to the fan-out of the storage level around it."""
        outer = next((one for one in reversed(self.components) if not one.is_compute), None)
        x, y = (outer.mesh_x, outer.mesh_y) if outer else (1, 1)
        for other, level in self.containers.items():
            if outer and level == outer.name and other != name:
                x, y = x * self.meshes[other][0], y * self.meshes[other][1]
        return max(1, mesh[0] // x), max(1, mesh[1] // y)

    def _fans_out(self, name: str, mesh: Mesh, parallel: bool, node: Entry) -> None:
        """Note how, and from which storage level, a node fans out."""
        if parallel:
            raise node.error(f"{name} fans out within !Parallel nodes; a fan-out must be outside them")
        storage = [component.name for component in self.components if not component.is_compute]
        if not storage:
            raise NotSupported(f"{node.where}: {name} fans out above all storage; the outermost level must be one")
        self.containers[name], self.meshes[name] = storage[-1], mesh
        known = (*attr.NETWORK, "word_bits", "word_width")
        self.networks[name] = {key: entry for key, entry in self._inherited.items() if key in known}


def _component(
    entry: Entry, inherited: attr.Attributes, place: Callable[[attr.Attributes, Entry], Mesh]
) -> Component | None:
    """A storage or compute component, or None for what Timeloop passes over; `place` says how many there are."""
    fields = entry.fields(["name", "class"], _COMPONENT_KEYS)
    name = _ranged(fields["name"])[0]
    component_class = fields["class"].text()
    if "enabled" in fields and not fields["enabled"].flag():
        return None
    _check_dense(fields)
    if _is_a(component_class, _NETWORK):
        raise NotSupported(f"{entry.where}: {name} is a network of class {component_class}; dlco does not model it")
    if not _is_a(component_class, (*_STORAGE, *_COMPUTE)):
        logger.warning("%s: %s of class %s is no storage and no MAC: passed over", entry.where, name, component_class)
        return None
    own = attr.STORAGE if _is_a(component_class, _STORAGE) else attr.COMPUTE
    passed_on = {*own, *attr.HARMLESS, *attr.NETWORK}
    attributes = {key: value for key, value in inherited.items() if key in passed_on}
    if "attributes" in fields:
        attributes |= attr.known_attributes(fields["attributes"], name, own)
    x, y = place(attributes, fields["name"])
    if x * y > _MOST_INSTANCES:
        raise entry.error(f"{name} has {x * y} instances; there may be {_MOST_INSTANCES}")
    return Component(name, component_class, attributes, x * y, x, _bypass(fields), entry)


def _in_tree(around: int, given: attr.Attributes, name: Entry) -> Mesh:
    """Instances of v0.3's local components: of the units around them, each as often as its range says."""
    return _placed(given, around * _ranged(name)[1], (1, 1), name)


def _placed(given: attr.Attributes, implied: int | None, around: Mesh, name: Entry) -> Mesh:
    """Instances along X and Y as the attributes `instances`, `meshX` and `meshY` have it.

    Args:
        given: attributes.
        implied: instances in all where no attribute says; None: as many as the mesh makes.
        around: the mesh where no attribute says; what is implied beyond it lies along X.
        name: the name of the node, for errors.
    """
    x, y, instances = (
        given[key].integer(maximum=_MOST_INSTANCES) if key in given else None for key in ("meshX", "meshY", "instances")
    )
    instances = instances or implied or (x or around[0]) * (y or around[1])
    y = y or (around[1] if x is None else None)
    if instances % (x or 1) or instances % (y or 1) or (x and y and x * y != instances):
        mesh = " and ".join(f"mesh{axis} {n}" for axis, n in (("X", x), ("Y", y)) if n)
        raise name.error(f"{_ranged(name)[0]} has {mesh}; they must make up its {instances} instances")
    x = x or instances // (y or 1)
    return x, instances // x


def _check_range(given: attr.Attributes, count: int, name: Entry) -> None:
    """Refuse attributes that say another number of instances than the range of the name."""
    if count > 1 and "instances" in given and given["instances"].integer(maximum=_MOST_INSTANCES) != count:
        raise name.error(f"{name.text()} has {given['instances'].shown} instances; by its range there are {count}")


def _bypass(fields: dict[str, Entry]) -> frozenset[str]:
    return (_dataspaces(fields, "bypass") | _dataspaces(fields, "bypass_only")) - {"*"}


def _dataspaces(keys: dict[str, Entry], which: str) -> frozenset[str]:
    """The list `keep`, `bypass` or the like of a node's constraints."""
    constraints = keys.get("constraints")
    dataspace = constraints.mapping().get("dataspace") if constraints and constraints.value is not None else None
    given = dataspace.mapping().get(which) if dataspace and dataspace.value is not None else None
    return frozenset(given.texts()) if given and given.value is not None else frozenset()


def _spatial(fields: dict[str, Entry]) -> dict[str, Entry]:
    """The mesh of v0.4's `spatial`."""
    return fields["spatial"].fields(optional=["meshX", "meshY"]) if "spatial" in fields else {}


def _cycle(attributes: attr.Attributes, default: float) -> float:
    given = attributes.get("global_cycle_seconds")
    return given.number(positive=True) if given and given.value is not None else default


def _ranged(entry: Entry) -> tuple[str, int]:
    """Name and count of "PE[0..167]"."""
    match = re.fullmatch(r"([^\[\]]+)(?:\[\s*(\d{1,18})\s*\.\.\s*(\d{1,18})\s*\])?", entry.text())
    if match is None or (match[2] and int(match[3]) < int(match[2])):
        raise entry.error(f"name is {entry.shown}; it must be a name, with a range such as PE[0..15] for instances")
    return match[1].rstrip(), int(match[3]) - int(match[2]) + 1 if match[2] else 1


def _check_count(components: list[Component], entry: Entry) -> None:
    if len(components) > _MOST_COMPONENTS:
        raise entry.error(f"architecture has more than {_MOST_COMPONENTS} components")


def _check_dense(fields: dict[str, Entry]) -> None:
    sparse = fields.get("sparse_optimizations")
    if sparse is not None and not sparse.empty:
        raise NotSupported(f"{sparse.where}: sparse_optimizations are given; dlco is dense")


def _is_a(component_class: str, names: tuple[str, ...]) -> bool:
    return any(name in component_class for name in names)
