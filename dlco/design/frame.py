"""Results as rows for other programs: pandas DataFrames, CSV. Units stand in the columns' names."""

import csv
import io
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from dlco.cost.cost import Cost
from dlco.design.solution import Solution
from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.texts import guarded, printable

if TYPE_CHECKING:
    from pandas import DataFrame

Row = Mapping[str, object]


def layer_rows(solution: Solution) -> list[dict[str, object]]:
    """A row a layer of a solution, in the network's order.

    Returns:
        `layer`, `count` (executions in the network), and figures of one execution: `macs`, `cycles`, `latency_s`,
        `energy_pj`, `edp_pj_cycles`, `utilization` (of the MAC units, 0 to 1); where the energy goes: `mac_pj`,
        `leak_pj` and `<level>_pj` for every level, innermost first.
    """
    cycle_s = solution.architecture.cycle_s
    rows = []
    for layer in solution.layers:
        cost = solution.layer_costs[layer.name]
        figures = {
            "layer": layer.name,
            "count": cost.count,
            "macs": cost.macs,
            "cycles": cost.cycles,
            "latency_s": cost.cycles * cycle_s,
            "energy_pj": cost.energy_pj,
            "edp_pj_cycles": cost.energy_pj * cost.cycles,
            "utilization": cost.utilization,
            "mac_pj": cost.mac_pj,
            "leak_pj": cost.leak_pj,
        }
        rows.append(figures | {f"{level}_pj": energy for level, energy in cost.level_pj.items()})
    return rows


def mapping_rows(cost: Cost, architecture: Architecture) -> list[dict[str, object]]:
    """A row a mapping of a batch that was evaluated, `[...]` in the order of its elements.

    Args:
        cost: as `dlco.evaluate` returns it.
        architecture: what it was evaluated on.

    Returns:
        `valid` (whether it fits), and of what `layer_rows` has all but `layer`, `count` and `macs`.
    """
    columns = {
        "valid": cost.valid,
        "cycles": cost.cycles,
        "latency_s": cost.latency_s,
        "energy_pj": cost.energy_pj,
        "edp_pj_cycles": cost.edp,
        "utilization": cost.utilization,
        "mac_pj": cost.mac_pj,
        "leak_pj": cost.leak_pj.sum(-1),
    }
    flat = {name: one.detach().expand(cost.cycles.shape).reshape(-1).tolist() for name, one in columns.items()}
    levels = cost.access_pj.detach().sum(-1).reshape(-1, len(architecture.levels))
    flat |= {f"{level.name}_pj": levels[:, i].tolist() for i, level in enumerate(architecture.levels)}
    return [dict(zip(flat, row, strict=True)) for row in zip(*flat.values(), strict=True)]


def to_frame(rows: Sequence[Row], columns: Sequence[str] | None = None) -> "DataFrame":
    """Rows as a DataFrame, with these `columns` also where there is no row; `InvalidInput` without pandas."""
    frame: DataFrame = _pandas().DataFrame(list(rows), columns=columns)
    return frame


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV with a header; its texts are printable, with a ' before those that a spreadsheet would compute."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in ([list(rows[0])] if rows else [[]]) + [list(row.values()) for row in rows]:
        writer.writerow([guarded(printable(cell)) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue()


def _pandas() -> ModuleType:
    try:
        import pandas
    except ImportError:
        raise InvalidInput("a DataFrame needs the package pandas; install dlco with its extra [pandas]") from None
    return pandas
