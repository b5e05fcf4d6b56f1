"""A case on disk: the YAML files of one architecture, problem and mapping, and what Timeloop said of them."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import Mapping
from dlco.timeloop.architecture import read_description
from dlco.timeloop.document import Source, load
from dlco.timeloop.mapping import read_mapping
from dlco.timeloop.problem import read_problem
from dlco.workload.problem import Problem

_SECTIONS = ("architecture", "problem", "mapping", "ERT", "ART")
_MAPPER = "timeloop-mapper."
_FOUND = _MAPPER + "map.yaml"
_OUTPUTS = ("timeloop-model.", _MAPPER, "parsed-processed-input")
_LISTS = ("flattened_architecture", "_summary")  # no trees and no tables: they list components by their paths


@dataclass(frozen=True)
class Case:
    """Where the parts of a case stand.

    Attributes:
        name: the folder's.
        files: the file of each section ("architecture", "problem", "mapping", and perhaps "ERT" and "ART").
        stats, xml: what Timeloop printed, where it is there.
    """

    name: str
    files: dict[str, Path]
    stats: Path | None = None
    xml: Path | None = None

    @property
    def inputs(self) -> list[Path]:
        """The files to hand to timeloop-model."""
        return list(dict.fromkeys(self.files.values()))

    @cached_property
    def parts(self) -> tuple[Problem, Architecture, Mapping]:
        """The case, read; raises as the readers do."""
        problem = read_problem(self.files["problem"])
        architecture, description = read_description(self.files["architecture"], self._table("ERT"), self._table("ART"))
        return (
            problem,
            architecture,
            read_mapping(self.files["mapping"], problem, architecture, description.containers or None),
        )

    @property
    def dataspaces(self) -> list[str]:
        """Names of the problem's dataspaces."""
        return [space.name for space in self.parts[0].dataspaces]

    def _table(self, section: str) -> Path | None:
        """The file of ERT or ART, where it is not the architecture's own."""
        path = self.files.get(section)
        return None if path == self.files["architecture"] else path


def find_cases(folder: Source) -> list[Case]:
    """The case in a folder, or else those in its subfolders, by name.

    Raises:
        InvalidInput: there is no such folder or no case in it, or a section stands in two files.
    """
    root = Path(folder) if isinstance(folder, str | os.PathLike) else None
    if root is None or not root.is_dir():
        raise InvalidInput(f"folder is {str(folder)!r}; it must be a folder with Timeloop's YAML files")
    own = _case(root)
    cases = [own] if own else [case for place in sorted(root.iterdir()) if place.is_dir() if (case := _case(place))]
    if not cases:
        raise InvalidInput(
            f"folder {os.fspath(folder)!r} holds no case: YAML files with architecture, problem and mapping, "
            "there or one folder further down"
        )
    return cases


def _case(folder: Path) -> Case | None:
    """The case whose files stand in a folder, or None.

    What Timeloop itself wrote there is second choice, but for the mapping of the mapper's own figures; sections that
    are empty, as its front end leaves them, count as none.
    """
    files: dict[str, Path] = {}
    inputs = [path for path in sorted(folder.iterdir()) if path.suffix in (".yaml", ".yml") and path.is_file()]
    for path in sorted(inputs, key=lambda path: path.name.startswith(_OUTPUTS)):
        is_output = path.name.startswith(_OUTPUTS)
        if is_output and any(mark in path.name for mark in _LISTS):
            continue
        document = load(path, "YAML")
        keys = document.value if isinstance(document.value, dict) else {}
        for section in _SECTIONS:
            if section not in keys or keys[section].empty or (section in files and is_output):
                continue
            if section in files:
                raise InvalidInput(f"{section} stands in both {files[section].name} and {path.name} of {folder.name!r}")
            files[section] = path
    if not {"architecture", "problem", "mapping"} <= set(files):
        return None
    stats, xml = _only(folder, "*stats.txt"), _only(folder, "*map+stats.xml")
    figures = [path for path in (stats, xml) if path is not None]
    if figures and all(path.name.startswith(_MAPPER) for path in figures) and (folder / _FOUND).is_file():
        files["mapping"] = folder / _FOUND  # what the figures are of, whatever other mapping lies beside it
    return Case(folder.resolve().name, files, stats, xml)


def _only(folder: Path, pattern: str) -> Path | None:
    """The one file that matches; raises `InvalidInput` where several do."""
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        raise InvalidInput(f"folder {folder.name!r} holds {len(found)} files {pattern}; there may be one")
    return found[0] if found else None
