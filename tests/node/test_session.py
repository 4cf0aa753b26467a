"""A node against its coordinator: it joins what its permit allows, derives for itself, and answers lies by code."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node import seat as seat_module
from node.service import _past_votes
from privacy import messages as say
from privacy.envelope import COORDINATOR, EVERYONE, Address
from privacy.errors import MisuseError
from privacy.manifest import Manifest
from privacy.wire import decode_packet, decode_payload, decode_signed, encode_packet
from tests.network import Network, Node
from tests.privacy.table import identity_of, sign_as
from tests.virtual_time import run_virtual


def address(manifest: Manifest) -> Address:
    return Address(manifest.job, manifest_sha256=manifest.sha256())


def offer(manifest: Manifest) -> bytes:
    return sign_as(COORDINATOR, EVERYONE, address(manifest), say.Offer(manifest.encode()))


def charter(manifest: Manifest, to: str = EVERYONE) -> bytes:
    return sign_as(COORDINATOR, to, address(manifest), say.Charter(manifest.encode()))


def said(node: Node) -> list[say.Message]:
    """Return what a node has sent, oldest first."""
    signed = [decode_signed(decode_packet(outgoing.message).signed) for outgoing in node.log]
    return [decode_payload(each.kind, each.payload) for each in signed]


def alone(tmp_path: Path, script: Callable[[Network, Node], Coroutine[Any, Any, None]], **permit: Any) -> Node:
    """Start one member of five, and let a test talk to it in the coordinator's name."""
    network = Network.of(tmp_path, 5, **permit)
    node = network.nodes["bank-002"]

    async def test() -> None:
        network.start("bank-002")
        await script(network, node)

    run_virtual(test())
    return node


def test_an_offer_within_the_permit_is_accepted_and_written_down(tmp_path: Path) -> None:
    async def script(network: Network, node: Node) -> None:
        await node.session.take(offer(network.manifest()))

    node = alone(tmp_path, script)

    assert said(node) == [say.Accept()]
    assert node.decisions == [("job-1", "")]
    assert (node.log[0].kind, node.log[0].protection) == ("secagg.accept", "signed")


@pytest.mark.parametrize(
    ("code", "permit", "changes"),
    [
        ("permit-purpose", {}, {"purpose": "marketing"}),
        ("permit-recipe", {"recipes": ("towers",)}, {}),
        ("permit-cohort", {"min_cohort": 5}, {}),
        ("permit-exact-jobs", {"exact_jobs": 0}, {}),
        ("permit-max-rows", {}, {"max_rows": 50}),
        ("permit-rows", {"min_rows": 1000}, {}),
        ("permit-rows", {}, {"min_rows": 1000}),
        ("permit-bads", {"min_bads": 1000}, {}),
        ("code-differs", {}, {"code_sha256": "d" * 64}),
        ("dictionary-differs", {}, {"dictionary_sha256": "d" * 64}),
        ("member-unpinned", {}, {"members": [f"bank-{place:03d}" for place in range(6)]}),
        ("seat-missing", {}, {"members": ["bank-000", "bank-001", "bank-003", "bank-004"]}),
    ],
)
@pytest.mark.parametrize("how", ["offer", "charter"])
def test_a_job_outside_the_permit_or_the_pins_is_refused(
    tmp_path: Path, how: str, code: str, permit: dict[str, Any], changes: dict[str, Any]
) -> None:
    async def script(network: Network, node: Node) -> None:
        await node.session.take({"offer": offer, "charter": charter}[how](network.manifest(**changes)))

    node = alone(tmp_path, script, **permit)

    assert said(node) == [say.Decline(code) if how == "offer" else say.Halt(code)]
    ((job, reason),) = node.decisions
    assert (job, bool(reason)) == ("job-1", True)
    assert node.usage.jobs == []


def test_a_swapped_identity_is_refused(tmp_path: Path) -> None:
    async def script(network: Network, node: Node) -> None:
        manifest = network.manifest()
        seats = [replace(seat, identity=identity_of("somebody else").public) if seat.member == "bank-004" else seat
                 for seat in manifest.seats]  # fmt: skip
        await node.session.take(offer(replace(manifest, seats=tuple(seats))))

    assert said(alone(tmp_path, script)) == [say.Decline("identity-swapped")]


@pytest.mark.parametrize("how", ["offer", "charter"])
def test_a_manifest_with_an_impossible_name_is_refused_and_the_node_lives(tmp_path: Path, how: str) -> None:
    async def script(network: Network, node: Node) -> None:
        honest = network.manifest()
        raw = honest.encode().replace(b"bank-004", b"coordinator")
        message = {"offer": say.Offer, "charter": say.Charter}[how](raw)
        await node.session.take(sign_as(COORDINATOR, EVERYONE, address(honest), message))
        await node.session.take(offer(network.manifest("job-2")))

    node = alone(tmp_path, script)

    assert node.alarms == [("job-1", "member-id")]
    assert said(node) == [say.Accept()]


def test_a_charter_may_lack_seats_of_the_offer_and_nothing_else(tmp_path: Path) -> None:
    async def script(network: Network, node: Node) -> None:
        offered = network.manifest()
        await node.session.take(offer(offered))
        await node.session.take(charter(replace(offered, seed=offered.seed + 1)))
        fewer = network.manifest("job-2")
        await node.session.take(offer(fewer))
        await node.session.take(charter(replace(fewer, seats=fewer.seats[:4])))

    node = alone(tmp_path, script)

    assert said(node) == [say.Accept(), say.Halt("manifest-changed"), say.Accept()]
    assert node.usage.jobs == ["job-2"]


def test_a_roster_that_shrinks_below_the_permit_after_the_offer_is_refused(tmp_path: Path) -> None:
    async def script(network: Network, node: Node) -> None:
        offered = network.manifest(members=[f"bank-{place:03d}" for place in range(7)])
        await node.session.take(offer(offered))
        # Seven members make sums over five or more; the four of the charter do not.
        await node.session.take(charter(replace(offered, seats=offered.seats[:4])))

    network = Network.of(tmp_path, 7, min_cohort=5)
    node = network.nodes["bank-002"]

    async def test() -> None:
        network.start("bank-002")
        await script(network, node)

    run_virtual(test())
    assert said(node) == [say.Accept(), say.Halt("permit-cohort")]


def test_a_second_charter_ends_the_job_and_one_for_another_job_does_not(tmp_path: Path) -> None:
    async def script(network: Network, node: Node) -> None:
        await node.session.take(charter(network.manifest()))
        await node.session.take(charter(network.manifest()))  # the same bytes: a resend
        assert said(node) == []
        await node.session.take(charter(network.manifest("job-2")))
        assert said(node) == [say.Halt("charter-again")]
        assert node.written == []
        await node.session.take(charter(network.manifest(), "bank-002"))
        assert node.written == [("job-1", "refused")]
        await node.session.take(charter(network.manifest("job-3")))

    node = alone(tmp_path, script)

    assert node.usage.jobs == ["job-1", "job-3"]


@pytest.mark.parametrize(
    ("code", "raw"),
    [
        ("job-unknown", sign_as(COORDINATOR, EVERYONE, Address("job-9", 1), say.Ready())),
        ("envelope-sender", sign_as("bank-000", "bank-002", Address("job-1", 1), say.Ready())),
        ("envelope-sender", sign_as("bank-002", "bank-002", Address("job-1", 1), say.Ready())),
        ("state-order", sign_as(COORDINATOR, EVERYONE, Address("job-1", 1), say.Setups())),
        ("kind-unexpected", sign_as(COORDINATOR, EVERYONE, Address("job-1", 1), say.Accept())),
        ("", b""),
        ("", b"\x00" * 100),
        ("", encode_packet(decode_packet(sign_as(COORDINATOR, EVERYONE, Address("job-1"), say.Ready())))[:-1]),
    ],
)
def test_what_does_not_belong_here(tmp_path: Path, code: str, raw: bytes) -> None:
    async def script(network: Network, node: Node) -> None:
        await node.session.take(charter(network.manifest()))
        await node.session.take(raw)

    node = alone(tmp_path, script)

    # Whoever can speak in the coordinator's name can end the job; nobody else can do anything.
    ends = code in ("state-order", "kind-unexpected")
    assert said(node) == ([say.Halt(code)] if ends else [])
    assert node.written == ([("job-1", "refused")] if ends else [])
    assert len(node.alarms) == 1
    assert node.alarms[0][1] == code or not code


def test_a_message_of_the_coordinator_s_with_a_changed_byte_is_no_message(tmp_path: Path) -> None:
    async def script(network: Network, node: Node) -> None:
        raw = offer(network.manifest())
        for place in range(0, len(raw), 97):
            await node.session.take(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])

    node = alone(tmp_path, script)
    assert said(node) == []
    assert node.usage.jobs == []


class Lying:
    """A network whose coordinator's messages pass through a test, which may put others in their place."""

    def __init__(self, tmp_path: Path, count: int = 5, **permit: Any) -> None:
        self.network = Network.of(tmp_path, count, **permit)
        self.honest, self.network.carry = self.network.carry, self.carry  # type: ignore[method-assign]
        self.change: Callable[[str, str, bytes], bytes] = lambda _name, _kind, raw: raw

    def carry(self, name: str, message: bytes) -> None:
        kind = decode_signed(decode_packet(message).signed).kind
        self.honest(name, self.change(name, kind, message))

    def play(self) -> tuple[str, str]:
        async def test() -> tuple[str, str, Any]:
            self.network.start()
            return await self.network.run()

        state, reason, _ = run_virtual(test())
        return state, reason


def resigned(raw: bytes, change: Callable[[Any], say.Message]) -> bytes:
    """Return a coordinator's packet with other content, properly signed again."""
    packet = decode_packet(raw)
    signed = decode_signed(packet.signed)
    at = Address(signed.job, signed.epoch, signed.position, signed.manifest_sha256, signed.agreement_root,
                 signed.binding)  # fmt: skip
    message = change(decode_payload(signed.kind, signed.payload))
    return sign_as(COORDINATOR, signed.recipient, at, message, packet.attachments, packet.vector)


def test_a_request_that_the_node_did_not_derive_is_refused_with_its_code(tmp_path: Path) -> None:
    lying = Lying(tmp_path)

    def forge(_name: str, kind: str, raw: bytes) -> bytes:
        return resigned(raw, lambda message: replace(message, ask_sha256=bytes(32))) if kind == "open" else raw

    lying.change = forge
    state, reason = lying.play()

    assert (state, "ask-mismatch" in reason) == ("failed", True)
    for node in lying.network.nodes.values():
        assert not [outgoing for outgoing in node.log if outgoing.kind == "secagg.upload"]
        assert said(node)[-1] == say.Halt("ask-mismatch")
        assert node.written == [("job-1", "refused")]
        assert node.alarms[-1] == ("job-1", "ask-mismatch")
        document = json.loads((node.state / "jobs" / "job-1" / "result.json").read_text("utf-8"))
        assert document == {"job": "job-1", "recipe": "scorecard", "state": "refused"}


def test_a_box_without_its_share_is_written_down_and_the_job_goes_on(tmp_path: Path) -> None:
    lying = Lying(tmp_path)

    def tamper(name: str, kind: str, raw: bytes) -> bytes:
        def spoilt(close: Any) -> say.Message:
            box = bytes([close.boxes[3][0] ^ 1]) + close.boxes[3][1:]
            return replace(close, boxes=(*close.boxes[:3], box, *close.boxes[4:]))

        return resigned(raw, spoilt) if (name, kind) == ("bank-000", "close") else raw

    lying.change = tamper

    assert lying.play() == ("done", "")
    victim, *others = lying.network.nodes.values()
    assert lying.network.heard_by is not None
    assert victim.alarms == [("job-1", "box-altered")] * len(lying.network.heard_by.aggregator.opened)
    assert not any(node.alarms for node in others)


def test_a_fault_of_our_own_stands_in_the_log_before_the_process_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network.of(tmp_path, 5)
    honest: Any = vars(seat_module)["contribute"]

    def careless(ask: Any, book: Any) -> Any:
        part = honest(ask, book)
        return part if book.table.member != "bank-002" else part + 2 * ask.bound

    monkeypatch.setattr(seat_module, "contribute", careless)

    async def test() -> None:
        network.start()
        await network.run(network.manifest(round_deadline_s=5))
        with pytest.raises(MisuseError, match="bound"):
            await network.nodes["bank-002"]._task

    run_virtual(test())
    assert network.nodes["bank-002"].alarms == [("job-1", "part-bound")]
    assert not [outgoing for outgoing in network.nodes["bank-002"].log if outgoing.kind == "secagg.upload"]


def test_a_forged_sum_is_refused(tmp_path: Path) -> None:
    lying = Lying(tmp_path)

    def forge(_name: str, kind: str, raw: bytes) -> bytes:
        packet = decode_packet(raw)
        if kind != "open" or not packet.vector:
            return raw
        return encode_packet(replace(packet, vector=bytes(len(packet.vector))))

    lying.change = forge
    assert lying.play()[0] == "failed"
    assert {node.written[-1] for node in lying.network.nodes.values()} == {("job-1", "refused")}
    assert {node.alarms[-1][1] for node in lying.network.nodes.values()} == {"opened-digest"}


def test_a_job_called_done_too_early_is_refused_and_the_node_is_free_again(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5)

    async def test() -> None:
        network.start()
        session = network.open_job(network.manifest())
        running = asyncio.create_task(session.run(_replay(network)))
        while len(session.aggregator.opened) < 3:
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        session.end("done", "")
        await asyncio.sleep(1.0)
        assert {node.written[-1] for node in network.nodes.values()} == {("job-1", "refused")}

        state, reason, _ = await network.run(network.manifest("job-2"))
        assert (state, reason) == ("done", "")

    run_virtual(test())
    assert {node.written[-1] for node in network.nodes.values()} == {("job-2", "done")}


def _replay(network: Network) -> Any:
    from privacy.secagg.replay import Replay
    from risk.charter import spec_of
    from risk.job import rounds

    manifest = network.manifest()
    return Replay(rounds(spec_of(manifest, network.rows[0])), len(manifest.seats))


def test_a_coordinator_that_is_gone_leaves_a_failed_result_and_a_free_node(tmp_path: Path) -> None:
    async def script(network: Network, node: Node) -> None:
        await node.session.take(charter(network.manifest()))
        await node.session.stand_by("the coordinator was restarted")
        await node.session.stand_by("the coordinator was restarted")
        await node.session.take(charter(network.manifest("job-2")))

    node = alone(tmp_path, script)

    assert node.written == [("job-1", "failed")]
    assert node.usage.jobs == ["job-1", "job-2"]


def test_a_restarted_node_knows_its_votes_and_takes_part_in_no_second_job(tmp_path: Path) -> None:
    network = Network.of(tmp_path, 5, exact_jobs=1)
    node = network.nodes["bank-002"]

    async def test() -> None:
        network.start()
        await network.run()
        manifest = network.manifest()
        votes = _past_votes(node, manifest)  # type: ignore[arg-type]
        assert network.heard_by is not None
        assert sorted(votes) == list(range(1, len(network.heard_by.aggregator.opened) + 1))
        assert {vote.survivors for vote in votes.values()} == {tuple(network.names)}
        assert network.nodes["bank-000"].usage.spent_before("job-1").exact_jobs == 0

        node.die()
        node.start()
        await node.session.take(charter(manifest))
        assert not isinstance(said(node)[-1], say.Halt)
        await node.session.stand_by("enough")
        await node.session.take(offer(network.manifest("job-2")))
        assert said(node)[-1] == say.Decline("permit-exact-jobs")

    run_virtual(test())
