"""`SolveEffort`: how hard `solve` tries."""

from dataclasses import dataclass, field

from dlco.bound import BoundEffort
from dlco.exact import MachineEffort
from dlco.optimize.options import check_flag
from dlco.search.evolution import EvolutionEffort
from dlco.search.local_search import Effort
from dlco.workload.problem import check_count, check_positive_int


@dataclass(frozen=True)
class SolveEffort:
    """How hard `solve` tries; the defaults take about a minute for ResNet-18 on two cores.

    Attributes:
        starts: relaxed solves side by side; with 0 the search begins at random, and at solutions to start from.
        relax_rounds: solves of the relaxed problem at most, classes improved from each to the next.
        survey: random machines that are looked at beside those of the relaxed problem.
        evolution: of generations of machines near the best, which share mappings.
        machines: machines that are fitted for longer, the most promising of all these.
        roundings: roundings of every relaxed mapping.
        descents: machines from which the hardware is stepped; `steps`: steps of each at most.
        fit: search of the mappings of a rounded machine; `step`: of a machine one step away; `polish`: of the last.
        polishes: times the last search is repeated, the sizes stepped anew in between.
        bound: of every proof of a lower bound, whose real factors guide that search too.
        exact: whether the mappings of a machine are proved optimal, and machines bounded by such proofs, where the
            exact search covers them.
        batches: of such a search of one layer at most; more than what any layer of the networks takes on the presets.
        boxes: how far boxes of machines are searched in for that bound.
        tiles: with `fuse`, fronts of tiles of chains that are searched for on a machine at most.
        splits: with `fuse`, ranges of tilings that are split at most to bound what is left on a machine.
    """

    starts: int = 4
    relax_rounds: int = 4
    survey: int = 24
    evolution: EvolutionEffort = field(default=EvolutionEffort())
    machines: int = 4
    roundings: int = 4
    descents: int = 1
    steps: int = 12
    fit: Effort = field(default=Effort(rounds=40, patience=10, islands=4))
    step: Effort = field(default=Effort(rounds=16, patience=6, population=4, neighbours=12))
    polish: Effort = field(default=Effort(rounds=80, patience=20, population=16, neighbours=6, islands=16))
    polishes: int = 2
    bound: BoundEffort = field(default=BoundEffort())
    exact: bool = True
    batches: int = 2000
    boxes: MachineEffort = field(default=MachineEffort())
    tiles: int = 1000
    splits: int = 2000

    def __post_init__(self) -> None:
        for name in ("machines", "roundings", "descents", "batches"):
            check_positive_int(f"{name} of the effort", getattr(self, name))
        for name in ("starts", "relax_rounds", "survey", "steps", "polishes", "tiles", "splits"):
            check_count(f"{name} of the effort", getattr(self, name))
        check_flag("exact of the effort", self.exact)


EFFORTS = {
    "low": SolveEffort(
        starts=1,
        relax_rounds=2,
        survey=8,
        evolution=EvolutionEffort(generations=8),
        machines=2,
        roundings=2,
        steps=4,
        fit=Effort(rounds=20, patience=6, islands=2),
        step=Effort(rounds=8, patience=4, population=4, neighbours=12),
        polish=Effort(rounds=40, patience=10, population=8, neighbours=6, islands=6),
        polishes=1,
        bound=BoundEffort(nodes=400, side=60, boxes=0),
        batches=500,
        boxes=MachineEffort(boxes=10),
        tiles=500,
        splits=500,
    ),
    "normal": SolveEffort(),
    "high": SolveEffort(
        starts=8,
        survey=48,
        evolution=EvolutionEffort(generations=80, patience=20),
        machines=8,
        descents=2,
        fit=Effort(rounds=80, patience=16, islands=6),
        polish=Effort(rounds=160, patience=40, population=16, neighbours=6, islands=32),
        polishes=3,
        bound=BoundEffort(nodes=6000, side=500, boxes=8),
        batches=20_000,
        boxes=MachineEffort(boxes=400, gap=0.0),
        tiles=10_000,
        splits=20_000,
    ),
}
"""By name, as the command line has them: less than the defaults, these, and more."""
