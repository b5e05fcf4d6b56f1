"""The Python blocks of the documentation's pages, and what the pages say that they print.

A page is a script: its blocks run in order and share their names. The text block behind a block of Python is its
output: under the title "prints" the output must be that; under any other title it is an example, which the speed of
the machine or a longer search may change. `python tests/docs/pages.py docs/tutorial.md` runs a page at full effort and
prints what it prints, to paste.
"""

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PRINTS = 'title="prints"'
NOT_RUN = "<!-- not run:"
_FENCE = re.compile(r"^```(\S*)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of Python.

    Attributes:
        line: of the page, where its code begins.
        code: the source.
        runs: whether a test runs it; the page says why not.
        output: what it prints, where the page says so.
    """

    line: int
    code: str
    runs: bool
    output: str | None


def blocks(page: Path) -> list[Block]:
    """The blocks of Python of a page, in order."""
    text = page.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    found = []
    for i, fence in enumerate(fences):
        language, _, code = fence.groups()
        if language != "python":
            continue
        before = text[: fence.start()].rstrip().rpartition("\n")[2]
        behind = fences[i + 1] if i + 1 < len(fences) else None
        shown = behind is not None and behind[1] == "text" and not text[fence.end() : behind.start()].strip()
        output = behind[3] if behind is not None and shown and behind[2] == PRINTS else None
        line = text.count("\n", 0, fence.start()) + 2
        found.append(Block(line, code, not before.startswith(NOT_RUN), output))
    return found


def run(page: Path, every: bool = False) -> Iterator[tuple[Block, str]]:
    """Run a page's blocks and yield each with what it printed; `every` runs those that tests leave out too."""
    names: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page):
        if not (block.runs or every):
            continue
        printed = io.StringIO()
        code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        yield block, printed.getvalue()


if __name__ == "__main__":
    for done, said in run(Path(sys.argv[1]), every=True):
        print(f"--- line {done.line}\n{said}", flush=True)
