"""Between the fields of a form and the body of an application.

It shows nothing. Theory: a form gives texts, the API takes strict types, so each text is read by its field's
declaration and refused by name if it is none; an empty text is a missing value and is left out. Names of the form:
`field:NAME`, `soft:CODE`, `screening:LIST`, and a few of its own.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from node.page.entry import Entry
from node.scorer.bodies import APPLICATION_ID
from risk.dictionary import Field

__all__ = ["FormFault", "application_from", "values_of"]

_AMOUNTS = ("requested_amount", "monthly_inflow", "other_exposure")
_LARGEST = 10.0**15


class FormFault(Exception):
    """What is wrong with a form: the name of its field, and which of the page's words say it."""

    def __init__(self, field: str, word: str) -> None:
        super().__init__(word)
        self.field = field
        self.word = word


def application_from(values: Mapping[str, str], entry: Entry) -> dict[str, Any]:
    """Return the body of an application from a form's texts; raise `FormFault` for the first that cannot be read."""
    name = values.get("application_id", "").strip()
    if not re.fullmatch(APPLICATION_ID, name):
        raise FormFault("application_id", "id")
    fields: dict[str, Any] = {}
    for field in entry.fields:
        text = values.get(f"field:{field.name}", "").strip()
        if text:
            fields[field.name] = _value(field, text)
    document: dict[str, Any] = {"application_id": name, "fields": fields, "sources": _sources(values, entry, fields)}
    for key in _AMOUNTS:
        text = values.get(key, "").strip()
        if text:
            amount = _number(text, key)
            if not 0 <= amount <= _LARGEST:
                raise FormFault(key, "number")
            document[key] = max(1, round(amount)) if key == "requested_amount" else amount
    document["screening"] = {
        each: chosen
        for each in entry.screening
        if (chosen := values.get(f"screening:{each}", "")) in ("clear", "hit", "unknown")
    }
    document["soft"] = {
        code.name: chosen for code in entry.soft if (chosen := values.get(f"soft:{code.name}", "")) in code.levels
    }
    return document


def values_of(document: Mapping[str, Any], *, keep_id: bool) -> dict[str, str]:
    """Return the texts that fill a form with an application; keep_id: whether its id is kept too.

    Raises `ValueError`, `TypeError` or `AttributeError` for what is no application.
    """
    values: dict[str, str] = {}
    if keep_id and isinstance(document.get("application_id"), str):
        values["application_id"] = document["application_id"]
    for key in _AMOUNTS:
        if document.get(key) is not None:
            values[key] = _spelt(document[key])
    for prefix, part in (("field", "fields"), ("soft", "soft"), ("screening", "screening")):
        for name, value in dict(document.get(part) or {}).items():
            if value is not None:
                values[f"{prefix}:{name}"] = _spelt(value)
    for source in document.get("sources") or []:
        for key in ("as_of", "consent_id"):
            if source.get(key) is not None and key not in values:
                values[key] = str(source[key])
    return values


def _sources(values: Mapping[str, str], entry: Entry, fields: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return every source that gave a field, with the day and the consent that the form states for all of them."""
    as_of, consent = values.get("as_of", "").strip(), values.get("consent_id", "").strip()
    if as_of:
        try:
            date.fromisoformat(as_of)
        except ValueError:
            raise FormFault("as_of", "day") from None
    if len(consent) > 128:
        raise FormFault("consent_id", "consent")
    stated = {key: text for key, text in (("as_of", as_of), ("consent_id", consent)) if text}
    names = dict.fromkeys(field.source_system for field in entry.fields if field.source_system and field.name in fields)
    return [{"source": str(name), **stated} for name in names] if stated else []


def _value(field: Field, text: str) -> bool | float | str:
    if field.kind == "category":
        if text not in field.levels:
            raise FormFault(f"field:{field.name}", "level")
        return text
    if field.kind == "flag":
        if text not in ("0", "1"):
            raise FormFault(f"field:{field.name}", "flag")
        return float(text)
    return _number(text, f"field:{field.name}")


def _number(text: str, name: str) -> float:
    # Thousands are often typed with commas; a comma is never a decimal point here.
    plain = text.replace(",", "").replace("\uff0c", "").replace(" ", "")
    if not re.fullmatch(r"[+-]?[0-9]{1,18}(?:\.[0-9]{0,12})?", plain):
        raise FormFault(name, "number")
    return float(plain)


def _spelt(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(int(value)) if isinstance(value, bool) else str(value)
