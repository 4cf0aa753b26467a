"""The operator's commands about one job or one member: pause, resume, cancel, job, remove. Each returns an exit code.

They run nothing: a wish is written into the database, and the running coordinator heeds it within half a second; a job
that still waits in the queue is cancelled at once. JSON, times UTC in ISO 8601:

    job     {"id", "recipe", "state", "wish", "reason", "created", "not_before" | null, "ended" | null, "live" | null,
             "timeline": [{"at", "kind", "text", "text_zh", "cause", "cause_zh", "next", "next_zh"}]}
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from privacy.errors import InputError

__all__ = ["add_job_commands", "moment_after"]

_WISHES = {"pause": "pause", "resume": "", "cancel": "cancel"}
_LANGUAGES = ("en", "zh")


def add_job_commands(kinds: Any) -> None:
    """Add the commands to the parser's subcommands."""
    pause = kinds.add_parser("pause", help="let a job stand still after its round, or hold it back in the queue")
    resume = kinds.add_parser("resume", help="let a paused job go on")
    cancel = kinds.add_parser("cancel", help="end a job without a model")
    job = kinds.add_parser("job", help="tell what became of a job: when, why, and what to do next")
    for name, command in (("pause", pause), ("resume", resume), ("cancel", cancel)):
        command.set_defaults(run=_wish, wish=name)
    job.add_argument("--lang", choices=_LANGUAGES, default="en", help="language of the texts; default: %(default)s")
    job.add_argument("--json", action="store_true", help="print JSON, with both languages")
    job.set_defaults(run=_job)
    for command in (pause, resume, cancel, job):
        command.add_argument("job", metavar="JOB", help="its id, from `creditmesh-coordinator jobs`")
    remove = kinds.add_parser(
        "remove", help="note that a member left the consortium; its certificate never counts again"
    )
    remove.add_argument("member", metavar="BANK")
    remove.set_defaults(run=_remove)
    for command in (pause, resume, cancel, job, remove):
        command.add_argument("--config", type=Path, default=Path("coordinator.toml"), metavar="coordinator.toml")


def moment_after(text: str) -> int:
    """Return the UTC microseconds of a time such as `2026-03-01T22:00Z`; raises `InputError` unless it names a zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InputError(
            "not-before", f"--not-before: found {text!r}, expected a time with its zone: 2026-03-01T22:00Z"
        )
    return int(moment.astimezone(UTC).timestamp()) * 1_000_000


def _wish(options: argparse.Namespace) -> int:
    from coordinator.access import leave_note

    with _store(options.config) as (settings, store):
        before = store.job(options.job)
        if options.wish == "resume" and before.wish != "pause":
            raise InputError("job-not-paused", f"{options.job} is {before.state}; no pause was asked for")
        store.set_wish(options.job, _WISHES[options.wish])
        after = store.job(options.job)
    leave_note(settings.state.dir, f"{options.wish}-job", options.job)
    waits = {
        "pause": f"{options.job} pauses after the round that runs, and is held back if it has not begun",
        "resume": f"{options.job} goes on",
        "cancel": f"{options.job} is cancelled" if after.state == "cancelled" else f"{options.job} is being cancelled",
    }
    print(waits[options.wish])
    return 0


def _remove(options: argparse.Namespace) -> int:
    from coordinator.access import leave_note

    with _store(options.config) as (settings, store):
        store.set_member_status(options.member, "left")
    leave_note(settings.state.dir, "remove", options.member)
    print(
        f"{options.member} has left: its certificate never counts again, on open connections from within two seconds.\n"
        f"Models that it helped to train stay as they are. Each bank takes {options.member} out of its members.json;\n"
        "jobs without noise on the same rows now need allow_exclusion in the banks' permits (docs/jobs.md)."
    )
    return 0


def _job(options: argparse.Namespace) -> int:
    with _store(options.config) as (_settings, store):
        document = _told(store, options.job)
    if options.json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    end = "" if options.lang == "en" else "_zh"
    wish = f" ({document['wish']})" if document["wish"] else ""
    print(f"{document['id']}  {document['recipe']}  {document['state']}{wish}  {document['reason']}".rstrip())
    for line in document["timeline"]:
        print(f"{line['at']}  {line['text' + end]}")
        for kind in ("cause", "next"):
            if line[kind + end]:
                print(f"{'':20}  {'-> ' if kind == 'next' else ''}{line[kind + end]}")
    return 0


def _told(store: Any, job_id: str) -> dict[str, Any]:
    from coordinator.console.language import load_texts
    from coordinator.console.story import tell

    texts, job = load_texts(), store.job(job_id)
    timeline = []
    for chapter in map(tell, store.job_events(job_id)):
        line = {"at": _moment(chapter.t), "kind": chapter.kind}
        for name, key in (("text", f"event.{chapter.kind}"), ("cause", f"cause.{chapter.cause}"),
                          ("next", f"next.{chapter.cause}")):  # fmt: skip
            plain = chapter.kind if name == "text" else chapter.detail if name == "cause" else ""
            both = texts.get(key, (plain, plain))
            line[name], line[name + "_zh"] = (text.format_map(_Parts(chapter.parts)) for text in both)
        timeline.append(line)
    live = store.live()
    return {
        "id": job.id,
        "recipe": job.recipe,
        "state": job.state,
        "wish": job.wish,
        "reason": job.reason,
        "created": _moment(job.created),
        "not_before": None if job.not_before is None else _moment(job.not_before),
        "ended": None if job.ended is None else _moment(job.ended),
        "live": live if live and live["job"] == job.id else None,
        "timeline": timeline,
    }


class _Parts(dict[str, Any]):
    """Values of a text; one that an old event lacks is left open."""

    def __missing__(self, key: str) -> str:
        return "?"


@contextmanager
def _store(path: Path) -> Iterator[tuple[Any, Any]]:
    from coordinator import config
    from coordinator.store import Store

    settings = config.load(path)
    store = Store(settings.storage.url)
    try:
        yield settings, store
    finally:
        store.close()


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
