"""`solve` on fixed machines where the exact search covers every layer: proved optima, and what they take.

Five networks on the two machines that timeloop-mapper's figures were recorded on and on dlco's presets, those with
fan-outs at several levels among them, one process, one thread, search and proof together. Every mapping of the answers
is priced again by `dlco.evaluate`. On the recorded machines every layer's whole front is proved by itself as well. Then
the same on them where what levels keep is free, and where factors need not divide the bounds: by default on all
machines, of all layers on those of one fan-out.
"""

import argparse
from typing import Any

import torch
from common import Stopwatch, save_results, show
from mapper import NETWORKS, RECORDED, costs
from optimal_beside import Beside
from optimal_fronts import Fronts
from recorded import machine, mapper_figures

import dlco
from dlco import Architecture
from dlco.errors import InvalidInput
from dlco.mapping import Constraints

RECORDED_ON = ("unified_256", "eyeriss_like_168")
SEVERAL = ("simba_like", "gemmini_like", "tpu_like", "dpu_like")  # fan-outs at several levels, or several shared ones
PRESETS = ("generic", "eyeriss_like", *SEVERAL)
NETWORK_SECONDS, RESNET18_SECONDS = 10.0, 5.0
SEVERAL_NETWORK_SECONDS, SEVERAL_RESNET18_SECONDS = 60.0, 20.0
EDP = {  # the optima that a search written apart from this one found, pJ x cycles
    ("unified_256", "resnet18"): 9.27572e16,
    ("unified_256", "resnet50"): 5.21381e17,
    ("unified_256", "mobilenet_v2"): 9.9153e15,
    ("unified_256", "vgg16"): 8.98818e18,
    ("unified_256", "bert_base_block"): 2.60076e16,
    ("eyeriss_like_168", "resnet18"): 1.4488e17,
    ("eyeriss_like_168", "resnet50"): 1.04395e18,
    ("eyeriss_like_168", "mobilenet_v2"): 1.84953e16,
    ("eyeriss_like_168", "vgg16"): 1.48088e19,
    ("eyeriss_like_168", "bert_base_block"): 4.79834e16,
    ("eyeriss_like", "resnet18"): 1.26548e17,
}


FREE_EDP = {  # the same where the shared level alone may bypass what it likes
    ("unified_256", "resnet18"): 9.01414e16,
    ("eyeriss_like_168", "resnet18"): 1.42888e17,
}
SHARED = {"unified_256": "GlobalBuffer", "eyeriss_like_168": "shared_glb"}


def free_machine(name: str) -> Architecture:
    """A recorded machine whose shared level keeps all dataspaces unless a mapping bypasses some."""
    return machine(name).with_bypass({SHARED[name]: []})


def kept_inside(where: Architecture) -> Constraints:
    """What fixes that the levels inside a processing element keep what the machine lets them."""
    names = frozenset({"Weights", "Inputs", "Outputs"})
    return Constraints(keep=tuple((level.name, names - level.bypass) for level in where.levels[:-2]))


def architecture(name: str) -> Architecture:
    """A machine by name."""
    return machine(name) if name in RECORDED_ON else getattr(dlco.hardware, name)(wires=False)


def most_seconds(name: str, network: str) -> float:
    """CPU seconds that a network may take on a machine."""
    limits = (SEVERAL_NETWORK_SECONDS, SEVERAL_RESNET18_SECONDS)
    limits = limits if name in SEVERAL else (NETWORK_SECONDS, RESNET18_SECONDS)
    return limits[network == RECORDED]


def optimum(network: str, where: Architecture, **options: Any) -> dict[str, Any]:
    """What `solve` finds for one network on one machine, and what it takes."""
    layers = dlco.networks.get_network(network)
    with Stopwatch() as watch:
        solution = dlco.solve(layers, where, objective="edp", **options)
    again = costs(layers, where, solution.mappings, timeloop=False)[""]
    return {
        "layers": len({layer.problem for layer in layers}),
        "cycles": again["cycles"],
        "energy_pj": again["energy_pj"],
        "edp": again["edp"],
        "gap": solution.gap,
        "certificate": solution.certificate,
        "evaluations": solution.evaluations,
        "wall_s": watch.wall_s,
        "cpu_s": watch.cpu_s,
    }


def free_tables(
    found: dict[tuple[str, str], dict[str, Any]], free: dict[tuple[str, str, str], dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    """(targets, rows) of what levels keep as a choice."""
    rows, targets = [], []
    for name, network in dict.fromkeys(key[:2] for key in free):
        shared, every = (free[name, network, levels] for levels in ("shared", "all"))
        stated = found[name, network]["edp"]
        gains = [100 * (1 - one["edp"] / stated) for one in (shared, every)]
        rows.append([name, network, stated, shared["edp"], every["edp"], *gains, shared["cpu_s"], every["cpu_s"]])
        if (name, network) in FREE_EDP:
            target = FREE_EDP[name, network]
            text, met = f"EDP of {network} on {name}, shared level free", abs(shared["edp"] / target - 1) < 1e-5
            targets.append({"name": text, "target": target, "value": shared["edp"], "met": met})
    if free:
        gap = max(one["gap"] for one in free.values())
        targets.append(
            {"name": "gap where what levels keep is free", "target": "exactly 0", "value": gap, "met": gap == 0}
        )
    return targets, rows


def imperfect_rows(
    found: dict[tuple[str, str], dict[str, Any]], imperfect: dict[tuple[str, str, str], dict[str, Any]]
) -> list[list[Any]]:
    """Rows of factors that need not divide the bounds: by default, and all."""
    rows = []
    for name, network in dict.fromkeys(key[:2] for key in imperfect):
        default, every = (imperfect.get((name, network, how)) for how in ("default", "all"))
        perfect, some = found[name, network], [default, every]
        edps = [one and one["edp"] for one in some]
        gains = [edp and 100 * (1 - edp / perfect["edp"]) for edp in edps]
        gaps = [one and one["gap"] for one in some]
        seconds = [one and one["cpu_s"] for one in (perfect, *some)]
        rows.append([name, network, perfect["edp"], *edps, *gains, *gaps, *seconds])
    return rows


def payload(
    found: dict[tuple[str, str], dict[str, Any]],
    free: dict[tuple[str, str, str], dict[str, Any]],
    imperfect: dict[tuple[str, str, str], dict[str, Any]],
    fronts: Fronts,
    beside_others: Beside | None = None,
) -> dict[str, Any]:
    """The results as `common` wants them."""
    keys = ("layers", "cycles", "energy_pj", "edp", "gap", "evaluations", "cpu_s", "wall_s")
    rows = [[*key, *(one[name] for name in keys)] for key, one in found.items()]
    beside = []
    for name in RECORDED_ON:
        if (name, RECORDED) in found:
            theirs, ours = mapper_figures(name)["network"], found[name, RECORDED]
            beside.append(
                [name, theirs["edp"], theirs["cpu_s"], ours["edp"], ours["cpu_s"], theirs["edp"] / ours["edp"]]
            )
    targets: list[dict[str, Any]] = [
        {
            "name": "gap of every network on every machine",
            "target": "exactly 0",
            "value": max(one["gap"] for one in found.values()),
            "met": all(one["gap"] == 0 for one in found.values()),
        },
        *fronts.targets,
    ]
    for key, edp in EDP.items():
        if key in found:
            value = found[key]["edp"]
            name = f"EDP of {key[1]} on {key[0]}"
            targets.append({"name": name, "target": edp, "value": value, "met": abs(value / edp - 1) < 1e-5})
    for key, one in found.items():
        most = most_seconds(*key)
        name = f"CPU seconds of {key[1]} on {key[0]}"
        targets.append(
            {"name": name, "target": f"at most {most:g}", "value": one["cpu_s"], "met": one["cpu_s"] <= most}
        )
    free_targets, free_rows = free_tables(found, free)
    targets += free_targets
    free_head = ["machine", "network", "EDP as stated", "EDP, shared level free", "EDP, all levels free"]
    free_head += ["gain %, shared", "gain %, all", "CPU s, shared", "CPU s, all"]
    imperfect_head = ["machine", "network", "EDP, perfect", "EDP, by default", "EDP, all factors", "gain %, by default"]
    imperfect_head += ["gain %, all", "gap, by default", "gap, all"]
    imperfect_head += ["CPU s, perfect", "CPU s, by default", "CPU s, all"]
    if beside_others:
        targets.append(beside_others.target)
    head = ["machine", "network", "distinct layers", "cycles", "pJ", "EDP", "gap", "mappings priced", "CPU s", "wall s"]
    mapper_head = ["machine", "timeloop-mapper's EDP", "its CPU s", "optimum", "CPU s", "ratio of EDPs"]
    return {
        "title": "Proved optima on fixed machines",
        "text": (
            "`solve` for EDP on machines that are given: all perfect factors (`imperfect=False`), loop orders and "
            "spatial splits, what each level keeps as the machine says, dlco's default counting rules. One process, "
            "one thread; CPU seconds are those of the whole call, the proof included. Where what levels keep is free "
            '(`keep="free"`), the shared level of either recorded machine may keep all three dataspaces, and each '
            "mapping chooses what it bypasses: there alone, or at every level but the outermost. Factors need not "
            "divide the bounds of all layers (`imperfect=True`), or, by default, of those that perfect ones leave "
            "idle; where several levels fan out, the gap may stay open then, and all are not tried of all layers. "
            "Beside the optima, where it was run: the "
            "search that `solve` falls back on (`SolveEffort(exact=False)`, no bound), timeloop-mapper's recorded "
            "search under dlco's rules, and AccelForge's recorded problems (peers.py), each in our space and under our "
            "counting. Every mapping that a search found is held against the proved front of its layer."
        ),
        "targets": targets,
        "tables": [
            {"title": "Networks", "head": head, "rows": rows},
            fronts.table,
            {"title": "Beside timeloop-mapper's recorded search, ResNet-18", "head": mapper_head, "rows": beside},
            {"title": "What levels keep as a choice", "head": free_head, "rows": free_rows},
            {
                "title": "Factors that need not divide the bounds",
                "head": imperfect_head,
                "rows": imperfect_rows(found, imperfect),
            },
            *([beside_others.table] if beside_others else []),
        ],
        "data": [{"machine": key[0], "network": key[1], **one} for key, one in found.items()]
        + [{"machine": key[0], "network": key[1], "free": key[2], **one} for key, one in free.items()]
        + [{"machine": key[0], "network": key[1], "imperfect": key[2], **one} for key, one in imperfect.items()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machines", nargs="+", default=[*RECORDED_ON, *PRESETS], choices=[*RECORDED_ON, *PRESETS])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--alone", action="store_true", help="without other mappers and the search without proofs")
    parser.add_argument("--save", action="store_true", help="keep the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found, free, imperfect, fronts = {}, {}, {}, Fronts()
    for name in options.machines:
        for network in options.networks:
            try:
                found[name, network] = optimum(network, architecture(name), imperfect=False)
            except InvalidInput as error:
                parser.error(str(error))
            one = found[name, network]
            print(f"{name} {network}: EDP {one['edp']:.6g}, gap {one['gap']}, {one['cpu_s']:.1f} CPU s", flush=True)
            if name in RECORDED_ON:
                fronts.network(architecture(name), name, network)
            for levels in ("shared", "all") if name in RECORDED_ON else ():
                where = free_machine(name)
                fixed = kept_inside(where) if levels == "shared" else None
                one = free[name, network, levels] = optimum(network, where, keep="free", constraints=fixed)
                print(
                    f"  {levels} levels free: EDP {one['edp']:.6g}, gap {one['gap']}, {one['cpu_s']:.1f} CPU s",
                    flush=True,
                )
            for how, given in (("default", None), ("all", True)) if network == RECORDED else ():
                if given and name in SEVERAL:
                    continue  # most layers stay without a proof there, after long
                one = imperfect[name, network, how] = optimum(network, architecture(name), imperfect=given)
                print(f"  factors by {how}: EDP {one['edp']:.6g}, {one['cpu_s']:.1f} CPU s", flush=True)
    beside = None if options.alone else Beside()
    if beside:
        for (name, network), one in found.items():
            beside.network(architecture(name), name, network, one, name in RECORDED_ON)
            print(f"{name} {network}: search over the optimum {beside.rows[-1][-1]:.4f}", flush=True)
        beside.accelforge()
    result = payload(found, free, imperfect, fronts, beside)
    show(result)
    if options.save:
        save_results("optimal", result)


if __name__ == "__main__":
    main()
