"""Problems: every way of writing a projection, Timeloop's own shapes, and what is said of mistakes."""

from pathlib import Path

import pytest

from dlco.errors import InvalidInput, NotSupported
from dlco.timeloop import read_network, read_problem, write_problem
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
    gemm = read_problem("problem: {shape: gemm, instance: {M: 2, N: 3, K: 4}}")
    assert [(space.name, gemm.words(space)) for space in gemm.dataspaces] == [("A", 8), ("B", 12), ("C", 6), ("D", 6)]


def test_shapes_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Timeloop's folders come first, then what Timeloop ships, then files beside the problem."""
    beside, dirs, home = tmp_path / "beside", tmp_path / "dirs", tmp_path / "home" / "problem-shapes"

    def put(folder: Path, file: str, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        spaces = "[{name: A, projection: [X]}, {name: Z, projection: [Y], read-write: True}]"
        (folder / file).write_text(f"shape: {{name: {name}, dimensions: [X, Y], data-spaces: {spaces}}}\n")

    def name(shape: str) -> str:
        (beside / "layer.yaml").write_text(f"problem: {{shape: {shape}, instance: {{X: 2, Y: 3, M: 1, N: 1, K: 1}}}}\n")
        return read_problem(beside / "layer.yaml").name

    for variable in ("DIR", "PROBLEM_SHAPE_DIR", "PROBLEM_SHAPE_DIRS"):
        monkeypatch.delenv(f"TIMELOOP_{variable}", raising=False)
    put(beside, "my-shape.yaml", "mine")
    put(beside, "gemm.yaml", "not this one")
    assert [name("my-shape"), name("my-shape.yaml"), name("gemm")] == ["mine", "mine", "gemm"]
    assert read_network(beside / "layer.yaml")[0].problem.sizes == {"M": 1, "N": 1, "K": 1}
    put(home, "my-shape.yml", "home")
    put(dirs, "gemm.yaml", "dirs")
    monkeypatch.setenv("TIMELOOP_DIR", str(home.parent))
    monkeypatch.setenv("TIMELOOP_PROBLEM_SHAPE_DIRS", f"{tmp_path}/none:{dirs}")
    assert [name("my-shape"), name("gemm")] == ["home", "dirs"]
    monkeypatch.setenv("TIMELOOP_PROBLEM_SHAPE_DIR", str(beside))
    assert name("my-shape") == "mine"
    with pytest.raises(InvalidInput, match=r"shape is 'other'; allowed: .*or a file other.yaml beside the problem"):
        name("other")


def test_a_depthwise_shape_without_a_file_is_read_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    bounds = "R: 3, S: 3, P: 8, Q: 8, C: 4, N: 1, Hstride: 2"
    problem = read_problem(f"problem: {{shape: dw-cnn-layer, instance: {{{bounds}}}}}")
    assert "read as a depthwise convolution" in caplog.text
    assert [problem.words(space) for space in problem.dataspaces] == [36, 4 * 10 * 17, 256]


def test_dense_densities_are_harmless(problem: str) -> None:
    dense = "Stride: 2, densities: {Inputs: {distribution: fixed, density: 1.0}, Weights: 1}"
    assert read_problem(problem.replace("Stride: 2", dense)) == read_problem(problem)
    with pytest.raises(NotSupported, match="dlco takes every dataspace to be dense"):
        read_problem(problem.replace("Stride: 2", "densities: {Inputs: 0.5}"))


@pytest.mark.parametrize("form", ["{0}", "{{density: {0}}}", "{{distribution: fixed_structured, density: {0}}}"])
def test_densities_of_one_are_read_and_others_refused(problem: str, form: str) -> None:
    for key, value in (("commonDensity", form), ("densities", "{{Inputs: " + form + "}}")):
        dense, sparse = (problem.replace("P: 8", f"P: 8, {key}: " + value.format(x)) for x in ("1.0", "0.5"))
        assert read_problem(dense) == read_problem(problem)
        with pytest.raises(NotSupported, match=f"line 12: {key} are given; dlco takes every dataspace to be dense"):
            read_problem(sparse)


@pytest.mark.parametrize("widths", ["commonBitwidth: 8", "bitwidths: {Inputs: 4}", "datawidths: {Inputs: 4}"])
def test_widths_of_dataspaces_are_refused(problem: str, widths: str) -> None:
    with pytest.raises(NotSupported, match="dlco takes word widths from the architecture"):
        read_problem(problem.replace("P: 8", f"P: 8, {widths}"))


def test_keys_that_timeloop_does_not_look_up_are_passed_over(problem: str, caplog: pytest.LogCaptureFixture) -> None:
    tools = problem.replace("P: 8", "P: 8, H: 33, W: 33, Hpad: 1, Wpad: 1, Groups: 1, layer_id: 7").replace(
        "  shape:", "  dnn_name: net\n  notes: [a, b]\n  shape:"
    )
    tools = (
        tools.replace("name: Outputs,", "name: Outputs, ranks: [K, P], notes: x,")
        + "mapper: {threads: 8}\nlayout: []\n"
    )
    assert read_problem(tools) == read_problem(problem)
    told = " ".join(caplog.messages)
    for key in ("H", "W", "Hpad", "Wpad", "Groups", "layer_id", "dnn_name", "notes", "mapper", "layout"):
        assert f"'{key}'" in told
    assert "ranks" not in told
    caplog.clear()
    read_problem(problem)
    assert not caplog.messages


def test_a_coefficient_of_zero_leaves_its_dimension_out(problem: str) -> None:
    assert read_problem(problem.replace("Stride: 2", "Stride: 0")).dataspace("Inputs").projection == (
        (("C", 1),),
        (("R", 1),),
    )
    alone = projection(problem.replace("Stride: 2", "Stride: 0"), "[C, P*Stride]")
    assert alone.projection == ((("C", 1),),)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("P: 8", "P: 0", r"problem text, line 12: P is '0'; it must be an integer of at least 1"),
        ("P: 8, ", "", r"instance has no 'P'; every dimension \(C, K, R, P\) needs a bound"),
        ("P: 8", "P: 8, stride: 1", r"line 12: unknown key 'stride' in instance; allowed: Stride"),
        ("P: 8", "P: 8, Strides: 1", r"line 12: unknown key 'Strides' in instance; allowed: Stride"),
        ("P: 8", "P: 8, Sride: 1", r"line 12: unknown key 'Sride' in instance; allowed: Stride"),
        ("P: 8", "P: 8, p: 1", r"line 12: unknown key 'p' in instance; allowed: P"),
        ("P: 8", "P: 8, common-density: 1", r"line 12: unknown key 'common_density' in instance; allowed: commonDens"),
        ("[P, Stride]", "[P, Stryde]", r"projection names coefficient 'Stryde'; the shape has Stride"),
        ("[[R], [P", "[[X], [P", r"projection names dimension 'X'; the problem has C, K, R, P"),
        ("[P, Stride]", "[P, Stride, R]", r"projection has a term of 3 words"),
        ("dimensions:", "dims:", r"unknown key 'dims' in shape; allowed: dimensions, data_spaces"),
        (", read_write: true", "", r"has no result; one must be read_write"),
        ("read_write: true", "read_write: maybe", r"read_write is 'maybe'; it must be true or false"),
        ("default: 1", "default: -1", r"default is '-1'; it must be an integer of at least 0"),
        ("projection: [[[K]], [[P]]]", "projection: [[[K]], [[P]]], ranks: [K]", r"ranks has 1 names.* has 2 ranks"),
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
