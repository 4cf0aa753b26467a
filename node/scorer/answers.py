"""The shape of every answer, for the OpenAPI description and for tests that hold answers against it.

Answers are not made by these models: they are bytes that were recorded. Theory: what is promised to callers is written
once and checked, key by key, with nothing unknown allowed.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = [
    "DECISION_EXAMPLE",
    "BatchAnswer",
    "DecisionAnswer",
    "DecisionFile",
    "HealthAnswer",
    "ModelAnswer",
    "Problem",
    "ScoreAnswer",
]

Outcome = Literal["approve", "refer", "decline"]
Dimension = Literal["operating", "credit", "behaviour", "scenario"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Answer):
    """Why a request was not served: a stable code, and one line."""

    code: str
    message: str
    faults: list[dict[str, str]] | None = None


class Dimensions(_Answer):
    """Points: base and four sub-scores, which add to the score."""

    base: int
    operating: int
    credit: int
    behaviour: int
    scenario: int


class Cutoff(_Answer):
    """The bank's cut-offs in points."""

    approve: int
    decline: int
    near: int


class LimitAnswer(_Answer):
    """The limit, its terms before the grade's factor, and which of them binds."""

    amount: int | None
    offered: int | None
    currency: str
    binding: Literal["revenue", "inflow", "exposure", "product"] | None
    grade_factor: float
    terms: dict[Literal["revenue", "inflow", "exposure", "product"], float | None]
    missing: list[str]


class Components(_Answer):
    """Basis points that add to the rate; cap is at most 0."""

    funding: int
    expected_loss: int
    opex: int
    margin: int
    cap: int


class PriceAnswer(_Answer):
    """The yearly rate and its components."""

    apr: float
    basis_points: int
    components: Components


class Axis(_Answer):
    """One axis of the portrait: percentile among the bank's own borrowers, and the fields that feed it."""

    percentile: int | None
    fields_known: int
    fed_by: list[str]


class ReasonAnswer(_Answer):
    """One reason: with this field at its best range the score would be higher by exactly these points."""

    code: str
    field: str
    dimension: Dimension
    points_lost: int
    text_en: str
    text_zh: str


class HintAnswer(_Answer):
    """What an owner can do, and the points it would bring."""

    field: str
    points: int
    reaches_approval: bool
    text_en: str
    text_zh: str


class CheckAnswer(_Answer):
    """A finding that takes the decision from the score."""

    code: str
    outcome: Literal["refer", "decline"]
    text_en: str
    text_zh: str


class SoftAnswer(_Answer):
    """Soft information that counted, and by how many grades."""

    grades: int
    bound: int
    codes: dict[str, str]
    unknown: list[str]


class SourceAnswer(_Answer):
    """One source of data: day, consent, fields used, and what is missing and why."""

    source: str
    as_of: str | None
    consent_id: str | None
    fields: int
    missing: dict[str, str]


class ReviewAnswer(_Answer):
    """Where an applicant asks for a person."""

    available: bool
    channel_en: str
    channel_zh: str


class ModelNames(_Answer):
    """What decided, by digest."""

    kind: Literal["network", "own", "mixed"]
    recipe: str
    sha256: str
    dictionary_sha256: str
    policy_sha256: str
    policy: str


class DecisionAnswer(_Answer):
    """The answer to one application; with `unavailable`, a part was missing and a person decides."""

    application_id: str
    version: int
    decision_id: str
    decided_at: str
    decision: Outcome
    unavailable: list[str] | None = None
    score: int | None = None
    pd_12m: float | None = None
    grade: str | None = None
    model_grade: str | None = None
    dimensions: Dimensions | None = None
    cutoff: Cutoff | None = None
    limit: LimitAnswer | None = None
    price: PriceAnswer | None = None
    term_months: int | None = None
    portrait: dict[Literal["vitality", "ability_to_repay", "growth_potential"], Axis] | None = None
    reasons: list[ReasonAnswer] = []
    improve: list[HintAnswer] = []
    checks: list[CheckAnswer] = []
    soft: SoftAnswer | None = None
    data_used: list[SourceAnswer] = []
    data_faults: dict[str, str] = {}
    sources_unknown: list[str] = []
    human_review: ReviewAnswer
    model: ModelNames | None = None


class OverrideAnswer(_Answer):
    """One person's word on a decision."""

    at: str
    by: str
    role: str
    before: Outcome
    after: Outcome
    reason_code: str


class DecisionFile(_Answer):
    """A decision with what people said of it; `current` is what holds now."""

    current: Outcome
    overrides: list[OverrideAnswer]
    answer: DecisionAnswer


class RowScore(_Answer):
    """One applicant's score."""

    score: int
    pd_12m: float
    grade: str
    dimensions: Dimensions
    missing: int
    faults: dict[str, str]


class ScoreAnswer(RowScore):
    """One applicant's score, and the model that gave it."""

    model_sha256: str


class BatchAnswer(_Answer):
    """Scores in the order of the applicants."""

    model_sha256: str
    scores: list[RowScore]


class HealthAnswer(_Answer):
    """Whether everything is there."""

    ready: bool
    unavailable: list[str]


class ModelAnswer(_Answer):
    """What is in service, and what is missing."""

    ready: bool
    unavailable: dict[str, str]
    model: ModelNames | None = None
    challenger: dict[str, str] | None = None


DECISION_EXAMPLE: dict[str, Any] = {
    "application_id": "A-2026-000123",
    "version": 1,
    "decision_id": "D-4f1d0c9a8b7e6d5c4b3a2910",
    "decided_at": "2026-11-24T03:12:45.120000Z",
    "decision": "approve",
    "score": 612,
    "pd_12m": 0.0231,
    "grade": "B1",
    "dimensions": {"base": 588, "operating": 14, "credit": -3, "behaviour": 9, "scenario": 4},
    "reasons": [
        {
            "code": "CR04",
            "field": "bureau_utilisation",
            "dimension": "credit",
            "points_lost": 7,
            "text_en": "share of credit lines in use: 41%; this costs 7 points against the best range (below 18%)",
            "text_zh": "授信使用率: 41%，与最佳区间（低于18%）相比少7分",
        }
    ],
    "human_review": {"available": True, "channel_en": "any branch", "channel_zh": "任一网点"},
}
