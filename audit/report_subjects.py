"""Questions 12, 13, 17 and 18: decisions on applications, people in the loop, data sets, erasures.

Theory: people appear as keyed references only, so an application is looked up by the reference that the bank computes;
a bank keeps decisions in its own log. Dates are compared as dates, and one that is written otherwise is listed and not
judged.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from audit.report_answer import Answer, Digest, Flag, Kept, Moment, Proof, Row, Stack, Status, Table, Value
from audit.report_jobs import names_in
from audit.report_read import Account, Scene, text_of
from audit.report_say import Say, counted
from audit.report_texts import Words, nothing_recorded
from privacy.log.instant import format_utc
from privacy.log.record import Event

__all__ = ["Datasets", "Erasures", "Verdicts"]

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_OVERRULED = ("overrul", "overrid", "overrod")


@dataclass(slots=True)
class Verdicts:
    """Questions 12 and 13: decisions on applications, by model and by kind of human review."""

    per_log: int
    kinds: frozenset[str] = frozenset({"decision.made"})
    kept: Kept = field(init=False)
    models: Counter[str] = field(default_factory=Counter)
    reviews: Counter[str] = field(default_factory=Counter)
    places: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add one decision."""
        review = text_of(event, "review")
        self.models[text_of(event, "model_sha256")] += 1
        self.reviews[review] += 1
        log, first, _ = self.places.get(review, (account.number, event.seq, 0))
        if log == account.number:
            self.places[review] = (log, first, event.seq)
        row: Row = (
            Moment(event.utc_us),
            Digest(text_of(event, "ref")),
            Digest(text_of(event, "model_sha256")),
            Stack((Value(text_of(event, "outcome")), Value(f"{event.body['score']} / {event.body['threshold']}"))),
            Stack(tuple(Value(code) for code in names_in(event, "reason_codes"))),
            Digest(text_of(event, "explanation_sha256")),
            Value(review),
            Proof(account.number, event.seq, event.seq),
        )
        self.kept.add(account.number, row)

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer questions 12 and 13."""
        total = self.kept.total
        if not total:
            yield Answer(12, "none", (nothing_recorded("decision.made"),))
            yield Answer(13, "none", (nothing_recorded("decision.made"),))
            return
        first = Say(
            f"{counted(total, 'decision')} by {counted(len(self.models), 'model version')}, each with its "
            "reason codes "
            "and the digest of its explanation.",
            f"已登记决定 {total:,} 项，涉及模型版本 {len(self.models):,} 个；每项均载有原因代码及解释文件摘要。",
        )
        columns = [
            Words.time,
            Words.reference,
            Words.model,
            Words.outcome,
            Words.reasons,
            Words.explanation,
            Words.review,
        ]
        yield Answer(12, "listed", (first,), (Table(Words.verdicts, columns, self.kept.rows, total, "decision.made"),))
        yield self._reviews(total)

    def _reviews(self, total: int) -> Answer:
        overruled = sum(count for code, count in self.reviews.items() if any(word in code for word in _OVERRULED))
        rows: list[Row] = [
            (Value(code), count, Value(f"{100 * count / total:.1f} %"), Proof(*self.places[code]))
            for code, count in sorted(self.reviews.items())
        ]
        first = Say(
            f"{overruled:,} of {counted(total, 'decision')} ({100 * overruled / total:.1f} %) carry a review code of "
            "overruling; every review code is listed below.",
            f"{total:,} 项决定中，人工推翻的有 {overruled:,} 项（{100 * overruled / total:.1f}%）；"
            "各类复核代码见下表。",
        )
        table = Table(Words.reviews, (Words.review, Words.decisions_made, Words.share), rows[: self.per_log], len(rows))
        return Answer(13, "listed", (first,), (table,))


@dataclass(slots=True)
class Datasets:
    """Question 17: registered data sets, with the retention that was registered last."""

    per_log: int
    kinds: frozenset[str] = frozenset({"dataset.registered"})
    kept: Kept = field(init=False)
    until: dict[tuple[int, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add one registration."""
        self.until[account.number, text_of(event, "dataset")] = text_of(event, "retention_until")
        row: Row = (
            Moment(event.utc_us),
            Value(text_of(event, "dataset")),
            Value(text_of(event, "class")),
            Value(text_of(event, "basis")),
            Value(text_of(event, "unit_of_privacy")),
            Value(text_of(event, "retention_until")),
            Digest(text_of(event, "schema_sha256")),
            Proof(account.number, event.seq, event.seq),
        )
        self.kept.add(account.number, row)

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 17."""
        if not self.kept.total:
            yield Answer(17, "none", (nothing_recorded("dataset.registered"),))
            return
        today = format_utc(scene.made_us)[:10]
        over = sum(bool(_DATE.match(until)) and until[:10] < today for until in self.until.values())
        first = Say(
            f"{counted(len(self.until), 'data set')} registered with basis, class and retention; the retention of "
            f"{over:,} had ended when this report was made.",
            f"已登记数据集 {len(self.until):,} 个，均载有合法性基础、分级与保存期限；截至本报告生成时，"
            f"{over:,} 个已过保存期限。",
        )
        columns = [Words.time, Words.dataset, Words.data_class, Words.basis, Words.unit, Words.retention, Words.schema]
        table = Table(Words.datasets, columns, self.kept.rows, self.kept.total, "dataset.registered")
        yield Answer(17, "attention" if over else "listed", (first,), (table,))


@dataclass(slots=True)
class Erasures:
    """Question 18: erasures, late ones first in the answer."""

    per_log: int
    kinds: frozenset[str] = frozenset({"erasure.done"})
    kept: Kept = field(init=False)
    late: int = 0
    unjudged: int = 0

    def __post_init__(self) -> None:
        self.kept = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add one erasure."""
        due, done = text_of(event, "due"), text_of(event, "done")
        judged = bool(_DATE.match(due) and _DATE.match(done))
        late = judged and done[: len(due)] > due[: len(done)]
        self.late += late
        self.unjudged += not judged
        status: Status = "attention" if late or not judged else "clear"
        word = Words.late if late else Words.in_time if judged else Words.not_judged
        seqs = event.body["seqs"]
        row: Row = (
            Value(text_of(event, "request_ref")),
            Value(text_of(event, "type")),
            Value(text_of(event, "received")),
            Value(due),
            Value(done),
            Flag(status, word),
            len(seqs) if isinstance(seqs, list) else 0,
            Value(text_of(event, "method")),
            Proof(account.number, event.seq, event.seq),
        )
        self.kept.add(account.number, row)

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 18."""
        total = self.kept.total
        if not total:
            yield Answer(18, "none", (nothing_recorded("erasure.done"),))
            return
        first = Say(
            f"{counted(total, 'erasure')} recorded, {self.late:,} after the due date, {self.unjudged:,} without dates "
            "that can be compared. A request that was never carried out leaves no record here.",
            f"已登记删除 {total:,} 项，其中逾期 {self.late:,} 项，日期无法比对 {self.unjudged:,} 项。"
            "从未执行的请求不会在此留下记录。",
        )
        columns = [Words.request, Words.type, Words.received, Words.due, Words.done, Words.outcome, Words.records]
        table = Table(Words.erasures, (*columns, Words.method), self.kept.rows, total, "erasure.done")
        yield Answer(18, "attention" if self.late or self.unjudged else "clear", (first,), (table,))
