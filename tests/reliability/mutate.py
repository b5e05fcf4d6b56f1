"""Damage to files that a reader must survive: bytes, tokens, lines, trees, aliases, and what is packed in archives."""

import gzip
import io
import json
import random
import re
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

NASTY = (
    *(
        "1e999",
        "-1e999",
        ".nan",
        ".inf",
        "nan",
        "NaN",
        "Infinity",
        "-Infinity",
        "-1",
        "0",
        "1e-320",
        "0.1",
        "2147483648",
    ),
    *("9007199254740993", "9223372036854775807", "9223372036854775808", "1" + "0" * 400, "9" * 5000, "9**9**9", "1/0"),
    *(
        "__import__('os')",
        "[" * 50,
        "{" * 50,
        "[[[[]]]]",
        "{}",
        "[]",
        "null",
        "~",
        "true",
        "",
        "''",
        '"',
        "\u0000",
        "\ud7ff",
    ),
    *(
        "&a [*a, *a]",
        "*a",
        "<<: *a",
        "!!python/object/apply:os.system [x]",
        "!Container",
        "- ",
        "\t",
        "x: y",
        "C=0",
        "C=-1",
    ),
    *(
        "{{ 'a' * 10**9 }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{{ include_text('file.yaml') }}",
        "{{",
        "{% set a = 1 %}",
        "{{ a }}",
        "<<<: *a",
    ),
    *(
        "<!DOCTYPE a [<!ENTITY b 'c'>]>",
        "<a>",
        "</a>",
        "&b;",
        "]]>",
        "PE[0..99999999]",
        "PE[1..0]",
        "0x10",
        "1_000",
        "٣",
    ),
)
_TOKEN = re.compile(r"[\w.+-]+|\s+|[^\w\s]")
_LARGEST = 1 << 17


def mutate(data: bytes, kind: str, rng: random.Random) -> bytes:
    """A damaged copy.

    Args:
        data: the file.
        kind: "yaml", "json", "text", "gzip", "zip", "checkpoint" or "bytes": what it holds.
        rng: says where and how.
    """
    ways: list[Callable[[bytes, str, random.Random], bytes]] = [_bytes]
    if kind in ("yaml", "json", "text"):
        ways += [_tokens, _tokens, _lines]
    if kind in ("yaml", "json"):
        ways += [_tree] * 3
    if kind == "yaml":
        ways += [_aliases] * 2
    if kind in _PACKED:
        ways += [_PACKED[kind]] * 3
    for _ in range(rng.choice((1, 1, 1, 1, 1, 2, 3))):
        way = rng.choice(ways)
        data = way(data, kind, rng)
    return data if kind in _PACKED else data[:_LARGEST]


def _bytes(data: bytes, kind: str, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(damaged) + 1)
        end = min(len(damaged), at + rng.choice((0, 1, 1, 2, 8, 64)))
        damaged[at:end] = rng.choice((b"", rng.randbytes(rng.randint(1, 4)), bytes(damaged[at:end]) * 2))
    return bytes(damaged)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _tokens(data: bytes, kind: str, rng: random.Random) -> bytes:
    tokens = _TOKEN.findall(_text(data)) or [""]
    for _ in range(rng.choice((1, 1, 1, 3))):
        at = rng.randrange(len(tokens))
        tokens[at] = rng.choice((rng.choice(NASTY), rng.choice(tokens), "", tokens[at] * 2))
    return "".join(tokens).encode("utf-8", "replace")


def _lines(data: bytes, kind: str, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    change = rng.randrange(5)
    if change == 0:
        del lines[at : at + rng.randint(1, 4)]
    elif change == 1:
        lines[at:at] = lines[other : other + rng.randint(1, 4)] * rng.choice((1, 1, 2, 50))
    elif change == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif change == 3:
        lines[at] = b" " * rng.randint(0, 8) + lines[at].lstrip()
    else:
        del lines[at:]
    return b"\n".join(lines)


def _tree(data: bytes, kind: str, rng: random.Random) -> bytes:
    try:
        tree = json.loads(data) if kind == "json" else yaml.load(_text(data), Loader=yaml.CBaseLoader)
    except (ValueError, RecursionError, yaml.YAMLError):
        return _tokens(data, kind, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        tree = _damaged(tree, rng)
    try:
        if kind == "json":
            return json.dumps(tree).encode("utf-8", "replace")
        return yaml.dump(tree, Dumper=yaml.CDumper, sort_keys=False).encode("utf-8", "replace")
    except (ValueError, RecursionError, yaml.YAMLError):
        return _tokens(data, kind, rng)


def _aliases(data: bytes, kind: str, rng: random.Random) -> bytes:
    """One entry somewhere said over and over by aliases of aliases: the billion laughs, in place."""
    try:
        tree = yaml.load(_text(data), Loader=yaml.CBaseLoader)
        parent, key = rng.choice(_places(tree))
        laugh = parent[key]
        for _ in range(rng.choice((1, 2, 10, 40))):
            times = rng.choice((2, 9, 300))
            laugh = rng.choice(([laugh] * times, {str(i): laugh for i in range(times)}, {"<<": [laugh] * times}))
        parent[key] = laugh
        return yaml.dump(tree, Dumper=yaml.CDumper, sort_keys=False).encode("utf-8", "replace")
    except (ValueError, IndexError, RecursionError, yaml.YAMLError):
        return _tokens(data, kind, rng)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """(parent, key) of entries of a tree, the first thousand."""
    found: list[tuple[Any, Any]] = []
    for parent in (rest := [tree] if isinstance(tree, dict | list) else []):
        inner = list(parent.items() if isinstance(parent, dict) else enumerate(parent))
        found += [(parent, key) for key, _ in inner]
        rest += [value for _, value in inner if isinstance(value, dict | list)]
        if len(found) > 1000:
            break
    return found


def _gzip(data: bytes, kind: str, rng: random.Random) -> bytes:
    """Its content damaged, or grown to many times its size."""
    try:
        content = gzip.GzipFile(fileobj=io.BytesIO(data)).read(_LARGEST)
    except (OSError, EOFError, zlib.error):
        return _bytes(data, kind, rng)
    times = rng.choice((1, 1, 1, 1, 1, 2, 100, 20_000))
    if times == 1:
        content = mutate(content, "text", rng)
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        for _ in range(min(times, (1 << 27) // max(1, len(content)) + 1)):
            file.write(content)
    return packed.getvalue()


def _zip(data: bytes, kind: str, rng: random.Random) -> bytes:
    """One part damaged, dropped, said twice, or grown to many times its size."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = [(part.filename, archive.open(part).read(_LARGEST)) for part in archive.infolist()]
        at = rng.randrange(len(parts))
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zlib.error):
        return _bytes(data, kind, rng)
    change = rng.randrange(4)
    grown = rng.choice((0, 1, 200)) if change == 1 else 0
    if change == 0:
        del parts[at]
    elif change > 1:
        parts[at] = (parts[at][0], _bytes(parts[at][1], kind, rng))
    packed = io.BytesIO()
    way = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)) if not grown else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(packed, "w", way, compresslevel=1) as archive:
        for i, (name, content) in enumerate(parts):
            with archive.open(name, "w") as file:
                file.write(content)
                for _ in range(grown if i == at else 0):
                    file.write(bytes(1 << 20))
    return packed.getvalue()


def _checkpoint(data: bytes, kind: str, rng: random.Random) -> bytes:
    """One part of a checkpoint damaged, as bytes or as the archive that it is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        file = sqlite3.connect(path)
        try:
            rows = file.execute("SELECT * FROM parts").fetchall()
            columns = [row[1] for row in file.execute("PRAGMA table_info(parts)")]
            row = rng.choice(rows)
            column = rng.randrange(len(columns))
            value = row[column]
            if isinstance(value, bytes):
                value = (_zip if rng.random() < 0.5 else _bytes)(value, kind, rng)
            else:
                value = rng.choice(("", None, 1, "x" * 300, b"x"))
            file.execute(f"UPDATE OR IGNORE parts SET {columns[column]} = ? WHERE name = ?", (value, row[0]))
            file.commit()
        except (sqlite3.Error, IndexError, ValueError):
            return _bytes(data, kind, rng)
        finally:
            file.close()
        return path.read_bytes()


_PACKED = {"gzip": _gzip, "zip": _zip, "checkpoint": _checkpoint}


def _damaged(tree: Any, rng: random.Random) -> Any:
    """The tree with one entry somewhere replaced, dropped, doubled or swapped for another."""
    path: list[tuple[Any, Any]] = []
    here = tree
    while isinstance(here, dict | list) and here and (not path or rng.random() < 0.85):
        key = rng.choice(list(here)) if isinstance(here, dict) else rng.randrange(len(here))
        path.append((here, key))
        here = here[key]
    if not path:
        return _value(rng)
    parent, key = path[-1]
    change = rng.randrange(5)
    if change == 0:
        del parent[key]
    elif change == 1:
        parent[key] = _value(rng)
    elif change == 2:
        donor, other = rng.choice(path)
        parent[key] = deepcopy(donor[other] if rng.random() < 0.5 else list(donor)[:3])
    elif change == 3 and isinstance(parent, list):
        parent.extend([parent[key]] * rng.choice((1, 2, 30)))
    elif isinstance(parent, dict):
        parent[rng.choice((str(_value(rng)), str(key) + "x", ""))] = parent[key]
    else:
        parent[key] = [parent[key]]
    return tree


def _value(rng: random.Random) -> Any:
    return rng.choice(
        (
            *(None, True, False, 0, 1, -1, 2, 3, 2**31, 2**53 + 1, 2**63, 10**30, 10**400, 0.5, -0.0, 1e-300, 1e308),
            *(float("inf"), float("nan"), [], {}, [[]], [1, 2], {"a": 1}, "", "0", "x"),
            *(rng.choice(NASTY) for _ in range(6)),
        )
    )
