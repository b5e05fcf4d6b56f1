"""Energy of the words that go over meshes (`dlco.hardware.network.Mesh`), as Timeloop counts it.

Per instance of a level, of the words that it reads out for its children, by groups of as many at once:

    words x hops to the group x pJ a hop + words x (1 + hops, rounded down) x pJ a router + words x pJ an ingress

and every word that neighbours pass on a hop and two routers. Hops are those of `dlco.cost.residual`, the mean over the
groups of a size. Three things are Timeloop's own:

    partial sums      walk up alone, but to a level that cannot add (`Mesh.both_ways`), where words are twice as many
                      less the partition that the instance sees; the hops added up stay those of the walk up
    bypassed levels   have what is served through them walk their network too; where its children bypass a dataspace
                      a level serves more words, but hops added up stay those without the bypass
    links             are gone where the children bypass the dataspace

From its sources (`network-legacy.cpp`, `nest-analysis.cpp`, `tiling.cpp` of NVlabs/timeloop, 2024 and later).
"""

from collections.abc import Sequence
from dataclasses import replace
from math import floor

import numpy as np
import torch

from dlco.cost.cost import Cost
from dlco.cost.executed import Column, executed_columns
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.network import Mesh, Network
from dlco.mapping.kept import Kept
from dlco.mapping.mapping import Mapping, MappingBatch
from dlco.mapping.rules import CountingRules
from dlco.workload.problem import Problem


def without_meshes(architecture: Architecture) -> Architecture:
    """The same machine whose meshes cost nothing."""
    bare = []
    for level in architecture.levels:
        if level.network is not None and level.network.mesh is not None:
            level = replace(level, network=Network(area_um2=level.network.area_um2))
        bare.append(level)
    return replace(architecture, levels=tuple(bare))


def with_hops(
    cost: Cost, problem: Problem, architecture: Architecture, batch: MappingBatch, kept: Kept, rules: CountingRules
) -> Cost:
    """A cost with the energy of meshes, `cost` being that of the same machine without them.

    Args:
        cost: of the batch.
        problem: the work.
        architecture: with its meshes.
        batch: mappings whose factors are whole numbers, of any leading shape.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        rules: Timeloop's, whether neighbours pass words on or not.

    Raises:
        InvalidInput: real factors.
        NotSupported: more children than can be listed.
    """
    factors = batch.factors
    if factors.requires_grad or bool((factors != factors.round()).any()):
        raise InvalidInput("hops over meshes are counted of integer factors only, and these are real numbers")
    found = []
    for index in np.ndindex(*batch.batch_shape):
        mapping = batch.mapping(*index)
        covered = replace(problem, bounds=tuple(map(min, problem.bounds, mapping.reach)))
        found.append(mesh_energy(covered, architecture, mapping, kept, rules.neighbour_forwarding))
    table = torch.tensor(found, dtype=cost.wire_pj.dtype, device=cost.wire_pj.device).reshape(cost.wire_pj.shape)
    return replace(cost, wire_pj=cost.wire_pj + table, energy_pj=cost.energy_pj + table.sum((-2, -1)))


def mesh_energy(
    problem: Problem, architecture: Architecture, mapping: Mapping, kept: Kept, forwarding: bool
) -> list[list[float]]:
    """`[levels][spaces]` pJ of all instances in use, by the level whose mesh it is; 0 where it has none.

    Args:
        problem: the work.
        architecture: with its meshes.
        mapping: factors that cover the bounds.
        kept: `[levels][spaces]` whether a level keeps a dataspace.
        forwarding: whether neighbours pass words on.
    """
    sizes = [(level.fanout_x, level.fanout_y) for level in architecture.levels]
    meshes = [level.network.mesh if level.network else None for level in architecture.levels]
    columns = executed_columns(problem, mapping, kept, sizes, forwarding)
    return [list(row) for row in zip(*(_column_energy(column, meshes) for column in columns), strict=True)]


def _column_energy(column: Column, meshes: Sequence[Mesh | None]) -> list[float]:
    """`[levels]` pJ of one dataspace."""
    served, linked = column.served()
    parts, spent = column.partitions, [0.0] * len(meshes)
    for level, mesh in enumerate(meshes[: column.top + 1]):
        if mesh is None:
            continue
        hops, routers, ingresses = float(linked[level]), 0, 0.0
        again = column.read_write and mesh.both_ways
        for key, words in served[level].items():
            entering = 2 * words - (parts[level] if column.kept[level] else 0) if again else words
            if entering > 0:
                walked = column.tallies[level].hops[key]
                hops, ingresses = hops + walked, ingresses + entering
                routers = int(routers + (1 + floor(walked / entering)) * entering)
        routers += 2 * linked[level]
        energy = hops * mesh.hop_pj + routers * mesh.router_pj + ingresses * mesh.ingress_pj
        spent[level] = energy * column.instances[level]
    return spent
