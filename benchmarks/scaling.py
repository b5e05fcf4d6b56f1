"""How long `solve` takes for more layers, levels and hardware candidates, with one and two workers and on a GPU.

Every series runs at one and the same effort (`EFFORT`: one start, no polishing, no early end of a search; no bound),
so that its fitted exponent is that of the size alone. With two workers the independent parts go through joblib to two
processes, which are started before the clock; their CPU seconds are not ours to read, so wall seconds are compared.
"""

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import joblib
import torch
from common import Stopwatch, save_results, show

import dlco
from dlco import Architecture, HardwareSpace, Layer, Level, MappingBatch, SolveEffort
from dlco.mapping.mapspace import MapSpace
from dlco.search.local_search import Effort

SEARCH = Effort(rounds=12, patience=12, islands=2)
EFFORT = SolveEffort(
    starts=1,
    relax_rounds=2,
    machines=2,
    roundings=2,
    descents=1,
    steps=4,
    fit=SEARCH,
    step=SEARCH,
    polishes=0,
    exact=False,
)
LAYERS = (10, 30, 100, 300, 1000)
LEVELS = (2, 3, 4, 5, 6)
STEPS = (2, 3, 4, 5, 6)
FEW = 10  # layers in the series over levels; a third of them in the one over hardware
BATCH = 1 << 18


def varied_layers(count: int, seed: int = 0) -> list[Layer]:
    """Convolutions of distinct shapes: channels of 16 to 512 in steps of 8, 7 to 56 pixels, filters of 1, 3 and 5."""
    generator = torch.Generator().manual_seed(seed)
    shapes: dict[tuple[int, ...], None] = {}

    def pick(values: Sequence[int]) -> int:
        return values[int(torch.randint(len(values), (), generator=generator))]

    while len(shapes) < count:
        channels = range(16, 513, 8)
        shapes[pick(channels), pick(channels), pick((7, 14, 28, 56)), pick((1, 3, 5)), pick((1, 2))] = None
    return [
        dlco.conv2d(f"layer{i}", C=c, M=m, P=p, Q=p, R=r, S=r, stride=step)
        for i, (c, m, p, r, step) in enumerate(shapes)
    ]


def hierarchy(levels: int) -> Architecture:
    """16 x 16 PEs: a register file each, `levels` - 2 buffers growing from 4 KiB words eightfold, and memory."""

    def level(name: str, kind: str, capacity: float, pj: float) -> Level:
        return Level(name, kind, capacity, read_pj=pj, write_pj=pj, update_pj=pj)

    buffers = [level(f"Buffer{i}", "SRAM", 4096.0 * 8**i, 3.0 * 2**i) for i in range(levels - 2)]
    chain = [level("RegisterFile", "regfile", 256, 1.0), *buffers, level("DRAM", "DRAM", math.inf, 200.0)]
    chain[1] = replace(chain[1], fanout_x=16, fanout_y=16)
    return Architecture(tuple(chain), name=f"{levels} levels")


def space(steps: int) -> HardwareSpace:
    """The generic preset with `steps` values for each of its free sizes, spread over the preset's grid."""
    whole = dlco.hardware.get_hardware("generic", space=True, wires=False)
    parameters = []
    for one in whole.parameters:
        ends = len(one.grid) - 1
        values = {one.grid[round(i * ends / (steps - 1))] for i in range(steps)}
        parameters.append(replace(one, grid=tuple(sorted(values))))
    return replace(whole, parameters=tuple(parameters))


def candidates(hardware: HardwareSpace) -> int:
    """Machines on the grid."""
    return math.prod(len(one.grid) for one in hardware.parameters)


def timed(layers: list[Layer], hardware: Architecture | HardwareSpace, workers: int) -> dict[str, float]:
    """Seconds of one `solve`, and mappings evaluated."""
    pool = joblib.parallel_config(backend="loky", n_jobs=workers) if workers > 1 else nullcontext()
    with pool:
        if workers > 1:  # let the processes start, and load what they need
            joblib.Parallel()(joblib.delayed(_warm)() for _ in range(2 * workers))
        with Stopwatch() as watch:
            solution = dlco.solve(layers, hardware, objective="edp", effort=EFFORT, bound=False)
    return {"wall_s": watch.wall_s, "cpu_s": watch.cpu_s, "evaluations": solution.evaluations}


def _warm() -> None:
    dlco.solve(varied_layers(1), hierarchy(3), effort=EFFORT, bound=False)


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float | None:
    """Slope of log seconds over log size by least squares; None of fewer than two sizes."""
    if len(set(sizes)) < 2:
        return None
    return statistics.linear_regression([math.log(x) for x in sizes], [math.log(x) for x in seconds]).slope


def series(name: str, problems: list[tuple[int, list[Layer], Any]], workers: list[int]) -> dict[str, Any]:
    """A table over one size, a row each, the exponents last; `problems` are (size, layers, hardware)."""
    found = {count: [timed(layers, hardware, count) for _, layers, hardware in problems] for count in workers}
    sizes = [size for size, _, _ in problems]
    columns: list[list[object]] = [[*sizes, "exponent"]]
    for figures in found.values():
        walls = [one["wall_s"] for one in figures]
        columns.append([*walls, exponent(sizes, walls)])
    alone = found[workers[0]]
    if workers[0] == 1:
        cpus = [one["cpu_s"] for one in alone]
        columns.append([*cpus, exponent(sizes, cpus)])
    columns.append([*(one["evaluations"] for one in alone), exponent(sizes, [one["evaluations"] for one in alone])])
    head = [name, *(f"wall s, {count} worker{'s' if count > 1 else ''}" for count in workers)]
    head += [*(["CPU s, 1 worker"] if workers[0] == 1 else []), "mappings evaluated"]
    return {"title": f"Seconds by {name}", "head": head, "rows": [list(row) for row in zip(*columns, strict=True)]}


def rate(device: str, mappings: int) -> float:
    """Exact evaluations a second of random mappings of a convolution on three levels, best of three."""
    architecture = hierarchy(3)
    layer = dlco.conv2d("conv", C=128, M=128, P=28, Q=28, R=3, S=3)
    free = MapSpace.of(layer.problem, architecture)
    drawn = free.batch(*free.random(mappings, torch.Generator().manual_seed(0)))
    chunk = mappings if device == "cuda" else 1 << 16
    batches = [_part(drawn, start, start + chunk, device) for start in range(0, mappings, chunk)]
    machine = architecture.tensors(device=device)
    seconds = []
    for _ in range(4):  # the first time is not counted: it compiles the problem and warms the allocator
        start = time.perf_counter()
        for batch in batches:
            dlco.evaluate(layer, machine, batch)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return mappings / min(seconds[1:])


def _part(batch: MappingBatch, start: int, stop: int, device: str) -> MappingBatch:
    return replace(
        batch,
        factors=batch.factors[start:stop].to(device),
        order=batch.order[start:stop].to(device),
        spatial_order=batch.spatial_order.to(device),
    )


def gpu_table(mappings: int) -> dict[str, Any]:
    """Evaluations a second here, and on the GPU where there is one."""
    rows: list[list[object]] = [["CPU", torch.get_num_threads(), rate("cpu", mappings)]]
    if torch.cuda.is_available():
        rows.append([torch.cuda.get_device_name(), None, rate("cuda", mappings)])
    else:
        rows.append(["no GPU", None, None])
    head = ["device", "threads", "evaluations a second"]
    return {"title": f"Exact evaluations a second, batches of {mappings:,}", "head": head, "rows": rows}


def measure(layers: list[int], levels: list[int], steps: list[int], workers: list[int], batch: int) -> dict[str, Any]:
    """Run all series; the payload."""
    tables = []
    if layers:
        problems = [(n, varied_layers(n), hierarchy(3)) for n in layers]
        tables.append(series("layers", problems, workers))
    if levels:
        tables.append(series("levels", [(n, varied_layers(FEW), hierarchy(n)) for n in levels], workers))
    if steps:
        spaces = [space(n) for n in steps]
        tables.append(
            series("hardware candidates", [(candidates(one), varied_layers(FEW // 3), one) for one in spaces], workers)
        )
    tables.append(gpu_table(batch))
    return {
        "title": "Scaling",
        "text": (
            "Seconds of one `solve` for EDP against the size of the problem, all at one reduced effort (one start, two "
            "rounds of the relaxed problem, searches of 12 rounds without early end, `solve`'s own generations of "
            "machines, at most 4 hardware steps, no polishing, no bound), and the slope of log seconds over log size. "
            "Layers: convolutions of distinct shapes on a fixed machine of 3 levels. "
            f"Levels: {FEW} such layers on fixed machines of 2 to 6. Hardware candidates: {FEW // 3} layers and a "
            "space with so many machines on its grid. Two workers are processes that were started before. Evaluations "
            "a second are of random mappings in float64."
        ),
        "tables": tables,
        "data": {"effort": str(EFFORT), "few": FEW},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", nargs="*", type=int, default=LAYERS)
    parser.add_argument("--levels", nargs="*", type=int, default=LEVELS)
    parser.add_argument("--steps", nargs="*", type=int, default=STEPS, help="grid values of each free hardware size")
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batch", type=int, default=BATCH, help="mappings of the batch evaluated on each device")
    parser.add_argument("--no-save", action="store_true", help="print only; leave benchmarks/results as it is")
    options = parser.parse_args()
    payload = measure(options.layers, options.levels, options.steps, options.workers, options.batch)
    show(payload)
    if not options.no_save:
        save_results("scaling", payload)


if __name__ == "__main__":
    main()
