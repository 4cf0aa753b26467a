"""Keys that do not belong together are found at the start, in one line, and secrets never print."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coordinator import authority
from node.config import load
from node.keys_file import NodeKeys, read_keys
from privacy.errors import InputError
from privacy.log.note import COSIGNATURE, ED25519, NoteSigner, VerifierKey
from tests.node.bank import Bank, make_bank


def keys(bank: Bank, now: datetime | None = None) -> NodeKeys:
    return read_keys(load(bank.config), now or datetime.now(UTC))


def test_reads_what_belongs_together_and_prints_no_secret(tmp_path: Path) -> None:
    found = keys(make_bank(tmp_path))

    assert found.peers.members["alpha"] == found.identity.public
    assert set(found.peers.members) == {"alpha", "beta", "delta", "gamma"}
    assert b"PRIVATE KEY" in found.tls.key_pem
    assert "PRIVATE" not in repr(found)
    assert ("01" * 32) not in repr(found)


def edit_peers(bank: Bank, change: Callable[[dict[str, Any]], object]) -> None:
    path = bank.folder / "members.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def foreign_certificate(bank: Bank) -> None:
    public = authority.public_key_of((bank.folder / "node.key").read_bytes())
    certificate = authority.issue_member_certificate(bank.other, "alpha", public, datetime.now(UTC))
    (bank.folder / "node.pem").write_bytes(certificate)


def other_key(bank: Bank) -> None:
    (bank.folder / "node.key").write_bytes(authority.generate_key())


def repeated_member(bank: Bank) -> None:
    path = bank.folder / "members.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"beta"', '"delta"'), encoding="utf-8")


def vkey(name: str, kind: int, seed: bytes = bytes([9] * 32)) -> str:
    return NoteSigner(name, seed).verifier(kind).encode()


def shared(peers: dict[str, Any]) -> str:
    delta = VerifierKey.parse(peers["members"]["delta"]["witness"])
    return VerifierKey("beta/witness", COSIGNATURE, delta.public).encode()


def test_a_regulator_may_be_pinned_as_a_witness(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    assert sorted(keys(bank).peers.witnesses) == ["alpha", "beta", "delta", "gamma"]
    edit_peers(bank, lambda peers: peers.update(regulator={"witness": vkey("nfra.example/witness", COSIGNATURE)}))
    peers = keys(bank).peers
    assert sorted(peers.witnesses) == ["alpha", "beta", "delta", "gamma", "regulator"]
    assert {name: key.name for name, key in peers.logs.items()} == {
        name: f"{name}/privacy-log" for name in peers.members
    }


BREAKS: list[tuple[str, Callable[[Bank], object], str]] = [
    ("key-of-another", other_key, "tls-key-mismatch"),
    ("other-authority", foreign_certificate, "tls-foreign-authority"),
    ("key-readable", lambda bank: (bank.folder / "node.key").chmod(0o640), "secret-mode"),
    ("identity-readable", lambda bank: (bank.folder / "identity.key").chmod(0o604), "secret-mode"),
    ("identity-short", lambda bank: (bank.folder / "identity.key").write_text("ab" * 31), "identity-key-format"),
    ("identity-long", lambda bank: (bank.folder / "identity.key").write_text("ab" * 33), "identity-key-format"),
    ("identity-raw", lambda bank: (bank.folder / "identity.key").write_bytes(bytes(32)), "identity-key-format"),
    ("identity-other", lambda bank: (bank.folder / "identity.key").write_text("ab" * 32), "identity-mismatch"),
    ("certificate-text", lambda bank: (bank.folder / "node.pem").write_text("x"), "tls-certificate-format"),
    ("key-text", lambda bank: (bank.folder / "node.key").write_text("x"), "tls-key-format"),
    ("ca-absent", lambda bank: (bank.folder / "ca.pem").unlink(), "file-unreadable"),
    ("ca-huge", lambda bank: (bank.folder / "ca.pem").write_bytes(bytes(1 << 17)), "file-too-large"),
    ("peers-text", lambda bank: (bank.folder / "members.json").write_text("{"), "peers-format"),
    ("peers-latin", lambda bank: (bank.folder / "members.json").write_bytes(b"\xe9"), "peers-format"),
    ("peers-deep", lambda bank: (bank.folder / "members.json").write_text("[" * 100_000), "peers-format"),
    ("peers-list", lambda bank: (bank.folder / "members.json").write_text("[1]"), "peers-format"),
    ("peers-repeated", repeated_member, "peers-format"),
    ("peers-extra", lambda bank: edit_peers(bank, lambda peers: peers.update(x={})), "peers-format"),
    ("peers-self", lambda bank: edit_peers(bank, lambda peers: peers["members"].pop("alpha")), "peers-self"),
    (
        "peers-bad-id",
        lambda bank: edit_peers(bank, lambda peers: peers["members"].update({"Ω": {"identity": "ab" * 32}})),
        "peers-format",
    ),
    (
        "peers-bad-identity",
        lambda bank: edit_peers(bank, lambda peers: peers["members"]["beta"].update(identity="AB" * 32)),
        "peers-format",
    ),
    (
        "peers-log",
        lambda bank: edit_peers(bank, lambda peers: peers["coordinator"].update(log="demo+00000000+key")),
        "peers-format",
    ),
    (
        "peers-twins",
        lambda bank: edit_peers(
            bank, lambda peers: peers["members"]["beta"].update(identity=peers["members"]["delta"]["identity"])
        ),
        "peers-twins",
    ),
    (
        "peers-no-witness",
        lambda bank: edit_peers(bank, lambda peers: peers["members"]["beta"].pop("witness")),
        "peers-format",
    ),
    (
        "peers-log-of-another",
        lambda bank: edit_peers(
            bank, lambda peers: peers["members"]["beta"].update(log=peers["members"]["delta"]["log"])
        ),
        "peers-format",
    ),
    (
        "peers-witness-type",
        lambda bank: edit_peers(
            bank, lambda peers: peers["members"]["beta"].update(witness=vkey("beta/witness", ED25519))
        ),
        "peers-format",
    ),
    (
        "peers-shared-key",
        lambda bank: edit_peers(bank, lambda peers: peers["members"]["beta"].update(witness=shared(peers))),
        "peers-shared-key",
    ),
    (
        "peers-regulator",
        lambda bank: edit_peers(bank, lambda peers: peers.update(regulator={"log": vkey("r", ED25519)})),
        "peers-format",
    ),
]


@pytest.mark.parametrize(("change", "code"), [case[1:] for case in BREAKS], ids=[case[0] for case in BREAKS])
def test_one_line_says_which_file_does_not_fit(tmp_path: Path, change: Callable[[Bank], object], code: str) -> None:
    bank = make_bank(tmp_path)
    change(bank)

    with pytest.raises(InputError) as caught:
        keys(bank)

    assert caught.value.code == code
    assert str(tmp_path) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_certificate_holds_for_its_member_and_its_time_only(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    public = authority.public_key_of((tmp_path / "node.key").read_bytes())

    with pytest.raises(InputError, match=r"expired on .* UTC, .* new join code and run: creditmesh-node join CODE"):
        keys(bank, datetime.now(UTC) + timedelta(days=31))
    with pytest.raises(InputError, match=r"valid from .* on, but this machine's clock says .*; set the clock by NTP"):
        keys(bank, datetime.now(UTC) - timedelta(days=1))
    root = authority.create_authority("demo", datetime.now(UTC))
    (tmp_path / "ca.pem").write_bytes(root.certificate_pem)
    (tmp_path / "node.pem").write_bytes(authority.issue_member_certificate(root, "beta", public, datetime.now(UTC)))
    with pytest.raises(InputError, match=r"does not name this member \(alpha\)"):
        keys(bank)


def test_a_pipe_in_place_of_a_key_does_not_block(tmp_path: Path) -> None:
    bank = make_bank(tmp_path)
    (tmp_path / "ca.pem").unlink()
    os.mkfifo(tmp_path / "ca.pem")

    with pytest.raises(InputError, match="a special file, expected a file"):
        keys(bank)
