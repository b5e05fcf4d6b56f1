"""`from_csv` and `to_csv`: every type, what is forgiven, what is refused and where."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dlco
from dlco.errors import DlcoError, InvalidInput
from dlco.workload import NETWORKS

TABLE = """\
name,type,N,C,M,B,K,D,P,Q,H,W,T,R,S,stride,dilation,groups,count
a,conv2d,2,8,6,,,,5,7,,,,3,2,2,2x1,2,3
b,depthwise,,4,,,,,5,7,,,,3,3,,,,
c,linear,16,8,10,,,,,,,,,,,,,,4
d,matmul,5,,3,2,4,,,,,,,,,,,,
e,conv1d,,8,6,,,,5,,,,,3,,2,,,
f,conv3d,,8,6,,,2,5,7,,,2,3,3,1x2x2,,,
g,transposed,,8,6,,,,,,5,7,,3,3,2,,,
h,transposed1d,,8,6,,,,,,5,,,3,,2,,,
i,transposed3d,,8,6,,,2,,,5,7,2,3,3,2,,2,
"""
LAYERS = [
    dlco.conv2d("a", N=2, C=8, M=6, P=5, Q=7, R=3, S=2, stride=2, dilation=(2, 1), groups=2, count=3),
    dlco.depthwise_conv2d("b", C=4, P=5, Q=7, R=3, S=3),
    dlco.linear("c", N=16, C=8, M=10, count=4),
    dlco.matmul("d", B=2, M=3, K=4, N=5),
    dlco.conv1d("e", C=8, M=6, P=5, R=3, stride=2),
    dlco.conv3d("f", C=8, M=6, D=2, P=5, Q=7, T=2, R=3, S=3, stride=(1, 2, 2)),
    dlco.transposed_conv2d("g", C=8, M=6, H=5, W=7, R=3, S=3, stride=2),
    dlco.transposed_conv1d("h", C=8, M=6, H=5, R=3, stride=2),
    dlco.transposed_conv3d("i", C=8, M=6, D=2, H=5, W=7, T=2, R=3, S=3, stride=2, groups=2),
]


@pytest.fixture
def table(tmp_path):
    """Writes a table and gives its path."""

    def write(content):
        path = tmp_path / "net.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_every_type(table):
    network = dlco.from_csv(table(TABLE))
    assert list(network) == LAYERS
    assert (network.name, network.unmapped, network.mapped_share) == ("net", (), 1.0)


@pytest.mark.parametrize(
    "content",
    [
        "name,C,M\nx,8,4\n".replace("C,M", "C,M,type").replace("8,4", "8,4,linear"),
        "M;C;NAME;Kind\n4;8;x;FC\n",
        "\ufeffname\ttype\tM\tC\r\n\r\nx\tLinear\t4\t8\r\n",
        "# a comment\n\n name , C , M , type\n# another\nx, 8, 4.0, linear\n,,,\n",
        'name,C,M,type,\n"x",8,4,linear,\n',
        "name,C,M,type,count\nx,8,4,linear",
        "\n,,,\n  \nname,C,M,type\n\n;\n\t\nx,8,4,linear\n\n\n",
        "name,C,M,type\rx,8,4,linear\r",
        'name,C,M,type\n"x","8","4","linear"\n',
    ],
    ids=[
        "plain",
        "another order",
        "tabs and a mark",
        "comments",
        "quotes and an empty column",
        "a short row",
        "blank rows",
        "line ends of old",
        "quotes",
    ],
)
def test_what_is_forgiven(table, content):
    assert list(dlco.from_csv(table(content))) == [dlco.linear("x", C=8, M=4)]


HEAD = "name,type,N,C,M,P,Q,R,S,stride,groups,count\n"
BAD = {
    "nothing": ("", "is empty"),
    "no rows": (HEAD, "has no row"),
    "no column of names": ("type,C\nlinear,3\n", "line 1: there is no column 'name'"),
    "an unknown column": ("name,colour\nx,3\n", "line 1: unknown column 'colour'; allowed: name, type"),
    "a column twice": ("name,C,c\nx,3,4\n", "line 1: column 'C' is there twice"),
    "a row without a name": (HEAD + ",linear,,8,4\n", "line 2: name is empty"),
    "a name twice": (HEAD + "x,linear,,8,4\n\nx,linear,,8,5\n", "line 4: name is 'x', as on line 2"),
    "an unknown type": (HEAD + "x,lstm,,8,4\n", "line 2: type is 'lstm'; it must be one of conv2d"),
    "a size left out": (HEAD + "x,linear,,8,\n", "line 2: M is empty; a linear needs C, M"),
    "a size too many": (HEAD + "x,linear,,8,4,7\n", "line 2: P is given for a linear"),
    "no number": (HEAD + "x,linear,,8,four\n", "line 2: M is 'four'; it must be an integer"),
    "a fraction": (HEAD + "x,linear,,8,4.5\n", "line 2: M is '4.5'"),
    "zero": (HEAD + "x,linear,,8,0\n", "line 2: M is '0'"),
    "negative": (HEAD + "x,linear,,8,-4\n", "line 2: M is '-4'"),
    "too long a number": (HEAD + f"x,linear,,8,{10**40}\n", "line 2: M is '1000"),
    "groups that do not divide": (HEAD + "x,conv2d,,8,4,5,5,3,3,1,3\n", "line 2: groups of layer x is 3"),
    "too many strides": (HEAD + "x,conv2d,,8,4,5,5,3,3,1x2x3\n", "line 2: stride of layer x"),
    "too many cells": ("name,type,C,M\nx,linear,8,4,5\n", "line 2: 5 cells, but 4 columns"),
    "a quote left open": ('name,type,C,M\n"x,linear,8,4\n', "line 2: not a line of CSV"),
    "a name that a spreadsheet computes": (
        HEAD + "=cmd|' /C calc'!A0,linear,,8,4\n",
        "line 2: a layer's name is \"=cmd",
    ),
    "a name that a terminal obeys": (HEAD + "x\x1b[2J,linear,,8,4\n", r"line 2: a layer's name is 'x\x1b[2J'"),
    "a name that reads backwards": (HEAD + "x\u202eb,linear,,8,4\n", r"line 2: a layer's name is 'x\u202eb'"),
    "a name of two lines": (HEAD + "x\u2028b,linear,,8,4\n", r"line 2: a layer's name is 'x\u2028b'"),
    "a formula": (HEAD + "x,linear,,8,=2+2\n", "line 2: M is '=2+2'; it must be an integer"),
    "a thousand with a comma": (HEAD + 'x,linear,,8,"1,000"\n', "line 2: M is '1,000'; it must be an integer"),
    "digits of another script": (HEAD + "x,linear,,8,\u0663\n", "line 2: M is '\u0663'; it must be an integer"),
    "a cell without end": (HEAD + f"{'x' * 200000},linear,,8,4\n", "line 2: not a line of CSV: field larger"),
    "UTF-16": ("name,C,M,type\nx,8,4,linear\n".encode("utf-16"), "not a text file in UTF-8"),
    "bytes": (b"name,C\n\xff\xfe,3\n", "not a text file in UTF-8"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_refused(table, what):
    content, message = BAD[what]
    with pytest.raises(InvalidInput) as caught:
        dlco.from_csv(table(content))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_largest_numbers_are_counted_exactly(table):
    (layer,) = dlco.from_csv(table(f"name,type,M,K,N,count\nx,matmul,{10**15 - 1},{10**15 - 1},{10**15 - 1},7\n"))
    assert (layer.macs, layer.count) == ((10**15 - 1) ** 3, 7)


@pytest.mark.parametrize("path", ["missing.csv", ".", "a\0b", 7])
def test_what_is_no_file(path):
    with pytest.raises(InvalidInput, match="CSV file"):
        dlco.from_csv(path)


ALPHABET = st.sampled_from(
    [*"0123456789x#;\t\"'NCMKPQRS.- \r\0é", *["name", "type", "linear", "conv2d", "stride", ",", "\n"]]
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.lists(ALPHABET, max_size=60).map(lambda parts: "".join(parts).encode())))
def test_nothing_but_our_own_errors(table, content):
    with suppress(DlcoError):
        assert dlco.from_csv(table(content)).macs > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_survive_being_written(tmp_path, name):
    layers = NETWORKS[name](batch=2)
    dlco.to_csv(layers, tmp_path / "net.csv")
    assert list(dlco.from_csv(tmp_path / "net.csv")) == layers


def test_every_type_survives_being_written(tmp_path):
    dlco.to_csv(LAYERS, tmp_path / "net.csv")
    assert list(dlco.from_csv(tmp_path / "net.csv")) == LAYERS


def test_a_layer_that_no_row_can_say_is_refused(tmp_path):
    problem = dlco.linear("x", C=8, M=4).problem
    renamed = dlco.Problem(problem.dimensions, problem.bounds, problem.dataspaces, name="mine")
    with pytest.raises(InvalidInput, match="layer 'x' is none of the types"):
        dlco.to_csv([dlco.Layer("x", renamed)], tmp_path / "net.csv")
    with pytest.raises(InvalidInput, match="layer's name is '#1'"):
        dlco.to_csv([dlco.linear("1", C=8, M=4), dlco.linear("#1", C=8, M=4)], tmp_path / "net.csv")
    for name in ("=1+1", "@x", "+x", "-x", "a\x1bb", "a\nb", " a", ";"):
        with pytest.raises(InvalidInput, match="in a table it must be printable"):
            dlco.to_csv([dlco.linear(name, C=8, M=4)], tmp_path / "net.csv")
    assert not list(tmp_path.iterdir())
    with pytest.raises(InvalidInput, match="cannot be written"):
        dlco.to_csv(LAYERS, tmp_path / "no folder" / "net.csv")
