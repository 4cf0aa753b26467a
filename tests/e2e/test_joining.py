"""From nothing to a trained model by commands alone; and every way in that must stay shut, with what is said then."""

import json
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.enrolment_store import EnrolmentStore
from coordinator.store import Store
from node import cli
from tests.e2e.command import COORDINATOR, NODE, command, run
from tests.e2e.joining_room import JoiningRoom, fingerprint_in, here
from tests.privacy.test_member_entry import entry_for

pytestmark = pytest.mark.slow
BANKS = ("agri", "city", "rural", "trade")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JoiningRoom]:
    with JoiningRoom(tmp_path_factory.mktemp("joining")) as room:
        room.found()
        room.start_coordinator()
        yield room


def test_four_banks_join_by_commands_and_train_a_scorecard(tmp_path: Path) -> None:
    with JoiningRoom(tmp_path) as room:
        room.found()
        room.start_coordinator()
        shown = {bank: room.begin_join(bank, room.invite(bank)) for bank in BANKS}
        for bank in BANKS:
            # As it is heard on the telephone: other case, other gaps.
            assert room.approve(bank, shown[bank].lower().replace(" ", "-")).code == 0
            room.end_join(bank)
            room.start_node(bank)

        doctor = room.node("agri", "doctor")
        assert doctor.code == 3, doctor.out  # it works, but nobody has compared a fingerprint
        assert "compare: creditmesh-node peers verify" in doctor.out
        refused = room.operator("submit", tmp_path / "job.toml").out.strip()
        outcome = room.settings.with_name("jobs") / refused / "outcome.json"
        room.wait(outcome.exists, "the job among strangers to end", "coordinator")
        assert json.loads(outcome.read_text())["state"] == "failed"
        assert "member-un" in json.loads(outcome.read_text())["reason"]

        for bank in BANKS:
            for other in BANKS:
                if other != bank:
                    assert room.node(bank, "peers", "verify", other, shown[other]).code == 0
        for bank in BANKS:
            room.wait(lambda bank=bank: _knows_all(room, bank), f"{bank} to know the others")  # type: ignore[misc]
        job = room.operator("submit", tmp_path / "job.toml").out.strip()
        outcome = room.settings.with_name("jobs") / job / "outcome.json"
        room.wait(outcome.exists, "the job to end", "coordinator")
        ended = json.loads(outcome.read_text())
        assert (ended["state"], ended["members"], ended["left_out"]) == ("done", list(BANKS), {}), ended
        for bank in BANKS:
            result = tmp_path / bank / "state" / "jobs" / job / "result.json"
            room.wait(result.exists, f"{bank}'s result")
        assert room.node("agri", "doctor").code == 0

        _a_swapped_identity_is_refused(room)
        _rotates_and_an_old_copy_is_refused(room)
        _is_revoked_at_once(room)


def _knows_all(room: JoiningRoom, bank: str) -> bool:
    lines = room.lines(bank, "peers_changed")
    return bool(lines) and lines[-1]["members"] == list(BANKS)


def _a_swapped_identity_is_refused(room: JoiningRoom) -> None:
    """The operator puts an identity of its own under a bank's name: into the database, and so into the list."""
    store = Store(f"sqlite:///{room.settings.with_name('coordinator.db')}")
    entries = EnrolmentStore(store.engine)
    true = next(each for each in entries.entries(room.name) if each.entry.member == "rural")
    entries.put_entry(entry_for("rural", room.name, b"the operator's own"))
    room.wait(lambda: room.count("agri", "membership_alarm"), "agri to see the swap", "agri")
    assert room.lines("agri", "membership_alarm")[0]["code"] == "entry-changed"
    assert "CHANGED" in room.node("agri", "peers").out
    entries.put_entry(true)
    room.wait(lambda: "CHANGED" not in room.node("agri", "peers").out, "agri to see that all is well again", "agri")
    store.close()


def _rotates_and_an_old_copy_is_refused(room: JoiningRoom) -> None:
    stolen = room.folder / "stolen"
    shutil.copytree(room.bank("city") / "state" / "keys", stolen)
    before = room.count("city", "connected")

    assert room.node("city", "rotate").code == 0

    room.wait(lambda: room.count("city", "connected") > before, "city to be back with its new certificate", "city")
    settings = room.bank("city") / "state.toml"
    thief = room.folder / "thief.toml"
    text = settings.read_text()
    for name in ("ca.pem", "certificate.pem", "tls.key"):
        text = text.replace(f'"state/keys/{name}"', f'"{stolen / name}"')
    thief.write_text(text.replace('dir = "state"', f'dir = "{room.bank("city") / "state"}"').replace(
        '"state/keys/', f'"{room.bank("city")}/state/keys/'
    ))  # fmt: skip
    ended = run(command(NODE, "doctor", "--config", thief))
    assert ended.code == 1
    assert "replaced by a newer one" in ended.out


def _is_revoked_at_once(room: JoiningRoom) -> None:
    assert room.operator("revoke", "trade").code == 0
    room.wait(lambda: room.count("trade", "disconnected"), "trade to be cut off", "trade")
    assert "revoked this bank's membership" in room.lines("trade", "disconnected")[-1]["reason"]
    assert "revoked this bank's membership" in room.node("trade", "doctor").out
    room.operator("readmit", "trade").check_one_line(COORDINATOR, 2, "invite it anew")


def test_a_mistyped_code_is_named_as_such(shared: JoiningRoom) -> None:
    code = shared.invite("typo")
    wrong = code[:60] + ("A" if code[60] != "A" else "B") + code[61:]

    shared.join("typo", wrong).check_one_line(NODE, 2, "mistyped")
    shared.join("typo", code[:-1]).check_one_line(NODE, 2, "mistyped")
    shared.join("typo", "hello").check_one_line(NODE, 2, "no join code")
    assert not (shared.bank("typo") / "state" / "keys").exists()


def test_a_code_that_expired_was_cancelled_or_replaced_is_refused(shared: JoiningRoom) -> None:
    old = shared.invite("late")
    new = shared.invite("late")
    shared.join("late", old).check_one_line(NODE, 2, "cancelled or replaced")

    assert shared.operator("invite", "late", "--cancel").code == 0
    shared.join("late", new).check_one_line(NODE, 2, "cancelled or replaced")
    shared.operator("invite", "late", "--cancel").check_one_line(COORDINATOR, 2, "no open invitation")
    shared.operator("invite", "late", "--ttl", "0h").check_one_line(COORDINATOR, 2, "30m, 72h or 7d")
    shared.operator("invite", "late", "--ttl", "31d").check_one_line(COORDINATOR, 2, "30 days")


def test_a_copied_code_is_refused_and_the_bank_that_was_first_goes_on(shared: JoiningRoom) -> None:
    code = shared.invite("first")
    assert shared.join("first", code, "--no-wait").code == 3

    copied = shared.join("copier", code, state="state")
    copied.check_one_line(NODE, 2, "somebody copied the code")

    (row,) = [row for row in json.loads(shared.operator("enrolments", "--json").out) if row["member"] == "first"]
    assert (row["state"], row["copies"]) == ("applied", 1)
    again = shared.join("first", code, "--no-wait")
    assert again.code == 3
    approved = shared.approve("first", fingerprint_in(again.out))
    assert approved.code == 0 and "1 times somebody else showed this bank's code" in approved.out
    assert shared.join("first", code).code == 0
    shared.join("first", code).check_one_line(NODE, 2, "has joined")


def test_a_bank_whose_certificate_ran_out_joins_anew_and_keeps_its_settings(shared: JoiningRoom) -> None:
    shared.admit("away")
    folder = shared.bank("away")
    settings, certificate = folder / "state.toml", folder / "state" / "keys" / "certificate.pem"
    settings.write_text(settings.read_text().replace("[permit]", '[permit]\napproval = "person"'))
    kept, old = settings.read_text(), certificate.read_bytes()
    certificate.unlink()  # counts as one that has run out
    code = shared.invite("away")

    other = ["join", code, "--config", str(settings), "--state", str(folder / "elsewhere")]
    here(cli.main, *other).check_one_line(NODE, 2, "name that state folder: --state DIR")
    again = shared.join("away", code, "--no-wait")
    assert again.code == 3 and shared.approve("away", fingerprint_in(again.out)).code == 0
    assert here(cli.main, "join", code, "--config", settings, "--state", folder / "state").code == 0

    assert settings.read_text() == kept
    assert certificate.read_bytes() != old
    shared.join("away", code).check_one_line(NODE, 2, "away has joined")


def test_a_state_folder_of_another_bank_is_not_taken(shared: JoiningRoom) -> None:
    shared.admit("owner")
    code = shared.invite("other-bank")
    folder = shared.bank("owner")

    places = ["--data", str(folder / "table.csv"), "--schema", str(shared.folder / "schema.toml")]
    second = ["join", code, *places, "--state", str(folder / "state"), "--config", str(folder / "second.toml")]
    ended = here(cli.main, *second)
    ended.check_one_line(NODE, 2, "the state folder of 'owner', and the code is for other-bank")
    here(cli.main, "join", code, "--config", str(folder / "third.toml")).check_one_line(NODE, 2, "needs --data TABLE")


def test_three_wrong_fingerprints_void_the_invitation(shared: JoiningRoom) -> None:
    code = shared.invite("misheard")
    shown = fingerprint_in(shared.join("misheard", code, "--no-wait").out)
    wrong = shown.replace(shown[0], "Z" if shown[0] != "Z" else "Y")

    shared.approve("misheard", wrong).check_one_line(COORDINATOR, 1, "2 more")
    for slip in (shown[:-6], shown + " AAAAA", "yes", ""):
        shared.approve("misheard", slip).check_one_line(COORDINATOR, 2, "did not count as a try")
    shared.approve("misheard", wrong).check_one_line(COORDINATOR, 1, "1 more")
    shared.approve("misheard", wrong).check_one_line(COORDINATOR, 1, "is void; invite it again")
    shared.approve("misheard", shown).check_one_line(COORDINATOR, 2, "invitation is void")
    shared.join("misheard", code).check_one_line(NODE, 2, "wrong fingerprint was typed three times")


def test_somebody_in_the_middle_with_another_authority_gets_nothing(shared: JoiningRoom, tmp_path: Path) -> None:
    code = shared.invite("victim")
    with JoiningRoom(tmp_path, name=shared.name) as other:
        other.found()
        other.start_coordinator()
        theirs = _readdressed(code, other.desk)

        shared.join("victim", theirs).check_one_line(NODE, 1, "somebody is in the middle; nothing was sent")
        assert json.loads(other.operator("enrolments", "--json").out) == []
    assert not (shared.bank("victim") / "state" / "keys").exists()


def test_ports_and_names_that_lead_nowhere_are_told_apart(shared: JoiningRoom) -> None:
    code = shared.invite("lost")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{nobody.getsockname()[1]}"
        shared.join("lost", _readdressed(code, closed)).check_one_line(NODE, 2, f"nothing listens at {closed}")
    shared.join("lost", _readdressed(code, "no-such-host.invalid:8444")).check_one_line(NODE, 2, "cannot be resolved")
    shared.join("lost", _readdressed(code, shared.link)).check_one_line(NODE, 2, "not the desk's port")


def test_a_bank_whose_wait_is_interrupted_goes_on_with_the_same_command(shared: JoiningRoom) -> None:
    code = shared.invite("patient")
    shown = shared.begin_join("patient", code)
    process = shared.processes.pop("patient-join")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130

    assert shared.begin_join("patient", code) == shown
    assert shared.approve("patient", shown).code == 0
    shared.end_join("patient")
    keys = shared.bank("patient") / "state" / "keys"
    assert {path.name for path in keys.iterdir() if path.stat().st_mode & 0o077 == 0} == {"identity.key", "tls.key"}
    assert re.search(r'endpoint = "127\.0\.0\.1:\d+"', (shared.bank("patient") / "state.toml").read_text())


def test_approving_nobody_says_what_is_missing(shared: JoiningRoom) -> None:
    shared.approve("stranger", "x").check_one_line(COORDINATOR, 2, "was never invited")
    shared.invite("slow")
    shared.approve("slow", "x").check_one_line(COORDINATOR, 2, "has not shown its code yet")
    shared.operator("revoke", "stranger").check_one_line(COORDINATOR, 2, "is not enrolled")
    shared.operator("invite", "Bad Name").check_one_line(COORDINATOR, 2, "does not match")


def _readdressed(code: str, endpoint: str) -> str:
    """Return a code with its secret and pin that leads to another address, as somebody in the middle would."""
    from dataclasses import replace

    from privacy.join_code import decode_join_code

    return replace(decode_join_code(code), endpoint=endpoint).encode()
