"""The auditor's own memory of heads."""

from pathlib import Path

import pytest

from audit.trust import TrustFile, default_trust_path
from privacy.errors import InputError


def test_what_was_learned_is_known_again(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    first = TrustFile(path)
    assert first.known("log") == ()
    first.learn("log", 5, b"r" * 32)
    first.save()
    (head,) = TrustFile(path).known("log")
    assert (head.size, head.root) == (5, b"r" * 32)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"log":1}', b'{"log":{"root":"00","size":1}}', b'{"log":{"root":"zz","size":1}}', b"\xff"]
)
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trust.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        TrustFile(path)
    assert caught.value.code == "trust-unreadable"


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught:
        TrustFile(tmp_path / "file" / "trust.json").save()
    assert caught.value.code == "trust-unwritable"


def test_what_another_run_learned_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "trust.json"
    first, second = TrustFile(path), TrustFile(path)
    first.learn("a", 5, b"r" * 32)
    second.learn("b", 6, b"s" * 32)
    second.learn("a", 4, b"t" * 32)
    first.save()
    second.save()
    both = TrustFile(path)
    assert [(each.size, each.root) for name in "ab" for each in both.known(name)] == [(5, b"r" * 32), (6, b"s" * 32)]


def test_another_key_under_a_known_name_is_told(tmp_path: Path) -> None:
    trust = TrustFile(tmp_path / "trust.json")
    trust.learn("bank/privacy-log+11111111+AAA", 5, b"r" * 32)
    trust.learn("bank/privacy-log-2+11111111+AAA", 5, b"r" * 32)
    assert trust.other_keys("bank/privacy-log+22222222+BBB") == ["bank/privacy-log+11111111+AAA"]
    assert trust.other_keys("bank/privacy-log+11111111+AAA") == []


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, Path("/s/creditmesh-audit/heads.json")),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, Path("/h/.local/state/creditmesh-audit/heads.json")),
        ({"HOME": "/h"}, Path("/h/.local/state/creditmesh-audit/heads.json")),
        ({}, None),
    ],
)
def test_the_default_place(environment: dict[str, str], path: Path | None) -> None:
    assert default_trust_path(environment) == path
