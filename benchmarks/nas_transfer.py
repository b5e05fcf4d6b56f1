"""What weights of a neighbour are worth to a network of the graph space: accuracy at equal epochs, with and without.

Networks of the graphs for 8x8 digits are drawn, and of each a neighbour one edit away. The drawn ones are trained from
first weights for 20 epochs; each neighbour then from first weights and from the drawn one's, the same images in the
same order, for 4 and for 8 epochs, at the learning rate of `GraphAccuracy`. Differences are paired, on the 397
validation images, and so much of a neighbour's trained words as operations and shapes allow is copied
(`GraphNetwork.inherit`).
"""

import argparse
from itertools import pairwise
from math import sqrt
from statistics import mean, stdev
from typing import Any

import torch
from common import Stopwatch, save_results, show

from dlco.nas import CnnGraph, GraphSpace
from dlco.nas.oracles.graph import RATE
from dlco.nas.spaces.digit_graphs import digit_graphs
from dlco.nas.supernet import GraphNetwork, Images, digit_images, percent_of, train_alone

EPOCHS = (4, 8)
FULL = 20  # epochs of a drawn network
SHARES = (0.0, 0.5, 1.0)  # of trained words that were copied: what the rows are split by


def with_neighbours(space: GraphSpace, n: int, seed: int) -> list[tuple[CnnGraph, CnnGraph]]:
    """Networks at random, each with a neighbour at random."""
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for network in space.sample(n, generator):
        near = space.neighbours(network)
        pairs.append((network, near[int(torch.randint(len(near), (), generator=generator))]))
    return pairs


def trained(network: GraphNetwork, images: Images, epochs: int, seed: int, rate: float = RATE) -> float:
    """Percent of the validation images after a training, in place."""
    train_alone(network, images.train, epochs, seed, rate)
    return percent_of(network, images.validation)


def measure(space: GraphSpace, pairs: list[tuple[CnnGraph, CnnGraph]], images: Images) -> list[dict[str, Any]]:
    """Of each pair: the share copied, accuracies by epochs of both arms, and CPU seconds of an epoch."""
    rows = []
    for at, (network, near) in enumerate(pairs):
        known = GraphNetwork(space, network, at)
        row: dict[str, Any] = {"known": space.format(network), "network": space.format(near)}
        with Stopwatch() as watch:
            row |= {"full": trained(known, images, FULL, at), "anew": [], "inherited": []}
            for epochs in EPOCHS:
                anew, copied = GraphNetwork(space, near, 1000 + at), GraphNetwork(space, near, 1000 + at)
                row["share"] = copied.inherit(network, known.state_dict())
                row["anew"].append(trained(anew, images, epochs, 1000 + at))
                row["inherited"].append(trained(copied, images, epochs, 1000 + at))
        row["epoch_cpu_s"] = watch.cpu_s / (FULL + 2 * sum(EPOCHS))
        print(f"{at + 1} of {len(pairs)}:", row, flush=True)
        rows.append(row)
    return rows


def difference(rows: list[dict[str, Any]], at: int) -> list[Any]:
    """Mean of both arms, the mean paired difference, its standard error, and how often it is above and below 0."""
    anew, inherited = [row["anew"][at] for row in rows], [row["inherited"][at] for row in rows]
    gains = [b - a for a, b in zip(anew, inherited, strict=True)]
    error = stdev(gains) / sqrt(len(gains)) if len(gains) > 1 else None
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    return [len(rows), mean(anew), mean(inherited), mean(gains), error, better, worse]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=40, help="networks, each with one neighbour")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/nas_transfer.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    space, images = digit_graphs(), digit_images(options.seed)
    found = measure(space, with_neighbours(space, options.pairs, options.seed), images)

    rows: list[list[Any]] = []
    for low, high in pairwise(SHARES):
        some = [row for row in found if low <= row["share"] < high or row["share"] == high == 1]
        if some:
            said = f"{100 * low:.0f} to {100 * high:.0f} %"
            rows += [[said, epochs, *difference(some, at)] for at, epochs in enumerate(EPOCHS)]
    rows += [["all", epochs, *difference(found, at)] for at, epochs in enumerate(EPOCHS)]
    head = ["words copied", "epochs", "networks", "anew %", "inherited %", "points better", "standard error"]
    head += ["better", "worse"]
    tables = [{"title": "Accuracy at equal epochs, paired", "head": head, "rows": rows}]

    second = mean(row["epoch_cpu_s"] for row in found)
    costs = [["drawn", FULL, mean(row["full"] for row in found), FULL * second]]
    for at, epochs in enumerate(EPOCHS):
        costs += [[arm, epochs, mean(row[arm][at] for row in found), epochs * second] for arm in ("anew", "inherited")]
    head = ["networks", "epochs", "mean accuracy %", "CPU s a network"]
    tables.append({"title": "Cost", "head": head, "rows": costs})
    text = " ".join((__doc__ or "").split())
    payload = {"title": "Weights of neighbours", "text": text, "tables": tables, "data": {"pairs": found}}
    show(payload)
    if options.save:
        save_results("nas_transfer", payload)


if __name__ == "__main__":
    main()
