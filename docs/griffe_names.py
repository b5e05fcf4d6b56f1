"""For the API pages: an entry of a docstring that describes several names becomes an entry for each of them.

`read_pj, write_pj: pJ an access; `leak_pj`: pJ a cycle` under "Attributes" reads well in the source; griffe would take
the second name for the type of the first, and the third for a part of their description.
"""

import re
from typing import Any

from griffe import Extension, Object

SECTION = re.compile(r"^(?:Attributes|Args):\n((?: +\S.*\n?|\n(?= ))+)", re.MULTILINE)
ENTRY = re.compile(r"^    (\w+(?:, \w+)*): (.*(?:\n {5,}\S.*)*)$", re.MULTILINE)
FURTHER = re.compile(r"; (?=`\w+`: )|;\n +(?=`\w+`: )")


def one_each(docstring: str) -> str:
    """The docstring, as griffe has it without the source's indentation, with an entry a name."""
    return SECTION.sub(lambda section: section[0].replace(section[1], ENTRY.sub(_entries, section[1])), docstring)


def _entries(entry: re.Match[str]) -> str:
    """An entry for each name of one."""
    first, *further = FURTHER.split(entry[2])
    entries = [(name, first) for name in entry[1].split(", ")]
    entries += [tuple(part[1:].split("`: ", 1)) for part in further]
    return "\n".join(f"    {name}: {text.rstrip('.')}." for name, text in entries)


class Names(Extension):
    """Rewrites docstrings as griffe collects them."""

    def on_instance(self, *, obj: Object, **others: Any) -> None:
        """Take an object that was read."""
        if obj.docstring:
            obj.docstring.value = one_each(obj.docstring.value)
