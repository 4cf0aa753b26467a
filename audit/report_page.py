"""The auditor's report as one HTML page: no script, nothing from outside, every value escaped.

It decides nothing; answers come in. Theory: text becomes markup in `_escape` alone. The page's policy forbids all but
its own style, which is named by digest, so that even markup that slipped through could load and run nothing. Both
languages stand side by side and a radio button hides one of them; what a log says stands once.
"""

import base64
import hashlib
import html
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from audit.report_answer import Answer, Cell, Digest, Flag, Moment, Proof, Stack, Status, Table, Value
from audit.report_evidence import Evidence
from audit.report_integrity import step_status
from audit.report_questions import LIMITS, PAGE, QUESTIONS, STATUS_MARKS, STATUS_WORDS
from audit.report_read import Account, Scene
from audit.report_say import Language, Say, counted, printed
from audit.report_style import STYLE
from audit.report_texts import Words
from privacy.errors import MisuseError
from privacy.log.instant import format_utc
from privacy.log.verify import Step

__all__ = ["Page", "write_page"]

DIGEST_SHOWN = 12
WORD_SHOWN = 22
_ISOLATES = "\u2068\u2069"


@dataclass(frozen=True, slots=True)
class Page:
    """Everything a page shows: the logs, the 22 answers in order, the evidence, and the languages it is written in."""

    scene: Scene
    answers: Sequence[Answer]
    evidence: Sequence[Evidence]
    languages: Sequence[Language]
    commands: Sequence[str]
    version: str = "0.1.0"


def write_page(page: Page) -> Iterator[str]:
    """Yield the page's text in pieces."""
    return _Writer(page).write()


def _escape(text: str) -> str:
    """Return text in which nothing is markup and nothing is hidden but our own isolates around foreign words."""
    clean = (
        "".join(each if each in _ISOLATES else printed(each) for each in text) if not text.isascii() else printed(text)
    )
    return html.escape(clean)


@dataclass(slots=True)
class _Writer:
    page: Page
    several: bool = field(init=False)
    proved: set[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.several = len(self.page.scene.accounts) > 1
        self.proved = {(each.log, each.seq) for each in self.page.evidence}

    def write(self) -> Iterator[str]:
        yield from self._head()
        yield from self._opening()
        yield from self._overview()
        for answer in self.page.answers:
            yield from self._question(answer)
        yield from self._evidence()
        yield "</main>\n</body>\n</html>\n"

    def say(self, words: Say, tag: str = "span") -> str:
        """Return a text in the page's languages, one element per language."""
        if words.en == words.zh and tag == "span":
            return _escape(words.en)
        return "".join(f'<{tag} lang="{each}">{_escape(words.of(each))}</{tag}>' for each in self.page.languages)

    def _head(self) -> Iterator[str]:
        policy = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
        title = " / ".join(_escape(PAGE.title.of(language)) for language in self.page.languages)
        first = "en" if self.page.languages[0] == "en" else "zh-CN"
        yield f'<!doctype html>\n<html lang="{first}">\n<head>\n<meta charset="utf-8">\n'
        yield '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        yield f"style-src 'sha256-{policy}'; base-uri 'none'; form-action 'none'\">\n"
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        yield '<meta name="referrer" content="no-referrer">\n'
        yield f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        if len(self.page.languages) > 1:
            yield '<input class="switch" type="radio" name="language" id="language-en" checked>\n'
            yield '<input class="switch" type="radio" name="language" id="language-zh">\n'
        yield '<main class="page">\n'
        if len(self.page.languages) > 1:
            yield '<nav class="bar"><label for="language-en">English</label>'
            yield '<label for="language-zh">中文</label></nav>\n'

    def _opening(self) -> Iterator[str]:
        scene = self.page.scene
        made = format_utc(scene.made_us)[:19].replace("T", " ") + "Z"
        yield f"<header><h1>{self.say(PAGE.title)}</h1>"
        yield f'<p class="made">{self.say(PAGE.made)} {made} {self.say(PAGE.version)} '
        yield f"{_escape(self.page.version)}</p></header>\n"
        yield self._banner()
        columns = [Words.log, Words.records, PAGE.under_checkpoint, PAGE.period, PAGE.root, PAGE.key_origin]
        rows = [self._log_row(account) for account in scene.accounts]
        yield from self._table(Table(PAGE.logs, columns, rows, len(rows)))
        yield f'<section class="limits"><h3>{self.say(PAGE.limits)}</h3><dl>'
        for name, text in LIMITS:
            yield f"<dt>{self.say(name)}</dt><dd>{self.say(text)}</dd>"
        yield "</dl></section>\n"

    def _log_row(self, account: Account) -> tuple[Cell, ...]:
        root = account.verification.root.hex() if account.verification else ""
        days = [format_utc(moment)[:16].replace("T", " ") for moment in (account.first_us, account.last_us)]
        key = Flag("partial", PAGE.key_own) if account.log.own_key else Flag("clear", PAGE.key_pinned)
        period = Value(f"{days[0]} – {days[1]}") if account.events > account.unread else None
        return (Value(account.log.origin), account.events, account.covered, period, Digest(root), key)

    def _banner(self) -> str:
        steps = [step for account in self.page.scene.accounts for step in self._steps(account)]
        statuses = {step_status(step) for step in steps}
        skipped = sum(step.status == "skipped" for step in steps)
        passed = sum(step.status == "passed" for step in steps)
        if "attention" in statuses:
            kind, words = "bad", PAGE.failed
        elif any(step.status == "incomplete" for step in steps):
            kind, words = "warn", PAGE.incomplete
        else:
            kind, words = "good", PAGE.valid
        records = sum(account.events for account in self.page.scene.accounts)
        logs, others = len(self.page.scene.accounts), len(steps) - passed - skipped
        count = Say(
            f"{counted(records, 'record')} in {counted(logs, 'log')}: {passed:,} steps of verification passed, "
            f"{skipped:,} not carried out, {others:,} with remarks. Question 8 has every step.",
            f"{logs:,} 份日志共 {records:,} 条记录：验证环节通过 {passed:,} 个，未执行 {skipped:,} 个，"
            f"有附注或未通过 {others:,} 个。各环节详见问题 8。",
        )
        more = "".join(f"<p>{self.say(words)}</p>" for words in self._remarks())
        mark = {"good": "✓", "warn": "◐", "bad": "✗"}[kind]
        verdict = f"<strong>{mark} {self.say(words)}</strong><p>{self.say(count)}</p>"
        return f'<div class="banner {kind}">{verdict}{more}</div>\n'

    def _remarks(self) -> Iterator[Say]:
        accounts = self.page.scene.accounts
        unread, unknown = sum(each.unread for each in accounts), sum(each.unknown for each in accounts)
        if unread:
            yield Say(f"{counted(unread, 'record')} could not be read.", f"有 {unread:,} 条记录无法读取。")
        if unknown:
            yield Say(
                f"{unknown:,} records are of kinds that this version does not know; no answer looks at them.",
                f"有 {unknown:,} 条记录属本版本未知的类型，未纳入任何答复。",
            )

    def _steps(self, account: Account) -> Sequence[Step]:
        return account.verification.steps if account.verification else ()

    def _overview(self) -> Iterator[str]:
        yield f'<section class="newpage"><h2 id="overview">{self.say(PAGE.overview)}</h2>\n'
        yield '<table class="overview"><thead><tr>'
        for words in (PAGE.number, PAGE.question, PAGE.answer):
            yield f"<th>{self.say(words)}</th>"
        yield "</tr></thead><tbody>\n"
        for answer in self.page.answers:
            number = f'<a href="#question-{answer.number}">{answer.number}</a>'
            yield f"<tr><td>{number}</td><td>{self.say(QUESTIONS[answer.number][0])}</td>"
            yield f"<td>{self._chip(answer.status)} {self.say(answer.sentences[0])}</td></tr>\n"
        yield "</tbody></table></section>\n"

    def _chip(self, status: Status, words: Say | None = None) -> str:
        return f'<span class="chip {status}">{STATUS_MARKS[status]} {self.say(words or STATUS_WORDS[status])}</span>'

    def _question(self, answer: Answer) -> Iterator[str]:
        question, asked = QUESTIONS[answer.number]
        yield f'<section class="question" id="question-{answer.number}">'
        yield f'<h2><span class="number">{answer.number}</span>{self.say(question)}</h2>\n'
        yield f'<p class="asked">{self.say(PAGE.asked_by)}: {self.say(asked)}'
        yield f' <a class="top" href="#overview">{self.say(PAGE.to_top)}</a></p>\n'
        yield f'<div class="verdict {answer.status}">{self._chip(answer.status)}'
        for sentence in answer.sentences:
            yield self.say(sentence, "p")
        yield "</div>\n"
        for picture in answer.pictures:
            yield f"<figure><figcaption>{self.say(picture.caption)}</figcaption>"
            yield f"{picture.drawing.svg(self.page.languages)}</figure>\n"
        for table in answer.tables:
            yield from self._table(table)
        yield "</section>\n"

    def _table(self, table: Table) -> Iterator[str]:
        proofs = any(isinstance(cell, Proof) for row in table.rows for cell in row)
        numbers = [all(isinstance(row[place], int | None) for row in table.rows) for place in range(len(table.columns))]
        narrow = " class=narrow" if len(table.columns) < 3 and not proofs else ""
        yield f'<div class="scroll"><table{narrow}><caption>{self.say(table.caption)}</caption><thead><tr>'
        if proofs and self.several:
            yield f"<th>{self.say(Words.log)}</th>"
        for words, number in zip(table.columns, numbers, strict=True):
            yield f"<th{' class=number' if number else ''}>{self.say(words)}</th>"
        yield f"<th>{self.say(Words.proof)}</th>" if proofs else ""
        yield "</tr></thead><tbody>\n"
        for row in table.rows:
            proof = next((cell for cell in row if isinstance(cell, Proof)), None)
            cells = [
                cell for place, cell in enumerate(row) if not isinstance(cell, Proof) and place < len(table.columns)
            ]
            owner = self._cell(Value(self.page.scene.accounts[proof.log].member)) if proof else "<td></td>"
            yield "<tr>" + (owner if proofs and self.several else "")
            yield "".join(map(self._cell, cells))
            yield (self._cell(proof) if proofs else "") + "</tr>\n"
        yield "</tbody></table></div>\n"
        if table.total > len(table.rows):
            yield self._capped(table)

    def _capped(self, table: Table) -> str:
        text = Say(
            f"Shown: the first {len(table.rows):,} of {table.total:,}"
            + (" (the first of each log)" if self.several else "")
            + ". Full list: ",
            f"仅列前 {len(table.rows):,} 项，共 {table.total:,} 项"
            + ("（各日志取前若干项）" if self.several else "")
            + "。完整清单：",
        )
        command = "creditmesh-audit export csv LOG --out FILE.csv"
        where = f" ({_escape(table.kind)})" if table.kind else ""
        return f'<p class="capped">{self.say(text)}<code>{command}</code>{where}</p>\n'

    def _cell(self, cell: Cell) -> str:
        match cell:
            case None:
                return "<td>–</td>"
            case int():
                return f'<td class="number">{cell:,}</td>'
            case Moment():
                return f'<td class="moment">{self._moment(cell)}</td>'
            case Proof():
                return f'<td class="proof">{self._proof(cell)}</td>'
            case Stack():
                return (
                    "<td>" + "".join(f'<span class="part">{self._inline(part)}</span>' for part in cell.parts) + "</td>"
                )
            case _:
                return f"<td>{self._inline(cell)}</td>"

    def _inline(self, cell: Say | Value | Digest | Flag) -> str:
        match cell:
            case Value():
                shown = printed(cell.text, formula=True)
                word = " class=word" if len(shown) <= WORD_SHOWN else ""
                return f"<bdi{word}>{html.escape(shown)}</bdi>"
            case Digest():
                shown = printed(cell.hex)
                short = shown if len(shown) <= DIGEST_SHOWN else shown[:DIGEST_SHOWN] + "…"
                return f'<code title="{html.escape(shown)}">{html.escape(short)}</code>'
            case Flag():
                return f'<span class="chip {cell.status}">{self.say(cell.word)}</span>'
            case Say():
                return self.say(cell)

    def _moment(self, moment: Moment) -> str:
        try:
            exact = format_utc(moment.utc_us)
        except MisuseError:
            # A witness may state any second; one beyond the year 9999 is shown as the number that it is.
            return f"{moment.utc_us:,} µs"
        return f'<time datetime="{exact}" title="{exact}">{exact[:10]} {exact[11:19]}</time>'

    def _proof(self, proof: Proof) -> str:
        account = self.page.scene.accounts[proof.log]
        parts = []
        for seq in dict.fromkeys((proof.first, proof.last)):
            dagger = "" if seq < account.covered else "†"
            text = f"#{seq}{dagger}"
            linked = (proof.log, seq) in self.proved
            parts.append(f'<a href="#record-{proof.log}-{seq}">{text}</a>' if linked else text)
        if len(parts) > 1:
            return " … ".join(parts)
        return f"{parts[0]} <code>{account.leaf(proof.first).hex()[:8]}…</code>"

    def _evidence(self) -> Iterator[str]:
        lines = "\n".join(map(_escape, self.page.commands))
        yield f'<section class="question newpage" id="evidence"><h2>{self.say(PAGE.check)}</h2>'
        yield f"<p>{self.say(PAGE.check_text)}</p><pre>{lines}</pre>\n"
        yield f"<h3>{self.say(PAGE.evidence)}</h3><p>{self.say(PAGE.evidence_text)}</p>\n"
        for account in self.page.scene.accounts:
            yield from self._records(account)
        yield "</section>\n"

    def _records(self, account: Account) -> Iterator[str]:
        mine = [each for each in self.page.evidence if each.log == account.number]
        if not mine:
            return
        command = f"creditmesh-audit prove SEQ {shlex.quote(str(account.log.path))}"
        origin = html.escape(printed(account.log.origin))
        yield f'<div class="scroll"><table class="evidence"><caption><bdi>{origin}</bdi> '
        yield f"<code>{html.escape(printed(command))}</code></caption><thead><tr>"
        for words in (PAGE.record, PAGE.leaf, Words.proof):
            yield f"<th>{self.say(words)}</th>"
        yield "</tr></thead><tbody>\n"
        for each in mine:
            yield f'<tr id="record-{each.log}-{each.seq}"><td>#{each.seq}</td><td><code>{each.leaf.hex()}</code></td>'
            yield f"<td>{self._download(account, each)}</td></tr>\n"
        yield "</tbody></table></div>\n"

    def _download(self, account: Account, evidence: Evidence) -> str:
        if not evidence.proof:
            return self.say(PAGE.no_proof) if evidence.seq >= account.covered else self.say(PAGE.by_command)
        name = html.escape(printed(f"{account.member}-{evidence.seq}.tlog-proof".replace("/", "-")))
        content = base64.b64encode(evidence.proof).decode("ascii")
        return f'<a download="{name}" href="data:text/plain;base64,{content}">{self.say(PAGE.download)}</a>'
