from html.parser import HTMLParser
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlco.design.figures import pretty, scaled, si
from dlco.design.table import Table
from dlco.texts import clip

FACTORS = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "J", "0 J"),
        (7, "", "7"),
        (999, "", "999"),
        (999.9, "s", "1.00 ks"),
        (1000, "", "1.00 k"),
        (0.0123, "J", "12.3 mJ"),
        (1.5e-6, "J", "1.50 uJ"),
        (123456789, "", "123 M"),
        (9.999e-4, "s", "1.00 ms"),
        (-2500, "", "-2.50 k"),
        (1.5e20, "J", "1.50e+20 J"),
        (inf, "W", "inf W"),
        (nan, "W", "nan W"),
    ],
)
def test_numbers_read_well(value, unit, text):
    assert si(value, unit) == text


@pytest.mark.parametrize("prefix", FACTORS)
def test_every_prefix_stands_for_its_power(prefix):
    assert si(2.5 * FACTORS[prefix], "J") == f"2.50 {prefix}J"
    divisor, unit = scaled(2.5 * FACTORS[prefix], "J")
    assert (divisor, unit) == (pytest.approx(FACTORS[prefix]), f"{prefix}J")


@given(st.floats(1e-14, 1e17))
def test_a_prefixed_number_is_the_number_to_three_digits(value):
    number, _, prefix = si(value).partition(" ")
    assert float(number) * FACTORS.get(prefix, 1.0) == pytest.approx(value, rel=5.1e-3)
    assert 1 <= float(number) < 1000


@given(st.floats(1e-14, 1e17))
def test_a_scale_brings_the_largest_value_between_1_and_1000(largest):
    divisor, unit = scaled(largest, "J")
    assert 1 <= largest / divisor < 1000.0001
    assert divisor == pytest.approx(FACTORS.get(unit.removesuffix("J"), 1.0))


def test_raised_digits_stand_in_the_unit_alone():
    assert pretty("3.1e+09 pJ x cycles, 4 mm2, 12.3 uJ, 5 us") == "3.1×10⁹ pJ·cycles, 4 mm², 12.3 µJ, 5 µs"
    assert pretty("2e-05 pJ x cycles") == "2×10⁻⁵ pJ·cycles"
    assert pretty("a user of 3 units, 2e+09 times") == "a user of 3 units, 2e+09 times"


@pytest.mark.parametrize("largest", [0.0, inf, nan])
def test_no_scale_where_there_is_no_size(largest):
    assert scaled(largest, "J") == (1.0, "J")


def test_long_texts_are_cut_and_line_breaks_flattened():
    assert clip("conv1", 6) == "conv1"
    assert clip("a\nb", 6) == "a b"
    assert clip("convolution", 6) == "conv.."


TABLE = Table("Things", ("name", "n"), (("a<b>", "1"), ("long name", "1,000")), note="note & more")


def test_words_are_aligned_left_and_numbers_right():
    assert TABLE.to_text().splitlines() == [
        "Things",
        "name           n",
        "---------  -----",
        "a<b>           1",
        "long name  1,000",
        "note & more",
    ]


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_html_is_balanced_and_escaped():
    parser = _Tags()
    parser.feed(TABLE.to_html())
    assert not parser.open
    assert "b" not in parser.seen
    assert {"a<b>", "note & more", "1,000"} <= set(parser.text)
