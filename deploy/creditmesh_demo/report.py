"""Make report.json and the page's view from a run's record and the members' tables.

It starts nothing and asks nobody. Theory: report.json has a fixed schema, so a reader can compare runs; a figure that
cannot be known (a hold-out of one class, a bank that was lost, a job without a model) is null and never a guess.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from creditmesh_demo.evaluation import Market, judge, model_difference, train_pooled, without_figures
from creditmesh_demo.newcomer import Newcomer, newcomer_document
from creditmesh_demo.page.view import Curves, RecipeView, RunView, SelfCheck
from creditmesh_demo.points import compose_applicant, points_table
from creditmesh_demo.privacy_price import Price, price
from creditmesh_demo.run_record import JobRecord, RunRecord, Sent, Timing
from creditmesh_demo.self_check import count_differences
from risk.card import Scorecard
from risk.job import Book
from risk.table import Table

__all__ = ["Judged", "check_sums", "judge_job", "price_jobs", "report_document", "run_view", "sent_by_reason"]

REASONS = ("setup", "sketch", "counts", "training", "measuring", "halves", "consent", "verifying", "other")
EPSILONS = ("1", "3", "8")
NETWORK_FIGURES = ("auc", "ks", "brier", "ece")
MASKED = "secagg.upload"
VERIFIED = "secagg.sum-signature"
SMALL_KINDS = {
    "secagg.accept": "setup",
    "secagg.decline": "setup",
    "secagg.setup": "setup",
    "secagg.agree": "setup",
    "secagg.consent": "consent",
    "secagg.reveal": "consent",
    VERIFIED: "verifying",
}


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """Hold one job with the demo's own judgement.

    market is None for a job without a model; pooled and newcomer are None where they were not asked for.
    """

    record: JobRecord
    market: Market | None
    pooled: Mapping[str, Any] | None
    newcomer: Mapping[str, Any] | None = None


def judge_job(
    record: JobRecord, tables: Mapping[str, Table], compare_pooled: bool, newcomer: Newcomer | None = None
) -> Judged:
    """Judge a job's models on the members' tables.

    compare_pooled: train on all rows in one place as well. newcomer: a lender outside, judged on its own rows.
    """
    if record.network is None:
        return Judged(record, None, None)
    books = _books(record, tables, _measured(record))
    market = judge(books, record.network, record.models, record.reported)
    lost = [member for member in record.members if member not in books and member in tables]
    rows = (without_figures(member, _book(record, tables, member)) for member in lost)
    market = Market((*market.banks, *rows), market.auc_exact)
    pooled = None
    if compare_pooled:
        standing = list(_books(record, tables, _standing(record)).values())
        outcome = train_pooled(standing, record.spec)
        difference = model_difference(record.network, outcome.model, standing)
        auc = outcome.metrics.auc if outcome.metrics else None
        pooled = {"auc": auc, "max_abs_difference": difference}
    if newcomer is None:
        return Judged(record, market, pooled)
    steps = newcomer.steps(newcomer.read(), record.spec, record.network)
    return Judged(record, market, pooled, newcomer_document(newcomer.bank, steps))


def check_sums(record: JobRecord, tables: Mapping[str, Table]) -> SelfCheck:
    """Compare every opened sum of a job with the plain sum over the tables."""
    books = _books(record, tables, record.members)
    different = count_differences(record.opened, books, record.spec, record.disclosed)
    return SelfCheck(record.recipe, len(record.opened), different)


def report_document(run: RunRecord, judged: Sequence[Judged], timing: Timing) -> dict[str, Any]:
    """Return the content of report.json."""
    members = list(dict.fromkeys(member for job in run.jobs for member in job.members))
    cohorts = [len(entry.survivors) for job in run.jobs for entry in job.rounds]
    sent = {bank: sum(message.size for message in run.sent if message.bank == bank) for bank in members}
    return {
        "room": run.room,
        "members": members,
        "seed": run.seed,
        "timing": {
            "first_result_s": _rounded(timing.first_result_s),
            "total_s": _rounded(timing.total_s),
            "peak_rss_bytes_total": timing.peak_bytes,
        },
        "recipes": {found.record.recipe: _recipe_entry(found, run.sent) for found in judged},
        "privacy": {
            "sums": sum(len(job.rounds) for job in run.jobs),
            "smallest_cohort": min(cohorts, default=0),
            "dropouts": sum(int(job.outcome.get("dropouts", 0)) for job in run.jobs),
            "epsilon": {member: _epsilon(run, member) for member in members},
            "egress_bytes": sent,
            "log_events": {member: run.log_events.get(member, 0) for member in members},
        },
    }


def price_jobs(judged: Sequence[Judged], tables: Mapping[str, Table]) -> tuple[Price, ...]:
    """Return what epsilon costs each recipe that was trained with noise, by training it again in this process."""
    records = [found.record for found in judged if found.record.spec.private and found.record.network is not None]
    # Towers answer ten times as many sums as a scorecard, with a gradient a row.
    return tuple(
        price(_books(item, tables, _measured(item)), item.spec, EPSILONS, draws=1 if item.recipe == "towers" else 3)
        for item in records
    )


def run_view(
    run: RunRecord, judged: Sequence[Judged], checks: Sequence[SelfCheck], report: Mapping[str, Any]
) -> RunView:
    """Return what the page shows."""
    dictionary = run.jobs[0].spec.dictionary
    card = next((job.network for job in run.jobs if isinstance(job.network, Scorecard)), None)
    window = f" ({dictionary.target.window_months} months)" if dictionary.target.window_months else ""
    return RunView(
        report=report,
        title=dictionary.title,
        source=dictionary.source,
        target=dictionary.target.meaning + window,
        synthetic=run.synthetic,
        started=run.started,
        recipes=tuple(_recipe_view(found, report) for found in judged),
        points=points_table(card, dictionary) if card else None,
        applicant=compose_applicant(card) if card else None,
        sent=sent_by_reason(run),
        checks=tuple(checks),
        verifiers=_verifiers(run),
        excluded=tuple(dict.fromkeys(member for job in run.jobs for member in job.excluded)),
        prices=run.prices,
        unit=run.jobs[0].spec.unit,
    )


def sent_by_reason(run: RunRecord) -> dict[str, dict[str, int]]:
    """Return the bytes each bank sent, by reason (a key of the page's labels), without empty reasons."""
    names = {(job.job, entry.number): entry.name for job in run.jobs for entry in job.rounds}
    measured = {job.job: _last_measurement(job) for job in run.jobs}
    sent: dict[str, dict[str, int]] = {reason: {} for reason in REASONS}
    for message in run.sent:
        reason = SMALL_KINDS.get(message.kind, "other")
        if message.kind == MASKED and message.round is not None:
            reason = _reason(names.get((message.job, message.round), ""), message.round > measured[message.job])
        by_bank = sent[reason]
        by_bank[message.bank] = by_bank.get(message.bank, 0) + message.size
    return {reason: by_bank for reason, by_bank in sent.items() if by_bank}


def _verifiers(run: RunRecord) -> int:
    """Return how many members at least signed, after recomputing it, each opened sum; 0 if any was signed by nobody."""
    signed: dict[tuple[str, int | None], set[str]] = {}
    for message in run.sent:
        if message.kind == VERIFIED:
            signed.setdefault((message.job, message.round), set()).add(message.bank)
    return min((len(signed.get((job.job, entry.number), ())) for job in run.jobs for entry in job.rounds), default=0)


def _reason(name: str, after_measuring: bool) -> str:
    if after_measuring:
        return "halves"
    if name.startswith("score-"):
        return "measuring"
    if name.startswith("sketch") or name == "bin-rows":
        return "sketch"
    return "counts" if name in ("bin-bads", "bin-counts") else "training"


def _last_measurement(job: JobRecord) -> int:
    """Return the number of the job's last measuring round; the half federations come after it."""
    return max((entry.number for entry in job.rounds if entry.name.startswith("score-")), default=len(job.rounds))


def _measured(record: JobRecord) -> tuple[str, ...]:
    """Return the members behind the network's figures: those inside its last measuring sum."""
    last = _last_measurement(record)
    return next((entry.survivors for entry in record.rounds if entry.number == last), record.members)


def _standing(record: JobRecord) -> tuple[str, ...]:
    return record.rounds[-1].survivors if record.rounds else record.members


def _books(record: JobRecord, tables: Mapping[str, Table], members: Sequence[str]) -> dict[str, Book]:
    return {member: _book(record, tables, member) for member in members}


def _book(record: JobRecord, tables: Mapping[str, Table], member: str) -> Book:
    return Book(tables[member], record.spec, record.disclosed.prf(member))


def _recipe_entry(found: Judged, sent: Sequence[Sent]) -> dict[str, Any]:
    record, outcome = found.record, found.record.outcome
    sizes = [message.size for message in sent if message.job == record.job]
    metrics = outcome.get("metrics") or {}
    network: dict[str, Any] = {name: metrics.get(name) for name in NETWORK_FIGURES}
    network["auc_exact"] = found.market.auc_exact if found.market else None
    banks = {bank.bank: dict(bank.figures) for bank in found.market.banks} if found.market else {}
    outside = {} if found.newcomer is None else {"newcomer": found.newcomer}
    return {
        "rounds": len(record.rounds),
        "seconds": _rounded(outcome.get("seconds")),
        "upload_bytes_per_member": sum(sizes) // max(len(record.members), 1),
        "round_ms_median": _rounded(outcome.get("round_ms_median")),
        "members": banks,
        "network": {name: network[name] for name in ("auc", "auc_exact", "ks", "brier", "ece")},
        "pooled": found.pooled,
        **outside,
    }


def _epsilon(run: RunRecord, member: str) -> float | None:
    """Return what all jobs of the run have cost a record of this bank, None if none carried noise."""
    spent = [job.accounts[member]["epsilon_total"] for job in run.jobs if member in job.accounts]
    return max((float(total) for total in spent), default=None)


def _recipe_view(found: Judged, report: Mapping[str, Any]) -> RecipeView:
    record = found.record
    return RecipeView(
        name=record.recipe,
        entry=report["recipes"][record.recipe],
        banks=found.market.banks if found.market else (),
        curves=_curves(record.outcome.get("metrics")),
        state=record.state,
        reason=record.reason,
        left_out=record.left_out,
    )


def _curves(metrics: Mapping[str, Any] | None) -> Curves | None:
    if not metrics or not metrics["roc"] or not metrics["calibration"]:
        return None
    roc, groups = np.array(metrics["roc"], dtype=np.float64), metrics["calibration"]
    return Curves(
        rows=int(metrics["rows"]),
        bads=int(metrics["bads"]),
        goods_share=roc[:, 0],
        bads_share=roc[:, 1],
        group_rows=np.array([rows for rows, _, _ in groups], dtype=np.int64),
        group_bads=np.array([bads for _, bads, _ in groups], dtype=np.int64),
        group_pd=np.array([pd for _, _, pd in groups], dtype=np.float64),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)
