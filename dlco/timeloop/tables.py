"""Accelergy's tables: energy of every action (ERT) and area (ART) of every component, by component name."""

import re
from collections.abc import Sequence

from dlco.timeloop.document import Entry

Energies = dict[str, dict[str, float]]

READ = ("random_read", "read")
WRITE = ("random_fill", "random_write", "fill", "write")
UPDATE = ("random_update", "random_write", "update", "write")
LEAK = ("leak",)
COMPUTE = ("mac_random", "mult_random", "mac", "mult", "compute")


def first_energy(actions: dict[str, float], names: Sequence[str], default: float) -> float:
    """Energy, pJ, of the first action of `names` that a component has, or the default."""
    return next((actions[name] for name in names if name in actions), default)


def largest_energy(actions: dict[str, float]) -> float:
    """The largest energy, pJ, that a component's table lists: what Timeloop takes for an access that it does not."""
    return max(actions.values(), default=0.0)


def energies(table: Entry) -> Energies:
    """Energy of every action by component, pJ; the largest where an action has several sets of arguments.

    Raises:
        InvalidInput: a missing or unknown key, or an energy that is no number of at least 0.
    """
    found: Energies = {}
    for name, actions in _rows(table, "actions"):
        component = found.setdefault(_component(name), {})
        for action, energy in _actions(actions):
            component[action] = max(energy, component.get(action, 0.0))
    return found


def areas(table: Entry) -> dict[str, float]:
    """Area of an instance by component, um2; raises `InvalidInput` as `energies` does."""
    return {_component(name): area.number() for name, area in _rows(table, "area")}


def _rows(table: Entry, column: str) -> list[tuple[str, Entry]]:
    """Component names and their column, from a list of rows or (version 0.2) from a mapping by name."""
    tables = table.fields(required=["tables"], optional=["version"])["tables"]
    if isinstance(tables.value, dict):
        return list(tables.value.items())
    optional = {"actions", "area", "primitive_estimations", "critical_path_length"} - {column}
    rows = [row.fields(required=["name", column], optional=sorted(optional)) for row in tables.items()]
    return [(row["name"].text(), row[column]) for row in rows]


def _actions(actions: Entry) -> list[tuple[str, float]]:
    if isinstance(actions.value, dict):
        variants = [
            (name, variant)
            for name, entry in actions.value.items()
            for variant in (entry.items() if isinstance(entry.value, list) else [entry])
        ]
        return [(name, v.fields(["energy"], ["arguments"])["energy"].number()) for name, v in variants]
    rows = [row.fields(["name", "energy"], ["arguments", "subcomponents"]) for row in actions.items()]
    return [(row["name"].text(), row["energy"].number()) for row in rows]


def _component(path: str) -> str:
    """Last name of a path such as "system.PE[0..3].Buffer[1..4]"."""
    return re.sub(r"\[[^\[\]]*\]", "", path).rpartition(".")[2]
