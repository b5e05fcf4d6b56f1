"""`cosearch_widths()`: the width of words chosen beside the network and the accelerator.

A width changes all that a co-search asks about: how accurate a network is, and what a machine of as much silicon holds,
moves and costs. So every width has its oracle and its hardware, and is a co-search of its own; what is shared are the
limits, by which they are compared.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Unpack

from dlco.design.budget import Budget
from dlco.design.codesign import CoDesign, text_of
from dlco.design.objective import ACCURACY, Objective
from dlco.design.weighted_sum import WeightedSum
from dlco.design.width_choice import NOT_SEARCHED, AtWidth, WidthChoice
from dlco.errors import Infeasible, InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.space import HardwareSpace, as_space
from dlco.hardware.widths import at_word_bits
from dlco.interrupts import Interrupts, held
from dlco.journal import Journal
from dlco.nas.answer import NoPair, Stopped
from dlco.nas.cosearch import PairSearch, check_run, method_for
from dlco.nas.options import CoOptions, CosearchOptions
from dlco.nas.oracles.accuracy import Accuracy
from dlco.nas.request import CoRequest
from dlco.nas.space import NetworkSpace
from dlco.optimize import SolveEffort
from dlco.progress import Listener, Progress
from dlco.progress_bar import listening
from dlco.workload.problem import check_positive_int

Hardware = Architecture | HardwareSpace


def cosearch_widths(
    space: NetworkSpace[Any],
    oracles: Mapping[int, Accuracy],
    hardware: Hardware | Mapping[int, Hardware],
    objective: str | WeightedSum = Objective.EDP,
    budget: Budget | None = None,
    *,
    least_accuracy: float | None = None,
    method: str | None = None,
    evaluations: int | None = None,
    seed: int = 0,
    bound: bool = False,
    progress: bool | Listener = False,
    effort: SolveEffort | None = None,
    **options: Unpack[CosearchOptions],
) -> WidthChoice:
    """Choose a network, a machine for it and the width of their words, and map the network.

    One co-search (`cosearch`) at each width, with the same limits; the best pair of all widths is chosen.

    Args:
        space: the networks.
        oracles: what judges them with words of so many bits, by the bits: a table of quantised accuracies a width, or
            any function.
        hardware: a machine or a space of them, which is taken to every width by `dlco.hardware.at_word_bits`; or
            hardware of your own for each, by the bits of its MACs' operands.
        objective: as `cosearch` has it.
        budget: hard limits, the same at every width.
        least_accuracy: hard limit on accuracy, percent.
        method: as `cosearch` has it.
        evaluations: pairs that may be evaluated at each width.
        seed: the same seed gives the same choice.
        bound: whether to prove a lower bound for each width's network on its machine.
        progress: as `cosearch` has it; shares are of all widths.
        effort: of each final solve.
        **options: as `cosearch` has them. `costs` is refused: layers cost something else at each width. The checkpoint
            keeps every width's parts, and its answer once that is there.

    Returns:
        The width chosen and the best pair at each. Its status is "infeasible" where no pair of any width is within the
        limits, "interrupted" after Ctrl-C, when the widths still to come are not searched. A width at which no network
        is so accurate, or no layer has a mapping, has no pair; the choice says why.

    Raises:
        InvalidInput: an argument is not what it should be, or the hardware cannot be taken to a width; before any work.
        Infeasible: there is no pair at any width.
    """
    given = CoOptions(**options)
    check_run(given, seed, bound, evaluations)
    if given.costs is not None:
        raise InvalidInput("costs are given; layers cost something else at each width of words, so it must be None")
    method = method_for(space, method)
    limits = Budget() if budget is None else budget
    pins: Any = given.network, given.machine  # checked there
    searches = {}
    for bits, machines in _at_widths(oracles, hardware).items():
        request = CoRequest(space, oracles[bits], machines, objective, limits, least_accuracy, *pins)
        searches[bits] = PairSearch.of(request, given, method, evaluations, seed, bound=bound, effort=effort)
    asked = [(bits, search.identity) for bits, search in searches.items()] if given.is_kept else None
    found: list[AtWidth] = []
    with (
        held() as interrupts,
        listening(progress, text_of(request.goal)) as listener,
        given.recording(asked) as journal,
    ):
        telling = _Telling(listener, len(searches), least=request.goal != ACCURACY)
        for bits, search in searches.items():
            if _is_stopped(found, interrupts):
                found.append(AtWidth(bits, None, NOT_SEARCHED))
                continue
            chapter = journal.chapter(f"{bits} bits") if journal else None
            try:
                found.append(AtWidth(bits, _answer(search, chapter, telling.next(bits))))
            except Stopped:
                if not any(one.design for one in found):
                    raise
                found.append(AtWidth(bits, None, NOT_SEARCHED))
            except (Infeasible, NoPair) as error:
                found.append(AtWidth(bits, None, str(error)))
        if not any(one.design for one in found):
            raise Infeasible("; ".join(f"with words of {one.word_bits} bits: {one.why}" for one in found))
        choice = interrupts.insist(lambda: WidthChoice.of(tuple(found)))
        with suppress(KeyboardInterrupt):  # too late to stop anything
            telling.end()
        return choice


def _is_stopped(found: Sequence[AtWidth], interrupts: Interrupts) -> bool:
    """Whether a search was stopped, or is to be and has something to answer with."""
    stopped = any(one.why == NOT_SEARCHED or (one.design and one.design.status == "interrupted") for one in found)
    return stopped or (interrupts.noted and any(one.design for one in found))


def _at_widths(
    oracles: Mapping[int, Accuracy], hardware: Hardware | Mapping[int, Hardware]
) -> dict[int, HardwareSpace]:
    """The hardware for words of every width that has an oracle."""
    if not isinstance(oracles, Mapping) or not oracles:
        raise InvalidInput(f"oracles is {oracles!r}; it must be a dictionary of one oracle or more by bits of a word")
    for bits in oracles:
        check_positive_int("bits of a word in oracles", bits)
    if not isinstance(hardware, Mapping):
        return {bits: as_space(at_word_bits(hardware, bits)) for bits in oracles}
    if set(hardware) != set(oracles):
        raise InvalidInput(
            f"hardware is for words of {', '.join(map(str, hardware))} bits; it must be for those of the oracles, "
            f"{', '.join(map(str, oracles))}"
        )
    found = {bits: as_space(hardware[bits]) for bits in oracles}
    for bits, machines in found.items():
        if machines.base.mac_bits != bits:
            raise InvalidInput(
                f"mac_bits of {machines.base.name!r} is {machines.base.mac_bits}; as hardware for words of {bits} bits "
                f"it must be {bits}"
            )
    return found


def _answer(search: PairSearch, journal: Journal | None, listener: Listener) -> CoDesign:
    """A width's pair: as the journal has it, or found, and kept there where the search ended by itself."""
    if journal is None:
        return search.run(None, listener)
    known = journal.recall("answer", CoDesign.from_dict)
    if known is not None:
        with suppress(KeyboardInterrupt):  # there is nothing to stop
            listener(Progress("done", 1.0, known.value if known.status == "solved" else None, 0.0))
        return known
    found = search.run(journal, listener)
    if found.status != "interrupted":
        journal.record("answer", found.to_dict())
    return found


class _Telling:
    """Tells of each width's search as a part of the whole."""

    def __init__(self, listener: Listener, widths: int, *, least: bool) -> None:
        self.listener, self.widths = listener, widths
        self.better: Callable[[float, float], float] = min if least else max
        self.best: float | None = None
        self.begun = 0
        self.started = time.perf_counter()

    def next(self, bits: int) -> Listener:
        """The listener of the next search."""
        before, self.begun = self.begun, self.begun + 1

        def tell(progress: Progress) -> None:
            if progress.best is not None:
                self.best = progress.best if self.best is None else self.better(self.best, progress.best)
            self._tell(f"{bits} bits: {progress.phase}", (before + progress.done) / self.widths)

        return tell

    def end(self) -> None:
        """Tell that all is done."""
        self._tell("done", 1.0)

    def _tell(self, phase: str, done: float) -> None:
        self.listener(Progress(phase, done, self.best, time.perf_counter() - self.started))
