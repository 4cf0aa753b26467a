"""Logs whose truth is known, told record by record, and a reader of the page that speaks about them.

`Story` keeps a bank's and the coordinator's log on disk by the stores that ship. `ReadPage` reads a report as a person
would who sees one language: verdicts, sentences and tables of each question.
"""

import html.parser
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from audit.cli import main
from audit.report_say import Language
from coordinator.log_store import LogStore
from node.budget import spend_entry
from node.record_store import RecordStore
from privacy.accountant import PrivacyEvent
from privacy.ledger import Cap, Ledger, Release
from privacy.log.record import Actor, Entry
from tests.audit.logs import coordinator_store, named_store
from tests.privacy.logs import HandClock

__all__ = [
    "ADMIN",
    "HOUR_US",
    "PURPOSE",
    "Question",
    "ReadPage",
    "Story",
    "alarm",
    "decided",
    "made_page",
    "sent",
    "spends",
]

HOUR_US = 3_600_000_000
PURPOSE = "credit-risk-model"


@dataclass
class Story:
    """One bank's log and the coordinator's, written side by side under one clock that the test moves."""

    root: Path
    member: str = "bank-a"
    clock: HandClock = field(default_factory=HandClock)
    bank_store: RecordStore = field(init=False)
    peer_store: LogStore = field(init=False)

    def __post_init__(self) -> None:
        self.bank_store = named_store(self.bank, self.member, self.clock)
        self.peer_store = coordinator_store(self.coordinator, self.clock)

    @property
    def bank(self) -> Path:
        return self.root / "bank"

    @property
    def coordinator(self) -> Path:
        return self.root / "coordinator"

    def tell(self, *entries: Entry) -> None:
        """Append to the bank's log, one millisecond later."""
        self.clock.pass_us(1_000)
        self.bank_store.append(list(entries))

    def answer(self, *entries: Entry) -> None:
        """Append to the coordinator's log."""
        self.clock.pass_us(1_000)
        self.peer_store.append(list(entries))

    def close(self) -> "Story":
        self.bank_store.close()
        self.peer_store.close()
        return self


def decided(job: str, accepted: bool = True, **more: Any) -> Entry:
    body = {
        "job": job, "decision": "accepted" if accepted else "refused",
        "reason": "within the permit" if accepted else "the permit does not allow the purpose 'marketing'",
        "spec_sha256": "5a" * 32, "code_sha256": "c0" * 32, "min_cohort": 4, "approvers": ["permit"], **more,
    }  # fmt: skip
    return Entry("job.decided", body, PURPOSE if accepted else "marketing", job)


def sent(job: str, name: str, size: int, kind: str = "secagg.upload", **more: Any) -> Entry:
    """Return the record of one payload that leaves the bank."""
    protection = {"secagg.upload": "masked", "secagg.consent": "vote"}.get(kind, "signed")
    more = {"ask_sha256": "ab" * 32, **more} if kind == "secagg.upload" else more
    body = {
        "msg_id": name, "to": "coordinator", "bytes": size, "payload_kind": kind, "protection": protection,
        "payload_sha256": "ab" * 32, "manifest_sha256": "5a" * 32, **more,
    }  # fmt: skip
    return Entry("egress.authorised", body, PURPOSE, job)


def alarm(kind: str, severity: str, evidence: str, **more: Any) -> Entry:
    return Entry("alarm.raised", {"class": kind, "severity": severity, "evidence": evidence, **more})


def spends(caps: tuple[str, ...]) -> list[Entry]:
    """Return one release per cap out of the bank's own ledger; a cap may be below what was spent."""
    ledger, entries = Ledger("bank-a/privacy-log"), []
    for number, cap in enumerate(caps):
        event = PrivacyEvent("train", 4000, 12, 40)
        release = Release("job-1", 1, number, number, "ask", "ab" * 32, "loans-2026", event)
        made, line = ledger.reserve(release, Cap("8", "0.00001", 2), 240 * HOUR_US + number)
        ledger.take(line)
        entry = spend_entry(made, Cap("8", "0.00001", 2), PURPOSE, ledger.heads[made.number].hex())
        entries.append(replace(entry, body={**entry.body, "cap": cap}))
    return entries


ADMIN = Actor("human", "admin-7", "admin", "otp")


def made_page(out: Path, *arguments: object, code: int = 0) -> str:
    """Run the command, see its exit code, and return the page."""
    assert main(["report", *map(str, arguments), "--out", str(out)]) == code
    return out.read_text("utf-8")


@dataclass
class Question:
    """What the page says about one question: its status, its sentences, and its tables by caption, cells as text."""

    status: str = ""
    sentences: list[str] = field(default_factory=list)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    drawn: str = ""
    pictures: int = 0


class ReadPage(html.parser.HTMLParser):
    """Read a page in one language; text under another language's `lang` is not seen."""

    def __init__(self, page: str, language: Language) -> None:
        super().__init__(convert_charrefs=True)
        self.questions: dict[int, Question] = {}
        self.banner = ""
        self.overview: list[list[str]] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.logs: list[list[str]] = []
        self._language = language
        self._stack: list[tuple[str, dict[str, str]]] = []
        self._text = ""
        self._caption = ""
        self._row: list[str] = []
        self._question: Question | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.attributes |= set(values)
        if tag in ("meta", "input", "br", "line", "rect", "polygon") or tag == "html":
            return
        self._stack.append((tag, values))
        if tag == "section" and values.get("id", "").startswith("question-"):
            self._question = self.questions.setdefault(int(values["id"].removeprefix("question-")), Question())
        if tag in ("td", "caption", "p", "figcaption", "strong"):
            self._text = ""
        if tag == "tr":
            self._row = []
        if tag == "table":
            self._caption = ""
        if self._question is not None:
            if tag == "div" and values.get("class", "").startswith("verdict"):
                self._question.status = values["class"].split()[1]
            self._question.pictures += tag == "svg"
            if values.get("class") == "part" and self._text:
                self._text += " "

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "html":
            return
        opened, _ = self._stack.pop()
        assert opened == tag, f"{tag} closes {opened}"
        text = " ".join(self._text.split())
        inside = [values.get("class", "") for _, values in self._stack]
        if tag == "caption":
            self._caption = text
        elif tag == "td":
            self._row.append(text)
        elif tag == "tr" and self._row:
            self._keep_row(inside)
        elif tag == "p" and text:
            if self._question is not None and any(name.startswith("verdict") for name in inside):
                self._question.sentences.append(text)
        elif tag == "section":
            self._question = None
        elif tag == "strong":
            self.banner = self.banner or text

    def _keep_row(self, inside: list[str]) -> None:
        if "overview" in inside:
            self.overview.append(self._row)
        elif self._question is not None:
            self._question.tables.setdefault(self._caption, []).append(self._row)
        elif not self.questions:
            self.logs.append(self._row)

    def handle_data(self, data: str) -> None:
        languages = [values["lang"] for _, values in self._stack if "lang" in values]
        if not languages or languages[-1] == self._language:
            self._text += data
            if self._question is not None and any(tag == "svg" for tag, _ in self._stack):
                self._question.drawn += data + "\n"
