"""What callers may send: strict types, bounded sizes, no unknown keys.

Nothing is decided or repaired here. Theory: everything that the scorer sees is bounded before it is looked at; whether
a value fits its field is for `risk.applicant`, which treats what does not fit as missing and says so.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from risk.decision import Application
from risk.evidence import SourceNote

__all__ = [
    "APPLICATION_ID",
    "DECISION",
    "LARGEST_BODY",
    "BatchBody",
    "DecisionBody",
    "OverrideBody",
    "ScoreBody",
    "application_of",
]

LARGEST_BODY = 256 * 1024
LARGEST_BATCH = 16 * 1024 * 1024
APPLICATION_ID = r"^[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}$"

Name = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(max_length=256)]
Amount = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Value = bool | int | Number | Text | None
Record = Annotated[dict[Name, Value], Field(max_length=1024)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SourceBody(_Body):
    """Where some of the fields come from: the day they were taken, and the reference of the applicant's consent."""

    source: Name
    as_of: date | None = None
    consent_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None


class DecisionBody(_Body):
    """One application."""

    application_id: Annotated[str, Field(pattern=APPLICATION_ID)]
    fields: Record
    sources: Annotated[list[SourceBody], Field(max_length=64)] = []
    monthly_inflow: Amount | None = None
    other_exposure: Amount | None = None
    requested_amount: Annotated[int, Field(ge=1, le=10**15)] | None = None
    screening: Annotated[dict[Name, Literal["clear", "hit", "unknown"]], Field(max_length=16)] = {}
    soft: Annotated[dict[Name, Name], Field(max_length=32)] = {}

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "application_id": "A-2026-000123",
                    "fields": {
                        "vat_revenue_12m": 1840000,
                        "revenue_growth_yoy": 0.08,
                        "invoice_active_months": 12,
                        "bureau_max_dpd_24m": 0,
                        "bureau_utilisation": 0.41,
                        "cash_buffer_days": 19,
                        "industry": "retail",
                    },
                    "sources": [{"source": "bureau", "as_of": "2026-11-02", "consent_id": "C-77120"}],
                    "monthly_inflow": 152000,
                    "other_exposure": 0,
                    "requested_amount": 300000,
                    "screening": {"blacklist": "clear"},
                }
            ]
        },
    )


class ScoreBody(_Body):
    """One applicant to score; nothing is decided and nothing is kept."""

    fields: Record


class BatchBody(_Body):
    """Many applicants to score; nothing is decided and nothing is kept."""

    applicants: Annotated[list[Record], Field(min_length=1, max_length=5000)]


class OverrideBody(_Body):
    """A person's word on a decision, with its reason as a code."""

    decision: Literal["approve", "decline", "refer"]
    reason_code: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,31}$")]


DECISION = TypeAdapter(DecisionBody)


def application_of(body: DecisionBody) -> Application:
    """Return what the pure floor decides on."""
    return Application(
        record=body.fields,
        sources=[SourceNote(each.source, each.as_of, each.consent_id) for each in body.sources],
        monthly_inflow=body.monthly_inflow,
        other_exposure=body.other_exposure,
        requested=body.requested_amount,
        soft=body.soft,
        screening=body.screening,
    )
