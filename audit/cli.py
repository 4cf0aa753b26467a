"""`creditmesh-audit`: verify privacy logs with nothing but the logs and public keys.

    creditmesh-audit verify DIR|FILE...              the numbered steps over each log
    creditmesh-audit reconcile NODE COORDINATOR      what one side sent against what the other received
    creditmesh-audit export jsonl LOG [--out FILE]   every event's exact bytes

The tool reads files and prints; it needs `cryptography` alone, talks to no network and changes no log. Exit codes: 0
all that was checked holds, 1 failed or tampered, 2 usage or bad input, 3 incomplete, 4 rolled back. A step that was
not checked is printed as skipped, never as passed.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from audit.export import export_jsonl
from audit.reconcile import Reconciliation, peer_heads, reconcile
from audit.source import OpenLog, open_log
from audit.trust import TrustFile
from privacy.errors import InputError, PrivacyError, VerificationError
from privacy.log.note import VerifierKey
from privacy.log.verify import KnownHead, Report, verify_log

__all__ = ["main"]

VALID, FAILED, USAGE, INCOMPLETE, ROLLED_BACK, INTERRUPTED = 0, 1, 2, 3, 4, 130
LIMITS = (
    "What this cannot show: that something was recorded at all, and that a log's parameters are true.",
    "It shows that nothing recorded up to the last checkpoint somebody else holds was altered or removed.",
)
_PEERS_LIMIT_BYTES = 1 << 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except VerificationError as error:
        return _complain(error, ROLLED_BACK if error.code == "rolled-back" else FAILED)
    except PrivacyError as error:
        return _complain(error, USAGE)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; Python must not flush into the closed pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INCOMPLETE
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="creditmesh-audit", description="Verify creditmesh privacy logs offline.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    verify = commands.add_parser("verify", help="run the numbered steps over state directories or exports")
    verify.add_argument("logs", nargs="+", type=Path, metavar="DIR|FILE")
    verify.add_argument("--vkey", metavar="KEY", help="the log's public key, or a file that holds it")
    verify.add_argument("--peer-vkey", metavar="KEY", help="public key of the log that gave the receipts, or its file")
    verify.add_argument("--state", type=Path, metavar="FILE", help="trust kept between runs: heads seen earlier")
    verify.set_defaults(run=_verify)
    compare = commands.add_parser("reconcile", help="compare a node's log with the coordinator's")
    compare.add_argument("node", type=Path, metavar="NODE")
    compare.add_argument("coordinator", type=Path, metavar="COORDINATOR")
    compare.add_argument("--members", type=Path, metavar="FILE", help="members.json with the banks' public keys")
    compare.set_defaults(run=_reconcile)
    export = commands.add_parser("export", help="write a log's exact bytes to a file")
    export.add_argument("format", choices=["jsonl"])
    export.add_argument("log", type=Path, metavar="LOG")
    export.add_argument("--out", type=Path, metavar="FILE", help="file to write (default: standard output)")
    export.set_defaults(run=_export)
    for command in (verify, compare):
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _verify(options: argparse.Namespace) -> int:
    key, peer = _key(options.vkey), _key(options.peer_vkey)
    trust = TrustFile(options.state) if options.state else None
    if key and len(options.logs) > 1:
        raise InputError("usage", "--vkey names the key of one log; give one log with it")
    documents, codes = [], []
    for path in options.logs:
        try:
            with open_log(path, key) as log:
                report = verify_log(log.source(peer, trust.known(log.origin) if trust else ()))
            code = _code(report)
            if trust and code in (VALID, INCOMPLETE):
                trust.learn(report.origin, report.size, report.root)
            documents.append(_document(log, report, code))
        except VerificationError as error:
            code = ROLLED_BACK if error.code == "rolled-back" else FAILED
            documents.append({"path": str(path), "exit_code": code, "error": error.message, "code": error.code})
        codes.append(code)
        if not options.json:
            _print_verified(documents[-1])
    worst = next(each for each in (FAILED, ROLLED_BACK, INCOMPLETE, VALID) if each in codes)
    if trust and worst in (VALID, INCOMPLETE):
        trust.save()
    if options.json:
        print(json.dumps({"logs": documents, "exit_code": worst}, indent=2))
    else:
        _say(*LIMITS)
    return worst


def _code(report: Report) -> int:
    if report.has("failed"):
        return FAILED
    if report.has("rolled-back"):
        return ROLLED_BACK
    return INCOMPLETE if report.has("incomplete") else VALID


def _document(log: OpenLog, report: Report, code: int) -> dict[str, object]:
    return {
        "path": str(log.path),
        "origin": report.origin,
        "size": report.size,
        "root": report.root.hex(),
        "key": log.key.encode(),
        "key_from_log": log.own_key,
        "steps": [asdict(step) for step in report.steps],
        "exit_code": code,
    }


def _print_verified(document: dict[str, object]) -> None:
    _say(f"{document['path']}")
    if "error" in document:
        _say(f"  failed: {document['error']}")
        return
    _say(f"  log {document['origin']}, {document['size']} records, root {document['root']}")
    if document["key_from_log"]:
        _say("  the public key came with the log itself: compare it with one you hold, or give --vkey")
    steps = document["steps"]
    for step in steps if isinstance(steps, list) else ():
        _say(f"  ({step['number']:>2}) {step['name']:<27} {step['status']:<11} {step['detail']}")
    verdict = {VALID: "valid", FAILED: "FAILED", INCOMPLETE: "incomplete", ROLLED_BACK: "ROLLED BACK"}
    _say(f"  result: {verdict[int(str(document['exit_code']))]}")


def _reconcile(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        node = stack.enter_context(open_log(options.node, None))
        coordinator = stack.enter_context(open_log(options.coordinator, None))
        if node.origin == coordinator.origin:
            raise InputError("usage", "both paths hold the same log; give a node's and the coordinator's")
        member = node.origin.removesuffix("/privacy-log")
        identity = _identity(options.members, member) if options.members else None
        heads = peer_heads(node.source().events, coordinator.origin)
        reports = [_checked(node, coordinator.key, ()), _checked(coordinator, None, heads)]
        out = reconcile(node.source().events, coordinator.source().events, member, identity)
    code = {"critical": FAILED, "medium": INCOMPLETE, "low": VALID, None: VALID}[out.worst()]
    if any(_code(report) == INCOMPLETE for report in reports) and code == VALID:
        code = INCOMPLETE
    if options.json:
        print(json.dumps({"member": member, **asdict(out), "exit_code": code}, indent=2))
    else:
        _print_reconciled(member, len(heads), out, identity is not None)
    return code


def _checked(log: OpenLog, peer: VerifierKey | None, heads: tuple[KnownHead, ...]) -> Report:
    """Verify one side; a comparison with a log that does not hold would mean nothing."""
    report = verify_log(log.source(peer, heads))
    code = _code(report)
    if code in (FAILED, ROLLED_BACK):
        bad = next(step for step in report.steps if step.status in ("failed", "rolled-back"))
        slug = "rolled-back" if code == ROLLED_BACK else "log-invalid"
        raise VerificationError(slug, f"{log.path}: step {bad.number} ({bad.name}): {bad.detail}")
    return report


def _print_reconciled(member: str, heads: int, out: Reconciliation, identified: bool) -> None:
    _say(f"{member}: {out.matched} messages agree in both logs, {len(out.findings)} findings")
    _say(f"  bytes sent {out.sent_bytes}, received {out.received_bytes}; control frames at most {out.control_bytes}")
    _say(f"  heads of the coordinator's log that the node holds, all found in that log: {heads}")
    checked = f"{out.signatures} checked" if identified else "skipped (no --members)"
    _say(f"  signatures of the node on its arrivals: {checked}")
    for finding in out.findings:
        _say(f"  {finding.severity:<8} {finding.code:<16} {finding.msg_id}: {finding.detail}")


def _export(options: argparse.Namespace) -> int:
    with open_log(options.log, None) as log:
        if options.out is None:
            export_jsonl(log, sys.stdout.buffer)
            return VALID
        try:
            with options.out.open("xb") as stream:
                events = export_jsonl(log, stream)
        except OSError as error:
            raise InputError("output", f"{options.out}: cannot be written ({error.strerror})") from error
    _say(f"{options.out}: {events} events")
    return VALID


def _key(text: str | None) -> VerifierKey | None:
    if text is None:
        return None
    path = Path(text)
    try:
        return VerifierKey.parse(path.read_text("ascii") if path.is_file() else text)
    except (OSError, UnicodeDecodeError):
        raise InputError("vkey-malformed", f"{path}: cannot be read as a verifier key") from None


def _identity(path: Path, member: str) -> bytes:
    try:
        with path.open("rb") as stream:
            document = json.loads(stream.read(_PEERS_LIMIT_BYTES))
        identity = bytes.fromhex(document["members"][member]["identity"])
    except OSError as error:
        raise InputError("members", f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError("members", f"{path}: holds no identity of {member}") from None
    return identity


def _say(*lines: str) -> None:
    # Names in a log are its writer's; a terminal must not obey escape sequences hidden in them.
    for line in lines:
        print("".join(character if character.isprintable() else "?" for character in line))


def _complain(error: PrivacyError, code: int) -> int:
    line = "".join(character if character.isprintable() else "?" for character in error.message)
    print(f"creditmesh-audit: {line}", file=sys.stderr)
    return code
