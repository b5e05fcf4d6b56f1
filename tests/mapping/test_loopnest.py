import re
from dataclasses import replace

from dlco.mapping import render_loop_nest


def test_the_nest_of_the_example(problem, machine, mapping):
    assert render_loop_nest(mapping, problem, machine) == "\n".join(
        [
            "DRAM [Weights 72, Inputs 68, Outputs 48]",
            "  for P in [0:2)",
            "Buffer [Inputs 36, Outputs 24]",
            "    for M in [0:3)",
            "      for P in [0:2)",
            "        for C in [0:2) (Spatial-Y)",
            "          for M in [0:2) (Spatial-X)",
            "Registers [Weights 6, Inputs 10, Outputs 2]",
            "            for P in [0:2)",
            "              for C in [0:2)",
            "                for R in [0:3)",
            "                  Outputs += Weights * Inputs",
        ]
    )


def test_without_a_problem_only_loops_are_shown(mapping):
    lines = str(mapping).splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["DRAM", "Buffer", "Registers"]
    assert lines[-1].strip() == "MAC"


def test_loops_multiply_to_the_bounds_and_none_is_of_one(problem, mapping):
    loops = re.findall(r"for (\w+) in \[0:(\d+)\)", render_loop_nest(mapping, problem))
    products = dict.fromkeys(problem.dimensions, 1)
    for dim, bound in loops:
        assert int(bound) > 1
        products[dim] *= int(bound)
    assert products == problem.sizes


def test_a_level_that_keeps_nothing_says_so(problem, mapping):
    everything = frozenset({"Weights", "Inputs", "Outputs"})
    text = render_loop_nest(replace(mapping, bypass=(frozenset(), everything, frozenset())), problem)
    assert "Buffer [keeps nothing]" in text


def test_a_loop_that_is_cut_short_the_last_time_says_so(problem, mapping):
    """Eight rows as 3 + 3 and 2: the Buffer's second tile has one child, and that one has two rows."""
    uneven = replace(mapping, temporal=((2, 1, 3, 3), (1, 3, 2, 1), (1, 1, 2, 1)))
    loops = [line.strip() for line in render_loop_nest(uneven, problem).splitlines() if "for P" in line]
    assert loops == [
        "for P in [0:2)",
        "for P in [0:2), the last time [0:1)",
        "for P in [0:3), the last time [0:2)",
    ]
    assert "DRAM [Weights 72, Inputs 68, Outputs 48]" in render_loop_nest(uneven, problem)
    assert "the last time" not in str(uneven) + render_loop_nest(mapping, problem)
