"""Offers that wait for a person at this bank, and what the person decided; one folder in the state folder.

It sends nothing and judges no offer: the permit has allowed it before it comes here. Theory: the node writes the offer
down, a command or the node's page writes the decision beside it, and the node answers the coordinator. A decision holds
for one manifest: a job whose roster, numbers or code changed is another question. Both survive a restart of either
side, so nobody is asked twice.

Files of `offers/` (0600): `<job>.json`, the offer; `<job>.decision.json`, what was decided.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.result import write_whole
from privacy.errors import InputError
from privacy.manifest import Manifest, decode_manifest
from privacy.roster import Roster

__all__ = ["Decision", "OfferBook"]

_WHO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about an offer: who (a pseudonym), and whether the bank takes part."""

    who: str
    accepted: bool
    reason: str


class OfferBook:
    """Read and write the folder; several processes may, each file appears whole."""

    def __init__(self, state: Path) -> None:
        """state: the node's state folder."""
        self._folder = state / "offers"

    def hold(self, manifest: Manifest, now_us: int) -> Decision | None:
        """Return what was decided about this very offer; None if nobody has, and then it waits here."""
        offer = self._read(manifest.job)
        if offer is None or offer["manifest"] != manifest.encode().decode("ascii"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._folder / f"{manifest.job}.decision.json").unlink(missing_ok=True)
            document = {"manifest": manifest.encode().decode("ascii"), "received_us": now_us}
            write_whole(self._folder / f"{manifest.job}.json", json.dumps(document, indent=1).encode("ascii"))
            return None
        return self.decision(manifest.job)

    def decision(self, job: str) -> Decision | None:
        """Return what was decided about a job, None if nothing was."""
        try:
            text = (self._folder / f"{job}.decision.json").read_text("utf-8")
            document = json.loads(text)
            return Decision(str(document["who"]), document["decision"] == "accepted", str(document["reason"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def approved(self, manifest: Manifest) -> bool:
        """Say whether a person agreed to the offer that this final manifest came from."""
        offer, decision = self._read(manifest.job), self.decision(manifest.job)
        if offer is None or decision is None or not decision.accepted:
            return False
        offered = decode_manifest(offer["manifest"].encode("ascii"))
        members = set(offered.roster.members)
        return set(manifest.roster.members) <= members and (
            offered.seated(Roster(manifest.roster.members)).encode() == manifest.encode()
        )

    def decide(self, job: str, who: str, accepted: bool, reason: str = "") -> None:
        """Write a decision down, once; raises `InputError` for an unknown offer, a second decision, or a bad name."""
        if not _WHO.fullmatch(who):
            raise InputError("who-form", f"--who {who!r}: expected a pseudonym of 1 to 63 of A-Z, a-z, 0-9, ., _ and -")
        if self._read(job) is None:
            raise InputError("offer-unknown", f"no offer of a job {job} waits here; see `creditmesh-node offers`")
        before = self.decision(job)
        if before is not None:
            said = "accepted" if before.accepted else "refused"
            raise InputError("offer-decided", f"{before.who} {said} {job} already; a decision is not taken back")
        document = {"who": who, "decision": "accepted" if accepted else "refused", "reason": reason[:256]}
        draft = self._folder / f"{job}.decision.json"
        write_whole(draft, json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8"))
        os.chmod(draft, 0o600)

    def listed(self) -> list[dict[str, Any]]:
        """Return all offers, newest first, as JSON values."""
        found = []
        for path in self._folder.glob("*.json"):
            offer = None if path.name.endswith(".decision.json") else self._read(path.stem)
            if offer is not None:
                found.append(_line(offer, self.decision(path.stem)))
        return sorted(found, key=lambda line: -int(line["received_us"]))

    def _read(self, job: str) -> Mapping[str, Any] | None:
        try:
            document = json.loads((self._folder / f"{job}.json").read_text("utf-8"))
            return document if isinstance(document["manifest"], str) and int(document["received_us"]) >= 0 else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _line(offer: Mapping[str, Any], decision: Decision | None) -> dict[str, Any]:
    manifest = decode_manifest(offer["manifest"].encode("ascii"))
    return {
        "job": manifest.job,
        "state": "waiting" if decision is None else "accepted" if decision.accepted else "refused",
        "who": decision.who if decision else None,
        "reason": decision.reason if decision else "",
        "recipe": manifest.recipe,
        "purpose": manifest.purpose,
        "parameters": dict(manifest.parameters),
        "members": list(manifest.roster.members),
        "privacy": manifest.dp.document() if manifest.dp else "exact",
        "max_rows": manifest.max_rows,
        "received_us": offer["received_us"],
    }
