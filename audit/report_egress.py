"""Questions 1 to 3: what left a bank, whether it was approved, and whether the other side has the same.

Theory: each payload has an `egress.authorised` record of its own, made before it is sent; control frames are authorised
in blocks, whose bytes are an upper bound. A payload is approved when its job was accepted, in the same log and before
it, under the same specification. What was never recorded shows only in the coordinator's log, or in the network's own
counters, which the page tells the reader to compare.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from audit.reconcile import Finding
from audit.report_answer import Answer, Cell, Digest, Flag, Kept, Moment, Picture, Proof, Row, Status, Table, Value
from audit.report_drawing import Bars, Columns
from audit.report_read import Account, Scene, count_of, text_of
from audit.report_say import Say, counted, same, sized
from audit.report_texts import FINDINGS, SEVERITIES, Words, nothing_recorded
from privacy.log.instant import format_utc
from privacy.log.record import Event

__all__ = ["Approval", "Delivery", "Egress", "is_block"]

MOST_DAYS = 42
MOST_SERIES = 6
EVERYONE = "*"
PAYLOADS = "egress.authorised: payload"
_REFUSAL_ANSWERS = {"secagg.decline"}


def is_block(event: Event) -> bool:
    """Say whether an `egress.authorised` stands for a block of control frames instead of one payload."""
    return "payload_sha256" not in event.body


@dataclass(slots=True)
class _Sum:
    first: int
    messages: int = 0
    size: int = 0
    last: int = 0

    def add(self, event: Event, messages: int) -> None:
        self.messages += messages
        self.size += count_of(event, "bytes")
        self.last = event.seq


_Group = tuple[int, str, str, str, str, str]


@dataclass(slots=True)
class Egress:
    """Question 1: bytes by day, recipient, purpose and kind, and the first messages one by one."""

    per_log: int
    kinds: frozenset[str] = frozenset({"egress.authorised"})
    groups: dict[_Group, _Sum] = field(default_factory=dict)
    blocks: dict[_Group, _Sum] = field(default_factory=dict)
    messages: Kept = field(init=False)

    def __post_init__(self) -> None:
        self.messages = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add one authorised payload or block."""
        day, to, kind = format_utc(event.utc_us)[:10], text_of(event, "to"), text_of(event, "payload_kind")
        group = (account.number, day, to, event.purpose, kind, text_of(event, "protection"))
        block = is_block(event)
        sums = self.blocks if block else self.groups
        frames = int(str(event.body.get("frames", 0))) if block else 1
        sums.setdefault(group, _Sum(event.seq)).add(event, frames)
        if not block:
            self.messages.add(account.number, self._row(account, event))

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 1."""
        if not self.groups and not self.blocks:
            yield Answer(1, "none", (nothing_recorded("egress.authorised"),))
            return
        tables = [self._table(self.groups, Words.egress_by_day, Words.messages)] if self.groups else []
        if self.blocks:
            tables.append(self._table(self.blocks, Words.blocks, Words.frames))
        if self.groups:
            tables.append(self._listing())
        sentences = [*self._sentences(scene.banks, banks=True)]
        sentences += self._sentences([each for each in scene.accounts if each.is_coordinator], banks=False)
        yield Answer(1, "listed", tuple(sentences), tuple(tables), tuple(self._pictures(scene)))

    def _sentences(self, accounts: Sequence[Account], *, banks: bool) -> Iterator[Say]:
        """Say what left the banks, or what the coordinator sent out."""
        numbers = {account.number for account in accounts}
        groups = {group: each for group, each in self.groups.items() if group[0] in numbers}
        size, count = sum(each.size for each in groups.values()), sum(each.messages for each in groups.values())
        days = len({group[1] for group in groups})
        to = len({group[2] for group in groups} - {EVERYONE}) or 1
        blocks = sum(each.size for group, each in self.blocks.items() if group[0] in numbers)
        if groups or banks:
            who = Say("left the banks" if len(accounts) > 1 else "left the bank", "银行")
            who = who if banks else Say("left the coordinator", "协调方")
            yield Say(
                f"{counted(count, 'message')} of {sized(size)} ({size:,} bytes) in all {who.en} on "
                f"{counted(days, 'day')}, to {counted(to, 'recipient')}.",
                f"{who.zh}共外发报文 {count:,} 份，合计 {sized(size)}（{size:,} 字节），涉及 {days:,} 天、"
                f"{to:,} 个接收方。",
            )
        if blocks:
            yield Say(
                f"Besides, control frames (heartbeats, acknowledgements) of at most {sized(blocks)} were "
                "authorised in "
                "blocks; they carry no payload, and not more than that was sent.",
                f"此外，心跳、应答等控制帧按批次预先授权，上限合计 {sized(blocks)}；控制帧不含业务数据，"
                "实际发送不超过该上限。",
            )

    def _row(self, account: Account, event: Event) -> Row:
        return (
            Moment(event.utc_us),
            _recipient(text_of(event, "to")),
            Value(event.purpose),
            Value(event.job),
            Value(text_of(event, "payload_kind")),
            count_of(event, "bytes"),
            Digest(text_of(event, "payload_sha256")),
            Proof(account.number, event.seq, event.seq),
        )

    def _table(self, sums: dict[_Group, _Sum], caption: Say, counts: Say) -> Table:
        kept = Kept(self.per_log)
        for (log, day, to, purpose, kind, protection), each in sorted(sums.items(), key=lambda item: item[0]):
            cells: tuple[Cell, ...] = (same(day), _recipient(to), Value(purpose), Value(kind), Value(protection))
            kept.add(log, (*cells, each.messages, each.size, Proof(log, each.first, each.last)))
        columns = [Words.day, Words.to, Words.purpose, Words.kind, Words.protection, counts, Words.bytes]
        return Table(caption, columns, kept.rows, kept.total, "egress.authorised")

    def _listing(self) -> Table:
        columns = [Words.time, Words.to, Words.purpose, Words.job, Words.kind, Words.bytes, Words.payload]
        rows, total = self.messages.rows, self.messages.total
        return Table(Words.each_message, columns, rows, total, "egress.authorised")

    def _pictures(self, scene: Scene) -> Iterator[Picture]:
        banks = {account.number for account in scene.banks}
        groups = {group: each for group, each in self.groups.items() if group[0] in banks or not banks}
        if groups:
            yield self._by_day(groups)
        by_log: Counter[tuple[int, str]] = Counter()
        for (log, _, _, _, kind, _), each in self.groups.items():
            by_log[log, kind] += each.size
        accounts = [each for each in scene.accounts if any(log == each.number for log, _ in by_log)]
        kinds = _largest([(kind, size) for (_, kind), size in by_log.items()])
        figures = tuple(
            tuple(float(sum(by_log[each.number, key] for key in keys)) for _, keys in kinds) for each in accounts
        )
        names, series = tuple(each.member for each in accounts), tuple(name for name, _ in kinds)
        if accounts:
            yield Picture(Words.picture_kinds, Bars(names, series, figures, Words.bytes))

    def _by_day(self, groups: dict[_Group, _Sum]) -> Picture:
        """Draw days, or months or years where there are too many days."""
        days = {group[1] for group in groups}
        length = next((each for each in (10, 7) if len({day[:each] for day in days}) <= MOST_DAYS), 4)
        labels = sorted({day[:length] for day in days})
        sums: Counter[tuple[str, str]] = Counter()
        for (_, day, _, purpose, _, _), each in groups.items():
            sums[purpose, day[:length]] += each.size
        series = tuple(
            (name, tuple(float(sum(sums[key, label] for key in keys)) for label in labels))
            for name, keys in _largest([(purpose, size) for (purpose, _), size in sums.items()])
        )
        return Picture(Words.picture_days, Columns(tuple(labels), series, Words.bytes, Words.utc_day))


def _largest(sizes: Sequence[tuple[str, int]]) -> list[tuple[Say, list[str]]]:
    """Return the names with the largest sums, each a series, and the rest of them as one."""
    total: Counter[str] = Counter()
    for name, size in sizes:
        total[name] += size
    ranked = [name for name, _ in total.most_common()]
    series = [(same(name), [name]) for name in ranked[:MOST_SERIES]]
    rest = ranked[MOST_SERIES:]
    return [*series, (Words.others, rest)] if rest else series


@dataclass(slots=True)
class Approval:
    """Question 2: every payload against the decision about its job that stands before it in the same log."""

    per_log: int
    kinds: frozenset[str] = frozenset({"egress.authorised", "job.decided"})
    decisions: dict[tuple[int, str], tuple[str, str]] = field(default_factory=dict)
    orphans: Kept = field(init=False)
    checked: int = 0
    sent: int = 0
    blocks: int = 0
    coordinators: int = 0

    def __post_init__(self) -> None:
        self.orphans = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Keep a decision, or hold a payload against it."""
        if event.kind == "job.decided":
            decided = (text_of(event, "decision"), text_of(event, "spec_sha256"))
            self.decisions[account.number, text_of(event, "job")] = decided
        elif account.is_coordinator:
            self.coordinators += 1
        elif is_block(event):
            self.blocks += count_of(event, "bytes")
        else:
            self.checked += 1
            self.sent += count_of(event, "bytes")
            fault = self._fault(account, event)
            if fault:
                self.orphans.add(account.number, self._row(account, event, fault))

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 2."""
        if not self.checked:
            yield Answer(2, "none", (nothing_recorded(PAYLOADS),))
            return
        orphans, checked = self.orphans.total, self.checked
        if orphans:
            first = Say(
                f"{counted(orphans, 'message')} of {checked:,} left without an approval that stands before it.",
                f"{checked:,} 份外发报文中，有 {orphans:,} 份在其之前没有对应的批准记录。",
            )
        else:
            first = Say(
                f"No: each of the {counted(checked, 'message')} belongs to a job that the bank had accepted before, "
                "under the same specification.",
                f"否。全部 {checked:,} 份外发报文均属于此前已批准的作业，且任务说明一致。",
            )
        sentences = (first, self._counter())
        columns = [Words.time, Words.to, Words.job, Words.kind, Words.bytes, Words.why]
        table = Table(Words.orphans, columns, self.orphans.rows, orphans, "egress.authorised")
        yield Answer(2, "attention" if orphans else "clear", sentences, (table,) if orphans else ())

    def _counter(self) -> Say:
        return Say(
            f"Compare with your network's own counter: the banks' records add up to {self.sent:,} bytes of "
            "payload and "
            f"at most {self.blocks:,} bytes of control frames, without the transport's own overhead. A log "
            "cannot show "
            "bytes that were never recorded.",
            f"请与本行网络流量计数器核对：日志合计有效载荷 {self.sent:,} 字节、控制帧至多 {self.blocks:,} 字节，"
            "均不含传输层开销。从未登记的字节无法由日志发现。",
        )

    def _fault(self, account: Account, event: Event) -> Say | None:
        if not event.job:
            return Words.no_job
        decided = self.decisions.get((account.number, event.job))
        if decided is None:
            return Words.not_decided
        decision, spec = decided
        if event.body.get("manifest_sha256", spec) != spec:
            return Words.other_spec
        if decision == "refused" and text_of(event, "payload_kind") not in _REFUSAL_ANSWERS:
            return Words.was_refused
        return None

    def _row(self, account: Account, event: Event, fault: Say) -> Row:
        return (
            Moment(event.utc_us),
            _recipient(text_of(event, "to")),
            Value(event.job),
            Value(text_of(event, "payload_kind")),
            count_of(event, "bytes"),
            Flag("attention", fault),
            Proof(account.number, event.seq, event.seq),
        )


def _recipient(to: str) -> Cell:
    return Words.everyone if to == EVERYONE else Value(to)


def _short(msg_id: str) -> bytes:
    return hashlib.sha256(msg_id.encode("utf-8", "replace")).digest()[:8]


@dataclass(slots=True)
class Delivery:
    """Question 3: both sides' records where the coordinator's log is given, else the bank's signed receipts."""

    per_log: int
    kinds: frozenset[str] = frozenset({"egress.authorised", "egress.result", "ingress.received"})
    places: dict[tuple[int, bytes], int] = field(default_factory=dict)
    statuses: Counter[tuple[int, str]] = field(default_factory=Counter)
    open: dict[tuple[int, bytes], Row] = field(default_factory=dict)

    def take(self, account: Account, event: Event) -> None:
        """Remember where a message stands, and whether a receipt came for it."""
        name = _short(text_of(event, "msg_id"))
        if event.kind == "egress.result":
            self.statuses[account.number, text_of(event, "status")] += 1
            self.open.pop((account.number, name), None)
            return
        self.places[account.number, name] = event.seq
        if event.kind == "egress.authorised" and not is_block(event) and not account.is_coordinator:
            proof = Proof(account.number, event.seq, event.seq)
            row = (Moment(event.utc_us), Value(text_of(event, "msg_id")), count_of(event, "bytes"), proof)
            self.open[account.number, name] = row
            self.statuses[account.number, "sent"] += 1

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 3."""
        if scene.comparisons:
            yield self._compared(scene)
        elif any(status == "sent" for _, status in self.statuses):
            yield self._one_sided(scene)
        else:
            yield Answer(3, "none", (nothing_recorded(PAYLOADS),))

    def _one_sided(self, scene: Scene) -> Answer:
        sent = sum(self.statuses[account.number, "sent"] for account in scene.banks)
        missing = len(self.open)
        given = any(account.is_coordinator for account in scene.accounts)
        advice = (
            Say(
                "The two sides were not compared, because verification of a log failed.",
                "因有日志验证未通过，未核对双方日志。",
            )
            if given
            else Say(
                "Give the coordinator's log with --coordinator to compare both sides.",
                "请以 --coordinator 提供协调方日志，以便双方核对。",
            )
        )
        first = Say(
            f"Answered from the banks' side only: {sent - missing:,} of {counted(sent, 'message')} carry a "
            "receipt that "
            f"the coordinator signed. {advice.en}",
            f"仅由银行一侧回答：{sent:,} 份报文中，{sent - missing:,} 份附有协调方签名的回执。{advice.zh}",
        )
        rows = [row for _, row in sorted(self.open.items(), key=lambda item: item[0][0])]
        columns = [Words.time, Words.message, Words.bytes]
        table = Table(Words.without_receipt, columns, rows[: self.per_log], missing, "egress.authorised")
        return Answer(3, "attention" if missing else "partial", (first,), (table,) if missing else ())

    def _compared(self, scene: Scene) -> Answer:
        summary, findings, worst = [], Kept(self.per_log), Counter[str]()
        banks = [account for account in scene.banks if account.number in scene.comparisons]
        for account in banks:
            found = scene.comparisons[account.number]
            worst.update(each.severity for each in found.findings)
            ups = (found.matched, found.sent_bytes, found.received_bytes)
            downs = (found.down_matched, found.down_received_bytes)
            signatures = found.signatures + found.down_signatures
            summary.append((Value(account.member), *ups, *downs, signatures, len(found.findings)))
            for each in found.findings:
                findings.add(account.number, self._finding(scene, account, each))
        matched = sum(found.matched for found in scene.comparisons.values())
        grave = worst["critical"] + worst["medium"]
        first = Say(
            f"{counted(matched, 'message')} of the banks agree in both logs in digest and size; "
            f"{counted(grave, 'difference')} must be looked at, {worst['low']:,} of low severity.",
            f"双方日志中摘要与长度一致的银行报文 {matched:,} 份；需核查的差异 {grave:,} 项，低风险提示 "
            f"{worst['low']:,} 项。",
        )
        left = len(scene.banks) - len(banks)
        omitted = Say(
            f"{counted(left, 'log')} not compared, because verification of it failed.",
            f"有 {left:,} 份日志因验证未通过而未予核对。",
        )
        columns = [Words.bank, Words.agree, Words.bytes_sent, Words.bytes_received, Words.down, Words.down_bytes]
        columns = [*columns, Words.signatures, Words.findings]
        tables = [Table(Words.both_sides, columns, summary, len(summary))]
        if findings.total:
            columns = [Words.severity, Words.what, Words.message]
            tables.append(Table(Words.differences, columns, findings.rows, findings.total))
        status: Status = "attention" if grave else "partial" if left else "clear"
        return Answer(3, status, (first, *((omitted,) if left else ())), tuple(tables))

    def _finding(self, scene: Scene, account: Account, finding: Finding) -> Row:
        status: Status = "listed" if finding.severity == "low" else "attention"
        name = _short(finding.msg_id.split(" (")[0])
        numbers = [account.number, *(each.number for each in scene.accounts if each.is_coordinator)]
        proof = next(Proof(n, self.places[n, name], self.places[n, name]) for n in numbers if (n, name) in self.places)
        return (
            Flag(status, SEVERITIES[finding.severity]),
            FINDINGS.get(finding.code, Say(finding.detail, finding.detail)),
            Value(finding.msg_id),
            proof,
        )
