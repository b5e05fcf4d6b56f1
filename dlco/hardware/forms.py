"""Products of powers of sizes, their sums, and the larger of such sums: what a limit on sizes may be made of.

A `Form` is `max(p_1, ..., p_n) ^ root` of posynomials p_i (sums of monomials). With root > 0 its logarithm is convex in
the logarithms of the sizes, with root < 0 concave, and that of one monomial is both. "At most" of a convex one and a
concave one says that posynomials are at most monomials, which a geometric program takes (Boyd et al., "A tutorial on
geometric programming", 2007, sections 3 and 5.3).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import inf, isfinite
from typing import NamedTuple

from dlco.errors import InvalidInput

Exponents = tuple[tuple[str, float], ...]
MOST = 60  # monomials of one form: sums multiplied out grow fast
STEEPEST = 1000.0  # exponent


class Monomial(NamedTuple):
    """`coefficient` (above 0) times the product of sizes to their exponents: by name, ascending, none of them 0."""

    coefficient: float
    exponents: Exponents = ()

    def __mul__(self, other: "Monomial") -> "Monomial":  # type: ignore[override]
        powers = dict(self.exponents)
        for name, exponent in other.exponents:
            powers[name] = powers.get(name, 0.0) + exponent
        return monomial(self.coefficient * other.coefficient, powers.items())

    def __pow__(self, exponent: float) -> "Monomial":
        return monomial(_raised(self.coefficient, exponent), ((name, e * exponent) for name, e in self.exponents))


def monomial(coefficient: float, exponents: Iterable[tuple[str, float]] = ()) -> Monomial:
    """The monomial of these in its one form; `InvalidInput` for a coefficient that is no finite number above 0."""
    if not (isfinite(coefficient) and coefficient > 0):
        raise InvalidInput(f"a limit on sizes holds the number {coefficient:g}; its numbers must be finite and above 0")
    powers = tuple(sorted((name, float(e)) for name, e in exponents if e))
    if not all(abs(e) <= STEEPEST for _, e in powers):
        raise InvalidInput(f"a limit on sizes has an exponent beyond {STEEPEST:g}, which is the largest that goes")
    return Monomial(float(coefficient), powers)


Posynomial = tuple[Monomial, ...]
"""A sum of monomials of different exponents, ascending by these."""


def summed(terms: Iterable[Monomial]) -> Posynomial:
    """The sum in its one form: terms of the same exponents added up."""
    total: dict[Exponents, float] = {}
    for term in terms:
        total[term.exponents] = total.get(term.exponents, 0.0) + term.coefficient
    # those with sizes first, a plain number last
    return tuple(Monomial(total[key], key) for key in sorted(total, key=lambda key: (not key, key)))


@dataclass(frozen=True)
class Form:
    """`max(parts) ^ root`, see the module; a single monomial has the root 1.

    Raises:
        InvalidInput: more than `MOST` monomials.
    """

    parts: tuple[Posynomial, ...]
    root: float = 1.0

    def __post_init__(self) -> None:
        if sum(map(len, self.parts)) > MOST:
            raise _too_long()

    @staticmethod
    def of(term: Monomial) -> "Form":
        """A monomial."""
        return Form(((term,),))

    @property
    def single(self) -> Monomial | None:
        """The monomial that it is, or None."""
        return self.parts[0][0] if len(self.parts) == 1 and len(self.parts[0]) == 1 else None

    def rooted(self, root: float) -> "Form | None":
        """The same with another root, or None: a sum has only its own, monomials have all of one sign."""
        if root == self.root:
            return self
        if any(len(part) > 1 for part in self.parts):
            return None
        if root * self.root < 0 and len(self.parts) > 1:
            return None
        return Form(tuple((part[0] ** (self.root / root),) for part in self.parts), root)

    def __add__(self, other: "Form") -> "Form":
        left, right = self.rooted(1.0), other.rooted(1.0)
        if left is None or right is None:
            raise InvalidInput(f"{_named(self if left is None else other)} is added to something{_ALLOWED}")
        return Form(_distinct(summed((*a, *b)) for a, b in product(left.parts, right.parts)))

    def __mul__(self, other: "Form") -> "Form":
        one, two = self, other.rooted(self.root)
        if two is None:
            rooted = self.rooted(other.root)
            if rooted is None:
                raise InvalidInput(f"{_named(self)} is multiplied by {_named(other)}{_ALLOWED}")
            one, two = rooted, other
        pairs = list(product(one.parts, two.parts))
        if sum(len(a) * len(b) for a, b in pairs) > 100 * MOST:
            raise _too_long()
        return _normal(_distinct(summed(x * y for x, y in product(a, b)) for a, b in pairs), one.root)

    def __truediv__(self, other: "Form") -> "Form":
        return self * other**-1.0

    def __pow__(self, exponent: float) -> "Form":
        if not abs(exponent) <= STEEPEST:
            raise InvalidInput(f"a limit on sizes has the exponent {exponent:g}; it must be within {STEEPEST:g}")
        if exponent == 0:
            return Form.of(Monomial(1.0))
        root = self.root * exponent
        if root <= 1 or root != int(root) or all(len(part) == 1 for part in self.parts):
            return _normal(self.parts, root)
        base, power = Form(self.parts), Form(self.parts)
        for _ in range(int(root) - 1):
            power = power * base
        return power


def largest(forms: Iterable[Form]) -> Form:
    """The largest of some forms; `InvalidInput` where that has no form."""
    return _picked(list(forms), "max")


def smallest(forms: Iterable[Form]) -> Form:
    """The smallest of some forms; `InvalidInput` where that has no form."""
    return _picked([form**-1.0 for form in forms], "min") ** -1.0


def at_most(left: Form, right: Form) -> list[tuple[Posynomial, Monomial]]:
    """What `left <= right` says: pairs of a posynomial and a monomial that it is at most.

    Raises:
        InvalidInput: left is not convex in the logarithms, or right not concave.
    """
    if left.root < 0:
        raise InvalidInput(f"{_named(left)} is to be at most something{_ALLOWED}")
    if right.single is None and right.root > 0:
        raise InvalidInput(f"{_named(right)} is to be at least something{_ALLOWED}")
    most = right.single
    if most is None:  # both sides times the reciprocal of the right one, to such a power that this is a sum
        left, most = _either(lambda power: left**power * right**-power, 1 / left.root, -1 / right.root), Monomial(1.0)
    most = most ** (1 / left.root)
    return [_reduced(part, most) for part in left.parts]


def _either(make: Callable[[float], Form], first: float, second: float) -> Form:
    """What is made of one number or, where that has no form, of another."""
    try:
        return make(first)
    except InvalidInput as error:
        try:
            return make(second)
        except InvalidInput:
            raise error from None


def _reduced(left: Posynomial, right: Monomial) -> tuple[Posynomial, Monomial]:
    """The one form of an inequality: no common factor, no division, and 1 as the first coefficient of a size."""
    names = {name for term in (*left, right) for name, _ in term.exponents}
    least = {n: min(dict(term.exponents).get(n, 0.0) for term in (*left, right)) for n in names}
    by = Monomial(1.0, tuple(sorted((name, -e) for name, e in least.items() if e)))
    left, right = summed(term * by for term in left), right * by
    first = left[0].coefficient if left[0].exponents else right.coefficient
    return (
        tuple(monomial(term.coefficient / first, term.exponents) for term in left),
        monomial(right.coefficient / first, right.exponents),
    )


def _picked(forms: list[Form], what: str) -> Form:
    """The largest of forms, all of one root above 0."""
    roots = [form.root for form in forms if any(len(part) > 1 for part in form.parts)]
    rooted = [form.rooted(roots[0] if roots else 1.0) for form in forms]
    parts = [part for form in rooted if form is not None for part in form.parts]
    if None in rooted or any(root < 0 for root in roots):
        raise InvalidInput(f"a limit on sizes takes the {what} of what has no such form{_ALLOWED}")
    return _normal(_distinct(parts), roots[0] if roots else 1.0)


def _normal(parts: tuple[Posynomial, ...], root: float) -> Form:
    """The form, with the root 1 or -1 where every part is one monomial (1 where all is one)."""
    form = Form(parts, root)
    if any(len(part) > 1 for part in parts):
        return form
    plain = form.rooted(1.0 if root > 0 or len(parts) == 1 else -1.0)
    assert plain is not None
    return plain


def _distinct(parts: Iterable[Posynomial]) -> tuple[Posynomial, ...]:
    return tuple(dict.fromkeys(parts))


def _raised(base: float, exponent: float) -> float:
    try:
        return float(base**exponent)
    except OverflowError:
        return inf


def _too_long() -> InvalidInput:
    return InvalidInput(f"a limit on sizes has more than {MOST} products when it is multiplied out; write less")


def _named(form: Form) -> str:
    """What a form is, in words."""
    if form.root < 0:
        return "a minimum, or one over a sum," if form.root == -1 else "a root or power of one over a sum"
    if form.root != 1:
        return "a root of a sum"
    return "a sum or maximum" if form.single is None else "a product"


_ALLOWED = (
    "; allowed is: sums, products, powers and max of sizes and numbers above 0, "
    "at most (<=) a product, or a min of products"
)
