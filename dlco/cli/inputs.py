"""What a command's arguments name: networks and hardware, built-in or in files."""

import re
from pathlib import Path

from dlco.errors import InvalidInput
from dlco.hardware import Architecture, HardwareSpace, get_hardware
from dlco.hardware.presets import ARCHITECTURES
from dlco.timeloop import read_architecture, read_problem
from dlco.workload import NETWORKS, Layer, get_network

_YAML = (".yaml", ".yml")


def read_network(source: str, batch: int) -> list[Layer]:
    """The layers of a built-in network, or one for each Timeloop problem in a file or folder.

    Args:
        source: name of a network, or a path.
        batch: images at once; only a built-in network can be had for more than 1.

    Raises:
        InvalidInput: there is no such network, file or folder, or a file is not what it should be.
    """
    if not _is_path(source):
        try:
            return get_network(source, batch)
        except InvalidInput as error:
            raise InvalidInput(f"{error}, or a file or folder of Timeloop problems") from None
    if batch != 1:
        raise InvalidInput(f"batch is {batch}; with problems from files it must be 1, since they state their own")
    path = Path(source)
    files = [path]
    if path.is_dir():
        files = sorted((file for file in path.iterdir() if file.suffix in _YAML), key=_by_number)
        if not files:
            raise InvalidInput(f"network folder {source!r} holds no file that ends in {' or '.join(_YAML)}")
    return [Layer(file.stem, read_problem(file)) for file in files]


def network_name(source: str) -> str:
    """What to call the network in titles."""
    return Path(source).resolve().stem if _is_path(source) else source


def read_hardware(source: str, fixed: bool) -> Architecture | HardwareSpace:
    """A preset's space (or its machine, where `fixed`), or the machine of a Timeloop architecture file.

    Raises:
        InvalidInput: there is no such preset or file, or the file is not what it should be.
    """
    if _is_path(source):
        return read_architecture(Path(source))
    if source not in ARCHITECTURES:
        raise InvalidInput(
            f"hardware is {source!r}; it must be one of {', '.join(ARCHITECTURES)}, "
            "or the file of a Timeloop architecture"
        )
    return get_hardware(source, space=not fixed)


def _is_path(source: str) -> bool:
    """Whether a text is meant as a path: built-in names come first, `./resnet18` is the folder."""
    if source in NETWORKS or source in ARCHITECTURES:
        return False
    return Path(source).suffix in _YAML or "/" in source or Path(source).exists()


def _by_number(path: Path) -> list[tuple[int, str]]:
    """A key that puts layer10 behind layer9."""
    return [(int(part or 0), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]
