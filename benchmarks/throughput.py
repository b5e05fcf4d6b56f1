"""How many mappings a second the exact cost model evaluates, and how much memory a large batch takes.

Batches hold random mappings of ResNet-18's layers on a machine of 16 x 16 PEs with a unified register file each, a
shared buffer and DRAM. Drawing them is not timed. Rates are over all layers together, the best of some repeats.
Run it while nothing else runs: threads that wait for one another on a busy core are ten times slower.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from dlco.cost.model import evaluate, evaluate_many
from dlco.hardware.architecture import Architecture, Level
from dlco.mapping.mapping import MappingBatch
from dlco.mapping.mapspace import MapSpace
from dlco.workload.layer import Layer
from dlco.workload.networks import resnet18

TARGETS = {"arbitrary orders": 500_000, "fixed order": 3_000_000}
TARGET_BYTES = 4 * 2**30

UNIFIED = Architecture(
    levels=(
        Level(
            "RegisterFile",
            kind="regfile",
            capacity=256,
            read_bandwidth=4,
            write_bandwidth=4,
            read_pj=1,
            write_pj=1,
            update_pj=1,
            area_um2=10_000,
        ),
        Level(
            "GlobalBuffer",
            capacity=65_536,
            read_bandwidth=32,
            write_bandwidth=32,
            read_pj=6,
            write_pj=6,
            update_pj=6,
            area_um2=3_500_000,
            fanout_x=16,
            fanout_y=16,
        ),
        Level("DRAM", kind="DRAM", read_bandwidth=8, write_bandwidth=8, read_pj=200, write_pj=200, update_pj=200),
    ),
    mac_pj=1,
    mac_area_um2=4_000,
    name="unified_256",
)


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        batch: mappings of a batch, all layers together.
        chunk: mappings that the model takes at once.
        threads: of torch.
        repeats: timings of which the best counts.
        single: mappings evaluated one at a time for the comparison.
    """

    batch: int
    chunk: int
    threads: int
    repeats: int
    single: int


def draw(layer: Layer, count: int, seed: int = 0) -> MappingBatch:
    """Random mappings whose factors lie in memory loop by loop, as the model reads them."""
    space = MapSpace.of(layer.problem, UNIFIED)
    batch = space.batch(*space.random(count, torch.Generator().manual_seed(seed)))
    return replace(batch, factors=batch.factors.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2))


def with_one_order(batch: MappingBatch) -> MappingBatch:
    """The same factors, all in the loop order of the first mapping."""
    return replace(batch, order=batch.order[:1].expand_as(batch.order))


def timed(function: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of some calls."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure_batches(options: Options) -> dict[str, float]:
    """Mappings a second in batches, with arbitrary loop orders and with a fixed one."""
    layers = resnet18()
    count = max(1, options.batch // len(layers))
    seconds = dict.fromkeys(TARGETS, 0.0)
    for layer in layers:
        drawn = draw(layer, count)
        for name, batch in zip(TARGETS, (drawn, with_one_order(drawn)), strict=True):
            run = partial(evaluate_many, layer.problem, UNIFIED, batch, chunk=options.chunk)
            run()  # not timed: the first call compiles the problem and warms the allocator
            seconds[name] += timed(run, options.repeats)
    return {name: count * len(layers) / spent for name, spent in seconds.items()}


def measure_single(options: Options) -> float:
    """Mappings a second when each is given to `evaluate()` by itself; checks that both ways agree."""
    count, seconds = 0, 0.0
    for layer in resnet18():
        batch = draw(layer, 64 * options.single)
        totals = evaluate_many(layer.problem, UNIFIED, batch)
        fitting = totals.valid.nonzero().flatten().tolist()[: options.single]
        for index in fitting:
            mapping = batch.mapping(index)
            start = time.perf_counter()
            cost = evaluate(layer, UNIFIED, mapping)
            seconds += time.perf_counter() - start
            count += 1
            if cost.cycles != totals.cycles[index]:
                raise AssertionError(f"{layer.name}: {float(cost.cycles)} cycles alone, {float(totals.cycles[index])}")
            torch.testing.assert_close(cost.energy_pj, totals.energy_pj[index], rtol=1e-12, atol=0)
    return count / seconds if seconds else float("nan")


def measure_memory(options: Options) -> int:
    """Peak bytes of a fresh process that draws and evaluates one batch."""
    own = [sys.executable, __file__, "--one-batch", "--batch", str(options.batch), "--chunk", str(options.chunk)]
    subprocess.run(own, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def evaluate_one_batch(options: Options) -> None:
    """Draw and evaluate a batch of a single layer."""
    layer = resnet18()[0]
    evaluate_many(layer.problem, UNIFIED, draw(layer, options.batch), chunk=options.chunk)


def report(options: Options) -> dict[str, object]:
    """All figures."""
    rates = measure_batches(options)
    single = measure_single(options)
    return {
        "batch": options.batch,
        "chunk": options.chunk,
        "threads": torch.get_num_threads(),
        "dtype": "float64",
        "levels": len(UNIFIED.levels),
        "mappings_per_second": {**rates, "one at a time": single},
        "ratio_to_one_at_a_time": {name: rate / single for name, rate in rates.items()},
        "peak_memory_bytes": measure_memory(options),
        "targets": {**TARGETS, "peak_memory_bytes": TARGET_BYTES},
    }


def print_report(figures: dict) -> None:
    rates, ratios = figures["mappings_per_second"], figures["ratio_to_one_at_a_time"]
    print(f"exact evaluations in float64, {figures['levels']} levels, {figures['threads']} threads")
    for name, target in TARGETS.items():
        verdict = "reached" if rates[name] >= target else "MISSED"
        print(
            f"{name:>18}: {rates[name]:>12,.0f} /s  {ratios[name]:>8,.0f} x one at a time   target {target:,} {verdict}"
        )
    print(f"{'one at a time':>18}: {rates['one at a time']:>12,.0f} /s")
    peak = figures["peak_memory_bytes"]
    verdict = "reached" if peak < TARGET_BYTES else "MISSED"
    print(f"{'peak memory':>18}: {peak / 2**30:>8.2f} GiB at a batch of {figures['batch']:,}   target 4 GiB {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batch", type=int, default=1_000_000, help="mappings of a batch")
    parser.add_argument("--chunk", type=int, default=65_536, help="mappings that the model takes at once")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--repeats", type=int, default=3, help="timings of which the best counts")
    parser.add_argument("--single", type=int, default=20, help="mappings a layer evaluated one at a time")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--one-batch", action="store_true", help=argparse.SUPPRESS)
    arguments = vars(parser.parse_args())
    as_json, one_batch = arguments.pop("json"), arguments.pop("one_batch")
    options = Options(**arguments)
    torch.set_num_threads(options.threads)
    if one_batch:
        evaluate_one_batch(options)
        return
    figures = report(options)
    if as_json:
        print(json.dumps(figures, indent=2))
    else:
        print_report(figures)


if __name__ == "__main__":
    main()
