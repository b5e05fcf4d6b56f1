"""What the networks believe, against functions that are known; and their closed forms against sampling."""

import math

import pytest
import torch

from dlco.nas.surrogate.model import Surrogate
from dlco.nas.surrogate.networks import NaturalNetwork, PlainNetwork, Student, Teacher, _rectified
from dlco.nas.surrogate.proposer import normal_scores, standard_scores


def truth(x):
    return torch.sin(3 * x[:, 0])


def noise(x):
    return torch.where(x[:, 0] < 0, 0.05, 0.4)


@pytest.fixture(scope="module")
def fitted():
    """A surrogate of a noisy sine on [-1, 1]; the second feature was never anything but 0."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.zeros(240, 2)
    inputs[:, 0] = 2 * torch.rand(240, generator=generator) - 1
    targets = truth(inputs) + noise(inputs) * torch.randn(240, generator=generator)
    around = 4 * torch.rand(200, 2, generator=generator) - 2
    surrogate = Surrogate((2,), generator)
    surrogate.standardise(around)
    for _ in range(4):
        surrogate.fit(inputs, targets, around)
    return surrogate


def line(first, last, n=41):
    points = torch.zeros(n, 2)
    points[:, 0] = torch.linspace(first, last, n)
    return points


def test_the_mean_follows_the_function(fitted):
    points = line(-0.9, 0.9)
    assert (fitted(points).mean - truth(points)).abs().mean() < 0.15


def test_noise_is_told_where_it_is(fitted):
    quiet, loud = fitted(line(-0.9, -0.2)).noise, fitted(line(0.2, 0.9)).noise
    assert loud.mean() > 2 * quiet.mean()
    assert 0.25 < loud.mean() < 0.6
    assert quiet.mean() < 0.25


def test_what_is_predicted_covers_what_is_measured_anew(fitted):
    points = line(-0.95, 0.95, 2000)
    belief = fitted(points)
    new = truth(points) + noise(points) * torch.randn(2000, generator=torch.Generator().manual_seed(9))
    error = (new - belief.mean) / belief.noise
    assert 0.7 < error.square().mean().sqrt() < 1.3
    assert 0.58 < (error.abs() < 1).float().mean() < 0.88  # 0.683 of a Gaussian
    assert (error.abs() < 2).float().mean() > 0.9  # 0.954


def test_doubt_grows_away_from_the_data(fitted):
    beyond = torch.cat([line(1.5, 2.0), line(-2.0, -1.5), torch.tensor([[2.0, 2.0], [-2.0, 2.0], [2.0, -2.0]])])
    assert fitted(beyond).doubt.mean() > 1.2 * fitted(line(-0.9, 0.9)).doubt.mean()


def test_the_student_says_what_the_teacher_shows(fitted):
    points = 4 * torch.rand(300, 2, generator=torch.Generator().manual_seed(3)) - 2
    with torch.no_grad():
        shown = fitted.teacher.spread((points - fitted.shift) / fitted.scale, 500)
        said = fitted(points).doubt
    assert torch.corrcoef(torch.stack([shown, said]))[0, 1] > 0.7
    assert 0.8 < said.mean() / shown.mean() < 1.25
    assert torch.equal(said, fitted(points).doubt)


def test_rectified_moments_are_those_of_samples():
    mean, variance = torch.tensor([-1.0, 0.0, 0.5, 3.0]), torch.tensor([1.0, 0.5, 2.0, 0.1])
    draws = torch.randn(400_000, 4, generator=torch.Generator().manual_seed(0)) * variance.sqrt() + mean
    first, second = _rectified(mean, variance)
    assert torch.allclose(first, draws.relu().mean(0), atol=0.01)
    assert torch.allclose(second, draws.relu().var(0), rtol=0.02, atol=1e-3)


def test_a_natural_network_passes_on_the_moments_of_its_weights():
    """One hidden layer of them is exact where hidden units are independent; against sampled weights."""
    generator = torch.Generator().manual_seed(0)
    network = NaturalNetwork((3,), generator)
    inputs = torch.tensor([[1.0, -2.0, 0.5]])
    with torch.no_grad():
        mean, variance = network(inputs)
        draws = []
        for _ in range(4000):
            value = inputs
            layers = zip(network.weights, network.spreads, network.biases, network.noises, strict=True)
            for number, (weight, spread, bias, bias_noise) in enumerate(layers):
                value = value.relu() if number else value
                weight = weight + (0.5 * spread).exp() * torch.randn(weight.shape, generator=generator)
                bias = bias + (0.5 * bias_noise).exp() * torch.randn(bias.shape, generator=generator)
                value = value @ weight + bias
            draws.append(value[0, 0])
        sampled = torch.stack(draws)
    assert mean.item() == pytest.approx(sampled.mean().item(), abs=0.05)
    assert variance.item() == pytest.approx(sampled.var().item(), rel=0.1)


@pytest.mark.parametrize("kind", [NaturalNetwork, PlainNetwork, Student])
def test_branches_know_nothing_of_each_other_until_they_meet(kind):
    network = kind((3, 2), torch.Generator().manual_seed(0))
    with torch.no_grad():
        first = network.layers[0].kept(network.weights[0])
        second = network.layers[1].kept(network.weights[1])
    assert torch.equal(first != 0, torch.block_diag(torch.ones(3, 32), torch.ones(2, 32)) > 0)
    assert torch.equal(second != 0, torch.block_diag(torch.ones(32, 32), torch.ones(32, 32)) > 0)
    inputs = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
    answer = network(inputs)
    (gradient,) = torch.autograd.grad((answer if kind is Student else answer[0]).sum(), inputs)
    assert gradient.abs().amin() > 0


def test_a_pass_drops_the_same_units_for_all_inputs():
    teacher = Teacher((2,), torch.Generator().manual_seed(0))
    same = torch.ones(5, 2)
    spread = teacher.spread(same, 10)
    assert torch.allclose(spread, spread[:1].expand(5))
    assert spread[0] > 0


def test_normal_scores_are_the_quantiles_of_ranks():
    scores = normal_scores([3.0, 1.0, math.inf, 2.0, 1e9])
    assert scores.argsort().tolist() == [1, 3, 0, 4, 2]
    assert scores[0] == pytest.approx(0, abs=1e-6)
    assert scores[2] == pytest.approx(1.1798, abs=1e-3)  # the 0.881 quantile: (5 - 3/8) / 5.25
    tied = normal_scores([1.0, 1.0, 2.0])
    assert tied[0] == tied[1] < tied[2]


def test_standard_scores_are_values_less_their_mean():
    assert standard_scores([1.0, 2.0, 3.0]).tolist() == pytest.approx([-1.2247, 0.0, 1.2247], abs=1e-4)
    assert standard_scores([5.0, 5.0]).tolist() == [0.0, 0.0]
