"""Whether a challenger should take the champion's place: a rule on figures, with reasons.

It promotes nothing: banks sign, and each decides what it puts in service. Theory: a challenger has to rank better by
more than chance explains, or rank as well and be calibrated better; and it may not be worse in anything that governance
holds a model to: calibration, drift, grades whose default rates rise, segments treated alike. Figures that are not
there are a reason to wait, never a pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["RULE", "Reason", "Verdict", "promotion"]

RULE = {
    "confidence": 1.645,
    "least_gain": 0.0,
    "most_loss": 0.005,
    "most_worse_ece": 0.01,
    "most_psi": 0.25,
    "least_rows": 1000,
    "least_bads": 50,
}
"""Standard errors of a one-sided 95 % test; AUC, ECE and PSI as they stand; rows and bads of the validation."""

Answer = Literal["promote", "keep", "insufficient"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Hold one test of the rule: its code, whether it holds (None: it could not be made), and what was found."""

    code: str
    holds: bool | None
    text: str
    text_zh: str

    def to_document(self) -> dict[str, Any]:
        """Return the reason as plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold the answer and every test behind it."""

    answer: Answer
    reasons: tuple[Reason, ...]

    def to_document(self) -> dict[str, Any]:
        """Return the verdict as plain JSON values."""
        return {"answer": self.answer, "reasons": [reason.to_document() for reason in self.reasons], "rule": RULE}


def promotion(champion_figures: Mapping[str, Any], challenger_figures: Mapping[str, Any]) -> Verdict:
    """Return whether the challenger should replace the champion, and why.

    Both are the entries `champion` and `challenger` of a validation's `models`: `scores` (rows, bads, auc, ece),
    `drift` (psi), `grades` (monotone), `fairness` (passes by field), and of the challenger `gain` (difference,
    standard_error) on the same rows. An absent figure makes its test fail to decide: the answer is then `insufficient`
    unless another test already says `keep`.
    """
    scores, others = challenger_figures["scores"], champion_figures["scores"]
    reasons = (
        _enough(scores),
        _ranking(challenger_figures.get("gain"), scores, others),
        _calibration(scores, others),
        _drift(challenger_figures.get("drift"), champion_figures.get("drift")),
        _grades(challenger_figures.get("grades")),
        _fairness(challenger_figures.get("fairness"), champion_figures.get("fairness")),
    )
    if any(reason.holds is False and reason.code != "rows" for reason in reasons):
        return Verdict("keep", reasons)
    # Segments that nobody declared, and drift before any reference, are no objection; the other tests have to be made.
    needed = [reason.holds for reason in reasons if reason.code in ("rows", "ranking", "calibration")]
    return Verdict("promote" if all(needed) else "insufficient", reasons)


def _enough(scores: Mapping[str, Any]) -> Reason:
    rows, bads = int(scores["rows"]), int(scores["bads"])
    holds = rows >= RULE["least_rows"] and RULE["least_bads"] <= bads <= rows - RULE["least_bads"]
    least, each = RULE["least_rows"], RULE["least_bads"]
    return Reason(
        "rows",
        holds,
        f"validated on {rows} rows, {bads} of them bad; {least} rows and {each} of each class are needed",
        f"验证样本 {rows} 行，其中坏样本 {bads} 行；要求不少于 {least} 行且每类不少于 {each} 行",
    )


def _ranking(gain: Mapping[str, Any] | None, scores: Mapping[str, Any], others: Mapping[str, Any]) -> Reason:
    if gain is None:
        return Reason("ranking", None, "the difference of the two AUCs is not known", "两个模型的 AUC 差异未知")
    difference, error = float(gain["difference"]), float(gain["standard_error"])
    better = difference - RULE["confidence"] * error > RULE["least_gain"]
    # As good in ranking and clearly better calibrated is a gain too.
    ece, other = scores.get("ece"), others.get("ece")
    truer = ece is not None and other is not None and float(ece) < float(other) - RULE["most_worse_ece"]
    holds = better or (truer and difference + RULE["confidence"] * error >= 0.0 and difference >= -RULE["most_loss"])
    return Reason(
        "ranking",
        holds,
        f"AUC differs by {difference:+.4f}, standard error {error:.4f}",
        f"AUC 差异 {difference:+.4f}，标准误 {error:.4f}",
    )


def _calibration(scores: Mapping[str, Any], others: Mapping[str, Any]) -> Reason:
    ece, other = scores.get("ece"), others.get("ece")
    if ece is None or other is None:
        return Reason("calibration", None, "the calibration errors are not known", "校准误差未知")
    return Reason(
        "calibration",
        float(ece) <= float(other) + RULE["most_worse_ece"],
        f"expected calibration error {float(ece):.4f}, the champion's {float(other):.4f}",
        f"预期校准误差 {float(ece):.4f}，现用模型 {float(other):.4f}",
    )


def _drift(moved: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Reason:
    psi = None if moved is None else moved.get("psi")
    if psi is None:
        return Reason("drift", None, "there is no reference to measure drift against", "没有可用于度量漂移的参照分布")
    most = max(RULE["most_psi"], 0.0 if other is None else float(other.get("psi") or 0.0))
    return Reason(
        "drift",
        float(psi) <= most,
        f"PSI {float(psi):.4f}, at most {most:.4f}",
        f"PSI {float(psi):.4f}，上限 {most:.4f}",
    )


def _grades(grades: Mapping[str, Any] | None) -> Reason:
    if grades is None:
        return Reason("grades", None, "there are no rating grades", "没有评级等级")
    holds = bool(grades["monotone"])
    text = "the default rate rises from grade to grade" if holds else "the default rate falls between two grades"
    return Reason("grades", holds, text, "各等级违约率单调上升" if holds else "存在等级间违约率下降")


def _fairness(fields: Any, others: Any) -> Reason:
    judged = {item["field"]: item["passes"] for item in fields or () if item["passes"] is not None}
    if not judged:
        return Reason("fairness", None, "no segment is declared or large enough", "没有已声明且样本足够的分组")
    before = {item["field"]: item["passes"] for item in others or ()}
    worse = sorted(name for name, passes in judged.items() if not passes and before.get(name) is not False)
    named = ", ".join(worse)
    return Reason(
        "fairness",
        not worse,
        f"below four fifths where the champion is not: {named}" if worse else "no segment falls below four fifths anew",
        f"以下字段新出现低于五分之四的分组：{named}" if worse else "没有分组新低于五分之四",
    )
