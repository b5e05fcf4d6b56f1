"""Timeloop's constraints on mappings, of the map space and of the architecture, as `Constraints`."""

from collections.abc import Mapping as Table

from dlco.errors import InvalidInput
from dlco.hardware.architecture import Architecture
from dlco.hardware.constraints import Constraints
from dlco.mapping.constraints import check_constraints, resolve, stated
from dlco.timeloop.architecture import container_names
from dlco.timeloop.document import Source, load, sections
from dlco.timeloop.stated import SECTIONS, SECTIONS_V4, stated_constraints
from dlco.workload.problem import Problem


def read_constraints(
    source: Source,
    problem: Problem | None = None,
    architecture: Architecture | None = None,
    containers: Table[str, str] | None = None,
) -> Constraints:
    """What a document fixes of the mappings to be searched.

    Read are `architecture_constraints`, `mapspace_constraints` (or `mapspace: constraints`), v0.4's `constraints`, and
    those that it writes into the nodes of `architecture`. A permutation fixes the innermost loops; `C=4` fixes a
    factor, `C<=4` limits it, and `C=0` stands for all that is left; a split puts the dimensions before it along X and
    those after it along Y. They hold for every layer of a network: what a layer has no dimension for is passed over.

    `read_architecture` reads those that stand in the architecture's own document.

    Args:
        source: path or text of a YAML document with at least one of these.
        problem: the constraints must fit it, where it is given.
        architecture: its levels and containers are what they target; it must be given.
        containers: as in `read_mapping`.

    Raises:
        InvalidInput: not such a document, two constraints on one thing, or constraints that nothing can meet.
        NotSupported: a kind of constraint that dlco does not model.

    Examples:
        >>> machine = dlco.hardware.generic()
        >>> text = "mapspace_constraints: [{target: RegisterFile, type: temporal, factors: R=0 S=0}]"
        >>> constraints = dlco.timeloop.read_constraints(text, architecture=machine)
        >>> constraints.slot("RegisterFile", "temporal").rest
        ('R', 'S')
    """
    if architecture is None:
        raise InvalidInput("architecture is not given; constraints target its levels")
    top = sections(source, "constraints")
    entry = load(source, "constraints")
    if not {*SECTIONS, *SECTIONS_V4, "architecture"} & entry.mapping().keys():
        raise entry.error(f"there are no constraints; they stand under {', '.join((*SECTIONS, *SECTIONS_V4))}")
    boxes = container_names(architecture) if containers is None else containers.items()
    constraints = stated_constraints(top, architecture, list(boxes), problem)
    if problem is not None:
        check_constraints(architecture, [problem], constraints)
        resolve(stated(architecture, constraints), problem, architecture)
    return constraints
