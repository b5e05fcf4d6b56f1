"""What a command's arguments name: networks and hardware, built-in or in files."""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from dlco.cli.streams import say
from dlco.errors import InvalidInput
from dlco.hardware import Architecture, HardwareSpace, get_hardware, get_technology, with_dram
from dlco.hardware.checks import check_number
from dlco.hardware.presets import ARCHITECTURES
from dlco.timeloop import read_architecture
from dlco.timeloop import read_network as read_problems
from dlco.workload import NETWORKS, Layer, get_graph, get_network
from dlco.workload.frontends import ImportedNetwork, from_csv, from_onnx
from dlco.workload.frontends.onnx_sizes import FreeAxis

_FILES = (".yaml", ".yml", ".onnx", ".csv")


def read_network(
    source: str, batch: int, sizes: Mapping[str, int], macs_only: bool = False, course: bool = False
) -> Sequence[Layer]:
    """The layers of a built-in network, an ONNX model, a table, or Timeloop problems in a file or folder.

    What an ONNX model computes beside its layers is said on stderr, if it has multiply-accumulates.

    Args:
        source: name of a network, or a path.
        batch: images at once; more than 1 can be had of a built-in network, and of a model that leaves it free.
        sizes: of other axes that an ONNX model leaves free, by name.
        macs_only: whether to leave out layers of an ONNX model without multiply-accumulates.
        course: whether a built-in network is to say which layer reads whose result; then it has layers without
            multiply-accumulates too.

    Raises:
        InvalidInput: there is no such network, file or folder, or a file is not what it should be.
    """
    suffix = Path(source).suffix if _is_path(source) else ""
    if sizes and suffix != ".onnx":
        raise InvalidInput(f"--size is given, but the network {source!r} is no ONNX model (.onnx): it has no free axes")
    if macs_only and suffix != ".onnx":
        raise InvalidInput(f"--macs-only is given, but the network {source!r} is no ONNX model (.onnx)")
    if not _is_path(source):
        try:
            return get_graph(source, batch) if course else get_network(source, batch)
        except InvalidInput as error:
            raise InvalidInput(
                f"{error}, or a file: an ONNX model (.onnx), a table (.csv), or a Timeloop problem or a folder of them"
            ) from None
    if suffix == ".onnx":
        network = _read_model(source, batch, sizes, macs_only)
        _say_what_is_missing(network)
        return network
    if batch != 1:
        raise InvalidInput(f"batch is {batch}; with tables and problems from files it must be 1: they state their own")
    return from_csv(source) if suffix == ".csv" else read_problems(source)


def _read_model(source: str, batch: int, sizes: Mapping[str, int], macs_only: bool) -> ImportedNetwork:
    try:
        return from_onnx(source, batch=None if batch == 1 else batch, sizes=sizes, macs_only=macs_only)
    except FreeAxis as error:
        options = " ".join(f"--size {shlex.quote(name)}=224" for name in error.names)
        raise InvalidInput(f"{error.what}; give its size, as in {options}") from None


def _say_what_is_missing(network: ImportedNetwork) -> None:
    share = network.mapped_share
    if share != 1:
        kinds = ", ".join(operators.kind for operators in network.unmapped if operators.macs != 0)
        amount = "an unknown share" if share is None else f"{1 - share:.2%}"
        say(f"dlco: {amount} of the network's MACs is in operators that are not mapped: {kinds}")


def network_name(source: str) -> str:
    """What to call the network in titles."""
    return Path(source).resolve().stem if _is_path(source) else source


def read_hardware(arguments: argparse.Namespace) -> Architecture | HardwareSpace:
    """What the arguments of `add_hardware` name: a preset's space (or its machine), or the machine of a file.

    Raises:
        InvalidInput: there is no such preset, file, technology or DRAM, the file is not what it should be, a limit is
            none, or something is asked that the hardware does not leave open.
    """
    source, limits = arguments.hardware, arguments.limit or ()
    hardware = _read_hardware(source, arguments)
    if arguments.dram is not None:
        hardware = with_dram(hardware, *_dram(arguments.dram))
    if not limits:
        return hardware
    if isinstance(hardware, Architecture):
        raise InvalidInput(f"--limit is given, but all sizes of the hardware {hardware.name!r} are fixed")
    return hardware.subject_to(*limits)


def _read_hardware(source: str, arguments: argparse.Namespace) -> Architecture | HardwareSpace:
    if _is_path(source):
        for name in ("technology", "vdd", "clock"):
            if getattr(arguments, name) is not None:
                raise InvalidInput(f"--{name} is given, but the file {source!r} states what its machine costs")
        if not arguments.wires:
            raise InvalidInput(f"--no-wires is given, but the file {source!r} states what its machine costs")
        return read_architecture(Path(source))
    if source not in ARCHITECTURES:
        raise InvalidInput(
            f"hardware is {source!r}; it must be one of {', '.join(ARCHITECTURES)}, "
            "or the file of a Timeloop architecture"
        )
    if arguments.clock is not None:
        check_number("clock", arguments.clock, positive=True)
    technology = get_technology(
        arguments.technology or "45nm", arguments.vdd, None if arguments.clock is None else 1 / (arguments.clock * 1e6)
    )
    return get_hardware(source, space=not arguments.fixed, technology=technology, wires=arguments.wires)


def _dram(text: str) -> tuple[str, int]:
    """(kind, channels) of KIND or KIND=N."""
    kind, _, channels = text.partition("=")
    if channels and not channels.isdecimal():
        raise InvalidInput(f"channels of --dram is {channels!r}; it must be an integer of at least 1")
    return kind, int(channels or 1)


def _is_path(source: str) -> bool:
    """Whether a text is meant as a path: built-in names come first, `./resnet18` is the folder."""
    if source in NETWORKS or source in ARCHITECTURES:
        return False
    return Path(source).suffix in _FILES or "/" in source or Path(source).exists()
