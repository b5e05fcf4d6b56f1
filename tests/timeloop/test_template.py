"""Templates of the v0.4 front end: what they come to, where their lines come from, and that none of them explodes."""

from pathlib import Path

import pytest

from dlco.errors import InvalidInput
from dlco.timeloop import read_problem
from dlco.timeloop.document import load

BASE = """
problem_base_config: &problem_base
  version: 0.4
  shape:
    name: CNN_Layer
    dimensions: [C, M, R, P]
    coefficients: [{name: Wstride, default: 1}]
    data_spaces:
    - {name: Weights, projection: [[[C]], [[M]], [[R]]]}
    - {name: Inputs, projection: [[[C]], [[R], [P, Wstride]]]}
    - {name: Outputs, projection: [[[M]], [[P]]], read_write: true}
  instance: {C: 1, M: 1, R: 1, P: 1, Wstride: 1}
"""
LAYER = """{{include_text('../problem_base.yaml')}}
problem:
  <<<: *problem_base
  instance: {C: 3, P: 8, Wstride: 2}
  name: conv
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "problem_base.yaml").write_text(BASE)
    layers = tmp_path / "layers"
    layers.mkdir()
    return layers


def value(text: str) -> object:
    entry = load(f"a: 1\nb: {text}\n", "test").mapping()["b"]
    return entry.texts() if isinstance(entry.value, list) else entry.value


def test_a_layer_on_a_base_that_it_includes(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As the layers that go with Timeloop's example designs are written."""
    (folder / "layer.yaml").write_text(LAYER)
    problem = read_problem(folder / "layer.yaml")
    assert problem.sizes == {"C": 3, "M": 1, "R": 1, "P": 8}
    assert problem.dataspace("Inputs").projection == ((("C", 1),), (("R", 1), ("P", 2)))
    assert [message for message in caplog.messages if "problem_base" in message] == []  # aliases speak of it


@pytest.mark.parametrize(
    ("merge", "shown"),
    [
        ("<<<: *base", {"x": "1", "y": {"p": "1", "q": "9"}, "z": "3"}),
        ("<<: *base", {"x": "1", "y": {"q": "9"}, "z": "3"}),
        ("<<: [*base, {x: 5, w: 6}]", {"x": "1", "y": {"q": "9"}, "z": "3", "w": "6"}),
    ],
)
def test_merges(merge: str, shown: dict) -> None:
    tree = load(f"base: &base {{x: 1, y: {{p: 1, q: 2}}}}\nown:\n  {merge}\n  y: {{q: 9}}\n  z: 3\n", "test")

    def plain(entry: object) -> object:
        inner = entry.value  # type: ignore[attr-defined]
        return {key: plain(item) for key, item in inner.items()} if isinstance(inner, dict) else inner

    assert plain(tree.mapping()["own"]) == shown
    assert plain(tree.mapping()["base"]) == {"x": "1", "y": {"p": "1", "q": "2"}}  # the merge left it as it was


def test_a_deep_merge_takes_one_mapping() -> None:
    with pytest.raises(InvalidInput, match="line 2: <<< is a list; it must be a mapping"):
        load("base: &base {x: 1}\nown: {<<<: [*base]}\n", "test")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{ 2 + 3 * 4 }}", "14"),
        ("{% set n = 3 %}{{ n ** 2 }}", "9"),
        ("{{ 'x' ~ 1 ~ 'y' }}", "x1y"),
        ("{{ width|default(16) }}", "16"),
        ("{% if path_exists('no.yaml') %}1{% else %}2{% endif %}", "2"),
        ("[{% for i in range(3) %}{{ i }}, {% endfor %}]", ["0", "1", "2"]),
        ("{{ 7 // 2 if 1 < 2 else 0 }}", "3"),
    ],
)
def test_expressions(text: str, shown: object) -> None:
    assert value(text) == shown


def test_includes(folder: Path) -> None:
    (folder / "parts").mkdir()
    for name, number in (("one", 1), ("two", 2)):
        (folder / "parts" / f"{name}.yaml").write_text(f"classes: {{name: {name}, n: {{{{ {number} }}}}}}\n")
    (folder / "top.yaml").write_text(
        "{{ add_to_path('parts') }}\n"
        "shape: {{ include('../problem_base.yaml', 'problem_base_config.shape') }}\n"
        "both: {{ include_all('parts/*.yaml', 'classes.name') }}\n"
        "one: {{ include('one.yaml')}}\n"
        "where: \"{{ find_path('two.yaml') }}\"\n"
        'here: "{{ cwd() }}"\n'
    )
    top = load(folder / "top.yaml", "test").mapping()
    assert top["shape"].mapping()["dimensions"].texts() == ["C", "M", "R", "P"]
    assert top["both"].texts() == ["one", "two"]
    assert top["one"].mapping()["classes"].mapping()["n"].integer() == 1
    assert top["where"].text() == str(folder / "parts" / "two.yaml")
    assert top["here"].text() == str(folder)


def test_errors_name_the_file_and_line_that_they_speak_of(folder: Path) -> None:
    layer = folder / "layer.yaml"
    for text, sentence in (
        (LAYER.replace("C: 3", "C: x"), r"^layer.yaml, line 4: C is 'x'"),
        (LAYER.replace("C: 3", "C: {{ x }}"), r"^layer.yaml, line 4: 'x' is undefined"),
        (LAYER.replace("../prob", "prob"), r"^layer.yaml, line 1: 'problem_base.yaml' is included but not there"),
        ("# a\n" + LAYER.replace("  name", "{% if %}\n  name"), r"^layer.yaml, line 6: Expected an expression"),
        (
            "{% if 1 %}\n{% if 0 %}\nx\n{% endif %}\n{% endif %}\n" + LAYER + "  x: [",
            r"^layer.yaml, line 1\d: not valid",
        ),
    ):
        layer.write_text(text)
        with pytest.raises(InvalidInput, match=sentence):
            read_problem(layer)
    layer.write_text(LAYER)
    (folder.parent / "problem_base.yaml").write_text(BASE.replace("default: 1", "default: x"))
    with pytest.raises(InvalidInput, match=r"^problem_base.yaml, line 7: default is 'x'"):
        read_problem(layer)
    (folder.parent / "problem_base.yaml").write_text(BASE.replace("R: 1", "R: {{ r }}"))
    with pytest.raises(InvalidInput, match=r"^problem_base.yaml, line 12: 'r' is undefined"):
        read_problem(layer)


def test_includes_end(folder: Path) -> None:
    """Neither files that include themselves nor files that are no YAML come in."""
    (folder / "loop.yaml").write_text("a: 1\n{{ include_text('loop.yaml') }}\n")
    (folder / "wide.yaml").write_text("{{ include_text(['leaf.yaml'] + ['leaf.yaml'] * 3) }}\n")
    (folder / "wider.yaml").write_text("{% for i in range(300) %}{{ include_text('leaf.yaml') }}{% endfor %}\n")
    (folder / "leaf.yaml").write_text("x: 1\n")
    (folder / "secret.txt").write_text("x: 1\n")
    (folder / "text.yaml").write_text("{{ include_text('secret.txt') }}\n")
    (folder / "many.yaml").write_text("a: {{ include('*.yaml') }}\n")
    for name, sentence in (
        ("loop", "files include each other more than 20 deep"),
        ("wide", "is asked for; numbers within 64 bits go"),
        ("wider", "it includes more than 200 files"),
        ("text", "'secret.txt' is included; files end in .yaml"),
        ("many", r"finds \d files; include_all takes several"),
    ):
        with pytest.raises(InvalidInput, match=sentence):
            load(folder / f"{name}.yaml", "test")
    with pytest.raises(InvalidInput, match=r"test text, line 1: 'leaf.yaml' is included but not there"):
        load("{{ include_text('leaf.yaml') }}\n", "test")


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10**9 }}",
        "{{ [1] * 10**9 }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
        "{% set a = 'aaaaaaaaaaaaaaaa' %}" + "{% set a = a ~ a %}" * 60,
        "{% set a = [1, 2, 3, 4] %}" + "{% set a = a + a %}" * 60,
        "{% set a = 'x' ~ 'y' %}{% for i in range(9999) %}" + "{{ a }}" * 500 + "{% endfor %}",
        "{% set a %}b{% endset %}{{ a }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ 'a'.ljust(10**9) }}",
        "{{ 'a'|center(10**9) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ cwd.__globals__ }}",
        "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% include '/etc/passwd' %}",
        "{% import 'x' as x %}",
        "{{ include_text('/etc/passwd') }}",
        "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
        "{{ " + "9" * 5_000 + " }}",
        "{{ 2.0 ** 9999 }}",
        "{{ 1 / 0 }}",
        "{{ 1 +",
    ],
)
def test_templates_that_ask_for_too_much_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^test text"):
        value(text)


def test_marks_in_comments_make_no_template() -> None:
    assert load("a: 1 # {{ x }}\n# {% if %}\n", "test").mapping()["a"].integer() == 1
