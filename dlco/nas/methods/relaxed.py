"""The default method: the joint relaxation, rounded, then a search that steps both sides with exact layer costs.

The nonlinear program (`dlco.nas.joint_program`) proposes machines and probabilities of the options. Each start's
probabilities are rounded to several networks, improved on the program's own model, and evaluated on the start's machine
rounded to the grid. From the best pair on, every turn proposes

* machines: the best network on the machines a grid step away (`dlco.search.steps`, as `solve` steps them), and
* networks: on the best machine all layers are searched, and the networks that the model of their exact costs and of
  the accuracy likes best are evaluated;

and where neither helps, both at once: machines a few steps away with the networks that the model likes best there, and
pairs a few random changes away. Where the machine is fixed, exact costs of all layers on it take the program's place
from the start. Where the oracle has no gradient, a ridge regression fitted to the networks judged so far stands in for
it in the program and in the ranking; networks whose accuracy it only predicts rank by how much better they are likely
to be within the limit on accuracy. A small space's networks are all ranked.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from statistics import mean
from typing import Any

import torch

from dlco.errors import InvalidInput
from dlco.hardware.space import HardwareSpace
from dlco.journal import check_table, recorded
from dlco.nas.accuracy_model import AccuracyModel
from dlco.nas.draws import draw
from dlco.nas.evaluator import Evaluator
from dlco.nas.joint_program import RelaxedPairs, relax_jointly
from dlco.nas.listed import Listed
from dlco.nas.methods import METHODS
from dlco.nas.methods.local_search import walk
from dlco.nas.network_ranking import NetworkRanking
from dlco.nas.request import Candidate, CoRequest, Pair
from dlco.nas.rounding import round_network
from dlco.nas.space import FactoredSpace, Network
from dlco.relax import round_sizes
from dlco.search import BROKEN, MachineIndex, longest_reach, steps

STARTS, STEPS = 4, 160  # of the relaxation
ROUNDINGS = 4  # networks drawn from each start's probabilities; as many of their improvements are evaluated
DESIGN = 0.2, 10, 200  # where accuracy must be learned: share of the evaluations spent on pairs at random, least, most
PROPOSALS, LEARNING = 6, 16  # networks of a turn; where their accuracies are only learned
LIKELY = 1e-5  # of the objective, about: an improvement that is worth an evaluation
LISTED = 20_000  # networks of a space that are all ranked, at most
MACHINES = 10  # of a turn
BOTH = 3  # machines of a turn that are looked at with other networks at once
WALKS = 16  # pairs of a turn that only chance proposes


def search(request: CoRequest, evaluator: Evaluator, seed: int) -> None:
    """Relax, round, search.

    Raises:
        InvalidInput: the space has no factors, or the hardware no mappings, so there is nothing to relax.
    """
    if not isinstance(request.space, FactoredSpace) or not applies(request):
        lacks = "hardware that layers are mapped on, and AccelBench's has a mapping of its own"
        if not isinstance(request.space, FactoredSpace):
            lacks = f"a space with factors, and {request.space.name!r} has none"
        allowed = ", ".join(method for method in METHODS if method != "relaxed")
        raise InvalidInput(f"method 'relaxed' needs {lacks}; allowed: {allowed}")
    _Search(request, request.space, evaluator, seed).run()


def applies(request: CoRequest) -> bool:
    """Whether a question can be relaxed: its space has factors, and its hardware mappings."""
    return isinstance(request.space, FactoredSpace) and isinstance(request.hardware, HardwareSpace)


class _Search:
    """One run: the model of accuracies, and what has been tried from where."""

    def __init__(self, request: CoRequest, space: FactoredSpace, evaluator: Evaluator, seed: int) -> None:
        self.request, self.space, self.evaluator = request, space, evaluator
        self.generator = torch.Generator().manual_seed(seed)
        self.accuracy = AccuracyModel(request)
        self.reach = longest_reach(request.sized_hardware) if request.machine is None else 0
        few = prod(space.option_counts) <= LISTED and request.network is None
        self._listed = Listed(space) if few else None
        evaluator.costs.prepare(space.layers)

    def run(self) -> None:
        """Until the evaluator has enough."""
        if not self.accuracy.exact:
            self._design()
        if not self._start_on_fixed_machine():
            name = f"relaxation {self.evaluator.evaluations}"
            relaxed, state = recorded(self.evaluator.journal, name, self._relax, self._relaxed)
            self.generator.set_state(state)
            self._round(relaxed)
        while True:
            best = self._best()
            self.accuracy.learn(self.evaluator.judged)
            if self._is_machines_turn(best):
                self._step_machine(best)
            self._step_network(self._best().pair.machine, [self._best().pair.network])
            if self._best() is best:
                self._step_both(best)
                self._walk(best)

    def _is_machines_turn(self, best: Candidate) -> bool:
        """Whether another machine alone could make the best pair better: it changes no accuracy."""
        if self.request.by_accuracy and best.feasible:
            return False
        return best.accuracy >= (self.request.least_accuracy or 0.0)

    def _start_on_fixed_machine(self) -> bool:
        """Where only networks are searched for, exact costs of all layers stand in for the program, if affordable."""
        machine = self.request.machine
        if machine is None or self.request.network is not None:
            return False
        starts = self.request.sample_networks(STARTS * ROUNDINGS, self.generator)
        if self.evaluator.worth(self.space.layers, machine, self._typical(starts)) > self.evaluator.left // 2:
            return False
        self._step_network(machine, starts)
        return True

    def _typical(self, networks: Sequence[Network]) -> float:
        """Layers of a network, on average."""
        return mean(len(self.evaluator.layers(network)) for network in networks)

    def _relax(self) -> dict[str, Any]:
        """The relaxation's tables, and the generator as it leaves it."""
        relaxed = relax_jointly(
            self.request,
            self.accuracy,
            starts=STARTS,
            steps=STEPS,
            generator=self.generator,
            tick=lambda share: self.evaluator.on_call(),
        )
        return {"relaxed": dict(vars(relaxed)), "generator": self.generator.get_state()}

    def _relaxed(self, plain: dict[str, Any]) -> tuple[RelaxedPairs, torch.Tensor]:
        """(the relaxation, the generator's state after it) of what `_relax` returns."""
        relaxed = RelaxedPairs(**plain["relaxed"])
        starts, layers = len(relaxed.value), len(self.space.layers)
        columns = {"probabilities": sum(self.space.option_counts), "sizes": None, "energy_pj": layers, "cycles": layers}
        for name in ("value", "violation"):
            check_table(name, getattr(relaxed, name), (starts,))
        for name, wide in columns.items():
            check_table(name, getattr(relaxed, name), (starts, wide))
        torch.Generator().set_state(plain["generator"])
        return relaxed, plain["generator"]

    def _best(self) -> Candidate:
        assert self.evaluator.best is not None
        return self.evaluator.best

    def _design(self) -> None:
        """Pairs at random, to learn accuracies from."""
        share, least, most = DESIGN
        n = max(least, min(most, round(share * self.evaluator.left)))
        if self.request.network is not None:
            n = 1
        networks = list(dict.fromkeys(self.request.sample_networks(n, self.generator)))
        machines = self.request.sample_machines(1, self.generator) * len(networks)
        self.evaluator.evaluate([Pair(a, m) for a, m in zip(networks, machines, strict=True)])
        self.accuracy.learn(self.evaluator.judged)

    def _round(self, relaxed: RelaxedPairs) -> None:
        """Networks and machines near the relaxation's, all starts; the machines of the good ones with all networks."""
        for start in range(len(relaxed.value)):
            machine = self._machine(relaxed.sizes[start])
            ranking = NetworkRanking(
                self.request,
                self.accuracy,
                relaxed.energy_pj[start][None],
                relaxed.cycles[start][None],
                self.evaluator.costs.build([machine]).area_mm2[0],
            )
            drawn = round_network(self.space, relaxed.probabilities[start], ROUNDINGS, self.generator)
            networks = ranking.best_networks(drawn, ROUNDINGS, self.generator)
            self.evaluator.evaluate([Pair(network, machine) for network in networks])

    def _machine(self, sizes: torch.Tensor) -> MachineIndex:
        if self.request.machine is not None:
            return self.request.machine
        index = round_sizes(self.request.sized_hardware, sizes, self.request.score.machine_excess)
        return tuple(index.tolist())

    def _step_machine(self, best: Candidate) -> None:
        """The best network on machines nearby: those of the present reach, a smaller one where none is left."""
        while self.request.machine is None:
            index = torch.tensor(best.pair.machine)
            near = steps(self.request.sized_hardware, index, self.reach, self.request.within)
            pairs = self._untried([Pair(best.pair.network, tuple(row)) for row in near.tolist()])
            singles = [p for p in pairs if self._changes(p.machine, best.pair.machine) == 1]
            chosen = draw(singles, self.generator, MACHINES) or draw(pairs, self.generator, MACHINES)
            if chosen:
                self.evaluator.evaluate(chosen)
                return
            if self.reach == 1:
                return
            self.reach = (self.reach + 1) // 2

    def _step_network(
        self, machine: MachineIndex, starts: Sequence[Network], better_than: float = float("inf")
    ) -> None:
        """The networks near some that rank best on a machine, and better than so, with its layers' exact costs."""
        if self.request.network is not None:
            return
        self.evaluator.search_layers(self.space.layers, machine, self._typical(starts))
        ranking = self._ranking(machine)

        def tried(network: Network) -> bool:
            return Pair(network, machine) in self.evaluator.candidates

        n = PROPOSALS if self.accuracy.exact else LEARNING
        if self._listed:
            networks, merits = self._listed.best(ranking, n, tried)
        else:
            networks = ranking.best_networks(starts, n, self.generator, tried)
            merits = ranking.merits(networks).tolist() if networks else []
        least = better_than if ranking.known_best is None else -LIKELY
        self.evaluator.evaluate(
            [Pair(one, machine) for one, merit in zip(networks, merits, strict=True) if merit < least]
        )

    def _step_both(self, best: Candidate) -> None:
        """Machines a few steps away, each with the networks that rank best there, where the model likes them better."""
        if self.request.network is not None or self.request.machine is not None:
            return
        for i in range(BOTH):
            machine = best.pair.machine
            for _ in range(1 + i % 3):
                (machine,) = draw(self.request.neighbour_machines(machine), self.generator, 1) or [machine]
            self._step_network(machine, [best.pair.network], better_than=best.merit)

    def _ranking(self, machine: MachineIndex) -> NetworkRanking:
        """Networks on a machine on which all layers have been searched."""
        ranking = NetworkRanking.on(self.request, self.accuracy, self.evaluator.costs, machine)
        asked, best = self.request.least_accuracy is not None, self.evaluator.best
        if self.accuracy.exact or not asked or self.request.by_accuracy or self.request.weights or best is None:
            return ranking
        return replace(ranking, known_best=best.merit) if best.feasible else ranking

    def _walk(self, best: Candidate) -> None:
        """Pairs a few changes away.

        Where accuracies are only learned, the regression may err about networks close by: half of the pairs are some
        of those, one decision away, that keep the limits on the best machine.
        """
        pairs: list[Pair] = []
        if not self.accuracy.exact and (near := self.request.neighbour_networks(best.pair.network)):
            keep = self._ranking(best.pair.machine).scores(near) < BROKEN
            close = [Pair(n, best.pair.machine) for n, kept in zip(near, keep.tolist(), strict=True) if kept]
            pairs = draw(self._untried(close), self.generator, WALKS // 2)
        pairs += [walk(self.request, best.pair, 1 + i % 3, self.generator) for i in range(WALKS - len(pairs))]
        self.evaluator.evaluate(self._untried(pairs) or pairs)

    def _untried(self, pairs: Sequence[Pair]) -> list[Pair]:
        return [pair for pair in dict.fromkeys(pairs) if pair not in self.evaluator.candidates]

    @staticmethod
    def _changes(one: MachineIndex, other: MachineIndex) -> int:
        return sum(a != b for a, b in zip(one, other, strict=True))
