"""Timeloop's problem (shape and instance), v0.3 and v0.4, as a `Problem`."""

import re
from dataclasses import replace

from dlco.errors import NotSupported
from dlco.timeloop.document import Entry, Source, folder_of, sections
from dlco.timeloop.expressions import Symbols, read_symbols, resolve
from dlco.timeloop.shapes import find_shape
from dlco.workload.problem import MOST_DATASPACES, MOST_DIMENSIONS, Dataspace, Problem, Rank

Terms = list[tuple[str, str | int]]

_SPARSITY = ("densities", "commonDensity")
_WIDTHS = ("commonBitwidth", "commonDatawidth", "commonWordwidth", "bitwidths", "datawidths", "wordwidths")
_NOTES = ("name", "type", "notes", "dnn_name", "histograms")  # that tools around Timeloop put beside the rest
_SIZES_OF_TOOLS = (
    *("H", "W", "Hpad", "Wpad", "Hpadding", "Wpadding", "Hstride", "Wstride", "Hdilation", "Wdilation", "Groups"),
    *("N", "C", "M", "K", "G", "P", "Q", "R", "S"),
)


def read_problem(source: Source) -> Problem:
    """The work that a Timeloop problem describes.

    Args:
        source: path or text of a YAML document with `problem`: a shape of one's own or the name of one (Timeloop's, or
            that of a file, see `dlco.timeloop.shapes`), and the bounds, with coefficients where they differ from their
            defaults. Of what Timeloop does not look up a warning says that it is passed over.

    Raises:
        InvalidInput: not such a document; the message names file, line, key and what is allowed.
        NotSupported: dataspaces with zeros in them (densities below 1), of their own widths, or with dimensions that
            are flattened into one.

    Examples:
        >>> text = "problem: {shape: cnn-layer, C: 3, M: 8, R: 3, S: 3, P: 32, Q: 32, N: 1}"
        >>> dlco.timeloop.read_problem(text).macs
        221184
    """
    top = sections(source, "problem", ["problem"])
    entry = _resolved(top["problem"], read_symbols(top.get("variables")))
    keys = entry.mapping()
    shape = keys.get("shape")
    if shape is None or not isinstance(shape.value, dict):
        shape = find_shape(shape, folder_of(source), (keys["instance"] if "instance" in keys else entry).mapping())
    return _read(shape, entry)


def _resolved(entry: Entry, symbols: Symbols) -> Entry:
    """The problem with numbers for the expressions among its bounds."""
    keys = entry.mapping()
    if "instance" not in keys:
        return entry
    return replace(entry, value=keys | {"instance": resolve(keys["instance"], symbols)})


def _read(shape: Entry, problem: Entry) -> Problem:
    """The problem of a shape and the bounds that are given for it."""
    if "flatten" in shape.mapping() and not shape.mapping()["flatten"].empty:
        raise NotSupported(f"{shape.where}: flatten is given; dlco takes every dimension for itself")
    fields = shape.looked_up(
        ["dimensions", "data_spaces"], ["name", "coefficients", "version"], [*_NOTES, "flatten"], ["flatten"]
    )
    dimensions = tuple(fields["dimensions"].texts())
    if len(dimensions) > MOST_DIMENSIONS:
        raise fields["dimensions"].error(f"dimensions are {len(dimensions)}; there may be {MOST_DIMENSIONS}")
    defaults: dict[str, int] = {}
    for item in fields["coefficients"].items() if "coefficients" in fields else ():
        coefficient = item.looked_up(["name"], ["default"])
        default = coefficient["default"].integer(0) if "default" in coefficient else 1
        defaults[coefficient["name"].text()] = default
    instance = _instance(problem, [*dimensions, *defaults])
    bounds, coefficients = _values(problem, instance, dimensions, defaults)
    dataspaces = []
    if len(fields["data_spaces"].items()) > MOST_DATASPACES:
        raise fields["data_spaces"].error(f"data_spaces are more than {MOST_DATASPACES}")
    for item in fields["data_spaces"].items():
        space = item.looked_up(["name", "projection"], ["read_write", "ranks"], _NOTES)
        ranks = space["projection"].items()
        if "ranks" in space and len(space["ranks"].texts()) != len(ranks):
            raise space["ranks"].error(
                f"ranks has {len(space['ranks'].items())} names; the projection has {len(ranks)} ranks"
            )
        projection = tuple(_rank(_terms(rank, dimensions, coefficients), coefficients) for rank in ranks)
        read_write = "read_write" in space and space["read_write"].flag()
        dataspaces.append(Dataspace(space["name"].text(), tuple(filter(None, projection)), read_write))
    name = fields["name"].text() if "name" in fields and fields["name"].value else "problem"
    return Problem(dimensions, bounds, tuple(dataspaces), name)


def _instance(problem: Entry, known: list[str]) -> dict[str, Entry]:
    """Bounds and coefficients: those under `instance`, or beside `shape` as old files have them."""
    keys = problem.mapping()
    unmodelled = [*_SPARSITY, *_WIDTHS]
    if "instance" in keys:
        given = problem.looked_up(["instance"], ["version", "shape"], [*_NOTES, *_SIZES_OF_TOOLS])["instance"]
        values = given.looked_up([], [*known, *unmodelled], [*_NOTES, *_SIZES_OF_TOOLS])
    else:
        values = problem.looked_up([], [*known, *unmodelled, "version", "shape"], [*_NOTES, *_SIZES_OF_TOOLS])
    for key in _SPARSITY:
        if key in values and _sparse(values[key]):
            raise NotSupported(f"{values[key].where}: {key} are given; dlco takes every dataspace to be dense")
    for key in _WIDTHS:
        if key in values and not values[key].empty:
            raise NotSupported(f"{values[key].where}: {key} is given; dlco takes word widths from the architecture")
    return {key: value for key, value in values.items() if key in known}


def _sparse(entry: Entry) -> bool:
    """Whether a density below 1 is among them."""
    if isinstance(entry.value, dict):
        given = [entry.value["density"]] if "density" in entry.value else list(entry.value.values())
        return any(_sparse(density) for density in given)
    return entry.value is not None and entry.number() != 1


def _values(
    entry: Entry, instance: dict[str, Entry], dimensions: tuple[str, ...], defaults: dict[str, int]
) -> tuple[tuple[int, ...], dict[str, int]]:
    """Bounds of the dimensions in order, and coefficients by name."""
    for dim in dimensions:
        if dim not in instance:
            raise entry.error(f"instance has no {dim!r}; every dimension ({', '.join(dimensions)}) needs a bound")
    coefficients = {
        name: instance[name].integer(0) if name in instance else default for name, default in defaults.items()
    }
    return tuple(instance[dim].integer() for dim in dimensions), coefficients


def _terms(rank: Entry, dimensions: tuple[str, ...], coefficients: dict[str, int]) -> Terms:
    """The (dimension, coefficient) terms of a rank written as text, or as a list of texts or of [dim, coef] pairs."""
    parts = [rank] if isinstance(rank.value, str) else rank.items()
    terms: Terms = []
    for part in parts:
        if isinstance(part.value, str):
            terms += [_term(text) for text in part.value.split("+")]
            continue
        words = part.texts()
        if len(words) not in (1, 2):
            raise part.error(
                f"projection has a term of {len(words)} words; it must be [dimension] or [dimension, coefficient]"
            )
        terms.append(_term("*".join(words)))
    for dim, coefficient in terms:
        if dim not in dimensions:
            raise rank.error(f"projection names dimension {dim!r}; the problem has {', '.join(dimensions)}")
        if isinstance(coefficient, str) and coefficient not in coefficients:
            raise rank.error(
                f"projection names coefficient {coefficient!r}; the shape has {', '.join(coefficients) or 'none'}"
            )
    return terms


def _term(text: str) -> tuple[str, str | int]:
    """(dimension, coefficient) of "R", "R*Wdilation", "2*R" or "R*2"."""
    words = [word.strip() for word in text.split("*", 1)]
    if len(words) == 1:
        return words[0], 1
    first, second = words
    if re.fullmatch(r"\d{1,9}", first, re.ASCII):
        first, second = second, first
    return first, int(second) if re.fullmatch(r"\d{1,9}", second, re.ASCII) else second


def _rank(terms: Terms, coefficients: dict[str, int]) -> Rank:
    """A rank with numbers for coefficients; a dimension that occurs twice counts twice, one times 0 not at all."""
    total: dict[str, int] = {}
    for dim, coefficient in terms:
        value = coefficient if isinstance(coefficient, int) else coefficients[coefficient]
        total[dim] = total.get(dim, 0) + value
    return tuple((dim, value) for dim, value in total.items() if value)
