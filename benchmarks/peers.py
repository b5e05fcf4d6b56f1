"""What zigzag-dse, nn-dataflow and AccelForge find on the same fixed machines, judged by dlco's exact model.

zigzag and nn-dataflow run here, each in an environment of its own (`--peers` says which); AccelForge's optima are
recorded ones (data/accelforge_optima.json). Every peer counts by its own rules; its mapping is translated to dlco's
terms and counted again under dlco's, beside what `solve` finds. Arms that `--peers` leaves out stay as the last run
that had them left them.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import Stopwatch, load_results, save_results, show
from peers_accelforge import accelforge_arm
from peers_environment import PeerError, ask, environment
from peers_machine import machine, question
from peers_mappings import NotExpressible, best_cost, row_stationary, uneven
from peers_uneven import TEXT as uneven_text  # noqa: N811
from peers_uneven import uneven_table

import dlco
from dlco import Architecture, Layer, SolveEffort
from dlco.search.local_search import Effort

PACKAGES = {
    "zigzag": ["zigzag-dse==3.9.1", "six==1.17.0"],  # it imports six without asking for it
    "nn-dataflow": ["nn-dataflow==2.1", "sympy==1.5.1"],  # it fails with newer ones
}
QUICK = SolveEffort(starts=0, roundings=1, fit=Effort(rounds=16, patience=16, population=2), polishes=0, exact=False)
OURS: dict[str, dict[str, Any]] = {
    "default": {},
    "quick": {"effort": QUICK},
    "imperfect": {"imperfect": True},
    "free": {"keep": "free"},
}
SHOWN = ("default", "imperfect", "free")
ALONE = ("default", "free")  # how each layer is solved by itself too, for its own EDP
RECORDED = Path(__file__).resolve().parent / "data" / "zigzag_mappings.json"
NETWORK = {"zigzag": "resnet18", "nn-dataflow": "resnet50"}  # a network that each of them ships

ARMS = ["zigzag", "nn-dataflow", "accelforge"]
TOTALS = ["network", "peer", "machine", "shapes", "judged", "its EDP over ours", "over ours, quick"]
TOTALS += ["over ours, imperfect", "over ours, free", "its CPU s", "our CPU s", "our CPU s, quick"]
TOTALS += ["our CPU s, imperfect", "our CPU s, free"]
TEXT = (
    "The convolutions and linear layers of networks (batch 1) on fixed machines: register file of 256 words a PE, "
    "buffer of 65,536 words, memory of 8 words a cycle each way, energies 1, 6 and 200 pJ a word and 1 a MAC. "
    "zigzag-dse (LOMA, lpf_limit 6, for EDP) and nn-dataflow (analytic solver, for EDP; its network between buffer "
    "and array costs nothing here) run on one thread and map each layer alone; `solve` maps the network. `judged` is "
    "the peer's mapping in dlco's exact model: zigzag's uneven nests on memories taken apart, nn-dataflow's with a "
    "row's pixels wherever dlco's model likes them best, since it does not say, and its last block cut short where its "
    "blocks do not divide a layer. What its model leaves out shows there: it lets sums stay in a register file that "
    "holds one pixel of them while channels step outside a row. Totals are over the judged layers, for both sides; "
    "`quick` is `solve` with 16 rounds of local search from random mappings and nothing else, `imperfect` with tiles "
    "that need not divide any layer (the default tries them where perfect ones leave much idle), `free` with what "
    "levels keep as a choice of each mapping, as nn-dataflow's buffer has it. `alone` is the least EDP of the layer "
    "solved by itself, by default or with that choice: a peer's mapping of one layer is judged by that. "
    "AccelForge's optima are recorded, on a machine with 512 KiB of buffer and unlimited bandwidths, energies in its "
    "units a word. It counts as dlco does by default, plus one read of each output word that leaves a level, and a "
    "whole tile at each step of a sliding window. `solved anew` is the least energy of the space that the record is "
    "of, by dynamic programming over all its mappings (accelforge_space.py), and `its evaluation` what AccelForge "
    "itself says of that mapping. Only ResNet-18's conv3_1 differs: AccelForge's mapper gave 427,809,152 (here again), "
    "though AccelForge evaluates a mapping of the same space at 381,409,536, so that the recorded figure is no optimum "
    "of its space. `our space` has one tile of all tensors in each memory and each dimension along one axis of the "
    "array; AccelForge's even mappings with filters alone staying in place are a part of it, its uneven ones are not, "
    "nor a dimension along both axes (1x1 conv: C takes 8 x 16 PEs). `ours uneven` is the optimum of "
    "`solve(uneven=True)`, which has both, as AccelForge counts it; under constraints it is not covered. The second "
    "table has `solve`'s proved optimum, "
    "which is the least under our counting, and the mapping of our space that is the least under AccelForge's: each is "
    "somewhat worse under the other's."
)

ROUNDING = 1e-12
Row = list[object]
Translate = Callable[[Layer, Architecture, dict[str, Any]], dlco.Cost]


def judged(layer: Layer, architecture: Architecture, found: dict[str, Any], translate: Translate) -> dict[str, Any]:
    """A peer's mapping of a layer in dlco's model, or why it cannot be."""
    if "error" in found:
        return {"reason": found["error"]}
    try:
        cost = translate(layer, architecture, found)
    except (NotExpressible, dlco.InvalidMapping, dlco.NotSupported) as error:
        return {"reason": str(error)}
    return {"cycles": cost.cycles.item(), "energy_pj": cost.energy_pj.item()}


def by_zigzag(layer: Layer, architecture: Architecture, found: dict[str, Any]) -> dlco.Cost:
    """zigzag's mapping on the machine on which it is a loop nest."""  # noqa: D403 (its name)
    return dlco.evaluate(layer, *uneven(layer, architecture, found))


def by_nn_dataflow(layer: Layer, architecture: Architecture, found: dict[str, Any]) -> dlco.Cost:
    """The best nest that nn-dataflow's scheme may stand for."""
    return best_cost(layer, architecture, row_stationary(layer, architecture, found))


def product(layers: list[Layer], costs: dict[str, dict[str, Any]]) -> float:
    """Energy x time of the layers, run one after another as often as the network has them."""
    energy, cycles = (sum(one.count * costs[one.name][key] for one in layers) for key in ("energy_pj", "cycles"))
    return energy * cycles


def compare(
    peer: str, layers: list[Layer], architecture: Architecture, answer: dict[str, Any], translate: Translate
) -> tuple[dict[str, Any], Row, dict[str, Any]]:
    """A table of the layers; a row of seconds and totals; and the figures for the targets."""
    theirs = {found["name"]: found for found in answer["layers"]}
    by_us = {one.name: judged(one, architecture, theirs[one.name], translate) for one in layers}
    ours: dict[str, dict[str, dict[str, float]]] = {}
    seconds = {}
    for name, how in OURS.items():
        with Stopwatch() as watch:
            solution = dlco.solve(layers, architecture, objective="edp", bound=False, **how)
        seconds[name] = watch.cpu_s
        ours[name] = {
            layer: {"cycles": cost.cycles, "energy_pj": cost.energy_pj} for layer, cost in solution.layer_costs.items()
        }
    alone = {one.name: min(solved_alone(one, architecture, OURS[name]) for name in ALONE) for one in layers}
    both = [one for one in layers if "reason" not in by_us[one.name]]
    rows: list[Row] = []
    for one in layers:
        said, here, own = theirs[one.name], by_us[one.name], ours["default"][one.name]
        edp = None if "reason" in here else here["cycles"] * here["energy_pj"]
        rows.append(
            [
                one.name,
                said.get("cycles"),
                _micro(said.get("energy")),
                here.get("cycles"),
                _micro(here.get("energy_pj")),
                own["cycles"],
                _micro(own["energy_pj"]),
                *(
                    None if edp is None else edp / _edp(ours[name][one.name])
                    for name in ("default", "imperfect", "free")
                ),
                None if edp is None else edp / alone[one.name],
                said["cpu_s"],
                here.get("reason", ""),
            ]
        )
    head = ["layer", f"{peer}: cycles", "energy uJ", "judged: cycles", "energy uJ", "solve: cycles", "energy uJ"]
    head += ["times our EDP", "times our imperfect EDP", "times our free EDP", "times our EDP alone"]
    head += [f"{peer}: CPU s", "why not judged"]
    table = {"title": f"{peer} on {architecture.name}: one execution of each layer", "head": head, "rows": rows}
    their_s = sum(found["cpu_s"] for found in answer["layers"])
    ratios = {name: product(both, by_us) / product(both, ours[name]) if both else None for name in ours}
    summary: Row = [peer, architecture.name, len(layers), len(both), *(ratios[name] for name in OURS)]
    summary += [their_s, *(seconds[name] for name in OURS)]
    least = min((_edp(by_us[one.name]) / alone[one.name] for one in both), default=None)
    return table, summary, {"theirs_s": their_s, "ratios": ratios, "seconds": seconds, "least": least}


def solved_alone(layer: Layer, architecture: Architecture, how: dict[str, Any]) -> float:
    """The least EDP of one execution of a layer by itself."""
    return dlco.solve([replace(layer, count=1)], architecture, objective="edp", bound=False, **how).cost.edp


def _edp(figures: dict[str, float]) -> float:
    return figures["cycles"] * figures["energy_pj"]


def _micro(pj: float | None) -> float | None:
    return None if pj is None else pj * 1e-6


def run_zigzag(
    layers: list[Layer],
    recorded: bool,
) -> tuple[list[tuple[dict[str, Any], Row, dict[str, Any]]], list[tuple[dict[str, Any], list[dict[str, Any]]]]]:
    """LOMA on 16 x 16 PEs: spatial loops of its own choice, and channels by channels as its shipped mappings have."""
    architecture = machine(16, 16)
    python = None if recorded else environment("zigzag", PACKAGES["zigzag"])
    channels = {"D1": ["K, 16"], "D2": ["C, 16"]}
    found, beside = [], []
    for name, spatial in (("zigzag", None), ("zigzag, K x C", channels)):
        asked = question(architecture, layers, lpf_limit=6, spatial=spatial)
        if python is None:
            answer = json.loads(RECORDED.read_text(encoding="utf-8"))["answers"][name]
        else:
            answer = ask(python, "peers_zigzag.py", asked, 1500)
        found.append(compare(name, layers, architecture, answer, by_zigzag))
        beside.append(uneven_table(name, layers, architecture, answer))
    return found, beside


def run_nn_dataflow(
    layers: list[Layer],
) -> tuple[list[tuple[dict[str, Any], Row, dict[str, Any]]], Row]:
    """The analytic solver on Eyeriss' array of 14 x 12 PEs, and on 14 x 8, where its factors divide more layers."""
    python = environment("nn-dataflow", PACKAGES["nn-dataflow"])
    found, whole = [], []
    for pe_y in (12, 8):
        architecture = machine(14, pe_y)
        asked = question(architecture, layers, network="resnet50" if pe_y == 12 else None)
        answer = ask(python, "peers_nn_dataflow.py", asked, 600)
        found.append(compare("nn-dataflow", layers, architecture, answer, by_nn_dataflow))
        if answer["network"]:
            one = answer["network"]
            whole = ["its ResNet-50, pools and sums included", architecture.name, one["cycles"]]
            whole += [_micro(one["energy"]), one["cpu_s"], one["wall_s"]]
    return found, whole


def convolutions(network: str, few: int | None) -> list[Layer]:
    """The network's convolutions and linear layers, or the first few of them."""
    return [one for one in dlco.networks.get_network(network) if set(one.problem.dimensions) == set("CMRSNPQ")][:few]


def measure(peer: str, network: str | None, few: int | None, recorded: bool) -> dict[str, Any]:
    """One arm: its tables and targets, its rows of the totals, and what it said where it could not be run."""
    arm: dict[str, Any] = {"tables": [], "targets": [], "totals": [], "failed": []}
    name = network or NETWORK.get(peer, "")
    try:
        if peer == "accelforge":
            return arm | accelforge_arm()
        whole: Row = []
        beside: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        if peer == "zigzag":
            found, beside = run_zigzag(convolutions(name, few), recorded)
        else:
            found, whole = run_nn_dataflow(convolutions(name, few))
    except PeerError as error:
        return arm | {"failed": [[peer, " ".join(PACKAGES[peer]), str(error)]]}
    for table, row, _ in found:
        arm["tables"].append(table | {"title": f"{name} by {table['title']}"})
        arm["totals"].append([name, *row])
    arm["targets"] = _targets(name, found)
    for table, targets in beside:
        arm["tables"].append(table | {"title": f"{name} by {table['title']}"})
        arm["targets"] += targets
    if whole:
        head = ["network", "machine", "its cycles", "its energy uJ", "its CPU s", "its wall s"]
        arm["tables"].append({"title": "nn-dataflow, a whole network", "head": head, "rows": [whole]})
    return arm


def earlier_arms() -> dict[str, dict[str, Any]]:
    """The arms of the last run's file, each with when, from which commit and by which command it was measured.

    Those whose totals have other columns are left out: they are to be measured anew.
    """
    old = load_results("peers")
    if old is None:
        return {}
    run = {key: old[key] for key in ("date", "commit", "command")}
    return {
        name: {"run": run} | arm
        for name, arm in old["payload"]["data"]["arms"].items()
        if all(len(row) == len(TOTALS) for row in arm["totals"])
    }


def payload_of(arms: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """All arms as one payload."""
    arms = {name: arms[name] for name in ARMS if name in arms}
    tables: list[dict[str, Any]] = []
    for what, title, head in (
        ("totals", "Totals over the layers judged", TOTALS),
        ("failed", "Not run", ["peer", "packages", "what it said"]),
    ):
        if rows := [row for arm in arms.values() for row in arm[what]]:
            tables.append({"title": title, "head": head, "rows": rows})
    if kept := {name: arm["run"] for name, arm in arms.items() if "run" in arm}:
        rows = [[name, run["date"], run["commit"], run["command"]] for name, run in kept.items()]
        tables.append(
            {"title": "Arms kept from earlier runs", "head": ["arm", "date", "commit", "command"], "rows": rows}
        )
    return {
        "title": "Beside other mappers",
        "text": f"{TEXT} {uneven_text}",
        "tables": tables + [table for arm in arms.values() for table in arm["tables"]],
        "targets": [target for arm in arms.values() for target in arm["targets"]],
        "data": {"packages": PACKAGES, "arms": arms},
    }


def _targets(network: str, found: list[tuple[dict[str, Any], Row, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Better mappings than the peer's, and better ones in no more of its seconds."""
    wanted = []
    for _, row, figures in found:
        where = f"{network} on {row[1]}, {row[0]}"
        theirs, ratios, seconds = figures["theirs_s"], figures["ratios"], figures["seconds"]
        in_time = {name: ratios[name] for name in ratios if ratios[name] is not None and seconds[name] <= theirs}
        best = max(in_time, key=lambda name: in_time[name]) if in_time else None
        said = "none in time" if best is None else f"{in_time[best]:.2f} times, {seconds[best]:.3g} s ({best})"
        judged_at_all = ratios["default"] is not None
        least = figures["least"]
        wanted += [
            {
                "name": f"{where}: its EDP over ours, any layer judged, the layer alone",
                "target": "at least 1",
                "value": f"{least:.3f} times at least" if judged_at_all else None,
                "met": least >= 1 - ROUNDING if judged_at_all else None,
            },
            {
                "name": f"{where}: its EDP over ours",
                "target": "at least 1",
                "value": f"{ratios['default']:.2f} times" if judged_at_all else None,
                "met": ratios["default"] >= 1 if judged_at_all else None,
            },
            {
                "name": f"{where}: its EDP over ours in at most its {theirs:.3g} CPU s",
                "target": "at least 1",
                "value": said if judged_at_all else None,
                "met": best is not None and in_time[best] >= 1 if judged_at_all else None,
            },
        ]
    return wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="+", choices=ARMS, default=ARMS)
    parser.add_argument("--network", choices=["resnet18", "resnet50", "vgg16"], help=f"default: {NETWORK}")
    parser.add_argument("--few", type=int, help="take only so many layers (to try it out)")
    parser.add_argument(
        "--recorded", action="store_true", help="take zigzag's answers for resnet18 from data/, not from a run of it"
    )
    parser.add_argument("--no-save", action="store_true", help="print only; leave benchmarks/results as it is")
    options = parser.parse_args()
    arms: dict[str, dict[str, Any]] = {}
    for peer in options.peers:
        arms[peer] = measure(peer, options.network, options.few, options.recorded)
        if not options.no_save:  # after every arm, so that a run that is stopped loses one at most
            save_results("peers", payload_of(earlier_arms() | arms))
    show(payload_of(arms))


if __name__ == "__main__":
    main()
