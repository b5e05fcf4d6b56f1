"""Accuracy predictors on held-out networks of three published tables, and training in the loop on digits.

Every figure of a predictor is on the fifth of the table's networks that it was not fitted to, and the mean over several
random splits; a target counts the mean. The tables' cautions hold for the predictors too: Once-for-All's networks come
from evolutionary searches, NAS-Bench-201's accuracies are test accuracies, Accel-NASBench trained for 16 epochs only.
The digits show how well inherited weights rank networks: against training each of them by itself.
"""

import argparse
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from common import Stopwatch, save_results, show

from dlco.nas import MnasNet, NasBench201, OfaMobileNetV3
from dlco.nas.oracles import TableAccuracy, fit_predictor, kendall_tau
from dlco.nas.oracles.digits import DigitsAccuracy
from dlco.nas.oracles.ridge import fit_ridge
from dlco.nas.supernet import DigitsSupernet, percent_of, train_alone

DATA = Path(__file__).resolve().parent / "data"
TABLES = {
    "OFA-MobileNetV3": (OfaMobileNetV3, "ofa_mobilenetv3_imagenet.csv.gz", "top1"),
    "NAS-Bench-201, CIFAR-10": (NasBench201, "nasbench201_200epochs.csv.gz", "c10"),
    "Accel-NASBench": (MnasNet, "accel_nasbench_mnasnet.csv.gz", "top1"),
}
TARGETS = {"ridge": (0.17, 0.92), "ensemble": (0.07, 0.96)}  # RMSE at most, Kendall tau at least, on OFA
FEW = (50, 100, 200)  # networks measured, where measuring is dear


def fitted(table: TableAccuracy, kind: str, splits: int) -> dict[str, Any]:
    """Mean and worst quality of a kind of predictor over splits, and CPU seconds of a fit."""
    with Stopwatch() as watch:
        found = [fit_predictor(table, kind, seed=seed).quality for seed in range(splits)]
    rmse, tau = [one.rmse for one in found], [one.kendall_tau for one in found]
    seconds = watch.cpu_s / splits
    return {"rmse": mean(rmse), "worst": max(rmse), "tau": mean(tau), "lowest": min(tau), "cpu_s": seconds}


def by_macs(table: TableAccuracy, splits: int) -> dict[str, Any]:
    """What a quadratic in the logarithm of the multiply-accumulates says, on the same splits."""
    macs = torch.tensor([table.space.macs(network) for network in table.networks], dtype=torch.float64).log()
    macs = (macs - macs.mean()) / macs.std()
    return regressed(torch.stack([macs, macs.square()], 1), table, splits, torch.tensor([1e-6], dtype=torch.float64))


def with_few(table: TableAccuracy, n: int, splits: int) -> dict[str, Any]:
    """A ridge fitted to `n` networks alone, judged by the same held-out fifth."""
    return regressed(table.space.encode(table.networks), table, splits, n=n)


def regressed(
    features: torch.Tensor,
    table: TableAccuracy,
    splits: int,
    penalties: torch.Tensor | None = None,
    n: int | None = None,
) -> dict[str, Any]:
    rmse, tau = [], []
    with Stopwatch() as watch:
        for seed in range(splits):
            order = torch.randperm(len(table), generator=torch.Generator().manual_seed(seed))
            judged, kept = order.tensor_split([round(0.2 * len(table))])
            kept = kept[:n]
            given = {} if penalties is None else {"penalties": penalties}
            weights, intercept, *_ = fit_ridge(features[kept], table.accuracies[kept], **given)
            error = features[judged] @ weights + intercept - table.accuracies[judged]
            rmse.append(error.square().mean().sqrt().item())
            tau.append(kendall_tau(error + table.accuracies[judged], table.accuracies[judged]))
    seconds = watch.cpu_s / splits
    return {"rmse": mean(rmse), "worst": max(rmse), "tau": mean(tau), "lowest": min(tau), "cpu_s": seconds}


def digits(networks: int, epochs: int) -> dict[str, Any]:
    """Accuracies of networks with inherited weights, and trained by themselves."""
    with Stopwatch() as watch:
        oracle = DigitsAccuracy.train(progress=False)
    drawn = list(dict.fromkeys(oracle.space.sample(networks, torch.Generator().manual_seed(1))))
    with Stopwatch() as judging:
        inherited = oracle.accuracy(drawn)
    fresh, rows = DigitsSupernet(oracle.space, seed=1), []
    for network in drawn:
        alone = fresh.inherit(network)
        train_alone(alone, oracle.images.train, epochs, rate=1e-2)
        rows.append([percent_of(alone, images) for images in (oracle.images.validation, oracle.images.test)])
    validation, test = torch.tensor(rows, dtype=torch.float64).T
    return {
        "networks": [oracle.space.format(network) for network in drawn],
        "train_cpu_s": watch.cpu_s,
        "judge_cpu_s": judging.cpu_s / len(drawn),
        "inherited": inherited.tolist(),
        "alone": validation.tolist(),
        "alone_test": test.tolist(),
        "tau": kendall_tau(inherited, validation),
        "tau_test": kendall_tau(inherited, test),
        "tau_of_test": kendall_tau(validation, test),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--table", choices=TABLES, action="append", help="one of the tables (default: all)")
    parser.add_argument("--digits", type=int, default=20, help="networks of the digits' space to train by themselves")
    parser.add_argument("--digits-epochs", type=int, default=60, help="epochs of each of them")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/nas_predictors.json")
    options = parser.parse_args()
    names = options.table or list(TABLES)

    results: dict[str, dict[str, dict[str, Any]]] = {}
    for name in names:
        space, file, column = TABLES[name]
        table = TableAccuracy.read(space(), DATA / file, column)
        results[name] = {"log MACs, quadratic": by_macs(table, options.splits)}
        results[name] |= {f"ridge, {n} networks": with_few(table, n, options.splits) for n in FEW}
        results[name] |= {kind: fitted(table, kind, options.splits) for kind in TARGETS}
    rows = [
        [name, kind, *(one[key] for key in ("rmse", "worst", "tau", "lowest", "cpu_s"))]
        for name, kinds in results.items()
        for kind, one in kinds.items()
    ]
    head = ["table", "predictor", "RMSE, points", "worst split", "Kendall tau", "worst split", "CPU s a fit"]
    tables = [{"title": f"Held-out fifth, mean of {options.splits} splits", "head": head, "rows": rows}]
    reached = results.get("OFA-MobileNetV3", {})
    targets = []
    for kind, (rmse, tau) in TARGETS.items():
        one = reached.get(kind)
        for what, key, limit, sign in (("RMSE", "rmse", rmse, 1), ("Kendall tau", "tau", tau, -1)):
            targets.append(
                {
                    "name": f"OFA, {kind}: {what}",
                    "target": f"at {'most' if sign > 0 else 'least'} {limit}",
                    "value": None if one is None else f"{one[key]:.3f}",
                    "met": None if one is None else sign * one[key] <= sign * limit,
                }
            )
    data: dict[str, Any] = {"predictors": results}
    if options.digits:
        found = data["digits"] = digits(options.digits, options.digits_epochs)
        columns = [found[key] for key in ("networks", "inherited", "alone", "alone_test")]
        rows = [list(row) for row in zip(*columns, strict=True)]
        head = ["network", "inherited, validation %", "by itself, validation %", "by itself, test %"]
        tables.append(
            {"title": "Digits: weights of the supernet, and training from scratch", "head": head, "rows": rows}
        )
        keys = ("train_cpu_s", "judge_cpu_s", "tau", "tau_test", "tau_of_test")
        head = [
            "CPU s, supernet",
            "CPU s a network",
            "tau with validation",
            "tau with test",
            "tau of validation with test",
        ]
        tables.append({"title": "Digits: cost and rank correlation", "head": head, "rows": [[found[k] for k in keys]]})
        targets.append(
            {
                "name": "digits: CPU seconds of the supernet",
                "target": "at most 60",
                "value": f"{found['train_cpu_s']:.0f}",
                "met": found["train_cpu_s"] <= 60,
            }
        )
    text = " ".join((__doc__ or "").split())
    payload = {"title": "Accuracy oracles", "text": text, "tables": tables, "targets": targets, "data": data}
    show(payload)
    if options.save:
        save_results("nas_predictors", payload)


if __name__ == "__main__":
    main()
