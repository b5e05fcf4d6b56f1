"""Whatever is handed to a reader, it reads it or says in a sentence of its own what is wrong."""

import contextlib
import logging
from collections.abc import Callable, Iterator

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dlco import timeloop
from dlco.errors import DlcoError
from dlco.timeloop.stats import parse_stats, parse_xml

WORDS = [
    *("architecture", "version", "subtree", "nodes", "name", "local", "class", "attributes", "depth", "width", "meshX"),
    *(
        "ERT",
        "ART",
        "tables",
        "actions",
        "energy",
        "area",
        "problem",
        "shape",
        "dimensions",
        "data_spaces",
        "projection",
    ),
    *("coefficients", "instance", "mapping", "target", "type", "factors", "permutation", "split", "keep", "bypass"),
    *(
        "DRAM",
        "Buffer",
        "Registers",
        "MAC",
        "temporal",
        "spatial",
        "C",
        "K",
        "R",
        "P",
        "C=4",
        "C4 K2",
        "CKRP",
        "PE[0..3]",
    ),
    *("mapspace_constraints", "targets", "constraints", "Weights", "Inputs", "read_write", "true", "SRAM", "intmac"),
    *("instances", "meshY", "entries", "sizeKB", "spatial", "variables", "vector_access_energy", "leak", "read", "0"),
]
SCALARS = (
    st.sampled_from(WORDS) | st.integers(-3, 2**70) | st.floats() | st.booleans() | st.none() | st.text(max_size=5)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=25,
)
FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def readers(arch: str, problem: str, mapping: str) -> list[Callable[[str], object]]:
    machine, work = timeloop.read_architecture(arch), timeloop.read_problem(problem)
    return [
        timeloop.read_architecture,
        lambda text: timeloop.read_architecture(arch, ert=text, art=text),
        timeloop.read_problem,
        lambda text: timeloop.read_mapping(text, work, machine),
        lambda text: timeloop.read_constraints(text, work, machine),
        parse_stats,
        lambda text: parse_xml(text, ["Weights"]),
    ]


def read(reader: Callable[[str], object], text: str) -> None:
    with contextlib.suppress(DlcoError):
        reader(text)


@FUZZ
@given(TREES)
def test_random_trees(readers: list[Callable[[str], object]], tree: object) -> None:
    for reader in readers:
        for top in ("architecture", "ERT", "problem", "mapping", "mapspace_constraints"):
            read(reader, yaml.safe_dump({top: tree}, sort_keys=False) + "\n")


@FUZZ
@given(st.text(max_size=60))
@example("\n<a><b/></a>")
def test_random_texts(readers: list[Callable[[str], object]], text: str) -> None:
    for reader in readers:
        read(reader, text + "\n")


@FUZZ
@given(st.data())
def test_damaged_files(arch: str, problem: str, mapping: str, cases: list[dict], data: st.DataObject) -> None:
    """A value of a good file replaced by another; what can still be read can still be counted, or is refused."""
    texts = []
    good = data.draw(st.sampled_from([(arch, problem, mapping), tuple(cases[0]["yaml"].values())]))
    for text in good:
        document = yaml.safe_load(text)
        for _ in range(data.draw(st.integers(0, 2))):
            _damage(document, data)
        texts.append(yaml.safe_dump(document, sort_keys=False))
    with contextlib.suppress(DlcoError):
        timeloop.model(*texts)


def _damage(tree: object, data: st.DataObject) -> None:
    """Replace, drop or double one entry somewhere in a tree."""
    while isinstance(tree, dict | list) and tree:
        key = data.draw(st.sampled_from(list(tree) if isinstance(tree, dict) else range(len(tree))))
        if isinstance(tree[key], dict | list) and tree[key] and data.draw(st.integers(0, 5)):
            tree = tree[key]
            continue
        change = data.draw(st.sampled_from(["replace", "drop", "add"]))
        if change == "drop":
            del tree[key]
        elif change == "replace" or isinstance(tree, dict):
            tree[data.draw(st.sampled_from(WORDS)) if change == "add" else key] = data.draw(TREES)
        else:
            tree.append(tree[key])
        return
