"""The coordinator's keys fit together or are refused in one line; secrets are written once, closed, and never print."""

import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from coordinator import authority
from coordinator.config import load
from coordinator.keys_file import CoordinatorKeys, read_keys, write_new
from privacy.errors import InputError
from tests.coordinator.operator import make_operator


def keys(folder: Path, now: datetime | None = None) -> CoordinatorKeys:
    return read_keys(load(folder / "coordinator.toml"), now or datetime.now(UTC))


def test_reads_what_founding_wrote_and_prints_no_secret(tmp_path: Path) -> None:
    make_operator(tmp_path)

    found = keys(tmp_path)

    seed = (tmp_path / "keys" / "identity.key").read_text("ascii").strip()
    assert b"PRIVATE KEY" in found.tls.key_pem
    assert "PRIVATE" not in repr(found)
    assert seed not in repr(found)


def other_certificate(folder: Path) -> None:
    other = authority.create_authority("other", datetime.now(UTC))
    server = authority.issue_server_certificate(other, ["127.0.0.1"], datetime.now(UTC))
    (folder / "server.pem").write_bytes(server.certificate_pem)
    (folder / "server.key").write_bytes(server.key_pem)


BREAKS: list[tuple[str, Callable[[Path], object], str]] = [
    ("key-of-another", lambda keys: (keys / "server.key").write_bytes(authority.generate_key()), "tls-key-mismatch"),
    ("other-authority", other_certificate, "tls-foreign-authority"),
    ("key-readable", lambda keys: (keys / "server.key").chmod(0o644), "secret-mode"),
    ("identity-readable", lambda keys: (keys / "identity.key").chmod(0o620), "secret-mode"),
    ("identity-short", lambda keys: (keys / "identity.key").write_text("ab" * 31), "identity-key-format"),
    ("certificate-text", lambda keys: (keys / "server.pem").write_text("x"), "tls-certificate-format"),
    ("key-text", lambda keys: (keys / "server.key").write_text("x"), "tls-key-format"),
    ("ca-absent", lambda keys: (keys / "ca.pem").unlink(), "file-unreadable"),
    ("ca-huge", lambda keys: (keys / "ca.pem").write_bytes(bytes(1 << 17)), "file-too-large"),
]


@pytest.mark.parametrize(("change", "code"), [case[1:] for case in BREAKS], ids=[case[0] for case in BREAKS])
def test_one_line_says_which_file_does_not_fit(tmp_path: Path, change: Callable[[Path], object], code: str) -> None:
    make_operator(tmp_path)
    change(tmp_path / "keys")

    with pytest.raises(InputError) as caught:
        keys(tmp_path)

    assert caught.value.code == code
    assert str(tmp_path) in caught.value.message
    assert "\n" not in caught.value.message


def test_the_server_certificate_holds_for_its_time_only(tmp_path: Path) -> None:
    make_operator(tmp_path)

    with pytest.raises(InputError, match=r"valid .* UTC, not now"):
        keys(tmp_path, datetime.now(UTC) + timedelta(days=31))


def test_a_secret_is_closed_from_its_first_byte_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.key"
    write_new(path, b"secret", 0o600)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InputError, match="never overwritten"):
        write_new(path, b"other", 0o600)
    assert path.read_bytes() == b"secret"
