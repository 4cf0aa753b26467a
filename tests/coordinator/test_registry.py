"""Model files are named by their bytes: nothing is overwritten, nothing altered is handed out."""

import hashlib
import os
from pathlib import Path

import pytest

from coordinator.registry import Registry
from privacy.errors import InputError, VerificationError


def test_what_was_put_is_got_by_its_digest(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")

    first, again, other = registry.put(b"model"), registry.put(b"model"), registry.put(b"")

    assert first == again == hashlib.sha256(b"model").hexdigest()
    assert (registry.get(first), registry.get(other)) == (b"model", b"")
    assert sorted(path.name for path in registry.folder.iterdir()) == sorted(f"{name}.json" for name in (first, other))


def test_an_altered_file_is_not_handed_out(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    digest = registry.put(b"model")
    registry.path(digest).write_bytes(b"modem")

    with pytest.raises(VerificationError, match="was altered"):
        registry.get(digest)


@pytest.mark.parametrize("name", ["", "../x", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
def test_only_a_digest_is_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="64 hex digits"):
        Registry(tmp_path).path(name)


def test_an_unknown_model_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no model"):
        Registry(tmp_path).get("ab" * 32)


def test_a_failed_write_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space"):
        Registry(tmp_path / "models").put(b"model")
    assert list((tmp_path / "models").iterdir()) == []
