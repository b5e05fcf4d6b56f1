"""BOSHNAS: the most accurate network of a space, with few questions to its oracle."""

import time
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch

from dlco.design.codesign import text_of
from dlco.design.objective import ACCURACY
from dlco.errors import InvalidInput
from dlco.interrupts import held
from dlco.nas.oracles.accuracy import Accuracy, check_oracle
from dlco.nas.space import NetworkSpace
from dlco.nas.surrogate.designs import networks_of
from dlco.nas.surrogate.proposer import Proposer, Settings, round_size
from dlco.optimize.options import check_seed
from dlco.progress import Listener, Progress
from dlco.progress_bar import listening
from dlco.tasks import single_thread
from dlco.workload.problem import check_positive_int


@dataclass(frozen=True)
class NetworkSearch:
    """The networks that a search asked about, in order, each once.

    Attributes:
        networks: as their space has them.
        accuracies: theirs, percent.
        interrupted: whether Ctrl-C ended the search.
    """

    networks: tuple[Hashable, ...]
    accuracies: tuple[float, ...]
    interrupted: bool = False

    @property
    def accuracy(self) -> float:
        """The highest accuracy found, percent."""
        return max(self.accuracies)

    @property
    def network(self) -> Hashable:
        """The first network that reached it."""
        return self.networks[self.accuracies.index(self.accuracy)]

    @property
    def progress(self) -> tuple[float, ...]:
        """The highest accuracy after each query, percent."""
        return tuple(accumulate(self.accuracies, max))


def boshnas(
    space: NetworkSpace[Any],
    oracle: Accuracy,
    queries: int = 100,
    *,
    seed: int = 0,
    progress: bool | Listener = False,
    settings: Settings | None = None,
) -> NetworkSearch:
    """Search the most accurate network, whatever it costs to run; `cosearch` is for networks with a machine.

    Tuli, Li, Sharma and Jha, "CODEBench", ACM TECS 2023 (arXiv:2212.03965), section on BOSHNAS.

    Args:
        space: the networks.
        oracle: their accuracies. What a search maximises it finds optimistic values of: judge the winner anew.
        queries: networks that the oracle may be asked about.
        seed: the same seed asks about the same networks.
        progress: True for a progress bar, or a callable that takes `Progress`.
        settings: of the search.

    Returns:
        All networks asked about; fewer than `queries` where the space has no more, or after Ctrl-C.

    Raises:
        InvalidInput: an argument is not what it should be, or Ctrl-C came before the first answer.
    """
    check_oracle(space, oracle)
    check_positive_int("queries", queries)
    check_seed(seed)
    started, interrupted = time.perf_counter(), False
    asked: dict[Any, float] = {}
    with held() as interrupts, listening(progress, text_of(ACCURACY)) as listener, single_thread():
        try:
            with interrupts.heard():
                generator = torch.Generator().manual_seed(seed)
                proposer = Proposer(networks_of(space, generator), settings or Settings(), generator)
                size = round_size(queries)
                while len(asked) < queries and (networks := proposer.ask(size)[: queries - len(asked)]):
                    accuracies = oracle.accuracy(networks).tolist()
                    asked |= zip(networks, accuracies, strict=True)
                    proposer.tell(networks, [-accuracy for accuracy in accuracies])
                    best, seconds = max(asked.values()), time.perf_counter() - started
                    interrupts.check()
                    listener(Progress("search", len(asked) / queries, best, seconds))
        except KeyboardInterrupt:
            if not asked:
                raise InvalidInput(
                    "the search was stopped before any network was judged; let it run for longer"
                ) from None
            interrupted = True
        with suppress(KeyboardInterrupt):  # too late to stop anything
            listener(Progress("done", 1.0, max(asked.values()), time.perf_counter() - started))
        return NetworkSearch(tuple(asked), tuple(asked.values()), interrupted)
