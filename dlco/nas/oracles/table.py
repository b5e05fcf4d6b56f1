"""`TableAccuracy`: accuracies that somebody measured, from a CSV file, a DataFrame or any pairs.

What the published tables mean. NAS-Bench-201's usual columns are *test* accuracies: a search that maximises them has
seen the test set, so what it finds is optimistic. Accel-NASBench trained every network for 16 epochs only: its
accuracies are a proxy, some ten points low, and it is their ranking that counts. The networks measured for
Once-for-All's MobileNetV3 come from evolutionary searches: dense near the good front, not a sample of the space.
"""

import csv
import math
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.nas.space import NetworkSpace
from dlco.reading import read_lines

MOST_ROWS = 500_000  # of a table of accuracies


class Frame(Protocol):
    """What a table needs of a pandas DataFrame; pandas itself is never imported."""

    @property
    def columns(self) -> Iterable[Any]:
        """The names of the columns."""

    def __getitem__(self, column: str) -> Any:
        """A column, iterable."""


class TableAccuracy:
    """Measured accuracies, looked up.

    Args:
        space: whose networks were measured.
        measured: accuracies of each network in percent, one or several; several are averaged.

    Attributes:
        space: whose networks were measured.
        networks: those in the table, each once.
        accuracies: theirs, `[n]`, float64, percent.

    Raises:
        InvalidInput: the table is empty, holds a network that is not of the space, or an accuracy that is no number.
    """

    def __init__(self, space: NetworkSpace[Any], measured: Mapping[Any, Sequence[float]]) -> None:
        if not measured:
            raise InvalidInput("measured is empty; it must hold at least one network")
        for network, values in measured.items():
            space.check(network)
            if not values or not all(math.isfinite(value) for value in values):
                raise InvalidInput(f"accuracy of network {network!r} is {values!r}; it must be finite numbers")
        self.space = space
        self._means = {network: sum(values) / len(values) for network, values in measured.items()}
        self.networks = tuple(self._means)
        self.accuracies = torch.tensor(list(self._means.values()), dtype=torch.float64)

    @classmethod
    def read(
        cls,
        space: NetworkSpace[Any],
        source: "str | os.PathLike[str] | Frame",
        accuracy: str,
        architecture: str = "arch",
    ) -> "TableAccuracy":
        """A table from a CSV file (also .csv.gz) or a pandas DataFrame.

        Args:
            space: its `parse` reads the networks.
            source: the file's path, or the DataFrame.
            accuracy: the column of accuracies, percent.
            architecture: the column of networks, as `space.parse` reads them. Rows of one network are averaged.

        Raises:
            InvalidInput: a column is missing, a row's accuracy is no number or its network not of the space (the
                message names file and row, the first below the names being 1), or there is no row.
            OSError: the file cannot be read.
        """
        texts, values = _columns(source, architecture, accuracy)
        where = Path(source).name if isinstance(source, str | os.PathLike) else "the DataFrame"
        measured: dict[Any, list[float]] = {}
        for row, (text, value) in enumerate(zip(texts, values, strict=True), start=1):
            try:
                measured.setdefault(space.parse(str(text)), []).append(_number(value, accuracy))
            except InvalidInput as error:
                raise InvalidInput(f"row {row} of {where}: {error}") from None
        return cls(space, measured)

    def __len__(self) -> int:
        return len(self.networks)

    def __contains__(self, network: object) -> bool:
        return network in self._means

    def most(self) -> float:
        """The largest accuracy in the table: it knows no other network."""
        return float(self.accuracies.max())

    def accuracy(self, networks: Sequence[Any]) -> Tensor:
        """Accuracy of each network in percent: `[n]`, float64.

        Raises:
            InvalidInput: a network was not measured.
        """
        for network in networks:
            if network not in self._means:
                raise InvalidInput(f"network {network!r} is not among the {len(self)} of this table")
        return torch.tensor([self._means[network] for network in networks], dtype=torch.float64)


def _columns(source: "str | os.PathLike[str] | Frame", *names: str) -> list[list[Any]]:
    """The named columns of a file or a DataFrame."""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        kept: list[list[Any]] = []
        try:
            rows = csv.DictReader(read_lines(path))
            _check_columns(path.name, rows.fieldnames or (), names)
            for row in rows:
                kept.append([row[name] for name in names])
                if len(kept) > MOST_ROWS:
                    raise InvalidInput(f"{path.name} has more than {MOST_ROWS} rows")
        except FileNotFoundError as error:
            raise InvalidInput(f"table {path.name!r} cannot be read: {error.strerror}") from None
        except (UnicodeDecodeError, csv.Error, OSError, EOFError, zlib.error) as error:
            raise InvalidInput(f"{path.name} is no table in CSV and UTF-8: {error}") from None
        return [[row[at] for row in kept] for at in range(len(names))]
    if not hasattr(source, "columns"):
        raise InvalidInput(f"source is {source!r}; it must be the path of a CSV file or a DataFrame")
    _check_columns("the DataFrame", source.columns, names)
    return [list(source[name]) for name in names]


def _check_columns(where: str, found: Iterable[Any], wanted: Iterable[str]) -> None:
    there = list(found)
    for name in wanted:
        if name not in there:
            raise InvalidInput(f"column {name!r} is not in {where}; it has {', '.join(map(str, there)) or 'none'}")


def _number(value: Any, column: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(f"{column} is {value!r}; it must be a finite number")
    return number
