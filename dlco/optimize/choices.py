"""A design's mappings chosen anew: a point a layer among its own mappings and what else is known of its machine."""

from collections.abc import Mapping, Sequence

import torch

from dlco.cost.model import evaluate
from dlco.design.budget import Budget
from dlco.design.dominance import unbeaten
from dlco.design.objective import Objective
from dlco.exact.combine import best_points
from dlco.exact.layer_front import LayerFront
from dlco.hardware.architecture import Architecture
from dlco.mapping.mapping import Mapping as LayerMapping
from dlco.optimize.finish import Costed
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem


def chosen_anew(
    layers: Sequence[Layer],
    found: Costed,
    points: Mapping[Problem, LayerFront],
    objective: Objective,
    budget: Budget,
) -> Costed | None:
    """The best choice on a design's machine of its own mappings and others; None where no choice keeps the budget.

    Args:
        layers: the network.
        found: the design.
        points: mappings of each distinct layer on its machine, and what they cost.
        objective: what is to be small.
        budget: what must hold.
    """
    powered = objective is Objective.POWER or budget.power_w is not None
    joined = dict(points)
    for layer in layers:
        cost = found.layer_costs[layer.name]
        own = torch.tensor([[cost.energy_pj], [cost.cycles]], dtype=torch.float64)
        joined[layer.problem] = _with(joined[layer.problem], own, found.mappings[layer.name], powered)
    best = best_points(layers, joined, found.architecture, objective, budget)
    if best is None:
        return None
    chosen = zip(layers, best.chosen, strict=True)
    mappings = {layer.name: joined[layer.problem].mappings[k] for layer, k in chosen}
    return Costed.of(layers, found.architecture, mappings)


def front_of(problem: Problem, machine: Architecture, mappings: Sequence[LayerMapping], *, powered: bool) -> LayerFront:
    """The points of some mappings of a layer that count, which the cost model checks; see `unbeaten` for `powered`."""
    costs = [evaluate(problem, machine, mapping) for mapping in mappings]
    fits = [k for k, cost in enumerate(costs) if bool(cost.valid)]
    energy, cycles = (
        torch.tensor([float(getattr(costs[k], name)) for k in fits], dtype=torch.float64)
        for name in ("energy_pj", "cycles")
    )
    keep = unbeaten(energy, cycles, slow=powered)
    return LayerFront(energy[keep], cycles[keep], tuple(mappings[fits[k]] for k in keep.tolist()), len(mappings))


def _with(front: LayerFront, figures: torch.Tensor, mapping: LayerMapping, powered: bool) -> LayerFront:
    """A front with one mapping more, of figures `[2, 1]` (pJ, cycles)."""
    energy, cycles = torch.cat([torch.stack([front.energy_pj, front.cycles]), figures], 1)
    keep = unbeaten(energy, cycles, slow=powered)
    mappings = (*front.mappings, mapping)
    return LayerFront(energy[keep], cycles[keep], tuple(mappings[k] for k in keep.tolist()), front.evaluated)
