"""What the coordinator passes on, keeps and gathers; who may show what."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from coordinator.relay import Relay
from privacy import messages as msg
from privacy.envelope import COORDINATOR, Address, open_envelope, sign_envelope
from privacy.log.witness import Answer, encode_request
from privacy.wire import Packet, decode_packet, encode_packet
from tests.privacy.table import identity_of, names_of
from tests.virtual_time import run_virtual
from tests.witness_network import WitnessNetwork

A, B, C, D = names_of(4)


def play(folder: Path, script: Callable[[WitnessNetwork], Awaitable[None]]) -> None:
    async def test() -> None:
        network = WitnessNetwork(folder, 4)
        network.open()
        await asyncio.sleep(10)
        await script(network)
        await network.close()

    run_virtual(test())


def signed(sender: str, recipient: str, message: msg.Message, signer: str = "") -> bytes:
    at = Address("", position=7)
    return encode_packet(Packet(sign_envelope(identity_of(signer or sender), sender, recipient, at, message).raw))


def answers_to(network: WitnessNetwork, member: str, request: bytes) -> list[Answer]:
    """Let a member show a head and return what the coordinator answers."""
    found: list[Answer] = []

    def listen(sender: str, receiver: str, message: bytes) -> bytes | None:
        envelope = open_envelope(decode_packet(message).signed, lambda name: identity_of(name).public)
        if (sender, receiver) == (COORDINATOR, member) and isinstance(envelope.message, msg.Cosigned):
            found.append(Answer(envelope.message.status, envelope.message.body, envelope.message.held))
            return None
        return message

    before, network.changes = network.changes, listen
    assert network.relay.take(member, signed(member, COORDINATOR, msg.AddCheckpoint(request)))
    network.changes = before
    return found


def test_a_message_is_passed_on_as_it_is_to_whom_it_names(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        passed: list[tuple[str, str, bytes]] = []
        network.changes = lambda *message: passed.append(message)
        raw = signed(A, B, msg.AddCheckpoint(b"old 0\n\n"))
        assert network.relay.take(A, raw)
        assert passed == [(COORDINATOR, B, raw)]

    play(tmp_path, script)


def test_nothing_is_piled_up_for_a_bank_that_does_not_read(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        passed: list[tuple[str, str, bytes]] = []
        network.changes = lambda *message: passed.append(message)
        network.backlog = 1 << 30
        assert network.relay.take(A, signed(A, B, msg.AddCheckpoint(b"old 0\n\n")))
        assert passed == []

    play(tmp_path, script)


def test_nobody_speaks_for_another_or_to_a_stranger(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        passed: list[tuple[str, str, bytes]] = []
        network.changes = lambda *message: passed.append(message)
        for member, raw in (
            (A, signed(B, C, msg.AddCheckpoint(b"old 0\n\n"))),
            (A, signed(A, "nobody", msg.AddCheckpoint(b"old 0\n\n"))),
            (A, signed(A, COORDINATOR, msg.AddCheckpoint(b"old 0\n\n"), signer=B)),
            ("nobody", signed("nobody", COORDINATOR, msg.AddCheckpoint(b"old 0\n\n"))),
        ):
            assert network.relay.take(member, raw)
        assert passed == []

    play(tmp_path, script)


def test_other_messages_are_left_to_the_counter(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        for raw in (signed(A, COORDINATOR, msg.Accept()), b"", b"\xff" * 50, bytes(300_000)):
            assert not network.relay.take(A, raw)

    play(tmp_path, script)


def test_a_bank_shows_its_own_log_only(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        theirs = encode_request(0, (), network.banks[B].store.checkpoint())
        assert [answer.status for answer in answers_to(network, A, theirs)] == [404]
        assert [answer.status for answer in answers_to(network, A, b"nonsense")] == [400]

    play(tmp_path, script)


def test_every_new_head_is_written_into_the_coordinators_log_once(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        bank, origin = network.banks[A], f"{A}/privacy-log"

        def heads() -> list[int]:
            network.log.flush()
            events = [event for event in network.log.events(0, 1 << 30) if event.kind == "peer.checkpoint"]
            return [int(str(event.body["size"])) for event in events if event.body["origin"] == origin]

        assert heads() == [1, 2]  # the record that the log was opened, then the block for checkpoints
        bank.gate.departed.set()
        await asyncio.sleep(1)
        assert heads() == [1, 2]
        bank.grow()
        bank.gate.departed.set()
        await asyncio.sleep(1)
        assert heads() == [1, 2, 3] and bank.size() == 3

    play(tmp_path, script)


def test_gathering_returns_when_the_quorum_is_there_and_gives_up_when_it_is_not(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        size = await network.relay.gather(1.0)
        assert loop.time() - started < 0.5
        assert network.relay.quorum.size == size and len(network.relay.quorum.cosigners) >= 3
        network.changes = lambda sender, receiver, message: None if {sender, receiver} & {C, D} else message
        network.banks[A].grow()
        network.banks[A].gate.departed.set()
        await asyncio.sleep(0.1)
        started = loop.time()
        later = await network.relay.gather(1.0)
        assert later > size and network.relay.quorum.size == size
        assert loop.time() - started == 1.0
        waiting = asyncio.create_task(network.relay.next_quorum())
        network.changes = lambda _sender, _receiver, message: message
        network.relay.settle()
        network.relay.ask()
        await waiting
        assert network.relay.quorum.size >= later

    play(tmp_path, script)


def test_while_a_job_runs_the_log_is_left_alone(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        network.busy = True
        size = len(network.kinds(network.log))
        asked = len([1 for way in network.carried if way[0] == COORDINATOR])
        for _ in range(5):
            network.banks[A].grow()
            network.banks[A].gate.departed.set()
            await asyncio.sleep(1)
        assert len(network.kinds(network.log)) == size
        assert len([1 for way in network.carried if way[0] == COORDINATOR]) == asked + 5  # the answers to A alone

    play(tmp_path, script)


def test_a_restarted_coordinator_goes_on_from_what_it_kept(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await network.close_coordinator()
        network.open_coordinator()
        assert isinstance(network.relay, Relay)
        for bank in network.banks.values():
            bank.cosigning.begin()
        size = await network.relay.gather(1.0)
        assert network.relay.quorum.size == size
        held = network.heads.held(f"{A}/privacy-log")
        assert held is not None and held.checkpoint.size == network.banks[A].size()

    play(tmp_path, script)
