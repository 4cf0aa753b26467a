"""Events: what may be written, and that only what would be written is read."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import MisuseError, VerificationError
from privacy.log.canonical import encode
from privacy.log.instant import Instant
from privacy.log.kinds import KINDS
from privacy.log.record import EVENT_LIMIT_BYTES, LARGEST_INSTANT, Actor, Entry, decode_event, draft_event
from tests.privacy.logs import author, egress, ingress, opened

NOW = Instant(1_790_000_000_123_456, 42)
SALT = bytes(range(16))


def built(entry: Entry, seq: int = 5) -> bytes:
    return draft_event(author(), entry).place(seq, NOW, SALT)


def test_an_event_reads_back() -> None:
    raw = built(egress(3))
    event = decode_event(raw)
    assert (event.log, event.seq, event.kind, event.job, event.round) == (
        "bank-a/privacy-log", 5, "egress.authorised", "job-1", 3)  # fmt: skip
    assert (event.utc_us, event.mono_us, event.encoded) == (NOW.utc_us, NOW.mono_us, raw)
    assert event.body == egress(3).body
    assert (event.purpose, event.actor) == ("credit-risk-model", author().actor)
    assert (event.clock_source, event.clock_error_us) == ("none", 0)


def test_the_envelope_says_everything_once() -> None:
    assert json.loads(built(replace(egress(3), detail_c="cd" * 32))) == {
        "v": 1,
        "log": "bank-a/privacy-log",
        "seq": 5,
        "kind": "egress.authorised",
        "t": "2026-09-21T14:13:20.123456Z",
        "mono_us": 42,
        "boot": bytes(range(16)).hex(),
        "clk": {"src": "none", "err_us": 0},
        "actor": {"type": "service", "id": "bank-a", "role": "node", "auth": "mtls"},
        "purpose": "credit-risk-model",
        "basis": "consortium-agreement",
        "job": "job-1",
        "round": 3,
        "salt": SALT.hex(),
        "detail_c": "cd" * 32,
        "body": dict(egress(3).body),
    }


def test_the_salt_hides_an_event_that_could_be_guessed() -> None:
    draft = draft_event(author(), opened())
    assert draft.place(0, NOW, SALT) != draft.place(0, NOW, SALT[::-1])


@pytest.mark.parametrize(
    "entry",
    [
        Entry("no.such.kind", {}),
        egress(1, borrower="Li Wei"),
        Entry("egress.authorised", {}),
        egress(1, bytes=-1),
        egress(1, bytes=1.5),
        egress(1, bytes=True),
        egress(1, bytes=2**53),
        egress(1, msg_id=""),
        egress(1, msg_id="x" * 257),
        egress(1, msg_id="\x1b[31mred"),
        egress(1, msg_id="left\u202eright"),
        egress(1, payload_sha256="AB" * 32),
        egress(1, payload_sha256="ab" * 31),
        egress(1, cohort="01012"),
        egress(1, payload_kind="control", payload_sha256="ab" * 32),
        ingress(1, accepted=1),
        ingress(1, signature="ab" * 63),
        replace(egress(1), purpose=""),
        replace(egress(1), round=-1),
        replace(egress(1), detail_c="short"),
    ],
)
def test_what_the_schema_does_not_know_is_not_written(entry: Entry) -> None:
    with pytest.raises(MisuseError):
        built(entry)
    with pytest.raises(MisuseError):
        draft_event(author(), entry)


def exported(files: int, filler: int = 1) -> Entry:
    listed = [{"name": "x" * 200, "sha256": "ab" * 32}] * files
    head = {"size": 0, "root": "00" * 32}
    body = {"who": "a", "filter": "f" * filler, "rows": 0, "files": listed, "checkpoint": head}
    return Entry("audit.exported", body)


def test_an_event_has_at_most_eight_kibibytes_at_the_longest_place_in_a_log() -> None:
    longest = draft_event(author(), exported(26)).place(2**53 - 1, LARGEST_INSTANT, SALT)
    room = EVENT_LIMIT_BYTES - len(longest)
    largest = draft_event(author(), exported(26, 1 + room))
    assert len(largest.place(2**53 - 1, LARGEST_INSTANT, SALT)) == EVENT_LIMIT_BYTES
    with pytest.raises(MisuseError, match="at most 8192"):
        draft_event(author(), exported(26, 2 + room))


@pytest.mark.parametrize(("seq", "salt"), [(-1, SALT), (2**53, SALT), (0, SALT[:15])])
def test_no_event_stands_at_an_impossible_place(seq: int, salt: bytes) -> None:
    with pytest.raises(MisuseError, match="cannot stand"):
        draft_event(author(), opened()).place(seq, NOW, salt)


@given(st.data())
def test_a_changed_byte_is_refused_or_reads_as_itself(data: st.DataObject) -> None:
    raw = bytearray(built(egress(3)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        event = decode_event(bytes(raw))
    except VerificationError:
        return
    assert encode(json.loads(raw)) == bytes(raw) == event.encoded


def changed(**keys: object) -> bytes:
    envelope = {**json.loads(built(egress(3))), **keys}
    return encode({key: value for key, value in envelope.items() if value is not None})


@pytest.mark.parametrize(
    "raw",
    [changed(v=2), changed(v=True), changed(extra=1), changed(salt=None), changed(salt="00"), changed(seq=-1),
     changed(t="2026-09-21T14:13:20Z"), changed(t="2026-02-30T00:00:00.000000Z"), changed(boot="00"),
     changed(clk={"src": "gps", "err_us": 0}), changed(actor={"type": "service"}), changed(body=[]),
     changed(body={**egress(3).body, "borrower": 1}), changed(kind="\x07bell"), changed(round="3"),
     b"{}", built(egress(3)) + b" "],
)  # fmt: skip
def test_malformed_events_are_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError):
        decode_event(raw)


def test_a_kind_of_a_later_version_is_tolerated_by_readers() -> None:
    assert decode_event(changed(kind="future.kind", body={"any": [1, "thing"]})).kind == "future.kind"


def test_every_kind_that_compliance_asks_for_is_known() -> None:
    assert set(KINDS) == {
        "log.opened", "member.changed", "key.rotated", "dataset.registered", "assessment.recorded", "job.decided",
        "access.checked", "train.round", "dp.spend", "egress.authorised", "egress.result", "ingress.received",
        "secagg.round", "model.released", "model.signed", "model.promoted", "decision.made", "decision.overridden",
        "erasure.done", "audit.exported", "peer.checkpoint", "alarm.raised"}  # fmt: skip


@pytest.mark.parametrize(
    "actor",
    [
        {},
        {"type": "service", "id": "a", "role": "r"},
        {"type": "service", "id": "a", "role": "r", "auth": "x", "more": "y"},
        {"type": "robot", "id": "a", "role": "r", "auth": "x"},
        {"type": "service", "id": ["a"], "role": "r", "auth": "x"},
        {"type": "service", "id": {}, "role": "r", "auth": "x"},
        {"type": "service", "id": 1, "role": "r", "auth": "x"},
        {"type": "service", "id": True, "role": "r", "auth": "x"},
        {"type": "service", "id": "", "role": "r", "auth": "x"},
    ],
)
def test_an_actor_of_another_form_is_refused(actor: dict[str, object]) -> None:
    good = json.loads(built(egress(1)))
    assert decode_event(encode(good)).actor == Actor("service", "bank-a", "node", "mtls")
    with pytest.raises(VerificationError) as caught:
        decode_event(encode({**good, "actor": actor}))
    assert caught.value.code == "event-malformed"
