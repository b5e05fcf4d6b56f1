"""The YAML reader under the readers: values stay text, and no document makes it explode."""

from pathlib import Path

import pytest

from dlco.errors import InvalidInput
from dlco.timeloop.document import Entry, load


def entry(text: str) -> Entry:
    return load(f"value: {text}\n", "test").mapping()["value"]


def test_scalars_are_read_as_what_is_asked_for() -> None:
    assert entry("N").text() == "N"
    assert entry("no").text() == "no"
    assert entry("no").flag() is False
    assert entry("1e-9").number() == 1e-9
    assert entry("8.0").integer() == 8
    assert entry("'7'").integer() == 7
    assert entry("").value is None
    assert entry("''").value == ""
    assert entry("{a-b: 1}").fields(["a_b"])["a_b"].integer() == 1


@pytest.mark.parametrize(
    "text", [".nan", ".inf", "-1", "1_000", "0x10", "ten", "1e999", "'", "9" * 5000, "[1]", "{}", ""]
)
def test_numbers_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInput):
        entry(text).number()
    with pytest.raises(InvalidInput):
        entry(text).integer()


def test_anchors_and_merges() -> None:
    top = load("base: &b {a: 1, b: 2}\nmore: {<<: *b, b: 3}\nboth: {<<: [{c: 4}, *b]}\n", "test").mapping()
    assert {key: value.integer() for key, value in top["more"].mapping().items()} == {"a": 1, "b": 3}
    assert set(top["both"].mapping()) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "test text: it is empty"),
        ("# nothing\n", "it is empty"),
        ("a: [1\n", "line 2: not valid YAML"),
        ("a: 1\na: 2\n", r"line 2: key 'a' is given twice"),
        ("a: &x [*x]\n", r"line 1: alias \*x has no complete anchor"),
        ("a: *y\n", r"alias \*y has no complete anchor"),
        ("? [a]\n: 1\n", "a key must be a plain text"),
        ("a: {<<: 3}\n", "it must be a mapping"),
        ("a: \x00\n", "not valid YAML"),
        ("a: \ud800\n", "not valid YAML"),
        ("[" * 100_000 + "\n", "nested more than 100 deep"),
        ("{a: " * 5_000 + "\n", "nested more than 100 deep"),
    ],
)
def test_documents_that_are_none(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        load(text if text.strip() else text + "\n", "test").mapping()


def test_an_avalanche_of_aliases_stays_small() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    assert len(load("\n".join(lines), "test").mapping()) == 60


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: 1")
    assert load(path, "test").mapping()["a"].where == "x.yaml, line 1"
    assert load(str(path), "test").mapping()["a"].integer() == 1
    path.write_bytes(b"\xff\xfe\x00")
    for bad, sentence in (
        (path, "not a text file in UTF-8"),
        (tmp_path, "cannot be read"),
        ("none.yaml", "No such file"),
    ):
        with pytest.raises(InvalidInput, match=sentence):
            load(bad, "test")
    with pytest.raises(InvalidInput, match="not a path"):
        load("a\x00b", "test")
    with pytest.raises(InvalidInput, match="test is NoneType; it must be a path or a YAML text"):
        load(None, "test")  # type: ignore[arg-type]
