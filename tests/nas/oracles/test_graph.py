"""Graphs that are trained when they are asked about, from the weights of their neighbours."""

from pathlib import Path

import pytest
import torch

from dlco.errors import InvalidInput
from dlco.nas.oracles import Accuracy
from dlco.nas.oracles.graph import GraphAccuracy
from dlco.nas.spaces import CnnGraph, GraphSpace
from dlco.nas.spaces.digit_graphs import digit_graphs
from dlco.nas.supernet import Images, digit_images, standard_error
from dlco.progress import Progress

pytest.importorskip("sklearn")

SPACE = digit_graphs()
CONV, WIDE = "conv3x3-c8-p1-bn-relu", "conv3x3-c16-p1-s2-bn-relu"
FIRST = SPACE.parse(f"{CONV}:01,12/{WIDE}:01,12;flatten")
NEAR = SPACE.parse(f"{CONV}:01,12/{WIDE}:01,12;flatten,dropout-p2")
HALF = SPACE.parse(f"{CONV}:01,12/conv1x1-c8-bn-relu:01,12;flatten")
ALIEN = SPACE.parse("avgpool3x3-s2-p1:01,12;global-avg-pool")


def fresh(**options: object) -> GraphAccuracy:
    return GraphAccuracy(SPACE, **({"epochs": 3, "epochs_after": 1} | options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def judged() -> GraphAccuracy:
    oracle = fresh()
    oracle.accuracy([FIRST, NEAR, HALF, ALIEN])
    return oracle


def test_three_epochs_learn_the_digits(judged: GraphAccuracy) -> None:
    assert isinstance(judged, Accuracy)
    accuracies = judged.accuracy([FIRST, ALIEN])
    assert accuracies[0] > 85  # ten classes; three passes over 1,000 images
    assert accuracies[0] > accuracies[1] + 20  # a linear map of 16 means
    assert judged.test_accuracy([FIRST])[0] > 85


def test_accuracies_are_those_of_the_trained_network(judged: GraphAccuracy) -> None:
    network = judged.network(NEAR)
    for images, found in ((judged.images.validation, judged.accuracy), (judged.images.test, judged.test_accuracy)):
        pixels, labels = images
        with torch.no_grad():
            right = int((network(pixels).argmax(1) == labels).sum())
        assert found([NEAR]).tolist() == [pytest.approx(100 * right / len(labels))]


def test_networks_begin_with_the_nearest_trained_ones_weights(judged: GraphAccuracy) -> None:
    first, near, half, alien = judged.trained
    assert [one.network for one in judged.trained] == [FIRST, NEAR, HALF, ALIEN]
    assert (first.neighbour, first.inherited, first.epochs) == (None, 0, 3)
    assert (near.neighbour, near.inherited, near.epochs) == (FIRST, 1, 1)
    assert half.neighbour == FIRST  # both have one module in common; FIRST's head is its own
    assert 0 < half.inherited < 0.5
    assert alien.neighbour is None
    assert near.validation > fresh(epochs=1).accuracy([NEAR])[0]  # after as many epochs of its own


def test_the_same_seed_in_the_same_order_repeats_itself(judged: GraphAccuracy) -> None:
    again, other = fresh(), fresh(seed=1)
    torch.manual_seed(9)  # which nothing hangs on
    assert again.accuracy([FIRST, NEAR]).equal(judged.accuracy([FIRST, NEAR]))
    assert again.network(NEAR).state_dict()["head.2.weight"].equal(judged.network(NEAR).state_dict()["head.2.weight"])
    assert not other.accuracy([FIRST, NEAR]).equal(judged.accuracy([FIRST, NEAR]))


def test_what_is_known_is_not_trained_again(judged: GraphAccuracy) -> None:
    count = len(judged.trained)
    assert judged.accuracy([NEAR, NEAR, FIRST])[0] == judged.accuracy([NEAR])[0]
    assert len(judged.trained) == count


def test_an_interrupted_run_goes_on_from_its_file(judged: GraphAccuracy, tmp_path: Path) -> None:
    kept = tmp_path / "trained"
    stopped = 0

    def stop(progress: Progress) -> None:
        nonlocal stopped
        stopped += 1
        if progress.phase == "training network 2 of 3":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fresh(kept=kept, progress=stop).accuracy([FIRST, NEAR, HALF])
    assert stopped == 4  # three epochs of the first, one of the second
    resumed = fresh(kept=kept)
    assert [one.network for one in resumed.trained] == [FIRST]
    assert resumed.accuracy([FIRST, NEAR, HALF]).equal(judged.accuracy([FIRST, NEAR, HALF]))
    read = fresh(kept=kept)
    assert [(one.network, one.neighbour, one.epochs) for one in read.trained] == [
        (one.network, one.neighbour, one.epochs) for one in judged.trained[:3]
    ]
    with pytest.raises(InvalidInput, match=r"kept is .*trained.*other arguments"):
        fresh(kept=kept, epochs=2)
    kept.write_bytes(b"no such thing")
    with pytest.raises(InvalidInput, match=r"kept is .*cannot hold these networks"):
        fresh(kept=kept)


def test_progress_tells_of_networks_and_epochs() -> None:
    told: list[Progress] = []
    fresh(epochs=2, transfer=False, progress=told.append).accuracy([FIRST, ALIEN])
    assert [one.phase for one in told] == ["training network 1 of 2"] * 2 + ["training network 2 of 2"] * 2
    assert [one.done for one in told] == [0.25, 0.5, 0.75, 1.0]


def test_a_chosen_network_is_judged_anew(judged: GraphAccuracy) -> None:
    one, two = judged.test_anew(FIRST, seeds=(0, 1), epochs=2).tolist()
    assert one != two
    assert min(one, two) > 70
    assert judged.test_anew(FIRST, seeds=(1,), epochs=2).tolist() == [two]


def test_small_images_of_ones_own() -> None:
    """Two classes told apart by the brighter of three channels, 4x4 pixels."""
    space = GraphSpace((CONV,), modules=1, vertices=3, channels=3, resolution=4, classes=2)
    pixels = torch.rand(300, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = (pixels[:, 0].mean((1, 2)) > pixels[:, 1].mean((1, 2))).long()
    parts = [(pixels[at : at + 100], labels[at : at + 100]) for at in (0, 100, 200)]
    oracle = GraphAccuracy(space, Images(*parts), epochs=30)
    assert oracle.accuracy([space.parse(f"{CONV}:01,12;global-avg-pool")])[0] > 75


def test_the_standard_error_is_the_binomial_one() -> None:
    assert standard_error(50, 400) == pytest.approx(2.5)
    assert standard_error(95, 400) == pytest.approx(1.1, abs=0.02)
    assert 0 < standard_error(100, 400) < 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs_after": 0}, "epochs_after is 0"),
        ({"space": GraphSpace()}, r"images have \(1, 8, 8\) channels, rows and columns; .* take \(3, 224, 224\)"),
        ({"space": GraphSpace((CONV,), channels=1, resolution=8, classes=9)}, "images have class 9; .* 9 classes"),
        ({"kept": "missing/trained"}, "kept is 'missing/trained'"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    space = arguments.pop("space", SPACE)
    assert isinstance(space, GraphSpace)
    with pytest.raises(InvalidInput, match=message):
        GraphAccuracy(space, **arguments)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="modules"):
        fresh().accuracy([CnnGraph(FIRST.modules * 3, FIRST.head)])


def test_digits_and_graphs_split_the_images_alike(judged: GraphAccuracy) -> None:
    assert judged.images.test[0].equal(digit_images(0).test[0])
