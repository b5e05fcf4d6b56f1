"""The API pages: every public name is on one, and docstrings come out with an entry a name."""

import importlib
import importlib.util
import inspect
import re
import runpy

import pytest

import dlco

from .pages import DOCS

ROOMS = (
    "workload",
    "workload.frontends",
    "hardware",
    "mapping",
    "cost",
    "simulate",
    "design",
    "timeloop",
    "bound",
    "relax",
    "exact",
    "optimize",
    "nas",
    "report",
)
SHOWN = re.findall(r"^::: (\S+)$", "\n".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md")), re.M)


def is_shown(name: str, what: object) -> bool:
    """Whether a page shows it: by its name, or with its module."""
    home = getattr(what, "__module__", "")
    return any(one.rpartition(".")[2] == name or home == one or home.startswith(f"{one}.") for one in SHOWN)


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_every_public_name_is_shown(room):
    module = importlib.import_module(f"dlco.{room}") if room else dlco
    public = {name: getattr(module, name) for name in module.__all__}
    described = {name: what for name, what in public.items() if inspect.isclass(what) or inspect.isfunction(what)}
    assert described
    assert [name for name, what in described.items() if not is_shown(name, what)] == []


def test_what_is_shown_exists():
    assert len(SHOWN) > 80
    assert [path for path in SHOWN if not exists(path)] == []


def exists(path: str) -> bool:
    """Whether this is a module, or a name in one."""
    module, _, name = path.rpartition(".")
    home = importlib.import_module(module)
    return hasattr(home, name) or importlib.util.find_spec(path) is not None


def test_an_entry_of_several_names_becomes_one_each():
    pytest.importorskip("griffe", reason="dlco's extra [docs] is not installed")
    names = runpy.run_path(str(DOCS / "griffe_names.py"))
    entries = "a, b: pJ; `c`: um2\n        an instance.", "a: pJ.\n    b: pJ.\n    c: um2\n        an instance."
    before, after = (
        f"A level.\n\nAttributes:\n    {one}\n    d: words.\n\nReturns:\n    x, y: none.\n" for one in entries
    )
    assert names["one_each"](before) == after
