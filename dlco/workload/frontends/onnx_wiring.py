"""What the tensors of an ONNX graph are made of, as its operators are walked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from dlco.workload.frontends.operators import Shape
from dlco.workload.frontends.wiring import Read, left, made_of, run_layers
from dlco.workload.graph import OUTSIDE, Course, Origin
from dlco.workload.layer import MULTIPLY, Layer

if TYPE_CHECKING:
    from onnx import NodeProto

_ELEMENTWISE = frozenset(
    "Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mul Or Pow Sub Sum Where Xor PRelu".split()
)
_JOINS = frozenset({"Concat"})
_QUANTISED = {"QLinearConv": (0, 3), "QLinearMatMul": (0, 3)}  # places of the operands


@dataclass
class Wires:
    """The origins of the tensors of a graph.

    Attributes:
        shapes: of all tensors that are known.
        stored: tensors that are parameters or computed from parameters alone; grows as the graph is walked.
        course: where layers are recorded.
        origins: of what operators computed; all else that is not stored comes from outside.
    """

    shapes: Mapping[str, Shape]
    stored: Mapping[str, str]
    course: Course = field(default_factory=Course)
    origins: dict[str, Origin] = field(default_factory=dict)

    def of(self, tensor: str) -> Origin:
        """The origin of a tensor."""
        return frozenset() if tensor in self.stored else self.origins.get(tensor, frozenset([OUTSIDE]))

    def run(self, node: "NodeProto", layers: Sequence[Layer]) -> None:
        """Record the layers that an operator stands for."""
        operands = self._operands(node, layers)
        if "Conv" in node.op_type:
            origin = self.course.run(dict(zip(("Inputs", "Weights"), map(self.of, operands), strict=True)))
        else:
            reads = [Read(self.of(operand), operand in self.stored) for operand in operands]
            origin = run_layers(self.course, layers, reads)
        if node.op_type == "Attention" and len(node.input) > 4:  # keys and values before these, from a cache
            for tensor in node.input:
                self.course.leave(self.of(tensor))
        self._set(node, origin)

    def compute(self, node: "NodeProto", inputs: Sequence[str], *, idle: bool) -> None:
        """Note what an operator without layers makes of its operands, where that is known.

        Args:
            node: the operator.
            inputs: all tensors that it reads, in its bodies too.
            idle: whether it computes nothing.
        """
        operands, kind = map(self.of, inputs[:1] if idle else inputs), node.op_type
        self._set(node, made_of(self.course, operands, joins=kind in _JOINS, by_element=kind in _ELEMENTWISE))

    def leave(self, node: "NodeProto", inputs: Sequence[str]) -> None:
        """Note an operator that no layer stands for and whose results are not known to be any layer's."""
        self._set(node, left(self.course, map(self.of, inputs)))

    def _operands(self, node: "NodeProto", layers: Sequence[Layer]) -> list[str]:
        """The tensors that an operator works on, the larger first where they are combined element by element."""
        if node.op_type in _QUANTISED:
            return [node.input[place] for place in _QUANTISED[node.op_type]]
        if node.op_type == "Einsum":
            return list(node.input)
        if node.op_type == "Attention":
            return list(node.input[:3])
        if layers[0].operation == "embed":
            return [node.input[1]]
        if layers[0].operation == MULTIPLY:
            return list(node.input[:2])
        if layers[0].operation in ("add", "scale"):
            return sorted(node.input[:2], key=lambda tensor: prod(self.shapes[tensor]), reverse=True)
        return list(node.input[:1])

    def _set(self, node: "NodeProto", origin: Origin) -> None:
        self.origins.update((output, origin) for output in node.output if output)
