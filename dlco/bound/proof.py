"""`LayerProof`: what a certificate proves of one layer, and the program that it rests on."""

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from dlco.bound.nodes import Node
from dlco.bound.program import Aim, Draft, draft
from dlco.bound.terms import LayerTerms
from dlco.errors import InvalidInput

if TYPE_CHECKING:
    import cvxpy


@dataclass(frozen=True)
class LayerProof:
    """A bound on one execution of a layer, in the price of time that decided the certificate.

    Attributes:
        layer: its name.
        energy, time: weights of pJ and of cycles.
        value: no mapping, on any machine, has `energy` x pJ + `time` x cycles below it: the least of the program that
            `problem` gives. (Where sizes are free it is that of the box of machines where the network's sum of these
            is least; in the other boxes layers may have less, but the network has not.)
        solved: whether `value` is of the program of that very class and box; otherwise a larger box proved it, and the
            program's optimum is above it.
        terms: the layer on the machines of that box; `node`: the class of its mappings whose bound is least.
        every: the layer on all machines.
        aim: what is minimised, and within which limits.
    """

    layer: str
    energy: float
    time: float
    value: float
    solved: bool
    terms: LayerTerms
    node: Node | None
    every: LayerTerms
    aim: Aim

    def problem(self, *, whole: bool = False, logs: bool = False) -> "cvxpy.Problem":
        """The geometric program behind the bound; solve it, and `bound_of` says what it comes to.

        By default that of the class of mappings and box of machines that the bound ends on, after branching: its
        optimum is `value`, to the solver's tolerance (not below it, where it is not `solved`).
        With `whole`, that of all mappings and all machines, before any branching: its optimum is at most `value`.

        Variables are named: factors "level.T.dim" (temporal) and "level.S.dim" (spatial, X times Y), free sizes as
        the space has them ("buffer.capacity"), and the time. Limits are labelled by what they say.

        Args:
            whole: whether of all mappings and machines.
            logs: whether in logarithms, for `problem.solve()`; otherwise in factors and sizes, log-log convex, for
                `problem.solve(gp=True)`. The objective there is exp(objective / unit), and the time's variable
                exp(cycles / unit): what is linear in logarithms has no other form (see `dlco.bound.modelled`).

        Raises:
            InvalidInput: the layer is a single multiplication, where there is nothing to choose.
            NotSupported: numbers too large for an exponential; with `logs` there is none.
        """
        from dlco.bound.modelled import Names, convex_problem, geometric_problem  # loads cvxpy

        drafted = self._drafted(whole)
        terms = self.every if whole else self.terms
        unit = f"cycles / {terms.scales[1]:g}"
        names = Names((*terms.names, unit if logs else f"exp({unit})"), drafted.rows, terms.split_names)
        return convex_problem(drafted.program, names) if logs else geometric_problem(drafted.program, names)

    def bound_of(self, problem: "cvxpy.Problem") -> float:
        """What a solved problem of this proof comes to, `energy` x pJ + `time` x cycles."""
        scale = self._drafted(whole=True).scale
        return scale * (log(problem.value) if problem.is_dgp() else float(problem.value))

    def _drafted(self, whole: bool) -> Draft:
        if self.node is None:
            raise InvalidInput(f"layer {self.layer!r} has no program: there is nothing to choose of its mapping")
        terms = self.every if whole else self.terms
        return draft(terms, Node((None,) * terms.levels) if whole else self.node, self.aim)
