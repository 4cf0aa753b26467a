"""Questions 10 and 11: how payloads were protected, and over how many banks sums were opened.

Theory: that a payload was masked is the node's own statement in the record that it made before sending. Masks stay on
while, for each position and each member k, the logs never show t shares of k's self seed together with one of its pair
seeds, nor one log both; that rule is worked out over all given banks' logs. Logs that collude can lie together.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from audit.report_answer import Answer, Flag, Kept, Moment, Picture, Proof, Row, Stack, Status, Table, Value
from audit.report_details import detail_of
from audit.report_drawing import Columns
from audit.report_egress import is_block
from audit.report_integrity import step_status
from audit.report_jobs import names_in
from audit.report_read import Account, Scene, count_of, text_of
from audit.report_say import Say, counted, same
from audit.report_texts import STEP_WORDS, Words, nothing_recorded, step_name
from audit.secagg import Violation
from privacy.log.record import Event
from privacy.log.verify import Step

__all__ = ["Cohort", "Protection"]

MASKED_KINDS = {"secagg.upload"}
MASKED = "masked"
_OPEN = {"plain", "clear", "none", "plaintext"}
_CONSENT = "secagg.consent"
_MISSING = 5


@dataclass(slots=True)
class _Kind:
    messages: int = 0
    size: int = 0
    first: int = -1
    last: int = 0


@dataclass(slots=True)
class Protection:
    """Question 10: kinds and protections of all payloads, and the rule about shares across the logs."""

    per_log: int
    kinds: frozenset[str] = frozenset({"egress.authorised"})
    groups: dict[tuple[int, str, str], _Kind] = field(default_factory=dict)
    bare: Kept = field(init=False)
    gifts: int = 0
    uploads: int = 0

    def __post_init__(self) -> None:
        self.bare = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add one payload of a bank, with what it gave away."""
        if account.is_coordinator or is_block(event):
            return
        kind, protection = text_of(event, "payload_kind"), text_of(event, "protection")
        group = self.groups.setdefault((account.number, kind, protection), _Kind())
        group.first = event.seq if group.first < 0 else group.first
        group.messages, group.size, group.last = group.messages + 1, group.size + count_of(event, "bytes"), event.seq
        self.uploads += kind in MASKED_KINDS
        if (kind in MASKED_KINDS and protection != MASKED) or protection.lower() in _OPEN:
            proof = Proof(account.number, event.seq, event.seq)
            size = count_of(event, "bytes")
            row = (Moment(event.utc_us), Value(event.job), Value(kind), Value(protection), size, proof)
            self.bare.add(account.number, row)
        self.gifts += "shares" in event.body

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 10."""
        if not self.groups:
            yield Answer(10, "none", (nothing_recorded("egress.authorised: payload"),))
            return
        steps, violations = scene.masks
        grave = [each for each in violations if each.status == "failed"]
        rows = [
            (Value(kind), Value(protection), each.messages, each.size, Proof(log, each.first, each.last))
            for (log, kind, protection), each in sorted(self.groups.items())
        ]
        columns = [Words.kind, Words.protection, Words.messages, Words.bytes]
        tables = [Table(Words.protections, columns, rows[: 2 * self.per_log], len(rows), "egress.authorised")]
        if self.bare.total:
            columns = [Words.time, Words.job, Words.kind, Words.protection, Words.bytes]
            tables.append(Table(Words.unmasked, columns, self.bare.rows, self.bare.total, "egress.authorised"))
        checks: list[Row] = [
            (
                step_name(step.number, step.name),
                Flag(step_status(step), STEP_WORDS[step.status]),
                detail_of(step.detail),
            )
            for step in steps
        ]
        if checks:
            tables.append(Table(Words.rules, [Words.step, Words.result, Words.detail], checks, len(checks)))
        wrong = [(STEP_WORDS[each.status], Value(each.where), detail_of(each.detail)) for each in grave]
        if wrong:
            columns = [Words.result, Words.where, Words.detail]
            tables.append(Table(Words.broken_rule, columns, wrong[: self.per_log], len(wrong)))
        whole = self.gifts and all(step.status in ("passed", "skipped", "flagged") for step in steps)
        status: Status = "attention" if grave or self.bare.total else "clear" if whole else "partial"
        yield Answer(10, status, (self._masked(), self._rule(scene, grave, steps)), tuple(tables))

    def _masked(self) -> Say:
        bare = self.bare.total
        if bare:
            return Say(
                f"{counted(bare, 'payload')} left without a mask although the kind calls for one.",
                f"有 {bare:,} 份应带掩码的报文在未加掩码的情况下外发。",
            )
        return Say(
            f"Each of the {counted(self.uploads, 'recorded part')} of a sum left masked; the other payloads are keys, "
            "votes and signatures.",
            f"已登记的 {self.uploads:,} 份聚合分量全部带掩码外发；其余报文为密钥、表决与签名。",
        )

    def _rule(self, scene: Scene, grave: Sequence[Violation], steps: Sequence[Step]) -> Say:
        logs = sum(account.holds for account in scene.banks)
        if grave:
            return Say(
                f"The rules about masks are broken in {counted(len(grave), 'place')}; the table says where.",
                f"掩码相关规则被违反 {len(grave):,} 处，详见下表。",
            )
        if not self.gifts:
            return Say(
                "The records do not say which shares of keys the banks gave, so the rule about both halves of a "
                "member's masks could not be worked out.",
                "日志未记载各行提供了哪些密钥份额，无法核验“不同时出现两类份额”规则。",
            )
        absent = any(step.status == "incomplete" for step in steps)
        less = Say(" Logs of some members, or lists beside them, were not given.", "部分成员的日志或其附属清单未提供。")
        return Say(
            f"Over {counted(logs, 'bank log')}, no member's self-seed shares reach the threshold together with one of "
            f"its pair seeds, and no log shows both.{less.en if absent else ''}",
            f"就所提供的 {logs:,} 份银行日志而言，没有任一成员的自掩码份额达到门限且同时出现其成对种子，"
            f"也没有单份日志同时给出两者。{less.zh if absent else ''}",
        )


@dataclass(slots=True)
class Cohort:
    """Question 11: survivors of every opened sum; before a sum opens, the cohorts that the bank voted for."""

    per_log: int
    kinds: frozenset[str] = frozenset({"secagg.round", "job.decided", "egress.authorised"})
    floors: dict[tuple[int, str], int] = field(default_factory=dict)
    seats: dict[str, list[str]] = field(default_factory=dict)
    opened: Counter[int] = field(default_factory=Counter)
    voted: Counter[int] = field(default_factory=Counter)
    dropped: Kept = field(init=False)
    below: Kept = field(init=False)
    sums: dict[tuple[str, int, int], int] = field(default_factory=dict)
    cohorts: dict[tuple[int, str], str] = field(default_factory=dict)
    lossy: set[tuple[str, int, int]] = field(default_factory=set)
    smallest: tuple[int, Row] | None = None

    def __post_init__(self) -> None:
        self.dropped, self.below = Kept(self.per_log), Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add a decision's floor, an opened sum, or a vote."""
        if event.kind == "job.decided":
            if account.is_coordinator:
                self.seats[text_of(event, "job")] = names_in(event, "approvers")
            self.floors[account.number, text_of(event, "job")] = count_of(event, "min_cohort")
        elif event.kind == "secagg.round":
            bits = text_of(event, "survivors")
            place = (event.job, int(str(event.body.get("epoch", 0))), count_of(event, "position"))
            if place not in self.sums:
                self.opened[bits.count("1")] += 1
            self.sums[place] = min(bits.count("1"), self.sums.get(place, len(bits)))
            dropouts = self._lost(account, event)
            if "1" in dropouts:
                self.lossy.add(place)
            self._note(account, event, bits, dropouts)
        elif event.body.get("payload_kind") == _CONSENT and "cohort" in event.body:
            bits = text_of(event, "cohort")
            self.voted[bits.count("1")] += 1
            self._note(account, event, bits, "")

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 11."""
        sizes = self.opened or self.voted
        if not sizes or self.smallest is None:
            yield Answer(11, "none", (nothing_recorded("secagg.round"),))
            return
        least, below = min(sizes), self.below.total
        tables = [Table(Words.smallest_sum, self._columns(), [self._named(self.smallest[1])], 1)]
        if below:
            tables.append(
                Table(
                    Words.below_floor, self._columns(), list(map(self._named, self.below.rows)), below, "secagg.round"
                )
            )
        if self.dropped.total:
            tables.append(
                Table(
                    Words.dropouts,
                    self._columns(),
                    list(map(self._named, self.dropped.rows)),
                    self.dropped.total,
                    "secagg.round",
                )
            )
        labels = tuple(str(size) for size in range(min(sizes), max(sizes) + 1))
        counts = tuple(float(sizes[int(label)]) for label in labels)
        what = Words.sums if self.opened else Words.votes
        columns = Columns(labels, ((what, counts),), what, Words.cohort_size, whole=True)
        sizes_table = Table(
            Words.cohort_sizes, (Words.cohort_size, what), [(size, sizes[size]) for size in sorted(sizes)], len(sizes)
        )
        status: Status = "attention" if below else "clear" if self.opened else "partial"
        picture = Picture(Words.cohort_sizes, columns)
        sentences = self._sentences(least, below)
        yield Answer(11, status, sentences, (sizes_table, *tables), (picture,))

    def _sentences(self, least: int, below: int) -> tuple[Say, ...]:
        what = counted(sum(self.opened.values()), "opened sum") if self.opened else counted(self.voted.total(), "vote")
        what_zh = f"{sum(self.opened.values()):,} 次已打开的聚合" if self.opened else f"{self.voted.total():,} 次表决"
        first = Say(
            f"{least:,} banks, over {what}; "
            + (f"{counted(below, 'record')} below the job's floor." if below else "none below the job's floor."),
            f"最小为 {least:,} 家机构（共 {what_zh}）；"
            + (f"低于作业下限的记录 {below:,} 条。" if below else "均不低于作业约定的下限。"),
        )
        drops = Say(
            f"A bank dropped out of {counted(len(self.lossy), 'opened sum')}, or was missing from then on "
            f"({counted(self.dropped.total, 'record')}).",
            f"有机构中途退出、或自此不再参与的聚合 {len(self.lossy):,} 次（记录 {self.dropped.total:,} 条）。",
        )
        votes = Say(
            "These are the cohorts the banks voted to open; this log has no record of the opened sums themselves.",
            "以上为各行表决同意打开的参与机构集合；日志中没有聚合结果打开的记录。",
        )
        return (first, *((drops,) if self.dropped.total else ()), *(() if self.opened else (votes,)))

    def _table(self, caption: Say, kept: Kept) -> Table:
        return Table(caption, self._columns(), [self._named(row) for row in kept.rows], kept.total, "secagg.round")

    def _named(self, row: Row) -> Row:
        """Return the row with the names of those who dropped out, where the coordinator's log tells the order."""
        job, bits = row[1], row[_MISSING]
        assert isinstance(job, Value) and isinstance(bits, Value)  # `_note` made the row
        seats = self.seats.get(job.text, [])
        lost = [place for place, bit in enumerate(bits.text) if bit == "1"]
        names = [seats[place] if place < len(seats) else f"no. {place + 1}" for place in lost]
        cell = Stack(tuple(Value(name) for name in names)) if names else 0
        return (*row[:_MISSING], cell, *row[_MISSING + 1 :])

    def _columns(self) -> tuple[Say, ...]:
        return (Words.time, Words.job, Words.position, Words.survivors, Words.bitmap, Words.missing, Words.floor)

    def _lost(self, account: Account, event: Event) -> str:
        """Return the bitmap of who is missing: lost in this sum, or from its epoch's cohort for the first time."""
        cohort = text_of(event, "cohort")
        before = self.cohorts.get((account.number, event.job), cohort)
        self.cohorts[account.number, event.job] = cohort
        gone = ["1" if pair == ("1", "0") else "0" for pair in zip(before, cohort, strict=False)]
        lost = text_of(event, "dropouts")
        return "".join(max(pair) for pair in zip(lost, gone, strict=False))

    def _note(self, account: Account, event: Event, bits: str, dropouts: str) -> None:
        size, floor = bits.count("1"), self.floors.get((account.number, event.job))
        position = int(str(event.body.get("position", 0)))
        row: Row = (
            Moment(event.utc_us),
            Value(event.job),
            position,
            Flag("attention" if floor is not None and size < floor else "clear", same(str(size))),
            Value(bits),
            Value(dropouts),
            floor,
            Proof(account.number, event.seq, event.seq),
        )
        if floor is not None and size < floor:
            self.below.add(account.number, row)
        if "1" in dropouts:
            self.dropped.add(account.number, row)
        if self.smallest is None or size < self.smallest[0]:
            self.smallest = (size, row)
