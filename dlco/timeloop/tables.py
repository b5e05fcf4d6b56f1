"""Accelergy's tables: energy of every action (ERT) and area (ART) of every component, by component name."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

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
        InvalidInput: a missing key, or an energy that is no number of at least 0.
    """
    found: Energies = {}
    read: dict[int, dict[str, float]] = {}  # what aliases share is read once
    for name, actions in _rows(table, "actions"):
        if id(actions.value) not in read:
            read[id(actions.value)] = _largest(actions)
        component = found.setdefault(_component(name), {})
        for action, energy in read[id(actions.value)].items():
            component[action] = max(energy, component.get(action, 0.0))
    return found


def areas(table: Entry) -> dict[str, float]:
    """Area of an instance by component, um2; raises `InvalidInput` as `energies` does."""
    return {_component(name): area.number() for name, area in _rows(table, "area")}


def _rows(table: Entry, column: str) -> list[tuple[str, Entry]]:
    """Component names and their column, from a list of rows or (version 0.2) from a mapping by name."""
    tables = _looked_up(table, "tables")["tables"]
    if isinstance(tables.value, dict):
        return list(tables.value.items())
    rows = [_looked_up(row, "name", column) for row in _distinct(tables.items())]
    return [(row["name"].text(), row[column]) for row in rows]


def _largest(actions: Entry) -> dict[str, float]:
    """The largest energy of each action."""
    found: dict[str, float] = {}
    for name, energy in _actions(actions):
        found[name] = max(energy, found.get(name, 0.0))
    return found


def _actions(actions: Entry) -> Iterator[tuple[str, float]]:
    if isinstance(actions.value, dict):
        for name, entry in actions.value.items():
            for variant in _distinct(entry.items()) if isinstance(entry.value, list) else [entry]:
                yield name, _looked_up(variant, "energy")["energy"].number()
        return
    for row in _distinct(actions.items()):
        fields = _looked_up(row, "name", "energy")
        yield fields["name"].text(), fields["energy"].number()


def _distinct(entries: list[Entry]) -> list[Entry]:
    """The entries without repeated aliases of one: none of them says more."""
    return list({id(entry.value): entry for entry in entries}.values())


def _looked_up(entry: Entry, *required: str) -> dict[str, Entry]:
    """The keys that Timeloop looks up in a table, which must be there; Accelergy may say more beside them."""
    given = {key: value for key, value in entry.mapping().items() if key in required}
    return replace(entry, value=given).fields(required)


def _component(path: str) -> str:
    """Last name of a path such as "system.PE[0..3].Buffer[1..4]"."""
    return re.sub(r"\[[^\[\]]*\]", "", path).rpartition(".")[2]
