"""Watching a job: one question for all watchers, what came after what was seen, and an end."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.console.live_feed import STEPS, LiveFeed, Snapshot, look
from coordinator.console.views import jobs
from coordinator.console.visit import Visit
from coordinator.live import PHASES_ZH
from coordinator.store import Store
from privacy.errors import InputError
from tests.coordinator.console.room import Room, open_room, run


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with open_room(tmp_path) as opened:
        yield opened


async def soon(_seconds: float) -> None:
    await asyncio.sleep(0)


def test_every_phase_but_a_pause_is_in_one_step() -> None:
    found = [phase for phases in STEPS.values() for phase in phases]
    assert sorted(found) == sorted(set(PHASES_ZH) - {"paused"})


def test_a_snapshot_goes_on_from_the_one_before(room: Room) -> None:
    first = look(room.store, room.job)
    assert (first.rounds, first.over, first.step) == (60, True, -1)
    assert first.last_round is not None and first.last_round.body["name"] == "newton-60"
    room.store.add_event(room.job, "round-opened", {"number": 61, "name": "x", "ms": 1, "survivors": 5})
    second = look(room.store, room.job, first)
    assert (second.rounds, second.seq) == (61, room.store.job_events(room.job)[-1].seq)


def test_watchers_share_one_question(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    job, read = room.queued, Store.job

    def counted(store: Store, name: str) -> Any:
        asked.append(name)
        return read(store, name)

    monkeypatch.setattr(Store, "job", counted)

    async def watched() -> list[list[Snapshot]]:
        feed = LiveFeed(room.store, soon)
        release = asyncio.Event()

        async def one() -> list[Snapshot]:
            seen = []
            async for snapshot in feed.follow(job):
                seen.append(snapshot)
                if len(seen) == 1:
                    release.set()
            return seen

        tasks = [asyncio.create_task(one()) for _ in range(20)]
        await release.wait()
        room.store.set_job_state(job, "failed", "enough")
        found = await asyncio.gather(*tasks)
        assert feed._watches == {}
        return found

    found = run(watched())
    assert len(found) == 20
    assert all(each[-1].over for each in found)
    assert len(asked) < 200  # twenty watchers that asked for themselves would need far more


def test_an_unknown_job_is_refused(room: Room) -> None:
    async def ask() -> None:
        async for _ in LiveFeed(room.store, soon).follow("job-none"):
            pass

    with pytest.raises(InputError, match="there is no job"):
        run(ask())


def messages(room: Room, job: str, after: str, many: int) -> list[dict[str, Any]]:
    """Return so many messages of a job's stream as a browser gets them."""

    async def read() -> list[dict[str, Any]]:
        session = room.desk.sessions.find(room.desk.sessions.open(room.accounts["risk"]))
        assert session is not None
        visit = Visit(room.desk, room.accounts["risk"], session, "en", "/", {"job": job}, {"after": after})
        answer = jobs.stream(visit)
        lines: AsyncIterator[Any] = answer.body_iterator  # type: ignore[attr-defined]
        found: list[dict[str, Any]] = []
        async for part in lines:
            if "data: " in part:
                fields = dict(line.split(": ", 1) for line in part.strip().splitlines())
                found.append({"id": int(fields["id"]), **json.loads(fields["data"])})
                if len(found) == many:
                    break
        await lines.aclose()  # type: ignore[attr-defined]
        assert session.streams == 0
        return found

    return run(read())


def test_a_stream_tells_what_came_after_what_was_seen(room: Room) -> None:
    room.store.set_job_state(room.queued, "joining")
    seqs = [
        room.store.add_event(room.queued, "member-left-out", {"member": f"bank-{n}", "code": "no-answer"})
        for n in (1, 2)
    ]
    (told,) = messages(room, room.queued, str(seqs[0]), 1)
    assert told["id"] == seqs[1]
    assert "bank-2" in told["rows"] and "bank-1" not in told["rows"]
    (whole,) = messages(room, room.queued, "0", 1)
    assert "bank-1" in whole["rows"]


def test_a_stream_of_a_job_that_is_over_ends_for_good(room: Room) -> None:
    newest = room.store.job_events(room.job)[-1].seq
    browser = room.browser("risk")
    assert browser.get(f"/jobs/{room.job}/stream?after={newest}").status_code == 204
    (told,) = messages(room, room.job, "0", 1)
    assert told["over"] and "job is done" in told["rows"]


def test_streams_of_one_session_are_few(room: Room) -> None:
    browser = room.browser("risk")
    name = next(iter(browser.cookies.values()))
    session = room.desk.sessions.find(name)
    assert session is not None
    session.streams = jobs.MOST_STREAMS
    assert browser.get(f"/jobs/{room.queued}/stream?after=0").status_code == 429
