"""A figure as SVG with texts that a pointer brings up, for a page of its own or inside an HTML document."""

import re
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.text import Text

from dlco.texts import printable_lines

_HOVER = "hover:"  # begins the id of what has a text
_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_COORDINATES = ("d", "x", "y", "points", "width", "height")


def set_hover(artist: Artist, text: str) -> None:
    """Show a text where a pointer rests on the artist, in SVG; other formats know nothing of it."""
    artist.set_gid(_HOVER + printable_lines(text))


def show_plainly(figure: Figure) -> None:
    """Leave out of a figure's texts what nobody could see, and XML cannot hold."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(printable_lines(text.get_text()))


def hover_of(artist: Artist) -> str:
    """The text that `set_hover` gave it, or nothing."""
    gid = artist.get_gid() or ""
    return gid.removeprefix(_HOVER) if gid.startswith(_HOVER) else ""


def svg_document(figure: Figure) -> str:
    """The figure as a whole SVG file."""
    root = _drawn(figure, salt="file")
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def svg_fragment(figure: Figure, name: str, description: str) -> str:
    """The figure as an `svg` element of an HTML document, scaled to the room that it is given.

    Args:
        figure: with any artists.
        name: unique in the document: ids begin with it.
        description: for those who cannot see it.
    """
    root = _drawn(figure, salt=name)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": printable_lines(description)}
    for parent in root.iter():
        parent.tag = parent.tag.removeprefix(f"{{{_SVG}}}")
        if _LINK in parent.attrib:
            parent.attrib["href"] = parent.attrib.pop(_LINK)
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}style":  # would hold for the whole document
                parent.remove(child)
    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda m: m.group(0) if m.group(1) in used else "", text)
    return re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", text)


def _drawn(figure: Figure, salt: str) -> ElementTree.Element:
    """The figure's `svg` element: texts as text, coordinates short, hovers as titles, and nothing of when and where."""
    buffer = BytesIO()
    show_plainly(figure)
    settings: Any = {  # matplotlib's own type of its keys is in some versions only
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
        "font.monospace": ["DejaVu Sans Mono", "Menlo", "Consolas"],
        "hatch.linewidth": 0.5,
    }
    with rc_context(settings):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(buffer.getvalue())
    for parent in root.iter():
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}metadata":
                parent.remove(child)
        for key in _COORDINATES:
            if key in parent.attrib:
                short = _NUMBER.sub(lambda m: f"{float(m.group(0)):.2f}", parent.attrib[key])
                parent.attrib[key] = " ".join(short.split())
        parent.text = parent.text.strip() if parent.text else None
        parent.tail = None
        name = parent.attrib.get("id", "")
        if name.startswith(_HOVER):
            del parent.attrib["id"]
            parent.attrib["pointer-events"] = "all"  # also where nothing is painted
            title = ElementTree.Element(f"{{{_SVG}}}title")
            title.text = name.removeprefix(_HOVER)
            parent.insert(0, title)
    return root
