"""The rules that take a decision out of the machine's hands.

Theory: each rule finds or does not find; a finding says what it means (`refer` or `decline`) and why, in two languages.
Where nothing is found, the score decides alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from risk.lending_policy import Cutoff, LendingPolicy
from risk.limit import Limit
from risk.price import Price
from risk.soft import SoftEffect

__all__ = ["Check", "Findings", "checks", "outcome"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: its code, what it means, and why."""

    code: str
    outcome: str
    text: str
    text_zh: str

    def to_document(self) -> dict[str, str]:
        """Return the finding as plain JSON values."""
        return {"code": self.code, "outcome": self.outcome, "text_en": self.text, "text_zh": self.text_zh}


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checks look at beside the policy: score, share of the model's fields that is missing, and the parts."""

    score: int
    missing: float
    soft: SoftEffect
    limit: Limit
    price: Price
    screening: Mapping[str, str]


def checks(policy: LendingPolicy, found: Findings) -> list[Check]:
    """Return every finding, in a fixed order."""
    listed = _screening(policy, found.screening)
    if found.missing > policy.evidence.most_missing:
        share, most = f"{found.missing:.0%}", f"{policy.evidence.most_missing:.0%}"
        listed.append(
            Check(
                "missing-data",
                "refer",
                f"{share} of the fields that the model uses are missing; a machine decides with at most {most}",
                f"模型所用字段缺失{share}，超过机器决策允许的{most}",
            )
        )
    if _near(policy.cutoff, found.score):
        listed.append(
            Check("near-cut-off", "refer", "the score is too near to a cut-off", "评分接近审批分数线，需人工判断")
        )
    if found.soft.codes or found.soft.unknown:
        listed.append(
            Check(
                "soft-information",
                "refer",
                "an account manager added information; a person decides",
                "客户经理补充了软信息，由人工决定",
            )
        )
    if found.score >= policy.cutoff.decline:
        # Who is declined needs no limit and no price.
        listed += _terms(policy, found)
    return listed


def outcome(cutoff: Cutoff, score: int, found: list[Check]) -> str:
    """Return `approve`, `refer` or `decline`: a declining finding first, then a referring one, then the score."""
    meanings = {each.outcome for each in found}
    if "decline" in meanings:
        return "decline"
    if "refer" in meanings:
        return "refer"
    if score >= cutoff.approve:
        return "approve"
    return "decline" if score < cutoff.decline else "refer"


def _terms(policy: LendingPolicy, found: Findings) -> list[Check]:
    listed = []
    if found.limit.missing:
        names = ", ".join(found.limit.missing)
        listed.append(
            Check(
                "limit-unknown", "refer", f"the limit cannot be computed without: {names}", f"缺少额度计算项：{names}"
            )
        )
    elif found.limit.amount is not None and found.limit.amount < policy.limit.minimum:
        listed.append(
            Check("limit-too-small", "refer", "the limit is below the product's least", "额度低于产品最低金额")
        )
    if found.price.cap < 0:
        listed.append(
            Check(
                "price-capped",
                "refer",
                "the law's cap on rates does not cover the cost of this risk",
                "法定利率上限不足以覆盖该风险成本",
            )
        )
    return listed


def _near(cutoff: Cutoff, score: int) -> bool:
    return any(line - cutoff.near <= score < line + cutoff.near for line in (cutoff.approve, cutoff.decline))


def _screening(policy: LendingPolicy, given: Mapping[str, str]) -> list[Check]:
    listed = []
    for name in policy.evidence.screening:
        result = given.get(name, "unknown")
        if result == "hit":
            listed.append(
                Check(f"screening:{name}", "decline", f"the screening '{name}' found a match", f"名单核查“{name}”命中")
            )
        elif result != "clear":
            listed.append(
                Check(
                    f"screening:{name}",
                    "refer",
                    f"the screening '{name}' has no result",
                    f"名单核查“{name}”没有结果",
                )
            )
    for name in sorted(set(given) - set(policy.evidence.screening)):
        if given[name] == "hit":
            listed.append(
                Check(
                    f"screening:{name}",
                    "refer",
                    f"the screening '{name}' found a match, of which the policy says nothing",
                    f"名单核查“{name}”命中，政策未作规定",
                )
            )
    return listed
