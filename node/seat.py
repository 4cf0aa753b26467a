"""This bank's seat in one job: manifest, member machine, the recipe's replay and the bank's rows.

It sends nothing. Theory: everything that a job needs at a node lives in one object and dies with it; steps that compute
run in a thread, so that heartbeats go on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from privacy.errors import PeerError, RefusalError
from privacy.keys import same_bytes
from privacy.manifest import Manifest
from privacy.outgoing import Outgoing
from privacy.secagg.history import OpenedSum, Vote
from privacy.secagg.member import Member
from privacy.secagg.replay import Replay
from privacy.secagg.standing import MemberRules
from risk.book import Book
from risk.charter import spec_of
from risk.dictionary import Dictionary
from risk.job import contribute, rounds
from risk.table import Table

__all__ = ["Pins", "Seat", "check_manifest"]


@dataclass(frozen=True, slots=True)
class Pins:
    """What a manifest must agree with: pinned identities of members, the installed code and the dictionary."""

    members: dict[str, bytes]
    code_sha256: str
    dictionary_sha256: str


def check_manifest(manifest: Manifest, pins: Pins) -> None:
    """Raise unless the manifest names only pinned members and this node's own code and dictionary.

    `PeerError` for an identity that is not the pinned one, `RefusalError` for another code or dictionary.
    """
    for seat in manifest.seats:
        pinned = pins.members.get(seat.member)
        if pinned is None:
            raise RefusalError("member-unpinned", f"{seat.member} is not among the members this bank has pinned")
        if not same_bytes(pinned, seat.identity):
            raise PeerError(
                "identity-swapped", f"the manifest gives {seat.member} another identity than the pinned one"
            )
    if manifest.code_sha256 != pins.code_sha256:
        raise RefusalError("code-differs", "the job was made for another version of the recipes: update one side")
    if manifest.dictionary_sha256 != pins.dictionary_sha256:
        raise RefusalError("dictionary-differs", "the job was made for another data dictionary than this bank's")


class Seat:
    """Take part in one job."""

    def __init__(
        self, manifest: Manifest, rules: MemberRules, rows: tuple[Dictionary, Table], votes: dict[int, Vote]
    ) -> None:
        """rows: the consortium's dictionary and the bank's table; votes: of an earlier process in this job."""
        dictionary, table = rows
        self.spec = spec_of(manifest, dictionary)
        self.book = Book(table, self.spec)
        self.member = Member(manifest, rules, votes)
        self.replay = Replay(rounds(self.spec), len(manifest.seats))

    @property
    def outcome(self) -> Any:
        """Return what the job learned, once its generator is done."""
        return self.replay.outcome

    def feed(self, opened: OpenedSum) -> None:
        """Give the generator an opened sum."""
        self.replay.feed(opened.vector)

    def answer(self) -> Outgoing:
        """Derive the request, compute this bank's part, mask it and return the upload."""
        request = self.replay.request
        self.member.derive(request.encode(), self.replay.plan)
        part: np.ndarray = contribute(request, self.book)
        return self.member.upload(part)

    def close(self) -> None:
        """Stop the generator and forget all keys."""
        self.replay.close()
