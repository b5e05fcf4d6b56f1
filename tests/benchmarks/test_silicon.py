"""The silicon benchmark: it judges files of its columns, and its predictions stay as near as its page says."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import silicon
import silicon_common
import silicon_fit
import silicon_gemmini
from common import check_payload

BENCHMARKS = Path(silicon.__file__).parent


@pytest.fixture
def judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str, list[str]], str]:
    """The benchmark's answer to a file of some lines."""

    def answer(kind: str, lines: list[str]) -> str:
        path = tmp_path / f"{kind}.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["silicon.py", f"--{kind}", str(path), "--json"])
        silicon.main()
        return capsys.readouterr().out

    return answer


def lines(name: str) -> list[str]:
    return (BENCHMARKS / "data" / name).read_text(encoding="utf-8").splitlines()


def test_few_rows_are_judged_as_json(judge: Callable[[str, list[str]], str]) -> None:
    rtl = lines("gemmini_rtl.csv")
    judgement: dict[str, Any] = json.loads(judge("gemmini", [rtl[0], *rtl[1:4]]))["gemmini"]
    assert judgement["cycles"]["points"] == len(judgement["layers"]) == 3
    assert judgement["cycles"]["mean_error"] < judgement["timeloop"]["mean_error"]
    assert judgement["cycles"].keys() == {"points", "mean_error", "worst_error", "rank"}
    chip = lines("eyeriss_chip.csv")
    judgement = json.loads(judge("eyeriss", [chip[0], chip[2]]))["eyeriss"]
    assert judgement["buffer_mb"]["mean_error"] < 0.1
    assert judgement["buffer_mb"]["rank"] is None  # of one point
    assert judgement.keys() >= set(silicon.QUANTITIES)


@pytest.mark.parametrize(
    ("kind", "changed", "said"),
    [
        ("gemmini", ("P7", "P6"), "factors of P"),
        ("gemmini", ("rtl_cycles", "cycles"), "lacks the columns rtl_cycles"),
        ("gemmini", ("2464902", "many"), "rtl_cycles is 'many'"),
        ("eyeriss", ("conv1", "conv9"), "conv9"),
        ("eyeriss", ("332", "-1"), "power_mw is '-1'"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_words(
    judge: Callable[[str, list[str]], str], kind: str, changed: tuple[str, str], said: str
) -> None:
    table = lines("gemmini_rtl.csv" if kind == "gemmini" else "eyeriss_chip.csv")
    text = "\n".join([table[0], table[4 if kind == "gemmini" else 1]]).replace(*changed)
    with pytest.raises(SystemExit, match=said):
        judge(kind, text.splitlines())


def test_gemmini_s_errors() -> None:
    points = silicon_gemmini.read_points(silicon.GEMMINI)
    judgement = silicon.judge_gemmini(points)
    assert judgement["cycles"]["mean_error"] < 8.8
    assert judgement["cycles"]["rank"] > 0.993
    assert judgement["timeloop"]["mean_error"] == pytest.approx(26, abs=0.5)  # as published with the data
    ours = silicon_gemmini.cost_model_cycles(points)
    apart = [abs(cycles / one.timeloop_cycles - 1) for cycles, one in zip(ours, points, strict=True)]
    assert max(apart) < 0.016
    assert {silicon_fit.network_of(one) for one in points} == {"BERT", "ResNet-50", "RetinaNet", "U-Net"}


def test_eyeriss_errors() -> None:
    judgement = silicon.judge_eyeriss(silicon.EYERISS)
    most = {"processing_ms": (5, 12), "buffer_mb": (4.1, 38), "dram_mb": (8.5, 58), "power_mw": (4, 9)}
    for name, (mean, worst) in most.items():
        assert judgement[name]["mean_error"] < mean
        assert judgement[name]["worst_error"] < worst
    alike = [one for one in judgement["layers"] if one["layer"] in ("alexnet conv2", "vgg16 conv4_2")]
    assert [one["predicted"]["active_pes"] for one in alike] == [135, 168]


def test_pictures_and_payload(tmp_path: Path) -> None:
    points = silicon_gemmini.read_points(silicon.GEMMINI)[:4]
    gemmini, eyeriss = silicon.judge_gemmini(points), silicon.judge_eyeriss(silicon.EYERISS)
    silicon.plot_gemmini(gemmini, tmp_path / "gemmini.png")
    silicon.plot_eyeriss(eyeriss, tmp_path / "eyeriss.png")
    assert all((tmp_path / name).stat().st_size > 1000 for name in ("gemmini.png", "eyeriss.png"))
    check_payload(silicon.payload_of(gemmini, eyeriss, {}))


def test_errors_by_hand() -> None:
    judged = silicon_common.judged([90, 220, 300], [100, 200, 300])
    assert judged == {"points": 3, "mean_error": pytest.approx(20 / 3), "worst_error": pytest.approx(10), "rank": 1.0}
