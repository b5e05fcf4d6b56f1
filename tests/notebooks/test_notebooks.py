"""Every notebook runs from top to bottom, and what is shipped with it reads well on any machine."""

import re
from pathlib import Path

import nbformat
import pytest

nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL_SECONDS = 900  # a safety: a notebook takes less than a minute where it has a core to itself
LARGEST = 400_000  # bytes; pictures included
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|usr|opt|var|mnt|work|Users)/|[A-Z]:\\Users")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def texts(notebook: nbformat.NotebookNode) -> list[str]:
    """Everything in the outputs that is no picture."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [text for output in outputs for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return [*(output.text for output in outputs if output.output_type == "stream"), *shown]


def test_there_are_notebooks() -> None:
    names = {"first_solve", "timeloop", "pareto", "cosearch", "matrix_form", "technology_fit"}
    assert names <= {path.stem for path in NOTEBOOKS}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the kernel's own packages, which are not ours to mend
@each_notebook
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a copy of the folder, beside what it may read, so that nothing is left behind."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for beside in ("benchmarks", "tests"):
        (tmp_path / beside).symlink_to(ROOT / beside)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = read(path)
    client = nbclient.NotebookClient(notebook, timeout=CELL_SECONDS, resources={"metadata": {"path": str(folder)}})
    client.execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.source)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert list(folder.iterdir()) == []


@each_notebook
def test_it_is_shipped_with_the_outputs_of_one_run_in_order(path: Path) -> None:
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)


@each_notebook
def test_it_is_small_and_names_no_place_of_the_machine_that_ran_it(path: Path) -> None:
    assert path.stat().st_size <= LARGEST
    notebook = read(path)
    sources = [cell.source for cell in notebook.cells]
    found = [text for text in (*texts(notebook), *sources) if MACHINE_PATH.search(text)]
    assert not found


@each_notebook
def test_links_between_notebooks_lead_somewhere(path: Path) -> None:
    for cell in read(path).cells:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", cell.source) if cell.cell_type == "markdown" else ():
            assert (path.parent / target).exists(), target
