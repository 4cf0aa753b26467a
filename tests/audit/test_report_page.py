"""The page itself: hostile names do nothing, nothing is loaded, every row's proof can be checked without the log."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from audit.cli import main
from audit.report_answer import Answer, Moment, Table
from audit.report_page import Page, write_page
from audit.report_read import Scene
from audit.report_say import LANGUAGES, printed, same, shown
from privacy.log.record import Entry
from tests.audit.conftest import Exchange
from tests.audit.logs import named_store
from tests.audit.report_stories import PURPOSE, ReadPage, Story, alarm, decided, made_page, sent
from tests.privacy.logs import HandClock

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(2)>'
STYLE_END = "</style><svg onload=alert(3)>"
FORMULA = '=HYPERLINK("http://evil.example","x")'
ARABIC = "بنك"
# Elements and attributes of the page's own, of both languages and all drawings.
TAGS = {
    "html", "head", "meta", "title", "style", "body", "input", "main", "nav", "label", "header", "h1", "h2", "h3",
    "p", "span", "section", "dl", "dt", "dd", "div", "strong", "table", "caption", "thead", "tbody", "tr", "th",
    "td", "a", "br", "code", "bdi", "time", "figure", "figcaption", "svg", "text", "line", "rect", "polygon",
    "pre",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "type", "id", "checked", "for", "href", "title",
    "datetime", "download", "viewbox", "role", "font-size", "x", "y", "x1", "y1", "x2", "y2", "width", "height",
    "rx", "fill", "stroke", "stroke-width", "stroke-dasharray", "text-anchor", "points",
}  # fmt: skip


def hostile_page(root: Path) -> str:
    """Return the page of a log in which every text that a writer may choose is an attack."""
    story = Story(root)
    story.tell(decided(SCRIPT, reason=IMAGE, approvers=[FORMULA, STYLE_END]))
    story.tell(sent(SCRIPT, f"m-1{IMAGE}", 10, to=STYLE_END), sent("+1+cmd|' /C calc'!A0", "@m-2", 10, to=FORMULA))
    story.tell(alarm("mismatch", "critical", SCRIPT, notified_at=ARABIC), alarm("fork", "low", STYLE_END))
    registered = {
        "dataset": IMAGE, "schema_sha256": "5c" * 32, "class": "C1", "basis": FORMULA[:60], "unit_of_privacy": ARABIC,
        "retention_until": "-1+1",
    }  # fmt: skip
    story.tell(Entry("dataset.registered", registered))
    trained = {"dataset": IMAGE, "steps": 1, "ms": 1, "model_in_sha256": "00" * 32, "code_sha256": "00" * 32}
    story.tell(Entry("train.round", trained, PURPOSE, SCRIPT))
    released = {
        "version": SCRIPT, "sha256": "4d" * 32, "jobs": [SCRIPT, IMAGE], "metrics": [{"name": IMAGE, "value": "1"}],
        "validation_sha256": "7a" * 32, "approvers": [STYLE_END], "quorum_size": 3,
    }  # fmt: skip
    story.answer(Entry("model.released", released))
    story.close()
    return made_page(root / "r.html", story.bank, "--coordinator", story.coordinator, code=0)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    page = hostile_page(tmp_path)
    for language in LANGUAGES:
        read = ReadPage(page, language)
        assert read.tags <= TAGS, read.tags - TAGS
        assert read.attributes <= ATTRIBUTES, read.attributes - ATTRIBUTES
        assert len(read.questions) == 22
        assert any(SCRIPT in cell for row in read.questions[6].tables.popitem()[1] for cell in row)
    for attack in ("<script", "<img", "<svg onload", "javascript:"):
        assert attack not in page
    assert page.count("<style>") == page.count("</style>") == 1


def test_a_sheet_runs_no_cell(tmp_path: Path) -> None:
    cells = re.findall(r"<bdi[^>]*>([^<]*)</bdi>", hostile_page(tmp_path))
    assert any(cell.startswith("&#x27;=HYPERLINK") for cell in cells)
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []


@pytest.mark.parametrize(
    "hidden", ["\x1b[2J", "\u202e", "\u2066", "\u200f", "\x00", "\x9b", "\u2028", "\ufeff", "\udc80"]
)
def test_what_a_screen_obeys_is_spelt_out(hidden: str) -> None:
    for text in (printed(f"a{hidden}b"), shown(f"a{hidden}b"), printed(f"={hidden}", formula=True)):
        assert f"⟨U+{ord(hidden[0]):04X}⟩" in text
        assert hidden[0] not in text


def test_words_that_run_from_right_to_left_are_kept_apart() -> None:
    assert shown(ARABIC) == f"\u2068{ARABIC}\u2069"
    assert shown("bank") == "bank"
    assert len(shown("x" * 500)) == 120


def test_a_hostile_origin_and_path_stay_text(tmp_path: Path) -> None:
    folder = tmp_path / "\u202e<b>$(id)"
    store = named_store(folder, "<b>&'x", HandClock())
    store.append([decided("job-1"), sent("job-1", "m-1", 10)])
    store.close()
    page = made_page(tmp_path / "r.html", folder)
    assert "<b>" not in page and "\u202e" not in page and "⟨U+202E⟩" in page
    assert ReadPage(page, "en").logs[0][0] == "<b>&'x/privacy-log"


def test_nothing_is_loaded_and_nothing_runs(exchange: Exchange, tmp_path: Path) -> None:
    page = made_page(tmp_path / "r.html", exchange.node, "--coordinator", exchange.coordinator)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in page
    assert page.index("Content-Security-Policy") < page.index("<style>")
    links = set(re.findall(r'(?:href|src|action|poster|srcset|data)="([^"]*)"', page))
    assert all(link.startswith(("#", "data:text/plain;base64,")) for link in links)
    assert not re.search(r"url\(|@import|<script|\son\w+=|\sstyle=|https?://", page)


def test_every_link_inside_the_page_leads_somewhere(exchange: Exchange, tmp_path: Path) -> None:
    page = made_page(tmp_path / "r.html", exchange.node, "--coordinator", exchange.coordinator)
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)


def test_every_proof_on_the_page_holds_and_fits_its_leaf(exchange: Exchange, tmp_path: Path) -> None:
    page = made_page(tmp_path / "r.html", exchange.node)
    key = (exchange.node / "log.vkey").read_text().strip()
    found = re.findall(
        r'id="record-0-(\d+)"><td>#\d+</td><td><code>([0-9a-f]{64})</code></td><td><a download="([^"]*)" '
        r'href="data:text/plain;base64,([^"]*)"', page
    )  # fmt: skip
    assert len(found) > 5
    for seq, leaf, name, content in found:
        file = tmp_path / name
        file.write_bytes(base64.b64decode(content))
        assert main(["prove", "--check", str(file), "--vkey", key]) == 0
        extra = re.search(rb"^extra (.*)$", file.read_bytes(), re.MULTILINE)
        assert extra is not None
        record = base64.b64decode(extra[1])
        assert hashlib.sha256(b"\0" + record).hexdigest() == leaf
        assert f'"seq":{seq},'.encode() in record


def test_a_time_beyond_all_calendars_is_shown_as_a_number() -> None:
    words = same("x")
    table = Table(words, [words], [(Moment(2**63 * 10**6),), (Moment(0),)], 2)
    scene = Scene((), {}, {}, ((), ()), 0, pinned=False)
    page = "".join(write_page(Page(scene, [Answer(1, "listed", (words,), (table,))], [], ("en",), [])))
    rows = ReadPage(page, "en").questions[1].tables["x"]
    assert rows == [["9,223,372,036,854,775,808,000,000 µs"], ["1970-01-01 00:00:00"]]


def test_every_picture_stands_with_a_table(tmp_path: Path) -> None:
    questions = ReadPage(hostile_page(tmp_path), "en").questions
    drawn = [number for number, question in questions.items() if question.pictures]
    assert {1, 8, 14, 19} <= set(drawn)
    assert all(questions[number].tables for number in drawn)
