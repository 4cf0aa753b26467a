"""The command `creditmesh-node record`: what people did that belongs into the privacy log.

    creditmesh-node record assessment DOC --type PIPIA|DPIA --scope JOB|PURPOSE ... --valid-to DAY --signatory NAME ...
    creditmesh-node record erasure --request REF --type CODE --received DAY --due DAY --done DAY --method CODE [--seq N]

It parses, checks days, and leaves a note that the running node records within a second, or the next one at its start.
The document itself stays where it is; the log holds its digest. People appear under pseudonyms.
"""

import argparse
import hashlib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from privacy.errors import InputError

__all__ = ["add_record"]


def add_record(commands: Any) -> None:
    """Add `record` and its two commands to a parser's commands."""
    record = commands.add_parser("record", help="write into the log what people did: an assessment, an erasure")
    kinds = record.add_subparsers(title="commands", metavar="COMMAND", required=True)
    assessment = kinds.add_parser("assessment", help="an impact assessment that covers jobs or purposes")
    assessment.add_argument("document", type=Path, metavar="DOC", help="the signed document; its digest is recorded")
    assessment.add_argument("--type", required=True, choices=["PIPIA", "DPIA"])
    assessment.add_argument("--scope", required=True, action="append", metavar="NAME", help="a job's id or a purpose")
    assessment.add_argument("--valid-to", required=True, metavar="DAY", help="YYYY-MM-DD")
    assessment.add_argument("--signatory", required=True, action="append", metavar="NAME", help="a pseudonym")
    assessment.set_defaults(run=_assessment)
    erasure = kinds.add_parser("erasure", help="a request to erase that was carried out")
    erasure.add_argument("--request", required=True, metavar="REF", help="the request's reference, no personal datum")
    erasure.add_argument("--type", required=True, metavar="CODE", help="such as gdpr-17 or pipl-47")
    for name in ("received", "due", "done"):
        erasure.add_argument(f"--{name}", required=True, metavar="DAY", help="YYYY-MM-DD")
    erasure.add_argument("--method", required=True, metavar="CODE", help="such as key-destroyed")
    erasure.add_argument(
        "--seq", type=int, action="append", default=[], metavar="N", help="a record of the log it is of"
    )
    erasure.set_defaults(run=_erasure)
    for command in (assessment, erasure):
        command.add_argument("--config", type=Path, default=Path("node.toml"), metavar="node.toml", help="the settings")


def _assessment(options: argparse.Namespace) -> int:
    with options.document.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    body = {
        "doc_sha256": digest,
        "type": options.type,
        "scope": options.scope,
        "valid_to": _day("--valid-to", options.valid_to),
        "signatories": options.signatory,
    }
    return _leave(options.config, "assessment.recorded", body)


def _erasure(options: argparse.Namespace) -> int:
    received, due, done = (_day(f"--{name}", getattr(options, name)) for name in ("received", "due", "done"))
    if done < received:
        raise InputError("usage", f"--done {done} is before --received {received}; correct one of them")
    if done > datetime.now(UTC).date().isoformat():
        raise InputError("usage", f"--done {done} lies ahead; record an erasure when it is done")
    body = {
        "request_ref": options.request,
        "type": options.type,
        "received": received,
        "due": due,
        "done": done,
        "seqs": options.seq,
        "method": options.method,
    }
    return _leave(options.config, "erasure.done", body)


def _leave(config_path: Path, kind: str, body: dict[str, Any]) -> int:
    from node import config
    from node.access import account, leave_deed
    from privacy.log.deed import Deed

    settings = config.load(config_path)
    leave_deed(settings.state.dir, Deed(kind, body, account()))
    print(f"{kind} is noted; the running node writes it into the log, or the next one at its start")
    return 0


def _day(option: str, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise InputError("usage", f"{option} {text[:32]!r}: expected a day as 2030-12-31") from None
