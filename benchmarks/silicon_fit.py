"""The constants of Gemmini's timing that its documentation does not give: fitted, and judged on points held out.

`python benchmarks/silicon_fit.py` prints the fit to all points, which `GemminiTiming`'s defaults are rounded from.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from silicon_common import judged
from silicon_gemmini import Point, read_points, rtl_cycles

from dlco.simulate import GemminiTiming

FITTED = ("operation_cycles", "miss_cycles", "memory_cycles", "exposed")
FOLDS = 5


def fit(points: Sequence[Point]) -> GemminiTiming:
    """The constants of least mean absolute error in per cent, by Nelder and Mead from the defaults, in logs."""
    measured = np.array([one.rtl_cycles for one in points])

    def model(logs: np.ndarray) -> GemminiTiming:
        values = dict(zip(FITTED, np.exp(logs).tolist(), strict=True))
        return GemminiTiming(**values | {"exposed": min(1.0, values["exposed"])})

    def loss(logs: np.ndarray) -> float:
        return float(np.abs(np.array(rtl_cycles(points, model(logs))) / measured - 1).mean())

    start = np.log([getattr(GemminiTiming(), name) for name in FITTED])
    options = {"xatol": 2e-3, "fatol": 1e-5, "maxfev": 150}
    return model(minimize(loss, start, method="Nelder-Mead", options=options).x)


def held_out_by_network(points: Sequence[Point]) -> dict[str, dict[str, Any]]:
    """Errors on each network with the constants of the others, and of all these predictions together."""
    names = [network_of(one) for one in points]
    found, cycles = {}, [0.0] * len(points)
    for name in dict.fromkeys(names):
        found[name] = judged_apart(points, [one == name for one in names], cycles)
    return found | {"each network": judged(cycles, [one.rtl_cycles for one in points])}


def held_out_by_layer(points: Sequence[Point]) -> dict[str, dict[str, Any]]:
    """Errors on each fifth of the layers, all mappings of a layer together, with the constants of the others."""
    shapes = sorted({one.shape for one in points})
    fold = {shape: i % FOLDS for i, shape in enumerate(shapes)}
    cycles = [0.0] * len(points)
    for i in range(FOLDS):
        judged_apart(points, [fold[one.shape] == i for one in points], cycles)
    return {"each fifth of the layers": judged(cycles, [one.rtl_cycles for one in points])}


def judged_apart(points: Sequence[Point], apart: Sequence[bool], cycles: list[float]) -> dict[str, Any]:
    """Errors on the points that are apart, with constants fitted to the rest; their predictions go into `cycles`."""
    model = fit([one for one, out in zip(points, apart, strict=True) if not out])
    held = [i for i, out in enumerate(apart) if out]
    predicted = rtl_cycles([points[i] for i in held], model)
    for i, value in zip(held, predicted, strict=True):
        cycles[i] = value
    return judged(predicted, [points[i].rtl_cycles for i in held])


def network_of(point: Point) -> str:
    """Which of DOSA's networks a point's layer is of; each was run on machines of its own."""
    words = int(point.architecture.level("Scratchpad").capacity)
    sums = int(point.architecture.level("Accumulator").capacity * point.architecture.level("Scratchpad").fanout_x)
    return MACHINES.get((sums, words), "others")


MACHINES = {
    **dict.fromkeys([(4096, 110592), (16384, 262144), (8192, 147456)], "BERT"),
    **dict.fromkeys([(8192, 130048), (50176, 257024), (57344, 233472)], "ResNet-50"),
    **dict.fromkeys([(12544, 267264), (28672, 267264), (28672, 231424)], "RetinaNet"),
    **dict.fromkeys([(22016, 398336), (31488, 329728), (44032, 485376)], "U-Net"),
}
"""By accumulator and scratchpad words."""


if __name__ == "__main__":
    every = read_points(Path(__file__).with_name("data") / "gemmini_rtl.csv")
    found = fit(every)
    print(found, judged(rtl_cycles(every, found), [one.rtl_cycles for one in every]))
