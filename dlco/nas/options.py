"""`CosearchOptions`: what `cosearch` takes by name beside what decides most."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from dlco.optimize.options import Options, RunOptions
from dlco.search import LayerCosts
from dlco.workload.problem import check_positive_int


class CosearchOptions(RunOptions, total=False):
    """What `cosearch` takes besides, by name; each may be left out.

    `device` and `constraints` are of all searches of mappings. On a given machine layers cost what their exact fronts
    say, with `imperfect`, `keep` and `uneven` as in `solve`. Where machines are free, layers' searches know even
    mappings of perfect factors that keep what is stated, so that these are of the final solve. So is `start`: layers
    of the pair that a solution has begin there. A
    checkpoint also keeps the oracle's answers; the oracle that resumes it must be the same (one without a gradient is
    told apart from others by its class only).

    Attributes:
        queries: networks that the oracle may be asked about; by default as many as come up.
        network: allow this network alone, by any method (a one-sided search).
        machine: allow this machine alone, by grid positions (the other one).
        costs: layers' costs found by earlier searches on the same hardware, for the same objective and limits.
    """

    queries: int | None
    network: Hashable | None
    machine: Sequence[int] | None
    costs: LayerCosts | None


@dataclass(frozen=True)
class CoOptions(Options):
    """`CosearchOptions` as they were given, or by default.

    Raises:
        InvalidInput: as `Options`, or the queries are no positive integer.
    """

    queries: int | None = None
    network: Hashable | None = None
    machine: Sequence[int] | None = None
    costs: LayerCosts | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.queries is not None:
            check_positive_int("queries", self.queries)
