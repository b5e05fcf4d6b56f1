"""Timeloop's problem (shape and instance), v0.3 and v0.4, as a `Problem`."""

import re
from dataclasses import replace

from dlco.errors import NotSupported
from dlco.timeloop.architecture import TOP_KEYS
from dlco.timeloop.document import Entry, Source, load
from dlco.timeloop.expressions import Symbols, read_symbols, resolve
from dlco.workload.problem import Dataspace, Problem, Rank

Terms = list[tuple[str, str | int]]

_SPARSITY = ("densities", "commonDensity")
_CNN = {
    "dimensions": ("R", "S", "P", "Q", "C", "K", "N"),
    "Weights": "C K R S",
    "Inputs": "N C R*Wdilation+P*Wstride S*Hdilation+Q*Hstride",
    "Outputs": "N K Q P",
}
_GEMM = {"dimensions": ("M", "N", "K"), "A": "M K", "B": "N K", "Z": "M N"}
_BUILT_IN = {"cnn_layer": ("CNN_Layer", _CNN), "gemm_abz": ("gemm_ABZ", _GEMM)}
_CNN_COEFFICIENTS = ("Wstride", "Hstride", "Wdilation", "Hdilation")


def read_problem(source: Source) -> Problem:
    """The work that a Timeloop problem describes.

    Args:
        source: path or text of a YAML document with `problem`: a shape of one's own or the name of one of
            Timeloop's, and the bounds, with coefficients where they differ from their defaults.

    Raises:
        InvalidInput: not such a document; the message names file, line, key and what is allowed.
        NotSupported: dataspaces with zeros in them (densities below 1).

    Examples:
        >>> text = "problem: {shape: cnn-layer, C: 3, M: 8, R: 3, S: 3, P: 32, Q: 32, N: 1}"
        >>> dlco.timeloop.read_problem(text).macs
        221184
    """
    top = load(source, "problem").fields(["problem"], TOP_KEYS)
    entry = _resolved(top["problem"], read_symbols(top.get("variables")))
    keys = entry.mapping()
    shape = keys.get("shape")
    if shape is None or isinstance(shape.value, str):
        return _built_in(entry, shape)
    return _own_shape(shape, _instance(entry))


def _resolved(entry: Entry, symbols: Symbols) -> Entry:
    """The problem with numbers for the expressions among its bounds."""
    keys = entry.mapping()
    if "instance" not in keys:
        return entry
    return replace(entry, value=keys | {"instance": resolve(keys["instance"], symbols)})


def _built_in(entry: Entry, shape: Entry | None) -> Problem:
    """One of Timeloop's own shapes; without a name, the convolution."""
    key = shape.text().lower().replace("-", "_") if shape else "cnn_layer"
    if key not in _BUILT_IN:
        assert shape is not None
        raise shape.error(f"shape is {shape.shown}; allowed: cnn_layer, gemm_ABZ or a shape of its own")
    name, table = _BUILT_IN[key]
    instance = _instance(entry)
    rename = {"K": "M"} if name == "CNN_Layer" and "M" in instance and "K" not in instance else {}
    coefficients = dict.fromkeys(_CNN_COEFFICIENTS, 1) if name == "CNN_Layer" else {}
    dimensions = tuple(rename.get(dim, dim) for dim in table["dimensions"])
    bounds, coefficients = _values(entry, instance, dimensions, coefficients)
    spaces = [key for key in table if key != "dimensions"]
    dataspaces = []
    for space in spaces:
        ranks = [[_term(term) for term in rank.split("+")] for rank in str(table[space]).split()]
        projection = tuple(_rank([(rename.get(d, d), c) for d, c in terms], coefficients) for terms in ranks)
        dataspaces.append(Dataspace(space, projection, read_write=space == spaces[-1]))
    return Problem(dimensions, bounds, tuple(dataspaces), name)


def _own_shape(shape: Entry, instance: dict[str, Entry]) -> Problem:
    fields = shape.fields(["dimensions", "data_spaces"], ["name", "coefficients", "version"])
    dimensions = tuple(fields["dimensions"].texts())
    defaults: dict[str, int] = {}
    for item in fields["coefficients"].items() if "coefficients" in fields else ():
        coefficient = item.fields(["name"], ["default"])
        default = coefficient["default"].integer() if "default" in coefficient else 1
        defaults[coefficient["name"].text()] = default
    bounds, coefficients = _values(shape, instance, dimensions, defaults)
    dataspaces = []
    for item in fields["data_spaces"].items():
        space = item.fields(["name", "projection"], ["read_write"])
        projection = tuple(
            _rank(_terms(rank, dimensions, coefficients), coefficients) for rank in space["projection"].items()
        )
        read_write = "read_write" in space and space["read_write"].flag()
        dataspaces.append(Dataspace(space["name"].text(), projection, read_write))
    name = fields["name"].text() if "name" in fields and fields["name"].value else "problem"
    return Problem(dimensions, bounds, tuple(dataspaces), name)


def _instance(entry: Entry) -> dict[str, Entry]:
    """Bounds and coefficients: those under `instance`, or beside `shape` as old files have them."""
    keys = entry.mapping()
    given = entry.fields(["instance"], ["version", "shape"])["instance"] if "instance" in keys else entry
    values = {key: value for key, value in given.mapping().items() if key not in ("version", "shape")}
    for key in _SPARSITY:
        if key in values and _sparse(values[key]):
            raise NotSupported(f"{values[key].where}: {key} are given; dlco takes every dataspace to be dense")
    return {key: value for key, value in values.items() if key not in _SPARSITY}


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
    for key, value in instance.items():
        if key not in dimensions and key not in defaults:
            raise value.error(f"unknown key {key!r} in instance; allowed: {', '.join([*dimensions, *defaults])}")
    for dim in dimensions:
        if dim not in instance:
            raise entry.error(f"instance has no {dim!r}; every dimension ({', '.join(dimensions)}) needs a bound")
    coefficients = {
        name: instance[name].integer() if name in instance else default for name, default in defaults.items()
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
    """A rank with numbers for coefficients; a dimension that occurs twice counts twice."""
    total: dict[str, int] = {}
    for dim, coefficient in terms:
        value = coefficient if isinstance(coefficient, int) else coefficients[coefficient]
        total[dim] = total.get(dim, 0) + value
    return tuple(total.items())
