"""What a member remembers: sums in order, votes, and the cohort it stands by."""

from dataclasses import replace

from privacy.digest import sha256
from privacy.errors import PeerError, VerificationError
from privacy.messages import Opened
from privacy.secagg.binding import headers_digest
from privacy.secagg.history import History, Vote
from tests.privacy.table import refused

FOUR: tuple[str, ...] = ("a", "b", "c", "d")
FIVE: tuple[str, ...] = (*FOUR, "e")
M, BOUND, HEADERS, VECTOR = bytes(32), b"\x05" * 32, (b"h1", b"h2"), b"sum"
ONE = Opened(1, 1, 1, ("a", "b", "c", "d"), headers_digest(HEADERS), sha256(VECTOR))


def test_sums_are_taken_in_order_and_move_the_transcript() -> None:
    history = History(M, {})
    start = history.transcript
    taken = history.take(ONE, VECTOR, HEADERS, BOUND)
    assert (taken.round, taken.survivors, taken.vector) == (1, ONE.survivors, VECTOR)
    assert history.rounds == 1 and history.transcript != start and history.cohort == ONE.survivors
    with refused("round-order", PeerError):
        history.take(ONE, VECTOR, HEADERS, BOUND)
    with refused("round-order", PeerError):
        history.take(replace(ONE, round=3), VECTOR, HEADERS, BOUND)


def test_everything_seen_is_in_the_transcript() -> None:
    other_sum = (replace(ONE, sum_sha256=sha256(b"x")), b"x", HEADERS, BOUND)
    other_headers = (replace(ONE, headers_sha256=headers_digest((b"h",))), VECTOR, (b"h",), BOUND)
    other_cohort = (replace(ONE, survivors=("a", "b", "c", "e")), VECTOR, HEADERS, BOUND)
    other_place = (ONE, VECTOR, HEADERS, b"\x06" * 32)
    ends = set()
    for case in ((ONE, VECTOR, HEADERS, BOUND), other_sum, other_headers, other_cohort, other_place):
        history = History(M, {})
        history.take(*case)
        ends.add(history.transcript)
    assert len(ends) == 5


def test_a_sum_is_the_one_that_is_named() -> None:
    for vector, headers in ((b"other", HEADERS), (VECTOR, (b"h2", b"h1"))):
        history = History(M, {})
        with refused("opened-digest", PeerError):
            history.take(ONE, vector, headers, BOUND)
        assert history.rounds == 0 and history.cohort is None


def test_a_sum_agrees_with_the_vote() -> None:
    history = History(M, {})
    history.vote(1, Vote(("a", "b", "c"), bytes(32)))
    with refused("opened-vote", VerificationError):
        history.take(ONE, VECTOR, HEADERS, BOUND)


def test_a_sum_seen_again_is_known_and_a_changed_one_refused() -> None:
    history = History(M, {})
    assert not history.known(ONE)
    history.take(ONE, VECTOR, HEADERS, BOUND)
    assert history.known(ONE) and not history.known(replace(ONE, round=2))
    with refused("previous-changed", PeerError):
        history.known(replace(ONE, position=2))


def test_the_first_vote_fixes_the_cohort_and_an_exclusion_shrinks_it() -> None:
    history = History(M, {})
    history.vote(1, Vote(FIVE, bytes(32)))
    history.vote(1, Vote(FOUR, bytes(32)))
    assert history.cohort == FIVE
    history.exclude(FOUR)
    assert history.cohort == FOUR


def test_past_votes_fix_the_cohort_of_a_new_process() -> None:
    votes = {1: Vote(FIVE, bytes(32)), 7: Vote(FOUR, bytes(32))}
    assert History(M, votes).cohort == FOUR
