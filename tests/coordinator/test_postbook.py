"""What the coordinator writes down of what it sends, against what members write down of what they take."""

from pathlib import Path
from typing import Any

from coordinator.postbook import Postbook
from coordinator.session import JobSession
from privacy.envelope import COORDINATOR, EVERYONE, Address, sign_envelope
from privacy.log.kinds import KINDS, fault_of
from privacy.log.record import Entry
from privacy.log.rounds import members_of
from privacy.log.sender import verify_sender
from privacy.manifest import Manifest
from privacy.messages import CheckPart, Message, Offer, Ready
from privacy.secagg.downlink import Downlink
from privacy.wire import Packet, encode_packet
from tests.network import Network
from tests.privacy.table import identity_of, manifest_of, names_of
from tests.virtual_time import run_virtual

NAMES = tuple(names_of(5))


def downlinks(message: Message, *members: str) -> list[Downlink]:
    envelope = sign_envelope(identity_of(COORDINATOR), COORDINATOR, EVERYONE, Address("job-1", 1), message)
    raw = encode_packet(Packet(envelope.raw))
    return [Downlink(member, raw, envelope) for member in members]


def book() -> tuple[Postbook, list[Entry]]:
    entries: list[Entry] = []
    return Postbook(manifest_of(NAMES, job="job-1"), entries.extend), entries


def test_one_message_to_many_has_one_record_with_its_recipients() -> None:
    postbook, entries = book()
    postbook.sent([*downlinks(Ready(), *NAMES), *downlinks(CheckPart(NAMES[1]), NAMES[0], NAMES[4])])
    everyone, two = entries
    assert (everyone.body["to"], everyone.body["recipients"]) == ("*", "11111")
    assert (two.body["recipients"], two.body["part"]) == ("10001", NAMES[1])
    assert [fault_of(entry.body, KINDS["egress.authorised"]) for entry in entries] == [None, None]


def test_a_message_to_one_names_it_and_a_repetition_is_counted() -> None:
    postbook, entries = book()
    for member in (NAMES[2], NAMES[2], NAMES[3]):
        postbook.sent(downlinks(Ready(), member))
    assert [(entry.body["to"], entry.body["attempt"]) for entry in entries] == [
        (NAMES[2], 1), (NAMES[2], 2), (NAMES[3], 1)]  # fmt: skip
    assert not any("recipients" in entry.body for entry in entries)


def test_an_offer_has_a_record_for_each_member_that_is_asked() -> None:
    postbook, entries = book()
    postbook.sent(downlinks(Offer(b"{}"), *NAMES))
    assert [entry.body["to"] for entry in entries] == list(NAMES)


def test_nothing_sent_is_nothing_written() -> None:
    postbook, entries = book()
    postbook.sent([])
    assert entries == []


def test_the_roster_that_bitmaps_run_over_is_written_down_if_an_event_holds_it() -> None:
    postbook, entries = book()
    postbook.seated(manifest_of(NAMES, job="job-1"))
    assert entries[0].body["approvers"] == list(NAMES)
    assert fault_of(entries[0].body, KINDS["job.decided"]) is None
    long = [f"{place:03d}" + "x" * 60 for place in range(250)]
    postbook.seated(manifest_of(long, job="job-2"))
    assert entries[1].body["approvers"] == []


class Booked(Network):
    """A network whose coordinator keeps a postbook, and whose members' sizes are noted as they come."""

    entries: list[Entry]

    def open_job(self, manifest: Manifest) -> JobSession:
        session = super().open_job(manifest)
        postbook = Postbook(manifest, self.entries.extend)
        object.__setattr__(session._desk, "sent", postbook.sent)
        return session


def test_what_left_and_what_came_agree_to_the_byte(tmp_path: Path) -> None:
    network = Booked(tmp_path, list(NAMES))
    network.entries = []

    async def test() -> None:
        network.start()
        assert (await network.run())[0] == "done"

    run_virtual(test())
    sent: dict[str, set[Any]] = {name: set() for name in network.names}
    for entry in network.entries:
        body: Any = entry.body
        to = members_of(body["recipients"], network.names) if body["to"] == "*" else [body["to"]]
        for name in to:
            sent[name].add((body["msg_id"], body.get("part", ""), body["bytes"], body["payload_sha256"]))
    for name, node in network.nodes.items():
        arrived = [entry for entry in node.entries if entry.kind == "ingress.received"]
        came: list[Any] = [
            (entry.body["msg_id"], entry.body.get("part", ""), entry.body["bytes"], entry.body["payload_sha256"])
            for entry in arrived
        ]
        assert set(came) == sent[name] and len(came) == len(sent[name])
        for entry in arrived:
            verify_sender(entry.body, identity_of(COORDINATOR).public)


def test_a_message_that_is_refused_is_written_down_with_the_reason(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)
    node = network.nodes["bank-002"]

    async def test() -> None:
        network.start("bank-002")
        (late,) = downlinks(Ready(), "bank-002")
        await node.session.take(late.message)
        await node.session.take(late.message)

    run_virtual(test())
    came = [(entry.body["accepted"], entry.body.get("reason")) for entry in node.entries]
    assert came == [(False, "job-unknown"), (False, "duplicate")]
