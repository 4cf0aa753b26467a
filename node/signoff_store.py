"""What a bank keeps about the sign-off of models: proposals, its own ballots, promotions, and requests to sign.

It checks nothing (`node.signoff_rules` does). Theory: files appear whole or not at all and are named by what they hold,
so the running node and the commands can both use the folder: a command leaves a request, the node takes it up, and a
request is removed only once the ballot stands on disk.

Under `signoff/` of the state folder: `proposals/<sha256>.json`, `ballots/<sha256>.json` (this bank's, by proposal),
`closed/<sha256>.json`, `promotions/<number>.json`, `requests/<name>.json`; and beside it `promoted.json`, what the
consortium has in force: {"champion": SHA256 | null, "challenger": SHA256 | null, "statements": {ROLE: {"proposal",
"ballots", "approved", "number", "rollback", "recipe", "job"}}}.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from node.result import write_whole
from privacy.errors import InputError, VerificationError
from privacy.log.signoff import ROLES, Proposal, decode_proposal

__all__ = ["Promotion", "Request", "SignoffStore"]

_FOLDER = "signoff"
_LIMIT_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A person's wish: this decision on that proposal (SHA-256 in hex). signed_us: UTC microseconds."""

    proposal: str
    decision: str
    reason: str
    who: str
    signed_us: int


@dataclass(frozen=True, slots=True)
class Promotion:
    """A proposal that carried, with the ballots that prove it and the names of who approved."""

    proposal: Proposal
    ballots: tuple[bytes, ...]
    approved: tuple[str, ...]


class SignoffStore:
    """Read and write the folder; safe for one node and any number of commands."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._folder = state / _FOLDER

    # -- proposals and ballots ---------------------------------------------------------------------------------------

    def keep_proposal(self, proposal: Proposal) -> bool:
        """Keep a proposal that was checked; False if it is here already."""
        fresh = not self._path("proposals", proposal.sha256()).exists()
        if fresh:
            self._write("proposals", proposal.sha256(), proposal.encode())
        return fresh

    def proposals(self) -> list[Proposal]:
        """Return all proposals, by number."""
        found = [decode_proposal(_read(path)) for path in self._paths("proposals")]
        return sorted(found, key=lambda proposal: (proposal.number, proposal.sha256()))

    def keep_ballot(self, proposal: str, ballot: bytes) -> None:
        """Keep this bank's ballot on a proposal."""
        self._write("ballots", proposal, ballot)

    def ballot(self, proposal: str) -> bytes | None:
        """Return this bank's ballot on a proposal, None for none."""
        path = self._path("ballots", proposal)
        return _read(path) if path.exists() else None

    def close(self, proposal: str, code: str) -> None:
        """Note that a proposal is closed without a promotion, and why."""
        self._write("closed", proposal, json.dumps({"code": code}).encode())

    def closed(self, proposal: str) -> str:
        """Return why a proposal is closed, empty if it is not."""
        path = self._path("closed", proposal)
        return str(_object(path).get("code", "")) if path.exists() else ""

    # -- promotions --------------------------------------------------------------------------------------------------

    def keep_promotion(self, promotion: Promotion) -> None:
        """Keep a promotion that was checked, and write `promoted.json` anew."""
        proposal = promotion.proposal
        document = {
            "proposal": proposal.encode().decode("utf-8"),
            "ballots": [ballot.decode("utf-8") for ballot in promotion.ballots],
            "approved": list(promotion.approved),
        }
        self._write("promotions", f"{proposal.number:08d}", json.dumps(document, indent=1).encode())
        self.write_promoted()

    def promotions(self) -> list[Promotion]:
        """Return all promotions that this bank has seen, by number."""
        found = []
        for path in self._paths("promotions"):
            document = _object(path)
            try:
                proposal = decode_proposal(str(document["proposal"]).encode("utf-8"))
                ballots = tuple(str(each).encode("utf-8") for each in document["ballots"])
                found.append(Promotion(proposal, ballots, tuple(map(str, document["approved"]))))
            except (KeyError, TypeError):
                raise _damaged(path) from None
        return sorted(found, key=lambda promotion: promotion.proposal.number)

    def in_force(self) -> dict[str, Promotion | None]:
        """Return the promotion with the highest number for each role; a champion is no longer a challenger."""
        newest: dict[str, Promotion | None] = dict.fromkeys(ROLES)
        for promotion in self.promotions():
            newest[promotion.proposal.role] = promotion
        champion, challenger = newest["champion"], newest["challenger"]
        if champion and challenger and champion.proposal.model == challenger.proposal.model:
            newest["challenger"] = None
        return newest

    def write_promoted(self) -> None:
        """Write `promoted.json` from the promotions that are kept."""
        newest = self.in_force()
        statements = {role: _statement(promotion) for role, promotion in newest.items() if promotion}
        models = {role: promotion.proposal.model if promotion else None for role, promotion in newest.items()}
        content = json.dumps({**models, "statements": statements}, indent=1, sort_keys=True).encode("utf-8")
        write_whole(self._state / "promoted.json", content)

    # -- requests ----------------------------------------------------------------------------------------------------

    def leave_request(self, request: Request) -> None:
        """Leave a person's wish for the node to take up."""
        self._write("requests", os.urandom(12).hex(), json.dumps(asdict(request)).encode())

    def requests(self) -> list[tuple[str, Request]]:
        """Return the wishes that wait, oldest first, each with its name."""
        found = [(path.stem, _request(path)) for path in self._paths("requests")]
        return sorted(found, key=lambda each: (each[1].signed_us, each[0]))

    def drop_request(self, name: str) -> None:
        """Remove a wish that was taken up."""
        self._path("requests", name).unlink(missing_ok=True)

    # -- small parts -------------------------------------------------------------------------------------------------

    def _write(self, kind: str, name: str, content: bytes) -> None:
        path = self._path(kind, name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, content)

    def _path(self, kind: str, name: str) -> Path:
        return self._folder / kind / f"{name}.json"

    def _paths(self, kind: str) -> list[Path]:
        return sorted((self._folder / kind).glob("*.json"))


def _statement(promotion: Promotion) -> dict[str, Any]:
    proposal = promotion.proposal
    return {
        "proposal": proposal.encode().decode("utf-8"),
        "ballots": [ballot.decode("utf-8") for ballot in promotion.ballots],
        "approved": list(promotion.approved),
        "number": proposal.number,
        "rollback": proposal.rollback,
        "recipe": proposal.recipe,
        "job": proposal.job,
    }


def _request(path: Path) -> Request:
    document = _object(path)
    try:
        request = Request(**document)
        texts = (request.proposal, request.decision, request.reason, request.who)
        if not all(isinstance(text, str) for text in texts) or type(request.signed_us) is not int:
            raise TypeError
        return request
    except (KeyError, TypeError):
        raise _damaged(path) from None


def _object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_read(path))
    except (ValueError, RecursionError):
        raise _damaged(path) from None
    if not isinstance(document, dict):
        raise _damaged(path)
    return document


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(_LIMIT_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError("signoff-unreadable", f"{path}: cannot be read ({reason})") from error
    if len(content) > _LIMIT_BYTES:
        raise _damaged(path)
    return content


def _damaged(path: Path) -> VerificationError:
    return VerificationError("signoff-damaged", f"{path}: not the file that this node wrote; move it away")
