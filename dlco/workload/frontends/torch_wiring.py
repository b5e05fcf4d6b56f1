"""What the nodes of a torch trace are made of: the origins of their tensors, as the trace is walked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch._ops import OpOverload
from torch.fx import GraphModule, Node
from torch.utils._pytree import arg_tree_leaves

from dlco.workload.frontends.wiring import Read, left, made_of, run_layers
from dlco.workload.graph import OUTSIDE, Course, Origin
from dlco.workload.layer import Layer

_JOINS = ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack")
"""Operators that put tensors side by side."""
_ELEMENTWISE = (
    *("add", "sub", "rsub", "mul", "div", "maximum", "minimum", "pow", "where", "masked_fill", "lerp", "addcmul"),
    *("addcdiv", "logical_and", "logical_or", "bitwise_and", "bitwise_or", "eq", "ne", "lt", "le", "gt", "ge", "atan2"),
)
"""Operators that compute each element of their result from one of each operand."""


@dataclass
class Wires:
    """The origins of the nodes of one graph.

    Attributes:
        course: where layers are recorded.
        origins: by node; of an input of the graph that is not there: from outside.
        times: how often the graph runs.
    """

    course: Course = field(default_factory=Course)
    origins: dict[Node, Origin] = field(default_factory=dict)
    times: int = 1

    def of(self, node: Node) -> Origin:
        """The origin of a node's value, all of its tensors together."""
        return self.origins.get(node, frozenset([OUTSIDE]) if node.op == "placeholder" else frozenset())

    def keep(self, node: Node) -> None:
        """Note that a node is a parameter, or computed from parameters alone."""
        self.origins[node] = frozenset()

    def run(self, node: Node, layers: Sequence[Layer], operands: Sequence[Node], stored: Mapping[Node, str]) -> None:
        """Record the layers that a node stands for."""
        reads = [Read(self.of(operand), operand in stored) for operand in operands]
        self._set(node, run_layers(self.course, layers, reads, self.times))

    def convolve(self, node: Node, operands: Sequence[Node]) -> None:
        """Record a convolution of the first operand by the second."""
        reads = dict(zip(("Inputs", "Weights"), map(self.of, operands), strict=True))
        self._set(node, self.course.run(reads, self.times))

    def take(self, node: Node) -> None:
        """Note an element of a node's value."""
        self.origins[node] = self.of(node.all_input_nodes[0])

    def compute(self, node: Node, kind: str) -> None:
        """Note what an operator without layers makes of its operands, where that is known."""
        operands = map(self.of, node.all_input_nodes)
        self._set(node, made_of(self.course, operands, joins=kind in _JOINS, by_element=kind in _ELEMENTWISE))

    def leave(self, node: Node) -> None:
        """Note an operator that no layer stands for and whose result is not known to be any layer's."""
        self._set(node, left(self.course, map(self.of, node.all_input_nodes)))

    def inside(self, pairs: Mapping[Node, Node], times: int = 1) -> "Wires":
        """The wires of a body whose inputs are nodes of this graph, run so many times."""
        if times * self.times == 1:
            return Wires(self.course, {inner: self.of(outer) for inner, outer in pairs.items()})
        for outer in pairs.values():
            self.course.leave(self.of(outer))
        return Wires(self.course, {}, times * self.times)

    def end(self, node: Node, body: GraphModule, inner: "Wires") -> None:
        """Note the result of a body that ran in the place of a node."""
        origin = inner.result(body) if inner.times == 1 else frozenset([OUTSIDE])
        self._set(node, origin)

    def result(self, body: GraphModule) -> Origin:
        """The origin of all results of a graph."""
        (last,) = (node for node in body.graph.nodes if node.op == "output")
        return self.course.moved(self.of(leaf) for leaf in arg_tree_leaves(*last.args) if isinstance(leaf, Node))

    def _set(self, node: Node, origin: Origin) -> None:
        self.origins[node] = origin
        if isinstance(node.target, OpOverload) and node.target._schema.is_mutable and node.args:
            if isinstance(node.args[0], Node):  # what is changed in place is the result from here on
                self.origins[node.args[0]] = origin
