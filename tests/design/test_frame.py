"""Tables of results for other programs: the solution's own figures, under names with units."""

import builtins
import csv
import io
from pathlib import Path

import pytest

import dlco
from dlco.errors import InvalidInput

SAVED = Path(__file__).parents[1] / "data" / "saved"


@pytest.fixture(scope="module")
def saved() -> dlco.Solution:
    return dlco.Solution.load(SAVED / "solution_format1.json")


def test_a_row_a_layer(saved: dlco.Solution) -> None:
    frame = saved.to_frame()
    assert list(frame["layer"]) == [layer.name for layer in saved.layers]
    levels = [f"{level.name}_pj" for level in saved.architecture.levels]
    assert list(frame.columns) == [
        *("layer", "count", "macs", "cycles", "latency_s", "energy_pj", "edp_pj_cycles", "utilization"),
        *("mac_pj", "leak_pj", *levels),
    ]
    assert (frame["count"] * frame["cycles"]).sum() == saved.cost.cycles
    assert (frame["count"] * frame["energy_pj"]).sum() == pytest.approx(saved.cost.energy_pj, rel=1e-12)
    assert (frame["count"] * frame["latency_s"]).sum() == pytest.approx(saved.cost.latency_s, rel=1e-12)
    parts = frame[["mac_pj", "leak_pj", *levels]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(frame["energy_pj"].to_numpy(), rel=1e-12)


def test_a_row_a_point() -> None:
    front = dlco.Front.load(SAVED / "front_format1.json")
    frame = front.to_frame()
    assert list(frame["latency_s"]) == [point.values[0] for point in front.points]
    assert list(frame["network_energy_pj"]) == [point.solution.cost.energy_pj for point in front.points]
    assert frame["knee"].dtype == bool
    assert ",".join(frame.columns) == front.to_csv().splitlines()[0]


def test_csv_is_the_same_table(saved: dlco.Solution) -> None:
    header, *lines = csv.reader(io.StringIO(saved.to_csv()))
    assert header == list(saved.to_frame().columns)
    assert [[float(cell) for cell in line[1:]] for line in lines] == saved.to_frame().iloc[:, 1:].to_numpy().tolist()


def test_without_pandas_the_extra_is_named(saved: dlco.Solution, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *arguments: object, **options: object) -> object:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(InvalidInput, match=r"needs the package pandas; install dlco with its extra \[pandas\]"):
        saved.to_frame()
