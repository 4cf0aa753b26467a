"""The counter: every signed message is handed to whom it concerns and receipted, refused ones with their code."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from coordinator.counter import Counter
from coordinator.receipt import Arrival
from privacy import messages as say
from privacy.envelope import COORDINATOR, Address, open_envelope
from privacy.errors import InputError
from privacy.messages import Message
from privacy.wire import decode_packet
from tests.privacy.table import identity_of, sign_as
from tests.virtual_time import run_virtual


class Room:
    """A counter for the members a and b, and what it took, receipted and sent."""

    def __init__(self, refusal: str = "", fault: InputError | None = None) -> None:
        self.arrivals: list[Arrival] = []
        self.sent: list[tuple[str, bytes]] = []
        self.taken: list[str] = []
        self.refusal, self.fault = refusal, fault
        identities = {name: identity_of(name).public for name in ("a", "b")}
        send: Callable[[str, bytes], None] = lambda name, raw: self.sent.append((name, raw))  # noqa: E731
        self.counter = Counter(identity_of(COORDINATOR), cast(Any, self), lambda: identities, send)
        self.counter.serve("job-1", "credit-risk-model", self._take)

    async def acknowledge(self, arrived: Arrival) -> bytes:
        if self.fault:
            raise self.fault
        self.arrivals.append(arrived)
        return b"{}"

    def _take(self, envelope: Any, _packet: Any, _size: int) -> str:
        self.taken.append(envelope.kind)
        return self.refusal


def told(sender: str, job: str = "job-1", message: Message | None = None) -> bytes:
    return sign_as(sender, COORDINATOR, Address(job), message or say.Accept())


def play(script: Callable[[Room], None], **changes: Any) -> Room:
    async def test() -> Room:
        room = Room(**changes)
        script(room)
        await room.counter.drain()
        return room

    return run_virtual(test())


def test_a_message_is_taken_and_its_sender_gets_the_receipt() -> None:
    room = play(lambda room: room.counter.take("a", told("a")))

    ((to, raw),) = room.sent
    receipt = open_envelope(decode_packet(raw).signed, lambda name: identity_of(name).public)
    assert (to, receipt.recipient, receipt.message) == ("a", "a", say.Receipt(b"{}"))
    assert (room.taken, [arrived.accepted for arrived in room.arrivals]) == (["accept"], [True])


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff" * 64, told("b"), told("stranger"), told("a")[:-1], told("a").replace(b"job-1", b"job-2")],
    ids=["empty", "noise", "spoofed", "stranger", "cut", "moved"],
)
def test_what_its_sender_did_not_sign_reaches_nobody_and_no_log(raw: bytes) -> None:
    room = play(lambda room: room.counter.take("a", raw))

    assert (room.taken, room.arrivals, room.sent) == ([], [], [])


def test_a_refused_message_is_written_down_with_its_code() -> None:
    room = play(lambda room: room.counter.take("a", told("a")), refusal="upload-late")

    assert [(arrived.accepted, arrived.reason) for arrived in room.arrivals] == [(False, "upload-late")]


def test_the_same_message_again_changes_nothing_and_is_written_down() -> None:
    def twice(room: Room) -> None:
        room.counter.take("a", told("a"))
        room.counter.take("a", told("a"))

    room = play(twice)

    assert room.taken == ["accept"]
    assert [arrived.reason for arrived in room.arrivals] == ["", "duplicate"]


@pytest.mark.parametrize(("message", "code"), [(say.Accept(), "job-not-running"), (say.Halt("late"), "")])
def test_a_job_that_is_over_takes_nothing_and_lets_a_halt_pass(message: Message, code: str) -> None:
    def over(room: Room) -> None:
        room.counter.release("job-1")
        room.counter.take("a", told("a", message=message))

    room = play(over)

    assert (room.taken, [arrived.reason for arrived in room.arrivals]) == ([], [code])


def test_a_log_that_cannot_grow_is_reported_once_and_gives_no_receipt() -> None:
    def many(room: Room) -> None:
        for _ in range(3):
            room.counter.take("a", told("a"))

    room = play(many, fault=InputError("disk-full", "the disk is full"))

    assert room.sent == []
    assert isinstance(room.counter.failed.exception(), InputError)
