"""Ranks of all 15,625 cells of NAS-Bench-201 beside the two latencies that HW-NAS-Bench publishes for machines.

HW-NAS-Bench (Li et al., ICLR 2021) has an Eyeriss and an FPGA column. Both are sums over a cell's six edges: for every
cell the published figure is `CLOSED[column]`, in ms, by how many edges have which operation. Whatever happens between
edges, additions and what lies outside of the cells, is the constant; pooling costs the Eyeriss as much as a 3x3
convolution. So it is a table of operations, which a simulator made, and no measurement of networks: a rank correlation
with it says whether a model charges these three operations alike.
"""

from itertools import product

import numpy as np
from scipy.stats import kendalltau, spearmanr

import dlco
from dlco.hardware import eyeriss_like, generic
from dlco.nas import NasBench201
from dlco.nas.spaces.nasbench201 import EDGES, OPERATIONS

CLOSED = {
    "Eyeriss": (1.67954, {"nor_conv_3x3": 1.47456, "avg_pool_3x3": 1.47456, "nor_conv_1x1": 0.24576}),
    "FPGA": (1.13296, {"nor_conv_3x3": 1.2576, "avg_pool_3x3": 0.4096, "nor_conv_1x1": 0.5152}),
}
"""Of each column: ms of every network, and of each edge of an operation."""
MACHINES = (eyeriss_like, generic)


def published(networks: np.ndarray) -> dict[str, np.ndarray]:
    """Latencies of each column, ms, by `[networks, edges]` options."""
    return {
        column: constant + sum(ms * (networks == OPERATIONS.index(name)).sum(1) for name, ms in edges.items())
        for column, (constant, edges) in CLOSED.items()
    }


def ranks(seed: int) -> dict[str, object]:
    """The table: rank correlations of multiply-accumulates and of dlco's latency with the published columns."""
    space = NasBench201()
    networks = np.array(list(product(range(len(OPERATIONS)), repeat=len(EDGES))))
    layers = list(space.layers)
    counts = space.counts([tuple(one) for one in networks.tolist()]).numpy()
    weighted = np.array([layer.macs > 0 for layer in layers])
    totals = {"MACs": counts @ np.array([float(layer.macs) for layer in layers])}
    for build in MACHINES:
        machine = build(wires=False)
        found = dlco.solve(layers, machine, objective="latency", imperfect=False, seed=seed, bound=False)
        cycles = np.array([found.layer_costs[layer.name].cycles for layer in layers])
        totals[f"dlco on {machine.name}, MACs only"] = counts[:, weighted] @ cycles[weighted]
        totals[f"dlco on {machine.name}"] = counts @ cycles
    columns = published(networks)
    rows = [
        [method, *(float(rank(latency, ms)[0]) for rank in (spearmanr, kendalltau) for ms in columns.values())]
        for method, latency in totals.items()
    ]
    return {
        "title": f"All {len(networks):,} cells of NAS-Bench-201 beside HW-NAS-Bench's columns, which are closed forms",
        "head": ["latency from", *(f"{kind}, {column}" for kind in ("Spearman", "Kendall") for column in columns)],
        "rows": rows,
    }
