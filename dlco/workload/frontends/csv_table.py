"""`from_csv` and `to_csv`: a network as a table with a row a layer."""

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from dlco.errors import InvalidInput
from dlco.files import write_whole
from dlco.reading import read_text
from dlco.workload.frontends.imported import ImportedNetwork
from dlco.workload.layer import MULTIPLY, Layer, check_layers
from dlco.workload.layers import (
    conv1d,
    conv2d,
    conv3d,
    depthwise_conv2d,
    linear,
    matmul,
    transposed_conv1d,
    transposed_conv2d,
    transposed_conv3d,
)
from dlco.workload.passes import embedding, pool2d

_TYPES: Mapping[str, tuple[Callable[..., Layer], str]] = {  # constructor, and the sizes that it needs
    "conv2d": (conv2d, "C M P Q R S"),
    "conv1d": (conv1d, "C M P R"),
    "conv3d": (conv3d, "C M D P Q T R S"),
    "depthwise": (depthwise_conv2d, "C P Q R S"),
    "transposed": (transposed_conv2d, "C M H W R S"),
    "transposed1d": (transposed_conv1d, "C M H R"),
    "transposed3d": (transposed_conv3d, "C M D H W T R S"),
    "linear": (linear, "C M"),
    "matmul": (matmul, "M K N"),
    "pool": (pool2d, "C P Q R S"),
    "embedding": (embedding, "N C"),
}
_ALIASES = {
    "conv": "conv2d",
    "depthwiseconv2d": "depthwise",
    "transposedconv2d": "transposed",
    "transposedconv1d": "transposed1d",
    "transposedconv3d": "transposed3d",
    "fc": "linear",
    "pool2d": "pool",
}
_SIZES = tuple("BNCMKDPQHWTRS")
_PER_AXIS = ("stride", "dilation")
_COLUMNS = ("name", "type", *_SIZES, *_PER_AXIS, "groups", "count")
_HEADINGS = {column.lower(): column for column in _COLUMNS} | {"kind": "type", "layer": "name"}
_LARGEST_DIGITS = 15
_FORMULA = ("=", "+", "-", "@")  # with which spreadsheets begin what they compute
_LARGEST = 1 << 24  # bytes of a table


def from_csv(path: str | os.PathLike[str]) -> ImportedNetwork:
    r"""The layers of a table.

    The first line names the columns, in any order; rows are separated by line, cells by comma, semicolon or tab. Empty
    lines and those that begin with "#" are skipped; an empty cell, or a column left out, is the default.

    | column | meaning | default |
    | --- | --- | --- |
    | name | of the layer, unique, printable, without = + - @ first, which spreadsheets compute | required |
    | type | conv2d, conv1d, conv3d, depthwise, transposed (1d, 3d), linear, matmul, pool or embedding | conv2d |
    | N | batch; of a matmul, the columns of its result | 1 |
    | C, M | input and output channels, of all groups together; no M for depthwise | required |
    | P, Q | output rows and columns (conv1d: P alone; conv3d: D planes before them) | required |
    | H, W | input rows and columns, for the transposed ones in place of P and Q | required |
    | R, S | kernel rows and columns (conv3d: T planes before them) | required |
    | B, K | of a matmul: how many products, and what is summed over; M its rows | 1, required |
    | stride, dilation | one integer, or one an axis as in 2x1 | 1 |
    | groups | of channels | 1 |
    | count | how often the network runs the layer | 1 |

    Args:
        path: of the file, in UTF-8.

    Returns:
        A layer a row, in that order, as the constructors of the types make it.

    Raises:
        InvalidInput: there is no such file, or a cell is not what it should be; the message names line and column.

    Examples:
        >>> import dlco, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "net.csv")
        >>> rows = ["name,type,C,M,P,Q,R,S,stride", "conv1,conv2d,3,64,112,112,7,7,2", "fc,linear,64,10"]
        >>> _ = path.write_text("\n".join(rows))
        >>> dlco.from_csv(path).macs
        118014592
    """
    text, shown = _read(path)
    return ImportedNetwork(Path(path).stem, tuple(_parse(text, shown)))


def to_csv(layers: Iterable[Layer], path: str | os.PathLike[str]) -> None:
    """Write layers as a table that `from_csv` reads again, with the columns that they need.

    Raises:
        InvalidInput: a layer is none that a row can say, such as one read from a Timeloop problem of its own shape; or
            the file cannot be written.

    Examples:
        >>> dlco.to_csv(dlco.from_torch(model, (1, 3, 224, 224)), "net.csv")  # doctest: +SKIP
    """
    checked = check_layers(layers)
    rows = [_row(layer) for layer in checked]
    columns = [column for column in _COLUMNS if any(row.get(column) for row in rows)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    for layer in checked:
        _check_name(layer.name, "a layer's")
    try:
        write_whole(path, text.getvalue())
    except OSError as error:
        raise InvalidInput(f"CSV file {os.fspath(path)!r} cannot be written: {error.strerror}") from None


def _read(path: str | os.PathLike[str]) -> tuple[str, str]:
    """(text of the file, its name)."""
    if not isinstance(path, str | os.PathLike):
        raise InvalidInput(f"CSV file is a {type(path).__name__}; it must be a path")
    try:
        return read_text(path, _LARGEST, "utf-8-sig"), os.path.basename(os.fspath(path))[:200]
    except UnicodeDecodeError:
        raise InvalidInput(f"CSV file {os.fspath(path)[:200]!r} is not a text file in UTF-8") from None
    except InvalidInput:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise InvalidInput(f"CSV file {os.fspath(path)[:200]!r} cannot be read: {reason}") from None


def _parse(text: str, shown: str) -> list[Layer]:
    """The layers of a table's text; `shown` is its name in errors."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if not _is_comment(line)]
    if not lines:
        raise InvalidInput(f"CSV file {shown!r} is empty; its first line must name the columns")
    rows = _cells(lines, shown)
    columns = _columns(rows[0], f"{shown}, line {lines[0][0]}")
    layers: list[Layer] = []
    met: dict[str, int] = {}
    for (number, _), row in zip(lines[1:], rows[1:], strict=True):
        layer = _layer(columns, row, f"{shown}, line {number}")
        if layer.name in met:
            raise InvalidInput(
                f"{shown}, line {number}: name is {layer.name!r}, as on line {met[layer.name]}; names must be distinct"
            )
        met[layer.name] = number
        layers.append(layer)
    if not layers:
        raise InvalidInput(f"CSV file {shown!r} names columns, but has no row; it must have one a layer")
    return layers


def _check_name(name: str, whose: str) -> None:
    """Refuse a name that would not be read again as it is, or that a program which opens the table might run."""
    if not name.isprintable() or name != name.strip() or name.startswith(("#", *_FORMULA)) or _is_comment(name):
        raise InvalidInput(
            f"{whose} name is {name[:60]!r}; in a table it must be printable, without # {' '.join(_FORMULA)} first"
        )


def _is_comment(line: str) -> bool:
    return not line.strip(" ,;\t") or line.lstrip().startswith("#")


def _cells(lines: list[tuple[int, str]], shown: str) -> list[list[str]]:
    """The cells of each line, without spaces around them; the head says what separates them."""
    head = lines[0][1]
    separator = max(",;\t", key=head.count)
    rows = []
    for number, line in lines:
        try:
            cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True))
        except csv.Error as error:
            raise InvalidInput(f"{shown}, line {number}: not a line of CSV: {error}") from None
        rows.append([cell.strip() for cell in cells])
    return rows


def _columns(head: list[str], where: str) -> list[str]:
    columns = []
    for heading in head:
        column = _HEADINGS.get(heading.lower(), "") if heading else ""
        if heading and not column:
            raise InvalidInput(f"{where}: unknown column {heading[:60]!r}; allowed: {', '.join(_COLUMNS)}")
        if column and column in columns:
            raise InvalidInput(f"{where}: column {column!r} is there twice; once is allowed")
        columns.append(column)
    if "name" not in columns:
        raise InvalidInput(f"{where}: there is no column 'name'; the first line must name the columns")
    return columns


def _layer(columns: list[str], row: list[str], where: str) -> Layer:
    if any(cell for cell in row[len(columns) :]):
        raise InvalidInput(f"{where}: {len(row)} cells, but {len(columns)} columns")
    given = {column: cell for column, cell in zip(columns, row, strict=False) if cell}
    for column, cell in zip(columns, row, strict=False):
        if cell and not column:
            raise InvalidInput(f"{where}: {cell[:60]!r} stands in a column without a name")
    if "name" not in given:
        raise InvalidInput(f"{where}: name is empty; every layer needs one")
    _check_name(given["name"], f"{where}: a layer's")
    kind = re.sub("[-_ ]", "", given.get("type", "conv2d").lower())
    kind = _ALIASES.get(kind, kind)
    if kind not in _TYPES:
        raise InvalidInput(f"{where}: type is {given['type'][:60]!r}; it must be one of {', '.join(_TYPES)}")
    construct, needed = _TYPES[kind]
    allowed = _allowed(kind)
    for column in given:
        if column not in allowed:
            raise InvalidInput(f"{where}: {column} is given for a {kind}, which has {', '.join(allowed[2:])}")
    for column in needed.split():
        if column not in given:
            raise InvalidInput(f"{where}: {column} is empty; a {kind} needs {', '.join(needed.split())}")
    arguments = {
        column: _per_axis(cell, column, where) if column in _PER_AXIS else _integer(cell, column, where)
        for column, cell in given.items()
        if column not in ("name", "type")
    }
    try:
        return construct(given["name"], **arguments)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None


def _allowed(kind: str) -> list[str]:
    """The columns that a type has."""
    needed = _TYPES[kind][1].split()
    if kind == "matmul":
        return ["name", "type", "B", *needed, "count"]
    if kind in ("linear", "embedding"):
        return ["name", "type", "N", *(column for column in needed if column != "N"), "count"]
    if kind == "pool":
        return ["name", "type", "N", *needed, "stride", "count"]
    groups = [] if kind == "depthwise" else ["groups"]
    return ["name", "type", "N", *needed, *_PER_AXIS, *groups, "count"]


def _integer(cell: str, column: str, where: str) -> int:
    if not re.fullmatch(rf"0*[1-9]\d{{0,{_LARGEST_DIGITS - 1}}}(\.0+)?", cell, re.ASCII):
        raise InvalidInput(
            f"{where}: {column} is {cell[:60]!r}; it must be an integer of at least 1, {_LARGEST_DIGITS} digits at most"
        )
    return int(cell.split(".")[0])


def _per_axis(cell: str, column: str, where: str) -> int | tuple[int, ...]:
    entries = tuple(_integer(entry, column, where) for entry in re.split(r"\s*x\s*|\s+", cell.lower()))
    return entries[0] if len(entries) == 1 else entries


def _row(layer: Layer) -> dict[str, str]:
    """The cells of a layer: those whose layer, read again, is this one."""
    sizes = layer.problem.sizes
    groups = sizes.get("G", 1)
    whole = {dim: size * groups if dim in "CM" else size for dim, size in sizes.items() if dim != "G"}
    if layer.operation != MULTIPLY:
        kind = {"pool": "pool", "embed": "embedding"}.get(layer.operation, layer.operation)
    elif "C" not in whole:
        kind = "matmul"
    elif "M" not in whole:
        kind = "depthwise"
    else:
        axes = sum(dim in whole for dim in "TRS")
        kind = ("transposed" if "H" in whole else "conv") + (f"{axes}d" if axes in (1, 2, 3) else "?")
        kind = kind.replace("transposed2d", "transposed")
    row = {"name": layer.name, "type": kind} | {dim: str(size) for dim, size in whole.items()}
    windows = [rank for space in layer.problem.dataspaces for rank in space.projection if len(rank) == 2]
    for column, place in (("dilation", 0), ("stride", 1)):
        steps = [str(rank[place][1]) for rank in windows]
        if any(step != "1" for step in steps):
            row[column] = steps[0] if len(set(steps)) == 1 else "x".join(steps)
    row |= {"groups": str(groups)} if groups > 1 else {}
    row |= {"count": str(layer.count)} if layer.count > 1 else {}
    plain = not {"stride", "dilation", "groups"} & row.keys()
    if kind == "conv2d" and plain and all(whole[dim] == 1 for dim in "PQRS"):
        row = {key: cell for key, cell in row.items() if key not in "PQRS"} | {"type": "linear"}
    same = kind in _TYPES and _layer(list(row), list(row.values()), "row") == layer
    if not same:
        hint = "" if layer.operation == MULTIPLY else "; front ends leave such layers out with macs_only=True"
        raise InvalidInput(f"layer {layer.name!r} is none of the types that a table has: {', '.join(_TYPES)}{hint}")
    return row
