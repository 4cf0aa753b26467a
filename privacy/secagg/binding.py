"""What binds a round: the agreement root, the binding of a position, cohorts and the transcript of opened sums.

It is arithmetic on digests and keeps nothing. Theory: every mask is derived from the binding C, and C covers the
agreement root (manifest, epoch, all set-ups), the position, the round, the request each member derived and every sum
opened before. Two members that saw anything different make masks that do not cancel, so nothing opens.
"""

from collections.abc import Sequence

from privacy.digest import digest, number

__all__ = ["agreement_root", "ask_digest", "binding", "cohort_digest", "headers_digest", "next_transcript",
           "transcript_start"]  # fmt: skip


def ask_digest(ask: bytes) -> bytes:
    """Return H(Ask) of the canonical bytes that the recipe derived."""
    return digest("ask", ask)


def agreement_root(manifest_sha256: bytes, epoch: int, transcript: bytes, setups: Sequence[bytes]) -> bytes:
    """Return R0 over the signed set-ups in roster order."""
    return digest("agreement-root", manifest_sha256, number(epoch), transcript, *setups)


def binding(root: bytes, position: int, round_number: int, ask_sha256: bytes, transcript: bytes) -> bytes:
    """Return C, what every key and mask of this position is derived from."""
    return digest("binding", root, number(position), number(round_number), ask_sha256, transcript)


def headers_digest(headers: Sequence[bytes]) -> bytes:
    """Return the digest of the survivors' signed headers, in order of their ids."""
    return digest("headers", *headers)


def cohort_digest(bound: bytes, survivors: Sequence[str], headers_sha256: bytes) -> bytes:
    """Return H(U and all headers of U), what a vote is for."""
    return digest("cohort", bound, headers_sha256, *(member.encode() for member in survivors))


def transcript_start(manifest_sha256: bytes) -> bytes:
    """Return the transcript before any sum was opened."""
    return digest("transcript-start", manifest_sha256)


def next_transcript(transcript: bytes, bound: bytes, cohort_sha256: bytes, sum_sha256: bytes) -> bytes:
    """Return the transcript after an opened sum."""
    return digest("transcript", transcript, bound, cohort_sha256, sum_sha256)
