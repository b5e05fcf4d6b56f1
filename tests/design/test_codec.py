"""Dataclasses become JSON and come back; what is of another type is refused by the field's name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlco.design.codec import Count, Figure, decode, encode
from dlco.errors import InvalidInput


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Part:
    name: str
    size: float = inf
    kept: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    pair: tuple[int, Figure]
    colour: Colour
    count: Count = 0
    good: bool = True
    limits: float | Mapping[str, float] | None = None
    least: Figure | None = None
    table: dict[str, tuple[float, ...]] = field(default_factory=dict)


NUMBERS = st.floats(0, allow_infinity=False) | st.integers(0, 10**30)
PARTS = st.builds(Part, st.text(), NUMBERS | st.just(inf), st.frozensets(st.text()))
WHOLES = st.builds(
    Whole,
    st.lists(PARTS, max_size=3).map(tuple),
    st.tuples(st.integers(), NUMBERS),
    st.sampled_from(Colour),
    st.integers(0),
    st.booleans(),
    st.none() | NUMBERS | st.dictionaries(st.text(), NUMBERS),
    st.none() | NUMBERS,
    st.dictionaries(st.text(), st.lists(NUMBERS).map(tuple)),
)


@given(whole=WHOLES)
def test_what_is_written_is_read(whole: Whole) -> None:
    text = json.dumps(encode(whole), allow_nan=False)
    again = decode(Whole, json.loads(text), "thing")
    assert again == whole
    assert isinstance(again.colour, Colour)
    assert json.dumps(encode(again)) == text


def test_fields_with_a_default_may_be_missing() -> None:
    least = {"parts": [{"name": "a"}], "pair": [1, 2.0], "colour": "red"}
    assert decode(Whole, least, "thing") == Whole((Part("a"),), (1, 2.0), Colour.RED)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parts": None}, "parts in the thing is None; it must be a list"),
        ({"parts": ["a"]}, "what is in the parts in the thing is 'a'; it must be a dictionary"),
        ({"parts": [{"size": 1.0}]}, "name in the parts in the thing is missing"),
        ({"parts": [{"name": 3}]}, "name in the parts in the thing is 3; it must be a text"),
        ({"parts": [{"name": "a", "size": "b"}]}, "size in the parts in the thing is 'b'; it must be a finite number"),
        ({"parts": [{"name": "a", "size": inf}]}, "size in the parts in the thing is inf"),
        ({"parts": [{"name": "a", "kept": "abc"}]}, "kept in the parts in the thing is 'abc'; it must be a list"),
        ({"parts": [{"name": "a", "weight": 1}]}, "a field in the parts in the thing is 'weight'; allowed: name, size"),
        ({"pair": [1]}, "pair in the thing is [1]; it must be a list of 2"),
        ({"pair": [1.5, 2.0]}, "pair in the thing is 1.5; it must be an integer"),
        ({"pair": [1, None]}, "pair in the thing is None; it must be a finite number of at least 0"),
        ({"colour": "green"}, "colour in the thing is 'green'; allowed: red, blue"),
        ({"colour": []}, "colour in the thing is []"),
        ({"count": -1}, "count in the thing is -1; it must be an integer of at least 0"),
        ({"count": True}, "count in the thing is True"),
        ({"good": 1}, "good in the thing is 1; it must be true or false"),
        ({"limits": "much"}, "limits in the thing is 'much'; it must be a finite number"),
        ({"limits": {"a": "b"}}, "limits in the thing ('a') is 'b'"),
        ({"least": nan}, "least in the thing is nan; it must be a finite number of at least 0"),
        ({"least": 10**400}, "it must be a finite number of at least 0"),
        ({"table": [1]}, "table in the thing is [1]; it must be a dictionary"),
    ],
)
def test_what_is_of_another_type_is_named(change: dict, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode(Whole, {"parts": [], "pair": [1, 2.0], "colour": "red"} | change, "thing")
    assert said in str(caught.value)
