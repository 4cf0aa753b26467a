"""A bank's lending policy: cut-offs, limits, price, soft information and texts, parsed strictly.

It decides nothing and reads no file; `risk.decision` applies it. Theory: what the model estimates and what the bank
wants are two things, owned by two groups of people: the policy is a file of its own, with a digest that every decision
names. The policy also fixes the master scale, in PD, so that a grade means the same whatever model is in service; its
form is `risk.grades.MasterScale`. All lists by grade run from the best grade down.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from risk.dictionary import Dictionary
from risk.elementary import ln_steps
from risk.errors import InputError
from risk.grades import GRADES, MasterScale
from risk.score_bins import STEPS_PER_LOGIT
from risk.strict_keys import StrictKeys

__all__ = [
    "PORTRAIT_AXES",
    "Cutoff",
    "EvidenceRules",
    "GradeScale",
    "LendingPolicy",
    "LimitRules",
    "PriceRules",
    "ReasonText",
    "Review",
    "SoftCode",
    "check_policy",
    "parse_policy",
]

PORTRAIT_AXES = ("vitality", "ability_to_repay", "growth_potential")
_MOST_AMOUNT = 10**15
_MOST_BOUND = 2


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Say from which score on to approve, below which to decline, and how near either is too near for a machine."""

    approve: int
    decline: int
    near: int


@dataclass(frozen=True, slots=True)
class GradeScale:
    """Name the ten grades, the best first, and cut them: nine rising PDs; who reaches one is in the next grade."""

    names: tuple[str, ...]
    upper_pd: tuple[float, ...]

    def scale(self) -> MasterScale:
        """Return the master scale with these cuts, rounded to its steps of log-odds; it was fitted on no rows."""
        bits = STEPS_PER_LOGIT.bit_length() - 1
        odds = [pd.as_integer_ratio() for pd in self.upper_pd]
        cuts = tuple(ln_steps(part, whole - part, bits) for part, whole in odds)
        return MasterScale(cuts, (0,) * len(self.names), (0,) * len(self.names))


@dataclass(frozen=True, slots=True)
class LimitRules:
    """Say what bounds a limit; amounts in the policy's currency, factors by grade from 1 down to 0.

    revenue_field: dictionary field that holds twelve months' VAT revenue. revenue_factor: k1. inflow_factor: k2, of the
    mean monthly inflow. minimum: a smaller limit is for a person to decide. round_to: limits are multiples of it.
    """

    revenue_field: str
    revenue_factor: float
    inflow_factor: float
    exposure_cap: int
    product_cap: int
    minimum: int
    round_to: int
    grade_factors: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PriceRules:
    """Hold the components of a yearly rate, in hundredths of a percent (basis points); margin by grade."""

    funding: int
    opex: int
    margin: tuple[int, ...]
    lgd: float
    legal_cap: int
    term_months: int


@dataclass(frozen=True, slots=True)
class EvidenceRules:
    """Say how much may be missing (share of the model's fields) and what a source has to state to be used."""

    most_missing: float
    need_as_of: bool
    need_consent: bool
    screening: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SoftCode:
    """One thing an account manager may code: each level moves the grade by its effect (+ is better)."""

    name: str
    text: str
    text_zh: str
    levels: tuple[str, ...]
    effects: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ReasonText:
    """The bank's own words for a field, instead of the dictionary's."""

    field: str
    code: str
    text: str
    text_zh: str


@dataclass(frozen=True, slots=True)
class Review:
    """Say where an applicant asks for a person to decide."""

    channel: str
    channel_zh: str


@dataclass(frozen=True, slots=True)
class LendingPolicy:
    """Hold all that a bank has decided about lending by this model.

    soft_bound: most grades that soft information may move. portrait: fields of each axis of `PORTRAIT_AXES`, in that
    order. actionable: fields that an owner can act on.
    """

    name: str
    version: int
    product: str
    currency: str
    grades: GradeScale
    cutoff: Cutoff
    limit: LimitRules
    price: PriceRules
    evidence: EvidenceRules
    soft_bound: int
    soft: tuple[SoftCode, ...]
    portrait: tuple[tuple[str, ...], ...]
    actionable: tuple[str, ...]
    reasons: tuple[ReasonText, ...]
    review: Review

    def digest(self) -> str:
        """Return the SHA-256, in hex, of the canonical JSON of all that is decided."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()


def parse_policy(document: Mapping[str, Any], where: str) -> LendingPolicy:
    """Return the policy that a parsed TOML document declares.

    where: name of the file, for messages. Raises `InputError` naming file, table and key for whatever is unknown,
    missing or out of range.
    """
    keys = StrictKeys(document, where, "")
    soft = keys.table("soft")
    portrait = keys.table("portrait")
    reasons = keys.table("reasons")
    policy = LendingPolicy(
        name=keys.text("name", 64),
        version=keys.whole("version", 1, 2**31),
        product=keys.text("product", 64),
        currency=_currency(keys),
        grades=_grades(keys.table("grades")),
        cutoff=_cutoff(keys.table("cutoff")),
        limit=_limit(keys.table("limit")),
        price=_price(keys.table("price")),
        evidence=_evidence(keys.table("evidence")),
        soft_bound=soft.whole("bound_grades", 0, _MOST_BOUND),
        soft=tuple(_soft_code(item) for item in soft.tables("code")),
        portrait=tuple(portrait.texts(axis, 1) for axis in PORTRAIT_AXES),
        actionable=reasons.texts("actionable"),
        reasons=tuple(_reason_text(item) for item in reasons.tables("text")),
        review=_review(keys.table("review")),
    )
    for each in (soft, portrait, reasons, keys):
        each.close()
    _check_unique(policy, where)
    return policy


def check_policy(policy: LendingPolicy, dictionary: Dictionary) -> None:
    """Raise `InputError` where the policy names a field that the dictionary does not have or that cannot serve."""
    fields = {field.name: field for field in dictionary.fields}
    named = [policy.limit.revenue_field, *policy.actionable, *(item.field for item in policy.reasons)]
    for name in (*named, *(name for axis in policy.portrait for name in axis)):
        if name not in fields:
            raise InputError("policy-field", f"lending policy: field '{name}' is not in the data dictionary")
    if fields[policy.limit.revenue_field].kind != "number":
        raise InputError("policy-field", f"lending policy: '{policy.limit.revenue_field}' must be a number")
    for name in (name for axis in policy.portrait for name in axis):
        if fields[name].kind == "category" or fields[name].risk_when_rising == "free":
            raise InputError(
                "policy-portrait", f"lending policy: '{name}' has no direction of risk, so it can feed no portrait axis"
            )


def _currency(keys: StrictKeys) -> str:
    value = keys.text("currency", 3)
    if len(value) != 3 or not value.isascii() or not value.isupper():
        raise keys.refuse("currency", 'a code of three letters, such as "CNY"')
    return value


def _grades(keys: StrictKeys) -> GradeScale:
    grades = GradeScale(keys.texts("names", GRADES), keys.numbers("upper_pd", GRADES - 1, 1e-6, 1.0 - 1e-6))
    keys.close()
    if len(grades.names) != GRADES or not all(len(name) <= 8 and name.isprintable() for name in grades.names):
        raise keys.refuse("names", f"{GRADES} short names, the best grade first")
    cuts = grades.scale().cuts
    if list(cuts) != sorted(set(cuts)):
        raise keys.refuse("upper_pd", "rising PDs, each at least two percent of itself above the one before")
    return grades


def _cutoff(keys: StrictKeys) -> Cutoff:
    cutoff = Cutoff(*(keys.whole(key, 0, 10_000) for key in ("approve", "decline", "near")))
    keys.close()
    if cutoff.decline > cutoff.approve:
        raise keys.refuse("decline", f"at most 'approve', which is {cutoff.approve}")
    return cutoff


def _limit(keys: StrictKeys) -> LimitRules:
    rules = LimitRules(
        revenue_field=keys.text("revenue_field", 64),
        revenue_factor=keys.number("revenue_factor", 0.0, 10.0),
        inflow_factor=keys.number("inflow_factor", 0.0, 100.0),
        exposure_cap=keys.whole("exposure_cap", 0, _MOST_AMOUNT),
        product_cap=keys.whole("product_cap", 0, _MOST_AMOUNT),
        minimum=keys.whole("minimum", 0, _MOST_AMOUNT),
        round_to=keys.whole("round_to", 1, 10**9),
        grade_factors=keys.numbers("grade_factors", GRADES, 0.0, 1.0),
    )
    keys.close()
    if list(rules.grade_factors) != sorted(rules.grade_factors, reverse=True):
        raise keys.refuse("grade_factors", "factors that do not rise from the best grade to the worst")
    return rules


def _price(keys: StrictKeys) -> PriceRules:
    rules = PriceRules(
        funding=_basis_points(keys, "funding"),
        opex=_basis_points(keys, "opex"),
        margin=tuple(round(value * 10_000) for value in keys.numbers("margin", GRADES, 0.0, 1.0)),
        lgd=keys.number("lgd", 0.0, 1.0),
        legal_cap=_basis_points(keys, "legal_cap"),
        term_months=keys.whole("term_months", 1, 600),
    )
    keys.close()
    if rules.legal_cap < rules.funding:
        raise keys.refuse("legal_cap", "at least 'funding'")
    return rules


def _basis_points(keys: StrictKeys, key: str) -> int:
    value = keys.number(key, 0.0, 1.0)
    if abs(value * 10_000 - round(value * 10_000)) > 1e-6:
        raise keys.refuse(key, "a yearly rate in whole hundredths of a percent, such as 0.0345")
    return round(value * 10_000)


def _evidence(keys: StrictKeys) -> EvidenceRules:
    rules = EvidenceRules(
        most_missing=keys.number("most_missing", 0.0, 1.0),
        need_as_of=keys.truth("need_as_of"),
        need_consent=keys.truth("need_consent"),
        screening=keys.texts("screening"),
    )
    keys.close()
    return rules


def _soft_code(keys: StrictKeys) -> SoftCode:
    levels = keys.texts("levels", 2)
    code = SoftCode(
        name=keys.text("name", 64),
        text=keys.text("text"),
        text_zh=keys.text("text_zh"),
        levels=levels,
        effects=keys.numbers("effects", len(levels), -_MOST_BOUND, _MOST_BOUND),
    )
    keys.close()
    return code


def _reason_text(keys: StrictKeys) -> ReasonText:
    text = ReasonText(keys.text("field", 64), keys.text("code", 16), keys.text("text"), keys.text("text_zh"))
    keys.close()
    return text


def _review(keys: StrictKeys) -> Review:
    review = Review(keys.text("channel"), keys.text("channel_zh"))
    keys.close()
    return review


def _check_unique(policy: LendingPolicy, where: str) -> None:
    groups = {
        "soft.code": [code.name for code in policy.soft],
        "reasons.text": [item.field for item in policy.reasons],
        "reasons.text codes": [item.code for item in policy.reasons],
    }
    for place, names in groups.items():
        if len(set(names)) != len(names):
            raise InputError("policy-twice", f"{where}: {place} has the same name twice; each may stand once")
