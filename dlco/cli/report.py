"""`dlco report`: what a command saved, as a table, a picture or a web page."""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from dlco.cli.names import PAGES, PICTURES
from dlco.cli.outputs import check_outputs, write_outputs
from dlco.cli.streams import tell
from dlco.design.accelbench_design import AccelBenchDesign
from dlco.design.codesign import CoDesign
from dlco.design.front import Front
from dlco.design.solution import Solution
from dlco.design.width_choice import WidthChoice
from dlco.errors import InvalidInput
from dlco.files import read_json
from dlco.report.front import plot_front
from dlco.report.nas import plot_codesign
from dlco.report.pages.accelbench import accelbench_page
from dlco.report.pages.codesign import codesign_page
from dlco.report.pages.front import front_page
from dlco.report.pages.solution import solution_page
from dlco.report.pictures.overview import plot_solution


@dataclass(frozen=True)
class _Kind:
    """How results of one kind are read and shown."""

    read: Callable[[Any], Any]
    picture: Callable[..., Figure]
    page: Callable[[Any, str, str], str]


def run(arguments: argparse.Namespace) -> int:
    """Print the table or write the file; returns the exit code."""
    output: str | None = arguments.output
    suffix = Path(output or "").suffix.lower()
    if output is not None and suffix not in (*PICTURES, *PAGES):
        raise InvalidInput(f"--output is {output!r}; its suffix must be one of {', '.join((*PICTURES, *PAGES))}")
    check_outputs({"--output": output})
    data = read_json("solution", arguments.solution)
    kind = _kind(data)
    result, title = kind.read(data), arguments.solution.stem
    if arguments.sensitivities:
        if not isinstance(result, Solution):
            raise InvalidInput("--sensitivities is given, but the file holds no single design of `dlco solve`")
        _ = result.sensitivities  # from here on tables and pages have them
    if output is None:
        tell(result)
    elif suffix in PAGES:
        page = kind.page(result, title, _source(arguments.solution, data))
        write_outputs({output: lambda path: path.write_text(page, encoding="utf-8")})
    else:
        write_outputs({output: lambda path: kind.picture(result, path, title=title)})
    return 0


def _kind(data: Any) -> _Kind:
    """What a document of results holds; anything unknown is taken for a solution, whose reader says what is wrong."""
    named = data.get("kind") if isinstance(data, dict) else None
    if named == Front.KIND:
        return _Kind(Front.from_dict, plot_front, front_page)
    if named == CoDesign.KIND:
        return _Kind(CoDesign.from_dict, plot_codesign, codesign_page)
    if named == AccelBenchDesign.KIND:
        return _Kind(AccelBenchDesign.from_dict, plot_codesign, accelbench_page)
    if named == WidthChoice.KIND:  # drawn is the width chosen
        return _Kind(
            WidthChoice.from_dict,
            lambda choice, path, title: plot_codesign(choice.best, path, title=f"{title}, {choice.word_bits} bits"),
            lambda choice, title, source: codesign_page(choice.best, f"{title}, {choice.word_bits} bits", source),
        )
    return _Kind(Solution.from_dict, plot_solution, solution_page)


def _source(path: Path, data: dict[str, Any]) -> str:
    """The file's name, and which version wrote it where it says so."""
    writer = f", written by dlco {data['dlco']}" if isinstance(data.get("dlco"), str) else ""
    return os.fspath(path.name) + writer
