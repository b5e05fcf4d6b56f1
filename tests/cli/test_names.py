"""The names that the command line copies are those of the rooms that they belong to."""

from dataclasses import fields

from dlco.cli import arguments, evaluate, names, nas, simulate
from dlco.design.objective import GOALS, LIMITED, OBJECTIVES
from dlco.hardware import DRAM_KINDS, EYERISS_NORMALISED
from dlco.hardware.nodes import NODES
from dlco.hardware.presets import ARCHITECTURES
from dlco.mapping.kept import KEEPS
from dlco.nas.methods import METHODS
from dlco.nas.oracles.fit import KINDS
from dlco.optimize.effort import EFFORTS
from dlco.report.drawing.canvas import PICTURES
from dlco.simulate import TimingModel
from dlco.timeloop.yaml_text import VERSIONS
from dlco.workload import NETWORKS


def test_names_are_those_of_their_rooms() -> None:
    assert tuple(NETWORKS) == names.NETWORKS
    assert tuple(ARCHITECTURES) == names.MACHINES
    assert (*(f"{nm}nm" for nm in NODES), EYERISS_NORMALISED.name) == names.TECHNOLOGIES
    assert tuple(DRAM_KINDS) == names.DRAMS
    assert tuple(OBJECTIVES) == names.OBJECTIVES
    assert tuple(GOALS) == ("accuracy", *names.OBJECTIVES)
    assert LIMITED == names.LIMITED
    assert tuple(nas.SPACES) == names.SPACES
    assert tuple(METHODS) == names.METHODS
    assert tuple(KINDS) == names.PREDICTORS
    assert tuple(EFFORTS) == names.EFFORTS
    assert KEEPS == names.KEEPS
    assert tuple(evaluate.RULES) == names.RULES
    assert tuple(simulate.COPIES) == names.COPIES
    assert tuple(PICTURES) == names.PICTURES
    assert VERSIONS == names.VERSIONS
    (latency,) = (one.default for one in fields(TimingModel) if one.name == "dram_latency")
    assert latency == names.DRAM_LATENCY


def test_every_command_has_its_arguments() -> None:
    commands = next(action for action in arguments.make_parser()._actions if action.dest == "command")
    assert isinstance(commands.choices, dict)
    shown = arguments.make_parser().format_help()
    for command in commands.choices:
        assert f"\n    {command}" in shown
