"""Small synthetic rooms, and one run over one of them in this process."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from creditmesh_demo import room, room_banks

from tests.deploy.plain import PlainRun, run_in_one_process


@pytest.fixture(scope="session")
def make_room(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a small synthetic room: rows of each bank, seed."""

    def make(rows: int = 700, seed: int = 0) -> Path:
        folder = tmp_path_factory.mktemp("room")
        room.write_room(folder, seed, tuple(dataclasses.replace(bank, rows=rows) for bank in room_banks.INSTITUTIONS))
        return folder

    return make


@pytest.fixture(scope="session")
def plain_run(make_room: Callable[..., Path]) -> PlainRun:
    return run_in_one_process(make_room())
