"""All that is known of one model, gathered for its card and its evidence pack.

It reads no file; a shell fills it from its own records. Theory: card and pack are functions of this value alone, so
the same records give the same bytes, at a bank and at the coordinator.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from risk.dictionary import Dictionary
from risk.errors import InputError
from risk.model import Model
from risk.modelfile import decode_model

__all__ = ["Dossier"]


@dataclass(frozen=True, eq=False, slots=True)
class Dossier:
    """Hold one model's records.

    Attributes:
        sha256, file: the model file's digest in hex, and its bytes.
        lineage: of `risk.lineage`, None where the job's manifest was not kept.
        metrics: the network's hold-out figures, as `NetworkMetrics.to_document` has them; None for none.
        dictionary: the job's data dictionary, None where it is not at hand.
        validations: (job, report) of every validation that looked at this model, reports as `risk.validation_report`.
        proposals: each proposal of this model with its votes, as `coordinator.model_view` lists them.
        aliases: the roles that it has now. released: when it was released, UTC in ISO 8601, empty if it was not; `here`
            at a bank, which sees no model before its release.
        own: a bank's private results with it, as its `result.json` has them; None anywhere else.
    """

    sha256: str
    file: bytes
    lineage: Mapping[str, Any] | None
    metrics: Mapping[str, Any] | None
    dictionary: Dictionary | None = None
    validations: Sequence[tuple[str, Mapping[str, Any]]] = ()
    proposals: Sequence[Mapping[str, Any]] = ()
    aliases: Sequence[str] = ()
    released: str = ""
    own: Mapping[str, Any] | None = None

    @property
    def model(self) -> Model:
        """Return the model; raises `InputError` if the file is none."""
        return decode_model(self.file)

    @property
    def training(self) -> Mapping[str, Any]:
        """Return the facts of the job that the model file tells."""
        return self.model.training

    def entry(self, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return this model's part of a validation report; raises `InputError` if it is not in it."""
        for entry in dict(report["models"]).values():
            if entry["sha256"] == self.sha256:
                return dict(entry)
        raise InputError("validation-model", f"a validation report says nothing of the model {self.sha256[:16]}")
