"""The documentation's pages: their Python runs, prints what they say, and their commands are commands."""

import re
import shlex
from configparser import ConfigParser
from functools import partial
from pathlib import Path

import pytest

import dlco
from dlco import nas
from dlco.cli.arguments import make_parser

from ..efforts import BRIEF
from .pages import DOCS, blocks, run

PAGES = sorted(page for page in DOCS.rglob("*.md") if blocks(page))
COMMANDS = re.findall(r"^\$ (.*)$", "\n".join(page.read_text("utf-8") for page in sorted(DOCS.rglob("*.md"))), re.M)


@pytest.fixture(autouse=True)
def briefly(monkeypatch, tmp_path):
    """Pages are written for full effort; what they show does not depend on it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dlco, "solve", partial(dlco.solve, effort=BRIEF))
    front = dlco.FrontEffort(ends=BRIEF, points=BRIEF)
    real = dlco.pareto
    monkeypatch.setattr(dlco, "pareto", lambda *given, **more: real(*given, **more | {"effort": front, "points": 2}))
    for name in ("cosearch", "cosearch_widths"):
        search = getattr(nas, name)
        short = {"effort": BRIEF, "evaluations": 2}
        monkeypatch.setattr(
            nas, name, lambda *given, search=search, short=short, **more: search(*given, **more | short)
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_blocks_run_and_print_what_the_page_says(page):
    ran = list(run(page))
    assert ran or not any(block.runs for block in blocks(page))
    for block, printed in ran:
        if block.output is not None:
            assert printed.rstrip() == block.output.rstrip(), f"{page.name}, line {block.line}"


def test_most_blocks_run():
    everything = [block for page in PAGES for block in blocks(page)]
    assert len(everything) > 40
    assert sum(block.runs for block in everything) > 0.8 * len(everything)


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("dlco ")])
def test_commands_are_understood(command):
    make_parser().parse_args(shlex.split(command)[1:])


def test_every_command_has_an_example():
    (choices,) = (action.choices for action in make_parser()._actions if isinstance(action.choices, dict))
    assert set(choices) <= {part.split()[1] for line in COMMANDS for part in re.findall(r"dlco \w+", line)}


def test_every_extra_is_described():
    setup = ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg")
    table = (DOCS / "install.md").read_text("utf-8")
    assert [extra for extra in setup["options.extras_require"] if f"`{extra}`" not in table] == []
