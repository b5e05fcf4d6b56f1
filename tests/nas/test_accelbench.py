"""Co-search on AccelBench's accelerators, against a list of every pair of a small space."""

import json
from itertools import product

import pytest
import torch

import dlco
from dlco import Budget, conv2d, linear
from dlco.design.accelbench_design import AccelBenchDesign
from dlco.errors import Infeasible, InvalidInput
from dlco.hardware import AccelBench, AccelBenchSpace, Assumptions
from dlco.hardware.accelbench import SPRING, network_costs
from dlco.nas import Decision, Factor, FactoredSpace, WeightedSum, cosearch
from dlco.nas.machines import machines_of
from dlco.report.nas import plot_codesign, plot_progress
from dlco.report.pages.accelbench import accelbench_page
from dlco.search import Score
from dlco.workload import normalise, pool2d

WIDTHS = (16, 32, 64)
ONLY = {
    "batch_parallel": (2,),
    "input_channel_parallel": (1, 16),
    "x_parallel": (2, 8),
    "y_parallel": (4,),
    "output_channel_parallel": (4, 8),
    "kernel_x_parallel": (1, 3),
    "batch": (1, 64),
    "activation_mb": (1, 4),
    "weight_mb": (1,),
    "mask_mb": (1,),
    "memory_type": (1, 3),
    "memory_config": (1,),
}
SMALL = AccelBenchSpace(ONLY)
METHODS = {  # with how many pairs to evaluate, and the share of the least energy that is good enough then
    "surrogate": (30, 2.0),
    "boshcode": (8, 20.0),
    "evolutionary": (400, 1.01),
    "local-search": (400, 1.01),
    "random": (400, 1.2),
    "two-stage": (400, 2.0),
}


def make_space() -> FactoredSpace:
    """Three decisions about a width, behind a first layer, and a head."""
    decisions = [Decision(f"stage{i}", tuple(map(str, WIDTHS))) for i in range(3)]
    factors = [Factor((), {(): (conv2d("stem", C=3, M=16, P=32, Q=32, R=3, S=3),)})]
    for i, size in enumerate((16, 8, 8)):
        layers = {(k,): (conv2d(f"c{w}_{size}", C=16, M=w, P=size, Q=size, R=3, S=3),) for k, w in enumerate(WIDTHS)}
        factors.append(Factor((i,), layers))
    head = (pool2d("mean", C=64, P=1, Q=1, R=8, S=8), linear("fc", C=64, M=10))
    return FactoredSpace("small", decisions, [*factors, Factor((), {(): head})])


class Linear:
    """Accuracy in closed form."""

    def __init__(self, space: FactoredSpace) -> None:
        self.space = space

    def accuracy(self, networks: list[tuple[int, ...]]) -> torch.Tensor:
        worth = torch.tensor([0.0, 3.0, 5.0, 0.0, 2.0, 3.0, 0.0, 4.0, 6.0], dtype=torch.float64)
        return 80 + self.space.encode(networks) @ worth


SPACE = make_space()
ORACLE = Linear(SPACE)


def listed() -> list[tuple[tuple[int, ...], AccelBench, float, float, float, float]]:
    """(network, accelerator, accuracy, J and s an image, mm2) of every pair."""
    vectors = SMALL.vectors(torch.tensor(list(product(*map(range, SMALL.lengths)))))
    machines = [AccelBench.from_vector(vector) for vector in vectors]
    found = []
    for network in SPACE.networks():
        (accuracy,) = ORACLE.accuracy([network]).tolist()
        costs = network_costs(vectors, SPACE.to_layers(network))
        shares = (costs.energy_j / vectors[:, 7]).tolist(), (costs.latency_s / vectors[:, 7]).tolist()
        rows = zip(machines, *shares, costs.area_mm2.tolist(), strict=True)
        found += [(network, machine, accuracy, *row) for machine, *row in rows]
    return found


EVERY = listed()
AREA, LEAST = 60.0, 87.0
MEASURES = (lambda j, s: j / s, lambda j, _: j, lambda _, s: s)


def best(value) -> float:
    return min(value(*row[2:]) for row in EVERY if row[2] >= LEAST and row[5] <= AREA)


def search(method: str | None = None, objective: str = "edp", hardware=SMALL, **arguments) -> AccelBenchDesign:
    arguments = {"least_accuracy": LEAST, "budget": Budget(area_mm2=AREA)} | arguments
    return cosearch(SPACE, ORACLE, hardware, objective, method=method, **arguments)


def test_the_answer_is_the_best_of_all_pairs():
    assert len(EVERY) == 27 * 128
    found = search()
    assert (found.status, found.method) == ("solved", "local-search")
    # pJ x cycles of an image
    assert found.cost.edp == pytest.approx(best(lambda _, j, s, __: j * 1e12 * s * 700e6), rel=1e-12)
    assert found.accuracy >= LEAST
    assert found.cost.area_mm2 <= AREA


def test_boshcode_s_sum_is_an_objective():
    """1 - accuracy, and an image's energy and latency and the area over given figures, as CODEBench weighs them."""
    most = Budget(latency_s=1e-4, energy_j=1e-3, area_mm2=AREA)
    asked = WeightedSum(accuracy=0.4, latency=0.2, energy=0.5, area=0.1, of=most)
    found = search(objective=asked)
    least = min(
        (0.4 * (1 - accuracy / 100) + 0.2 * s / 1e-4 + 0.5 * j / 1e-3 + 0.1 * area / AREA) / 1.2
        for _, _, accuracy, j, s, area in EVERY
        if accuracy >= LEAST and area <= AREA
    )
    assert (found.status, found.objective) == ("solved", "sum")
    assert found.value == pytest.approx(least, rel=1e-3)
    assert AccelBenchDesign.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert f"weighted sum {found.value:.4g}" in str(found)
    assert f"weighted sum {found.value:.4g}" in accelbench_page(found)


@pytest.mark.parametrize("method", METHODS)
def test_methods_that_evaluate_pairs_work(method):
    evaluations, good = METHODS[method]
    found = search(method, "energy", evaluations=evaluations)
    assert (found.status, found.method) == ("solved", method)
    assert found.evaluations <= evaluations
    cost = found.machine.network_cost(found.layers)
    assert found.cost.energy_j == pytest.approx(cost.energy_j / found.machine.batch)
    assert 1 - 1e-12 <= found.cost.energy_j / best(lambda _, j, __, ___: j) <= good
    assert all(point.sizes[7] in (1.0, 64.0) for point in found.trace)
    assert found.front[0].accuracy >= found.front[-1].accuracy


def test_one_side_alone():
    network = (2, 1, 2)
    only = [row for row in EVERY if row[0] == network and row[5] <= AREA]
    found = search("fixed-network", "latency", network=network)
    assert found.cost.latency_s == pytest.approx(min(row[4] for row in only))
    fixed = search("fixed-hardware", "accuracy", SPRING, budget=Budget(), least_accuracy=None)
    assert (fixed.machine, fixed.accuracy) == (SPRING, 94.0)
    machine = SMALL.index(SPRING.tensor())
    pinned = search("local-search", "energy", machine=tuple(machine.tolist()), budget=Budget())
    same = [row for row in EVERY if row[1] == pinned.machine and row[2] >= LEAST]
    assert pinned.cost.energy_j == pytest.approx(min(row[3] for row in same))


def test_every_limit_holds_and_the_nearest_is_said_to_break_one():
    powers, energies, latencies = (sorted(value(*row[3:5]) for row in EVERY) for value in MEASURES)
    power, energy, latency = (column[len(column) * 2 // 3] for column in (powers, energies, latencies))
    tight = Budget(area_mm2=AREA, power_w=power, latency_s=latency, energy_j=energy, pe_count=5000)
    found = search(budget=tight, objective="accuracy", least_accuracy=None, evaluations=900)
    rows = [row for row in EVERY if row[5] <= AREA and row[1].macs <= 5000 and row[3] <= energy and row[4] <= latency]
    rows = [row for row in rows if row[3] / row[4] <= power]
    assert 0 < len(rows) < len(EVERY) / 2
    assert (found.status, found.accuracy) == ("solved", max(row[2] for row in rows))
    assert found.cost.power_w <= power
    assert found.machine.macs <= 5000
    broken = search(budget=Budget(energy_j=1e-9), evaluations=50)
    assert (broken.status, broken.front, broken.keeps_limits) == ("infeasible", (), False)
    with pytest.raises(Infeasible, match="least_accuracy is 99 %"):
        search(hardware=SPRING, network=(0, 0, 0), least_accuracy=99.0)


def test_an_answer_is_saved_loaded_and_checked(tmp_path):
    space = AccelBenchSpace(ONLY, assumptions=Assumptions(batch_norm=False))
    found = search(hardware=space, evaluations=60)
    path = tmp_path / "pair.json"
    found.save(path)
    assert AccelBenchDesign.load(path) == found
    text = str(found)
    assert "accuracy" in text
    assert "kernel_x_parallel" in text
    assert "convolution_waits" in text
    plot_codesign(found, tmp_path / "pair.svg")
    plot_progress({"local-search": found}, tmp_path / "course.svg")
    assert "convolution_waits" in accelbench_page(found)
    good = found.to_dict()
    for change, message in (
        ({"bill": good["bill"] | {"cycles": good["bill"]["cycles"] * 1.01}}, "cycles of the co-design is"),
        ({"bill": good["bill"] | {"phases": {}}}, "phases of the co-design are"),
        ({"machine": good["machine"] | {"weight_mb": 3}}, "weight_mb is 3; allowed"),
        ({"machine": good["machine"] | {"x_parallel": 5}}, "of the co-design is"),
        ({"assumptions": good["assumptions"] | {"overlap": 2.0}}, "overlap of the assumptions is 2.0"),
        ({"budget": good["budget"] | {"area_mm2": 1.0}}, "its limits are broken"),
        ({"sizes": ["a"] * 13}, "sizes of the co-design are"),
        ({"status": "splendid"}, "status of the co-design is 'splendid'"),
        ({"kind": "dlco solution"}, "is wanted, but this is a 'dlco solution'"),
    ):
        with pytest.raises(InvalidInput, match=message):
            AccelBenchDesign.from_dict(json.loads(json.dumps(good | change)))


def test_what_does_not_apply_is_refused_by_name():
    with pytest.raises(InvalidInput, match=r"method 'relaxed' needs hardware that layers are mapped on.*surrogate"):
        search("relaxed")
    for option in ({"imperfect": True}, {"bound": True}, {"effort": dlco.SolveEffort()}, {"checkpoint": "x"}):
        with pytest.raises(InvalidInput, match=f"{next(iter(option))} is given, .*allowed: network, machine, queries"):
            search(**option)
    with pytest.raises(InvalidInput, match="machine is"):
        search(machine=(9,) * 11)
    with pytest.raises(InvalidInput, match="only names 'lanes'"):
        AccelBenchSpace({"lanes": (1,)})
    with pytest.raises(InvalidInput, match="only has 3 for batch_parallel; allowed: 1, 2, 4"):
        AccelBenchSpace({"batch_parallel": (1, 3)})
    with pytest.raises(InvalidInput, match="it allows no memory"):
        AccelBenchSpace({"memory_type": (3,), "memory_config": (6,)})
    decisions = [Decision("norm", ("yes",))]
    norms = FactoredSpace("norms", decisions, [Factor((0,), {(0,): tuple(normalise("norm", (4, 8), (1,)))})])
    with pytest.raises(InvalidInput, match=r"layer norm\.statistics: operation is 'normalise'"):
        cosearch(norms, Flat(norms), SMALL, evaluations=1)


class Flat(Linear):
    def accuracy(self, networks: list[tuple[int, ...]]) -> torch.Tensor:
        return torch.full((len(networks),), 50.0, dtype=torch.float64)


def test_machines_are_made_smaller_until_they_keep_the_limits():
    machines = machines_of(AccelBenchSpace())
    score = Score("energy", Budget(area_mm2=30.0, pe_count=4096), machines.cycle_s)
    index = machines.sample(50, torch.Generator().manual_seed(0))
    for row in index:
        fitted = machines.fitted(row, score)
        assert bool(machines.within(fitted[None], score))
        assert bool((fitted <= row).all())
    whole = Score("energy", Budget(area_mm2=1e-3), machines.cycle_s)
    assert not bool(machines.within(machines.fitted(index[0], whole)[None], whole))
    assert machines.sizes(machines.base) == tuple(map(float, SPRING.vector))
