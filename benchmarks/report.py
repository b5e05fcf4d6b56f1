"""Make benchmarks/README.md of the results in benchmarks/results: nothing in it is typed by hand.

`python benchmarks/report.py` writes it, `--check` only says whether it is up to date (exit status 1 if not).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import RESULTS, load_results, shown

README = Path(__file__).resolve().parent / "README.md"
BENCHMARKS = (
    *("mapper", "optimal", "sensitivities", "ablation", "codesign", "wires", "dosa", "peers"),
    *("fusion", "pareto", "scaling", "load", "simulate", "silicon"),
    *("nas_predictors", "nas_transfer", "nas_rank", "nas_search", "nas_table_c100", "nas_arms", "nas_energy"),
    "nas_layers",
)
"""The results that there should be, in the order of their sections; others follow by name."""

HEAD = """\
# Benchmarks

Made by `python benchmarks/report.py` from the files in `results/`, which the benchmarks write; do not edit.
`make bench` runs them all and makes this page again. EDP is energy x time in pJ x cycles unless a table says otherwise.

Wires between levels cost nothing here, as in the tools that dlco is compared with: presets are made with `wires=False`.
"Wires in co-design" alone shows what they change; on the Eyeriss chip they are in what is measured.
"""


def readme() -> str:
    """The page, from the results that are there."""
    others = sorted(path.stem for path in RESULTS.glob("*.json") if path.stem not in BENCHMARKS)
    names = [*BENCHMARKS, *others]
    results = {name: load_results(name) for name in names}
    rows = [_summary(name, result) for name, result in results.items()]
    parts = [HEAD, _markdown(["benchmark", "what", "targets met", "date"], rows)]
    parts += [_section(result) for result in results.values() if result]
    return "\n".join(parts)


def _summary(name: str, result: dict[str, Any] | None) -> list[object]:
    if result is None:
        return [name, "not run", None, None]
    payload = result["payload"]
    met = [target["met"] for target in payload.get("targets", ())]
    score = f"{met.count(True)} of {len(met)}" if met else "none set"
    if unmeasured := met.count(None):
        score += f" ({unmeasured} not measured)"
    return [name, payload["title"], score, result["date"]]


def _section(result: dict[str, Any]) -> str:
    payload = result["payload"]
    parts = [f"## {payload['title']}\n", f"{payload['text']}\n", f"`{result['command']}`\n"]
    if targets := payload.get("targets"):
        keys = ("name", "target", "value", "met")
        rows = [[target[key] for key in keys] for target in targets]
        parts.append(_markdown(["target", "to reach", "measured", "met"], rows))
    for one in payload.get("tables", ()):
        parts += [f"### {one['title']}\n", _markdown(one["head"], one["rows"])]
    return "\n".join([*parts, _where(result)])


def _where(result: dict[str, Any]) -> str:
    machine = result["machine"]
    commit = f"commit `{result['commit']}`" if result["commit"] else "no commit known"
    if result["dirty"]:
        commit += " with changes not committed"
    gpu = machine["gpu"] or "no GPU"
    return (
        f"{result['date']}, {commit}; {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {gpu}; "
        f"load {machine['load_before']} before; Python {machine['python']}, torch {machine['torch']}, "
        f"{machine['torch_threads']} thread{'s' if machine['torch_threads'] != 1 else ''}.\n"
    )


def _markdown(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    cells = [[row[i] for row in rows if row[i] is not None] for i in range(len(head))]
    numeric = [bool(column) and all(isinstance(cell, int | float) for cell in column) for column in cells]
    rule = ["---:" if right else "---" for right in numeric]
    return "\n".join([line(head), line(rule), *(line([shown(cell) for cell in row]) for row in rows), ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="say whether the page is up to date; write nothing")
    options = parser.parse_args()
    text = readme()
    if not options.check:
        README.write_text(text, encoding="utf-8")
    elif not README.exists() or README.read_text(encoding="utf-8") != text:
        sys.exit(f"benchmarks/{README.name} is not what the results make: run python benchmarks/report.py")


if __name__ == "__main__":
    main()
