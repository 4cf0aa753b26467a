"""Gather what the coordinator knows of one model, for its card and its evidence pack.

It writes nothing. Theory: the model file by its digest, the job's manifest, outcome and data dictionary, the reports
of validation jobs and the banks' ballots; nothing private of a bank is here.
"""

from coordinator.model_view import Shelf, find_model, models_document, validations_of
from coordinator.registry import Registry
from risk.dictionary import parse_dictionary
from risk.dossier import Dossier

__all__ = ["dossier_of"]


def dossier_of(shelf: Shelf, name: str) -> Dossier:
    """Return the records of a model; name: a digest, its first digits, or an alias. Raises `InputError`."""
    model, job = find_model(shelf, name)
    document = models_document(shelf)
    entry = next(each for each in document["models"] if (each["sha256"], each["job"]) == (model.sha256, job.id))
    lineage = entry["lineage"]
    return Dossier(
        sha256=model.sha256,
        file=Registry(shelf.state / "models").get(model.sha256),
        lineage=lineage,
        metrics=entry["metrics"],
        dictionary=parse_dictionary(job.spec["schema"], "the job's schema"),
        validations=tuple(validations_of(shelf, model.sha256)),
        proposals=tuple(entry["proposals"]),
        aliases=tuple(entry["aliases"]),
        released=entry["released"] or "",
    )
