"""The auditor's own memory of heads."""

from pathlib import Path

import pytest

from audit.trust import TrustFile
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
    with pytest.raises(InputError) as caught:
        TrustFile(tmp_path / "gone" / "trust.json").save()
    assert caught.value.code == "trust-unwritable"
