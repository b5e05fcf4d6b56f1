"""Every reader of files that dlco has, with good files to begin from: what the fuzzers feed, and tests too.

What was read is used: a problem is mapped and counted, a machine runs a small layer, a table is asked for accuracies.
"""

import gzip
import json
import resource
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dlco
from dlco import timeloop
from dlco.errors import DlcoError
from dlco.journal import Journal
from dlco.mapping import Constraints, MapSpace
from dlco.nas import AccelBenchDesign, CoDesign, WidthChoice
from dlco.nas.oracles.fit import load_predictor
from dlco.nas.oracles.predictor import Quality
from dlco.nas.oracles.ridge import Ridge
from dlco.nas.oracles.table import TableAccuracy
from dlco.nas.spaces import NasBench201
from dlco.timeloop.stats import parse_stats, parse_xml
from dlco.workload.frontends import from_csv, from_onnx

from ..timeloop.conftest import ARCH, MAPPING, PROBLEM
from ..timeloop.test_constraints import TEXT as CONSTRAINTS
from ..timeloop.test_constraints import V4

DATA = Path(__file__).parents[1] / "data"
LIMIT_MB = 300  # that a file may take
LEAST_S = 10.0  # that any file may take, and longer by its size
BYTES_A_SECOND = 20_000
TEMPLATE = """
{% set channels = 4 %}
base: &base {shape: cnn-layer, instance: {C: {{ channels }}, M: 2, R: 3, S: 1, P: {{ 2 ** 3 }}, Q: 1, N: 1}}
problem:
  <<<: *base
  {% if channels > 2 %}
  instance: {Q: 2}
  {% endif %}
"""
REQUEST = "what the run was asked for"


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        read: takes a file's content and returns, or raises a `DlcoError`; anything else is a fault.
        kind: what files hold, see `mutate`.
        load_seeds: returns good files' contents.
        use: does with what was read what it is for, under the same rule.
    """

    read: Callable[[bytes], object]
    kind: str
    load_seeds: Callable[[], list[bytes]]
    use: Callable[[Any], object] = str

    @cached_property
    def seeds(self) -> list[bytes]:
        """Good files' contents: those that the reader takes."""
        return [content for content in self.load_seeds() if self.survives(content)]

    def survives(self, data: bytes) -> bool:
        """Whether the content was read; what is raised beside `DlcoError` comes through."""
        with _words():
            read = self.read(data)
            with _words():
                self.use(read)
            return True
        return False


@contextmanager
def _words() -> Iterator[None]:
    """Take a `DlcoError` that says something."""
    try:
        yield
    except DlcoError as error:
        if not str(error).strip():
            raise AssertionError("an error without words") from error


@contextmanager
def bounded(size: int) -> Iterator[None]:
    """Raise where the block takes longer than a file of `size` bytes may, or 300 MiB more than any before."""

    def late(*args: object) -> None:
        raise TimeoutError(f"{size} bytes took more than {seconds} s")

    seconds = LEAST_S + size / BYTES_A_SECOND
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if more > LIMIT_MB:
        raise MemoryError(f"{size} bytes took {more:.0f} MiB; {LIMIT_MB} go")


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """A reader of texts; a line break makes sure that it takes none for a path."""
    return lambda data: read(data.decode("utf-8", "replace") + "\n")


def _file(read: Callable[[Path], object], suffix: str) -> Callable[[bytes], object]:
    """A reader of files."""
    folder = tempfile.TemporaryDirectory(prefix="dlco-fuzz-")

    def from_file(data: bytes, folder: tempfile.TemporaryDirectory[str] = folder) -> object:
        path = Path(folder.name) / f"file{suffix}"
        path.write_bytes(data)
        return read(path)

    return from_file


@lru_cache
def _cases() -> list[dict[str, str]]:
    with gzip.open(DATA / "timeloop" / "cases.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line)["yaml"] for line in file]
    return [{"arch": ARCH, "problem": PROBLEM, "mapping": MAPPING}, *rows[::40]]


def _yaml(*names: str) -> list[bytes]:
    return ["\n".join(case[name] for name in names).encode() for case in _cases()]


def _architectures() -> list[bytes]:
    hardware = [path.read_bytes() for path in sorted((DATA / "timeloop" / "hardware").glob("*.yaml"))]
    return [*_yaml("arch"), *hardware, V4.encode(), (DATA / "timeloop" / "printed" / "arch.yaml").read_bytes()]


def _files(*names: str) -> Callable[[], list[bytes]]:
    return lambda: [(DATA / name).read_bytes() for name in names]


@lru_cache
def _work() -> tuple[dlco.Problem, dlco.Architecture]:
    return timeloop.read_problem(PROBLEM), timeloop.read_architecture(ARCH)


def _accuracies(path: Path) -> TableAccuracy:
    return TableAccuracy.read(NasBench201(), path, "c10")


@lru_cache
def _small() -> dlco.Problem:
    return timeloop.read_problem("problem: {shape: cnn-layer, C: 2, M: 2, R: 2, S: 1, P: 4, Q: 1, N: 1}")


def _map(problem: dlco.Problem, machine: dlco.Architecture, constraints: Constraints | None = None) -> None:
    """Draw mappings and count them."""
    space = MapSpace.of(problem, machine, constraints)
    drawn = space.batch(*space.random(3, torch.Generator().manual_seed(0)))
    assert str(dlco.evaluate(problem, machine, drawn))


def _map_layers(layers: Iterable[dlco.Layer]) -> None:
    for layer in list(layers)[:3]:
        _map(layer.problem, _work()[1])


def _ask(oracle: Any) -> None:
    """The accuracies of a few networks."""
    networks = getattr(oracle, "networks", None) or NasBench201().sample(3, torch.Generator().manual_seed(0))
    assert str(oracle.accuracy(list(networks)[:3]))


def _model(text: str) -> object:
    return timeloop.model(text, text, text)


def _checkpoint(path: Path) -> None:
    journal = Journal(path, REQUEST, resume=True)
    try:
        for name in ("begin", "best", "none"):
            journal.recall(name)
    finally:
        journal.close()


def _checkpoints() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "run.ckpt", REQUEST, resume=False)
        journal.record("begin", {"sizes": torch.arange(6.0), "names": ["a", "b"]})
        journal.record("best", [1, 2.5, {"x": torch.ones(2, dtype=torch.int64)}])
        journal.close()
        return [(Path(folder) / "run.ckpt").read_bytes()]


def _tables() -> list[bytes]:
    lines = (DATA / "nas" / "nasbench201.csv").read_bytes().splitlines(keepends=True)
    return [b"".join(lines[:3]), b"".join(lines[:12])]


def _networks() -> list[bytes]:
    rows = [
        b"name,type,C,M,P,Q,R,S,stride,dilation,groups,count\nconv1,conv2d,3,64,112,112,7,7,2,,,1\n"
        b'conv2,conv,64,64,56,56,3,3,1,"1 2",4,3\n# a comment\ndw,depthwise,32,,14,14,3,3,1,,,\n',
        b"name;type;B;M;K;N;C\nqk;matmul;12;64;64;197;\nfc;linear;;1000;;1;512\n",
    ]
    return rows


def _predictors() -> list[bytes]:
    space = NasBench201()
    features = sum(len(decision.options) for decision in space.decisions)
    weights = torch.linspace(-1, 1, features, dtype=torch.float64)
    predictor = Ridge(space, Quality(1.0, 0.5, 10, 2), weights, torch.tensor(90.0, dtype=torch.float64), 1.0)
    with tempfile.TemporaryDirectory() as folder:
        predictor.save(Path(folder) / "ridge.npz")
        return [(Path(folder) / "ridge.npz").read_bytes()]


def _models() -> list[bytes]:
    import onnx
    from onnx import TensorProto, helper

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        values = np.zeros(shape, dtype=np.float32)
        return helper.make_tensor(name, TensorProto.FLOAT, shape, values.tobytes(), raw=True)

    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "c1", strides=[2, 2], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], "c2", group=4, kernel_shape=[1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "w3"], ["f"], "g", transB=1),
        helper.make_node("MatMul", ["f", "w4"], ["y"], "m"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weights("w1", 4, 3, 3, 3), weights("w2", 4, 1, 1, 1), weights("w3", 5, 4), weights("w4", 5, 2)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    return [model.SerializeToString()]


READERS = {
    "architecture": Reader(
        _text(timeloop.read_architecture), "yaml", _architectures, lambda machine: _map(_small(), machine)
    ),
    "tables": Reader(
        _text(lambda text: timeloop.read_architecture(ARCH, ert=text, art=text)),
        "yaml",
        _architectures,
        lambda machine: _map(_small(), machine),
    ),
    "problem": Reader(
        _text(timeloop.read_problem),
        "yaml",
        lambda: [*_yaml("problem"), TEMPLATE.encode()],
        lambda problem: _map(problem, _work()[1]),
    ),
    "mapping": Reader(
        _text(lambda text: timeloop.read_mapping(text, *_work())),
        "yaml",
        lambda: [MAPPING.encode(), *_yaml("mapping")],
        lambda mapping: dlco.evaluate(*_work(), mapping),
    ),
    "constraints": Reader(
        _text(lambda text: timeloop.read_constraints(text, *_work())),
        "yaml",
        lambda: [CONSTRAINTS.encode(), V4.encode()],
        lambda constraints: _map(*_work(), constraints),
    ),
    "model": Reader(_text(_model), "yaml", lambda: _yaml("arch", "problem", "mapping")),
    "stats": Reader(_text(parse_stats), "text", _files("timeloop/printed/timeloop-model.stats.txt")),
    "xml": Reader(
        _text(lambda text: parse_xml(text, ["Weights", "Inputs", "Outputs"])),
        "text",
        _files("timeloop/printed/timeloop-model.map+stats.xml"),
    ),
    "solution": Reader(_file(dlco.Solution.load, ".json"), "json", _files("saved/solution_format1.json")),
    "front": Reader(_file(dlco.Front.load, ".json"), "json", _files("saved/front_format1.json")),
    "codesign": Reader(_file(CoDesign.load, ".json"), "json", _files("saved/codesign_format1.json")),
    "widths": Reader(_file(WidthChoice.load, ".json"), "json", _files("saved/widths_format1.json")),
    "accelbench": Reader(_file(AccelBenchDesign.load, ".json"), "json", _files("saved/accelbench_format1.json")),
    "checkpoint": Reader(_file(_checkpoint, ".ckpt"), "checkpoint", _checkpoints),
    "accuracies": Reader(_file(_accuracies, ".csv"), "text", _tables, _ask),
    "packed": Reader(
        _file(_accuracies, ".csv.gz"), "gzip", lambda: [gzip.compress(table) for table in _tables()], _ask
    ),
    "predictor": Reader(_file(lambda path: load_predictor(path, NasBench201()), ".npz"), "zip", _predictors, _ask),
    "network": Reader(_file(from_csv, ".csv"), "text", _networks, _map_layers),
    "onnx": Reader(_file(from_onnx, ".onnx"), "bytes", _models, _map_layers),
}
