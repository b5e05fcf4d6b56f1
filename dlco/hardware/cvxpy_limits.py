"""Sizes of a machine as variables of cvxpy, and cvxpy's inequalities between them as limits.

Only what asks for a variable or states such an inequality loads this module, and with it cvxpy.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

import cvxpy as cp
import numpy as np

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.forms import Form, Monomial, largest, monomial, smallest
from dlco.hardware.limits import Limit, equal, total
from dlco.hardware.parameter import Parameter

Forms = np.ndarray
"""An array of `Form`s, of the shape of a cvxpy expression."""


@cache
def variables(base: Architecture, parameters: tuple[Parameter, ...]) -> dict[str, "cp.Variable"]:
    """A positive variable for every free size, by name: the same ones for equal machines with equal free sizes."""
    return {parameter.name: cp.Variable(name=parameter.name, pos=True) for parameter in parameters}


def to_limits(constraint: object, base: Architecture, parameters: tuple[Parameter, ...]) -> list[Limit]:
    """The limits that cvxpy's inequality (or equality between products) states.

    Args:
        constraint: of the sizes alone, such that cvxpy takes it in a log-log convex program.
        base: whose `variables` it is about,
        parameters: and these.

    Raises:
        InvalidInput: anything else.
    """
    names = {variable.id: name for name, variable in variables(base, parameters).items()}
    sizes = f"the space of {base.name!r}"
    if not isinstance(constraint, cp.constraints.constraint.Constraint):
        raise InvalidInput(
            f"limit is {constraint!r}; it must be an inequality (<= or >=) of cvxpy between the sizes of {sizes}, or a "
            "text"
        )
    if not isinstance(constraint, cp.constraints.Inequality | cp.constraints.Equality):
        raise InvalidInput(f"limit is {constraint}, a {type(constraint).__name__}; it must be an inequality (<= or >=)")
    for variable in constraint.variables():
        if variable.id not in names:
            raise InvalidInput(
                f"limit is {constraint}, where {variable.name()} is no size of {sizes}; its variables must be those "
                f'that this space gives, such as space["{next(iter(names.values()), "level.size")}"]'
            )
    walker = _Walker(names, str(constraint))
    left, right = np.broadcast_arrays(*(walker.forms(side) for side in constraint.args))
    same = isinstance(constraint, cp.constraints.Equality)
    read: Callable[[Form, Form], list[Limit]] = equal if same else Limit.between
    try:
        return [limit for a, b in zip(left.flat, right.flat, strict=True) for limit in read(a, b)]
    except InvalidInput as error:
        raise InvalidInput(f"limit is {constraint}: {error}") from None


class _Walker:
    """Reads expressions of cvxpy from the leaves up."""

    def __init__(self, names: dict[int, str], text: str) -> None:
        self.names, self.text = names, text

    def forms(self, node: Any) -> Forms:
        """The forms of an expression's entries."""
        if isinstance(node, cp.Variable):
            return _array(Form.of(monomial(1.0, [(self.names[node.id], 1.0)])))
        if isinstance(node, cp.Constant | cp.Parameter):
            return self.constants(node)
        name = type(node).__name__.removesuffix("Approx")
        if node.is_constant():
            return self.constants(node)
        if name not in _ATOMS:
            self.refuse(f"{type(node).__name__} is none of the functions that go: {', '.join(sorted(_WORDS))}")
        args = [self.forms(one) for one in node.args]
        try:
            found = _ATOMS[name](node, args)
        except InvalidInput as error:
            self.refuse(str(error))
        if found.shape != node.shape:
            found = found.reshape(node.shape, order="F")
        return found

    def constants(self, node: Any) -> Forms:
        """Numbers."""
        value = node.value
        if value is None:
            self.refuse(f"the parameter {node.name()} has no value")
        dense = np.asarray(value.todense() if hasattr(value, "todense") else value, dtype=float)
        found = np.empty(dense.shape, dtype=object)
        for index, entry in np.ndenumerate(dense):
            try:
                found[index] = Form.of(monomial(float(entry)))
            except InvalidInput as error:
                self.refuse(str(error))
        return found

    def refuse(self, why: str) -> NoReturn:
        """Raise `InvalidInput`."""
        raise InvalidInput(f"limit is {self.text}: {why}")


def _array(form: Form) -> Forms:
    found = np.empty((), dtype=object)
    found[()] = form
    return found


def _each(function: Callable[[list[Form]], Form], arrays: list[Forms]) -> Forms:
    """A function of the entries at each place."""
    same = np.broadcast_arrays(*arrays)
    found = np.empty(same[0].shape, dtype=object)
    for index in np.ndindex(found.shape):
        found[index] = function([one.item(*index) for one in same])
    return found


def _along(function: Callable[[list[Form]], Form], node: Any, array: Forms) -> Forms:
    """A function of the entries along the node's axis, or of all."""
    if node.axis is None:
        return _array(function(list(array.flat)))
    axes = node.axis if isinstance(node.axis, tuple) else (node.axis,)
    moved = np.moveaxis(array, axes, range(len(axes)))
    moved = moved.reshape(-1, *moved.shape[len(axes) :])
    return _each(function, list(moved))


def _times(forms: list[Form]) -> Form:
    found = Form.of(Monomial(1.0))
    for form in forms:
        found = found * form
    return found


def _matrix(arrays: list[Forms]) -> Forms:
    """The matrix product."""
    left, right = arrays
    a = left[None] if left.ndim == 1 else left
    b = right[:, None] if right.ndim == 1 else right
    found = np.empty((a.shape[0], b.shape[1]), dtype=object)
    for i, j in np.ndindex(found.shape):
        found[i, j] = total([x * y for x, y in zip(a[i], b[:, j], strict=True)])
    return found


def _product(node: Any, args: list[Forms]) -> Forms:
    """A product of numbers, or of matrices."""
    if args[0].ndim == 0 or args[1].ndim == 0:
        return _each(_times, args)
    return _matrix(args)


def _power_of(node: Any, args: list[Forms]) -> Forms:
    exponent = float(getattr(node.p, "value", node.p))
    return _each(lambda one: one[0] ** exponent, args[:1])


def _norm(node: Any, args: list[Forms]) -> Forms:
    p = float(node.p)
    return _along(lambda forms: total([form**p for form in forms]) ** (1 / p), node, args[0])


def _mean(node: Any, args: list[Forms]) -> Forms:
    weights = [float(w) for w in node.w]
    entries: list[Form] = list(args[0].flat)
    return _array(_times([form**w for form, w in zip(entries, weights, strict=True)]))


def _square_over(node: Any, args: list[Forms]) -> Forms:
    return _array(total([form**2.0 for form in args[0].flat]) / args[1].item())


def _laid(node: Any, args: list[Forms]) -> Forms:
    """Entries in other places: cvxpy says where they go when it is applied to their numbers."""
    entries = [form for array in args for form in array.flat]
    numbered, at = [], 0
    for array in args:
        numbered.append(np.arange(at, at + array.size, dtype=float).reshape(array.shape))
        at += array.size
    places = np.asarray(node.numeric(numbered)).round().astype(int)
    found = np.empty(places.shape, dtype=object)
    for index, place in np.ndenumerate(places):
        found[index] = entries[place]
    return found


_ATOMS: dict[str, Callable[[Any, list[Forms]], Forms]] = {
    "AddExpression": lambda node, args: _each(total, args),
    "multiply": lambda node, args: _each(_times, args),
    "MulExpression": _product,
    "DivExpression": lambda node, args: _each(lambda two: two[0] / two[1], args),
    "Power": _power_of,
    "power": _power_of,
    "maximum": lambda node, args: _each(largest, args),
    "minimum": lambda node, args: _each(smallest, args),
    "max": lambda node, args: _along(largest, node, args[0]),
    "min": lambda node, args: _along(smallest, node, args[0]),
    "Sum": lambda node, args: _along(total, node, args[0]),
    "Prod": lambda node, args: _along(_times, node, args[0]),
    "GeoMean": _mean,
    "geo_mean": _mean,
    "Pnorm": _norm,
    "pnorm": _norm,
    "quad_over_lin": _square_over,
    **dict.fromkeys(("Hstack", "Vstack", "Concatenate", "reshape", "transpose", "Promote", "broadcast_to"), _laid),
    **dict.fromkeys(("index", "special_index"), _laid),
}
_WORDS = ("+", "*", "/", "**", "sum", "prod", "max", "min", "maximum", "minimum", "sqrt", "geo_mean", "pnorm", "hstack")
