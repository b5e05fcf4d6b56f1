"""`WidthChoice`: what co-searches at several widths of words found, and which width is chosen."""

from dataclasses import dataclass
from math import log
from typing import Annotated, Any

from dlco.design.codec import check_word
from dlco.design.codesign import POINT, STATUSES, CoDesign, CoPoint, best_pairs
from dlco.design.document import Document
from dlco.design.objective import ACCURACY, Objective
from dlco.design.table import Table
from dlco.errors import InvalidInput
from dlco.workload.problem import check_positive_int

Bits = Annotated[int, check_positive_int]
NOT_SEARCHED = "not searched: the search was stopped before"


@dataclass(frozen=True)
class AtWidth:
    """What there is at one width.

    Attributes:
        word_bits: of an operand of the MACs.
        design: the best pair with words of that width; None where there is none, and `why` says why.
    """

    word_bits: Bits
    design: CoDesign | None
    why: str = ""


@dataclass(frozen=True)
class WidthChoice(Document):
    """A network, a machine and a width of words, and the best pair at every other width.

    Attributes:
        status: one of `dlco.design.codesign.STATUSES`; `message` says in a sentence what that means.
        word_bits: the width chosen: of the pairs within the limits that which is best, or where no pair is, of the one
            nearest to them; the first of equals.
        widths: what there is at every width, as asked for.
    """

    KIND = "dlco co-design of word widths"

    status: str
    message: str
    word_bits: Bits
    widths: tuple[AtWidth, ...]

    @staticmethod
    def of(widths: tuple[AtWidth, ...]) -> "WidthChoice":
        """The choice among widths, at least one of which has a design."""
        found = [(one.word_bits, one.design) for one in widths if one.design is not None]
        word_bits, best = min(found, key=lambda one: _rank(one[1]))
        stopped = any(one.why == NOT_SEARCHED for one in widths)
        status = "interrupted" if stopped or any(one.status == "interrupted" for _, one in found) else best.status
        return WidthChoice(status, STATUSES[status], word_bits, widths)

    @property
    def best(self) -> CoDesign:
        """The pair at the width chosen."""
        found = self.at(self.word_bits)
        assert found is not None, "a width without a design is not chosen"
        return found

    def at(self, word_bits: int) -> CoDesign | None:
        """The best pair at a width, None where there is none; `InvalidInput` for a width that was not asked for."""
        for one in self.widths:
            if one.word_bits == word_bits:
                return one.design
        asked = ", ".join(str(one.word_bits) for one in self.widths)
        raise InvalidInput(f"word_bits is {word_bits!r}; allowed: {asked}")

    @property
    def front(self) -> tuple[tuple[int, CoPoint], ...]:
        """(Width, pair) of the pairs that no other, of any width, beats in accuracy, energy and latency at once.

        The most accurate first. They are of the widths' own fronts (`CoDesign.front`), all within the limits.
        """
        pairs = [(one.word_bits, pair) for one in self.widths if one.design is not None for pair in one.design.front]
        return tuple(pairs[i] for i in best_pairs([pair for _, pair in pairs]))

    @property
    def lower_bound(self) -> float | None:
        """What no mapping of any width's network on its machine goes below, as `Solution.lower_bound`; None if unknown.

        The least of the widths' bounds, which they have where the search was asked for them (`bound`); an EDP in cycles
        of the machine chosen.
        """
        if any(one.why == NOT_SEARCHED for one in self.widths):
            return None
        designs = [one.design for one in self.widths if one.design is not None]
        cycle_s = self.best.cycle_s
        bounds = [
            one.solution.lower_bound * (one.cycle_s / cycle_s if one.solution.objective == Objective.EDP else 1.0)
            for one in designs
            if one.solution.lower_bound is not None
        ]
        return min(bounds) if len(bounds) == len(designs) else None

    @property
    def table(self) -> Table:
        """A row a width."""
        return Table(
            f"Words of {self.word_bits} bits, of {', '.join(str(one.word_bits) for one in self.widths)}",
            ("bits", "accuracy, %", "energy", "latency", "area mm2", "limits", "network"),
            tuple(_row(one) for one in self.widths),
            text_columns=frozenset({5, 6}),
        )

    def __str__(self) -> str:
        return f"{self.table.to_text()}\n\n{self.best}"

    def _check_true(self, data: dict[str, Any]) -> None:
        """Raise `InvalidInput` unless the widths are of one question, and the choice among them is this one."""
        check_word("status of the choice of widths", self.status, STATUSES)
        designs = [one.design for one in self.widths if one.design is not None]
        asked = {(d.objective, d.weights, d.least_accuracy, d.space) for d in designs}
        bits = [one.word_bits for one in self.widths]
        if len(set(bits)) != len(bits) or len(asked) != 1:
            raise InvalidInput(f"widths are {bits}, of {len(asked)} questions; they must be distinct, and of one")
        for one in self.widths:
            if one.design is not None and one.design.solution.architecture.mac_bits != one.word_bits:
                raise InvalidInput(
                    f"word_bits of a width is {one.word_bits}; its machine is for operands of "
                    f"{one.design.solution.architecture.mac_bits} bits"
                )
            if (one.design is None) != bool(one.why):
                raise InvalidInput(f"why of {one.word_bits} bits is {one.why!r}; it must say why there is no design")
        own = WidthChoice.of(self.widths)
        if (own.word_bits, own.status, own.message) != (self.word_bits, self.status, self.message):
            raise InvalidInput(
                f"word_bits and status of the choice are {self.word_bits} and {self.status!r}; the widths make them "
                f"{own.word_bits} and {own.status!r}"
            )


def _rank(design: CoDesign) -> tuple[float, ...]:
    """How pairs of any width rank, lower is better: those within the limits first."""
    missing = max((design.least_accuracy or 0.0) - design.accuracy, 0.0)
    solution = design.solution
    uses = solution.budget.uses(solution.architecture, solution.layer_costs, solution.cost)
    if missing or not design.keeps_limits:
        return 1, POINT * missing + sum(log(use.used / use.most) for use in uses if use.broken)
    edp = design.cost.energy_pj * design.cost.latency_s  # in seconds: clocks may differ
    if design.objective == ACCURACY:
        return 0, -design.accuracy, edp
    return 0, edp if design.objective == Objective.EDP else design.value


def _row(one: AtWidth) -> tuple[str, ...]:
    bits, design = str(one.word_bits), one.design
    if design is None:
        return bits, "", "", "", "", "", one.why
    kept = design.keeps_limits and design.accuracy >= (design.least_accuracy or 0.0)
    return (
        bits,
        f"{design.accuracy:.2f}",
        Objective.ENERGY.shown(design.cost.energy_pj),
        Objective.LATENCY.shown(design.cost.latency_s),
        f"{design.cost.area_mm2:.4g}",
        ("kept" if kept else "broken") + (", stopped" if design.status == "interrupted" else ""),
        design.network,
    )
