"""What an applicant's data rest on: for each source its day, its consent, and what of it may not be used and why.

It reads no value. Theory: a datum has an age and a permission. A field older than its `max_age_days`, dated in the
future, or from a source without the day or the consent that the policy asks for, counts as missing and is said so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from risk.applicant import Reading
from risk.dictionary import Field
from risk.lending_policy import EvidenceRules

__all__ = ["EvidenceReader", "SourceNote"]

_UNSTATED = "unstated"


@dataclass(frozen=True, slots=True)
class SourceNote:
    """What an application says of one source: the day its data were taken, and the reference of the consent."""

    source: str
    as_of: date | None
    consent: str | None


class EvidenceReader:
    """Judge sources by the dictionary and the policy."""

    def __init__(self, fields: Sequence[Field], rules: EvidenceRules) -> None:
        """Group the model's fields by source; a field without one counts to `unstated`, which needs no note."""
        self._rules = rules
        groups: dict[str, list[tuple[str, int, int | None]]] = {}
        for place, field in enumerate(fields):
            groups.setdefault(field.source_system or _UNSTATED, []).append((field.name, place, field.max_age_days))
        self._groups = groups

    def unusable(self, notes: Mapping[str, SourceNote], today: date) -> dict[str, str]:
        """Return field and why, for every field whose value may not be used: `too-old`, `no-as-of` and so on."""
        found: dict[str, str] = {}
        rules = self._rules
        for source, fields in self._groups.items():
            if source == _UNSTATED:
                continue
            note = notes.get(source)
            if rules.need_consent and (note is None or not note.consent):
                found.update((name, "no-consent") for name, _, _ in fields)
            elif note is None or note.as_of is None:
                if rules.need_as_of:
                    found.update((name, "no-as-of") for name, _, _ in fields)
            elif note.as_of > today:
                found.update((name, "dated-ahead") for name, _, _ in fields)
            else:
                age = (today - note.as_of).days
                found.update((name, "too-old") for name, _, most in fields if most is not None and age > most)
        return found

    def used(self, notes: Mapping[str, SourceNote], reading: Reading) -> list[dict[str, Any]]:
        """Return for every source its day, consent, how many of its fields are used, and which are missing and why."""
        why = dict(reading.faults)
        values, listed = reading.values, []
        for source, fields in self._groups.items():
            note = notes.get(source)
            missing = {name: why.get(name, "absent") for name, place, _ in fields if values[place] is None}
            listed.append(
                {
                    "source": source,
                    "as_of": None if note is None or note.as_of is None else note.as_of.isoformat(),
                    "consent_id": None if note is None else note.consent,
                    "fields": len(fields) - len(missing),
                    "missing": missing,
                }
            )
        return listed

    def unknown(self, notes: Mapping[str, SourceNote]) -> list[str]:
        """Return the sources that no field of the dictionary comes from."""
        return sorted(name for name in notes if name not in self._groups)
