"""Eyeriss' row-stationary mappings, from the seven numbers that its papers give them by.

Source: Chen et al., ISCA 2016 and JSSC 2017. A PE does the one-dimensional convolutions of rows: it keeps a row of each
of p x q filters and slides along a row of inputs. A PE set is R rows of PEs, one a row of the filter, times e columns,
one a row of outputs; sums run along its columns, rows of inputs along its diagonals. r x t sets work side by side, on
other input and output channels. A pass covers p t output and q r input channels, e rows of outputs and n images; the
buffer holds the inputs of a pass and the sums of m output channels, to which passes over all input channels add.
"""

from math import ceil

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.mapping.checks import check_mapping
from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL, Mapping
from dlco.workload.layer import Layer
from dlco.workload.problem import Problem, check_positive_int

NEEDED = frozenset("NCMPQRS")


def row_stationary(
    layer: Layer | Problem, architecture: Architecture, *, m: int, n: int, e: int, p: int, q: int, r: int, t: int
) -> Mapping:
    """The mapping of a convolution that Eyeriss' papers write as (m, n, e, p, q, r, t).

    Sets wider than the array are folded into as few pieces of like width as fit, above each other. Sets stand above
    each other as far as there are rows, first those over input channels, then beside each other. Where the numbers
    do not divide the layer the last pass is smaller (imperfect factors). Groups come one after the other.

    Args:
        layer: a 2-D convolution, grouped or not.
        architecture: pads of a PE (the levels under the one with the fan-out, X columns and Y rows), its buffer, and
            one more level, DRAM.
        m: output channels whose sums the buffer holds.
        n: images of a pass.
        e: rows of outputs of a pass.
        p: output channels of a PE.
        q: input channels of a PE.
        r: sets over input channels.
        t: sets over output channels.

    Returns:
        A mapping that fits the machine.

    Raises:
        InvalidInput: a number is no positive integer, or the layer or the machine is of another kind.
        InvalidMapping: the mapping does not fit the machine: too many PEs, or tiles too large.

    Examples:
        >>> conv3 = dlco.conv2d("conv3", N=4, C=256, M=384, P=13, Q=13, R=3, S=3)  # of AlexNet, as on the chip
        >>> machine = dlco.hardware.eyeriss_chip()
        >>> mapping = dlco.mapping.row_stationary(conv3, machine, m=64, n=4, e=13, p=16, q=4, r=1, t=4)
        >>> cost = dlco.evaluate(conv3, machine, mapping)
        >>> int(cost.counts.macs_in_use), int(cost.compute_cycles)
        (156, 3833856)
    """
    problem = layer.problem if isinstance(layer, Layer) else layer
    for name, value in {"m": m, "n": n, "e": e, "p": p, "q": q, "r": r, "t": t}.items():
        check_positive_int(name, value)
    sizes = problem.sizes
    if not NEEDED <= sizes.keys() or not sizes.keys() <= NEEDED | {"G"}:
        raise InvalidInput(
            f"problem has dimensions {', '.join(sizes)}; a row-stationary one has N C M P Q R S, maybe G"
        )
    levels = architecture.levels
    across = [i for i, level in enumerate(levels) if level.fanout_x * level.fanout_y > 1]
    if across != [len(levels) - 2] or len(levels) < 3:
        raise InvalidInput(
            f"architecture {architecture.name!r} has {len(levels)} levels; it must have pads, one buffer with all of "
            "the fan-out, and DRAM"
        )
    array = levels[-2]
    folds = ceil(e / array.fanout_x)
    above = max(1, array.fanout_y // (sizes["R"] * folds))  # sets above each other
    r_above = min(r, above)
    t_above = min(t, max(1, above // r_above))
    factors = [[dict.fromkeys(sizes, 1) for _ in range(3)] for _ in levels]
    factors[0][TEMPORAL] |= {"M": p, "C": q, "S": sizes["S"]}
    factors[-2][SPATIAL_X] |= {"P": ceil(e / folds), "C": ceil(r / r_above), "M": ceil(t / t_above)}
    factors[-2][SPATIAL_Y] |= {"R": sizes["R"], "P": folds, "C": r_above, "M": t_above}
    held = ceil(m / (p * t))
    factors[-2][TEMPORAL] |= {"Q": sizes["Q"], "N": n, "M": held}
    outside = {"C": q * r, "P": e, "M": p * t * held, "N": n, "G": 1}
    factors[-1][TEMPORAL] |= {dim: ceil(sizes[dim] / inside) for dim, inside in outside.items() if dim in sizes}
    order = tuple(
        tuple(dict.fromkeys([*first, *sizes]))
        for first in [("M", "C", "S")] * (len(levels) - 2) + [("Q", "N", "M"), ("C", "P", "M", "N")]
    )
    temporal, spatial_x, spatial_y = (
        tuple(tuple(level[slot][dim] for dim in sizes) for level in factors)
        for slot in (TEMPORAL, SPATIAL_X, SPATIAL_Y)
    )
    spatial_order = (tuple(dict.fromkeys(["P", "R", "C", "M", *sizes])),) * len(levels)
    names = tuple(level.name for level in levels)
    keeps: tuple[frozenset[str], ...] = (frozenset(),) * len(levels)
    mapping = Mapping(tuple(sizes), names, temporal, spatial_x, spatial_y, order, spatial_order, keeps)
    check_mapping(problem, architecture, mapping)
    return mapping
