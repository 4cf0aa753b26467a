"""`creditmesh-audit verify`: the numbered steps over each log, its keys, and what the auditor saw of it before.

What each step checks is `privacy.log.verify`. This module chooses the public keys (given, from members.json, or at
worst from the log itself, which is said), keeps heads between runs, and prints. By default heads are kept in the
auditor's own state folder: a log that was valid yesterday and is another one today then fails without a flag.
"""

import argparse
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from audit.commands import Commands, add_command
from audit.members import Members, load_members, load_vkey
from audit.screen import FAILED, INCOMPLETE, LIMITS, ROLLED_BACK, VALID, code_of, say, say_json, worst_of
from audit.source import OpenLog, open_log
from audit.trust import TrustFile, default_trust_path
from privacy.errors import InputError, VerificationError
from privacy.log.note import VerifierKey
from privacy.log.verify import Report, verify_log

__all__ = ["add_verify"]

_VERDICTS = {VALID: "valid", FAILED: "FAILED", INCOMPLETE: "incomplete", ROLLED_BACK: "ROLLED BACK"}


def add_verify(commands: Commands) -> None:
    """Add the command to the command line."""
    verify = add_command(commands, "verify", "run the numbered steps over state directories or exports", _run)
    verify.add_argument("logs", nargs="+", type=Path, metavar="DIR|FILE")
    verify.add_argument("--vkey", metavar="KEY", help="the log's public key, or a file that holds it")
    verify.add_argument("--peer-vkey", metavar="KEY", help="public key of the log that gave the receipts, or its file")
    verify.add_argument("--members", type=Path, metavar="FILE", help="members.json with the public keys of all logs")
    state = verify.add_mutually_exclusive_group()
    state.add_argument("--state", type=Path, metavar="FILE", help="heads seen earlier, instead of the default file")
    state.add_argument("--no-state", action="store_true", help="neither compare with heads seen earlier nor keep any")


@dataclass(frozen=True, slots=True)
class _Keys:
    log: VerifierKey | None
    peer: VerifierKey | None
    members: Members | None

    def of_log(self, log: OpenLog) -> VerifierKey | None:
        return self.log or (self.members.logs.get(log.origin) if self.members else None)

    def of_peer(self) -> VerifierKey | None:
        return self.peer or (self.members.coordinator_log if self.members else None)


def _run(options: argparse.Namespace) -> int:
    members = load_members(options.members) if options.members else None
    keys = _Keys(load_vkey(options.vkey), load_vkey(options.peer_vkey), members)
    trust = _trust(options)
    if keys.log and len(options.logs) > 1:
        raise InputError("usage", "--vkey names the key of one log; give one log with it, or --members")
    documents = []
    for path in options.logs:
        documents.append(_verified(path, keys, trust))
        if not options.json:
            _print(documents[-1])
    worst = worst_of([int(str(document["exit_code"])) for document in documents])
    unsaved = _save(trust, explicit=options.state is not None) if worst in (VALID, INCOMPLETE) else None
    if options.json:
        say_json({"logs": documents, "exit_code": worst, "limits": LIMITS})
    else:
        say(*([unsaved] if unsaved else []), *LIMITS)
    return worst


def _trust(options: argparse.Namespace) -> TrustFile | None:
    path = None if options.no_state else options.state or default_trust_path(os.environ)
    return TrustFile(path) if path else None


def _save(trust: TrustFile | None, *, explicit: bool) -> str | None:
    """Keep what was learned; only a file that the auditor named must be writable."""
    try:
        if trust:
            trust.save()
    except InputError as error:
        if explicit:
            raise
        return f"heads are not kept for the next run: {error.message}"
    return None


def _verified(path: Path, keys: _Keys, trust: TrustFile | None) -> dict[str, object]:
    try:
        with open_log(path, keys.log) as opened:
            log = opened.under(keys.of_log(opened))
            vkey = log.key.encode()
            report = verify_log(log.source(keys.of_peer(), trust.known(vkey) if trust else ()))
        code = code_of(report)
        others = trust.other_keys(vkey) if trust else []
        if trust and code in (VALID, INCOMPLETE):
            trust.learn(vkey, report.size, report.root)
        return _document(log, report, code, others)
    except VerificationError as error:
        code = ROLLED_BACK if error.code == "rolled-back" else FAILED
        return {"path": str(path), "exit_code": code, "error": error.message, "code": error.code}


def _document(log: OpenLog, report: Report, code: int, others: list[str]) -> dict[str, object]:
    return {
        "path": str(log.path),
        "origin": report.origin,
        "size": report.size,
        "root": report.root.hex(),
        "key": log.key.encode(),
        "key_from_log": log.own_key,
        "other_keys_seen": others,
        "steps": [asdict(step) for step in report.steps],
        "exit_code": code,
    }


def _print(document: dict[str, object]) -> None:
    say(f"{document['path']}")
    if "error" in document:
        say(f"  failed: {document['error']}")
        return
    say(f"  log {document['origin']}, {document['size']} records, root {document['root']}")
    if document["key_from_log"]:
        say("  the public key came with the log itself: compare it with one you hold, or give --vkey or --members")
    if document["other_keys_seen"] and document["key_from_log"]:
        say("  an earlier run saw a log of this name under another key; this is another log, or its key was changed")
    steps = document["steps"]
    for step in steps if isinstance(steps, list) else ():
        say(f"  ({step['number']:>2}) {step['name']:<27} {step['status']:<11} {step['detail']}")
    if document["exit_code"] == ROLLED_BACK:
        say("  a copy that is meant to be old is verified with --no-state")
    say(f"  result: {_VERDICTS[int(str(document['exit_code']))]}")
