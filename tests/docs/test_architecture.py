"""The page of rooms, formulas and constants: what it names is where it says."""

import re

import pytest

from .pages import DOCS

ROOT = DOCS.parent
TEXT = (DOCS / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:dlco|benchmarks|tests)/[\w./]+)`", TEXT)))


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, a list a row."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_every_path_exists() -> None:
    assert len(PATHS) > 80
    assert [path for path in PATHS if not (ROOT / path).exists()] == []


def test_every_room_has_a_row() -> None:
    named = " ".join(row[0] for row in rows("The rooms"))
    rooms = [path for path in (ROOT / "dlco").iterdir() if not path.name.startswith("_") and path.suffix in ("", ".py")]
    rooms = [path for path in rooms if path.suffix or (path / "__init__.py").exists()]
    assert [path.name for path in rooms if f"`dlco/{path.name}`" not in named and path.name != "version.py"] == []


@pytest.mark.parametrize("row", rows("Where a formula is"), ids=lambda row: row[0])
def test_a_name_beside_a_file_is_in_it(row: list[str]) -> None:
    for name, path in re.findall(r"`([\w.]+)` in `(dlco/[\w./]+)`", row[2]):
        assert re.search(rf"(?:def|class) {name.rpartition('.')[2]}\b", (ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", rows("Where tuning numbers come from"), ids=lambda row: row[0])
def test_every_constant_is_in_its_files(row: list[str]) -> None:
    files = [ROOT / path for path in re.findall(r"`([\w./]+)`", row[1])]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files if path.is_file())
    assert [name for name in re.findall(r"`([A-Za-z_\d]+)`", row[0]) if not re.search(rf"\b{name}\b", text)] == []
