"""What a member remembers of a job: opened sums as a transcript, its votes, and the cohort it stands by.

It checks digests and order, not signatures. Theory: the transcript grows by opened sums only, so members that saw the
same sums in the same order hold the same 32 bytes. In an exact job a sum without one bank beside a sum with it is
that bank's part; therefore the first cohort that a member votes for stays, and only an exclusion shrinks it.
"""

from dataclasses import dataclass

from privacy.digest import sha256
from privacy.errors import PeerError, VerificationError
from privacy.messages import Opened
from privacy.secagg.binding import cohort_digest, headers_digest, next_transcript, transcript_start

__all__ = ["History", "OpenedSum", "Vote"]


@dataclass(frozen=True, slots=True)
class Vote:
    """The one vote of a position: for which cohort, and the digest of cohort and headers (32 bytes)."""

    survivors: tuple[str, ...]
    cohort_sha256: bytes


@dataclass(frozen=True, slots=True)
class OpenedSum:
    """A sum as it was opened: the survivors it runs over and its little-endian words; bound: its position's C."""

    round: int
    position: int
    bound: bytes
    survivors: tuple[str, ...]
    cohort_sha256: bytes
    vector: bytes | memoryview


class History:
    """Follow the opened sums of one job."""

    def __init__(self, manifest_sha256: bytes, past_votes: dict[int, Vote]) -> None:
        """past_votes: votes of an earlier process of this member, by round, the last of a round."""
        self.transcript = transcript_start(manifest_sha256)
        self.rounds = 0
        self.ask_sha256 = b""
        self.cohort: tuple[str, ...] | None = (
            min((vote.survivors for vote in past_votes.values()), key=len) if past_votes else None
        )
        self._votes = past_votes
        self._last: Opened | None = None

    def vote(self, round_number: int, vote: Vote) -> None:
        """Note a vote; the first one fixes the cohort of an exact job."""
        self._votes[round_number] = vote
        if self.cohort is None:
            self.cohort = vote.survivors

    def exclude(self, remaining: tuple[str, ...]) -> None:
        """Go on with these members for good; the permit allowed it."""
        self.cohort = remaining

    def known(self, opened: Opened) -> bool:
        """Say whether this is the sum seen last; an older or different one raises `PeerError`."""
        if opened.round > self.rounds:
            return False
        if opened != self._last:
            raise PeerError("previous-changed", f"round {opened.round} is shown again with another sum or cohort")
        return True

    def take(self, opened: Opened, vector: bytes | memoryview, headers: tuple[bytes, ...], bound: bytes) -> OpenedSum:
        """Append an opened sum to the transcript; it must follow the last and agree with this member's vote."""
        if opened.round != self.rounds + 1:
            raise PeerError("round-order", f"round {opened.round} after {self.rounds} opened sums")
        if sha256(vector) != opened.sum_sha256 or headers_digest(headers) != opened.headers_sha256:
            raise PeerError("opened-digest", f"the sum or headers of round {opened.round} are not those named")
        cohort = cohort_digest(bound, opened.survivors, opened.headers_sha256)
        vote = self._votes.get(opened.round)
        if vote is not None and vote.survivors != opened.survivors:
            raise VerificationError(
                "opened-vote", f"round {opened.round} was opened over another cohort than this member voted for"
            )
        if self.cohort is None:
            self.cohort = opened.survivors
        self.transcript = next_transcript(self.transcript, bound, cohort, opened.sum_sha256)
        self.rounds, self._last = opened.round, opened
        return OpenedSum(opened.round, opened.position, bound, opened.survivors, cohort, vector)
