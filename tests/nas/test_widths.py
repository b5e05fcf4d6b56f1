"""The width of words as a choice: against every pair at every width, and what an answer carries."""

import json
from dataclasses import replace
from itertools import product

import pytest
import torch

from dlco import Budget, HardwareSpace, Progress, SolveEffort, solve
from dlco.design.width_choice import NOT_SEARCHED, WidthChoice
from dlco.errors import Infeasible, InvalidInput
from dlco.hardware import AccelBenchSpace, Parameter, at_word_bits, generic
from dlco.hardware.accelbench import SPRING
from dlco.nas import WeightedSum, cosearch, cosearch_widths
from dlco.nas.cosearch import PairSearch
from dlco.nas.oracles import FunctionAccuracy
from dlco.search import Effort
from tests.nas.small import WORTH, Linear, make_space

SPACE = make_space()
HARDWARE = HardwareSpace(generic(), (Parameter("GlobalBuffer", "fanout_x", (4, 16)),))
LOST = {4: 5.0, 8: 0.5, 16: 0.0}  # points of accuracy, by the bits of a word
QUICK = SolveEffort(starts=0, polishes=0, fit=Effort(rounds=4))
NETWORKS = list(SPACE.networks())


class Quantised(Linear):
    """The accuracy of the small space, less what so few bits lose."""

    def __init__(self, bits: int) -> None:
        super().__init__(SPACE)
        self.lost = LOST[bits]

    def accuracy_of_encoding(self, encoding):
        return super().accuracy_of_encoding(encoding) - self.lost

    def most(self) -> float:
        return 80 + 5 + 3 + 6 - self.lost


def oracles(widths=LOST) -> dict[int, Quantised]:
    return {bits: Quantised(bits) for bits in widths}


def search(hardware=HARDWARE, objective="energy", budget=None, *, widths=LOST, judges=None, **options) -> WidthChoice:
    options = {"method": "local-search", "evaluations": 60, "seed": 1, "effort": QUICK, "imperfect": False} | options
    return cosearch_widths(SPACE, judges or oracles(widths), hardware, objective, budget, **options)


def timeless(choice: WidthChoice) -> WidthChoice:
    def of(design):
        return design and replace(design, seconds=0.0, solution=replace(design.solution, seconds=0.0, trace=()))

    return replace(choice, widths=tuple(replace(one, design=of(one.design)) for one in choice.widths))


@pytest.fixture(scope="module")
def layers():
    """(energy pJ, area mm2, cycles) of every layer on every machine at every width, each energy proved least."""
    found = {}
    for bits, at in product(LOST, range(2)):
        machine = at_word_bits(HARDWARE.architecture_at(torch.tensor([at])), bits)
        for layer in SPACE.layers:
            if (layer.problem, bits, at) not in found:
                solution = solve([replace(layer, count=1)], machine, "energy", imperfect=False)
                assert solution.gap == 0
                found[layer.problem, bits, at] = solution.cost.energy_pj, machine.area_mm2
    return found


def every_pair(layers, machines=(0, 1)):
    """(bits, network, machine, accuracy, energy pJ, area mm2) of all there are, by sums over layers."""
    found = []
    for bits, network, at in product(LOST, NETWORKS, machines):
        costs = [(layers[layer.problem, bits, at][0] * layer.count) for layer in SPACE.to_layers(network)]
        area = layers[SPACE.to_layers(network)[0].problem, bits, at][1]
        accuracy = 80 - LOST[bits] + sum(float(WORTH[3 * i + k]) for i, k in enumerate(network))
        found.append((bits, network, at, accuracy, sum(costs), area))
    return found


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize(("least", "width"), [(80.0, 4), (89.5, 8), (94.0, 16)])
def test_the_choice_is_the_best_of_every_width_and_network(layers, at, least, width):
    pairs = [pair for pair in every_pair(layers, [at]) if pair[3] >= least]
    bits, network, _, accuracy, energy, _ = min(pairs, key=lambda pair: pair[4])
    assert bits == width, "each width is the best for some accuracy"
    found = search(machine=(at,), least_accuracy=least)
    assert (found.status, found.word_bits, found.best.network) == ("solved", bits, SPACE.format(network))
    assert found.best.accuracy == pytest.approx(accuracy)
    assert found.best.value == pytest.approx(energy, rel=1e-9)
    for one in found.widths:
        mine = [pair for pair in pairs if pair[0] == one.word_bits]
        assert (one.design is None) == (not mine)
        if mine:
            assert one.design.value == pytest.approx(min(pair[4] for pair in mine), rel=1e-9)
            machine = at_word_bits(HARDWARE, one.word_bits).architecture_at(torch.tensor([at]))
            assert one.design.solution.architecture == machine
        else:
            assert one.why.startswith(f"least_accuracy is {least:g} %; no network of 'small' has more than")


def test_where_machines_are_free_the_limits_decide_the_width(layers):
    pairs = every_pair(layers)
    areas = sorted({pair[5] for pair in pairs})
    limit = areas[1] * 1.0001  # the small machine at 4 and 8 bits, or as many as keep it
    kept = [pair for pair in pairs if pair[5] <= limit and pair[3] >= 88.0]
    bits, *_, energy, _ = min(kept, key=lambda pair: pair[4])
    found = search(budget=Budget(area_mm2=limit), least_accuracy=88.0, evaluations=120)
    assert found.word_bits == bits
    assert energy * (1 - 1e-9) <= found.best.value <= energy * 1.05
    assert found.best.cost.area_mm2 <= limit
    broken = [one for one in found.widths if one.design and one.design.status == "infeasible"]
    assert {one.word_bits for one in broken} == set(LOST) - {pair[0] for pair in kept}
    assert "broken" in str(found)


def test_the_most_accurate_within_a_limit_is_of_the_width_that_affords_it(layers):
    pairs = every_pair(layers, [1])
    limit = sorted(pair[4] for pair in pairs)[30]
    bits, _, _, accuracy, *_ = max((pair for pair in pairs if pair[4] <= limit), key=lambda pair: pair[3])
    found = search(objective="accuracy", budget=Budget(energy_j=limit * (1 + 1e-9) * 1e-12), machine=(1,))
    assert (found.word_bits, found.best.accuracy) == (bits, pytest.approx(accuracy))


def test_each_width_is_a_search_by_itself():
    """The same answers as as many calls of `cosearch`, each on its own hardware."""
    found = search(least_accuracy=85.0, widths=(8, 16), evaluations=20)
    for bits in (8, 16):
        alone = cosearch(
            SPACE,
            Quantised(bits),
            at_word_bits(HARDWARE, bits),
            "energy",
            least_accuracy=85.0,
            method="local-search",
            evaluations=20,
            seed=1,
            effort=QUICK,
            imperfect=False,
        )
        assert timeless(found).at(bits) == replace(
            alone, seconds=0.0, solution=replace(alone.solution, seconds=0.0, trace=())
        )
    assert timeless(search(least_accuracy=85.0, widths=(8, 16), evaluations=20)) == timeless(found)
    given = {bits: at_word_bits(HARDWARE, bits) for bits in (16, 8)}
    assert timeless(search(given, least_accuracy=85.0, widths=(8, 16), evaluations=20)) == timeless(found)
    front = found.front
    every = [(one.word_bits, pair) for one in found.widths for pair in one.design.front]
    assert set(front) <= set(every)
    for _, pair in every:
        assert any(
            (p.accuracy, -p.energy_pj, -p.latency_s) == (pair.accuracy, -pair.energy_pj, -pair.latency_s)
            or (p.accuracy >= pair.accuracy and p.energy_pj <= pair.energy_pj and p.latency_s <= pair.latency_s)
            for _, p in front
        )


def test_a_bound_holds_at_every_width(layers):
    """With the network and the machine given, nothing at any width goes below it."""
    network = (1, 0, 2)
    found = search(network=network, machine=(1,), evaluations=2, bound=True)
    least = min(pair[4] for pair in every_pair(layers, [1]) if pair[1] == network)
    assert found.lower_bound is not None
    assert found.lower_bound <= least * (1 + 1e-9)
    assert found.lower_bound == min(one.design.solution.lower_bound for one in found.widths)
    assert search(network=network, machine=(1,), evaluations=2).lower_bound is None


def test_a_weighted_sum_is_compared_over_widths():
    weights = WeightedSum(accuracy=0.9, energy=0.1)
    found = search(objective=weights, budget=Budget(energy_j=1e-5), machine=(1,), evaluations=30)
    assert found.best.value == min(one.design.value for one in found.widths)


def test_machines_of_different_clocks_are_compared_in_seconds():
    """The slow one takes fewer pJ x cycles, and more pJ x seconds."""
    slow = at_word_bits(HARDWARE, 8)
    slow = replace(slow, base=replace(slow.base, cycle_s=1e-7))
    found = search({8: slow, 16: HARDWARE}, "edp", widths=(8, 16), machine=(1,), evaluations=10, network=(0, 0, 0))
    assert found.at(8).value < found.at(16).value
    assert (found.word_bits, found.best.value) == (16, found.at(16).value)
    bounded = search({8: slow, 16: HARDWARE}, "edp", widths=(8, 16), machine=(1,), network=(0, 0, 0), bound=True)
    assert bounded.lower_bound == bounded.best.solution.lower_bound


def test_no_width_within_the_limits_gives_the_nearest():
    found = search(budget=Budget(energy_j=1e-9), machine=(1,), evaluations=5, widths=(8, 16))
    assert found.status == "infeasible"
    energies = {one.word_bits: one.design.cost.energy_pj for one in found.widths}
    assert found.word_bits == min(energies, key=energies.__getitem__)


def test_an_accuracy_that_no_width_has_is_infeasible():
    with pytest.raises(Infeasible, match=r"words of 4 bits: least_accuracy is 99 %.*; with words of 16 bits: least"):
        search(least_accuracy=99.0)


def test_an_answer_is_saved_and_read_where_it_holds(tmp_path):
    found = search(least_accuracy=90.0, evaluations=5)
    assert [one.design is None for one in found.widths] == [True, False, False]
    found.save(tmp_path / "widths.json")
    assert WidthChoice.load(tmp_path / "widths.json") == found
    assert str(found).startswith(f"Words of {found.word_bits} bits, of 4, 8, 16\n")
    data = json.loads((tmp_path / "widths.json").read_text())
    other = next(bits for bits in (8, 16) if bits != found.word_bits)
    for changed, said in (
        ({"word_bits": other}, f"the widths make them {found.word_bits}"),
        ({"word_bits": 4}, "word_bits and status of the choice are 4"),
        ({"status": "interrupted"}, "status"),
        ({"widths": data["widths"][1:] * 2}, "must be distinct"),
        ({"widths": [data["widths"][1] | {"word_bits": 4}, data["widths"][2]]}, "operands of 8 bits"),
        ({"widths": [data["widths"][1] | {"why": "no"}, data["widths"][2]]}, "why of 8 bits is 'no'"),
    ):
        with pytest.raises(InvalidInput, match=said):
            WidthChoice.from_dict(data | changed)
    with pytest.raises(InvalidInput, match="word_bits is 5; allowed: 4, 8, 16"):
        found.at(5)


def stop_at(share: float, bits: int):
    def listener(progress: Progress) -> None:
        if progress.phase.startswith(f"{bits} bits: co-search") and progress.done >= share:
            raise KeyboardInterrupt

    return listener


class Counting(FunctionAccuracy):
    """One without a gradient that counts the networks it is asked about."""

    def __init__(self, bits: int) -> None:
        self.asked = 0
        inner = Quantised(bits)

        def judge(network):
            self.asked += 1
            return float(inner.accuracy([network])[0])

        super().__init__(SPACE, judge)


def test_an_interrupted_choice_goes_on_where_it_stopped(tmp_path):
    path, options = tmp_path / "run.ckpt", {"evaluations": 12, "machine": (1,)}
    judges = {bits: Counting(bits) for bits in LOST}
    whole = timeless(search(judges=judges, **options))
    asked = {bits: judge.asked for bits, judge in judges.items()}
    judges = {bits: Counting(bits) for bits in LOST}
    stopped = search(judges=judges, progress=stop_at(0.5, 8), checkpoint=path, **options)
    assert stopped.status == "interrupted"
    assert [one.why for one in stopped.widths] == ["", "", NOT_SEARCHED]
    assert (stopped.at(4).status, stopped.at(8).status) == ("solved", "interrupted")
    assert timeless(stopped).at(4) == whole.at(4)
    assert stopped.lower_bound is None
    again = timeless(search(judges=judges, resume=path, **options))
    assert again == whole
    assert {bits: judge.asked for bits, judge in judges.items()} == asked, "no network is judged twice"
    with pytest.raises(InvalidInput, match="other arguments"):
        search(judges={bits: Counting(bits) for bits in (4, 8)}, resume=path, **options)


def test_a_width_that_is_done_is_not_searched_again(tmp_path, monkeypatch):
    path, options = tmp_path / "run.ckpt", {"evaluations": 5, "machine": (1,), "widths": (8, 16)}
    whole = timeless(search(checkpoint=path, **options))
    monkeypatch.setattr(PairSearch, "run", None)
    told: list[Progress] = []
    assert timeless(search(resume=path, progress=told.append, **options)) == whole
    assert [one.phase for one in told] == ["8 bits: done", "16 bits: done", "done"]
    assert told[-1].best == whole.best.value


def test_progress_is_of_all_widths():
    told: list[Progress] = []
    found = search(progress=told.append, evaluations=10, machine=(1,), least_accuracy=85.0)
    shares = [one.done for one in told]
    assert shares == sorted(shares)
    assert (told[-1].phase, told[-1].done, told[-1].best) == ("done", 1.0, found.best.value)
    begun = [one for one in told if one.phase.startswith("8 bits")]
    assert all(1 / 3 <= one.done <= 2 / 3 for one in begun)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"judges": Quantised(8)}, "oracles is .*; it must be a dictionary of one oracle or more"),
        ({"judges": {"8": Quantised(8)}}, "bits of a word in oracles is '8'; it must be an integer"),
        ({"judges": {8: "table"}}, "oracle is 'table'"),
        ({"hardware": {8: HARDWARE}}, "hardware is for words of 8 bits; it must be for those of the oracles, 4, 8, 16"),
        ({"hardware": {8: HARDWARE}, "widths": (8,)}, "mac_bits of 'generic' is 16; as hardware for words of 8 bits"),
        ({"hardware": AccelBenchSpace()}, "figures are all of words of 20 bits"),
        ({"hardware": SPRING}, "figures are all of words of 20 bits"),
        ({"hardware": "eyeriss"}, "hardware is 'eyeriss'; it must be an Architecture or a HardwareSpace"),
        ({"costs": 3}, "costs are given"),
        ({"method": "guess"}, "method is 'guess'"),
        ({"budget": Budget(capacity={"GlobalBuffer": 4096})}, "budget capacity is set"),
        ({"seed": -1}, "seed is -1"),
        ({"progress": 3}, "progress is 3"),
    ],
)
def test_bad_input_is_refused_before_any_work(changed, said, monkeypatch, tmp_path):
    monkeypatch.setattr(PairSearch, "run", None)
    with pytest.raises(InvalidInput, match=said):
        search(**changed, checkpoint=tmp_path / "run.ckpt")
    assert not (tmp_path / "run.ckpt").exists()


def test_another_judge_of_the_widths_space_is_refused():
    judges = {4: Quantised(4), 8: Quantised(8)}
    judges[4].space = type("Other", (), {"name": "other"})()
    with pytest.raises(InvalidInput, match="oracle judges 'other'; the space is 'small'"):
        search(judges=judges)
