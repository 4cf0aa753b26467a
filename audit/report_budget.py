"""Questions 4 and 5: what privacy was spent on a data set, under which accountant, and whether the cap held.

Theory: a `dp.spend` record holds what its cost follows from, so `audit.epsilon` recomputes epsilon and it is compared
with what the bank wrote down; the cap is compared with what was written down. That noise of that size was
really drawn is the node's claim. Sums without noise have no epsilon at all, which is said instead of a figure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from audit.epsilon import TOLERANCE, EpsilonAudit
from audit.report_answer import Answer, Flag, Kept, Moment, Picture, Proof, Row, Status, Table, Value
from audit.report_details import detail_of
from audit.report_drawing import Steps
from audit.report_read import Account, Scene, text_of
from audit.report_say import Say, counted, same, shown
from audit.report_texts import FAULTS, Words, nothing_recorded
from privacy.log.record import Event

__all__ = ["Budget"]

MOST_PICTURES = 6
MOST_POINTS = 600


@dataclass(slots=True)
class _Spent:
    """What one data set of one log spent, as its records say."""

    last: Event
    first: int
    points: list[tuple[int, float]] = field(default_factory=list)
    exceeded: Event | None = None
    after: int = 0
    records: int = 0

    def add(self, event: Event) -> None:
        """Take one record of the data set."""
        total, cap = Decimal(text_of(event, "eps_total")), Decimal(text_of(event, "cap"))
        self.records += 1
        self.last = event
        if len(self.points) < MOST_POINTS:
            self.points.append((event.utc_us, float(total)))
        else:
            self.points[-1] = (event.utc_us, float(total))
        if self.exceeded is not None:
            self.after += 1
        elif total > cap:
            self.exceeded = event


@dataclass(slots=True)
class Budget:
    """Questions 4 and 5 over the same records."""

    per_log: int
    kinds: frozenset[str] = frozenset({"dp.spend", "alarm.raised", "job.decided"})
    spent: dict[tuple[int, str], _Spent] = field(default_factory=dict)
    alarms: Kept = field(init=False)
    exact: set[str] = field(default_factory=set)
    noisy: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.alarms = Kept(self.per_log)

    def take(self, account: Account, event: Event) -> None:
        """Add a record of spending, an alarm of class budget, or count an accepted job."""
        if event.kind == "dp.spend":
            name = (account.number, text_of(event, "dataset"))
            if name not in self.spent:
                self.spent[name] = _Spent(event, event.seq)
            self.spent[name].add(event)
            self.noisy.add(event.job)
        elif event.kind == "alarm.raised":
            if event.body["class"] == "budget":
                proof = Proof(account.number, event.seq, event.seq)
                self.alarms.add(account.number, (Moment(event.utc_us), Value(text_of(event, "evidence")), proof))
        elif event.body["decision"] == "accepted" and "dp" not in event.body:
            self.exact.add(text_of(event, "job"))

    def answers(self, scene: Scene) -> Iterator[Answer]:
        """Answer questions 4 and 5."""
        if self.spent or any(found.faults for found in scene.spending.values()):
            yield self._spending(scene)
        else:
            yield Answer(4, "none", (nothing_recorded("dp.spend"), *self._exact()))
        if self.spent or self.alarms.total:
            yield self._limits()
        else:
            yield Answer(5, "none", (nothing_recorded("dp.spend", "alarm.raised: budget"), *self._exact()))

    def _exact(self) -> tuple[Say, ...]:
        exact = self.exact - self.noisy
        if not exact:
            return ()
        return (
            Say(
                f"{counted(len(exact), 'accepted job')} named no noise: such sums are exact, no ε is promised "
                "for them, "
                "and what protects them is the cohort (question 11).",
                f"有 {len(exact):,} 项已批准作业未约定噪声：其聚合结果为精确值，不提供 ε 保证，"
                "其保护依赖参与机构数（见问题 11）。",
            ),
        )

    def _spending(self, scene: Scene) -> Answer:
        audits = scene.spending
        rows = [self._row(log, dataset, spent, audits.get(log)) for (log, dataset), spent in sorted(self.spent.items())]
        faults = [(log, fault) for log in audits for fault in audits[log].faults if fault.code != "above-cap"]
        missing = sum(audit.missing for audit in audits.values())
        unknown = sum(spending is None for spending in self._recomputed(audits))
        if faults or unknown:
            first = Say(
                f"{counted(len(rows), 'data set')} spent privacy; {counted(len(faults), 'difference')} "
                f"from the recomputed ε, {missing:,} releases have no record, {unknown:,} could not be recomputed.",
                f"共 {len(rows):,} 个数据集消耗了隐私预算；与复算结果不符的记录 {len(faults):,} 条，"
                f"缺失记录的发布 {missing:,} 次，"
                f"无法复算的数据集 {unknown:,} 个。",
            )
        else:
            first = Say(
                f"{counted(len(rows), 'data set')} spent privacy; every recorded ε equals the one recomputed from the "
                "records.",
                f"共 {len(rows):,} 个数据集消耗了隐私预算；各条登记的 ε 与依据记录复算的结果全部一致。",
            )
        columns = [Words.dataset, Words.unit, Words.mechanism, Words.accountant, Words.delta]
        columns = [*columns, Words.eps_logged, Words.eps_recomputed, Words.cap, Words.records]
        tables = [Table(Words.spending, columns, rows[: self.per_log], len(rows), "dp.spend")]
        if faults:
            wrong = [(FAULTS.get(each.code, same(each.code)), detail_of(each.detail), Proof(log, each.seq, each.seq))
                     for log, each in faults]  # fmt: skip
            tables.append(Table(Words.epsilon_faults, [Words.what, Words.detail], wrong[: self.per_log], len(wrong)))
        status: Status = "attention" if faults or unknown else "clear"
        return Answer(4, status, (first, self._claim(), *self._exact()), tuple(tables), tuple(self._pictures()))

    def _recomputed(self, audits: Mapping[int, EpsilonAudit]) -> Iterator[float | None]:
        for log, dataset in self.spent:
            yield audits[log].spending[dataset].recomputed if log in audits else None

    def _claim(self) -> Say:
        return Say(
            "The recorded ε counts all releases of the bank that share rows; that noise of this size was drawn is the "
            "node's claim.",
            "登记的 ε 计入本行涉及相同数据行的全部发布；噪声确已按此规模加入，属节点自身声明。",
        )

    def _row(self, log: int, dataset: str, spent: _Spent, audit: EpsilonAudit | None) -> Row:
        last = spent.last
        figure = audit.spending[dataset].recomputed if audit else None
        logged = float(Decimal(text_of(last, "eps_total")))
        agrees = figure is not None and abs(figure - logged) <= TOLERANCE * max(1.0, abs(figure))
        word = Words.not_recomputed if figure is None else same(f"{figure:.6g}")
        mechanism = f"{last.body['mechanism']}, {last.body['sampling']}, {last.body['neighbouring']}"
        return (
            Value(dataset),
            Value(text_of(last, "unit")),
            Value(mechanism),
            Value(text_of(last, "accountant")),
            Value(text_of(last, "delta")),
            Value(_rounded(text_of(last, "eps_total"))),
            Flag("clear" if agrees else "attention", word),
            Value(text_of(last, "cap")),
            spent.records,
            Proof(log, spent.first, last.seq),
        )

    def _pictures(self) -> Iterator[Picture]:
        for (_, dataset), spent in sorted(self.spent.items())[:MOST_PICTURES]:
            cap = float(Decimal(text_of(spent.last, "cap")))
            caption = Say(
                f"ε spent on {shown(dataset)}, against its cap", f"数据集 {shown(dataset)} 的 ε 累计消耗与上限"
            )
            drawn = cap if cap != float("inf") else None
            points = tuple((moment, figure) for moment, figure in spent.points if figure != float("inf"))
            if points:
                yield Picture(caption, Steps(points, drawn, same("ε"), Say(f"cap {cap:g}", f"上限 {cap:g}")))

    def _limits(self) -> Answer:
        rows: list[Row] = []
        going_on = 0
        for (log, dataset), spent in sorted(self.spent.items()):
            if spent.exceeded is None:
                continue
            going_on += spent.after > 0
            event = spent.exceeded
            word = Words.went_on if spent.after else Words.stopped
            flag = Flag("attention" if spent.after else "clear", word)
            total, cap = Value(_rounded(text_of(event, "eps_total"))), Value(text_of(event, "cap"))
            proof = Proof(log, event.seq, event.seq)
            rows.append((Moment(event.utc_us), Value(dataset), total, cap, spent.after, flag, proof))
        first = self._verdict(len(rows), going_on)
        columns = [Words.time, Words.dataset, Words.eps_logged, Words.cap, Words.later_records, Words.outcome]
        tables = [Table(Words.exceeded, columns, rows[: self.per_log], len(rows), "dp.spend")] if rows else []
        if self.alarms.total:
            columns = [Words.time, Words.evidence]
            tables.append(Table(Words.budget_alarms, columns, self.alarms.rows, self.alarms.total, "alarm.raised"))
        return Answer(5, "attention" if rows else "clear", (first, *self._exact()), tuple(tables))

    def _verdict(self, exceeded: int, going_on: int) -> Say:
        alarms = self.alarms.total
        if exceeded:
            return Say(
                f"Yes: the cap was exceeded on {counted(exceeded, 'data set')}; spending went on afterwards on "
                f"{going_on:,}. {counted(alarms, 'alarm')} of class budget.",
                f"是。共有 {exceeded:,} 个数据集突破上限，其中 {going_on:,} 个在突破后仍继续消耗；预算类告警 "
                f"{alarms:,} 条。",
            )
        if alarms:
            return Say(
                f"No record exceeds its cap; {counted(alarms, 'alarm')} of class budget shows where work was stopped.",
                f"没有记录突破上限；预算类告警 {alarms:,} 条，表明相关作业已被拦停。",
            )
        return Say("No: no record exceeds its cap.", "否。没有任何记录突破上限。")


def _rounded(figure: str) -> str:
    return f"{float(Decimal(figure)):.6g}"
