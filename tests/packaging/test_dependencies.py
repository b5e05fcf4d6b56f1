"""What `pip install dlco` brings is what dlco imports; what an extra brings is imported only where it is asked for."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

from dlco.cli import doctor

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "pyyaml"}
"""By the name under which it is imported, where that is another one."""

BROUGHT = {
    "vision": {"timm", "torchvision"},  # models that a user gives to `from_torch`
    "dask": {"dask", "distributed"},  # backends of joblib, by name
    "ray": {"ray"},
}
"""By extra, what no module of dlco imports: a user does, or joblib."""

DEVELOPERS = {"bench", "docs", "fuzz", "test"}
"""Extras for work on dlco itself."""

EVERYTHING = """
import sys
from importlib import import_module
from pkgutil import walk_packages

sys.modules |= dict.fromkeys({absent}, None)
import dlco

for name in dlco.__all__:
    getattr(dlco, name)
for module in walk_packages(dlco.__path__, "dlco."):
    if module.name not in {left_out}:
        import_module(module.name)

from dlco.nas import cosearch
from dlco.optimize.effort import EFFORTS
from tests.nas.small import FAST, Linear, make_hardware, make_space

dlco.solve([dlco.linear("fc", C=8, M=4)], dlco.hardware.generic(), effort=EFFORTS["low"])
space = make_space()
effort = dlco.SolveEffort(starts=0, polishes=0, fit=FAST)
assert cosearch(space, Linear(space), make_hardware(), evaluations=4, effort=effort)
"""
NEEDS_AN_EXTRA = {"dlco.__main__", "dlco.nas.methods.evolutionary"}
"""Modules that are imported only by those who ask for them."""


def imported() -> Iterator[str]:
    """The distribution that each import of the package is of; imports for type checkers alone count too."""
    for path in (ROOT / "dlco").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [one.name for one in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            yield from (DISTRIBUTIONS.get(name, name) for name in (one.partition(".")[0] for one in names))


def declared(text: str) -> set[str]:
    """The packages in a list of requirements, plainly spelled."""
    return {plain(re.split(r"[\[><=]", line)[0]) for line in text.split()}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


CONFIG = ConfigParser()
CONFIG.read(ROOT / "setup.cfg")
NEEDED = declared(CONFIG["options"]["install_requires"])
EVERY_EXTRA = {name: declared(text) for name, text in CONFIG["options.extras_require"].items()}
EXTRAS = {name: packages for name, packages in EVERY_EXTRA.items() if name not in DEVELOPERS}
IMPORTED = {plain(name) for name in imported()} - {"dlco"} - {plain(name) for name in sys.stdlib_module_names}


def test_everything_imported_is_declared_and_the_other_way_round() -> None:
    optional = set().union(*EXTRAS.values()) - set().union(*BROUGHT.values())
    assert not NEEDED & optional
    assert IMPORTED == NEEDED | optional


def test_what_no_module_imports_is_brought_for_those_who_do() -> None:
    assert all(BROUGHT.get(name, set()) <= packages for name, packages in EXTRAS.items())
    assert not IMPORTED & set().union(*BROUGHT.values())


def test_without_any_extra_a_first_solve_and_a_co_search_run() -> None:
    absent = set().union(*doctor.EXTRAS.values())
    script = EVERYTHING.format(absent=sorted(absent), left_out=sorted(NEEDS_AN_EXTRA))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_doctor_looks_for_what_is_declared() -> None:
    assert {plain(name) for name in doctor.NEEDED} == NEEDED
    by_distribution = {
        extra: {plain(DISTRIBUTIONS.get(module, module)) for module in modules}
        for extra, modules in doctor.EXTRAS.items()
    }
    assert by_distribution == EXTRAS


def test_every_package_has_a_tested_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert NEEDED.union(*EVERY_EXTRA.values()) <= {plain(line.split("==")[0]) for line in lines if "==" in line}
