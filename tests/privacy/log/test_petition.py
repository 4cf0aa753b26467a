"""Asking for cosignatures: from which size, what is believed, and what proves that the own log fell back."""

from collections.abc import Callable
from functools import partial

import pytest

from privacy.log.checkpoint import Checkpoint
from privacy.log.cosignature import read_line, verify_line
from privacy.log.note import COSIGNATURE, NoteSigner
from privacy.log.petition import Gain, OwnLog, Petition, Tally, Tempo
from privacy.log.tree import consistency_proof, root_at
from privacy.log.witness import Answer
from tests.privacy.log.test_witness import FORK, KEY, LOG, ORIGIN, TREE, WHEN, Store, Tree

OTHER = NoteSigner("bank-c/witness", bytes([7] * 32))


class Log:
    """The asking log: a tree and the size that it has by now."""

    def __init__(self, size: int, tree: Tree = TREE) -> None:
        self.size, self.tree = size, tree

    def own(self) -> OwnLog:
        return OwnLog(
            LOG.verifier(),
            lambda: self.tree.note(self.size),
            lambda old, size: consistency_proof(old, size, self.tree.read),
            lambda size: root_at(size, self.tree.read),
        )


def petition(log: Log, **known: int) -> Petition:
    return Petition(log.own(), {"b": KEY, "c": OTHER.verifier(COSIGNATURE), "keeper": None}, dict(known))


def gain(asking: Petition, store: Store, change: Callable[[Answer], Answer] = lambda answer: answer) -> Gain:
    asked = asking.ask("b")
    found = asking.take("b", asked.number, change(store.ask(asked.body)))
    assert found is not None
    return found


def instead(answer: Answer, _true: Answer) -> Answer:
    return answer


def test_a_growing_log_gathers_lines() -> None:
    log, store = Log(3), Store()
    asking = petition(log)
    for size in (3, 3, 8, 40):
        log.size = size
        found = gain(asking, store)
        assert (found.size, found.fault, found.again) == (size, "", False)
        text = Checkpoint(ORIGIN, size, root_at(size, TREE.read)).text()
        assert verify_line(text, read_line(found.line), KEY) == WHEN


def test_a_log_that_forgot_what_the_witness_holds_is_told() -> None:
    log, store = Log(8), Store()
    gain(petition(log), store)
    log.size = 13
    asking = petition(log)
    assert gain(asking, store) == Gain("b", 8, again=True)
    assert gain(asking, store).size == 13
    assert asking.known == {"b": 13}


def test_a_witness_that_tells_the_same_size_again_is_not_asked_for_ever() -> None:
    asking = petition(Log(13))
    for again in (True, False, False):
        asked = asking.ask("b")
        found = asking.take("b", asked.number, Answer(409, b"5\n"))
        assert found is not None and found.again is again


def test_a_witness_that_tells_another_size_each_time_is_not_followed() -> None:
    asking, again = petition(Log(40)), []
    for size in (5, 6, 7, 8):
        asked = asking.ask("b")
        found = asking.take("b", asked.number, Answer(409, b"%d\n" % size))
        assert found is not None
        again.append(found.again)
    assert again == [True, False, True, False]


def test_a_keeper_of_heads_gives_no_line() -> None:
    keeper, asking = Store(signer=None), petition(Log(8))
    asked = asking.ask("keeper")
    assert asking.take("keeper", asked.number, keeper.ask(asked.body)) == Gain("keeper", 8)


def test_only_what_was_asked_is_taken_and_only_once() -> None:
    asking, store = petition(Log(8)), Store()
    asked = asking.ask("b")
    answer = store.ask(asked.body)
    assert asking.take("b", asked.number + 1, answer) is None
    assert asking.take("c", asked.number, answer) is None
    assert asking.waits_for("b") and not asking.waits_for("c")
    assert asking.take("b", asked.number, answer) is not None
    assert asking.take("b", asked.number, answer) is None
    asking.ask("b")
    asking.forget()
    assert not asking.waits_for("b")


def test_a_line_of_another_key_text_or_none_is_no_cosignature() -> None:
    store, log = Store(), Log(8)
    old = gain(petition(log), store).line.encode()
    log.size = 13
    for body in (old, b"", b"x", OTHER.cosign("x", 1).line().encode()):
        asking = petition(log, b=8)
        found = gain(asking, Store(), partial(instead, Answer(200, body)))
        assert found.line == "" and found.fault and asking.known == {"b": 8}


def test_a_coordinator_that_swaps_two_witnesses_answers_gains_nothing() -> None:
    asking, store = petition(Log(8)), Store()
    asked = asking.ask("c")
    found = asking.take("c", asked.number, store.ask(asked.body))
    assert found is not None and (found.line, found.fault) == ("", "signature-missing")


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500, 0])
def test_other_statuses_are_faults(status: int) -> None:
    asking = petition(Log(8))
    assert gain(asking, Store(), lambda _: Answer(status)).fault == f"status-{status}"


@pytest.mark.parametrize("body", [b"", b"x\n", b"-1\n", b"007\n", b"8\n\n", b"\xff\n"])
def test_a_malformed_size_is_a_fault(body: bytes) -> None:
    assert gain(petition(Log(8)), Store(), lambda _: Answer(409, body)).fault == "size-malformed"


def test_a_log_put_back_from_a_copy_is_proved_by_the_note_that_a_witness_holds() -> None:
    log, store = Log(21), Store()
    gain(petition(log), store)
    log.size = 13
    found = gain(petition(log), store)
    assert found.conflict == TREE.note(21)


def test_a_log_with_another_history_is_proved_likewise() -> None:
    store = Store()
    gain(petition(Log(8)), store)
    asked = (asking := petition(Log(13, FORK), b=8)).ask("b")
    found = asking.take("b", asked.number, store.ask(asked.body))
    assert found is not None and found.conflict == TREE.note(8)


@pytest.mark.parametrize("held", [b"", b"x", FORK.note(30, NoteSigner(ORIGIN, bytes([3] * 32)))])
def test_a_claim_without_this_logs_own_signature_proves_nothing(held: bytes) -> None:
    asking = petition(Log(8))
    found = gain(asking, Store(), lambda _: Answer(409, b"30\n", held))
    assert (found.conflict, found.fault, found.again) == (b"", "size-unproved", False)
    assert gain(asking, Store()).size == 8


def test_a_held_note_of_the_same_history_is_no_conflict() -> None:
    store, log = Store(), Log(8)
    gain(petition(log), store)
    log.size = 13
    assert gain(petition(log), store).conflict == b""


def test_a_quorum_is_so_many_lines_on_one_head() -> None:
    tally = Tally()
    assert not tally.add(Gain("b", 8, "line"), 2)
    assert not tally.add(Gain("b", 8, "line"), 2)
    assert not tally.add(Gain("c", 13, "line"), 2)
    assert not tally.add(Gain("c", 8), 2)
    assert (tally.size, tally.cosigners) == (0, ())
    assert tally.add(Gain("d", 13, "line"), 2)
    assert (tally.size, tally.cosigners) == (13, ("c", "d"))
    assert not tally.add(Gain("c", 8, "line"), 2)
    assert tally.add(Gain("b", 13, "line"), 2)
    assert (tally.size, tally.cosigners) == (13, ("b", "c", "d"))


def due(tempo: Tempo, sizes: list[int], quorum: int, start: float = 0.0) -> list[float]:
    """Return the times, four a second, at which there is something to ask; it is asked at once."""
    found = []
    for tick, size in enumerate(sizes):
        now = start + tick / 4
        if tempo.is_due(now, size, quorum):
            tempo.asked(now, size)
            found.append(now)
    return found


def test_a_growing_log_is_asked_about_every_minute() -> None:
    assert due(Tempo(), [*range(1, 4 * 130)], 0) == [60.0, 120.0]


def test_a_log_below_its_quorum_is_asked_about_every_minute_and_above_it_every_day() -> None:
    assert due(Tempo(), [5] * 4 * 130, 4) == [60.0, 120.0]
    assert due(Tempo(heartbeat_s=100), [5] * 4 * 250, 5) == [100.0, 200.0]


def test_after_a_job_a_log_at_rest_is_asked_about_at_once_and_then_every_second() -> None:
    tempo = Tempo()
    tempo.settle(0.0)
    assert due(tempo, [1, 2, 3, 3, 3, 3, *[4] * 100], 0) == [0.75, 1.75, 2.75, 3.75, 4.75]
    tempo.settle(100.0)
    assert due(tempo, [9] * 40, 9, 100.0) == [100.25]
