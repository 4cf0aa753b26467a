"""A consortium whose coordinator is killed in the middle of a job and built up elsewhere from a backup goes on."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.backup import back_up, restore
from coordinator.store import Store
from node import backup as node_backup
from tests.e2e.consortium_room import ConsortiumRoom
from tests.postgres_server import PostgresServer, Unavailable

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg", reason="the extra [postgres] is not installed")
    try:
        server = PostgresServer()
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest) -> list[tuple[str | None, str | None]]:
    """Return where database and log lie at first, and where after each of two restores; None for a file."""
    if request.param == "sqlite":
        return [(None, None)] * 3
    server: PostgresServer = request.getfixturevalue("server")
    return [(server.url(server.database()), server.url(server.database())) for _ in range(3)]


class Room(ConsortiumRoom):
    """A room whose coordinator moves from folder to folder."""

    def use(self, storage: str | None, log: str | None) -> None:
        """Move what was founded in files to a server."""
        if storage:
            back_up(self.settings, self.folder / "founded.backup")
            restore(self.folder / "founded.backup", self.folder / "first", storage, log)
            self.settings = self.folder / "first" / "coordinator.toml"

    @property
    def store_url(self) -> str:
        from coordinator.config import load

        return load(self.settings).storage.url

    def state_of(self, job: str) -> tuple[str, int]:
        """Return a job's state, and how many of its sums are kept or were opened."""
        store = Store(self.store_url)
        try:
            return store.job(job).state, len([each for each in store.rounds(job) if each.ended])
        finally:
            store.close()

    def submit_here(self) -> str:
        command = [sys.executable, "-m", "coordinator.cli"]
        code = "import sys; from coordinator.cli import main; sys.exit(main())"
        words = ["submit", str(self.folder / "job.toml"), "--config", str(self.settings)]
        done = subprocess.run([command[0], "-c", code, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def ended(self, job: str) -> Any:
        import json

        from coordinator.config import load

        path = load(self.settings).state.dir / "jobs" / job / "outcome.json"
        self.wait(lambda: self.state_of(job)[0] in ("done", "failed"), f"{job} to end", needs="coordinator")
        return json.loads(path.read_text("utf-8"))


def test_a_killed_coordinator_goes_on_from_its_backup(
    tmp_path: Path, urls: list[tuple[str | None, str | None]]
) -> None:
    with Room(tmp_path, 4, {"rejoin_s": 60}, rows=400) as room:
        room.use(*urls[0])
        room.start()
        first = room.submit_here()
        model = room.ended(first)["model_sha256"]
        room.stop(["bank-2"])
        room.start_node("bank-2", "--at", "upload:6:hold")
        room.await_line("bank-2", "connected")
        job = room.submit_here()
        room.reached("bank-2")
        assert room.state_of(job) == ("running", 5)
        check_a_copy_of_the_living(room, urls[1], first, model)

        room.send("coordinator", signal.SIGKILL)
        room.processes["coordinator"].wait()
        back_up(room.settings, tmp_path / "late.backup")
        room.stop(["bank-2"])
        room.start_node("bank-2")
        restore(tmp_path / "late.backup", tmp_path / "late", *urls[2])
        room.settings = tmp_path / "late" / "coordinator.toml"
        room.start_coordinator()

        outcome = room.ended(job)
        assert outcome["state"] == "done", outcome
        assert outcome["model_sha256"] == model
        assert outcome["members"] == room.names
        assert room.results(job, room.names) == dict.fromkeys(room.names, "done")
        room.wait(lambda: all_released(room, [first, job]), "models to be released")
        check_a_bank_that_moves(room)
        check_an_older_copy(room)


def check_a_copy_of_the_living(room: Room, urls: tuple[str | None, str | None], first: str, model: str) -> None:
    """Back the coordinator up while it runs and look at what comes of that."""
    folder = room.folder
    back_up(room.settings, folder / "early.backup")
    assert restore(folder / "early.backup", folder / "early", *urls)["outside"] == []
    assert (folder / "early.backup").stat().st_mode & 0o777 == 0o600
    store = Store(load_url(folder / "early"))
    assert [each.state for each in store.jobs()] == ["done", "running"]
    assert [each.sha256 for each in store.models(first)] == [model]
    assert len(store.members()) == 4
    store.close()


def check_a_bank_that_moves(room: Room) -> None:
    """Put a bank's newest copy on another machine, then an older one.

    The newest comes back once the others have cosigned its log; an older one is refused, since what it spent after that
    copy would be forgotten.
    """
    room.stop(["bank-1"])
    copy = room.folder / "bank.backup"
    node_backup.back_up(room.run.nodes["bank-1"] / "node.toml", copy)
    node_backup.restore(copy, room.folder / "bank")
    assert (room.folder / "bank" / "state" / "restored.json").exists()
    room._start("bank-1", room.folder / "bank" / "node.toml")
    room.await_line("bank-1", "restore_confirmed")
    assert room.ended(room.submit_here())["members"] == room.names
    room.stop(["bank-1"])
    node_backup.restore(copy, room.folder / "older")
    room._start("bank-1", room.folder / "older" / "node.toml")
    assert room.processes["bank-1"].wait(60) == 4
    assert "an older copy" in room._output("bank-1").read_text("utf-8")


def check_an_older_copy(room: Room) -> None:
    """Start the copy that the banks' heads are ahead of: it may not come back."""
    room.stop(["coordinator"])
    room.settings = room.folder / "early" / "coordinator.toml"
    room._edit(room.settings, r'grpc = ".*"', f'grpc = "{room.address}"')
    room._start("coordinator", room.settings)
    assert room.processes["coordinator"].wait(60) == 4
    assert "an older copy" in room._output("coordinator").read_text("utf-8")


def load_url(folder: Path) -> str:
    from coordinator.config import load

    return load(folder / "coordinator.toml").storage.url


def all_released(room: Room, jobs: list[str]) -> bool:
    store = Store(room.store_url)
    try:
        return all(model.released for job in jobs for model in store.models(job))
    finally:
        store.close()
