"""`solve` on two fixed machines: five networks, beside timeloop-mapper's recorded figures for ResNet-18.

`solve` minimises the network's EDP under dlco's default rules (every restart fetches the whole tile, nothing comes
from neighbours), which never count less than Timeloop's, under which the mapper's figures were recorded: the plain
ratio is, if anything, a handicap for `solve`. Both mappings under either rules stand beside it. The recorded mappings,
read from their printed nests and counted under Timeloop's rules, are checked against the recorded figures on the way.
"""

import argparse
import time
from collections.abc import Mapping as Dict
from dataclasses import replace
from typing import Any

from common import Stopwatch, save_results, show
from recorded import BYPASS, machine, mapper_figures, read_nest

import dlco
from dlco import Architecture, Layer, Mapping, Progress
from dlco.bound import BoundEffort, lower_bound
from dlco.timeloop import TIMELOOP_RULES

NETWORKS = ("resnet18", "resnet50", "mobilenet_v2", "vgg16", "bert_base_block")
RECORDED = "resnet18"
TARGET_EDP = {"unified_256": 9.8e16}
TARGET_RATIO = {"unified_256": 1.32, "eyeriss_like_168": 2.1}
TARGET_CPU_SHARE = 1 / 20
TARGET_GAP = 0.12
LAYER_BOUND = BoundEffort(nodes=200, side=40)  # of one layer's own EDP

AFTER_SEARCH = ("bound", "done")  # phases of `solve` in which the design is final and only the bound is worked on

Costs = dict[str, dict[str, float]]


class Phases:
    """Listens to `solve`, and adds up the CPU seconds of each of its phases."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = {}
        self._phase, self._since = "start", time.process_time()

    def __call__(self, progress: Progress) -> None:
        """Take a report of the search."""
        self.enter(progress.phase)

    def enter(self, phase: str) -> None:
        """Charge what has passed to the phase that ends."""
        now = time.process_time()
        self.cpu_s[self._phase] = self.cpu_s.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now

    @property
    def search_cpu_s(self) -> float:
        """Seconds until the design was final."""
        return sum(seconds for phase, seconds in self.cpu_s.items() if phase not in AFTER_SEARCH)


def costs(layers: list[Layer], architecture: Architecture, mappings: Dict[str, Mapping], timeloop: bool) -> Costs:
    """Cycles, energy and EDP of every layer (one execution), and of the network under the name ""."""
    rules = {"rules": TIMELOOP_RULES} if timeloop else {}
    found: Costs = {}
    for layer in layers:
        cost = dlco.evaluate(layer, architecture, mappings[layer.name], **rules)
        found[layer.name] = {"cycles": cost.cycles.item(), "energy_pj": cost.energy_pj.item(), "edp": cost.edp.item()}
    cycles, energy = (sum(one.count * found[one.name][key] for one in layers) for key in ("cycles", "energy_pj"))
    return found | {"": {"cycles": cycles, "energy_pj": energy, "edp": energy * cycles}}


def map_network(name: str, architecture: Architecture, seed: int) -> dict[str, Any]:
    """Our figures for one network on one machine."""
    layers = dlco.networks.get_network(name)
    phases = Phases()
    with Stopwatch() as watch:
        solution = dlco.solve(layers, architecture, objective="edp", seed=seed, progress=phases, imperfect=False)
    phases.enter("")
    return {
        "layers": [
            {
                "name": layer.name,
                "count": layer.count,
                "lower_edp": lower_bound([replace(layer, count=1)], architecture, "edp", effort=LAYER_BOUND).value,
            }
            for layer in layers
        ],
        "mappings": solution.mappings,
        "costs": costs(layers, architecture, solution.mappings, timeloop=False),
        "lower_bound": solution.lower_bound,
        "gap": solution.gap,
        "status": solution.status,
        "evaluations": solution.evaluations,
        "wall_s": watch.wall_s,
        "cpu_s": watch.cpu_s,
        "search_cpu_s": phases.search_cpu_s,
    }


def beside_mapper(name: str, architecture: Architecture, ours: dict[str, Any]) -> dict[str, Any]:
    """timeloop-mapper's figures, and both mappings under both rules; says where a recorded mapping counts otherwise."""
    layers, recorded = dlco.networks.get_network(RECORDED), mapper_figures(name)
    figures = recorded["layers"]
    theirs = {layer.name: read_nest(figures[layer.name]["mapping"], layer, architecture) for layer in layers}
    again = costs(layers, architecture, theirs, timeloop=True)
    differ = [
        f"{layer.name} {key}"
        for layer in layers
        for key in ("cycles", "energy_pj")
        if abs(again[layer.name][key] / figures[layer.name][key] - 1) > 1e-6
    ]
    return {
        "mapper": recorded["mapper"],
        "recorded": {one: {key: figures[one][key] for key in ("cycles", "energy_pj", "edp")} for one in figures}
        | {"": {key: recorded["network"][key] for key in ("cycles", "energy_pj", "edp")}},
        "cpu_s": recorded["network"]["cpu_s"],
        "wall_s": sum(one["wall_s"] for one in figures.values()),
        "counted_otherwise": differ,
        "ours_timeloop": costs(layers, architecture, ours["mappings"], timeloop=True),
        "default": costs(layers, architecture, theirs, timeloop=False),
    }


def network_rows(results: dict[tuple[str, str], dict[str, Any]]) -> list[list[object]]:
    """A row a machine and network: what was found, how sure it is, and what it took."""
    return [
        [
            where,
            network,
            sum(layer["count"] for layer in found["layers"]),
            len(found["layers"]),
            found["costs"][""]["cycles"],
            found["costs"][""]["energy_pj"] * 1e-6,
            found["costs"][""]["edp"],
            found["lower_bound"],
            None if found["gap"] is None else f"{found['gap']:.1%}",
            found["cpu_s"],
            found["search_cpu_s"],
            found["wall_s"],
            found["evaluations"],
        ]
        for (where, network), found in results.items()
    ]


def layer_table(where: str, network: str, found: dict[str, Any]) -> dict[str, Any]:
    """The layers of a network; each figure is of one execution."""
    return {
        "title": f"{network} on {where}: layers",
        "head": ["layer", "count", "cycles", "energy uJ", "EDP", "bound of EDP", "gap %"],
        "rows": [
            [
                layer["name"],
                layer["count"],
                found["costs"][layer["name"]]["cycles"],
                found["costs"][layer["name"]]["energy_pj"] * 1e-6,
                found["costs"][layer["name"]]["edp"],
                layer["lower_edp"],
                100 * (1 - layer["lower_edp"] / found["costs"][layer["name"]]["edp"]),
            ]
            for layer in found["layers"]
        ],
    }


def mapper_table(where: str, ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Layer by layer and in total, beside the recorded figures."""
    rows = []
    for name in theirs["recorded"]:
        mine, mapper = ours["costs"][name], theirs["recorded"][name]
        rows.append(
            [
                name or "network",
                mine["cycles"],
                mapper["cycles"],
                mine["energy_pj"] * 1e-6,
                mapper["energy_pj"] * 1e-6,
                mine["edp"],
                mapper["edp"],
                mapper["edp"] / mine["edp"],
                theirs["default"][name]["edp"] / mine["edp"],
                mapper["edp"] / theirs["ours_timeloop"][name]["edp"],
            ]
        )
    head = ["layer", "cycles", "mapper's", "energy uJ", "mapper's", "EDP", "mapper's"]
    head += ["times below", "both dlco's rules", "both Timeloop's rules"]
    return {"title": f"{RECORDED} on {where} beside timeloop-mapper", "head": head, "rows": rows}


def targets(where: str, ours: dict[str, Any], theirs: dict[str, Any]) -> list[dict[str, Any]]:
    """What must be reached for ResNet-18 on a machine."""
    edp, gap = ours["costs"][""]["edp"], ours["gap"]
    ratio, share = theirs["recorded"][""]["edp"] / edp, ours["cpu_s"] / theirs["cpu_s"]
    named = f"{RECORDED} on {where}"
    found = []
    if where in TARGET_EDP:
        most = TARGET_EDP[where]
        found.append((f"{named}: EDP, pJ x cycles", f"at most {most:.2g}", f"{edp:.4g}", edp <= most))
    least = TARGET_RATIO[where]
    found += [
        (f"{named}: EDP below timeloop-mapper's", f"{least:.2f} times", f"{ratio:.2f} times", ratio >= least),
        (
            f"{named}: CPU seconds beside timeloop-mapper's {theirs['cpu_s']:.0f}",
            f"at most {TARGET_CPU_SHARE * theirs['cpu_s']:.1f}",
            f"{ours['cpu_s']:.1f} (search {ours['search_cpu_s']:.1f})",
            share <= TARGET_CPU_SHARE,
        ),
        (
            f"{named}: certified gap",
            f"at most {TARGET_GAP:.0%}",
            None if gap is None else f"{gap:.1%}",
            gap is not None and gap <= TARGET_GAP,
        ),
    ]
    return [dict(zip(("name", "target", "value", "met"), one, strict=True)) for one in found]


def measure(networks: list[str], machines: list[str], seed: int) -> dict[str, Any]:
    """Run everything; the payload."""
    results = {}
    compared: dict[str, dict[str, Any]] = {}
    for where in machines:
        architecture = machine(where)
        for network in networks:
            results[where, network] = found = map_network(network, architecture, seed)
            if network == RECORDED:
                compared[where] = beside_mapper(where, architecture, found)
            print(f"{where}, {network}: EDP {found['costs']['']['edp']:.4g}, {found['cpu_s']:.1f} CPU s", flush=True)
    head = ["machine", "network", "layers", "shapes", "cycles", "energy uJ", "EDP", "bound", "gap"]
    head += ["CPU s", "of that search", "wall s", "mappings evaluated"]
    tables = [{"title": "Networks", "head": head, "rows": network_rows(results)}]
    tables += [mapper_table(where, results[where, RECORDED], theirs) for where, theirs in compared.items()]
    tables += [layer_table(*key, found) for key, found in results.items()]
    odd = [f"{where} {one}" for where, theirs in compared.items() for one in theirs["counted_otherwise"]]
    rules = (
        "`solve` maps whole networks (batch 1) for EDP on two fixed machines of Eyeriss' normalised energies and "
        "proves a lower bound on the network's EDP; seconds are those of the whole call, the bound included. BERT is "
        "one of its 12 equal encoder blocks (128 tokens). The bound of a layer's EDP is proved for that layer alone; "
        "`solve` maps for the network's EDP, so that its layers need not be near their own. timeloop-mapper's figures "
        "are recorded ones, under Timeloop's counting rules, which count no more than dlco's "
        "default ones: `times below` compares ours under dlco's rules with "
        "its under Timeloop's, the two columns after it both mappings under the same rules."
    )
    checked = "All recorded mappings, counted again under Timeloop's rules, give the recorded cycles and energy."
    if odd:
        checked = f"Counted again under Timeloop's rules these differ from what was recorded: {', '.join(odd)}."
    return {
        "title": "Mapping networks on fixed hardware",
        "text": f"{rules} {checked}" if compared else rules,
        "tables": tables,
        "targets": [
            one for where, theirs in compared.items() for one in targets(where, results[where, RECORDED], theirs)
        ],
        "data": {
            "seed": seed,
            "status": {f"{where}/{network}": found["status"] for (where, network), found in results.items()},
            "mapper": {
                where: {key: theirs[key] for key in ("mapper", "cpu_s", "wall_s")} for where, theirs in compared.items()
            },
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=dlco.workload.NETWORKS, default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--machines", nargs="+", choices=list(BYPASS), default=list(BYPASS), metavar="MACHINE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-save", action="store_true", help="print only; leave benchmarks/results as it is")
    options = parser.parse_args()
    payload = measure(options.networks, options.machines, options.seed)
    show(payload)
    if not options.no_save:
        save_results("mapper", payload)


if __name__ == "__main__":
    main()
