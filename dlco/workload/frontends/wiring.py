"""Which dataspace of which layer an operator's operands are, recorded as the network's course."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dlco.workload.graph import OUTSIDE, Course, Origin
from dlco.workload.layer import Layer


@dataclass(frozen=True)
class Read:
    """An operand of an operator.

    Attributes:
        origin: what it is made of.
        stored: whether it is a parameter, or computed from parameters alone.
    """

    origin: Origin
    stored: bool = False


def made_of(course: Course, origins: Iterable[Origin], *, joins: bool, by_element: bool) -> Origin:
    """The origin of what an operator without layers makes of operands, where that is known.

    Args:
        course: that is recorded.
        origins: of the operands.
        joins: whether it puts them side by side.
        by_element: whether it computes each element from one of each.
    """
    some = [origin for origin in origins if origin]
    if len(some) <= 1:
        return some[0] if some else frozenset()
    if joins:
        return course.moved(some)
    return course.computed(some) if by_element else left(course, some)


def left(course: Course, origins: Iterable[Origin]) -> Origin:
    """Record that something no layer stands for reads these, and that its result is not known to be any layer's."""
    for origin in origins:
        course.leave(origin)
    return frozenset([OUTSIDE])


def run_layers(course: Course, layers: Sequence[Layer], operands: Sequence[Read], times: int = 1) -> Origin:
    """Record the layers of one operator; the origin of its result.

    An operator of one layer has its first computed operand as "Inputs" and its second as "Weights"; of a pair of
    statistics and their use, and of attention, the layers read each other. Of other products of several operands it is
    not recorded what reads which: all of them go through DRAM.

    Args:
        course: that is recorded.
        layers: in order.
        operands: of the operator, those that are data: not the shape of a window, or a bias.
        times: runs of them, one after the other.
    """
    kinds = [layer.name.rpartition(".")[2] for layer in layers]
    computed = [operand.origin for operand in operands if not operand.stored]
    if len(layers) == 1 and len(computed) <= 2:
        return course.run(dict(zip(("Inputs", "Weights"), computed, strict=False)), layers[0].count * times)
    if kinds == ["statistics", "apply"]:
        return _normalised(course, operands[0].origin, times)
    if kinds in (["scores", "values"], ["scores", "statistics", "apply", "values"]) and len(operands) == 3:
        query, key, value = (operand.origin for operand in operands)
        shares = course.run({"Inputs": query, "Weights": key}, times)
        if len(layers) == 4:
            shares = _normalised(course, shares, times)
        return course.run({"Inputs": shares, "Weights": value}, times)
    for origin in computed:
        course.leave(origin)
    last: Origin = frozenset()
    for layer in layers:
        course.leave(last)
        last = course.run({}, layer.count * times)
    return last


def _normalised(course: Course, origin: Origin, times: int) -> Origin:
    figures = course.run({"Inputs": origin}, times)
    return course.run({"Inputs": origin, "Weights": figures}, times)
