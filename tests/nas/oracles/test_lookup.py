"""Tables, functions and NATS-Bench objects as oracles, on a space of two decisions."""

import csv
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from dlco import conv2d
from dlco.errors import InvalidInput
from dlco.nas.oracles import Accuracy, Counted, FunctionAccuracy, NatsBenchAccuracy, TableAccuracy
from dlco.nas.space import Decision, Factor, FactoredSpace


def small_space() -> FactoredSpace:
    decisions = [Decision("kernel", ("k1", "k3")), Decision("depth", ("d1", "d2", "d3"))]
    conv = conv2d("conv", C=1, M=1, P=1, Q=1, R=1, S=1)
    return FactoredSpace("small", decisions, [Factor((), {(): (conv,)})])


ROWS = [("k1-d1", "50.5"), ("k3-d2", "60"), ("k1-d1", "51.5"), ("k3-d3", "70")]


def write_table(path: Path) -> Path:
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        csv.writer(file).writerows([("arch", "top1"), *ROWS])
    return path


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_csv_is_read_and_rows_of_one_network_are_averaged(tmp_path: Path, name: str) -> None:
    table = TableAccuracy.read(small_space(), write_table(tmp_path / name), "top1")

    assert table.networks == ((0, 0), (1, 1), (1, 2))
    assert table.accuracies.tolist() == [51.0, 60.0, 70.0]
    assert table.accuracy([(1, 2), (0, 0), (1, 2)]).tolist() == [70.0, 51.0, 70.0]
    assert (1, 1) in table
    assert (0, 1) not in table


def test_data_frame_gives_what_its_csv_gives(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = write_table(tmp_path / "table.csv")
    table, same = (TableAccuracy.read(small_space(), source, "top1") for source in (path, pandas.read_csv(path)))

    assert table.networks == same.networks
    assert table.accuracies.equal(same.accuracies)


def test_bad_tables_are_refused_by_name(tmp_path: Path) -> None:
    space, path = small_space(), write_table(tmp_path / "table.csv")
    with pytest.raises(InvalidInput, match=r"'top5' is not in table\.csv; it has arch, top1"):
        TableAccuracy.read(space, path, "top5")
    path.write_text("arch,top1\nk1-d1,50\nk1-d2,many\n")
    with pytest.raises(InvalidInput, match=r"row 2 of table\.csv: top1 is 'many'"):
        TableAccuracy.read(space, path, "top1")
    path.write_text("arch,top1\nk9-d1,50\n")
    with pytest.raises(InvalidInput, match=r"row 1 of table\.csv: .*k9"):
        TableAccuracy.read(space, path, "top1")
    path.write_text("arch,top1\nk1-d1,nan\n")
    with pytest.raises(InvalidInput, match="finite"):
        TableAccuracy.read(space, path, "top1")
    with pytest.raises(InvalidInput, match="empty"):
        TableAccuracy(space, {})
    with pytest.raises(InvalidInput, match="not among the 1"):
        TableAccuracy(space, {(0, 0): [1.0]}).accuracy([(0, 1)])


def test_function_is_asked_for_each_network_and_its_answer_checked() -> None:
    oracle = FunctionAccuracy(small_space(), lambda network: 50 + network[1])

    assert oracle.accuracy([(0, 2), (1, 0)]).tolist() == [52.0, 50.0]
    assert isinstance(oracle, Accuracy)
    with pytest.raises(InvalidInput, match="network of the space small"):
        oracle.accuracy([(0, 3)])
    for wrong in (101, float("nan"), None):
        with pytest.raises(InvalidInput, match="0 to 100"):
            FunctionAccuracy(small_space(), lambda network, wrong=wrong: wrong).accuracy([(0, 0)])


class FakeNatsBench:
    """The two calls with their real signatures and answers; seeds differ where one is picked at random."""

    archs = ("k1-d1", "k3-d2")
    seeds = (("80.0", "82.0"), ("90.0", "91.0"))

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def query_index_by_arch(self, arch: object) -> int:
        return self.archs.index(arch) if arch in self.archs else -1

    def get_more_info(
        self, index: int, dataset: str, iepoch: int | None = None, hp: str = "12", is_random: bool = True
    ) -> Mapping[str, Any]:
        self.asked.append((index, dataset, iepoch, hp))
        seeds = [float(seed) for seed in self.seeds[index]]
        mean = seeds[0] if is_random else sum(seeds) / len(seeds)
        info = {"train-loss": 0.1, "train-accuracy": 99.0, "comment": "", "test-accuracy": mean}
        return info | ({"valid-accuracy": mean - 1} if dataset == "cifar10-valid" else {})


def test_nats_bench_object_is_asked_for_the_mean_over_seeds() -> None:
    api = FakeNatsBench()

    assert NatsBenchAccuracy(small_space(), api).accuracy([(0, 0), (1, 1)]).tolist() == [80.0, 89.5]
    assert api.asked[0] == (0, "cifar10-valid", None, "200")
    test = NatsBenchAccuracy(small_space(), api, "cifar10", "test-accuracy", epochs="12")
    assert test.accuracy([(1, 1)]).tolist() == [90.5]
    assert api.asked[-1] == (1, "cifar10", None, "12")


def test_nats_bench_refusals() -> None:
    with pytest.raises(InvalidInput, match="'k1-d2' is not in this NATS-Bench"):
        NatsBenchAccuracy(small_space(), FakeNatsBench()).accuracy([(0, 1)])
    with pytest.raises(InvalidInput, match="train-accuracy, test-accuracy on cifar10"):
        NatsBenchAccuracy(small_space(), FakeNatsBench(), "cifar10").accuracy([(0, 0)])
    with pytest.raises(InvalidInput, match="query_index_by_arch"):
        NatsBenchAccuracy(small_space(), object())  # type: ignore[arg-type]


def test_counted_asks_about_no_network_twice() -> None:
    asked: list[object] = []

    def answer(network: tuple[int, ...]) -> float:
        asked.append(network)
        return 10.0 * network[0] + network[1]

    oracle = Counted(FunctionAccuracy(small_space(), answer))
    assert oracle.accuracy([(1, 1), (0, 0), (1, 1)]).equal(torch.tensor([11.0, 0.0, 11.0], dtype=torch.float64))
    assert oracle.accuracy([(0, 0), (1, 2)]).tolist() == [0.0, 12.0]
    assert oracle.queries == 3 == len(asked)
    assert oracle.answers == {(1, 1): 11.0, (0, 0): 0.0, (1, 2): 12.0}
