"""Shapes that a problem calls by name: those that Timeloop ships, and files of one's own."""

import logging
import os
import re
from collections.abc import Collection
from pathlib import Path

from dlco.timeloop.document import Entry, sections

logger = logging.getLogger("dlco")

_CONVOLUTION = """
shape:
  name: {name}
  dimensions: {dimensions}
  coefficients:
  - {{name: Wstride, default: 1}}
  - {{name: Hstride, default: 1}}
  - {{name: Wdilation, default: 1}}
  - {{name: Hdilation, default: 1}}
  data_spaces:
  - {{name: Weights, projection: {weights}}}
  - {{name: Inputs, projection: [N, C, R*Wdilation+P*Wstride, S*Hdilation+Q*Hstride]}}
  - {{name: Outputs, projection: {outputs}, read_write: true}}
"""
_CNN = _CONVOLUTION.format(
    name="CNN_Layer", dimensions="[R, S, P, Q, C, K, N]", weights="[C, K, R, S]", outputs="[N, K, Q, P]"
)
_DEPTHWISE = _CONVOLUTION.format(
    name="DW_CNN_Layer", dimensions="[R, S, P, Q, C, N]", weights="[C, R, S]", outputs="[N, C, Q, P]"
)
_GEMM = """
shape:
  name: gemm_ABZ
  dimensions: [M, N, K]
  data_spaces:
  - {name: A, projection: [M, K]}
  - {name: B, projection: [N, K]}
  - {name: Z, projection: [M, N], read_write: true}
"""
_GEMM_OF_FOUR = """
shape:
  name: gemm
  dimensions: [M, N, K]
  data_spaces:
  - {name: A, projection: [M, K]}
  - {name: B, projection: [N, K]}
  - {name: C, projection: [M, N]}
  - {name: D, projection: [M, N], read_write: true}
"""
_SHIPPED = {"cnn_layer": _CNN, "gemm_abz": _GEMM, "gemm": _GEMM_OF_FOUR}
_USUAL = {"dw_cnn_layer": _DEPTHWISE}  # under a name in use, but Timeloop ships no file of it
_ENDINGS = (".yaml", ".yml")


def find_shape(name: Entry | None, folder: Path | None, sizes: Collection[str]) -> Entry:
    """The shape of a name; without one, the convolution.

    It is looked for in the folders of $TIMELOOP_PROBLEM_SHAPE_DIR, $TIMELOOP_PROBLEM_SHAPE_DIRS and
    $TIMELOOP_DIR/problem-shapes, as Timeloop does, then among the shapes that Timeloop ships, then beside the problem.

    Args:
        name: as the problem gives it.
        folder: of the problem's file.
        sizes: keys of the problem's instance; where they have M and no K, the convolution's K is called M.

    Raises:
        InvalidInput: there is no such shape, or its file holds none.
    """
    text = name.text() if name is not None and name.value is not None else "cnn-layer"
    key = text.lower().replace("-", "_")
    for place in _folders():
        if found := _in(place, text):
            return found
    if key in _SHIPPED:
        shipped = _SHIPPED[key]
        if key == "cnn_layer" and "M" in sizes and "K" not in sizes:
            shipped = re.sub(r"\bK\b", "M", shipped)
        return sections(shipped, "shape", ["shape"])["shape"]
    if folder is not None and (found := _in(folder, text)):
        return found
    assert name is not None
    if key in _USUAL:
        logger.warning("%s: shape %r has no file: read as a depthwise convolution", name.where, text)
        return sections(_USUAL[key], "shape", ["shape"])["shape"]
    beside = f", or a file {_named(text)[0]} beside the problem" if folder is not None else ""
    raise name.error(f"shape is {name.shown}; allowed: cnn_layer, gemm_ABZ, gemm, a shape of its own{beside}")


def _folders() -> list[Path]:
    """Where Timeloop looks."""
    one, several, home = (
        os.environ.get(f"TIMELOOP_{name}", "") for name in ("PROBLEM_SHAPE_DIR", "PROBLEM_SHAPE_DIRS", "DIR")
    )
    given = [one, *several.split(":"), os.path.join(home, "problem-shapes") if home else ""]
    return [Path(place) for place in given if place]


def _named(name: str) -> list[str]:
    """The names of files that may hold a shape."""
    return [name] if name.endswith(_ENDINGS) else [name + ending for ending in _ENDINGS]


def _in(folder: Path, name: str) -> Entry | None:
    """The shape that a file in a folder holds, if there is one."""
    for file in _named(name):
        path = folder / file
        if "\0" not in file and path.is_file():
            return sections(path, "shape", ["shape"])["shape"]
    return None
