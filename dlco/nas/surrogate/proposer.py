"""`Proposer`: which designs to look at next, by steps on a surrogate's inputs (BOSHNAS; BOSHCODE for pairs).

Tuli, Li, Sharma and Jha, "CODEBench", ACM TECS 2023 (arXiv:2212.03965). Designs are asked for in rounds. In each the
surrogate learns all that is known; points then descend on what it believes, less some of its doubt, from several
starts; the nearest designs are proposed, best first. Now and then the design that the surrogate doubts most takes such
a place, or one far from all that are known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.nas.draws import draw
from dlco.nas.surrogate.descent import descend
from dlco.nas.surrogate.designs import D, Designs
from dlco.nas.surrogate.model import Belief, Surrogate
from dlco.workload.problem import check_positive_int


@dataclass(frozen=True)
class Settings:
    """How a surrogate's search goes.

    Attributes:
        first: designs at random before the first round.
        doubtful, distant: probabilities that a place of a round goes to the design most in doubt (uncertainty
            sampling), or to the one furthest from the known ones (diversity sampling), of some drawn at random.
        curiosity: what a unit of doubt takes off the belief, where lower is better.
        caution: what a unit of noise adds to it once `stale` designs in a row have brought nothing better; below 0 it
            takes so much off.
        stale: how many that takes.
        fresh, best: starts of a descent: designs drawn anew, and the best known (0 for none).
        steps, rate: of a descent.
        pool: designs drawn to doubt, to be distant, and to teach the student at.
        around: designs that a round ranks in the end, about: those that the descent led to, and where these are known
            their neighbours.
        second_order, heteroscedastic, student: the three parts, each of which may be left out to see what it does.
        ranks: whether the surrogate learns the order of merits (`normal_scores`), or else their standard scores.
        neighbours: whether neighbours stand in for designs that a descent led to and that are known, the best one
            included.
        branches: whether networks and machines have a branch each of the surrogate's networks.

    Raises:
        InvalidInput: a count is not a positive integer, or the probabilities are none or exceed 1 together.
    """

    first: int = 10
    doubtful: float = 0.1
    distant: float = 0.1
    curiosity: float = 0.5
    caution: float = 0.5
    stale: int = 10
    fresh: int = 8
    best: int = 4
    steps: int = 16
    rate: float = 0.5
    pool: int = 64
    around: int = 64
    second_order: bool = True
    heteroscedastic: bool = True
    student: bool = True
    ranks: bool = True
    neighbours: bool = True
    branches: bool = False

    def __post_init__(self) -> None:
        for name in ("first", "stale", "fresh", "steps", "pool", "around"):
            check_positive_int(name, getattr(self, name))
        if type(self.best) is not int or self.best < 0:
            raise InvalidInput(f"best is {self.best!r}; it must be an integer, 0 or more")
        for name in ("doubtful", "distant"):
            if not 0 <= getattr(self, name) <= 1 or self.doubtful + self.distant > 1:
                raise InvalidInput(
                    f"{name} is {getattr(self, name)!r}; it must be a probability, at most 1 with the other one"
                )


PUBLISHED = Settings(
    first=5,
    caution=-0.5,
    stale=10,
    fresh=10,
    best=0,
    steps=200,
    pool=256,
    ranks=False,
    neighbours=False,
    branches=True,
)
"""BOSHNAS and BOSHCODE (with `branches`) as published, in what `Settings` say: the upper confidence bound counts noise
as it does doubt, descents begin at random and take 200 steps, and the nearest designs are proposed as they are."""


class Proposer(Generic[D]):
    """Proposes designs and is told how good they are.

    Args:
        designs: what may be proposed.
        settings: how.
        generator: of all that is drawn.

    Attributes:
        known: merits of the designs told, lower is better.
        surrogate: what it believes, in scores of the merits.
    """

    def __init__(self, designs: Designs[D], settings: Settings, generator: torch.Generator) -> None:
        self.designs, self.settings, self.generator = designs, settings, generator
        self.known: dict[D, float] = {}
        pool = designs.encode(designs.sample(settings.pool, generator))
        features = pool.shape[1]
        self.surrogate = Surrogate(
            designs.sides(features) if settings.branches else (features,),
            generator,
            heteroscedastic=settings.heteroscedastic,
            student=settings.student,
        )
        self._scores = normal_scores if settings.ranks else standard_scores
        self.surrogate.standardise(pool)
        self._since = 0

    def tell(self, designs: Sequence[D], merits: Sequence[float]) -> None:
        """Learn the merits of designs, lower is better; only their order counts."""
        for design, merit in zip(designs, merits, strict=True):
            self._since = 0 if merit < min(self.known.values(), default=torch.inf) else self._since + 1
            self.known[design] = merit

    def ask(self, n: int) -> list[D]:
        """At most `n` designs that are not known yet; fewer, or none, where no more were found."""
        missing = self.settings.first - len(self.known)
        if missing > 0:
            return self._new(self.designs.sample(2 * missing, self.generator))[:missing] or self._anything(n)
        pool = self._new(self.designs.sample(self.settings.pool, self.generator))
        self._learn(pool)
        kinds = torch.rand(n, generator=self.generator)
        doubtful = int((kinds < self.settings.doubtful).sum())
        distant = int((kinds >= 1 - self.settings.distant).sum())
        chosen = dict.fromkeys(self._doubtful(pool)[:doubtful] if doubtful else ())
        chosen |= dict.fromkeys(self._distant(pool)[:distant] if distant else ())
        for design in self._descended() if len(chosen) < n else ():
            if len(chosen) < n:
                chosen.setdefault(design)
        return list(chosen) or self._anything(n)

    def _learn(self, pool: list[D]) -> None:
        inputs = self.designs.encode(list(self.known))
        elsewhere = self.designs.encode(pool) if pool else inputs
        self.surrogate.fit(inputs, self._scores(list(self.known.values())), elsewhere)

    def acquisition(self, points: Tensor) -> Tensor:
        """What a descent makes low: belief less doubt, and plus noise where nothing better was found for long."""
        belief: Belief = self.surrogate(points)
        value = belief.mean - self.settings.curiosity * belief.doubt
        return value + self.settings.caution * belief.noise if self._since >= self.settings.stale else value

    def _descended(self) -> list[D]:
        """New designs near where points descended to, best first.

        Where the nearest design is known its neighbours stand in for it, and so for the best one known, unless
        settings leave that out.
        """
        settings = self.settings
        best = sorted(self.known, key=self.known.__getitem__)[: settings.best]
        starts = self.designs.encode(best + self.designs.sample(settings.fresh, self.generator))
        ends = descend(
            self.acquisition,
            starts,
            self.designs.project,
            steps=settings.steps,
            rate=settings.rate,
            generator=self.generator,
            second_order=settings.second_order,
        )
        nearest = self.designs.nearest(ends, self.generator)
        if not settings.neighbours:
            return self._ranked(self._new(nearest), self.acquisition)
        leader = sorted(self.known, key=self.known.__getitem__)[:1]
        near = self._ranked(list(dict.fromkeys(nearest + leader)), self.acquisition)
        found = dict.fromkeys(self._new(near))
        for design in near:
            if design in self.known and len(found) < settings.around:
                found |= dict.fromkeys(
                    draw(self._new(self.designs.neighbours(design)), self.generator, settings.around)
                )
        return self._ranked(list(found), self.acquisition)

    def _doubtful(self, pool: list[D]) -> list[D]:
        return self._ranked(pool, lambda points: -self.surrogate(points).doubt)

    def _distant(self, pool: list[D]) -> list[D]:
        known = self.designs.encode(list(self.known))
        return self._ranked(pool, lambda points: -torch.cdist(points, known, p=1).amin(1))

    def _ranked(self, designs: list[D], value: Callable[[Tensor], Tensor]) -> list[D]:
        if not designs:
            return []
        with torch.no_grad():
            order = value(self.designs.encode(designs)).argsort(stable=True)
        return [designs[i] for i in order.tolist()]

    def _new(self, designs: Sequence[D]) -> list[D]:
        return [design for design in dict.fromkeys(designs) if design not in self.known]

    def _anything(self, n: int) -> list[D]:
        """New designs wherever they are: neighbours of the known ones, best first."""
        for design in sorted(self.known, key=self.known.__getitem__):
            if new := self._new(self.designs.neighbours(design)):
                return draw(new, self.generator, min(n, self.settings.around))
        return self._new(self.designs.sample(self.settings.pool, self.generator))[:n]


def normal_scores(values: Sequence[float]) -> Tensor:
    """What as many standard normal draws would be expected to be, in the order of the values: `[n]`, float32.

    Merits of designs that break limits, and accuracies of networks that hardly learn, are far from all others; of
    their order nothing is lost. Equal values get equal scores. (Blom, 1958: quantiles at (rank - 3/8) / (n + 1/4).)
    """
    _, kinds, counts = torch.tensor(values, dtype=torch.float64).unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    rank = last - 0.5 * (counts - 1)
    return torch.special.ndtri((rank - 0.375) / (len(values) + 0.25))[kinds].float()


def standard_scores(values: Sequence[float]) -> Tensor:
    """Values less their mean, over their standard deviation: `[n]`, float32."""
    found = torch.tensor(values, dtype=torch.float64)
    deviation = found.std(correction=0)
    return ((found - found.mean()) / (deviation if deviation > 0 else 1.0)).float()


def round_size(limit: int) -> int:
    """Designs of a round where `limit` may be looked at in all: a hundred rounds or so, of 4 or more."""
    return max(4, limit // 100)
