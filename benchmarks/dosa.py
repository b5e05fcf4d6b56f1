"""`solve` on DOSA's machine, constants and networks, beside what DOSA itself found and the enumerated optima.

Both search the same thing: the side of a weight-stationary array, its two buffers, and a mapping for every layer, for
the network's EDP. DOSA descends by gradients from seven random machines; its recorded runs are the search as published,
at the published number of steps. All use perfect factors. The enumerated optima are exact in the mapping (DOSA's three
DRAM orders) on a grid of buffer sizes up to 2,048 KB. DOSA cannot be given an area; the enumeration and `solve` can.

On the way the template is checked: the recorded mappings must have the recorded cycles here, and `solve` on Gemmini's
default machine must come to the recorded optimum there.
"""

import argparse
from typing import Any

from common import Stopwatch, finished, save_results, show
from dosa_template import (
    CONSTRAINTS,
    NETWORKS,
    NO_REGISTER_LOOPS,
    RECORDED,
    layer_of,
    machine,
    network,
    read_mapping,
    sizes_of,
    space,
)

import dlco
from dlco.exact import enumerate_network

NAMES = {"resnet50": "ResNet-50", "bert": "BERT block", "retinanet": "RetinaNet head", "unet": "U-Net"}
AREA_NETWORKS = ("bert", "resnet50")
MODEL_ERROR = 0.0045  # DOSA's model and Timeloop differ by no more
TARGET_RATIO = 1.03
TARGET_CPU_SHARE = 1 / 20
ENUMERATION_CPU_S = RECORDED["enumerated"]["resnet50"]["cpu_s"]

EDP_UNIT = 1e6  # pJ x cycles in a uJ x cycle


def shown(sizes: tuple[float, ...] | list[float]) -> str:
    """A machine as DOSA writes it: PE side / scratchpad KB / accumulator KB."""
    return "/".join(f"{size:.0f}" for size in sizes)


def written(edp: float | None) -> str | None:
    """An EDP in uJ x cycles, four digits of it."""
    return None if edp is None else f"{edp:.3e}"


def percent(share: float | None) -> str | None:
    """A share in percent."""
    return None if share is None else f"{share:.1%}"


def recorded_mappings() -> list[list[Any]]:
    """For each recorded mapping: network, whose, layer, cycles here, recorded cycles."""
    rows = []
    for one in RECORDED["mappings"]:
        layer = layer_of(one)
        cost = dlco.evaluate(layer, machine(*one["machine"]), read_mapping(one["mapping"], layer))
        rows.append([NAMES[one["network"]], one["design"], one["mapping"], int(cost.cycles), one["cycles"]])
    return rows


def size_and_map(name: str, area_mm2: float | None, seed: int, enumerated: bool) -> dict[str, Any]:
    """One network, its machine within an area: what `solve` finds and proves, and in how many CPU seconds."""
    layers = network(name)
    with Stopwatch() as watch:
        budget = dlco.Budget(area_mm2=area_mm2)
        found = dlco.solve(layers, space(), "edp", budget, constraints=CONSTRAINTS, seed=seed, imperfect=False)
    result = {
        "network": name,
        "area_mm2": area_mm2,
        "status": found.status,
        "machine": sizes_of(found.architecture),
        "edp": found.cost.edp / EDP_UNIT,
        "energy_uj": found.cost.energy_pj / 1e6,
        "cycles": found.cost.cycles,
        "gap": found.gap,
        "used_mm2": found.cost.area_mm2,
        "cpu_s": watch.cpu_s,
        "wall_s": watch.wall_s,
        "evaluations": found.evaluations,
        "mappings": {layer: str(mapping) for layer, mapping in found.mappings.items()},
    }
    if enumerated:
        with Stopwatch() as watch:
            exact = enumerate_network(layers, found.architecture, "edp", constraints=NO_REGISTER_LOOPS)
        result |= {"enumerated_here": exact.cost.edp / EDP_UNIT, "enumeration_cpu_s": watch.cpu_s}
    return result


def map_default(name: str, seed: int) -> dict[str, Any]:
    """One network on Gemmini's default machine."""
    sizes = RECORDED["gemmini_default"]["machine"]
    with Stopwatch() as watch:
        given = {"constraints": CONSTRAINTS, "seed": seed, "bound": False, "imperfect": False}
        found = dlco.solve(network(name), machine(*sizes), "edp", **given)
    return {"network": name, "edp": found.cost.edp / EDP_UNIT, "cpu_s": watch.cpu_s}


def sizing_table(results: list[dict[str, Any]]) -> dict[str, Any]:
    head = [
        "network",
        "EDP",
        "gap proven",
        "machine",
        "CPU s",
        "DOSA's EDP",
        "machine",
        "CPU s",
        "DOSA / ours",
        "CPU DOSA / ours",
    ]
    head += ["enumerated", "machine", "ours / enumerated", "all mappings of our machine"]
    rows = []
    for one in results:
        dosa, best = (RECORDED[key][one["network"]] for key in ("dosa", "enumerated"))
        rows.append(
            [
                NAMES[one["network"]],
                written(one["edp"]),
                percent(one["gap"]),
                shown(one["machine"]),
                one["cpu_s"],
                written(dosa["edp"]),
                shown(dosa["machine"]),
                dosa["cpu_s"],
                dosa["edp"] / one["edp"],
                dosa["cpu_s"] / one["cpu_s"],
                written(best["edp"]),
                shown(best["machine"]),
                one["edp"] / best["edp"],
                written(one.get("enumerated_here")),
            ]
        )
    title = "Sizing and mapping: EDP in uJ x cycles; PE side/scratchpad KB/accumulator KB"
    return {"title": title, "head": head, "rows": rows}


def area_table(results: list[dict[str, Any]]) -> dict[str, Any]:
    head = [
        "network",
        "area at most, mm2",
        "EDP",
        "gap proven",
        "machine",
        "area",
        "CPU s",
        "enumerated",
        "machine",
        "ratio",
    ]
    rows = []
    for one in results:
        edp, sizes = area_optimum(one)
        rows.append(
            [
                NAMES[one["network"]],
                one["area_mm2"],
                written(one["edp"]),
                percent(one["gap"]),
                shown(one["machine"]),
                one["used_mm2"],
                one["cpu_s"],
                written(edp),
                shown(sizes),
                one["edp"] / edp,
            ]
        )
    return {"title": "Within an area (DOSA has no such limit): EDP in uJ x cycles", "head": head, "rows": rows}


def area_optimum(result: dict[str, Any]) -> tuple[float, list[float]]:
    """The recorded optimum (EDP, machine) of a network within the result's area."""
    table = {area: (edp, sizes) for area, edp, sizes in RECORDED["area_limited"][result["network"]]}
    return table[result["area_mm2"]]


def targets(free: list[dict[str, Any]], limited: list[dict[str, Any]], defaults: list[dict[str, Any]]) -> list[dict]:
    """What the run was to reach, and whether it did."""
    rows = []

    def at_most(name: str, limit: float, value: float, written: str = "{:.3f}") -> None:
        rows.append(
            {
                "name": name,
                "target": f"at most {written.format(limit)}",
                "value": written.format(value),
                "met": value <= limit,
            }
        )

    for one in free:
        name, dosa = NAMES[one["network"]], RECORDED["dosa"][one["network"]]
        at_most(
            f"{name}: EDP over the enumerated", TARGET_RATIO, one["edp"] / RECORDED["enumerated"][one["network"]]["edp"]
        )
        at_most(f"{name}: share of DOSA's CPU seconds", TARGET_CPU_SHARE, one["cpu_s"] / dosa["cpu_s"])
        if one["network"] == "resnet50":
            at_most(f"{name}: CPU seconds, those of the enumeration", ENUMERATION_CPU_S, one["cpu_s"], "{:.0f}")
    for name in AREA_NETWORKS:
        ratios = [one["edp"] / area_optimum(one)[0] for one in limited if one["network"] == name]
        if ratios:
            at_most(f"{NAMES[name]}, worst of {len(ratios)} areas: EDP over the enumerated", TARGET_RATIO, max(ratios))
    for one in defaults:
        error = abs(one["edp"] / RECORDED["gemmini_default"]["exact_mapping_edp"][one["network"]] - 1)
        at_most(
            f"{NAMES[one['network']]}, Gemmini's default machine: EDP off the recorded", MODEL_ERROR, error, "{:.2%}"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=NETWORKS, action="append", help="one of the networks (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-areas", action="store_true", help="leave out the runs within areas")
    parser.add_argument("--no-default", action="store_true", help="leave out Gemmini's default machine")
    parser.add_argument("--enumerate", action="store_true", help="also list all mappings of the machines found")
    parser.add_argument(
        "--resume", action="store_true", help="go on with what an earlier run kept of networks and areas"
    )
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/dosa.json")
    options = parser.parse_args()
    names = options.network or NETWORKS

    mappings = recorded_mappings()
    worst = max(abs(here / recorded - 1) for *_, here, recorded in mappings)
    if worst > MODEL_ERROR:
        raise SystemExit(f"a recorded mapping's cycles are {worst:.2%} off: this is not DOSA's machine")

    def sized(name: str, area: float | None) -> dict[str, Any]:
        part = f"dosa/{name}-{area}-{options.seed}-{options.enumerate}"
        one = finished(part, lambda: size_and_map(name, area, options.seed, options.enumerate), options.resume)
        print(
            f"{name}, area {area}: EDP {one['edp']:.4g}, gap {percent(one['gap'])}, {one['cpu_s']:.0f} CPU s",
            flush=True,
        )
        return one

    free = [sized(name, None) for name in names]
    limited = [
        sized(name, area)
        for name in AREA_NETWORKS
        if name in names and not options.no_areas
        for area, *_ in RECORDED["area_limited"][name]
    ]
    defaults = [] if options.no_default else [map_default(name, options.seed) for name in names]
    head = ["network", "whose", "mapping, outermost level first", "cycles", "recorded"]
    payload = {
        "title": "Sizing DOSA's machine for its four networks",
        "text": " ".join((__doc__ or "").split()),
        "tables": [
            sizing_table(free),
            *([area_table(limited)] if limited else []),
            {"title": "Cycles of the recorded mappings, of one execution", "head": head, "rows": mappings},
        ],
        "targets": targets(free, limited, defaults),
        "data": {"sizing": free, "within_areas": limited, "gemmini_default": defaults},
    }
    show(payload)
    if options.save:
        save_results("dosa", payload)


if __name__ == "__main__":
    main()
