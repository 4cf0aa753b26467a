"""Where a model comes from, by digest: its job, data dictionary, code, members, rounds, privacy and parent.

It reads no file. Theory: every link is a SHA-256, so a reader who holds the files can check each of them, and two
banks that took part write the same document. Figures are compared by the digest of their one spelling: every bank
derives them from the same opened sums, so a coordinator that claims others is found out.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from risk.modelfile import canonical_json

__all__ = ["Ancestry", "figures_bytes", "figures_digest", "lineage_document", "plain_values", "window_of"]

_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")


def figures_bytes(metrics: Mapping[str, Any] | None) -> bytes:
    """Return the network's figures as canonical JSON; a figure that is not finite, or is missing, is null."""
    return canonical_json(plain_values(dict(metrics or {})))


def figures_digest(metrics: Mapping[str, Any] | None) -> str:
    """Return the SHA-256, in hex, of `figures_bytes`."""
    return hashlib.sha256(figures_bytes(metrics)).hexdigest()


def window_of(reports: Iterable[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Return the first and last month, as "YYYY-MM", of the rows that validation reports speak of; None for none.

    reports: as `risk.validation_report` lays them out; rows without a date are in no month.
    """
    months: list[str] = []
    for report in reports:
        months += report["rows"]["months"] or ()
        for entry in report["models"].values():
            for period in entry.get("stability") or ():
                months += _MONTH.findall(str(period["period"]))
    return (min(months), max(months)) if months else None


@dataclass(frozen=True, slots=True)
class Ancestry:
    """What stands beside the manifest of a model's job.

    model, parent: SHA-256 in hex of this model and of the champion before it, empty for none. manifest_sha256: digest
    of the job's manifest. rounds: secure sums that were opened. window: first and last month of the members' rows as
    "YYYY-MM", as validations found it; None where none has looked or no row bears a month. validations: ids of the jobs
    that evaluated the model.
    """

    model: str
    parent: str
    manifest_sha256: str
    rounds: int | None
    metrics: Mapping[str, Any] | None
    window: tuple[str, str] | None = None
    validations: Sequence[str] = ()


def lineage_document(manifest: Mapping[str, Any], ancestry: Ancestry) -> dict[str, Any]:
    """Return a model's lineage as plain JSON values.

    manifest: the JSON object of the job's manifest, as `privacy.manifest` writes it.
    """
    promised = manifest.get("dp") or {}
    window = ancestry.window
    return {
        "model": ancestry.model,
        "parent": ancestry.parent or None,
        "job": manifest["job"],
        "consortium": manifest["consortium"],
        "purpose": manifest["purpose"],
        "manifest_sha256": ancestry.manifest_sha256,
        "dictionary_sha256": manifest["dictionary_sha256"],
        "code_sha256": manifest["code_sha256"],
        "recipe": manifest["recipe"],
        "recipe_version": manifest["recipe_version"],
        "parameters": dict(manifest["parameters"]),
        "seed": manifest["seed"],
        "holdout_ppm": manifest["holdout_ppm"],
        "members": [member for member, _ in manifest["seats"]],
        "rounds": ancestry.rounds,
        "privacy": manifest["privacy"],
        "epsilon": promised.get("epsilon"),
        "delta": promised.get("delta"),
        "window": None if window is None else {"first": window[0], "last": window[1]},
        "figures_sha256": figures_digest(ancestry.metrics),
        "metrics": plain_values(dict(ancestry.metrics or {})),
        "validations": list(ancestry.validations),
    }


def plain_values(value: Any) -> Any:
    """Return a value with tuples as lists and what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(name): plain_values(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
