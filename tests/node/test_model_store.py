"""The bank's model files by digest: what was put comes back, and nothing else ever does."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from node.model_store import get, names, path_of, put
from privacy.errors import InputError, VerificationError
from tests.privacy.table import refused


@given(content=some.binary(max_size=200))
def test_what_was_put_comes_back_under_its_digest(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    state = tmp_path_factory.mktemp("state")
    sha256 = put(state, content)

    assert sha256 == hashlib.sha256(content).hexdigest() == put(state, content)
    assert get(state, sha256) == content
    assert [path.name for path in (state / "models").iterdir()] == [f"{sha256}.json"]


def test_an_altered_file_is_refused_and_put_right_by_putting_it_again(tmp_path: Path) -> None:
    sha256 = put(tmp_path, b"the model")
    path_of(tmp_path, sha256).write_bytes(b"another one")

    with refused("model-altered", VerificationError):
        get(tmp_path, sha256)

    put(tmp_path, b"the model")
    assert get(tmp_path, sha256) == b"the model"


@pytest.mark.parametrize("name", ["", "0" * 63, "A" * 64, "../" + "0" * 61, "0" * 64 + "\n"])
def test_a_name_that_is_no_digest_reaches_no_file(tmp_path: Path, name: str) -> None:
    with refused("model-digest", InputError):
        get(tmp_path, name)


def test_a_digest_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with refused("model-unknown", InputError):
        get(tmp_path, "0" * 64)


def test_only_digests_are_listed(tmp_path: Path) -> None:
    sha256 = put(tmp_path, b"the model")
    (tmp_path / "models" / "scorecard-own.json").write_bytes(b"{}")

    assert names(tmp_path) == [sha256]


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        put(tmp_path, b"the model")

    assert list((tmp_path / "models").iterdir()) == []
