"""`fit_predictor`: a table becomes a differentiable oracle; `load_predictor` reads one from its file."""

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dlco.errors import InvalidInput, reason_of
from dlco.nas.oracles.ensemble import Ensemble, EnsembleTraining, fit_ensemble
from dlco.nas.oracles.predictor import Predictor, Quality, judge
from dlco.nas.oracles.ridge import Ridge, fit_ridge
from dlco.nas.oracles.table import TableAccuracy
from dlco.nas.space import NetworkSpace
from dlco.progress import Listener
from dlco.progress_bar import listening
from dlco.reading import check_archive, read_limited

KINDS: dict[str, type[Predictor]] = {kind.kind: kind for kind in (Ridge, Ensemble)}
LARGEST = 1 << 26  # bytes of a predictor's file, and of its parts
LEAST = 4  # networks to fit, and to judge by


def fit_predictor(
    table: TableAccuracy,
    kind: str = "ridge",
    *,
    held_out: float = 0.2,
    seed: int = 0,
    training: EnsembleTraining | None = None,
    progress: bool | Listener = False,
) -> Predictor:
    """A predictor of the table's accuracies, fitted to a part of it and judged by the rest.

    Args:
        table: measured networks.
        kind: "ridge", linear in the encoding, its penalty cross-validated, fitted in closed form within a second; or
            "ensemble", small networks, more exact where options interact, some seconds a thousand networks.
        held_out: share of the networks that only `quality` uses.
        seed: of the split and, for the ensemble, of its training. The same seed gives the same predictor, and both
            kinds the same split.
        training: of the ensemble.
        progress: True for a bar, False for none, or a listener.

    Raises:
        InvalidInput: another kind, a share that is not from 0 to below 1 or leaves too few networks on a side, or
            `training` for a ridge.
    """
    if kind not in KINDS:
        raise InvalidInput(f"kind is {kind!r}; allowed: {', '.join(KINDS)}")
    if training is not None and kind != Ensemble.kind:
        raise InvalidInput(f"training is {training!r}; only the ensemble is trained, a {kind} is not")
    if not 0 <= held_out < 1:
        raise InvalidInput(f"held_out is {held_out!r}; it must be from 0 to below 1")
    order = torch.randperm(len(table), generator=torch.Generator().manual_seed(seed))
    judged, fitted = order.tensor_split([round(held_out * len(table))])
    if len(fitted) < LEAST or 0 < len(judged) < LEAST:
        raise InvalidInput(f"held_out is {held_out!r}, so {len(fitted)} of {len(table)} networks; at least {LEAST}")
    encoding = table.space.encode(table.networks)
    unknown = Quality(float("nan"), float("nan"), len(fitted), 0)
    predictor: Predictor
    if kind == Ridge.kind:
        predictor = Ridge(table.space, unknown, *fit_ridge(encoding[fitted], table.accuracies[fitted])[:3])
    else:
        with listening(progress, "squared error {:.4g}".format) as listener:
            trained = fit_ensemble(encoding[fitted], table.accuracies[fitted], seed, training, listener)
        predictor = Ensemble(table.space, unknown, *trained)
    if not len(judged):
        return predictor
    return replace(predictor, quality=judge(predictor, encoding[judged], table.accuracies[judged], len(fitted)))


def load_predictor(path: str | os.PathLike[str], space: NetworkSpace[Any]) -> Predictor:
    """The predictor that `Predictor.save` wrote.

    Args:
        path: of the .npz file; nothing in it is run.
        space: the one that it was fitted for.

    Raises:
        InvalidInput: the file is no predictor's, or another space's.
        OSError: the file cannot be read.
    """
    name = Path(path).name
    content = read_limited(path, LARGEST)
    try:
        check_archive(content, LARGEST)
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        kind, for_space = (str(arrays.pop(key)) for key in ("kind", "space"))
        rmse, tau, fitted, held_out = (float(arrays.pop(key)) for key in ("rmse", "kendall_tau", "fitted", "held_out"))
        quality = Quality(rmse, tau, int(fitted), int(held_out))
        predictor = KINDS[kind].from_arrays(space, quality, arrays)
    except Exception as error:  # what a damaged archive raises is of many kinds
        raise InvalidInput(f"{name} is no predictor that dlco saved ({reason_of(error)})") from error
    expected = sum(space.option_counts) or predictor.features
    if for_space != space.name or predictor.features != expected:
        raise InvalidInput(
            f"{name} is for space {for_space!r} of {predictor.features} features; "
            f"it must be for {space.name!r} of {expected}"
        )
    return predictor
