"""Banks that witness each other, over a coordinator that may drop, change and forge what it relays."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from coordinator.relay import KINDS
from node.cosigning import refuse_behind
from node.record_store import RecordStore
from privacy import messages as msg
from privacy.envelope import COORDINATOR, Address, open_envelope, sign_envelope
from privacy.errors import VerificationError
from privacy.log.checkpoint import parse_checkpoint
from privacy.log.note import COSIGNATURE, NoteSigner
from privacy.log.policy import REGULATOR, network_policy, quorum_of
from privacy.log.witness import encode_request, parse_request
from privacy.wire import Packet, decode_packet, encode_packet
from tests.privacy.logs import egress
from tests.privacy.table import identity_of, names_of
from tests.virtual_time import run_virtual
from tests.witness_network import WitnessNetwork, opened_log

Script = Callable[[WitnessNetwork], Awaitable[None]]
A, B, C, D = names_of(4)


def play(folder: Path, script: Script, count: int = 4) -> None:
    async def test() -> None:
        network = WitnessNetwork(folder, count)
        network.open()
        await script(network)
        await network.close()

    run_virtual(test())


def statuses(network: WitnessNetwork) -> dict[str, str]:
    """Return how the quorum step ends at every log."""
    found = {name: bank.verify().step(12).status for name, bank in network.banks.items()}
    return {**found, COORDINATOR: network.verify(network.log, network.key, network.policy()).step(12).status}


async def job(network: WitnessNetwork) -> None:
    """Let everybody's log grow, as a job does, and come to rest."""
    for bank in network.banks.values():
        bank.grow(5)
        bank.gate.departed.set()
    await asyncio.sleep(0.1)
    for bank in network.banks.values():
        bank.cosigning.settle()
    network.relay.settle()
    await asyncio.sleep(5)


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


# -- forks and restored copies ---------------------------------------------------------------------------------------


def test_a_bank_whose_log_was_put_back_is_told_by_the_coordinator_before_it_takes_a_message(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        bank = network.banks[A]
        await job(network)
        await bank.close()
        shutil.copytree(bank.state, tmp_path / "backup")
        bank.open()
        await job(network)
        size = bank.size()
        await bank.close()
        shutil.rmtree(bank.state)
        shutil.copytree(tmp_path / "backup", bank.state)  # with its mark and its witness: a whole state folder
        bank.open()
        with pytest.raises(VerificationError) as caught:
            await bank.task
        assert caught.value.code == "rolled-back"
        assert not bank.cosigning.confirmed.is_set()
        proof = parse_checkpoint((bank.state / "known-head.note").read_bytes())[0]
        assert proof.origin == f"{A}/privacy-log" and proof.size == size
        with pytest.raises(VerificationError):
            refuse_behind(bank.state)
        (bank.state / "known-head.note").unlink()
        refuse_behind(bank.state)

    play(tmp_path, script)


def test_without_the_coordinators_help_another_bank_tells_it(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        bank = network.banks[A]
        await bank.close()
        shutil.copytree(bank.state, tmp_path / "backup")
        bank.open()
        await job(network)
        await bank.close()
        shutil.rmtree(bank.state)
        shutil.copytree(tmp_path / "backup", bank.state)
        network.heads._held.clear()
        network.heads._database.execute("DROP TRIGGER head_delete")
        network.heads._database.execute("DELETE FROM head")
        bank.open()
        await asyncio.sleep(1)
        bank.cosigning.settle()
        with pytest.raises(VerificationError) as caught:
            await bank.task
        assert caught.value.code == "rolled-back"

    play(tmp_path, script)


def test_a_bank_and_the_coordinator_that_fork_together_are_caught_by_the_other_banks(tmp_path: Path) -> None:
    """A shows one history to B and another to C and D, and the coordinator relays it all and says nothing."""

    async def script(network: WitnessNetwork) -> None:
        await job(network)
        shutil.copytree(network.banks[A].state, tmp_path / "fork" / A)
        await network.banks[A].close()
        one, other = opened_log(network.banks[A].state, A), opened_log(tmp_path / "fork" / A, A)
        answers: dict[str, msg.Cosigned] = {}

        def listen(_sender: str, _receiver: str, message: bytes) -> bytes | None:
            envelope = open_envelope(decode_packet(message).signed, lambda name: identity_of(name).public)
            if envelope.recipient == A and isinstance(envelope.message, msg.Cosigned):
                answers[envelope.sender] = envelope.message
                return None
            return message

        async def show(store: RecordStore, name: str) -> msg.Cosigned:
            held = network.banks[name].witness.held(f"{A}/privacy-log")
            size, note = held.checkpoint.size if held else 0, store.checkpoint()
            proof = store.consistency(size, parse_checkpoint(note)[0].size)
            request = msg.AddCheckpoint(encode_request(size, proof, note))
            asked = sign_envelope(identity_of(A), A, name, Address("", position=1), request)
            network.carry(COORDINATOR, name, encode_packet(Packet(asked.raw)))
            await asyncio.sleep(0.1)
            answer = answers.pop(name)
            if answer.status == 200:
                store.defer((), (), [(parse_checkpoint(note)[0].size, answer.body.decode())])
                store.flush()
            return answer

        network.changes = listen
        one.append([egress(1001)])
        other.append([egress(1002), egress(1003)])
        assert [(await show(store, name)).status for store, name in ((one, B), (other, C), (other, D))] == [200] * 3
        policy, key = network.banks[A].policy, network.log_keys()[A]
        assert network.verify(one, key, policy).step(12).status == "incomplete"
        assert network.verify(other, key, policy).step(12).status == "passed"
        for store, name in ((other, B), (one, C), (one, D)):
            one.append([egress(network.number() + 2000)])
            other.append([egress(network.number() + 3000)])
            answer = await show(store, name)
            assert answer.status in (409, 422) and answer.held
            bank = network.banks[name]
            (evidence,) = bank.witness.refused()
            theirs, mine = parse_request(evidence[2]), parse_checkpoint(evidence[3])
            for head, note in ((theirs.checkpoint, theirs.note), mine):  # A's log signed both, and no log holds both
                key.verify(note)
                assert head.origin == key.name
            bank.store.flush()
            alarms = [event for event in bank.store.events(0, 1 << 30) if event.kind == "alarm.raised"]
            assert [each.body["class"] for each in alarms] == ["fork"]
        assert network.verify(one, key, policy).step(12).status == "incomplete"
        one.close()
        other.close()
        network.banks[A].open()

    play(tmp_path, script)


@pytest.mark.parametrize(("witnesses", "liars"), [(3, 0), (4, 1), (6, 1), (7, 2)])
def test_two_histories_never_both_get_a_quorum(witnesses: int, liars: int) -> None:
    """However a log shares out two histories among honest witnesses, with as many liars as the rule allows for."""
    threshold, faulty = quorum_of(witnesses)
    assert faulty == liars
    for first in range(witnesses - liars + 1):
        assert not (first + liars >= threshold and witnesses - first >= threshold)


def test_a_coordinators_log_that_was_put_back_stops_it(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await job(network)
        state = tmp_path / COORDINATOR
        await network.close_coordinator()
        shutil.copytree(state, tmp_path / "backup")
        network.open_coordinator()
        for bank in network.banks.values():
            bank.cosigning.begin()
        await job(network)
        await network.close_coordinator()
        shutil.rmtree(state)
        shutil.copytree(tmp_path / "backup", state)
        network.open_coordinator()
        network.relay.ask()
        with pytest.raises(VerificationError) as caught:
            await network.task
        assert caught.value.code == "rolled-back"

    play(tmp_path, script)


def test_a_witness_key_that_was_stolen_does_not_make_a_quorum(tmp_path: Path) -> None:
    """With one of three witness keys, a thief of the log's key still lacks one cosignature for its fork."""

    async def script(network: WitnessNetwork) -> None:
        await job(network)
        store = opened_log_of_thief(tmp_path, network)
        store.append([])
        head = parse_checkpoint(store.checkpoint())[0]
        line = network.keys[B][1].cosign(head.text(), 1_790_000_000).line()
        store.defer((), (), [(head.size, line)])
        store.flush()
        report = network.verify(store, network.log_keys()[A], network.banks[A].policy)
        assert (report.step(11).status, report.step(12).status) == ("passed", "incomplete")
        store.close()

    play(tmp_path, script)


def opened_log_of_thief(folder: Path, network: WitnessNetwork) -> RecordStore:
    state = folder / "thief"
    state.mkdir()
    shutil.copy(network.banks[A].state / "log.key", state / "log.key")
    return opened_log(state, A)


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
