"""Fitted predictors against refits, known functions, counted pairs, and the published OFA measurements."""

from itertools import combinations
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlco.errors import InvalidInput
from dlco.nas import OfaMobileNetV3
from dlco.nas.oracles import (
    Counted,
    DifferentiableAccuracy,
    EnsembleTraining,
    FunctionAccuracy,
    TableAccuracy,
    fit_predictor,
    kendall_tau,
    load_predictor,
)
from dlco.nas.oracles.accuracy import most_accurate
from dlco.nas.oracles.ofa import ofa_accuracy
from dlco.nas.oracles.ridge import fit_ridge
from dlco.nas.spaces.digits import Digits

OFA_TABLE = Path(__file__).parents[3] / "benchmarks" / "data" / "ofa_mobilenetv3_imagenet.csv.gz"


def interacting_table() -> TableAccuracy:
    """All 49 networks of two blocks; the options' contributions multiply."""
    space = Digits(blocks=1)
    return TableAccuracy(space, {n: [60 + n[0] + 0.5 * n[1] + 0.8 * n[0] * n[1]] for n in space.networks()})


def test_ridge_has_the_penalty_of_least_leave_one_out_error() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 5, generator=generator, dtype=torch.float64)
    y = x @ torch.arange(5.0, dtype=torch.float64) + torch.randn(12, generator=generator, dtype=torch.float64) + 70
    penalties = torch.logspace(-2, 2, 9, dtype=torch.float64)

    def solved(x: torch.Tensor, y: torch.Tensor, penalty: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        centred = x - x.mean(0)
        weights = torch.linalg.solve(centred.T @ centred + penalty * torch.eye(5).double(), centred.T @ (y - y.mean()))
        return weights, y.mean() - x.mean(0) @ weights

    def without(row: int, penalty: torch.Tensor) -> torch.Tensor:
        kept = torch.arange(12) != row
        weights, intercept = solved(x[kept], y[kept], penalty)
        return (x[row] @ weights + intercept - y[row]) ** 2

    # Refits re-centre without the row and the closed form does so too: the intercept is its only unpenalised column.
    errors = torch.tensor([sum(without(row, penalty).item() for row in range(12)) for penalty in penalties])
    weights, intercept, penalty, error = fit_ridge(x, y, penalties)

    assert penalty == penalties[errors.argmin()].item()
    assert error == pytest.approx((errors.min().item() / 12) ** 0.5)
    torch.testing.assert_close((weights, intercept), solved(x, y, torch.tensor(penalty)))


def test_ridge_recovers_a_sum_of_contributions_and_its_gradient_is_the_weights() -> None:
    space = Digits(blocks=2)
    networks = dict.fromkeys(space.sample(300, torch.Generator().manual_seed(0)))
    table = TableAccuracy(space, {n: [60 + sum((at + 1) * option for at, option in enumerate(n))] for n in networks})
    ridge = fit_predictor(table)

    assert ridge.quality.rmse < 0.01
    assert ridge.quality.kendall_tau > 0.98  # some accuracies are equal
    assert ridge.quality.fitted + ridge.quality.held_out == len(table)
    encoding = torch.full((2, 28), 1 / 7, dtype=torch.float64, requires_grad=True)
    ridge.accuracy_of_encoding(encoding).sum().backward()
    assert encoding.grad is not None
    steps = encoding.grad[0].reshape(4, 7).diff(dim=1)
    torch.testing.assert_close(steps, torch.arange(1.0, 5)[:, None].expand(4, 6).double(), atol=0.01, rtol=0)


def test_ensemble_sees_interactions_that_ridge_cannot() -> None:
    table = interacting_table()
    training = EnsembleTraining(epochs=80, batch=8, width=32)
    ensemble = fit_predictor(table, "ensemble", training=training)
    assert ensemble.quality.rmse < 0.5 * fit_predictor(table).quality.rmse

    again = fit_predictor(table, "ensemble", training=training)
    other = fit_predictor(table, "ensemble", training=training, seed=1)
    assert ensemble.accuracy(table.networks).equal(again.accuracy(table.networks))
    assert not ensemble.accuracy(table.networks).equal(other.accuracy(table.networks))


def test_gradients_are_those_of_finite_differences() -> None:
    ensemble = fit_predictor(interacting_table(), "ensemble", training=EnsembleTraining(epochs=2))
    assert isinstance(ensemble, DifferentiableAccuracy)
    encoding = torch.rand(2, 3, 14, dtype=torch.float64, requires_grad=True)
    assert ensemble.accuracy_of_encoding(encoding).shape == (2, 3)
    assert torch.autograd.gradcheck(ensemble.accuracy_of_encoding, encoding)


@pytest.mark.parametrize("kind", ["ridge", "ensemble"])
def test_saved_predictor_says_the_same(tmp_path: Path, kind: str) -> None:
    table = interacting_table()
    training = EnsembleTraining(epochs=2) if kind == "ensemble" else None
    predictor = fit_predictor(table, kind, training=training)
    predictor.save(tmp_path / "predictor.npz")
    loaded = load_predictor(tmp_path / "predictor.npz", table.space)

    assert loaded.accuracy(table.networks).equal(predictor.accuracy(table.networks))
    assert loaded.quality == predictor.quality
    with pytest.raises(InvalidInput, match="'digits' of 14 features"):
        load_predictor(tmp_path / "predictor.npz", Digits(blocks=2))
    with pytest.raises(InvalidInput, match="must be for 'ofa_mobilenetv3'"):
        load_predictor(tmp_path / "predictor.npz", OfaMobileNetV3())
    (tmp_path / "predictor.npz").write_bytes(b"no zip")
    with pytest.raises(InvalidInput, match=r"predictor\.npz is no predictor"):
        load_predictor(tmp_path / "predictor.npz", table.space)


def test_wrong_questions_are_refused() -> None:
    table = interacting_table()
    with pytest.raises(InvalidInput, match="allowed: ridge, ensemble"):
        fit_predictor(table, "forest")
    with pytest.raises(InvalidInput, match="held_out is 1"):
        fit_predictor(table, held_out=1)
    with pytest.raises(InvalidInput, match="at least 4"):
        fit_predictor(table, held_out=0.99)
    with pytest.raises(InvalidInput, match="only the ensemble"):
        fit_predictor(table, training=EnsembleTraining())
    with pytest.raises(InvalidInput, match="kind is 'forest'"):
        ofa_accuracy("forest")


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=30))
def test_kendall_tau_counts_pairs_and_allows_for_ties(pairs: list[tuple[int, int]]) -> None:
    signs = [(a > c) - (a < c) for (a, _), (c, _) in combinations(pairs, 2)]
    others = [(b > d) - (b < d) for (_, b), (_, d) in combinations(pairs, 2)]
    untied = sum(map(abs, signs)) * sum(map(abs, others))
    expected = sum(s * o for s, o in zip(signs, others, strict=True)) / untied**0.5 if untied else float("nan")
    a, b = torch.tensor(pairs, dtype=torch.float64).T
    torch.testing.assert_close(kendall_tau(a, b), expected, equal_nan=True)


def test_shipped_predictors_are_as_good_as_they_say_on_the_published_measurements() -> None:
    table = TableAccuracy.read(OfaMobileNetV3(), OFA_TABLE, "top1")
    held_out = torch.randperm(len(table), generator=torch.Generator().manual_seed(0))[:432]
    networks = [table.networks[at] for at in held_out.tolist()]
    for kind, rmse, tau in (("ridge", 0.17, 0.92), ("ensemble", 0.07, 0.96)):
        predictor = ofa_accuracy(kind)
        error = predictor.accuracy(networks) - table.accuracies[held_out]
        assert error.square().mean().sqrt().item() == pytest.approx(predictor.quality.rmse)
        assert predictor.quality.rmse <= rmse
        assert predictor.quality.kendall_tau >= tau


def test_ridge_reaches_its_target_on_other_splits() -> None:
    table = TableAccuracy.read(OfaMobileNetV3(), OFA_TABLE, "top1")
    qualities = [fit_predictor(table, seed=seed).quality for seed in range(1, 5)]
    assert max(quality.rmse for quality in qualities) <= 0.17
    assert sum(quality.kendall_tau for quality in qualities) / 4 >= 0.92


# --- how good an answer can be ---------------------------------------------------------------------------------


def test_the_most_of_a_ridge_is_that_of_its_best_network() -> None:
    ridge = fit_predictor(interacting_table())
    answers = ridge.accuracy(list(ridge.space.networks()))
    assert ridge.most() == pytest.approx(answers.max().item(), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_no_network_goes_beyond_the_most_of_an_ensemble(seed: int) -> None:
    """Of few training steps and of many, so that units lie on all sides of where their slope turns."""
    for epochs in (1, 60):
        training = EnsembleTraining(epochs=epochs, width=8)
        ensemble = fit_predictor(interacting_table(), "ensemble", training=training, seed=seed)
        most = ensemble.accuracy(list(ensemble.space.networks())).max().item()
        assert most <= ensemble.most() < 200


def test_what_comes_with_dlco_tells_an_accuracy_out_of_reach() -> None:
    for kind, bound in (("ridge", 78.5), ("ensemble", 90.0)):
        oracle = ofa_accuracy(kind)
        sampled = oracle.accuracy(oracle.space.sample(2000, torch.Generator().manual_seed(0))).max().item()
        assert sampled <= oracle.most() < bound


def test_tables_know_their_best_and_counted_oracles_what_theirs_does() -> None:
    table = interacting_table()
    assert table.most() == Counted(table).most() == pytest.approx(60 + 6 + 3 + 0.8 * 36)
    assert most_accurate(FunctionAccuracy(table.space, lambda network: 50.0)) == float("inf")
    assert Counted(FunctionAccuracy(table.space, lambda network: 50.0)).most() == float("inf")
