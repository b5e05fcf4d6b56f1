"""The digits' networks in torch against what the space counts, and shared weights against a network by itself."""

import pytest
import torch

from dlco.nas.oracles.digits import DigitsAccuracy
from dlco.nas.spaces.digits import BLOCKS, Digits
from dlco.nas.supernet import DigitsSupernet, digit_images

SPACE = Digits(blocks=2)


def some_networks() -> list[tuple[int, ...]]:
    drawn = SPACE.sample(6, torch.Generator().manual_seed(0))
    return [*drawn, (len(BLOCKS),) * 4, (len(BLOCKS) - 1,) * 4]


@pytest.fixture(scope="module")
def supernet() -> DigitsSupernet:
    return DigitsSupernet(SPACE, seed=3)


def test_parameters_and_macs_are_those_that_torch_counts(supernet: DigitsSupernet) -> None:
    for network in some_networks():
        alone, macs = supernet.inherit(network), []
        for module in alone.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.register_forward_hook(
                    lambda m, _, out, macs=macs: macs.append(m.weight[0].numel() * out.numel())
                )
        alone(torch.zeros(1, 1, 8, 8))

        assert SPACE.parameters(network) == sum(p.numel() for p in alone.parameters())
        assert SPACE.macs(network) == sum(macs)


def test_inherited_network_says_what_the_supernet_says_of_its_encoding(supernet: DigitsSupernet) -> None:
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for network, encoding in zip(some_networks(), SPACE.encode(some_networks()), strict=True):
        torch.testing.assert_close(supernet.inherit(network)(images), supernet(images, encoding))
    largest = supernet.inherit((len(BLOCKS) - 1,) * 4)
    torch.testing.assert_close(supernet(images), largest(images))


def test_a_mix_of_options_is_the_weighted_sum_of_what_they_give(supernet: DigitsSupernet) -> None:
    block = next(supernet.stages[0].children())
    images = torch.rand(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    weights = torch.rand(len(BLOCKS) + 1, generator=torch.Generator().manual_seed(1)).softmax(0).requires_grad_()
    expected = sum(w * block.inherit(option)(images) for option, w in enumerate(weights))

    torch.testing.assert_close(block(images, weights), expected)
    (gradient,) = torch.autograd.grad(block(images, weights).square().sum(), weights)
    (wanted,) = torch.autograd.grad(expected.square().sum(), weights)
    torch.testing.assert_close(gradient - gradient.mean(), wanted - wanted.mean(), rtol=1e-3, atol=1e-3)


def test_digits_are_split_without_overlap() -> None:
    pytest.importorskip("sklearn")
    images = digit_images(seed=1)
    parts = [images.train, images.validation, images.test]
    assert [len(labels) for _, labels in parts] == [1000, 397, 400]
    assert sum(pixels.sum().item() for pixels, _ in parts) == pytest.approx(561718 / 16)
    assert not images.train[0].equal(digit_images(seed=2).train[0])


def test_training_in_the_loop_learns_and_repeats_itself() -> None:
    pytest.importorskip("sklearn")
    oracle = DigitsAccuracy.train(SPACE, epochs=12, seed=5, progress=False)
    one, again = (DigitsAccuracy.train(SPACE, epochs=2, seed=5, progress=False) for _ in range(2))
    big, bare = (len(BLOCKS) - 1,) * 4, (len(BLOCKS),) * 4
    accuracies = oracle.accuracy([big, bare])

    assert accuracies[0] > 50  # chance is 10
    assert accuracies[0] > accuracies[1]
    assert one.accuracy([big, bare]).equal(again.accuracy([big, bare]))
    tuned = DigitsAccuracy(SPACE, oracle.supernet, oracle.images, fine_tuning=4)
    assert tuned.accuracy([big]) > accuracies[0] + 5
    assert oracle.accuracy([big]) == accuracies[0]  # fine-tuning leaves the shared weights alone

    anew = oracle.test_anew(big, seeds=(0, 1), epochs=5)
    assert anew.min() > 50
    assert anew[0] != anew[1]
