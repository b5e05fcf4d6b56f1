from xml.etree import ElementTree

from matplotlib.figure import Figure

from dlco.report.drawing.svg import hover_of, set_hover, svg_document, svg_fragment

SVG = "{http://www.w3.org/2000/svg}"


def bars() -> Figure:
    figure = Figure(figsize=(2, 2))
    axes = figure.subplots()
    first, second = axes.bar([0, 1], [1, 2], hatch="//")
    set_hover(first, "a <b> & \x01c")
    set_hover(axes.scatter([0], [1], color="none"), "nothing painted")
    assert (hover_of(first), hover_of(second)) == ("a <b> &  c", "")
    return figure


def test_hovers_become_titles_of_what_they_belong_to():
    root = ElementTree.fromstring(svg_document(bars()))
    groups = {g.find(f"{SVG}title").text: g for g in root.iter(f"{SVG}g") if g.find(f"{SVG}title") is not None}
    assert set(groups) == {"a <b> &  c", "nothing painted"}
    for group in groups.values():
        assert group.get("pointer-events") == "all"
        assert len(list(group.iter())) > 2  # something is there to point at


def test_a_fragment_scales_and_holds_no_address():
    text = svg_fragment(bars(), "mine", 'what "it" shows')
    root = ElementTree.fromstring(text)
    assert root.tag == "svg"
    assert (root.get("width"), root.get("viewBox")) == (None, "0 0 144 144")
    assert root.get("aria-label") == 'what "it" shows'
    assert "http" not in text
    assert not list(root.iter("style"))


def test_ids_of_two_fragments_do_not_meet():
    one, other = (svg_fragment(bars(), name, "") for name in ("one", "other"))
    ids = [{e.get("id") for e in ElementTree.fromstring(text).iter() if e.get("id")} for text in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert all(name.startswith("one-") for name in ids[0])
    for text, own in zip((one, other), ids, strict=True):
        used = {part.split(")")[0] for part in text.split("url(#")[1:]}
        assert used <= own


def test_the_same_figure_is_written_alike():
    assert svg_document(bars()) == svg_document(bars())
    assert svg_fragment(bars(), "x", "") == svg_fragment(bars(), "x", "")
