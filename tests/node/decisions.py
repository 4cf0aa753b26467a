"""Decisions as the scorer keeps them, made up for tests."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from node.decision_store import DecisionStore, OverrideRow, Row

__all__ = ["decide", "keep", "override", "row_of"]


def row_of(application: str, when: datetime, record: Mapping[str, Any] | None = None, **more: Any) -> Row:
    """Return one decision; more: columns that differ from an approval with a PD of 0.05."""
    values: dict[str, Any] = {
        "application_id": application,
        "decision_id": f"D-{application}",
        "decided_us": int(when.replace(tzinfo=UTC).timestamp() * 1e6),
        "month": f"{when.year:04d}-{when.month:02d}",
        "model_sha256": "0" * 64,
        "policy_sha256": "0" * 64,
        "score": 600,
        "pd": 0.05,
        "grade": "3",
        "outcome": "approve",
        "segment": "{}",
        "challenger_sha256": "",
        "challenger_score": None,
        "challenger_logit": None,
        "caller": "test",
        "ref": "0" * 64,
        "nonce": "0" * 64,
        "body_sha256": "0" * 64,
        "body": json.dumps({"application_id": application, "fields": dict(record or {})}).encode(),
        "answer": b"{}",
    }
    return Row(**{**values, **more})


def keep(state: Path, rows: Sequence[Row]) -> None:
    """Keep decisions as the scorer does."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = DecisionStore(state)
    store.keep(rows)
    store.close()


def decide(state: Path, application: str, when: datetime, **more: Any) -> None:
    """Keep one decision."""
    keep(state, [row_of(application, when, **more)])


def override(state: Path, application: str, when: datetime, before: str, after: str) -> None:
    """Keep a person's word on a decision."""
    store = DecisionStore(state)
    at = int(when.replace(tzinfo=UTC).timestamp() * 1e6)
    store.keep_override(OverrideRow(application, at, "officer", "manager", before, after, "visit"))
    store.close()
