"""`creditmesh-audit verify`: the numbered steps over each log, its keys, and what the auditor saw of it before.

What each step checks is `privacy.log.verify`. This module chooses the public keys (given, from members.json, or at
worst from the log itself, which is said), keeps heads between runs, and prints. By default heads are kept in the
auditor's own state folder: a log that was valid yesterday and is another one today then fails without a flag.
"""

import argparse
import os
import re
from dataclasses import asdict, replace
from pathlib import Path

from audit.commands import Commands, add_command
from audit.exported import check_tiles
from audit.keys import Keys, add_keys, load_keys
from audit.lists import NAME, check_lists
from audit.manifest import MANIFEST, check_manifest, manifest_of
from audit.screen import FAILED, INCOMPLETE, LIMITS, ROLLED_BACK, VALID, code_of, say, say_json, worst_of
from audit.source import OpenLog, open_log
from audit.trust import TrustFile, default_trust_path
from privacy.errors import InputError, VerificationError
from privacy.log.verify import Report, Step, verify_log

__all__ = ["add_verify"]

_HEX_KEY = re.compile(r"[0-9a-fA-F]{64}")
_READ_ONLY = (".csv", ".html")
_VERDICTS = {VALID: "valid", FAILED: "FAILED", INCOMPLETE: "incomplete", ROLLED_BACK: "ROLLED BACK"}


def add_verify(commands: Commands) -> None:
    """Add the command to the command line."""
    verify = add_command(commands, "verify", "run the numbered steps over state directories or exports", _run)
    verify.add_argument("logs", nargs="+", type=Path, metavar="DIR|FILE")
    add_keys(verify)
    verify.add_argument("--peer-vkey", metavar="KEY", help="public key of the log that gave the receipts, or its file")
    verify.add_argument("--manifest-key", metavar="HEX", help="Ed25519 public key that signed the exports' manifests")
    state = verify.add_mutually_exclusive_group()
    state.add_argument("--state", type=Path, metavar="FILE", help="heads seen earlier, instead of the default file")
    state.add_argument("--no-state", action="store_true", help="neither compare with heads seen earlier nor keep any")


def _run(options: argparse.Namespace) -> int:
    keys = load_keys(options)
    if options.manifest_key is not None and not _HEX_KEY.fullmatch(options.manifest_key):
        raise InputError("usage", "--manifest-key: expected the 64 hex digits of an Ed25519 public key")
    trust = _trust(options)
    paths = [each for path in options.logs for each in _exports_in(path)]
    if keys.log and len(paths) > 1:
        raise InputError("usage", "--vkey names the key of one log; give one log with it, or --members")
    documents = []
    for path in paths:
        document = {**_verified(path, keys, trust), **_checked_manifest(path, options.manifest_key)}
        document["exit_code"] = worst_of([int(str(document["exit_code"])), int(str(document["manifest_code"]))])
        documents.append(document)
        if not options.json:
            _print(document)
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


def _verified(path: Path, keys: Keys, trust: TrustFile | None) -> dict[str, object]:
    if path.suffix in _READ_ONLY and manifest_of(path).is_file():
        note = f"a {path.suffix[1:]} proves nothing by itself: verify a jsonl or tiles export of the log"
        return {"path": str(path), "exit_code": INCOMPLETE, "skipped": note}
    try:
        with open_log(path, keys.log) as opened:
            log = keys.judge(opened)
            vkey = log.key.encode()
            known = trust.known(vkey) if trust else ()
            report = verify_log(log.source(keys.of_peer(), known, keys.policy_of(log.origin)))
            report = _with_lists(report, log)
            tiles = check_tiles(path) if path.is_dir() and (path / "tile").is_dir() else None
        code = code_of(report)
        others = trust.other_keys(vkey) if trust else []
        if trust and code in (VALID, INCOMPLETE):
            trust.learn(vkey, report.size, report.root)
        return _document(log, report, code, others) | ({} if tiles is None else {"tiles": tiles})
    except VerificationError as error:
        code = ROLLED_BACK if error.code == "rolled-back" else FAILED
        return {"path": str(path), "exit_code": code, "error": error.message, "code": error.code}


def _with_lists(report: Report, log: OpenLog) -> Report:
    """Add the step about what is kept beside the log; it reads records, so they must hold first."""
    number = len(report.steps) + 1
    if not log.holds_rounds:
        step = Step(number, NAME, "skipped", "the source holds no lists")
    elif report.has("failed"):
        step = Step(number, NAME, "skipped", "the log itself does not hold")
    else:
        step = check_lists(number, log.events(), log.rounds())
    return replace(report, steps=(*report.steps, step))


def _exports_in(path: Path) -> list[Path]:
    """Return the exports that a folder holds by its manifests, and anything else as it is."""
    if not path.is_dir() or (path / "log.db").exists() or (path / "checkpoint").exists():
        return [path]
    found = [each.with_name(each.name.removesuffix(f".{MANIFEST}")) for each in sorted(path.glob(f"*.{MANIFEST}"))]
    found += [each.parent for each in sorted(path.glob(f"*/{MANIFEST}"))]
    return found or [path]


def _checked_manifest(path: Path, signer: str | None) -> dict[str, object]:
    """Check the manifest of an export, if there is one, and say what it showed.

    Args:
        path: the export.
        signer: 64 hex digits of the Ed25519 key that must have signed it; None takes what the manifest names.
    """
    target = manifest_of(path)
    if not target.is_file():
        code = FAILED if signer and not (path / "log.db").exists() else VALID
        return {"manifest": "missing" if code else "none", "manifest_code": code}
    try:
        check = check_manifest(target)
        found = check.signer.hex() if check.signer else None
        if path.name not in check.files and not path.is_dir():
            raise VerificationError("manifest-mismatch", f"{target}: does not name {path.name}")
        if signer and found != signer.lower():
            raise VerificationError("manifest-signer", f"{target}: is signed by {found or 'nobody'}, not by {signer}")
    except VerificationError as error:
        return {"manifest": error.message, "manifest_code": FAILED}
    by = f"signed by {found}" if found else "not signed"
    return {"manifest": f"{len(check.files)} files are as they were written, {by}", "manifest_code": VALID}


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
    if document["manifest"] != "none":
        say(f"  manifest: {document['manifest']}")
    if "error" in document or "skipped" in document:
        say(f"  failed: {document['error']}" if "error" in document else f"  records: skipped, {document['skipped']}")
        return
    say(f"  log {document['origin']}, {document['size']} records, root {document['root']}")
    if document["key_from_log"]:
        say("  the public key came with the log itself: compare it with one you hold, or give --vkey or --members")
    if document["other_keys_seen"] and document["key_from_log"]:
        say("  an earlier run saw a log of this name under another key; this is another log, or its key was changed")
    steps = document["steps"]
    for step in steps if isinstance(steps, list) else ():
        say(f"  ({step['number']:>2}) {step['name']:<27} {step['status']:<11} {step['detail']}")
    if "tiles" in document:
        say(f"  tiles: {document['tiles']} files are what the records make")
    if document["exit_code"] == ROLLED_BACK:
        say("  a copy that is meant to be old is verified with --no-state")
    say(f"  result: {_VERDICTS[int(str(document['exit_code']))]}")
