"""What the form of an applicant asks for, in the reader's language.

It reads no form. Theory: the dictionary says which fields there are and of what kind, the policy which lists were asked
and what may be coded; a form made from both never asks for what the scorer would not use.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from node.page.frame import language_of
from risk.decision import Desk
from risk.dictionary import DIMENSIONS, Field
from risk.lending_policy import SoftCode

__all__ = ["Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Hold the fields of the form, in groups of one dimension each, and what the policy adds."""

    fields: tuple[Field, ...]
    screening: Sequence[str]
    soft: tuple[SoftCode, ...]
    currency: str
    language: str

    @classmethod
    def of(cls, desk: Desk, request: Request) -> "Entry":
        """Return what the model and the policy in service ask for."""
        policy = desk.policy
        fields = desk.dictionary.model_fields
        return cls(fields, policy.evidence.screening, policy.soft, policy.currency, language_of(request))

    @property
    def groups(self) -> list[tuple[str, list[Field]]]:
        """Return the fields by dimension."""
        return [(name, [field for field in self.fields if field.dimension == name]) for name in DIMENSIONS]

    def words(self, thing: Field | SoftCode) -> str:
        """Return what a field or code is called."""
        return (thing.text_zh if self.language == "zh" else None) or thing.text
