"""`ImportedNetwork`: the layers that a front end found in a model, and what the model computes beside them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dlco.errors import InvalidInput
from dlco.texts import printable
from dlco.workload.graph import Course, Network
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem


@dataclass(frozen=True)
class Unmapped:
    """Operators of one kind for which there is no layer.

    Attributes:
        kind: the operator's name where it comes from, such as "max_pool2d" or "MaxPool".
        first: the module or node that runs the first of them.
        count: how often the network runs one.
        results: elements that all of them produce together, the size of work that is no multiply-accumulates; 0 where
            the model does not tell.
        macs: multiply-accumulates of all of them together: 0 for pooling, normalisation, activations and sums; None
            where they cannot be known.
    """

    kind: str
    first: str
    count: int = 1
    results: int = 0
    macs: int | None = 0


@dataclass(frozen=True)
class ImportedNetwork(Network):
    """A network as a sequence of layers, which `dlco.solve` takes like a list; printing it shows a table.

    Attributes:
        name: of the model.
        layers: in the order in which the network runs them first; equal ones are one, with a count and the name of
            the first.
        graph: which runs when, and who reads whose result; empty of a table, which does not say.
        unmapped: what else the network runs, those with multiply-accumulates first.
    """

    unmapped: tuple[Unmapped, ...] = ()

    @property
    def mapped_share(self) -> float | None:
        """The layers' share of the network's multiply-accumulates, 1.0 for all; None where some are not known."""
        beside = 0
        for operators in self.unmapped:
            if operators.macs is None:
                return None
            beside += operators.macs
        return self.macs / (self.macs + beside)

    def __str__(self) -> str:
        lines = [f"{self.name}: {_amount(len(self), 'layer')} of {self.macs:,} MACs"]
        lines += _table([("layer", "count", "MACs", "sizes")], map(_row, self.layers))
        if self.unmapped:
            share = self.mapped_share
            amount = "unknown" if share is None else "none" if share == 1 else f"{1 - share:.2%} of all"
            lines.append(f"not mapped, MACs: {amount}")
            lines += _table([("operator", "count", "MACs", "results", "first in")], map(_beside, self.unmapped))
        return "\n".join(map(printable, lines))


def collect(name: str, operators: Iterable[Layer | Unmapped], course: Course) -> ImportedNetwork:
    """The network that runs these operators one after the other.

    Args:
        name: of the network.
        operators: what each operator is; equal layers, and operators of one kind, become one with a count. In names,
            "?" stands for what cannot be printed.
        course: the runs of all these layers, in the same order, and what they read.

    Raises:
        InvalidInput: there is no layer among them.
    """
    layers: dict[tuple[Problem, bool, str], Layer] = {}
    unmapped: dict[str, Unmapped] = {}
    names: set[str] = set()
    runs: list[tuple[Problem, bool, str]] = []
    for operator in operators:
        if isinstance(operator, Unmapped):
            operator = replace(operator, kind=_printable(operator.kind), first=_printable(operator.first))
            before = unmapped.get(operator.kind)
            unmapped[operator.kind] = _together(before, operator) if before else operator
            continue
        key = operator.work
        runs.append(key)
        if key in layers:
            layers[key] = replace(layers[key], count=layers[key].count + operator.count)
        else:
            layers[key] = replace(operator, name=_distinct(_printable(operator.name), names))
            names.add(layers[key].name)
    if not layers:
        kinds = ", ".join(list(unmapped)[:8]) or "no operator"
        raise InvalidInput(
            f"model {name} has {kinds}, but no convolution, linear layer or matrix product whose sizes are known; "
            "there is nothing to map"
        )
    by_macs = sorted(unmapped.values(), key=lambda u: (u.macs is not None, -(u.macs or 0), -u.results))
    graph = course.graph([layers[key].name for key in runs])
    return ImportedNetwork(name, tuple(layers.values()), graph, tuple(by_macs))


def _together(first: Unmapped, other: Unmapped) -> Unmapped:
    known = first.macs is not None and other.macs is not None
    return replace(
        first,
        count=first.count + other.count,
        results=first.results + other.results,
        macs=(first.macs or 0) + (other.macs or 0) if known else None,
    )


def _printable(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _distinct(name: str, names: set[str]) -> str:
    """The name, numbered where another layer has it: a module may run in several shapes."""
    number, distinct = 1, name
    while distinct in names:
        number += 1
        distinct = f"{name}_{number}"
    return distinct


def _row(layer: Layer) -> tuple[str, ...]:
    sizes = " ".join(f"{dim}{bound}" for dim, bound in layer.problem.sizes.items() if bound > 1)
    return layer.name, f"{layer.count:,}", f"{layer.macs:,}", sizes


def _beside(operators: Unmapped) -> tuple[str, ...]:
    macs = "?" if operators.macs is None else f"{operators.macs:,}"
    return operators.kind, f"{operators.count:,}", macs, f"{operators.results:,}", operators.first


def _amount(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _table(head: list[tuple[str, ...]], body: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines with columns of one width; all but the first and the last are aligned to the right."""
    rows = [*head, *body]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if column in (0, last) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
