"""Pictures: lengths follow figures, alarms are coloured, words are escaped and in the page's languages."""

import re
from xml.etree import ElementTree

import pytest

from audit.report_drawing import ALARM, COLOURS, Bars, Box, Columns, Drawing, Lineage, Mark, Span, Steps, Timeline
from audit.report_say import LANGUAGES, Say, same, sized

ATTACK = '</text><script>"&\u202e'
BYTES = Say("Bytes", "字节数")


def rectangles(svg: str, colour: str) -> list[dict[str, float]]:
    root = ElementTree.fromstring(svg)
    return [
        {name: float(each.attrib[name]) for name in ("x", "y", "width", "height")}
        for each in root.iter("rect")
        if each.attrib["fill"] == colour and float(each.attrib["height"]) != 12
    ]


def test_columns_stack_in_proportion() -> None:
    drawing = Columns(("a", "b"), ((same("x"), (10.0, 30.0)), (same("y"), (20.0, 0.0))), BYTES, same("day"))
    svg = drawing.svg(LANGUAGES)
    first, second = rectangles(svg, COLOURS[0])
    (stacked,) = rectangles(svg, COLOURS[1])
    assert second["height"] == pytest.approx(3 * first["height"], abs=0.2)
    assert stacked["height"] == pytest.approx(2 * first["height"], abs=0.2)
    assert stacked["y"] + stacked["height"] == pytest.approx(first["y"], abs=0.2)


def test_bars_end_with_their_sums() -> None:
    svg = Bars(("a", "b"), (same("x"), same("y")), ((1000.0, 500.0), (0.0, 0.0)), BYTES).svg(("en",))
    assert ">1,500</text>" in svg and ">0</text>" in svg
    assert len(rectangles(svg, COLOURS[0])) == 1


def test_what_lies_above_the_cap_is_an_alarm() -> None:
    under = Steps(((0, 0.5), (10, 0.9)), 1.0, same("ε"), same("cap 1")).svg(("en",))
    over = Steps(((0, 0.5), (10, 1.2), (20, 1.3)), 1.0, same("ε"), same("cap 1")).svg(("en",))
    solid = rf'<line [^>]*stroke="{ALARM}" stroke-width="2"/>'
    assert not re.findall(solid, under) and re.findall(solid, over)
    assert 'stroke-dasharray="6 4"' in under
    assert "stroke-dasharray" not in Steps(((0, 0.5),), None, same("ε"), same("")).svg(("en",))


def test_a_timeline_places_spans_and_marks() -> None:
    rows = (("a", (Span(0, 100, 0), Span(50, 100, 1)), (Mark(0, 0), Mark(100, 1))),)
    svg = Timeline(rows, (same("on"), same("off")), (same("start"), same("bad"))).svg(("en",))
    (running,), (silent,) = rectangles(svg, COLOURS[0]), rectangles(svg, ALARM)
    assert silent["width"] == pytest.approx(running["width"] / 2, abs=0.2)
    assert silent["x"] == pytest.approx(running["x"] + running["width"] / 2, abs=0.2)
    assert svg.count("<polygon") == 2


def test_a_lineage_joins_what_came_from_what() -> None:
    boxes = (Box(0, "data"), Box(1, "job", (0,)), Box(2, "model", (1,)))
    svg = Lineage((same("d"), same("j"), same("m")), boxes).svg(("en",))
    assert svg.count("<line") == 2 and svg.count('rx="4"') == 3


@pytest.mark.parametrize(
    "drawing",
    [
        Columns((ATTACK,), ((same(ATTACK), (1.0,)), (same("y"), (2.0,))), same(ATTACK), same(ATTACK)),
        Bars((ATTACK,), (same(ATTACK), same("y")), ((1.0, 2.0),), same(ATTACK)),
        Steps(((0, 1.0),), 1.0, same(ATTACK), same(ATTACK)),
        Timeline(((ATTACK, (), (Mark(5, 0),)),), (same(ATTACK),), (same(ATTACK),)),
        Lineage((same(ATTACK),), (Box(0, ATTACK),)),
    ],
)
def test_names_are_escaped_everywhere(drawing: Drawing) -> None:
    svg = drawing.svg(LANGUAGES)
    texts = [each.text or "" for each in ElementTree.fromstring(svg).iter("text")]
    assert any(text.startswith("</text><script>") and text.endswith("⟨U+202E⟩") for text in texts)
    assert "<script" not in svg and "\u202e" not in svg


@pytest.mark.parametrize(
    "drawing",
    [
        Columns((), (), BYTES, BYTES),
        Columns(("a",), ((same("x"), (0.0,)),), BYTES, BYTES, whole=True),
        Bars((), (), (), BYTES),
        Timeline((), (same("on"),)),
        Lineage((same("d"),), ()),
    ],
)
def test_nothing_to_draw_is_drawn_as_nothing(drawing: Drawing) -> None:
    ElementTree.fromstring(drawing.svg(("zh",)))


def test_words_follow_the_page() -> None:
    drawing = Bars(("a",), (BYTES, same("y")), ((1.0, 2.0),), BYTES)
    assert 'lang="en">Bytes<' in drawing.svg(LANGUAGES) and 'lang="zh">字节数<' in drawing.svg(LANGUAGES)
    assert "lang=" not in drawing.svg(("zh",)) and "Bytes" not in drawing.svg(("zh",))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (12_345, "12.3 kB"), (999_960, "1.00 MB"), (3.2e12, "3,200 GB")],
)
def test_sizes_have_three_digits(number: float, text: str) -> None:
    assert sized(number) == text


def test_a_legend_of_long_names_stays_inside() -> None:
    names = tuple(same("x" * 300) for _ in range(6))
    svg = Bars(("a",), names, ((1.0,) * 6,), BYTES).svg(("en",))
    assert "x" * 44 not in svg and "x" * 43 + "…" in svg
    assert max(float(each.attrib["x"]) for each in ElementTree.fromstring(svg).iter("rect")) < 720
