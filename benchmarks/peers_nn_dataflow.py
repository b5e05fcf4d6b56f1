"""Run by peers.py inside nn-dataflow's own environment: map layers with its analytic solver.

Reads {"machine", "layers", "network"} as JSON from stdin; writes {"layers", "network"} to stdout: for each layer its
own cost and time, the seconds it took, the loop factors from DRAM inwards and their orders, and what does not go
through the global buffer; and the same totals for one of its own networks, scheduled whole, if `network` names one.
"""

import json
import sys
import time

from nn_dataflow.core import (
    ConvLayer,
    Cost,
    DataCategoryEnum,
    LoopEnum,
    MapStrategyEyeriss,
    MemHierEnum,
    NNDataflow,
    NodeRegion,
    Option,
    PhyDim2,
    Resource,
    Scheduling,
    SchedulingConstraint,
    partition,
)
from nn_dataflow.nns import import_network

OPTIONS = Option(sw_gbuf_bypass=(True,) * DataCategoryEnum.NUM, sw_solve_loopblocking=True, opt_goal="ed", ntops=1)


def resource(machine):
    """One node of their kind with the sizes of `machine`, in words."""
    proc = NodeRegion(dim=PhyDim2(1, 1), origin=PhyDim2(0, 0), type=NodeRegion.PROC)
    dram = NodeRegion(dim=PhyDim2(1, 1), origin=PhyDim2(0, 0), type=NodeRegion.DRAM)
    return Resource(
        proc_region=proc,
        dram_region=dram,
        src_data_region=dram,
        dst_data_region=dram,
        dim_array=PhyDim2(machine["pe_y"], machine["pe_x"]),
        size_gbuf=machine["glb_words"],
        size_regf=machine["rf_words"],
        array_bus_width=float("inf"),
        dram_bandwidth=machine["dram_words_per_cycle"],
        no_time_mux=False,
    )


def cost(machine):
    """Energies of `machine`; theirs of the network between buffer and array, which `machine` has not, is 0."""
    costs = [0.0] * MemHierEnum.NUM
    costs[MemHierEnum.DRAM], costs[MemHierEnum.GBUF], costs[MemHierEnum.REGF] = (
        machine["pj"][k] for k in ("dram", "glb", "rf")
    )
    return Cost(mac_op=machine["pj"]["mac"], mem_hier=tuple(costs), noc_hop=0, idl_unit=0)


def best_scheme(layer, machine):
    """The scheme of least energy x time that the analytic solver proposes."""
    prices = cost(machine)
    part = next(iter(partition.gen_partition(layer, 1, PhyDim2(1, 1), OPTIONS, guaranteed=True)))
    search = Scheduling(layer, 1, prices, MapStrategyEyeriss)
    schemes = search.schedule_search_per_node(part, resource(machine), SchedulingConstraint(), OPTIONS)
    priced = [(one.get_access_cost(prices) + prices.mac_op * one.ops, one) for one in schemes]
    energy, scheme = min(priced, key=lambda pair: pair[0] * pair[1].time)
    gbuf = scheme.BL.GBUF
    return {
        "energy": energy,
        "cycles": scheme.time,
        "factors": [
            {"C": block[LoopEnum.IFM], "M": block[LoopEnum.OFM], "P": block[LoopEnum.BAT]}
            for block in map(list, scheme.bl_ts)
        ],
        # their order numbers loops from the innermost
        "orders": [
            sorted("CMP", key=lambda d, o=order: o[{"C": LoopEnum.IFM, "M": LoopEnum.OFM, "P": LoopEnum.BAT}[d]])
            for order in scheme.bl_ords
        ],
        "bypass": [
            name
            for name, kind in (
                ("Weights", DataCategoryEnum.FIL),
                ("Inputs", DataCategoryEnum.IFM),
                ("Outputs", DataCategoryEnum.OFM),
            )
            if scheme.data_size(gbuf, kind) == 0
        ],
    }


def whole_network(name, machine):
    """One of its own networks, every layer of it, as its command line schedules it."""
    search = NNDataflow(import_network(name), 1, resource(machine), cost(machine), MapStrategyEyeriss)
    found, _ = search.schedule_search(OPTIONS)
    return {"energy": found[0].total_cost, "cycles": found[0].total_time}


def timed(work, *arguments):
    """What the work gives, with the seconds it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work(*arguments)
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu} | result


def main():
    asked = json.load(sys.stdin)
    machine, found = asked["machine"], []
    for one in asked["layers"]:
        layer = ConvLayer(one["C"], one["M"], (one["P"], one["Q"]), (one["R"], one["S"]), strd=one["stride"])
        found.append({"name": one["name"]} | timed(best_scheme, layer, machine))
    network = timed(whole_network, asked["network"], machine) if asked["network"] else None
    json.dump({"layers": found, "network": network}, sys.stdout)


if __name__ == "__main__":
    main()
