"""Problems, mappings and whole solutions as Timeloop's YAML."""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as Table
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import Protocol

from dlco.cost import evaluate
from dlco.errors import InvalidInput, InvalidMapping, NotSupported
from dlco.files import write_whole
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.kept import bypassed
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping
from dlco.mapping.tiles import last_factors
from dlco.timeloop.architecture import fanout_names
from dlco.timeloop.document import Source
from dlco.timeloop.write_architecture import left_out, logger, wired, without_wires, write_architecture
from dlco.timeloop.yaml_text import check_version, flow_list, flow_map, name, quoted
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem

_LONGEST = 60  # characters of a folder's name, of up to four bytes each
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}  # of Windows
_COEFFICIENTS = {"P": "Wstride", "Q": "Hstride", "R": "Wdilation", "S": "Hdilation"}


class Solved(Protocol):
    """What `write` needs of a `dlco.Solution`."""

    @property
    def architecture(self) -> Architecture:
        """The machine."""

    @property
    def mappings(self) -> Table[str, Mapping]:
        """The mapping of each layer, by its name."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The network."""


def write(solution: Solved, folder: Source, version: str = "0.3") -> list[Path]:
    """Write `arch.yaml`, `problem.yaml` and `mapping.yaml` of every layer into a folder of the layer's own.

    Wires between levels have no place in these files: they are left out, and a warning says what that takes off the
    machine's area and the network's energy.

    Args:
        solution: architecture, layers and mappings.
        folder: where the layers' folders go; made if it is not there. All texts are made before the first is
            written, and no file is ever half-written.
        version: "0.3", which timeloop-model takes as it is, or "0.4".

    Returns:
        The layers' folders, in the order of the layers.

    Raises:
        InvalidInput: something cannot be said in Timeloop's files, or the folder cannot be written.
        InvalidMapping: a dimension is split along both X and Y of one level, or a layer has no mapping.
        NotSupported: results stay on the chip between layers.
    """
    for part in ("architecture", "mappings", "layers"):
        if not hasattr(solution, part):
            raise InvalidInput(f"solution is {type(solution).__name__} without {part!r}; it must be a dlco.Solution")
    if getattr(solution, "residents", ()) or getattr(solution, "chains", ()):
        raise NotSupported("results of the solution stay on the chip between layers; Timeloop runs layers one by one")
    # its constraints were for the search: beside a mapping, timeloop-model's front end takes them for part of it
    bare = replace(without_wires(solution.architecture), constraints=Constraints())
    machine = write_architecture(bare, version)
    texts: dict[str, dict[str, str]] = {}
    for layer in solution.layers:
        if layer.name not in solution.mappings:
            raise InvalidMapping(f"layer {layer.name!r} has no mapping; every layer needs one")
        mapping = write_mapping(solution.mappings[layer.name], layer.problem, solution.architecture, version)
        files = {"arch.yaml": machine, "problem.yaml": write_problem(layer.problem, version), "mapping.yaml": mapping}
        texts[folder_name(layer.name, texts)] = files
    if wired(solution.architecture):
        logger.warning("%s, the energy %s", left_out(solution.architecture), f"{_share_of_wires(solution):.1%}")
    root = Path(folder)
    for place, files in texts.items():
        for file, text in files.items():
            write_file(root / place / file, text)
    return [root / place for place in texts]


def _share_of_wires(solution: Solved) -> float:
    """Of those left out, in the network's energy."""
    bare = wired(solution.architecture)
    rows = [level.name in bare for level in solution.architecture.levels]
    wires = whole = 0.0
    for layer in solution.layers:
        cost = evaluate(layer, solution.architecture, solution.mappings[layer.name])
        wires += layer.count * cost.wire_pj[rows].sum().item()
        whole += layer.count * cost.energy_pj.item()
    return wires / whole if whole else 0.0


def write_file(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all; raises `InvalidInput` where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise InvalidInput(f"{os.fspath(path)!r} cannot be written: {error.strerror or error}") from None


def write_problem(problem: Problem, version: str = "0.3") -> str:
    """The text of a problem file, which `read_problem` reads back as the same problem.

    Raises:
        InvalidInput: an unknown version, or a name that Timeloop's files cannot carry.
    """
    check_version(version)
    names = {pair: coefficient for pair, coefficient in _coefficients(problem)}
    lines = ["problem:"]
    lines += ["  version: 0.4"] if version == "0.4" else []
    lines += ["  shape:", f"    name: {quoted(problem.name)}"]
    lines.append(f"    dimensions: {flow_list(name(dim, 'name of a dimension') for dim in problem.dimensions)}")
    if names:
        lines.append("    coefficients:")
        lines += [f"    - {{name: {coefficient}, default: 1}}" for coefficient in names.values()]
    lines.append("    data_spaces:")
    for space in problem.dataspaces:
        lines += [f"    - name: {name(space.name, 'name of a dataspace')}", "      projection:"]
        for rank in space.projection:
            terms = [flow_list([dim, names[dim, c]] if (dim, c) in names else [dim]) for dim, c in rank]
            lines += [f"      {'- -' if i == 0 else '  -'} {term}" for i, term in enumerate(terms)]
        lines += ["      read_write: true"] if space.read_write else []
    instance = {dim: str(bound) for dim, bound in problem.sizes.items()}
    instance |= {coefficient: str(value) for (_, value), coefficient in names.items()}
    return "\n".join([*lines, f"  instance: {flow_map(instance)}", ""])


def _coefficients(problem: Problem) -> Iterator[tuple[tuple[str, int], str]]:
    """((dimension, coefficient), name) of the terms that are added to others or are no plain dimension."""
    seen: set[tuple[str, int]] = set()
    taken = set(problem.dimensions)
    for space in problem.dataspaces:
        for rank in space.projection:
            for pair in rank if len(rank) > 1 or any(c > 1 for _, c in rank) else ():
                if pair in seen:
                    continue
                seen.add(pair)
                label = _COEFFICIENTS.get(pair[0], f"{pair[0]}scale")
                while label in taken:
                    label += f"_{pair[1]}"
                taken.add(label)
                yield pair, label


def write_mapping(
    mapping: Mapping,
    problem: Problem | None = None,
    architecture: Architecture | None = None,
    version: str = "0.3",
) -> str:
    """The text of a mapping file, which `read_mapping` reads back as the same mapping.

    Args:
        mapping: what to write.
        problem: where given, every level says which dataspaces it keeps, beside those it bypasses, and imperfect
            factors are written with their residuals (M=4,3).
        architecture: where given, what its levels bypass is bypassed, and exactly the levels with a fan-out get a
            spatial directive; otherwise those with spatial loops. Version 0.4 needs it.
        version: "0.3" or "0.4".

    Raises:
        InvalidMapping: a dimension is split along both X and Y of one level, which Timeloop's files cannot say.
        InvalidInput: an unknown version, or a name that they cannot carry.
        NotSupported: an uneven mapping, of other levels than the architecture's.
    """
    check_version(version)
    if architecture is not None and mapping.levels != tuple(level.name for level in architecture.levels):
        raise NotSupported(
            f"levels of the mapping are {', '.join(mapping.levels)}, those of {architecture.name!r} are "
            f"{', '.join(level.name for level in architecture.levels)}; Timeloop has no uneven mappings"
        )
    if version == "0.4" and architecture is None:
        raise InvalidInput("architecture is None; version 0.4 needs it, since its spatial loops belong to containers")
    containers = fanout_names(architecture) if architecture else {}
    last, out = last_factors(mapping, problem), bypassed(architecture, mapping.bypass)
    lines = ["mapping:"]
    for i in reversed(range(len(mapping.levels))):
        level = name(mapping.levels[i], "name of a level")
        factors = _spelled(mapping.temporal[i], last[i][TEMPORAL])
        lines.append(_directive(level, "temporal", factors, mapping.order[i], mapping, version))
        order, split = _spatial_order(mapping, i)
        spatial = [x * y for x, y in zip(mapping.spatial_x[i], mapping.spatial_y[i], strict=True)]
        cut = [x * y for x, y in zip(last[i][SPATIAL_X], last[i][SPATIAL_Y], strict=True)]  # one of them is 1
        wanted = level in containers if architecture else max(spatial) > 1 or order != mapping.dimensions
        if wanted or max(spatial) > 1:
            target = containers.get(level, level) if version == "0.4" else level
            lines.append(_directive(target, "spatial", _spelled(spatial, cut), order, mapping, version, split))
        lines += [f"- target: {level}", f"  type: {'bypass' if version == '0.3' else 'dataspace'}"]
        if problem is not None:
            spaces = [space.name for space in problem.dataspaces]
            lines.append(f"  keep: {flow_list(space for space in spaces if space not in out[i])}")
            dropped = [space for space in spaces if space in out[i]]
        else:
            dropped = sorted(out[i])
        lines.append(f"  bypass: {flow_list(name(space, 'name of a dataspace') for space in dropped)}")
    return "\n".join([*lines, ""])


def _directive(
    target: str,
    kind: str,
    factors: Sequence[str],
    order: tuple[str, ...],
    mapping: Mapping,
    version: str,
    split: int | None = None,
) -> str:
    pairs = [f"{name(dim, 'name of a dimension')}={n}" for dim, n in zip(mapping.dimensions, factors, strict=True)]
    fields = {"target": target, "type": kind}
    if version == "0.3":
        joint = "" if all(len(dim) == 1 for dim in order) else " "
        text = " ".join(pairs)
        fields |= {"factors": f'"{text}"' if "," in text else text, "permutation": joint.join(order)}
    else:
        pairs = [f'"{pair}"' if "," in pair else pair for pair in pairs]
        fields |= {"factors": flow_list(pairs), "permutation": flow_list(order)}
    return f"- {flow_map(fields | ({} if split is None else {'split': str(split)}))}"


def _spelled(factors: Sequence[int], last: Sequence[int]) -> list[str]:
    """Factors as Timeloop writes them, with a residual where it differs."""
    return [str(n) if n == residual else f"{n},{residual}" for n, residual in zip(factors, last, strict=True)]


def _spatial_order(mapping: Mapping, level: int) -> tuple[tuple[str, ...], int]:
    """The order of a level's spatial loops with X's before Y's, and how many of it lie along X."""
    x = dict(zip(mapping.dimensions, mapping.spatial_x[level], strict=True))
    y = dict(zip(mapping.dimensions, mapping.spatial_y[level], strict=True))
    for dim in mapping.dimensions:
        if x[dim] > 1 and y[dim] > 1:
            where = mapping.levels[level]
            raise InvalidMapping(
                f"{dim} is split along both X ({x[dim]}) and Y ({y[dim]}) of {where}; "
                "Timeloop's files take one axis for each dimension of a level",
                where,
            )
    order = mapping.spatial_order[level]
    split = next((i for i, dim in enumerate(order) if y[dim] > 1), len(order))
    if any(x[dim] > 1 for dim in order[split:]):  # X's loops lie inside Y's in any case
        order = tuple(sorted(order, key=lambda dim: y[dim] > 1))
        split = next(i for i, dim in enumerate(order) if y[dim] > 1)
    return order, split


def folder_name(layer: str, taken: Iterable[str] = ()) -> str:
    """A folder for a layer: its name, as far as the file systems of all computers take it, and not one that is taken.

    They tell neither upper from lower case nor the ways to write an accent, keep a few names for devices and the dot
    for themselves at either end, and take 255 bytes.
    """
    place = re.sub(r"[^\w.-]", "_", unicodedata.normalize("NFC", layer)).lstrip(".-")[:_LONGEST].rstrip(".") or "layer"
    if place.split(".")[0].upper() in _DEVICES:
        place = f"_{place}"
    used = {_alike(one) for one in taken}
    places = chain((place, f"{place}_"), (f"{place}_{n}" for n in count(2)))
    return next(one for one in places if _alike(one) not in used)


def _alike(name: str) -> str:
    """The same for names that some file system takes for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
