"""One process at a time holds a state folder, and the folder is closed to others."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator.state_folder import open_state
from privacy.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import pathlib, sys
from coordinator.state_folder import open_state
with open_state(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_makes_a_private_folder_and_lends_it_again(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "state"

    for _ in range(2):
        with open_state(folder) as state:
            assert state == folder
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_another_process_is_refused_until_the_holder_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "state")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="in use by another process"), open_state(tmp_path / "state"):
            pass
        holder.kill()

    with open_state(tmp_path / "state") as state:
        assert state.is_dir()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")

    with pytest.raises(InputError, match="cannot be used as state folder"), open_state(tmp_path / "file" / "state"):
        pass
