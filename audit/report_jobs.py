"""Questions 6, 7 and 14: who approved a job, under which assessment, and what a released model came from.

Theory: a job's decision is a record of the bank that took part; an assessment covers a job when it names the job or its
purpose, was recorded before the decision and was still valid that day. A model's lineage goes from its record to its
jobs, and from these to what the banks' logs say of their code and data sets.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from audit.report_answer import Answer, Cell, Digest, Flag, Kept, Moment, Picture, Proof, Row, Stack, Table, Value
from audit.report_drawing import Box, Lineage
from audit.report_read import Account, Scene, count_of, text_of
from audit.report_say import Say, counted
from audit.report_texts import Words, nothing_recorded
from privacy.log.instant import format_utc
from privacy.log.record import Event

__all__ = ["Assessments", "Decisions", "Models", "names_in"]

MOST_DRAWN = 6
MOST_NAMES = 6
_FLOOR = 5
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def names_in(event: Event, key: str) -> list[str]:
    """Return a list of names out of the event's body."""
    found = event.body.get(key, [])
    return [str(name) for name in found] if isinstance(found, list) else []


def _stack(names: Sequence[str]) -> Cell:
    return Stack(tuple(Value(name) for name in names)) if names else None


@dataclass(slots=True)
class Decisions:
    """Question 6: every decision about a job, and who took it in what role."""

    per_log: int
    kinds: frozenset[str] = frozenset({"job.decided", "dp.spend"})
    kept: Kept = field(init=False)
    noisy: set[str] = field(default_factory=set)
    refused: int = 0
    unsigned: int = 0

    def __post_init__(self) -> None:
        self.kept = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add one decision, or note that a job spent privacy."""
        if event.kind == "dp.spend":
            self.noisy.add(event.job)
            return
        accepted, approvers = event.body["decision"] == "accepted", names_in(event, "approvers")
        self.refused += not accepted
        self.unsigned += accepted and not approvers
        noise = event.body.get("dp")
        plan = f"ε ≤ {noise['epsilon_cap']}, δ {noise['delta']}" if isinstance(noise, dict) else ""
        digests = [Digest(text_of(event, "spec_sha256"))]
        if "code_sha256" in event.body:
            digests.append(Digest(text_of(event, "code_sha256")))
        actor = event.actor
        verdict = Flag("clear", Words.accepted) if accepted else Flag("listed", Words.refused)
        by = Value(f"{actor.id} ({actor.role}, {actor.type}, {actor.auth})")
        rest = len(approvers) - MOST_NAMES
        more = (Say(f"and {rest:,} more", f"等 {len(approvers):,} 方"),) if rest > 0 else ()
        row: Row = (
            Moment(event.utc_us),
            Stack((Value(text_of(event, "job")), Value(event.purpose))),
            Stack((verdict, Value(text_of(event, "reason")))),
            Stack((*(Value(name) for name in approvers[:MOST_NAMES]), *more, by)),
            Stack(tuple(digests)),
            Stack((Value(str(event.body["min_cohort"])), Value(plan) if plan else Words.no_noise)),
            Proof(account.number, event.seq, event.seq),
        )
        self.kept.add(account.number, row)

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 6."""
        total = self.kept.total
        if not total:
            yield Answer(6, "none", (nothing_recorded("job.decided"),))
            return
        first = Say(
            f"{counted(total, 'decision')} about jobs: {total - self.refused:,} accepted, {self.refused:,} refused; "
            f"{self.unsigned:,} accepted without a named approver.",
            f"作业决定共 {total:,} 项：批准 {total - self.refused:,} 项，拒绝 {self.refused:,} 项；"
            f"未记载批准人的批准 {self.unsigned:,} 项。",
        )
        limit = Say(
            "The record names the approvers as the bank's software knew them; “permit” is the rule file that the bank "
            "itself wrote. Signatures of people are not part of these records.",
            "批准人以本行软件所知为准；“permit”指本行自行制定的许可规则文件。记录中不含个人签名。",
        )
        columns = [Words.time, Words.job_purpose, Words.decision, Words.approved_by, Words.spec_code, Words.floor_noise]
        rows = [self._with_noise(row) for row in self.kept.rows]
        table = Table(Words.decisions, columns, rows, total, "job.decided")
        yield Answer(6, "attention" if self.unsigned else "listed", (first, limit), (table,))

    def _with_noise(self, row: Row) -> Row:
        """Point to the spending of a job whose decision names no plan of noise."""
        job, floor = row[1], row[_FLOOR]
        assert isinstance(job, Stack) and isinstance(floor, Stack)  # `take` made the row
        name = job.parts[0]
        if isinstance(name, Value) and name.text in self.noisy and floor.parts[1] == Words.no_noise:
            floor = Stack((floor.parts[0], Words.see_spending))
        return (*row[:_FLOOR], floor, *row[_FLOOR + 1 :])


@dataclass(slots=True)
class Assessments:
    """Question 7: assessments, and the accepted jobs that none of them covers."""

    per_log: int
    kinds: frozenset[str] = frozenset({"assessment.recorded", "job.decided"})
    recorded: dict[int, list[tuple[frozenset[str], str]]] = field(default_factory=dict)
    kept: Kept = field(init=False)
    bare: Kept = field(init=False)
    accepted: int = 0

    def __post_init__(self) -> None:
        self.kept, self.bare = Kept(self.per_log), Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add an assessment, or look for one that covers an accepted job."""
        proof = Proof(account.number, event.seq, event.seq)
        if event.kind == "assessment.recorded":
            scope, valid = names_in(event, "scope"), text_of(event, "valid_to")
            self.recorded.setdefault(account.number, []).append((frozenset(scope), valid))
            signed, digest = _stack(names_in(event, "signatories")), Digest(text_of(event, "doc_sha256"))
            kind = Value(text_of(event, "type"))
            self.kept.add(
                account.number, (Moment(event.utc_us), kind, digest, _stack(scope), Value(valid), signed, proof)
            )
        elif event.body["decision"] == "accepted" and not account.is_coordinator:
            self.accepted += 1
            day, wanted = format_utc(event.utc_us)[:10], {text_of(event, "job"), event.purpose}
            of_log = self.recorded.get(account.number, [])
            if not any(scope & wanted and _DATE.match(valid) and valid[:10] >= day for scope, valid in of_log):
                self.bare.add(
                    account.number, (Moment(event.utc_us), Value(text_of(event, "job")), Value(event.purpose), proof)
                )

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 7."""
        bare = self.bare.total
        missing = Say(
            f"{bare:,} of {counted(self.accepted, 'decision')} of banks to accept a job stand under no "
            "assessment that is "
            "recorded here and was valid that day; it may be kept elsewhere.",
            f"银行批准作业的 {self.accepted:,} 项决定中，有 {bare:,} 项在日志中没有当日有效的评估记录；"
            "评估文件可能另行保存。",
        )
        if not self.kept.total:
            yield Answer(7, "none", (nothing_recorded("assessment.recorded"), *((missing,) if self.accepted else ())))
            return
        covered = Say(
            f"{counted(self.kept.total, 'assessment')}; each of {counted(self.accepted, 'decision')} of banks "
            "to accept a "
            "job stands under one that was valid that day.",
            f"评估记录 {self.kept.total:,} 份；银行批准作业的 {self.accepted:,} 项决定均有当日有效的评估覆盖。",
        )
        columns = [Words.time, Words.type, Words.document, Words.scope, Words.valid_to, Words.signatories]
        tables = [Table(Words.assessments, columns, self.kept.rows, self.kept.total, "assessment.recorded")]
        if bare:
            columns = [Words.time, Words.job, Words.purpose]
            tables.append(Table(Words.not_assessed, columns, self.bare.rows, bare, "job.decided"))
        yield Answer(7, "attention" if bare else "clear", (missing if bare else covered,), tuple(tables))


@dataclass(slots=True)
class Models:
    """Question 14: released models, the jobs behind them, and the code and data that these used."""

    per_log: int
    kinds: frozenset[str] = frozenset({"model.released", "model.promoted", "job.decided", "train.round"})
    released: Kept = field(init=False)
    promoted: Kept = field(init=False)
    lineages: list[tuple[str, list[str]]] = field(default_factory=list)
    codes: dict[str, set[str]] = field(default_factory=dict)
    datasets: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.released = Kept(self.per_log)
        self.promoted = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add a release, a promotion, or what a job says of its code and data."""
        if event.kind == "model.promoted":
            self._promote(account, event)
            return
        if event.kind == "train.round":
            self.datasets.setdefault(event.job, set()).add(text_of(event, "dataset"))
            self.codes.setdefault(event.job, set()).add(text_of(event, "code_sha256"))
            return
        if event.kind == "job.decided":
            if "code_sha256" in event.body:
                self.codes.setdefault(text_of(event, "job"), set()).add(text_of(event, "code_sha256"))
            return
        metrics = event.body["metrics"]
        figures = [f"{each['name']} {each['value']}" for each in metrics] if isinstance(metrics, list) else []
        jobs = names_in(event, "jobs")
        if len(self.lineages) < self.per_log:
            self.lineages.append((text_of(event, "version"), jobs))
        row: Row = (
            Moment(event.utc_us),
            Stack((Value(text_of(event, "version")), Digest(text_of(event, "sha256")))),
            _stack(jobs),
            _stack(figures[:8]),
            Digest(text_of(event, "validation_sha256")),
            _stack(names_in(event, "approvers")),
            count_of(event, "quorum_size"),
            Proof(account.number, event.seq, event.seq),
        )
        self.released.add(account.number, row)

    def _promote(self, account: Account, event: Event) -> None:
        back = " ↩" if event.body["rollback"] is True else ""
        row: Row = (
            Moment(event.utc_us),
            Digest(text_of(event, "sha256")),
            Value(f"{text_of(event, 'role')}{back}"),
            _stack(names_in(event, "approvers")),
            Digest(text_of(event, "proposal_sha256")),
            Proof(account.number, event.seq, event.seq),
        )
        self.promoted.add(account.number, row)

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 14."""
        total = self.released.total
        if not total:
            yield Answer(14, "none", (nothing_recorded("model.released"),))
            return
        jobs = {job for _, names in self.lineages for job in names}
        known = sum(job in self.datasets for job in jobs)
        first = Say(
            f"{counted(total, 'model')} released, out of {counted(len(jobs), 'job')}; the data sets of "
            f"{known:,} of these "
            "jobs are recorded in the given logs.",
            f"已发布模型 {total:,} 个，来源作业 {len(jobs):,} 项；其中 {known:,} 项的数据集可在所提供的日志中查到。",
        )
        columns = [
            Words.time,
            Words.model,
            Words.jobs,
            Words.metrics,
            Words.validation,
            Words.approvers,
            Words.quorum_size,
        ]
        rows: list[Row] = [
            (Value(job), self._digests(self.codes.get(job, set())), _stack(sorted(self.datasets.get(job, set()))[:12]))
            for job in sorted(jobs)
        ]
        tables = [
            Table(Words.models, columns, self.released.rows, total, "model.released"),
            *(
                [
                    Table(
                        Words.promotions,
                        (Words.time, Words.model, Words.role, Words.approvers, Words.proposal),
                        self.promoted.rows,
                        self.promoted.total,
                        "model.promoted",
                    )
                ]
                if self.promoted.total
                else []
            ),
            Table(Words.job_sources, (Words.job, Words.code, Words.datasets), rows[: self.per_log], len(rows)),
        ]
        yield Answer(14, "listed", (first,), tuple(tables), (self._picture(),))

    def _digests(self, digests: set[str]) -> Cell:
        return Stack(tuple(Digest(each) for each in sorted(digests)[:4])) if digests else None

    def _picture(self) -> Picture:
        boxes: list[Box] = []
        places: dict[tuple[int, str], int] = {}

        def place(column: int, name: str, *sources: int) -> int:
            if (column, name) not in places:
                places[column, name] = len(boxes)
                boxes.append(Box(column, name, sources))
            return places[column, name]

        for version, jobs in self.lineages[-MOST_DRAWN:]:
            sources = []
            for job in jobs[:MOST_DRAWN]:
                names = sorted(self.datasets.get(job, set()))[:MOST_DRAWN]
                sources.append(place(1, job, *(place(0, name) for name in names)))
            place(2, version, *sources)
        caption = Say("From data to model, newest models", "由数据到模型：最近发布的模型来源")
        return Picture(caption, Lineage((Words.datasets, Words.jobs, Words.model), tuple(boxes)))
