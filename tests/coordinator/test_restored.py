"""A coordinator that was put back does nothing before a quorum holds no newer head; an older one spoils nothing."""

import asyncio
import contextlib
import shutil
from pathlib import Path

import pytest

from coordinator.restored import Doorstep, Restored, note_restored
from privacy.errors import InputError, VerificationError
from privacy.log.record import Entry
from tests.virtual_time import run_virtual
from tests.witness_network import WitnessNetwork, job, play

COORDINATOR = "coordinator"
ENTRY = Entry("alarm.raised", {"class": "mismatch", "severity": "high", "evidence": "made for a test"})


async def put_back(network: WitnessNetwork, copy: Path, made: str = "2026-01-02T03:04:05Z") -> None:
    """Put a copy of the coordinator's folder in its place and open it, as `restore` and `run` do."""
    with contextlib.suppress(ValueError):  # one that stopped itself has closed nothing
        await network.close_coordinator()
    folder = network.folder / COORDINATOR
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    network.open_coordinator()
    size = network.log.size - 1  # without the record that it was opened
    await network.close_coordinator()
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    note_restored(folder, made, size)
    network.open_coordinator()


async def copied(network: WitnessNetwork, name: str) -> Path:
    """Copy the coordinator's folder between two runs."""
    await network.close_coordinator()
    copy = network.folder / name
    shutil.copytree(network.folder / COORDINATOR, copy)
    network.open_coordinator()
    for bank in network.banks.values():
        bank.cosigning.begin()
    await asyncio.sleep(10)
    return copy


def test_the_newest_copy_goes_on_once_a_quorum_agrees(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await job(network)
        await network.close_coordinator()
        copy = tmp_path / "newest"
        shutil.copytree(tmp_path / COORDINATOR, copy)
        network.open_coordinator()
        silent = set(network.names[1:])
        network.changes = lambda sender, receiver, message: None if {sender, receiver} & silent else message
        await put_back(network, copy)
        await asyncio.sleep(10)
        assert not network.relay.stands.is_set()
        assert (tmp_path / COORDINATOR / "restored.json").exists()
        silent.clear()
        network.relay.settle()
        await asyncio.sleep(10)
        assert network.relay.stands.is_set()
        assert not (tmp_path / COORDINATOR / "restored.json").exists()
        assert network.relay.quorum.size == network.log.size
        for bank in network.banks.values():
            assert "alarm.raised" not in network.kinds(bank.store)

    play(tmp_path, script)


def test_an_older_copy_stops_and_spoils_nothing_for_the_newest(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        away = network.names[3]
        await job(network)
        network.changes = lambda sender, receiver, message: None if away in (sender, receiver) else message
        old = await copied(network, "old")
        await job(network)
        await network.close_coordinator()
        shutil.copytree(tmp_path / COORDINATOR, tmp_path / "newest")
        network.open_coordinator()
        # Only the bank that was away meanwhile answers at first: it knows nothing of what is missing.
        network.changes = lambda sender, receiver, message: message if away in (sender, receiver) else None
        await put_back(network, old)
        await asyncio.sleep(10)
        assert not network.relay.stands.is_set()
        network.changes = lambda _sender, _receiver, message: message
        network.relay.settle()
        with pytest.raises(
            VerificationError, match=r"the backup of 2026-01-02T03:04:05Z has .* an older copy"
        ) as caught:
            await asyncio.wait_for(asyncio.shield(network.task), 10)
        assert caught.value.code == "rolled-back"
        await put_back(network, tmp_path / "newest")
        await asyncio.sleep(10)
        assert network.relay.stands.is_set()
        assert not network.task.done()
        for bank in network.banks.values():
            assert "alarm.raised" not in network.kinds(bank.store)

    play(tmp_path, script)


def test_a_receipt_is_enough_to_know_a_copy_for_an_older_one(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await job(network)
        await network.close_coordinator()
        old = tmp_path / "old"
        shutil.copytree(tmp_path / COORDINATOR, old)
        network.open_coordinator()
        network.changes = lambda _sender, _receiver, _message: None  # nothing is cosigned any more
        network.log.append([ENTRY for _ in range(5)])
        bank = network.banks[network.names[1]]
        held = bank.witness.held("coordinator/privacy-log")
        bank.gate._proved = network.log.checkpoint()
        await put_back(network, old)
        network.changes = lambda _sender, _receiver, message: message
        network.relay.settle()
        with pytest.raises(VerificationError, match=r"bank-001 holds a head of 1[0-9] records"):
            await asyncio.wait_for(asyncio.shield(network.task), 10)
        assert bank.witness.held("coordinator/privacy-log") == held
        assert "alarm.raised" not in network.kinds(bank.store)

    play(tmp_path, script)


def test_a_receipt_that_overtakes_a_request_stops_nobody(tmp_path: Path) -> None:
    async def script(network: WitnessNetwork) -> None:
        await job(network)
        bank = network.banks[network.names[1]]
        delayed: list[bytes] = []

        def change(sender: str, receiver: str, message: bytes) -> bytes | None:
            if (sender, receiver) == (COORDINATOR, bank.name) and not delayed:
                delayed.append(message)
                return None
            return message

        network.changes = change
        network.log.append([ENTRY])
        network.relay.ask()
        await asyncio.sleep(0.1)
        assert delayed
        network.log.append([ENTRY])
        bank.gate._proved = network.log.checkpoint()
        bank.cosigning.take(delayed[0])
        await asyncio.sleep(0.1)
        network.relay.settle()
        await asyncio.sleep(10)
        assert not network.task.done()
        held = bank.witness.held("coordinator/privacy-log")
        assert held is not None and held.checkpoint.size == network.log.size

    play(tmp_path, script)


@pytest.mark.parametrize("worked", [False, True])
def test_a_copy_from_before_the_first_start_is_asked_about_too(tmp_path: Path, worked: bool) -> None:
    async def script() -> None:
        network = WitnessNetwork(tmp_path, 4)
        if worked:
            network.open()
            await job(network)
            await network.close_coordinator()
            for name in ("log.db", "log.mark"):
                (tmp_path / COORDINATOR / name).unlink()
        note_restored(tmp_path / COORDINATOR, "2026", 0)
        network.open_coordinator()
        for bank in () if worked else network.banks.values():
            bank.open()
        await asyncio.sleep(10)
        if worked:
            assert "the backup of 2026 has 0 and" in str(network.task.exception())
        else:
            assert network.relay.stands.is_set()
            assert network.relay.quorum.size == network.log.size
        await network.close()

    run_virtual(script())


def test_a_damaged_note_is_not_passed_over(tmp_path: Path) -> None:
    note_restored(tmp_path, "2026", 7)
    assert (Restored(tmp_path).made, Restored(tmp_path).size, Restored(tmp_path).waiting) == ("2026", 7, True)
    (tmp_path / "restored.json").write_text("{}")
    with pytest.raises(InputError, match="restore the backup again"):
        Restored(tmp_path)
    (tmp_path / "restored.json").unlink()
    assert not Restored(tmp_path).waiting


def test_what_comes_meanwhile_waits_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.restored._MOST_WAITING", 2)
    note_restored(tmp_path, "2026", 7)
    cut: list[str] = []
    done: list[int] = []
    doorstep = Doorstep(Restored(tmp_path), cut.append)
    for number in range(3):
        doorstep.pass_by("bank-a", lambda number=number: done.append(number))  # type: ignore[misc]
    assert (done, cut) == ([], ["bank-a"])
    assert doorstep.open()
    doorstep.pass_by("bank-a", lambda: done.append(9))
    assert done == [0, 1, 9]
    assert not doorstep.open()
