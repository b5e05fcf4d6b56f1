"""zigzag's mappings beside the proved optimum of the space they are of: uneven mappings, in dlco's exact model."""

from dataclasses import replace
from math import prod
from typing import Any

from common import Stopwatch
from peers_mappings import NotExpressible, uneven

import dlco
from dlco import Architecture, Layer

HEAD = ["layer", "zigzag says: cycles", "energy uJ", "judged: cycles", "energy uJ", "optimum: cycles", "energy uJ"]
HEAD += ["its EDP over the optimum's", "even optimum's over it", "across", "judged as"]
TEXT = (
    "Beside zigzag's mappings, `optimum` is the least EDP of the layer among uneven mappings, proved by "
    "`solve(uneven=True)`, and `even optimum` that among even ones. A mapping that pads a dimension is judged as one "
    "of the padded layer. A 1 x 1 convolution with a stride is taken as one on the words that it uses, since zigzag "
    "keeps no others, where dlco keeps the box around them; other tiles with gaps that do not fit as boxes stay "
    "unjudged. `across`: a register file's part reaches beyond another operand's in the buffer. What zigzag says is not"
    " what is judged, by its rules: an operand stays at a MAC over loops that do not move it, so that the register "
    "file is not read; every step of a sliding window brings the whole tile; first sums are read; and its cycles hold "
    "the ports' stalls, with loading and unloading. "
)


def uneven_table(
    peer: str, layers: list[Layer], architecture: Architecture, answer: dict[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The table of one arm's layers, and its targets."""
    theirs = {found["name"]: found for found in answer["layers"]}
    used = [without_gaps(layer) for layer in layers]
    with Stopwatch() as watch:
        best = {layer.name: optimum(layer, architecture, uneven=True) for layer in used}
    even = {layer.name: optimum(layer, architecture, uneven=False) for layer in used}
    rows: list[list[object]] = []
    ratios = []
    for layer in used:
        found, own = theirs[layer.name], best[layer.name]
        said = [found.get("cycles"), _micro(found.get("energy"))]
        ours = [own[0], _micro(own[1])]
        gain = prod(even[layer.name]) / prod(own)
        if "error" in found:
            rows.append([layer.name, *said, None, None, *ours, None, gain, "", found["error"]])
            continue
        work = padded(layer, found)
        how = "" if work.problem == layer.problem else _sizes(work)
        try:
            machine, mapping = uneven(work, architecture, found)
            cost = dlco.evaluate(work, machine, mapping)
        except (NotExpressible, dlco.InvalidMapping, dlco.NotSupported) as error:
            rows.append([layer.name, *said, None, None, *ours, None, gain, "", str(error)])
            continue
        here = (cost.cycles.item(), cost.energy_pj.item())
        ratios.append(prod(here) / prod(own))
        across = "yes" if machine.crosses else ""
        rows.append([layer.name, *said, here[0], _micro(here[1]), *ours, ratios[-1], gain, across, how])
    target = {
        "name": f"least EDP of {peer}'s mappings over the optimum of their space, {len(ratios)} of {len(rows)} judged",
        "target": "at least 1",
        "value": min(ratios, default=None),
        "met": min(ratios, default=1.0) >= 1 - 1e-12,
    }
    title = f"{peer} on {architecture.name}, beside proved optima of uneven mappings ({watch.cpu_s:.0f} CPU s for all)"
    return {"title": title, "head": HEAD, "rows": rows}, [target]


def optimum(layer: Layer, architecture: Architecture, *, uneven: bool) -> tuple[float, float]:
    """(cycles, pJ) of the least EDP of one execution."""
    found = dlco.solve([replace(layer, count=1)], architecture, objective="edp", uneven=uneven, imperfect=False)
    if found.gap != 0:
        raise RuntimeError(f"the optimum of {layer.name} was not proved")
    return found.cost.cycles, found.cost.energy_pj


def without_gaps(layer: Layer) -> Layer:
    """A 1 x 1 convolution with a stride as one of the words that it uses; any other layer as it is."""
    sizes = layer.problem.sizes
    if sizes["R"] > 1 or sizes["S"] > 1:
        return layer
    return replace(dlco.conv2d(layer.name, **sizes), count=layer.count)


def padded(layer: Layer, found: dict[str, Any]) -> Layer:
    """The layer with every bound up to what the mapping's factors of the dimension multiply to."""
    dims = {"K": "M", "C": "C", "FY": "R", "FX": "S", "OY": "P", "OX": "Q", "B": "N"}
    loops = [loop for level in next(iter(found["temporal"].values())) for loop in level]
    loops += [loop for axis in found["spatial"].values() for loop in axis]
    bounds = {
        dim: max(bound, prod(round(n) for d, n in loops if dims[d] == dim))
        for dim, bound in layer.problem.sizes.items()
    }
    return replace(layer, problem=replace(layer.problem, bounds=tuple(bounds.values())))


def _sizes(layer: Layer) -> str:
    return "padded to " + " ".join(f"{dim}{bound}" for dim, bound in layer.problem.sizes.items() if bound > 1)


def _micro(pj: float | None) -> float | None:
    return None if pj is None else pj * 1e-6
