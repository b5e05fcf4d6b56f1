"""The examples in docstrings are true. They find `dlco` as it is; everything else they import."""

import doctest
import importlib
import pkgutil

import pytest

import dlco

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL
MODULES = [
    module.name for module in pkgutil.walk_packages(dlco.__path__, "dlco.") if not module.name.startswith("dlco.__")
]
PUBLIC = """
    conv2d depthwise_conv2d conv1d transposed_conv2d linear matmul attention_scores Layer Problem macs parameters
    get_network resnet18 from_csv from_torch Level Architecture HardwareSpace eyeriss_like eyeriss_space get_hardware
    get_technology Mapping Constraints MapSpace evaluate CountingRules Budget solve nondominated read_problem
    write_architecture execute count_accesses Density NasBench201 ResNet kendall_tau FunctionAccuracy
""".split()
"""What must have an example."""


def found() -> list[doctest.DocTest]:
    """Every docstring with an example, by the module that defines it."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = []
    for name in MODULES:
        module = importlib.import_module(name)
        tests += [test for test in finder.find(module, name, extraglobs={"dlco": dlco}) if test.examples]
    return tests


@pytest.fixture(scope="module")
def examples() -> list[doctest.DocTest]:
    return found()


def test_examples_are_true(examples, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in examples:
        runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)
    assert runner.tries > 60


def test_the_main_names_have_one(examples):
    there = {test.name.rpartition(".")[2] for test in examples}
    assert [name for name in PUBLIC if name not in there] == []
