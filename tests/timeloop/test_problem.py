"""Problems: every way of writing a projection, Timeloop's own shapes, and what is said of mistakes."""

import pytest

from dlco.errors import InvalidInput, NotSupported
from dlco.timeloop import read_problem, write_problem
from dlco.workload.problem import Dataspace, Problem


def projection(problem: str, text: str) -> Dataspace:
    return read_problem(problem.replace("[[[C]], [[R], [P, Stride]]]", text)).dataspace("Inputs")


def test_shape_and_instance(problem: str) -> None:
    read = read_problem(problem)
    assert read.name == "Conv1D"
    assert read.sizes == {"C": 4, "K": 6, "R": 3, "P": 8}
    assert read.dataspace("Inputs").projection == ((("C", 1),), (("R", 1), ("P", 2)))
    assert [space.read_write for space in read.dataspaces] == [False, False, True]


@pytest.mark.parametrize(
    "text",
    ["[C, R + P*Stride]", "[[C], [R, P*Stride]]", "[[[C]], [R, [P, 2]]]", "['C', 'R+2*P']", "[[[C]], [[R], [P], [P]]]"],
)
def test_ways_to_write_a_projection(problem: str, text: str) -> None:
    assert projection(problem, text).projection == ((("C", 1),), (("R", 1), ("P", 2)))


def test_keys_with_hyphens_and_names_that_other_yaml_readers_take_for_booleans() -> None:
    read = read_problem(
        "problem:\n  shape:\n    dimensions: [N, no, Y]\n    data-spaces:\n    - {name: on, projection: [N, no]}\n"
        "    - {name: off, projection: [Y], read-write: True}\n  instance: {N: 2, no: 3, Y: 1e1}\n"
    )
    assert read.sizes == {"N": 2, "no": 3, "Y": 10}
    assert [space.name for space in read.dataspaces] == ["on", "off"]


def test_own_shapes_of_timeloop() -> None:
    bounds = "R: 3, S: 3, P: 8, Q: 8, C: 4, N: 1"
    conv = read_problem(f"problem: {{shape: cnn-layer, {bounds}, K: 6, Wstride: 2}}")
    assert conv.dimensions == ("R", "S", "P", "Q", "C", "K", "N")
    assert conv.dataspace("Inputs").projection[2] == (("R", 1), ("P", 2))
    assert conv.dataspace("Outputs").read_write
    assert read_problem(f"problem: {{instance: {{{bounds}, M: 6}}}}").sizes["M"] == 6
    gemm = read_problem("problem: {shape: gemm_ABZ, instance: {M: 2, N: 3, K: 4}}")
    assert [gemm.words(space) for space in gemm.dataspaces] == [8, 12, 6]


def test_dense_densities_are_harmless(problem: str) -> None:
    dense = "Stride: 2, densities: {Inputs: {distribution: fixed, density: 1.0}, Weights: 1}"
    assert read_problem(problem.replace("Stride: 2", dense)) == read_problem(problem)
    with pytest.raises(NotSupported, match="dlco takes every dataspace to be dense"):
        read_problem(problem.replace("Stride: 2", "densities: {Inputs: 0.5}"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("P: 8", "P: 0", r"problem text, line 12: P is '0'; it must be an integer of at least 1"),
        ("P: 8, ", "", r"instance has no 'P'; every dimension \(C, K, R, P\) needs a bound"),
        ("P: 8", "P: 8, Z: 1", r"line 12: unknown key 'Z' in instance; allowed: C, K, R, P, Stride"),
        ("[P, Stride]", "[P, Stryde]", r"projection names coefficient 'Stryde'; the shape has Stride"),
        ("[[R], [P", "[[X], [P", r"projection names dimension 'X'; the problem has C, K, R, P"),
        ("[P, Stride]", "[P, Stride, R]", r"projection has a term of 3 words"),
        ("dimensions:", "dims:", r"unknown key 'dims' in shape; allowed: dimensions, data_spaces"),
        (", read_write: true", "", r"has no result; one must be read_write"),
        ("read_write: true", "read_write: maybe", r"read_write is 'maybe'; it must be true or false"),
        ("default: 1", "default: 0", r"default is '0'"),
        ("[C, K, R, P]", "[C, K, R, P, P]", r"dimensions is .*distinct names"),
        ("  shape:", "  shape: resnet\n  shepe:", r"shape is 'resnet'; allowed: cnn_layer, gemm_ABZ"),
    ],
)
def test_errors_name_place_value_and_what_is_allowed(problem: str, old: str, new: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read_problem(problem.replace(old, new, 1))


def test_coefficients_that_differ_for_one_dimension_get_names_of_their_own() -> None:
    spaces = (
        Dataspace("A", ((("P", 2), ("R", 3)), (("P", 5),))),
        Dataspace("B", ((("Wstride", 1), ("P", 1)),)),
        Dataspace("Z", ((("P", 1),), (("long_name", 1),)), read_write=True),
    )
    problem = Problem(("P", "R", "Wstride", "long_name"), (4, 3, 2, 7), spaces, name="a shape: odd")
    for version in ("0.3", "0.4"):
        assert read_problem(write_problem(problem, version)) == problem


def test_names_that_files_cannot_carry() -> None:
    problem = Problem(("P q",), (4,), (Dataspace("Z", ((("P q", 1),),), read_write=True),))
    with pytest.raises(InvalidInput, match="name of a dimension is 'P q'; Timeloop's files take letters"):
        write_problem(problem)
    with pytest.raises(InvalidInput, match=r"version is '0.5'; allowed: 0.3, 0.4"):
        write_problem(problem, "0.5")
