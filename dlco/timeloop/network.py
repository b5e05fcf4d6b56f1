"""A network as Timeloop problems: one file, or a folder with one a layer."""

import os
import re
from pathlib import Path

from dlco.errors import InvalidInput
from dlco.timeloop.problem import read_problem
from dlco.workload.layer import Layer

_ENDINGS = (".yaml", ".yml")
_CASE = "problem.yaml"


def read_network(path: str | os.PathLike[str]) -> list[Layer]:
    """The layers that Timeloop problems describe.

    Args:
        path: a problem's file; a folder of them, a layer a file, taken in the order of their numbers; or a folder of
            folders that each hold a problem.yaml, as `write` makes it.

    Returns:
        A layer a problem, named by its file or folder; Timeloop's files do not say how often a network runs one.

    Raises:
        InvalidInput: there is no such file or folder, no problem in it, or a file holds something else.
        NotSupported: a problem has dataspaces with zeros in them.

    Examples:
        >>> layers = dlco.timeloop.read_network("layers/")  # doctest: +SKIP
        >>> dlco.solve(layers, hardware=dlco.hardware.eyeriss_space())  # doctest: +SKIP
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidInput(f"network is a {type(path).__name__}; it must be the path of a file or folder")
    place = Path(path)
    if not os.path.isdir(place):
        return [Layer(place.stem, read_problem(place))]
    try:
        entries = sorted(place.iterdir(), key=_by_number)
    except OSError as error:
        raise InvalidInput(f"network folder {str(place)!r} cannot be read: {error.strerror}") from None
    named = [(entry.stem, entry) for entry in entries if entry.suffix in _ENDINGS and entry.is_file()]
    if not named:
        named = [(entry.name, entry / _CASE) for entry in entries if (entry / _CASE).is_file()]
    if not named:
        raise InvalidInput(
            f"network folder {str(place)!r} holds no file that ends in {' or '.join(_ENDINGS)}, "
            f"and no folder with a {_CASE}"
        )
    return [Layer(name, read_problem(file)) for name, file in named]


def _by_number(path: Path) -> list[tuple[int, str]]:
    """A key that puts layer10 behind layer9."""
    return [(int(part or 0), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]
