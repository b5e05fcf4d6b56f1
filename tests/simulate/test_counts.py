"""Counts by execution against the cost model's formulas, and against Timeloop's recorded figures."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlco import timeloop
from dlco.cost.model import evaluate
from dlco.errors import InvalidInput, InvalidMapping, NotSupported
from dlco.mapping.rules import TIMELOOP_RULES, CountingRules
from dlco.simulate import count_accesses
from dlco.workload import conv2d

from ..cost.cases import FAMILIES, Case, block, cases, conv, make_case, skewed

DATA = Path(__file__).parents[1] / "data" / "timeloop"
RULES = (CountingRules("refetch"), CountingRules("overlap"), CountingRules("timeloop"), TIMELOOP_RULES)


def assert_model_counts_what_is_executed(case: Case) -> None:
    for rules in RULES:
        modelled = evaluate(case.problem, case.architecture, case.mapping, rules).counts
        executed = count_accesses(case.problem, case.architecture, case.mapping, rules)
        for name in ("reads", "fills", "updates"):
            assert [list(row) for row in getattr(executed, name)] == getattr(modelled, name).tolist(), (rules, name)
        assert list(executed.instances) == modelled.instances.tolist()


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=settings.default.max_examples // 2)
@given(data=st.data())
def test_the_model_counts_what_is_executed(family: str, data: st.DataObject) -> None:
    assert_model_counts_what_is_executed(data.draw(cases(families=(family,))))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=125)
@given(data=st.data())
def test_a_thousand_other_mappings(family: str, data: st.DataObject) -> None:
    assert_model_counts_what_is_executed(data.draw(cases(families=(family,), primes=(2, 3, 5))))


def recorded(name: str, every: int) -> list[dict]:
    """Some of the cases that Timeloop accepted, the smallest layers first."""
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        found = [case for case in map(json.loads, lines) if case.get("accepted", True)]
    return sorted(found, key=lambda case: case["expected"]["compute"]["computes"])[: 8 * every : every]


@pytest.mark.parametrize(
    ("name", "rules"),
    [("cases.jsonl.gz", TIMELOOP_RULES), ("cases_no_link_transfers.jsonl.gz", CountingRules("timeloop"))],
)
def test_timeloop_counted_the_same(name: str, rules: CountingRules) -> None:
    for case in recorded(name, 5):
        yaml = case["yaml"]
        architecture = timeloop.read_architecture(yaml["arch"])
        problem = timeloop.read_problem(yaml["problem"])
        mapping = timeloop.read_mapping(yaml["mapping"], problem, architecture)
        counts = count_accesses(problem, architecture, mapping, rules)
        for level, of_level in zip(
            architecture.levels, zip(counts.reads, counts.fills, counts.updates, strict=True), strict=True
        ):
            theirs = case["expected"]["levels"][level.name]
            for space, *ours in zip(problem.dataspaces, *of_level, strict=True):
                assert ours == [theirs[space.name][what] for what in ("reads", "fills", "updates")], case["id"]


def test_steps_beyond_a_chunk_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case(
        conv((2, 1)), "CMRSPQ", block(t={"R": 3}), block(t={"P": 8, "C": 3, "M": 4}), block(t={"P": 2, "M": 3})
    )
    whole = count_accesses(case.problem, case.architecture, case.mapping)
    monkeypatch.setattr("dlco.simulate.counts.CHUNK", 7)
    assert count_accesses(case.problem, case.architecture, case.mapping) == whole


def test_a_halo_is_fetched_once_or_again_as_the_rules_say() -> None:
    # Tiles of 3 inputs move by 1 over 4 positions, twice (M outside): 3 + 3 x 1 words, then 3 + 3 or what is left of 3.
    case = make_case(conv(), "CMRP", block(t={"R": 3}), block(t={"P": 4, "M": 2}))
    fills = {
        rules: count_accesses(case.problem, case.architecture, case.mapping, CountingRules(rules)).fills[0][1]
        for rules in ("refetch", "overlap")
    }
    assert fills == {"refetch": 12, "overlap": 12}
    near = make_case(conv(), "CMRP", block(t={"R": 3}), block(t={"P": 2, "M": 2}))
    fills = {
        rules: count_accesses(near.problem, near.architecture, near.mapping, CountingRules(rules)).fills[0][1]
        for rules in ("refetch", "overlap")
    }
    assert fills == {"refetch": 8, "overlap": 6}


def test_words_from_neighbours_and_from_the_parent_add_up_as_timeloop_s_floating_point_does() -> None:
    # 40 words from above and 8 from neighbours for 3 children: 13.333 and 2.667 are 16, none of which is cut off.
    case = make_case(skewed(), "CMPRT", block(t={"C": 8}), block(t={"R": 2}, x={"P": 3}))
    assert count_accesses(case.problem, case.architecture, case.mapping, TIMELOOP_RULES).fills[0][1] == 16


def test_what_cannot_be_counted() -> None:
    case = make_case(conv(), "CMRP", block(t={"R": 3}), block(t={"P": 4, "M": 2}))
    with pytest.raises(InvalidInput, match="restart is 'never'; allowed: refetch, overlap, timeloop"):
        count_accesses(case.problem, case.architecture, case.mapping, CountingRules("never"))
    with pytest.raises(InvalidMapping, match="factors of P multiply to 4; they must multiply to its bound 5"):
        count_accesses(conv2d("x", C=1, M=2, R=3, S=1, P=5, Q=1), case.architecture, case.mapping)
    case = make_case(conv(), "CMRP", block(t={"R": 3, "P": 2}), block(t={"P": 2, "M": 2}))
    layer = conv2d("x", C=1, M=2, R=3, S=1, P=3, Q=1)
    with pytest.raises(NotSupported, match="executed under refetch and overlap without forwarding alone"):
        count_accesses(layer, case.architecture, case.mapping, CountingRules("timeloop"))
