"""Whatever file it is handed, a reader reads it, or says in a sentence of its own what is wrong with it."""

import gzip
import io
import json
import logging
import random
import resource
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dlco
from dlco import InvalidInput, timeloop
from dlco.errors import DlcoError
from dlco.journal import Journal
from dlco.nas.oracles.fit import load_predictor
from dlco.nas.oracles.table import TableAccuracy
from dlco.nas.spaces import NasBench201
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


def test_a_short_run_of_the_fuzzer_without_its_guide() -> None:
    """Each reader in a process of its own, held to its memory and time; every file that it reads is used."""
    command = [sys.executable, str(Path(__file__).with_name("fuzz.py")), "--unguided", "--runs", "250"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stdout.count(" inputs, ") == len(READERS)


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


def _nodes(depth: int, width: int, tag: str) -> str:
    text = "&a0 !Nothing {}"
    for i in range(depth):
        text = f"&a{i + 1} !{tag} {{nodes: [{text}{f', *a{i}' * (width - 1)}]}}"
    return f"architecture: {{version: 0.4, nodes: [{text}]}}\n"


def _keys(count: int) -> str:
    return ", ".join(f"k{i}: 1" for i in range(count))


ACTION = "&x {name: read, arguments: {}, energy: 1}"
PROJECTION = "[&r [&q [C]" + ", *q" * 3000 + "]" + ", *r" * 3000 + "]"
DIMENSIONS = ", ".join(f"D{i}" for i in range(5000))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            (name, _nodes(40, 10, tag))
            for name in ("architecture", "constraints")
            for tag in ("Hierarchical", "Parallel")
        ),
        ("architecture", _nodes(10, 4, "Pipelined")),
        ("architecture", "mapper: {a: &m {" + _keys(6000) + "}, b: {<<: [" + ", ".join(["*m"] * 2000) + "]}}\n" + ARCH),
        ("architecture", "mapper: {a: &m {" + _keys(3000) + "}, b: {" + ", ".join(["<<: *m"] * 3000) + "}}\n" + ARCH),
        (
            "tables",
            f"ERT: {{version: 0.4, tables: [&t {{name: DRAM, actions: [{ACTION}"
            + ", *x" * 5000
            + "]}"
            + ", *t" * 5000
            + "]}",
        ),
        ("problem", PROBLEM.replace("projection: [[[K]], [[P]]]", f"projection: {PROJECTION}")),
        ("problem", f"problem: {{shape: {{dimensions: [{DIMENSIONS}], data_spaces: []}}, instance: {{}}}}"),
    ],
)
def test_aliases_and_merges_that_explode_are_refused(name: str, text: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert not READERS[name].survives(text.encode())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024, "KiB more at the peak"


def test_a_bomb_that_no_reader_looks_at_is_harmless() -> None:
    assert READERS["problem"].survives((BOMB + PROBLEM).encode())


def test_compressed_files_unfold_to_so_much_and_no_more(tmp_path: Path) -> None:
    """Some hundred KB that stand for half a gigabyte each."""
    rows, line, array = tmp_path / "rows.csv.gz", tmp_path / "line.csv.gz", tmp_path / "array.npz"
    for path, head, chunk in ((rows, b"arch,c10\n", b"a,1\n" * (1 << 18)), (line, b"", b"a" * (1 << 20))):
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(head)
            for _ in range(300):
                file.write(chunk)
    with (
        zipfile.ZipFile(array, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("kind.npy", "w") as part,
    ):
        for _ in range(500):
            part.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path, sentence in ((rows, "more than 500000 rows"), (line, "longer than any such table")):
        with pytest.raises(InvalidInput, match=sentence):
            TableAccuracy.read(NasBench201(), path, "c10")
    with pytest.raises(InvalidInput, match="its parts unfold to 524288000 bytes"):
        load_predictor(array, NasBench201())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024, "KiB more at the peak"


def test_a_packed_part_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 22))
    journal = Journal(tmp_path / "run.ckpt", "asked", resume=False)
    journal.record("begin", [1])
    journal._file.execute("UPDATE parts SET content = ? WHERE name = 'begin'", (packed.getvalue(),))
    with pytest.raises(DlcoError, match=r"is damaged at 'begin'"):
        journal.recall("begin")
    journal.close()


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
        patch.setattr("dlco.journal.os.link", killed)
        with pytest.raises(SystemExit):
            Journal(path, "asked", resume=False)
    assert not path.exists()
    Journal(path, "asked", resume=False).close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.ckpt"]
