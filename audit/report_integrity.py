"""Questions 8, 9, 19 and 20: is the history whole, is it one, was logging down, can the times be trusted.

Theory: verification re-hashes every record and holds it against the log's own checkpoints, and against every head that
another log of this report recorded; a quorum of witnesses shows that nobody was given another history. A log's order is
its sequence; times are claims of clocks, bracketed by what other logs and witnesses say of the same messages.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from audit.report_answer import Answer, Cell, Flag, Kept, Moment, Picture, Proof, Row, Status, Table, Value
from audit.report_details import detail_of
from audit.report_drawing import Bars, Mark, Span, Timeline
from audit.report_read import Account, Scene, count_of, text_of
from audit.report_say import Say, counted, same, shown
from audit.report_texts import STEP_MARKS, STEP_WORDS, Words, step_name
from privacy.log.record import Event
from privacy.log.verify import Step

__all__ = ["Clocks", "Integrity", "Openings", "step_status"]

CLOCK_US = 5_000_000
_HELD, _COSIGNED, _QUORUM = "heads known from elsewhere", "cosignatures", "quorum"
_STATUSES: dict[str, Status] = {
    "passed": "clear",
    "skipped": "none",
    "flagged": "partial",
    "incomplete": "partial",
    "failed": "attention",
    "rolled-back": "attention",
}


def step_status(step: Step) -> Status:
    """Return how the outcome of a step is shown."""
    return _STATUSES[step.status]


def _steps(account: Account) -> Sequence[Step]:
    return account.verification.steps if account.verification else ()


def _named(account: Account, name: str) -> Step:
    return next(step for step in _steps(account) if step.name == name)


@dataclass(slots=True)
class Integrity:
    """Questions 8 and 9, out of the verification of all logs; only alarms of class fork are taken from events."""

    per_log: int
    kinds: frozenset[str] = frozenset({"alarm.raised"})
    forks: Kept = field(init=False)

    def __post_init__(self) -> None:
        self.forks = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Keep an alarm that speaks of two histories."""
        if event.body["class"] == "fork":
            proof = Proof(account.number, event.seq, event.seq)
            self.forks.add(account.number, (Moment(event.utc_us), Value(text_of(event, "evidence")), proof))

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer questions 8 and 9."""
        yield self._whole(scene)
        yield self._one(scene)

    def _whole(self, scene: Scene) -> Answer:
        statuses = {step.status for account in scene.accounts for step in _steps(account)}
        records = sum(account.events for account in scene.accounts)
        tail = sum(account.events - account.covered for account in scene.accounts)
        if statuses & {"failed", "rolled-back"}:
            status: Status = "attention"
            first = Say(
                "No: verification failed. The steps below say where.", "不能。完整性验证未通过，具体环节见下表。"
            )
        else:
            status = "partial" if tail else "clear"
            first = Say(
                f"Yes, for {records - tail:,} of {counted(records, 'record')}: each stands in the tree under a "
                "checkpoint "
                "that its log signed. " + (f"The last {tail:,} stand under no checkpoint yet." if tail else ""),
                f"可以。{records:,} 条记录中的 {records - tail:,} 条均处于日志签名检查点之下的树中。"
                + (f"末尾 {tail:,} 条尚无检查点覆盖。" if tail else ""),
            )
        steps = [step_name(step.number, step.name) for step in _steps(scene.accounts[0])]
        columns = [Words.log, Words.records, *(same(f"({number})") for number in range(1, len(steps) + 1))]
        rows: list[Row] = [
            (
                Value(account.member),
                account.events,
                *(Flag(step_status(step), same(STEP_MARKS[step.status])) for step in _steps(account)),
            )
            for account in scene.accounts
        ]
        tables = tuple(
            each for each in (Table(Words.verification, columns, rows, len(rows)), self._details(scene)) if each.total
        )
        names = Say(
            "The steps: " + ", ".join(name.en for name in steps) + ".",
            "各环节：" + "、".join(name.zh for name in steps) + "。",
        )
        return Answer(8, status, (first, names), tables, (self._coverage(scene),))

    def _details(self, scene: Scene) -> Table:
        alone = len(scene.accounts) == 1
        rows: list[Row] = [
            (
                Value(account.member),
                step_name(step.number, step.name),
                Flag(step_status(step), STEP_WORDS[step.status]),
                detail_of(step.detail),
            )
            for account in scene.accounts
            for step in _steps(account)
            if alone or step.status != "passed"
        ]
        caption = Words.all_steps if alone else Words.other_steps
        return Table(caption, (Words.log, Words.step, Words.result, Words.detail), rows, len(rows))

    def _coverage(self, scene: Scene) -> Picture:
        figures = []
        for account in scene.accounts:
            held = min(account.covered, max((head.size for head in account.heads), default=0))
            figures.append((float(held), float(account.covered - held), float(account.events - account.covered)))
        names = tuple(account.member for account in scene.accounts)
        series = (Words.held_elsewhere, Words.own_checkpoint, Words.no_checkpoint)
        return Picture(Words.coverage, Bars(names, series, tuple(figures), Words.records))

    def _one(self, scene: Scene) -> Answer:
        bad = [
            step
            for account in scene.accounts
            for step in _steps(account)
            if step.name in (_HELD, _COSIGNED) and step_status(step) == "attention"
        ]
        quorate = [_named(account, _QUORUM).status for account in scene.accounts].count("passed")
        heads, logs = sum(len(account.heads) for account in scene.accounts), len(scene.accounts)
        if bad or self.forks.total:
            status: Status = "attention"
            first = Say(
                f"No: {counted(len(bad), 'contradiction')} between a log and what others hold of it, "
                f"{counted(self.forks.total, 'alarm')} about two histories.",
                f"否。日志与他方所持检查点矛盾 {len(bad):,} 处，涉及两份历史的告警 {self.forks.total:,} 条。",
            )
        else:
            status = "clear" if quorate == logs else "partial"
            first = Say(
                f"Logs cosigned by a quorum of witnesses up to the last record: {quorate:,} of {logs:,}. "
                + (
                    f"Heads that the given logs hold of each other: {heads:,}, all of one history."
                    if heads
                    else "The given logs hold no heads of each other that could be compared."
                ),
                f"直至末条记录均获法定数量见证的日志：{quorate:,} 份，共 {logs:,} 份。"
                + (
                    f"所提供的日志互相持有树头 {heads:,} 个，逐一比对均属同一历史。"
                    if heads
                    else "所提供的日志之间没有可供比对的树头。"
                ),
            )
        rows: list[Row] = [self._witnessed(account) for account in scene.accounts]
        columns = [Words.log, Words.records, Words.heads, Words.largest_head, Words.compared, Words.quorum]
        tables = [Table(Words.same_history, columns, rows, len(rows)), self._cosigned(scene)]
        if self.forks.total:
            columns = [Words.time, Words.evidence]
            tables.append(Table(Words.fork_alarms, columns, self.forks.rows, self.forks.total, "alarm.raised"))
        return Answer(9, status, (first,), tuple(table for table in tables if table.total))

    def _witnessed(self, account: Account) -> Row:
        cells: list[Cell] = [Value(account.member), account.events, len(account.heads)]
        cells.append(max((head.size for head in account.heads), default=None))
        for name in (_HELD, _QUORUM):
            step = _named(account, name)
            cells.append(Flag(step_status(step), detail_of(step.detail)))
        return tuple(cells)

    def _cosigned(self, scene: Scene) -> Table:
        rows: list[Row] = []
        for account in scene.accounts:
            size, cosigners = account.cosigned()
            for witness, seconds in sorted(cosigners.items()):
                rows.append((Value(account.member), size, Value(witness), Moment(seconds * 1_000_000)))
        columns = [Words.log, Words.cosigned_size, Words.witness, Words.cosigned_at]
        return Table(Words.cosignatures, columns, rows[: self.per_log * 2], len(rows))


@dataclass(slots=True)
class Openings:
    """Question 19: starts of the log, what they say of the time before, and silences of more than a day."""

    per_log: int
    kinds: frozenset[str] = frozenset({"log.opened", "alarm.raised"})
    kept: Kept = field(init=False)
    marks: dict[int, list[Mark]] = field(default_factory=dict)
    spans: dict[int, list[Span]] = field(default_factory=dict)
    unclean: int = 0
    longest_s: int = 0
    gap_alarms: Kept = field(init=False)

    def __post_init__(self) -> None:
        self.kept, self.gap_alarms = Kept(self.per_log), Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add one start, or an alarm about a gap or the disk."""
        proof = Proof(account.number, event.seq, event.seq)
        if event.kind == "alarm.raised":
            if event.body["class"] in ("gap", "disk"):
                what = Value(text_of(event, "class"))
                row: Row = (Moment(event.utc_us), what, Value(text_of(event, "evidence")), proof)
                self.gap_alarms.add(account.number, row)
            return
        unclean, gap = event.body["unclean"] is True, count_of(event, "gap_s")
        self.unclean += unclean
        self.longest_s = max(self.longest_s, gap)
        flag = Flag("attention", Words.unclean) if unclean else Flag("clear", Words.clean)
        software = Value(text_of(event, "software"))
        self.kept.add(account.number, (Moment(event.utc_us), software, flag, gap, proof))
        marks = self.marks.setdefault(account.number, [])
        if len(marks) < self.per_log:
            marks.append(Mark(event.utc_us, int(unclean)))
            if gap:
                start = max(event.utc_us - gap * 1_000_000, 0)
                self.spans.setdefault(account.number, []).append(Span(start, event.utc_us, 1))

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 19."""
        silences = sum(len(account.silences) for account in scene.accounts)
        bad = self.unclean + self.gap_alarms.total
        first = Say(
            f"{counted(self.kept.total, 'start')} of logging, {self.unclean:,} after an unclean end; the "
            "longest pause "
            f"before a start was {counted(self.longest_s, 'second')}; {silences:,} silences of more than 25 hours; "
            f"{counted(self.gap_alarms.total, 'alarm')} about gaps or disks.",
            f"日志启动 {self.kept.total:,} 次，其中异常中断后启动 {self.unclean:,} 次；启动前最长停顿 "
            f"{self.longest_s:,} 秒；"
            f"超过 25 小时无记录的静默 {silences:,} 次；缺口或磁盘类告警 {self.gap_alarms.total:,} 条。",
        )
        limit = Say(
            "A pause before a start is time without a log, in which the node can send nothing. A silence need be no "
            "outage: an idle node records nothing. Neither shows what a replaced program did in the meantime.",
            "启动前的停顿期间日志未开启，节点无法外发数据。静默未必是中断：空闲的节点不产生记录。"
            "两者均不能说明被替换的程序在此期间做了什么。",
        )
        columns = [Words.time, Words.software, Words.before, Words.pause]
        tables = [Table(Words.openings, columns, self.kept.rows, self.kept.total, "log.opened")]
        rows: list[Row] = [
            (Moment(start), Moment(end), (end - start) // 3_600_000_000, Proof(account.number, seq - 1, seq))
            for account in scene.accounts
            for start, end, seq in account.silences[: self.per_log]
        ]
        if rows:
            columns = [Words.last_before, Words.first_after, Words.hours]
            tables.append(Table(Words.silences, columns, rows, silences))
        if self.gap_alarms.total:
            columns = [Words.time, Words.alarm_class, Words.evidence]
            tables.append(Table(Words.gap_alarms, columns, self.gap_alarms.rows, self.gap_alarms.total, "alarm.raised"))
        status: Status = "attention" if bad else "partial" if silences else "clear"
        yield Answer(19, status, (first, limit), tuple(tables), (self._picture(scene),))

    def _picture(self, scene: Scene) -> Picture:
        rows = []
        for account in scene.accounts:
            if account.events == account.unread:
                continue
            ends = [(start, end) for start, end, _ in account.silences]
            gaps = [*ends, *((span.start_us, span.end_us) for span in self.spans.get(account.number, ()))]
            silent = [Span(start, end, 1) for start, end in gaps]
            running = Span(account.first_us, max(account.first_us, account.last_us), 0)
            marks = tuple(self.marks.get(account.number, ()))
            rows.append((account.member, (running, *silent), marks))
        spans = (Words.recording, Words.silent)
        return Picture(Words.timeline, Timeline(tuple(rows), spans, (Words.start, Words.unclean_start)))


@dataclass(slots=True)
class Clocks:
    """Question 20: sources of time, steps of a clock, and how far two logs differ on the same message."""

    per_log: int
    kinds: frozenset[str] = frozenset({"alarm.raised", "egress.authorised", "ingress.received"})
    steps: Kept = field(init=False)
    sent: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    received: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.steps = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add an alarm about a clock, or the time of one side of a message."""
        if event.kind == "alarm.raised":
            if event.body["class"] == "clock.step":
                proof = Proof(account.number, event.seq, event.seq)
                self.steps.add(account.number, (Moment(event.utc_us), Value(text_of(event, "evidence")), proof))
            return
        name = hashlib.sha256(text_of(event, "msg_id").encode("utf-8", "replace")).digest()[:8]
        if event.kind == "egress.authorised":
            if not account.is_coordinator:
                self.sent[name] = (event.utc_us, account.number)
        elif account.is_coordinator:
            self.received[name] = event.utc_us

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 20."""
        apart: dict[int, list[int]] = {}
        for name, (moment, number) in self.sent.items():
            if name in self.received:
                apart.setdefault(number, []).append(self.received[name] - moment)
        rows = [self._row(account, sorted(apart.get(account.number, []))) for account in scene.accounts]
        back = sum(account.clock_back for account in scene.accounts)
        pairs = sum(map(len, apart.values()))
        far = sum(abs(each) > CLOCK_US for found in apart.values() for each in found)
        undocumented = [account for account in scene.accounts if set(account.clocks) - {"ntp", "ptp"}]
        bad = bool(back or self.steps.total)
        first = Say(
            f"{counted(self.steps.total, 'alarm')} about clock steps, the wall clock went back "
            f"{counted(back, 'time')}; "
            f"{far:,} of {pairs:,} messages that two logs time differ by more than five seconds (a slow "
            "delivery looks the same).",
            f"时钟跳变告警 {self.steps.total:,} 条，系统时钟回拨 {back:,} 次；双方日志均有时间的 {pairs:,} "
            f"份报文中，相差超过 5 秒的 {far:,} 份（送达迟缓亦会如此）。",
        )
        names = ", ".join(shown(account.member) for account in undocumented[:6])
        source = Say(
            f"No documented source of time is stated by {names}; the order of records does not depend on it.",
            f"以下日志未声明时间来源：{names}；记录的先后顺序以序号为准，不依赖时钟。",
        )
        status: Status = "attention" if bad else "partial" if undocumented or far else "clear"
        columns = [Words.log, Words.first_record, Words.last_record, Words.clock_source, Words.clock_error]
        columns = [*columns, Words.went_back, Words.median_apart, Words.most_apart]
        tables = [Table(Words.clocks, columns, rows, len(rows))]
        if self.steps.total:
            columns = [Words.time, Words.evidence]
            tables.append(Table(Words.clock_steps, columns, self.steps.rows, self.steps.total, "alarm.raised"))
        yield Answer(20, status, (first, *((source,) if undocumented else ())), tuple(tables))

    def _row(self, account: Account, apart: list[int]) -> Row:
        middle = same(f"{apart[len(apart) // 2] / 1000:,.0f} ms") if apart else None
        most = same(f"{max(apart, key=abs) / 1000:,.0f} ms") if apart else None
        sources, error = ", ".join(sorted(account.clocks)), max(account.clocks.values(), default=0)
        first, last = Moment(account.first_us), Moment(account.last_us)
        cells: tuple[Cell, ...] = (Value(account.member), first, last, Value(sources), error)
        return (*cells, account.clock_back, middle, most)
