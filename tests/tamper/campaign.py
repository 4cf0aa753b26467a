"""Tamper with honest evidence at random, and ask the auditor's tool each time.

A case is one mutation of one party's evidence, drawn from a seed and the case's number alone, so it can be repeated by
itself. Outcomes: `noticed` (another exit code than 0, or a flagged step), `harmless` (everything that the tool reads is
as it was: the bytes lay outside content), `tail` (only records were touched that no other party holds a head of, which
nobody can notice and the tool's limits say), and `missed`, which fails the campaign.
"""

import json
import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from privacy.errors import PrivacyError
from privacy.log.mark import decode_mark
from tests.tamper.evidence import COORDINATOR, Evidence, audit
from tests.tamper.mutations import MUTATIONS

__all__ = ["Outcome", "play"]

_TABLES = ("event ORDER BY seq", "hash ORDER BY position", "checkpoint ORDER BY size", "receipt ORDER BY number")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case."""

    case: int
    verdict: str
    party: str
    mutation: str
    detail: str
    by: str


def play(evidence: Evidence, seed: int, case: int, scratch: Path) -> Outcome:
    """Play one case in an empty scratch folder, which is taken away afterwards."""
    chance = random.Random(f"{seed}/{case}")
    party = chance.choice(evidence.parties)
    form = chance.choice(("state", "state", "state", "log.jsonl", "tiles"))
    mutation = chance.choice(MUTATIONS[form])
    folder = scratch / party
    shutil.copytree(evidence.root / party, folder)
    try:
        detail = mutation(folder, chance)
        by = _noticed(evidence, party, folder / form)
        if by:
            verdict = "noticed"
        elif _content(folder / form) == _content(evidence.root / party / form):
            verdict = "harmless"
        elif form == "state" and _kept(evidence, party, folder / form):
            verdict = "tail"
        else:
            verdict = "missed"
    finally:
        shutil.rmtree(folder)
    return Outcome(case, verdict, party, mutation.__name__, detail, by)


def _noticed(evidence: Evidence, party: str, path: Path) -> str:
    """Return which command noticed, and how, or nothing."""
    keys = ("--members", str(evidence.members))
    code, said = audit("verify", str(path), *keys, "--no-state")
    if code or " flagged " in said:
        return f"verify ({code or 'flagged'})"
    if party == COORDINATOR:
        logs = [*(str(evidence.state(bank)) for bank in evidence.banks), str(path)]
    else:
        logs = [str(path), str(evidence.state(COORDINATOR))]
    code, _ = audit("reconcile", *logs, *keys)
    return f"reconcile ({code})" if code else ""


def _content(path: Path) -> object:
    """Return everything in a state directory or an export that means something."""
    if (path / "log.db").exists():
        return _stored(path)
    if path.is_file():
        return path.read_bytes()
    files = {each.relative_to(path): each.read_bytes() for each in path.rglob("*") if each.is_file()}
    return {
        name: text.strip() if name.name == "log.vkey" else text
        for name, text in files.items()
        if name.suffix != ".json"
    }


def _stored(state: Path) -> object:
    # What cannot be read is equal to nothing, not even to itself.
    try:
        with closing(sqlite3.connect(f"{(state / 'log.db').as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            rows = [database.execute(f"SELECT * FROM {table}").fetchall() for table in _TABLES]
            rows.append(database.execute("SELECT size, line FROM cosignature ORDER BY number").fetchall())
        mark = decode_mark((state / "log.mark").read_bytes())
        names = [(state / name).read_text("ascii").strip() for name in ("log.vkey", "origin")]
    except (sqlite3.Error, PrivacyError, OSError, UnicodeDecodeError):
        return object()
    rounds = [(path.name, path.read_bytes()) for path in sorted((state / "rounds").glob("*"))]
    return rows, (mark.origin, mark.size, mark.root), names, rounds


def _events(state: Path) -> list[bytes]:
    with closing(sqlite3.connect(f"{(state / 'log.db').as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        return [bytes(row[0]) for row in database.execute("SELECT event FROM event ORDER BY seq")]


def _kept(evidence: Evidence, party: str, state: Path) -> bool:
    """Say whether all records are as they were up to the largest head of this log that another party holds."""
    holders = evidence.banks if party == COORDINATOR else (COORDINATOR,)
    origin, held = f"{party}/privacy-log", 0
    for holder in holders:
        for event in _events(evidence.state(holder)):
            if b'"kind":"peer.checkpoint"' in event:
                body = json.loads(event)["body"]
                held = max(held, body["size"] if body["origin"] == origin else 0)
    return held > 0 and _events(state)[:held] == _events(evidence.state(party))[:held]
