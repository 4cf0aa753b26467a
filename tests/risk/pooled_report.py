"""A validation's report against a plain computation on all rows in one place, written without the code under test.

Only models score by their own code: bins, counts, ranks, tests and ratios are numpy, scikit-learn and SciPy here.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from risk.dictionary import Dictionary
from risk.model import Model
from risk.table import Table

__all__ = ["bins_of", "check_model", "check_pair", "check_report", "check_scores", "plain_auc"]

CLOSE = 1e-9


def bins_of(model: Model, table: Table) -> np.ndarray:
    """Return the score bin of every row, from -500 to 499."""
    return np.clip(np.floor(model.logit(table) * 64), -500, 499).astype(int)


def plain_psi(reference: Sequence[int], observed: Sequence[int]) -> float:
    total = 0.0
    for a, b in zip(reference, observed, strict=True):
        if a or b:
            p, q = max(a, 0.5) / sum(reference), max(b, 0.5) / sum(observed)
            total += (p - q) * math.log(p / q)
    return total


def plain_auc(target: np.ndarray, score: np.ndarray) -> float | None:
    """Return scikit-learn's AUC; None for one class."""
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the second opinion on AUC")
    if len(set(target.tolist())) < 2:
        return None
    return float(metrics.roc_auc_score(target, score))


def plain_ks(target: np.ndarray, score: np.ndarray) -> float:
    stats = pytest.importorskip("scipy.stats", reason="SciPy is the second opinion on KS")
    return float(stats.ks_2samp(score[target == 1], score[target == 0]).statistic)


def near(value: float | None, expected: float | None, error: float = CLOSE) -> None:
    if expected is None:
        assert value is None
    else:
        assert value is not None and abs(value - expected) <= error, (value, expected)


def check_scores(scores: Mapping[str, Any], target: np.ndarray, bins: np.ndarray, least: int = 10) -> None:
    """Hold the figures of one group of rows against the rows; least: rows of a class below which ranks are not told."""
    stats = pytest.importorskip("scipy.stats", reason="SciPy is the second opinion on the calibration test")
    assert (scores["rows"], scores["bads"]) == (len(target), int(target.sum()))
    near(scores["bad_rate"], float(np.mean(target)))
    rarer = min(int(target.sum()), int(np.sum(target == 0)))
    near(scores["auc"], plain_auc(target, bins) if rarer >= least else None)
    pd = 1.0 / (1.0 + np.exp(-(bins + 0.5) / 64))
    near(scores["mean_pd"], float(pd.mean()))
    if "brier" not in scores:
        return
    near(scores["brier"], float(np.mean((pd - target) ** 2)) if rarer >= 3 * least else None, 1e-8)
    groups = scores["calibration"]
    assert sum(g["rows"] for g in groups) == len(target) and sum(g["bads"] for g in groups) == target.sum()
    order, place, chi = np.argsort(bins, kind="stable"), 0, 0.0
    for group in groups:
        # Cells hold whole bins, so the rows in order of score fall into the groups one after the other.
        own = order[place : place + group["rows"]]
        place += group["rows"]
        assert target[own].sum() == group["bads"]
        near(group["mean_pd"], float(pd[own].mean()))
        mean = float(pd[own].mean())
        chi += (group["bads"] - group["rows"] * mean) ** 2 / (group["rows"] * mean * (1 - mean))
    gaps = [abs(g["rows"] * g["mean_pd"] - g["bads"]) for g in groups]
    near(scores["ece"], sum(gaps) / len(target))
    near(scores["hosmer_lemeshow"]["chi_square"], chi, 1e-7)
    near(scores["hosmer_lemeshow"]["p_value"], float(stats.chi2.sf(chi, len(groups))))
    if scores["ks"] is not None and len(set(target.tolist())) == 2:
        exact = plain_ks(target, bins)
        assert scores["ks"] <= exact + CLOSE and (scores["cells"] < 15 or scores["ks"] > exact - 0.03)
    for lift in scores["lift"]:
        top = order[::-1][: lift["rows"]]
        assert target[top].sum() == lift["bads"]
        near(lift["lift"], float(target[top].mean() / target.mean()))
        near(lift["captured"], float(target[top].sum() / target.sum()))


def check_drift(entry: Mapping[str, Any], model: Model, table: Table, bins: np.ndarray) -> None:
    """Hold score drift and field drift against the rows."""
    reference = model.reference
    if reference is None:
        assert entry["drift"] is None and entry["fields"] == [] and entry["grades"] is None
        assert entry["reference"] == "no reference"
        return
    edges = [-501, *reference.score_cuts, 501]
    counts = [int(np.sum((bins >= low) & (bins < high))) for low, high in pairwise(edges)]
    assert entry["drift"]["observed"] == counts
    near(entry["drift"]["psi"], plain_psi(reference.score_rows, counts))
    fields = {item["name"]: item for item in entry["fields"]}
    assert set(fields) == {coding.name for coding, _ in reference.fields}
    for coding, rows in reference.fields:
        column = table.columns[coding.name]
        place = np.full(len(column), coding.bins - 1)
        if coding.kind == "category":
            for number, group in enumerate(coding.groups):
                place[np.isin(column, group)] = number
        else:
            present = ~np.isnan(column)
            place[present] = np.digitize(column[present], coding.cuts) if coding.cuts else 0
            for number, special in enumerate(coding.special):
                place[column == special] = coding.ordinary + number
        counts = np.bincount(place, minlength=coding.bins).tolist()
        assert fields[coding.name]["observed"] == counts and fields[coding.name]["reference"] == list(rows)
        near(fields[coding.name]["psi"], plain_psi(rows, counts))
        value = fields[coding.name]["psi"]
        assert fields[coding.name]["band"] == ("stable" if value < 0.1 else "watch" if value <= 0.25 else "act")
    assert [item["psi"] for item in entry["fields"]] == sorted((i["psi"] for i in entry["fields"]), reverse=True)


def check_grades(entry: Mapping[str, Any], model: Model, target: np.ndarray, bins: np.ndarray) -> None:
    """Hold the rating grades against the rows."""
    stats = pytest.importorskip("scipy.stats", reason="SciPy is the second opinion on the test of a grade")
    reference = model.reference
    if reference is None:
        return
    grade = 1 + np.searchsorted(reference.scale.cuts, bins, side="right")
    rates: list[float] = []
    seen = 0
    for found in entry["grades"]["grades"]:
        assert found["grade"] == seen + 1
        seen = found["last_grade"]
        own = (grade >= found["grade"]) & (grade <= found["last_grade"])
        assert (found["rows"], found["bads"]) == (int(own.sum()), int(target[own].sum()))
        if own.any():
            pd = float(np.mean(1.0 / (1.0 + np.exp(-(bins[own] + 0.5) / 64))))
            near(found["pd"], pd)
            near(found["p_value"], float(stats.beta.cdf(pd, found["bads"] + 0.5, found["rows"] - found["bads"] + 0.5)))
            rates.append(float(target[own].mean()))
    assert seen == reference.scale.size
    assert entry["grades"]["monotone"] == (rates == sorted(rates))


def month_index(text: str) -> int:
    return 12 * int(text[:4]) + int(text[5:]) - 1


def check_periods(entry: Mapping[str, Any], model: Model, table: Table, bins: np.ndarray, least: int) -> None:
    """Hold the figures by period against the rows."""
    if table.month is None:
        assert entry["stability"] == []
        return
    counted = 0
    for period in entry["stability"]:
        if period["period"] == "no date":
            own = table.month < 0
        else:
            first, _, last = period["period"].partition("..")
            own = (table.month >= month_index(first)) & (table.month <= month_index(last or first))
        assert own.any()
        counted += int(own.sum())
        if period["withheld"]:
            continue
        assert own.sum() >= least
        check_scores(period, table.target[own], bins[own])
        if model.reference is not None:
            edges = [-501, *model.reference.score_cuts, 501]
            mine = bins[own]
            counts = [int(np.sum((mine >= low) & (mine < high))) for low, high in pairwise(edges)]
            near(period["psi"], plain_psi(model.reference.score_rows, counts))
    assert counted == table.rows


def segment_rows(field: Any, level: str, column: np.ndarray) -> np.ndarray:
    """Return which rows a segment of that name holds."""
    if field.kind == "category":
        return np.asarray(column == (-1 if level == "missing" else field.levels.index(level)))
    if level == "missing":
        return np.isnan(column)
    if field.kind == "flag":
        return np.asarray(column == float(level))
    words = level.removesuffix(field.unit or "").split()
    if words == ["any"]:
        return ~np.isnan(column) & ~np.isin(column, field.special)
    if len(words) == 1 and float(words[0]) in field.special:
        return np.asarray(column == float(words[0]))
    plain = ~np.isnan(column) & ~np.isin(column, field.special)
    if words[0] == "below":
        return plain & (column < float(words[1]))
    if words[-1] == "above":
        return plain & (column >= float(words[0]))
    return plain & (column >= float(words[0])) & (column < float(words[-1]))


def check_segments(entry: Mapping[str, Any], table: Table, dictionary: Dictionary, bins: np.ndarray) -> None:
    """Hold the segments' figures against the rows."""
    declared = [f.name for f in dictionary.fields if f.use != "ignore" and (f.segment or f.use == "segment")]
    assert [item["field"] for item in entry["fairness"]] == declared
    cut = entry["cut_off"]["first_declined_bin"] - 500
    for item in entry["fairness"]:
        field, column = dictionary.field(item["field"]), table.columns[item["field"]]
        masks = [segment_rows(field, segment["level"], column) for segment in item["segments"]]
        assert np.all(np.sum(masks, axis=0) == 1)
        shown = [(s, own) for s, own in zip(item["segments"], masks, strict=True) if not s["withheld"]]
        rates = [float(np.mean(bins[own] < cut)) for _, own in shown]
        for (segment, own), rate in zip(shown, rates, strict=True):
            assert segment["rows"] == own.sum() >= 100
            near(segment["approval_rate"], rate)
            ratio = rate / max(rates) if max(rates) else 1.0
            near(segment["approval_ratio"], ratio)
            assert segment["passes"] == (ratio >= 0.8)
            near(segment["bad_rate"], float(table.target[own].mean()))
            rarer = min(int(table.target[own].sum()), int(np.sum(table.target[own] == 0)))
            near(segment["auc"], plain_auc(table.target[own], bins[own]) if rarer >= 10 else None)
            pd = float(np.mean(1.0 / (1.0 + np.exp(-(bins[own] + 0.5) / 64))))
            near(segment["calibration_gap"], pd - float(table.target[own].mean()))
        hidden = [int(own.sum()) for s, own in zip(item["segments"], masks, strict=True) if s["withheld"]]
        assert sum(hidden) == 0 or sum(hidden) >= 100 or not shown


def check_prior(prior: Mapping[str, Any] | None, model: Model, target: np.ndarray, bins: np.ndarray) -> None:
    """Hold the PDs for another population against the rows, each weighted so that the bad rate is that population's."""
    if prior is None:
        return
    rate, trained = prior["population_bad_rate"], model.training["bads"] / model.training["rows"]
    shift = math.log(rate / (1 - rate)) - math.log(trained / (1 - trained))
    near(prior["log_odds_shift"], shift)
    near(prior["training_bad_rate"], trained)
    near(prior["bad_rate"], rate)
    pd = 1.0 / (1.0 + np.exp(-((bins + 0.5) / 64 + shift)))
    weight = np.where(target == 1, rate / target.mean(), (1 - rate) / (1 - target.mean()))
    # Within a cell the weights are taken as one, so the mean is that of the rows to within a cell's width.
    near(prior["mean_pd"], float(np.sum(weight * pd) / weight.sum()), 0.03)


def check_model(entry: Mapping[str, Any], model: Model, table: Table, dictionary: Dictionary) -> None:
    """Hold one model's entry of a report against all selected rows."""
    bins = bins_of(model, table)
    check_scores(entry["scores"], table.target, bins)
    if entry["scores"]["auc"] is not None:
        near(entry["scores"]["auc"], plain_auc(table.target, model.logit(table)), 2e-3 + 2.0 / table.rows)
    cut = entry["cut_off"]["first_declined_bin"] - 500
    approved = bins < cut
    assert entry["cut_off"]["rows_approved"] == approved.sum()
    near(entry["cut_off"]["pd"], 1.0 / (1.0 + math.exp(-cut / 64)))
    found = entry["cut_off"]["confusion"]
    if found is not None:
        bad = table.target == 1
        four = [np.sum(approved & ~bad), np.sum(approved & bad), np.sum(~approved & ~bad), np.sum(~approved & bad)]
        names = ("goods_approved", "bads_approved", "goods_declined", "bads_declined")
        assert [found[name] for name in names] == four
    check_prior(entry["prior"], model, table.target, bins)
    check_drift(entry, model, table, bins)
    check_grades(entry, model, table.target, bins)
    check_periods(entry, model, table, bins, 100)
    check_segments(entry, table, dictionary, bins)


def check_pair(report: Mapping[str, Any], models: Sequence[Model], table: Table) -> None:
    """Hold the comparison of two models against all selected rows."""
    first, second = (bins_of(model, table) for model in models)
    entries = [report["models"][role] for role in ("champion", "challenger")]
    cuts = [entry["cut_off"]["first_declined_bin"] - 500 for entry in entries]
    one, two = first < cuts[0], second < cuts[1]
    swap = [np.sum(one & two), np.sum(one & ~two), np.sum(~one & two), np.sum(~one & ~two)]
    names = ("both_approve", "champion_alone", "challenger_alone", "neither")
    assert [report["comparison"]["swap"][name] for name in names] == swap
    grades = [np.searchsorted(m.reference.scale.cuts if m.reference else [], b, side="right")
              for m, b in zip(models, (first, second), strict=True)]  # fmt: skip
    for (row, column), count in np.ndenumerate(np.array(report["comparison"]["migration"])):
        assert count == np.sum((grades[0] == row) & (grades[1] == column))
    gain = report["comparison"]["gain"]
    if min(table.bads, table.rows - table.bads) < 30:
        assert gain is None
        return
    one_auc, two_auc = plain_auc(table.target, first), plain_auc(table.target, second)
    assert one_auc is not None and two_auc is not None
    near(gain["difference"], two_auc - one_auc)
    near(gain["standard_error"], plain_delong(table.target, first, second), 0.03 * gain["standard_error"] + 1e-4)


def plain_delong(target: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return DeLong's standard error of the difference of two AUCs, by mid-ranks of all rows and of each class."""
    stats = pytest.importorskip("scipy.stats", reason="SciPy is the second opinion on ranks")
    bad = target == 1
    bads, goods = int(bad.sum()), int((~bad).sum())
    places = []
    for score in (first, second):
        ranks = stats.rankdata(score)
        above = (ranks[bad] - stats.rankdata(score[bad])) / goods
        below = 1.0 - (ranks[~bad] - stats.rankdata(score[~bad])) / bads
        places.append((above, below))
    spread = [float(np.var(two - one, ddof=1)) / len(one) for one, two in zip(*places, strict=True)]
    return math.sqrt(sum(spread))


def check_report(report: Mapping[str, Any], models: Sequence[Model], table: Table, dictionary: Dictionary) -> None:
    """Hold a whole report against all selected rows."""
    assert report["rows"]["selected"] == table.rows
    for role, model in zip(("champion", "challenger"), models, strict=False):
        check_model(report["models"][role], model, table, dictionary)
    assert (report["comparison"] is not None) == (len(models) == 2)
    if len(models) == 2:
        check_pair(report, models, table)
