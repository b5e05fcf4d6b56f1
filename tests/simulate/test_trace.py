"""Traces: what the viewers need, and nothing that was not simulated."""

import json
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from dlco.errors import InvalidInput
from dlco.simulate import TimingModel, chrome_trace, plot_timing, simulate_timing, write_trace
from dlco.simulate.trace import usage

from ..cost.cases import Case, block, make_case
from .test_timing import products, timed


@settings(max_examples=15)
@given(timed(primes=(2, 3, 11)))
def test_tracks_hold_one_thing_at_a_time_and_counters_add_up(drawn: tuple[Case, TimingModel]) -> None:
    case, model = drawn
    timing = simulate_timing(case.problem, case.architecture, case.mapping, model)
    trace = json.loads(json.dumps(chrome_trace(timing, 1e-9, name="conv")))
    tracks = {one["tid"]: one["args"]["name"] for one in trace["traceEvents"] if one["name"] == "thread_name"}
    slices = defaultdict(list)
    for one in trace["traceEvents"]:
        assert one["ph"] in ("M", "X", "C")
        assert one["pid"] == 1
        if one["ph"] == "X":
            assert one["tid"] in tracks
            slices[one["tid"]].append((one["ts"], one["ts"] + one["dur"]))
    for track in slices.values():
        assert track == sorted(track)
        for (_, end), (start, _) in pairwise(track):
            assert start >= end - 1e-9
    last = max(end for track in slices.values() for _, end in track)
    assert last * 1e3 == pytest.approx(timing.cycles)  # a cycle of 1 ns is a thousandth of a microsecond
    edges, shares = usage(timing, 50)
    moved = (shares * np.diff(edges)[:, None]).sum(0) * np.array([1.0, *timing.bandwidth])
    np.testing.assert_allclose(moved, timing.timeline[-1, 1:], rtol=1e-9, atol=1e-9)
    assert (shares <= 1 + 1e-9).all()


def test_files(tmp_path) -> None:
    case = make_case(
        products, "BMKN", block(t={"K": 4}, bypass="Outputs", write_bandwidth=1.0), block(t={"N": 3, "M": 2})
    )
    timing = simulate_timing(case.problem, case.architecture, case.mapping)
    write_trace(timing, 1e-9, tmp_path / "trace.json", name="product")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {one["name"] for one in events if one["ph"] == "C"} == {"MACs", "RF write"}
    names = {one["args"]["name"] for one in events if one["ph"] == "M"}
    assert names == {"product", "MACs", "Weights DRAM > RF", "Inputs DRAM > RF"}
    figure = plot_timing(timing, tmp_path / "picture.svg", title="product")
    assert [axes.get_title("left") for axes in figure.axes] == ["MACs", "RF write"]
    assert (tmp_path / "picture.svg").read_text().startswith("<?xml")
    with pytest.raises(InvalidInput, match=r"picture is 'picture.txt'; its suffix must be one of"):
        plot_timing(timing, "picture.txt")
