"""The rooms of the house: a lower one knows nothing of a higher one, nothing goes in circles, no module is too long."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 450  # lines

# Bottom up; rooms of one step are side by side and know nothing of each other.
STEPS = (
    (
        *("version", "errors", "texts", "reading", "files", "journal", "tasks", "interrupts", "progress"),
        "progress_bar",
    ),
    ("workload",),
    ("hardware",),
    ("mapping",),
    ("cost", "simulate"),
    ("design",),
    ("timeloop",),
    ("search",),
    ("bound", "relax"),
    ("exact",),
    ("fusion",),
    ("optimize",),
    ("nas",),
    ("report",),
    ("cli",),
    ("", "__main__"),
)
STEP = {room: step for step, rooms in enumerate(STEPS) for room in rooms}
GROUND = STEPS[0]  # single modules, which may know each other

SHOWN_BY: dict[str, set[str]] = {
    "dlco.design.above": {
        *("dlco.design.front_table", "dlco.design.solution_table", "dlco.optimize.sensitivity", "dlco.report.front"),
    },
    "dlco.mapping.mapping": {"dlco.mapping.loopnest"},
}
"""The exceptions: what is printed, drawn or looked into calls what knows how, imported when it is asked to."""


def module_of(path: Path) -> str:
    """The name under which a file of the package is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted((ROOT / "dlco").rglob("*.py"))}


def imports_of(module: str) -> Iterator[str]:
    """The modules of the package that a module imports, wherever in it, or spells out for an import by name."""
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name in FILES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative name"
            for one in node.names:  # a name of a package counts for its own
                yield from [name for name in (f"{node.module}.{one.name}", node.module) if name in FILES][:1]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in FILES:
            if FILES[node.value].name != "__init__.py":  # the name of a package is that of its files
                yield node.value


IMPORTS = {module: set(imports_of(module)) - {"dlco"} for module in FILES}
KNOWN = {module: others - SHOWN_BY.get(module, set()) for module, others in IMPORTS.items()}


def room_of(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def test_every_module_has_its_room() -> None:
    assert {room_of(module) for module in FILES} == set(STEP)


def test_no_room_knows_one_above_or_beside_it() -> None:
    wrong = []
    for module, others in KNOWN.items():
        room = room_of(module)
        for other in others:
            apart = room_of(other) != room and not {room, room_of(other)} <= set(GROUND)
            if apart and STEP[room_of(other)] >= STEP[room]:
                wrong.append(f"{module} imports {other}")
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(KNOWN).prepare()
    except CycleError as error:
        pytest.fail(" is imported by ".join(error.args[1]))


def test_the_exceptions_are_needed() -> None:
    assert {module: IMPORTS[module] & others for module, others in SHOWN_BY.items()} == SHOWN_BY


def test_no_module_is_too_long() -> None:
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in FILES.items()}
    assert {module: lines for module, lines in lengths.items() if lines > LONGEST} == {}
