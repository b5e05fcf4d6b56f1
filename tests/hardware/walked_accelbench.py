"""AccelBench's rules step by step and cube by cube, as slow as they are plain: what `network_costs` is held against."""

from math import ceil, prod, sqrt

from dlco.hardware import AccelBench, Assumptions
from dlco.workload import Layer

BITS_A_CYCLE = 40000 * 2**20 * 8 / 700e6


class Buffer:
    """Cubes by (layer, place), the oldest first."""

    def __init__(self, mb: int, sparsity: float) -> None:
        self.words, self.bits = mb * 2**23 // 20, int(64 * 20 * (1 - sparsity))
        self.sparsity = sparsity
        self.cubes: dict[tuple[object, ...], None] = {}
        self.cycles = self.loaded = self.dropped = self.times = 0

    def load(self, cubes: list[tuple[object, ...]]) -> int:
        missing = [cube for cube in cubes if cube not in self.cubes]
        self.cubes |= dict.fromkeys(missing)
        self.loaded += len(missing)
        self.times += bool(missing)
        while len(self.cubes) * self.bits > self.words:  # bits against words, as theirs
            del self.cubes[next(iter(self.cubes))]
            self.dropped += 1
        return ceil(len(missing) * 64 * 20 * (1 - self.sparsity) / BITS_A_CYCLE - 1e-9)


def spans(extent: int, side: int) -> list[tuple[int, int]]:
    return [(first, min(first + side, extent)) for first in range(0, extent, side)]


def cubes_of(name: object, *ranges: tuple[int, int]) -> list[tuple[object, ...]]:
    places: list[tuple[object, ...]] = [(name,)]
    for axis, (first, end) in enumerate(ranges):
        places = [(*place, i) for place in places for i in range(first, end, 1 if axis == 0 else 4)]
    return places


def walk(machine: AccelBench, layers: list[Layer], assumed: Assumptions) -> dict[str, float]:
    """Cycles of every phase, all cycles, and dynamic energy, J."""
    activations = Buffer(machine.activation_mb, assumed.activation_sparsity)
    weights = Buffer(machine.weight_mb, assumed.weight_sparsity)
    kept = (1 - assumed.activation_sparsity) * (1 - assumed.weight_sparsity) * assumed.overlap
    names = ("image_loads", "activation_loads", "weight_loads", "convolution_waits", "product_waits", "convolutions")
    total = dict.fromkeys((*names, "products", "batch_norm", "pooling", "global_pooling", "upsampling"), 0.0)
    for place, layer in enumerate(one for one in layers for _ in range(one.count)):
        sizes = {"N": 1, "G": 1} | layer.problem.sizes
        images = machine.batch * sizes["N"]
        if layer.operation in ("pool", "upsample"):
            map_of = ("P", "Q") if layer.operation == "pool" else ("H", "W", "R", "S")
            results = images * sizes["C"] * prod(sizes[dim] for dim in map_of)
            if layer.operation == "upsample":
                total["upsampling"] += ceil(results / machine.pes)
            elif sizes["P"] == sizes["Q"] == 1:
                total["global_pooling"] += ceil(sizes["R"] * sizes["S"] / 25) * ceil(results / machine.pes)
            else:
                total["pooling"] += ceil(results / machine.pes)
            continue
        if layer.operation != "multiply-accumulate":
            continue
        if "P" not in sizes or sizes["P"] == sizes["Q"] == sizes["R"] == sizes["S"] == 1:  # linear
            matrix = [(0, ceil(side / 8)) for side in (images, sizes["C"], sizes["M"])]
            loads = [
                buffer.load([(place, i, j) for i in range(*one) for j in range(*other)])
                for buffer, one, other in ((activations, *matrix[:2]), (weights, *matrix[1:]))
            ]
            add(total, "product", loads)
            total["products"] += ceil(ceil(images * sizes["C"] * sizes["M"] / machine.macs) * kept - 1e-9)
            continue
        depthwise = "M" not in sizes
        groups = sizes["C"] if depthwise else sizes["G"]
        C, M = (1, 1) if depthwise else (sizes["C"], sizes["M"])
        inputs = layer.problem.dataspace("Inputs").projection
        stride = [dict(rank)[dim] for dim in "PQ" for rank in inputs if dim in dict(rank)]
        X, Y = sizes["P"] * stride[0], sizes["Q"] * stride[1]
        if place == 0:
            for b in spans(images, 4):
                for x in spans(X, 64):
                    for y in spans(Y, 64):
                        for c in spans(C * groups, 64):
                            total["image_loads"] += activations.load(cubes_of("image", b, x, y, c))
        for group in range(groups):
            source = "image" if place == 0 and groups == 1 else ("inputs", place, group)
            for b in spans(images, 4):
                for x in spans(X, 64):
                    for y in spans(Y, 64):
                        for c in spans(C, 64):
                            for m in spans(M, 4):
                                kernel = (0, sizes["R"]), (0, sizes["S"]), (0, C)
                                loads = [
                                    activations.load(cubes_of(source, b, x, y, c)),
                                    weights.load(cubes_of((place, group), m, *kernel)),
                                ]
                                add(total, "convolution", loads)
                                rows = (x[1] - 1) // stride[0] - x[0] // stride[0] + 1
                                columns = (y[1] - 1) // stride[1] - y[0] // stride[1] + 1
                                dense = ceil((b[1] - b[0]) / machine.batch_parallel)
                                dense *= ceil(rows / machine.x_parallel) * ceil(columns / machine.y_parallel)
                                dense *= ceil((c[1] - c[0]) / machine.input_channel_parallel)
                                dense *= ceil((m[1] - m[0]) / machine.output_channel_parallel)
                                dense *= ceil(sizes["R"] / machine.kernel_x_parallel)
                                dense *= ceil(sizes["S"] / machine.kernel_y_parallel)
                                total["convolutions"] += ceil(dense * kept - 1e-9)
        if assumed.batch_norm:
            words = images * sizes["P"] * sizes["Q"]
            width = machine.input_channel_parallel * machine.pes
            total["batch_norm"] += ceil(words / width) * groups * M
    lanes = total["convolutions"] + total["products"]
    serial = sum(total[name] for name in ("image_loads", "batch_norm", "pooling", "global_pooling", "upsampling"))
    total["cycles"] = serial + max(lanes, *(total[name] for name in names[1:5]))
    mw = {"batch_norm": 8.3914, "pooling": 1.143, "global_pooling": 1.2148, "upsampling": 0.1503713}
    joules = sum(total[name] * machine.pes * power * 1e-3 for name, power in mw.items())
    loads = total["image_loads"] + total["activation_loads"] + total["weight_loads"]
    joules += loads * (machine.pes * 0.0335287 + machine.main_memory_nj) * 1e-3
    joules += total["convolutions"] * machine.lane_power_w + total["products"] * machine.product_power_w
    accesses = (activations.loaded + activations.dropped) * 0.274617 * sqrt(machine.activation_mb / 12)
    accesses += (weights.loaded + weights.dropped) * 0.4196405 * sqrt(machine.weight_mb / 24)
    accesses += (activations.times + weights.times) * 0.1640135 * sqrt(machine.mask_mb / 4)
    return total | {"dynamic_j": joules / 700e6 + accesses * 1e-9}


def add(total: dict[str, float], what: str, loads: list[int]) -> None:
    total["activation_loads"] += loads[0]
    total["weight_loads"] += loads[1]
    total[f"{what}_waits"] += max(loads)
