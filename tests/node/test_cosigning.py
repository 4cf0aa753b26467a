"""Banks that witness each other, over a coordinator that may drop, change and forge what it relays."""

import asyncio
from pathlib import Path

from coordinator.relay import KINDS
from privacy import messages as msg
from privacy.envelope import COORDINATOR, Address, open_envelope, sign_envelope
from privacy.log.checkpoint import parse_checkpoint
from privacy.log.note import COSIGNATURE, NoteSigner
from privacy.log.policy import REGULATOR, network_policy
from privacy.wire import Packet, decode_packet, encode_packet
from tests.privacy.table import identity_of, names_of
from tests.witness_network import WitnessNetwork, job, play

A, B, C, D = names_of(4)


def statuses(network: WitnessNetwork) -> dict[str, str]:
    """Return how the quorum step ends at every log."""
    found = {name: bank.verify().step(12).status for name, bank in network.banks.items()}
    return {**found, COORDINATOR: network.verify(network.log, network.key, network.policy()).step(12).status}


def test_after_a_job_every_newest_checkpoint_has_its_quorum(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await job(network)
        assert set(statuses(network).values()) == {"passed"}
        sizes = {name: bank.size() for name, bank in network.banks.items()}
        await job(network)
        assert set(statuses(network).values()) == {"passed"}
        assert all(bank.size() > sizes[name] for name, bank in network.banks.items())
        for name, bank in network.banks.items():
            held = network.heads.held(f"{name}/privacy-log")
            assert held is not None and held.checkpoint.size == bank.size()
        assert "peer.checkpoint" in network.kinds(network.log)

    play(tmp_path, script)


def test_at_rest_nothing_is_asked_and_no_log_grows(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await job(network)
        before = ({name: bank.size() for name, bank in network.banks.items()}, len(network.carried))
        await asyncio.sleep(3600)
        assert ({name: bank.size() for name, bank in network.banks.items()}, len(network.carried)) == before

    play(tmp_path, script)


def test_once_a_day_a_log_that_stands_still_is_cosigned_again(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await job(network)
        await asyncio.sleep(10)
        before = len(network.banks[A].store._reader.execute("SELECT 1 FROM cosignature").fetchall())
        network.banks[A].cosigning._tempo.heartbeat_s = 300  # a day is long, also on virtual time
        await asyncio.sleep(310)
        after = len(network.banks[A].store._reader.execute("SELECT 1 FROM cosignature").fetchall())
        assert after == before + 3

    play(tmp_path, script)


def test_a_log_that_grew_is_cosigned_within_a_minute(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await job(network)
        network.banks[A].grow()
        assert network.banks[A].verify().step(12).status == "incomplete"
        await asyncio.sleep(61)
        assert network.banks[A].verify().step(12).status == "passed"

    play(tmp_path, script)


def test_at_most_one_head_is_under_way_to_the_coordinator(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await job(network)
        held: list[tuple[str, str, bytes]] = []

        def hold(sender: str, receiver: str, message: bytes) -> bytes | None:
            if (sender, receiver) == (COORDINATOR, A):
                held.append((sender, receiver, message))
                return None
            return message

        network.changes, shown = hold, len([1 for way in network.carried if way == (A, COORDINATOR)])
        for _ in range(10):
            network.banks[A].grow()
            network.banks[A].gate.departed.set()
            await asyncio.sleep(0.01)
        assert len([1 for way in network.carried if way == (A, COORDINATOR)]) == shown + 1
        network.changes = lambda _sender, _receiver, message: message
        network.carry(*held[0])
        await asyncio.sleep(0.1)
        kept = network.heads.held(f"{A}/privacy-log")
        assert kept is not None and kept.checkpoint.size == network.banks[A].size()

    play(tmp_path, script)


# -- a coordinator that misbehaves -----------------------------------------------------------------------------------


def test_a_coordinator_that_drops_leaves_checkpoints_pending_and_nothing_else(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        def between_banks(sender: str, receiver: str, message: bytes) -> bytes | None:
            envelope = open_envelope(decode_packet(message).signed, lambda name: identity_of(name).public)
            return message if COORDINATOR in (envelope.sender, envelope.recipient) else None

        network.changes = between_banks
        await job(network)
        found = statuses(network)
        assert found.pop(COORDINATOR) == "passed"
        assert set(found.values()) == {"incomplete"}
        network.changes = lambda _sender, _receiver, message: message
        network.banks[A].cosigning.settle()
        await asyncio.sleep(1)
        assert statuses(network)[A] == "passed"

    play(tmp_path, script)


def test_one_bank_that_is_away_does_not_stop_a_quorum_and_two_do(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        gone = {D}
        network.changes = lambda sender, receiver, message: None if {sender, receiver} & gone else message
        await job(network)
        found = statuses(network)
        assert (found[A], found[B], found[C], found[COORDINATOR]) == ("passed",) * 4
        gone.add(C)
        await job(network)
        found = statuses(network)
        assert (found[A], found[B], found[COORDINATOR]) == ("incomplete",) * 3

    play(tmp_path, script)


def test_answers_that_the_coordinator_forges_swaps_or_replays_count_for_nothing(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        liar, seen = NoteSigner(f"{B}/witness", bytes([77] * 32)), []

        def forge(_sender: str, _receiver: str, message: bytes) -> bytes | None:
            envelope = open_envelope(decode_packet(message).signed, lambda name: identity_of(name).public)
            if not isinstance(envelope.message, msg.Cosigned) or COORDINATOR in (envelope.sender, envelope.recipient):
                return message
            seen.append(message)
            asker, at = network.banks[envelope.recipient], Address("", position=envelope.address.position)
            text = parse_checkpoint(asker.store.checkpoint())[0].text()
            answer = msg.Cosigned(200, liar.cosign(text, 1).line().encode(), b"")
            for sender in (envelope.sender, COORDINATOR):
                forged = sign_envelope(identity_of(COORDINATOR), sender, asker.name, at, answer)
                assert asker.cosigning.take(encode_packet(Packet(forged.raw)))
            assert asker.cosigning.take(seen[0])
            return None

        network.changes = forge
        await job(network)
        found = statuses(network)
        assert found.pop(COORDINATOR) == "passed"
        assert set(found.values()) == {"incomplete"}
        for bank in network.banks.values():
            assert bank.verify().step(11).status in ("skipped", "passed")

    play(tmp_path, script)


def test_a_request_that_is_relayed_to_the_wrong_bank_is_not_answered(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await job(network)
        asked = sign_envelope(identity_of(A), A, B, Address("", position=99), msg.AddCheckpoint(b"old 0\n\n"))
        before = len(network.carried)
        assert network.banks[C].cosigning.take(encode_packet(Packet(asked.raw)))
        await asyncio.sleep(1)
        assert len(network.carried) == before

    play(tmp_path, script)


def test_requests_do_not_pile_up_without_end(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await asyncio.sleep(10)
        asked = sign_envelope(identity_of(A), A, B, Address("", position=1), msg.AddCheckpoint(b"old 0\n\n"))
        raw = encode_packet(Packet(asked.raw))
        before = len(network.carried)
        for _ in range(1500):
            assert network.banks[B].cosigning.take(raw)
        await asyncio.sleep(1)
        assert len([1 for way in network.carried[before:] if way == (B, COORDINATOR)]) == 1024

    play(tmp_path, script)


def test_other_messages_are_left_to_the_session(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        cosigning = network.banks[A].cosigning
        other = sign_envelope(identity_of(COORDINATOR), COORDINATOR, A, Address("job-1"), msg.Receipt(b"{}"))
        assert not cosigning.take(encode_packet(Packet(other.raw)))
        assert not cosigning.take(b"")
        assert not cosigning.take(b"\xff" * 100)
        assert not cosigning.take(bytes(300_000))
        assert KINDS == ("add-checkpoint", "cosigned")

    play(tmp_path, script)


def test_a_regulator_counts_where_it_is_pinned(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await job(network)
        bank = network.banks[A]
        regulator = NoteSigner("regulator.example/witness", bytes([8] * 32))
        keys = {**network.witness_keys(), REGULATOR: regulator.verifier(COSIGNATURE)}
        policy = network_policy(network.log_keys()[A], A, keys)
        assert policy.threshold == 3 and bank.verify(policy).step(12).status == "passed"
        network.changes = lambda sender, receiver, message: None if {sender, receiver} & {D} else message
        await job(network)
        assert bank.verify(policy).step(12).status == "incomplete"
        head = parse_checkpoint(bank.store.checkpoint())[0]
        bank.store.defer((), (), [(head.size, regulator.cosign(head.text(), 1_790_000_000).line())])
        bank.store.flush()
        assert bank.verify(policy).step(12).status == "passed"

    play(tmp_path, script)
