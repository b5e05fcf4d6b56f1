"""Whatever file it is handed, a reader reads it, or says in a sentence of its own what is wrong with it."""

import json
import logging
import random
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dlco
from dlco import InvalidInput, timeloop
from dlco.errors import DlcoError
from dlco.optimize.journal import Journal
from dlco.timeloop.stats import parse_xml

from ..timeloop.conftest import ARCH, PROBLEM
from .mutate import mutate
from .readers import READERS


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", READERS)
def test_good_files_are_read(name: str) -> None:
    assert READERS[name].seeds


@pytest.mark.parametrize("name", READERS)
@settings(suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_damaged_files_are_read_or_refused(name: str, seed: int) -> None:
    reader = READERS[name]
    for k in range(2):
        rng = random.Random(seed + k)
        reader.survives(mutate(rng.choice(reader.seeds), reader.kind, rng))


@pytest.mark.parametrize("name", READERS)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    READERS[name].survives(data)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)
)
"""The billion laughs in YAML: 9^20 words, were aliases copied."""

EXPRESSION = "9**9**9**9"
NODES = "architecture: {version: 0.4, nodes: [!Component {name: A, class: DRAM, attributes: {width: v4000}}]}\n"


@pytest.mark.parametrize("name", [name for name, reader in READERS.items() if reader.kind == "yaml"])
@pytest.mark.parametrize(
    "text",
    [
        BOMB + "problem: *u\narchitecture: *u\nmapping: *u\nmapspace_constraints: *u\nERT: *u\n",
        "architecture: " + "[" * 100_000,
        "problem: " + "{a: " * 100_000,
        "a: &a\n  <<: *a\n",
        "problem: !!python/object/apply:os.system ['exit 1']\n",
        "- " * 50_000,
        PROBLEM.replace("C: 4", f"C: {EXPRESSION}"),
        PROBLEM.replace("C: 4", "C: 1e999"),
        PROBLEM.replace("C: 4", "C: .nan"),
        PROBLEM.replace("C: 4", "C: " + "9" * 100_000),
        ARCH.replace("depth: 128", f"depth: {EXPRESSION}"),
        ARCH.replace("PE[0..11]", "PE[0..99999999999999]"),
        ARCH.replace("PE[0..11]", "PE[0..2147483646]"),
        ARCH.replace("PE[0..11]", "PE" + " " * 100_000 + "["),
        ARCH.replace("{depth: 128", "{" + ", ".join(f"made_up_{i}: {i}" for i in range(30_000)) + ", depth: 128"),
        ARCH + "ERT: {version: 0.3, tables: [{name: 'system." + "[" * 100_000 + "', actions: []}]}\n",
        "variables: {v0: 1, " + ", ".join(f"v{i}: v{i - 1}+1" for i in range(1, 50_000)) + "}\n" + NODES,
        "variables: {" + ", ".join(f"v{i}: v{(i + 1) % 5000} + v{i * 7 % 5000}" for i in range(5000)) + "}\n" + NODES,
    ],
    ids=[
        *("aliases", "lists", "mappings", "merged", "object", "sequences", *["value"] * 4, "depth", "range", "pes"),
        *("name", "attributes", "table", "chain", "circles"),
    ],
)
def test_bombs_in_yaml_are_refused_at_once(name: str, text: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    READERS[name].survives(text.encode())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024, "KiB more at the peak"


@pytest.mark.parametrize("value", [EXPRESSION, "1e999", ".nan", "9" * 100_000, "0x10", "-4", "4.5"])
def test_bounds_that_are_no_whole_numbers_are_refused(value: str) -> None:
    with pytest.raises(InvalidInput, match="must be an integer of at least 1"):
        timeloop.read_problem(PROBLEM.replace("C: 4", f"C: {value}"))


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE b [<!ENTITY % a SYSTEM "file:///etc/hostname"> %a;]>',
    ],
)
def test_entities_in_xml_are_refused(declared: str) -> None:
    with pytest.raises(InvalidInput, match="declares entities"):
        parse_xml(f"{declared}<b>&a;</b>", ["Weights"])


@pytest.mark.parametrize("kind", ["solution", "front", "codesign"])
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"format": 1, "cost": ' + "[" * 900 + "]" * 900 + "}",
        "NaN",
        "9" * 5000,
        "",
        "\u0000",
        '"\\ud800"',
    ],
    ids=["open lists", "deep", "NaN", "digits", "empty", "zero", "surrogate"],
)
def test_bombs_in_json_are_refused(kind: str, text: str) -> None:
    assert not READERS[kind].survives(text.encode("utf-8", "replace"))


@pytest.mark.parametrize("path", [("cost", "edp"), ("lower_bound",), ("layer_costs", None, "cycles")])
@pytest.mark.parametrize("value", [float("nan"), "1", None, True, [], 10**400])
def test_figures_of_a_solution_are_numbers(path: tuple[str | None, ...], value: object, tmp_path: Path) -> None:
    if path == ("lower_bound",) and value is None:
        return  # where none was computed
    data = json.loads(READERS["solution"].seeds[0])
    place = data
    for key in path[:-1]:
        place = place[key if key is not None else next(iter(place))]
    place[path[-1]] = value
    (tmp_path / "solution.json").write_text(json.dumps(data))
    with pytest.raises(InvalidInput):
        dlco.Solution.load(tmp_path / "solution.json")


def test_a_damaged_part_of_a_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    journal = Journal(path, "asked", resume=False)
    journal.record("begin", [1, 2, 3])
    journal._file.execute("UPDATE parts SET content = ? WHERE name = 'begin'", (b"no archive",))
    with pytest.raises(DlcoError, match=r"run\.ckpt' is damaged at 'begin'"):
        journal.recall("begin")
    journal.close()


def test_a_checkpoint_comes_into_being_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it makes its file, a run leaves none; so the same command starts it anew."""

    def killed(*args: object) -> None:
        raise SystemExit

    path = tmp_path / "run.ckpt"
    with monkeypatch.context() as patch:
        patch.setattr("dlco.optimize.journal.os.link", killed)
        with pytest.raises(SystemExit):
            Journal(path, "asked", resume=False)
    assert not path.exists()
    Journal(path, "asked", resume=False).close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.ckpt"]
