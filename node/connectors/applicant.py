"""Compute one applicant's record for the decision, with the date and the consent of every source.

This module writes nothing and decides nothing. Theory: the record is computed by the very expressions that built the
training table, from the applicant's own records only, at the moment of the decision; so a model meets online what it
was trained on. What is missing is said, by source and reason, because a decision has to be able to show it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from node.connectors.cells import MOMENT, count_faults, typed
from node.connectors.copies import check_columns, open_rows, wanted_columns
from node.connectors.index import compute_fields
from node.connectors.settings import Connectors, Coverage, Source
from privacy.errors import InputError
from risk.dictionary import Dictionary

__all__ = ["LONGEST_CONSENT", "ApplicantRecord", "SourceUsed", "read_applicant"]

LONGEST_CONSENT = 128
_NO_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class SourceUsed:
    """What one source gave: the day of its newest record, the consent it was used under, and what is missing and why.

    as_of: `YYYY-MM-DD` in UTC, None where the source knows nothing of the applicant.
    """

    source: str
    as_of: str | None
    consent_ref: str | None
    missing: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ApplicantRecord:
    """One applicant: fields (a number, a level's name, or None) and where each came from."""

    applicant: str
    decided: datetime
    fields: Mapping[str, float | str | None]
    sources: tuple[SourceUsed, ...]

    def request(self, application: str, dictionary: Dictionary, connectors: Connectors) -> dict[str, Any]:
        """Return the body of `POST /v1/decisions`: the fields, and the sources as the dictionary names them.

        The API takes one day a source system. Where several tables fill one, that is the day behind the field whose
        age is limited most; each field's own age has been checked against its own table here. The consents are all of
        theirs. Raises `InputError` where those are longer than the API takes.
        """
        used = {each.source: each for each in self.sources}
        systems: dict[str, list[tuple[int, str, str]]] = {}
        for name, mapped in connectors.field.items():
            declared = dictionary.field(name)
            if declared.use != "model" or declared.source_system is None or self.fields[name] is None:
                continue
            for part in mapped.parts:
                limit = declared.max_age_days or _NO_LIMIT
                systems.setdefault(declared.source_system, []).append(
                    (limit, used[part.source].as_of or "", part.source)
                )
        notes = []
        for system, parts in systems.items():
            consents = " ".join(sorted({used[source].consent_ref or "" for _, _, source in parts} - {""}))
            if len(consents) > LONGEST_CONSENT:
                message = f"source {system}: consents longer than {LONGEST_CONSENT} characters; shorten the references"
                raise InputError("applicant-consent", message)
            notes.append({"source": system, "as_of": min(parts)[1], "consent_id": consents or None})
        fields = {name: value for name, value in self.fields.items() if value is not None}
        return {"application_id": application, "fields": fields, "sources": notes}

    def document(self) -> dict[str, Any]:
        """Return the whole record as JSON values."""
        return {
            "applicant": self.applicant,
            "decided": self.decided.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "fields": dict(self.fields),
            "data_used": [
                {
                    "source": used.source,
                    "as_of": used.as_of,
                    "consent_ref": used.consent_ref,
                    "missing": dict(used.missing),
                }
                for used in self.sources
            ],
        }


def read_applicant(
    connectors: Connectors, dictionary: Dictionary, applicant: str, decided: datetime, given: Mapping[str, str]
) -> ApplicantRecord:
    """Return the record of `applicant` for a decision at `decided` (with a zone).

    given: values of the applications' columns that sources match by, such as the industry. Raises `InputError` where
    one is missing or a record cannot be read.
    """
    moment = decided.astimezone(UTC).replace(tzinfo=None)
    matches = sorted({source.match for source in connectors.source.values() if source.match is not None})
    absent = [match for match in matches if match not in given]
    if absent:
        options = " ".join(f"--given {each}=VALUE" for each in absent)
        raise InputError("applicant-given", f"source rows match by {', '.join(absent)}; add: {options}")
    row = {"application": "", "key": applicant, "decided": moment} | {f"m.{name}": given[name] for name in matches}
    schema = {name: MOMENT if name == "decided" else pl.String() for name in row}
    copies = {"applications": pl.DataFrame([row], schema=schema).lazy()}
    wanted = wanted_columns(connectors, dictionary)
    for name, origin in connectors.origins():
        if name == "applications":
            continue
        assert isinstance(origin, Source | Coverage)
        source = connectors.source[name.removesuffix("-coverage")]
        subject = applicant if source.match is None else given[source.match]
        frames = []
        for frame, types in open_rows(connectors.database, origin, name, (origin.key, subject)):
            check_columns(name, types, wanted[name])
            faults = count_faults(frame, types, wanted[name])
            if faults.broken:
                column, (count, _) = next(iter(faults.broken.items()))
                raise InputError("table-cells", f"{name}: column {column}: {count} of the applicant's cells unreadable")
            frames.append(typed(frame, types, wanted[name]))
        copies[name] = pl.concat(frames).collect().lazy()
    return _record(connectors, compute_fields(connectors, dictionary, copies).row(0, named=True), decided)


def _record(connectors: Connectors, row: Mapping[str, Any], decided: datetime) -> ApplicantRecord:
    used = []
    for name in connectors.source:
        read = [field for field, mapped in connectors.field.items() if name in {p.source for p in mapped.parts}]
        newest = row[f"as_of.{name}"]
        used.append(
            SourceUsed(
                source=name,
                as_of=None if newest is None else newest.date().isoformat(),
                consent_ref=row[f"consent.{name}"],
                missing={field: row[f"why.{field}"] for field in read if row[f"why.{field}"] is not None},
            )
        )
    fields = {name: row[f"f.{name}"] for name in connectors.field}
    return ApplicantRecord(row["key"], decided, fields, tuple(used))
