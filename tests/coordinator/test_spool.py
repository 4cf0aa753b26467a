"""The spool gives back what it was given, holds little in memory, leaves no file, and says when a disk is full."""

import errno
import os
import resource
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.spool import DiskSpool
from privacy.errors import InputError


def open_files(folder: Path) -> list[int]:
    """Return the descriptors of this process that lie in a folder, nameless ones too."""
    links = ((int(name), f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))
    return [number for number, link in links if os.path.lexists(link) and os.readlink(link).startswith(f"{folder}/")]


@given(parts=st.lists(st.binary(max_size=40), max_size=12), room=st.integers(0, 100))
def test_parts_come_back_from_memory_and_from_disk(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], room: int
) -> None:
    spool = DiskSpool(tmp_path_factory.getbasetemp(), room)
    for number, part in enumerate(parts):
        spool.put(f"bank-{number}", part)
    for number in reversed(range(len(parts))):
        assert spool.get(f"bank-{number}") == parts[number]
    assert sum(map(len, spool._kept.values())) <= room
    spool.close()


def test_the_file_has_no_name_and_is_gone_after_the_close(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, 10)
    spool.put("bank-a", b"small")
    assert open_files(tmp_path) == []
    spool.put("bank-b", b"x" * 11)
    (number,) = open_files(tmp_path)
    assert list(tmp_path.iterdir()) == [] and os.fstat(number).st_nlink == 0
    assert stat.S_IMODE(os.fstat(number).st_mode) == 0o600
    spool.close()
    assert open_files(tmp_path) == []
    with pytest.raises(KeyError):
        spool.get("bank-a")


def test_a_disk_that_is_full_is_one_clear_line_and_the_parts_before_it_stay(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, 0)
    spool.put("bank-a", b"a" * 1000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, limits[1]))
    try:
        with pytest.raises(InputError) as caught:
            spool.put("bank-b", b"b" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.code == "disk-full"
    assert "the disk is full" in caught.value.message and "\n" not in caught.value.message
    assert spool.get("bank-a") == b"a" * 1000
    spool.put("bank-b", b"b" * 1000)
    assert spool.get("bank-b") == b"b" * 1000


def test_a_folder_that_is_gone_and_a_disk_that_fails_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError) as caught:
        DiskSpool(tmp_path / "absent", 0).put("bank-a", b"a")
    assert caught.value.code == "spool-unusable"

    spool = DiskSpool(tmp_path, 0)
    spool.put("bank-a", b"a")

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(InputError) as caught:
        spool.get("bank-a")
    assert caught.value.code == "spool-unusable" and "input/output error" in caught.value.message
