"""Questions 15, 16, 21 and 22: who looked, what administrators did, which keys were valid, what went wrong.

Theory: these are lists of rare records. A look-up by somebody who copied a log's files leaves no record in it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from audit.report_answer import Answer, Cell, Flag, Kept, Moment, Proof, Row, Stack, Status, Table, Value
from audit.report_read import Account, Scene, text_of
from audit.report_say import Say, counted
from audit.report_texts import SEVERITIES, Words, nothing_recorded
from privacy.log.record import Event

__all__ = ["Administration", "Incidents", "Keys", "Lookups"]

_GRAVE = ("high", "critical")


def _actor(event: Event) -> Cell:
    actor = event.actor
    return Value(f"{actor.id} ({actor.role}, {actor.type}, {actor.auth})")


@dataclass(slots=True)
class Lookups:
    """Question 15: exports and checks of access."""

    per_log: int
    kinds: frozenset[str] = frozenset({"audit.exported", "access.checked"})
    exports: Kept = field(init=False)
    checks: Kept = field(init=False)
    denied: int = 0

    def __post_init__(self) -> None:
        self.exports, self.checks = Kept(self.per_log), Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add one export or check."""
        proof = Proof(account.number, event.seq, event.seq)
        if event.kind == "audit.exported":
            files = event.body["files"]
            names = [str(each["name"]) for each in files] if isinstance(files, list) else []
            row: Row = (
                Moment(event.utc_us),
                Value(text_of(event, "who")),
                Value(text_of(event, "filter")),
                int(str(event.body["rows"])),
                Stack(tuple(Value(name) for name in names[:8])),
                proof,
            )
            self.exports.add(account.number, row)
            return
        self.denied += event.body["decision"] == "denied"
        self.checks.add(account.number, _check(event, proof))

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 15."""
        exports, checks = self.exports.total, self.checks.total
        limit = Say(
            "Whoever copies a log's files past the software leaves no record.",
            "绕过软件直接复制日志文件的行为不会留下记录。",
        )
        if not exports + checks:
            yield Answer(15, "none", (nothing_recorded("audit.exported", "access.checked"), limit))
            return
        first = Say(
            f"{counted(exports, 'export')} and {counted(checks, 'check')} of access, {self.denied:,} of them denied.",
            f"导出 {exports:,} 次；访问校验 {checks:,} 次，其中拒绝 {self.denied:,} 次。",
        )
        tables = []
        if exports:
            columns = [Words.time, Words.who, Words.filter, Words.records, Words.files]
            tables.append(Table(Words.exports, columns, self.exports.rows, exports, "audit.exported"))
        if checks:
            tables.append(Table(Words.checks, _CHECK_COLUMNS, self.checks.rows, checks, "access.checked"))
        yield Answer(15, "listed", (first, limit), tuple(tables))


_CHECK_COLUMNS = (Words.time, Words.subject, Words.action, Words.resource, Words.decision, Words.actor)


def _check(event: Event, proof: Proof) -> Row:
    denied = event.body["decision"] == "denied"
    return (
        Moment(event.utc_us),
        Value(text_of(event, "subject")),
        Value(text_of(event, "action")),
        Value(text_of(event, "resource")),
        Flag("partial", Words.denied) if denied else Flag("clear", Words.allowed),
        _actor(event),
        proof,
    )


@dataclass(slots=True)
class Administration:
    """Question 16: what administrators did, who joined or left, which keys were changed."""

    per_log: int
    kinds: frozenset[str] = frozenset({"access.checked", "key.rotated", "member.changed"})
    checks: Kept = field(init=False)
    changes: Kept = field(init=False)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.checks, self.changes = Kept(self.per_log), Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add a check of an administrator's access, or a change of members or keys."""
        proof = Proof(account.number, event.seq, event.seq)
        if event.kind == "access.checked":
            if event.actor.role == "admin":
                self.checks.add(account.number, _check(event, proof))
            return
        self.counts[event.kind] += 1
        if event.kind == "key.rotated":
            what, whom = Words.key_changed, Value(text_of(event, "role"))
            detail = Value(text_of(event, "reason"))
        else:
            what, whom = Words.member_changed, Value(text_of(event, "member"))
            quorum = event.body["quorum"]
            asked = f", {quorum['k']}/{quorum['n']}" if isinstance(quorum, dict) else ""
            detail = Value(text_of(event, "action") + asked)
        self.changes.add(account.number, (Moment(event.utc_us), what, whom, detail, _actor(event), proof))

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 16."""
        checks, changes = self.checks.total, self.changes.total
        if not checks + changes:
            yield Answer(16, "none", (nothing_recorded("access.checked: admin", "key.rotated", "member.changed"),))
            return
        members, keys = self.counts["member.changed"], self.counts["key.rotated"]
        first = Say(
            f"{counted(checks, 'act')} of administrators, {counted(members, 'change')} of members, "
            f"{counted(keys, 'change')} of keys.",
            f"管理员操作 {checks:,} 次，成员变更 {members:,} 次，密钥变更 {keys:,} 次。",
        )
        tables = []
        if checks:
            tables.append(Table(Words.admin_acts, _CHECK_COLUMNS, self.checks.rows, checks, "access.checked"))
        if changes:
            columns = [Words.time, Words.what, Words.whom, Words.detail, Words.actor]
            tables.append(Table(Words.changes, columns, self.changes.rows, changes, "member.changed"))
        yield Answer(16, "listed", (first,), tuple(tables))


@dataclass(slots=True)
class Keys:
    """Question 21: the key each log is verified under, and every rotation."""

    per_log: int
    kinds: frozenset[str] = frozenset({"key.rotated"})
    kept: Kept = field(init=False)
    compromised: int = 0

    def __post_init__(self) -> None:
        self.kept = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add one rotation."""
        last_good = event.body.get("last_good_size")
        doubtful = isinstance(last_good, int)
        self.compromised += doubtful
        row: Row = (
            Moment(event.utc_us),
            Value(text_of(event, "role")),
            Stack((Value(text_of(event, "old_vkey")), Value("→ " + text_of(event, "new_vkey")))),
            Value(text_of(event, "overlap_until")),
            Value(text_of(event, "reason")),
            Flag("attention", Say(f"good up to {last_good:,} records", f"可信至第 {last_good:,} 条"))
            if isinstance(last_good, int)
            else Flag("clear", Words.no_doubt),
            Proof(account.number, event.seq, event.seq),
        )
        self.kept.add(account.number, row)

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 21."""
        rotations = self.kept.total
        first = Say(
            f"{counted(rotations, 'rotation')} recorded, {self.compromised:,} of them because a key had become "
            "doubtful."
            if rotations
            else "No rotation is recorded; each log stands under the one key below.",
            f"密钥轮换 {rotations:,} 次，其中因密钥可疑而轮换 {self.compromised:,} 次。"
            if rotations
            else "未见密钥轮换记录；各日志均使用下列唯一密钥。",
        )
        source = Say(
            "The keys came from outside the logs (members.json or --vkey)."
            if scene.pinned
            else "The keys below came with the logs themselves and prove nothing about their owner: compare them with "
            "those you hold, or give --members.",
            "公钥由日志之外提供（members.json）。"
            if scene.pinned
            else "下列公钥随日志一并提供，不能证明其归属：请与自行保存的公钥核对，或以 --members 提供。",
        )
        rows: list[Row] = [(Value(account.member), Value(account.log.key.encode())) for account in scene.accounts]
        tables = [Table(Words.log_keys, (Words.log, Words.public_key), rows, len(rows))]
        if rotations:
            columns = [Words.time, Words.role, Words.keys, Words.overlap, Words.reason, Words.doubt]
            tables.append(Table(Words.rotations, columns, self.kept.rows, rotations, "key.rotated"))
        status: Status = "attention" if self.compromised else "listed" if scene.pinned else "partial"
        yield Answer(21, status, (first, source), tuple(tables))


@dataclass(slots=True)
class Incidents:
    """Question 22: alarms, the grave ones first, and whether anybody was told."""

    per_log: int
    kinds: frozenset[str] = frozenset({"alarm.raised"})
    grave: Kept = field(init=False)
    rest: Kept = field(init=False)
    untold: int = 0

    def __post_init__(self) -> None:
        self.grave, self.rest = Kept(self.per_log), Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add one alarm."""
        severity, told = text_of(event, "severity"), event.body.get("notified_at")
        serious = severity in _GRAVE
        self.untold += serious and told is None
        row: Row = (
            Moment(event.utc_us),
            Value(text_of(event, "class")),
            Flag("attention" if serious else "listed", SEVERITIES[severity]),
            Value(event.job),
            Value(text_of(event, "evidence")),
            Value(str(told)) if told is not None else Flag("attention" if serious else "listed", Words.nobody_told),
            Proof(account.number, event.seq, event.seq),
        )
        (self.grave if serious else self.rest).add(account.number, row)

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer question 22."""
        grave, rest = self.grave.total, self.rest.total
        if not grave + rest:
            limit = Say(
                "No alarm was recorded; an incident that the software did not notice leaves none.",
                "未见告警记录；软件未察觉的事件不会留下告警。",
            )
            yield Answer(22, "none", (nothing_recorded("alarm.raised"), limit))
            return
        first = Say(
            f"{counted(grave + rest, 'alarm')}, {grave:,} of high or critical severity; for {self.untold:,} of "
            "these the "
            "record names no time at which somebody was told.",
            f"告警 {grave + rest:,} 条，其中高或严重级别 {grave:,} 条；后者中有 {self.untold:,} 条未记载通知时间。",
        )
        columns = [Words.time, Words.alarm_class, Words.severity, Words.job, Words.evidence, Words.told]
        tables = []
        if grave:
            tables.append(Table(Words.grave_alarms, columns, self.grave.rows, grave, "alarm.raised"))
        if rest:
            tables.append(Table(Words.other_alarms, columns, self.rest.rows, rest, "alarm.raised"))
        yield Answer(22, "attention" if grave else "listed", (first,), tuple(tables))
