"""This bank's seat in one job: manifest, member machine, the recipe's replay and the bank's rows.

It sends nothing. Theory: everything that a job needs at a node lives in one object and dies with it; steps that compute
run in a thread, so that heartbeats go on. In a job with noise the order of an answer is fixed: the request is derived,
its cost is reserved on disk, only then are rows read, and the noise is in the part before it is masked.
"""

from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from node.budget import Budget
from privacy.errors import InputError as PrivacyInputError
from privacy.errors import PeerError, RefusalError, VerificationError
from privacy.keys import same_bytes
from privacy.ledger import Reservation
from privacy.manifest import Manifest
from privacy.noise import skellam
from privacy.outgoing import Outgoing
from privacy.secagg.history import OpenedSum, Vote
from privacy.secagg.member import Member
from privacy.secagg.replay import Replay
from privacy.secagg.standing import MemberRules
from risk.book import Book
from risk.charter import models_named, spec_of
from risk.dictionary import Dictionary
from risk.errors import InputError
from risk.job import contribute, releases, rounds
from risk.recipe import EndedEarly
from risk.sampling import for_upload
from risk.table import Table
from risk.validation_plan import plan_of

__all__ = ["Pins", "Precautions", "Seat", "check_budget", "check_manifest", "check_models"]

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pins:
    """What a manifest must agree with: pinned identities of members, the installed code and the dictionary.

    unverified: banks that are known here, but whose keys nobody has compared. Both may change while a node runs.
    """

    members: dict[str, bytes]
    code_sha256: str
    dictionary_sha256: str
    unverified: Set[str] = frozenset()


def check_manifest(manifest: Manifest, pins: Pins) -> None:
    """Raise unless the manifest names only pinned members and this node's own code and dictionary.

    `PeerError` for an identity that is not the pinned one, `RefusalError` for another code or dictionary.
    """
    for seat in manifest.seats:
        pinned = pins.members.get(seat.member)
        if seat.member in pins.unverified:
            raise RefusalError(
                "member-unverified",
                f"nobody here has compared the fingerprint of {seat.member}; call it, then run: creditmesh-node peers "
                f'verify {seat.member} "FINGERPRINT"',
            )
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


@dataclass(frozen=True, slots=True, repr=False)
class Precautions:
    """What a bank brings to jobs besides its rows.

    budget, prf: for jobs with noise, its budget and a keyed function that splits rows by what they are. models: returns
    the model file of a digest that this bank keeps, for jobs that look at models.
    """

    budget: Budget
    prf: Callable[[bytes], bytes]
    models: Callable[[str], bytes] = field(default=lambda sha256: _no_model(sha256))

    def __repr__(self) -> str:
        return "Precautions(...)"


def _no_model(sha256: str) -> bytes:
    raise RefusalError("model-unknown", f"this bank holds no model {sha256}")


def check_models(manifest: Manifest, dictionary: Dictionary, precautions: Precautions) -> None:
    """Raise `RefusalError` unless this bank keeps whole, and can use, every model that the job looks at."""
    if not models_named(manifest.recipe, manifest.parameters):
        return
    try:
        plan_of(spec_of(manifest, dictionary, precautions.models))
    except (InputError, PrivacyInputError, VerificationError) as error:
        raise RefusalError(error.code, error.message) from None


def check_budget(budget: Budget, manifest: Manifest, dictionary: Dictionary) -> None:
    """Raise `RefusalError` unless a job with noise keeps its promise and fits the budget; an exact job passes."""
    if manifest.dp is not None and dictionary.borrower is not None and budget.unit != "borrower":
        raise RefusalError(
            "borrower-absent", f"no column {dictionary.borrower} of this bank's table says whose a row is; add it"
        )
    try:
        budget.decide(manifest, lambda: releases(spec_of(manifest, dictionary)))
    except InputError as error:
        raise RefusalError(error.code, error.message) from None


class Seat:
    """Take part in one job."""

    def __init__(
        self,
        manifest: Manifest,
        rules: MemberRules,
        rows: tuple[Dictionary, Table],
        votes: dict[int, Vote],
        precautions: Precautions,
    ) -> None:
        """rows: the consortium's dictionary and the bank's table; votes: of an earlier process in this job."""
        dictionary, table = rows
        self.spec = spec_of(manifest, dictionary, precautions.models)
        self.book = Book(table, self.spec, precautions.prf)
        self.member = Member(manifest, rules, votes)
        self.replay = Replay(rounds(self.spec), len(manifest.seats))
        self.noise_key = b""
        self.reason = self.code = ""
        self._random_bytes = rules.random_bytes
        self._budget = precautions.budget
        self._reserved: Reservation | None = None

    @property
    def outcome(self) -> Any:
        """Return what the job learned, once its generator is done."""
        return self.replay.outcome

    def feed(self, opened: OpenedSum) -> None:
        """Give the generator an opened sum."""
        self.replay.feed(opened.vector)

    def answer(self, at: tuple[int, int, int]) -> Outgoing:
        """Derive the request, compute this bank's part, mask it and return the upload.

        at: epoch, position and round. In a job with noise the release is reserved first; `noise_key` is this upload's.
        """
        request, plan = self.replay.request, self.replay.plan
        self.member.derive(request.encode(), plan)
        self.noise_key, self._reserved = b"", None
        if self.spec.private:
            self._reserved = self._budget.reserve(self.member.manifest, at, request)
        book = self.book
        if self._reserved:
            self.noise_key = self._random_bytes(_KEY_BYTES)
            # Rows of a sampled request are drawn afresh for each upload, as its noise is.
            book = for_upload(book, self.noise_key)
        part: np.ndarray = contribute(request, book)
        if self._reserved:
            part = part + skellam(self.noise_key, plan.length, plan.noise)
        return self.member.upload(part)

    def sent(self) -> None:
        """Note that the upload has left."""
        if self._reserved:
            self._budget.spend(self._reserved)
            self._reserved = None

    def end_early(self, reason: str, code: str = "") -> None:
        """Note why the job ends here before its last sum; in a job with noise, keep the model so far.

        code: of this bank's own refusal, empty where the job ended elsewhere.
        Exact jobs keep none: what their first sums taught is no model that anybody was promised.
        """
        self.reason, self.code = reason, code
        if self.spec.private:
            self.replay.end_early(EndedEarly())

    @property
    def privacy(self) -> dict[str, object] | None:
        """Return what the job has cost this bank's borrowers so far, None in an exact job."""
        return self._budget.account(self.member.manifest.job) if self.spec.private else None

    def close(self) -> None:
        """Stop the generator and forget all keys."""
        self.replay.close()
