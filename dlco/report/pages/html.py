"""The parts of a page: an HTML document that needs no other file, readable on a phone and on paper."""

from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from dlco.design.table import Table
from dlco.report.drawing.svg import svg_fragment
from dlco.texts import printable_lines

STYLE = """
:root{color-scheme:light}
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:#1a1a1a;background:#fff;
max-width:62rem;margin:0 auto;padding:0 1rem 3rem}
h1{font-size:1.6rem;line-height:1.2;margin:1.2rem 0 .4rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.2rem 0 .5rem;border-bottom:2px solid #0072b2;padding-bottom:.15rem}
nav{display:flex;flex-wrap:wrap;gap:.2rem .9rem;font-size:.9rem;margin:.6rem 0}a{color:#005a8e}
.lead{margin:.3rem 0;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.6rem;margin:1rem 0;padding:0}
.cards div{border:1px solid #bbb;border-radius:.4rem;padding:.5rem .7rem}
.cards .aim{border:2px solid #0072b2}.cards .over{border:2px dashed #d55e00}
.cards dt{font-size:.8rem;color:#444}.cards dd{margin:0;font-size:1.08rem;font-weight:600}
.cards small{display:block;font-weight:400;color:#444;font-size:.78rem}
figure{margin:1.2rem 0}figcaption{font-size:.88rem;color:#333;margin-top:.2rem}
.wide{overflow-x:auto;-webkit-overflow-scrolling:touch}
.wide table{font-size:.86rem;font-variant-numeric:tabular-nums;white-space:nowrap}
.wide tbody tr{background:#fff}.wide tbody tr:nth-child(even){background:#f5f5f5}
.wide td:first-child{position:sticky;left:0;background:inherit}
.pic svg{display:block;width:100%;min-width:34rem;height:auto}
.pic svg *{stroke-linejoin:round;stroke-linecap:butt}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;font-size:.9rem}.facts dt{color:#444}
.facts dd{margin:0;overflow-wrap:anywhere}
@media(max-width:30rem){.facts{grid-template-columns:1fr}.facts dd{margin:0 0 .4rem}}
details{border:1px solid #ccc;border-radius:.3rem;margin:.35rem 0;padding:.3rem .6rem}
summary{cursor:pointer;overflow-wrap:anywhere}
.nest{overflow-x:auto;margin:.4rem 0}.nest>div{min-width:max-content}
#tip{position:fixed;display:none;max-width:22rem;background:#222;color:#fff;font-size:.8rem;padding:.3rem .5rem;
border-radius:.3rem;pointer-events:none;z-index:9}
@media print{body{font-size:10.5pt;max-width:none;padding:0}nav{display:none}.pic svg{min-width:0}
.wide,.nest{overflow:visible}.wide td:first-child{position:static}.wide table{font-size:7.5pt}
figure,details,.cards{break-inside:avoid}
h2{break-after:avoid}}
"""
# Texts of the pictures beside the pointer or finger; without scripts the browser shows them by itself, as titles.
SCRIPT = """
(function(){
var tip=document.getElementById("tip");
document.querySelectorAll("svg g>title").forEach(function(t){
t.parentNode.setAttribute("data-tip",t.textContent);t.remove();});
function show(e){var g=e.target.closest&&e.target.closest("[data-tip]");
if(!g){tip.style.display="none";return;}
tip.textContent=g.getAttribute("data-tip");tip.style.display="block";
tip.style.left=Math.max(4,Math.min(e.clientX+12,innerWidth-tip.offsetWidth-4))+"px";
var top=e.clientY+14;if(top+tip.offsetHeight>innerHeight)top=e.clientY-tip.offsetHeight-10;
tip.style.top=Math.max(4,top)+"px";}
document.addEventListener("pointermove",show);document.addEventListener("pointerdown",show);
window.addEventListener("beforeprint",function(){
document.querySelectorAll("details").forEach(function(d){d.open=true;});});
})();
"""
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"  # nothing from elsewhere
)
Section = tuple[str, str, str]
"""An anchor, a heading and the section's HTML."""


def document(title: str, lead: str, sections: Sequence[Section]) -> str:
    """A whole HTML document.

    Args:
        title: text of the heading.
        lead: HTML between the heading and the first section.
        sections: what follows, listed at the top.

    What nobody could see of its texts is left out.
    """
    links = "".join(f'<a href="#{anchor}">{escape(heading)}</a>' for anchor, heading, _ in sections)
    body = "\n".join(
        f'<section id="{anchor}">\n<h2>{escape(heading)}</h2>\n{content}\n</section>'
        for anchor, heading, content in sections
    )
    return printable_lines(f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{lead}
<nav>{links}</nav>
{body}
<div id="tip" role="tooltip"></div>
<script>{SCRIPT}</script>
</body>
</html>
""")


def picture(figure: Figure, name: str, caption: str) -> str:
    """A figure drawn inside the page.

    Args:
        figure: what to draw.
        name: unique in the document.
        caption: how to read it.
    """
    drawn = svg_fragment(figure, name, caption)
    return f'<figure>\n<div class="pic wide">{drawn}</div>\n<figcaption>{escape(caption)}</figcaption>\n</figure>'


def table(rows: Table) -> str:
    """A table that scrolls by itself where the page is narrower."""
    return f'<div class="wide">{rows.to_html()}</div>'


def paragraphs(texts: Iterable[str]) -> str:
    """One paragraph a text."""
    return "\n".join(f'<p class="lead">{escape(text)}</p>' for text in texts if text)


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what they stand for; those that stand for nothing are left out."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs if text)
    return f'<dl class="facts">{items}</dl>'


def folded(summary: str, content: str) -> str:
    """HTML that opens at a click, under a line of text."""
    return f"<details><summary>{escape(summary)}</summary>\n{content}\n</details>"


def card(label: str, value: float, shown: str, notes: Sequence[str] = (), kind: str = "") -> str:
    """A figure in a list of class "cards": its label, its value as text, and small notes below."""
    mark = f' class="{kind}"' if kind else ""
    small = "".join(f"<small>{escape(note)}</small>" for note in notes)
    number = f'<data value="{value!r}">{escape(shown)}</data>'
    return f"<div{mark}><dt>{escape(label)}</dt><dd>{number}{small}</dd></div>"
