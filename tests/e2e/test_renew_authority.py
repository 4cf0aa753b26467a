"""Another authority: refused while the coordinator runs; a bank is back by a code, with its own keys and pins."""

import json
from pathlib import Path

import pytest

from node import cli
from tests.e2e.command import COORDINATOR
from tests.e2e.joining_room import JoiningRoom, fingerprint_in, here

pytestmark = pytest.mark.slow


def test_a_bank_joins_anew_under_another_authority_and_keeps_what_it_has(tmp_path: Path) -> None:
    with JoiningRoom(tmp_path) as room:
        room.found()
        room.start_coordinator()
        before = room.admit("agri")
        room.start_node("agri")
        keys = room.bank("agri") / "state" / "keys"
        identity, pins = (keys / "identity.key").read_bytes(), json.loads((keys / "members.json").read_text())
        authority = room.settings.with_name("keys") / "ca.pem"
        old = authority.read_bytes()

        room.operator("renew-authority").check_one_line(COORDINATOR, 2, "stop it first")
        assert authority.read_bytes() == old
        assert room.stop("coordinator") == 0
        ended = room.operator("renew-authority")
        assert ended.code == 0 and "agri" in ended.out, ended.err
        fingerprint_in(ended.out)
        assert authority.read_bytes() != old
        (kept,) = authority.parent.glob("ca.pem.until-*")
        assert kept.read_bytes() == old
        (secret,) = authority.parent.glob("ca.key.until-*")
        assert secret.stat().st_mode & 0o777 == 0o600 == authority.with_name("ca.key").stat().st_mode & 0o777

        edited = room.settings.read_text()
        room.settings.write_text(edited.replace('grpc = "127.0.0.1:0"', f'grpc = "{room.link}"'))
        room.start_coordinator()
        room.wait(lambda: "another authority" in room.output("agri"), "the node to say why it cannot connect")
        assert room.stop("agri") == 0
        (keys / "certificate.pem").rename(keys / "certificate.pem.old")
        code = room.invite("agri")
        again = room.join("agri", code, "--no-wait")
        assert again.code == 3, again.err
        assert fingerprint_in(again.out) == before  # the entry is the same, so its fingerprint is
        assert room.approve("agri", before).code == 0
        settings = room.bank("agri") / "state.toml"
        done = here(cli.main, "join", code, "--config", settings, "--state", keys.parent)
        assert done.code == 0, done.err
        room.start_node("agri")

        assert (keys / "identity.key").read_bytes() == identity
        assert json.loads((keys / "members.json").read_text()) == pins
        assert (keys / "ca.pem").read_bytes() == authority.read_bytes()
