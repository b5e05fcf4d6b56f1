"""`solve` on ResNet-18 against the mappings that timeloop-mapper found, on two fixed machines.

The recorded figures (tests/data/timeloop/mapper_resnet18.json) are timeloop-mapper's own: its random-pruned search over
6,000 valid mappings a layer with two threads, each layer for its own EDP. They follow Timeloop's counting rules (some
restarts refetch less than the whole tile, and words may come from a neighbour). `solve` minimises the network's EDP
under dlco's default rules (every restart fetches the whole tile, nothing comes from neighbours): never a lower count.

The first ratio is solve's EDP under dlco's rules over the mapper's under Timeloop's: if anything, a handicap for solve.
Two more compare both mappings under dlco's and both under Timeloop's rules. The recorded mappings, read from their
printed nests and counted under Timeloop's rules, are checked against the recorded cycles and energy on the way.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from common import Stopwatch, environment, table

import dlco
from dlco import Architecture, Layer, Mapping
from dlco.timeloop import TIMELOOP_RULES, read_architecture

DATA = Path(__file__).resolve().parents[1] / "tests" / "data" / "timeloop"
BYPASS = {
    "unified_256": {},
    "eyeriss_like_168": {
        "shared_glb": ["Weights"],
        "ifmap_spad": ["Weights", "Outputs"],
        "weights_spad": ["Inputs", "Outputs"],
        "psum_spad": ["Weights", "Inputs"],
    },
}
LOOP = re.compile(r"\|\s*for (\w+) in \[0:(\d+)\)(?: \(Spatial-([XY])\))?")
LEVEL = re.compile(r"^(\w+) \[ (.*)\]\s*$")


def machine(name: str, recorded: dict[str, dict]) -> Architecture:
    """The machine, with the bypass of the recorded mappings; refuses where a printed mapping says otherwise."""
    architecture = read_architecture(DATA / "hardware" / f"{name}.yaml").with_bypass(BYPASS[name])
    for layer, figures in recorded.items():
        for line in figures["mapping"].splitlines():
            if head := LEVEL.match(line):
                kept = set(re.findall(r"(\w+):\d+", head[2]))
                ours = {"Weights", "Inputs", "Outputs"} - architecture.level(head[1]).bypass
                if kept != ours:
                    sys.exit(f"{name}, {layer}: {head[1]} keeps {sorted(kept)} as recorded, {sorted(ours)} here")
    return architecture


def read_nest(text: str, layer: Layer, architecture: Architecture) -> Mapping:
    """The mapping that timeloop-mapper printed; loops are listed outermost first."""
    dims, names = layer.problem.dimensions, tuple(level.name for level in architecture.levels)
    factors = {(name, axis): dict.fromkeys(dims, 1) for name in names for axis in "TXY"}
    orders: dict[tuple[str, bool], list[str]] = {(name, spatial): [] for name in names for spatial in (False, True)}
    level = ""
    for line in text.splitlines():
        if head := LEVEL.match(line):
            level = head[1]
        elif loop := LOOP.match(line):
            axis = loop[3] or "T"
            factors[level, axis][loop[1]] *= int(loop[2])
            orders[level, axis != "T"].append(loop[1])

    def rows(axis: str) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(factors[name, axis][dim] for dim in dims) for name in names)

    def order(spatial: bool) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(dict.fromkeys([*orders[name, spatial][::-1], *dims])) for name in names)

    return Mapping(dims, names, rows("T"), rows("X"), rows("Y"), order(False), order(True), (frozenset(),) * len(names))


def costs(layers: list[Layer], architecture: Architecture, mappings: dict[str, Mapping], timeloop: bool) -> dict:
    """Energy, cycles and EDP of every layer (one execution) and of the network."""
    rules = {"rules": TIMELOOP_RULES} if timeloop else {}
    found = {}
    for layer in layers:
        cost = dlco.evaluate(layer, architecture, mappings[layer.name], **rules)
        found[layer.name] = {"cycles": cost.cycles.item(), "energy_pj": cost.energy_pj.item(), "edp": cost.edp.item()}
    return {"layers": found, "network": total(layers, found)}


def total(layers: list[Layer], found: dict[str, dict]) -> dict[str, float]:
    cycles, energy = (sum(one.count * found[one.name][key] for one in layers) for key in ("cycles", "energy_pj"))
    return {"cycles": cycles, "energy_pj": energy, "edp": energy * cycles}


def run(name: str, layers: list[Layer], recorded: dict, seed: int) -> dict:
    architecture = machine(name, recorded["layers"])
    theirs = {layer.name: read_nest(recorded["layers"][layer.name]["mapping"], layer, architecture) for layer in layers}
    again = costs(layers, architecture, theirs, timeloop=True)
    for layer in layers:
        for key in ("cycles", "energy_pj"):
            said, counted = recorded["layers"][layer.name][key], again["layers"][layer.name][key]
            if abs(counted / said - 1) > 1e-6:
                print(f"{name}, {layer.name}: {key} {counted:g} counted, {said:g} recorded", file=sys.stderr)
    with Stopwatch() as watch:
        solution = dlco.solve(layers, architecture, objective="edp", seed=seed)
    ours = solution.mappings
    return {
        "machine": name,
        "mapper": recorded["mapper"],
        "status": solution.status,
        "solve": costs(layers, architecture, ours, timeloop=False),
        "solve_timeloop_rules": costs(layers, architecture, ours, timeloop=True),
        "mapper_recorded": {"layers": recorded["layers"], "network": recorded["network"]},
        "mapper_default_rules": costs(layers, architecture, theirs, timeloop=False),
        "lower_bound_edp": solution.lower_bound,
        "gap": solution.gap,
        "evaluations": solution.evaluations,
        "solve_wall_s": watch.wall_s,
        "solve_cpu_s": watch.cpu_s,
        "mapper_cpu_s": recorded["network"]["cpu_s"],
        "mapper_wall_s": sum(one["wall_s"] for one in recorded["layers"].values()),
    }


def report(result: dict, layers: list[Layer]) -> str:
    mine, theirs = result["solve"], result["mapper_recorded"]
    mine_t, theirs_d = result["solve_timeloop_rules"], result["mapper_default_rules"]

    def row(name: str, count: str, *of: dict) -> list[str]:
        a, b, a_timeloop, b_default = of
        return [
            name,
            count,
            f"{a['cycles']:.0f}",
            f"{b['cycles']:.0f}",
            f"{a['energy_pj'] / 1e6:.1f}",
            f"{b['energy_pj'] / 1e6:.1f}",
            f"{a['edp']:.4g}",
            f"{b['edp']:.4g}",
            f"{a['edp'] / b['edp']:.3f}",
            f"{a['edp'] / b_default['edp']:.3f}",
            f"{a_timeloop['edp'] / b['edp']:.3f}",
        ]

    figures = (mine, theirs, mine_t, theirs_d)
    rows = [row(one.name, str(one.count), *(of["layers"][one.name] for of in figures)) for one in layers]
    rows.append(row("network", "", *(of["network"] for of in figures)))
    head = ["layer", "count", "cycles", "mapper's", "energy uJ", "mapper's", "EDP", "mapper's"]
    head += ["ratio", "both dlco", "both Timeloop"]
    edp = mine["network"]["edp"]
    return "\n".join(
        [
            f"{result['machine']}: solve under dlco's default rules beside timeloop-mapper's recorded figures",
            "(ratio: solve's EDP, default rules, over the recorded one, Timeloop's rules; then both under each)",
            "",
            table(head, rows),
            "",
            f"network EDP {edp:.4g} pJ x cycles, {theirs['network']['edp'] / edp:.2f} times less than the mapper's",
            f"lower bound {result['lower_bound_edp']:.4g}, gap {result['gap']:.1%} (default rules)",
            f"solve: {result['solve_wall_s']:.1f} s, {result['solve_cpu_s']:.1f} CPU s, "
            f"{result['evaluations']:,} mappings evaluated, status {result['status']}",
            f"mapper: {result['mapper_cpu_s']:.0f} CPU s recorded ({result['mapper']})",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machine", choices=list(BYPASS), action="append", help="one of the machines (default: both)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    recorded = json.loads((DATA / "mapper_resnet18.json").read_text(encoding="utf-8"))
    layers = dlco.networks.resnet18()
    where = environment()
    results = []
    for name in options.machine or BYPASS:
        results.append(run(name, layers, recorded[name], options.seed))
        if not options.json:
            print(report(results[-1], layers), end="\n\n")
    if options.json:
        print(json.dumps({"environment": where, "results": results}, indent=1))
    else:
        print(f"{where['cores']} cores, load {where['load_before']} before, torch {where['torch']}")


if __name__ == "__main__":
    main()
