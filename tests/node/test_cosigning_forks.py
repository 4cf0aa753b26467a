"""Forks and restored copies: whoever shows two histories is refused by the others, and whoever fell back is told."""

import asyncio
import shutil
from pathlib import Path

import pytest

from node.cosigning import refuse_behind
from node.record_store import RecordStore
from privacy import messages as msg
from privacy.envelope import COORDINATOR, Address, open_envelope, sign_envelope
from privacy.errors import VerificationError
from privacy.log.checkpoint import parse_checkpoint
from privacy.log.note import VerifierKey
from privacy.log.policy import quorum_of
from privacy.log.witness import encode_request, parse_request
from privacy.wire import Packet, decode_packet, encode_packet
from tests.privacy.logs import egress
from tests.privacy.table import identity_of, names_of
from tests.witness_network import BankSide, WitnessNetwork, job, opened_log, play

A, B, C, D = names_of(4)


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
            await asyncio.wait_for(bank.task, 60)
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
            await asyncio.wait_for(bank.task, 60)
        assert caught.value.code == "rolled-back"

    play(tmp_path, script)


class Teller:
    """Bank A as it shows heads of any history to a bank, through a coordinator that helps it."""

    def __init__(self, network: WitnessNetwork) -> None:
        self.network = network
        self.answers: dict[str, msg.Cosigned] = {}
        network.changes = self.listen

    def listen(self, _sender: str, _receiver: str, message: bytes) -> bytes | None:
        envelope = open_envelope(decode_packet(message).signed, lambda name: identity_of(name).public)
        if envelope.recipient == A and isinstance(envelope.message, msg.Cosigned):
            self.answers[envelope.sender] = envelope.message
            return None
        return message

    async def show(self, store: RecordStore, name: str) -> msg.Cosigned:
        held = self.network.banks[name].witness.held(f"{A}/privacy-log")
        old, note = held.checkpoint.size if held else 0, store.checkpoint()
        size = parse_checkpoint(note)[0].size
        request = msg.AddCheckpoint(encode_request(old, store.consistency(old, size), note))
        asked = sign_envelope(identity_of(A), A, name, Address("", position=1), request)
        self.network.carry(COORDINATOR, name, encode_packet(Packet(asked.raw)))
        await asyncio.sleep(0.1)
        answer = self.answers.pop(name)
        if answer.status == 200:
            store.defer((), (), [(size, answer.body.decode())])
            store.flush()
        return answer


def check_evidence(bank: BankSide, key: VerifierKey) -> None:
    """Fail unless the bank kept one refused request beside the head it held, both signed by that log, and an alarm."""
    (evidence,) = bank.witness.refused()
    theirs, mine = parse_request(evidence[2]), parse_checkpoint(evidence[3])
    for head, note in ((theirs.checkpoint, theirs.note), mine):
        key.verify(note)
        assert head.origin == key.name
    bank.store.flush()
    alarms = [event for event in bank.store.events(0, 1 << 30) if event.kind == "alarm.raised"]
    assert [each.body["class"] for each in alarms] == ["fork"]


def test_a_bank_and_the_coordinator_that_fork_together_are_caught_by_the_other_banks(tmp_path: Path) -> None:
    """A shows one history to B and another to C and D, and the coordinator relays it all and says nothing."""

    async def script(network: WitnessNetwork) -> None:
        await job(network)
        shutil.copytree(network.banks[A].state, tmp_path / "fork" / A)
        await network.banks[A].close()
        one, other = opened_log(network.banks[A].state, A), opened_log(tmp_path / "fork" / A, A)
        teller = Teller(network)
        one.append([egress(1001)])
        other.append([egress(1002), egress(1003)])
        assert [(await teller.show(store, name)).status for store, name in ((one, B), (other, C), (other, D))] == [
            200
        ] * 3
        policy, key = network.banks[A].policy, network.log_keys()[A]
        assert network.verify(one, key, policy).step(12).status == "incomplete"
        assert network.verify(other, key, policy).step(12).status == "passed"
        for store, name in ((other, B), (one, C), (one, D)):
            one.append([egress(network.number() + 2000)])
            other.append([egress(network.number() + 3000)])
            answer = await teller.show(store, name)
            assert answer.status in (409, 422) and answer.held
            bank = network.banks[name]
            check_evidence(bank, key)
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
            await asyncio.wait_for(network.task, 60)
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
