"""Jobs: the list, one job's history with causes in plain words, and the stream that keeps a watched job fresh."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from starlette.responses import Response, StreamingResponse

from coordinator.console.live_feed import Snapshot, look
from coordinator.console.story import Chapter, tell
from coordinator.console.visit import Visit, go
from coordinator.model_view import outcome_of
from coordinator.rows import Wish
from coordinator.store import FINAL_STATES, JobEvent
from privacy.errors import InputError

__all__ = ["current", "detail", "listing", "stream", "wish"]

PAGE = 40
LIST_PAGE = 30
HEARTBEAT_S = 15.0
MOST_STREAMS = 6
MOST_ROWS = 60
_WISHES: Mapping[str, Wish] = {"pause": "pause", "go": "", "cancel": "cancel"}
# What the page shows where nobody asked for every round.
_QUIET_KINDS = frozenset({"round-opened"})


def listing(visit: Visit) -> Response:
    """Draw the jobs, newest first, of all states or one."""
    wanted, page = visit.query.get("state", ""), _page(visit)
    jobs = [job for job in reversed(visit.desk.store.jobs()) if not wanted or job.state == wanted]
    shown = jobs[page * LIST_PAGE : (page + 1) * LIST_PAGE]
    return visit.page(
        "jobs.html.j2", jobs=shown, wanted=wanted, page=page, more=len(jobs) > (page + 1) * LIST_PAGE, total=len(jobs)
    )


def detail(visit: Visit) -> Response:
    """Draw one job: where it stands, its history, rounds and outcome."""
    desk, job_id = visit.desk, visit.path["job"]
    snapshot = look(desk.store, job_id)
    events = desk.store.job_events(job_id)
    which, page = visit.query.get("show", "turns"), _page(visit)
    chosen = [event for event in reversed(events) if _wanted(event, which)]
    rounds = desk.store.rounds(job_id)
    return visit.page(
        "job.html.j2",
        snapshot=snapshot,
        job=snapshot.job,
        chapters=[tell(event) for event in chosen[page * PAGE : (page + 1) * PAGE]],
        which=which,
        page=page,
        more=len(chosen) > (page + 1) * PAGE,
        count=len(chosen),
        rounds=rounds,
        outcome=outcome_of(desk.config.state.dir, job_id),
        models=desk.store.models(job_id),
        watch=visit.account.role != "auditor" and not snapshot.over,
    )


def current(visit: Visit) -> Response:
    """Draw the round that runs now, or say that none does."""
    store = visit.desk.store
    waiting = [job for job in store.jobs() if job.state not in FINAL_STATES]
    running = [job for job in waiting if job.state != "queued"]
    snapshot = look(store, running[0].id) if running else None
    return visit.page("live.html.j2", snapshot=snapshot, queued=[job for job in waiting if job.state == "queued"])


def wish(visit: Visit) -> Response:
    """Ask the coordinator to pause a job, let it go on, or cancel it; it does so at the next round."""
    job_id, asked = visit.path["job"], visit.form.get("wish", "")
    if asked not in _WISHES:
        raise InputError("wish-form", "choose to pause the job, to let it go on, or to cancel it")
    visit.desk.store.set_wish(job_id, _WISHES[asked])
    visit.note(f"{asked}-job", job_id)
    return go(f"/jobs/{job_id}")


def stream(visit: Visit) -> Response:
    """Return the job's stream of events; one that is over and wholly told answers 204, which ends it for good."""
    job_id, after = visit.path["job"], visit.query.get("after", "")
    snapshot = look(visit.desk.store, job_id)
    seen = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else snapshot.seq
    if snapshot.over and seen >= snapshot.seq:
        return Response(status_code=204)
    if visit.session.streams >= MOST_STREAMS:
        return Response("too many live views are open; close some\n", 429, media_type="text/plain")
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(_lines(visit, job_id, seen), 200, headers, "text/event-stream")


async def _lines(visit: Visit, job_id: str, seen: int) -> AsyncIterator[str]:
    desk, session = visit.desk, visit.session
    session.streams += 1
    following = desk.feed.follow(job_id).__aiter__()
    upcoming: asyncio.Task[Snapshot] | None = None
    try:
        yield "retry: 2000\n\n"
        while True:
            upcoming = upcoming or asyncio.ensure_future(anext(following))
            await asyncio.wait({upcoming}, timeout=HEARTBEAT_S)
            if not desk.sessions.holds(session):
                return
            if not upcoming.done():
                yield ": still here\n\n"
                continue
            try:
                snapshot = upcoming.result()
            except StopAsyncIteration:
                return
            upcoming = None
            fresh = await asyncio.to_thread(desk.store.job_events, job_id, seen)
            seen = max(seen, snapshot.seq)
            yield _message(visit, snapshot, [event for event in fresh if event.seq <= snapshot.seq])
    finally:
        session.streams -= 1
        if upcoming is not None:
            upcoming.cancel()


def _message(visit: Visit, snapshot: Snapshot, fresh: Sequence[JobEvent]) -> str:
    pages, language = visit.desk.pages, visit.language
    told = [tell(event) for event in reversed(fresh) if event.kind not in _QUIET_KINDS][:MOST_ROWS]
    shared = {"now_us": visit.desk.now_us(), "snapshot": snapshot}
    body: Mapping[str, Any] = {
        "panel": pages.draw("live_panel.html.j2", language, shared),
        "status": pages.draw("live_status.html.j2", language, shared).strip(),
        "rows": pages.draw("chapters.html.j2", language, {"chapters": told, "fresh": True}) if told else "",
        "over": snapshot.over,
    }
    return f"id: {snapshot.seq}\nevent: live\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


def _wanted(event: JobEvent, which: str) -> bool:
    if which == "all":
        return True
    chapter: Chapter = tell(event)
    return chapter.grave if which == "trouble" else event.kind not in _QUIET_KINDS


def _page(visit: Visit) -> int:
    text = visit.query.get("page", "0")
    return min(int(text), 10_000) if text.isascii() and text.isdigit() else 0
