"""Read what this bank decided, for whoever learns from it: `decisions.db`, opened read-only.

It changes nothing and can run beside the scorer. Theory: `node.decision_store` owns the table; here is one view of it,
with a person's last word as the decision that held.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from privacy.errors import InputError

__all__ = ["Decided", "read_decided"]

_QUERY = """SELECT d.application_id, d.decided_us, d.month, d.model_sha256, d.score, d.pd, d.grade, d.outcome,
        (SELECT o.after FROM override o WHERE o.application_id = d.application_id ORDER BY o.number DESC LIMIT 1),
        d.body, d.answer
    FROM decision d ORDER BY d.decided_us, d.application_id"""


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision: what the model said, what was answered, and what held after people's overrides.

    month: `YYYY-MM`. outcome, final: `approve`, `refer` or `decline`. overridden: a person changed the answer. body:
    bytes of the request. reply: bytes of the answer.
    """

    application_id: str
    decided_us: int
    month: str
    model_sha256: str
    score: int | None
    pd: float | None
    grade: str | None
    outcome: str
    final: str
    overridden: bool
    body: bytes
    reply: bytes

    @property
    def day(self) -> date:
        """Return the day of the decision in UTC."""
        return datetime.fromtimestamp(self.decided_us / 1e6, UTC).date()

    @property
    def fields(self) -> Mapping[str, Any]:
        """Return the applicant's fields as they were sent."""
        found = json.loads(self.body).get("fields", {})
        return found if isinstance(found, dict) else {}

    @property
    def unusable(self) -> Mapping[str, str]:
        """Return field and why, for every field whose value was sent and not used."""
        listed = json.loads(self.reply).get("data_used", [])
        return {name: str(why) for source in listed for name, why in source.get("missing", {}).items()}


def read_decided(state: Path) -> list[Decided]:
    """Return every decision, oldest first; none where the scorer never ran.

    Raises `InputError` where the file cannot be read.
    """
    path = state / "decisions.db"
    if not path.exists():
        return []
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            rows = connection.execute(_QUERY).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise InputError("decisions-unusable", f"{path}: cannot be read ({type(error).__name__})") from error
    return [_decided(*row) for row in rows]


def _decided(*columns: Any) -> Decided:
    names = ("application_id", "decided_us", "month", "model_sha256", "score", "pd", "grade", "outcome")
    said = columns[8]
    changed = said is not None and said != columns[7]
    plain = dict(zip(names, columns, strict=False))
    return Decided(**plain, final=said or columns[7], overridden=changed, body=columns[9], reply=columns[10])
