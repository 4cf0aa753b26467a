"""`creditmesh-audit report`: the 22 questions of an auditor, answered from logs alone, as one HTML page.

    report LOG... [--coordinator LOG] [--members FILE] [--lang zh|en|both] --out FILE

The logs are verified first, each against the heads that the others hold of it; what fails stands in the page's banner
and in the exit code. The page is for reading: the logs are the evidence, and each row names its record.
"""

import argparse
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from audit.commands import Commands, add_command
from audit.epsilon import audit_epsilon
from audit.halves import COORDINATOR, coordinator_halves, node_half
from audit.keys import Keys, add_keys, load_keys
from audit.opened import OpenLog
from audit.reconcile import Reconciliation, compare
from audit.report_answer import Answer
from audit.report_answers import all_inquiries, answer_all
from audit.report_evidence import MOST_PROOFS, Evidence, cited_records, evidence_of
from audit.report_page import Page, write_page
from audit.report_questions import QUESTIONS
from audit.report_read import Account, Scene, read_account
from audit.report_say import LANGUAGES, Language
from audit.screen import FAILED, INCOMPLETE, LIMITS, VALID, code_of, say, say_json, worst_of
from audit.secagg import SecaggAudit, Violation
from audit.source import open_log
from privacy.errors import InputError
from privacy.log.note import VerifierKey
from privacy.log.verify import KnownHead, Step, verify_log

__all__ = ["Inspection", "add_report", "inspect"]

ROWS = 200
FEWEST_ROWS = 25


def add_report(commands: Commands) -> None:
    """Add the command to the command line."""
    report = add_command(commands, "report", "answer an auditor's 22 questions as one HTML page", _run)
    report.add_argument("logs", nargs="*", type=Path, metavar="LOG", help="banks' state directories or exports")
    report.add_argument("--coordinator", type=Path, metavar="LOG", help="the coordinator's log, to compare both sides")
    report.add_argument("--lang", choices=["zh", "en", "both"], default="both", help="language of the page")
    report.add_argument("--out", type=Path, required=True, metavar="FILE", help="page to write; must not exist yet")
    add_keys(report)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found: the scene, the 22 answers in order, the evidence of their rows, and the exit code."""

    scene: Scene
    answers: Sequence[Answer]
    evidence: Sequence[Evidence]
    exit_code: int


def inspect(logs: Sequence[OpenLog], keys: Keys, made_us: int) -> Inspection:
    """Read, verify, compare and answer; the logs must stay open until the page is written.

    Args:
        logs: the logs, in the order in which the page shows them.
        keys: the auditor's keys.
        made_us: when the report is made, UTC microseconds.
    """
    accounts = [Account(number, keys.judge(log)) for number, log in enumerate(logs)]
    for account in accounts:
        # A database's snapshot begins with its first read. Running logs hold heads of each other, and one that is read
        # much later than another would know a head that the other's snapshot has not reached.
        next(iter(account.log.bare().checkpoints), None)
    inquiries = all_inquiries(max(FEWEST_ROWS, ROWS // max(1, len(accounts))))
    heads: list[tuple[str, KnownHead]] = []
    for account in accounts:
        heads += read_account(account, inquiries)
    for account in accounts:
        account.policy = keys.policy_of(account.log.origin)
        account.heads = tuple(head for origin, head in heads if origin == account.log.origin)
        account.verification = verify_log(account.log.source(_peer_key(accounts, keys), account.heads, account.policy))
    pinned = all(not account.log.own_key for account in accounts)
    spending = {each.number: audit_epsilon(each.log.events()) for each in accounts if each.holds}
    spending = {number: found for number, found in spending.items() if found.spending or found.faults}
    scene = Scene(tuple(accounts), _comparisons(accounts, keys), spending, _masks(accounts), made_us, pinned)
    answers = answer_all(inquiries, scene)
    return Inspection(scene, answers, tuple(_evidence(scene, answers)), _exit_code(scene))


def _run(options: argparse.Namespace) -> int:
    paths = [*options.logs, *([options.coordinator] if options.coordinator else [])]
    if not paths:
        raise InputError("usage", "give at least one log: a bank's state directory or export, or --coordinator LOG")
    keys = load_keys(options)
    if keys.log and len(paths) > 1:
        raise InputError("usage", "--vkey names the key of one log; give one log with it, or --members")
    languages: Sequence[Language] = LANGUAGES if options.lang == "both" else (options.lang,)
    with ExitStack() as stack:
        logs = [stack.enter_context(open_log(path, keys.log)) for path in paths]
        found = inspect(_distinct(logs), keys, time.time_ns() // 1000)
        page = Page(found.scene, found.answers, found.evidence, languages, _commands(options), _version())
        _write(options.out, write_page(page))
    if options.json:
        say_json(_document(options.out, found))
    else:
        _print(options.out, found)
    return found.exit_code


def _distinct(logs: list[OpenLog]) -> list[OpenLog]:
    for place, log in enumerate(logs):
        if any(log.origin == other.origin for other in logs[:place]):
            raise InputError("usage", f"{log.path}: the log {log.origin} is given twice")
    return logs


def _peer_key(accounts: Sequence[Account], keys: Keys) -> VerifierKey | None:
    coordinator = next((account.log.key for account in accounts if account.is_coordinator), None)
    return keys.of_peer() or coordinator


def _comparisons(accounts: Sequence[Account], keys: Keys) -> dict[int, Reconciliation]:
    """Compare each bank's log with the coordinator's; with one that does not hold, a comparison would mean nothing."""
    coordinator = next((account for account in accounts if account.is_coordinator), None)
    if coordinator is None or not coordinator.holds:
        return {}
    identities = keys.members.identities if keys.members else {}
    banks = [account for account in accounts if account is not coordinator and account.holds]
    others = coordinator_halves(coordinator.log.events(), {each.member: identities.get(each.member) for each in banks})
    return {
        each.number: compare(node_half(each.log.events(), identities.get(COORDINATOR)), others[each.member])
        for each in banks
    }


def _masks(accounts: Sequence[Account]) -> tuple[Sequence[Step], Sequence[Violation]]:
    audit = SecaggAudit()
    banks = [account for account in accounts if account.holds and not account.is_coordinator]
    for account in banks:
        audit.add_log(account.member, account.log.events(), account.log.rounds())
    return (audit.judge(), audit.violations) if banks else ((), ())


def _evidence(scene: Scene, answers: Sequence[Answer]) -> Iterator[Evidence]:
    cited, room = cited_records(answers), MOST_PROOFS
    for account in scene.accounts:
        seqs = [seq for log, seq in cited if log == account.number]
        found = evidence_of(account, seqs, room)
        room -= sum(bool(each.proof) for each in found)
        yield from found


def _exit_code(scene: Scene) -> int:
    """Return the gravest code of verification, comparison, recomputation and broken rules about masks."""
    codes = [code_of(account.verification) for account in scene.accounts if account.verification]
    worst = {found.worst() for found in scene.comparisons.values()}
    codes.append(FAILED if "critical" in worst else INCOMPLETE if "medium" in worst else VALID)
    faults = {fault.code for audit in scene.spending.values() for fault in audit.faults}
    codes.append(FAILED if faults - {"missing"} else INCOMPLETE if faults else VALID)
    codes.append(FAILED if any(each.status == "failed" for each in scene.masks[1]) else VALID)
    return worst_of(codes)


def _write(path: Path, pieces: Iterator[str]) -> None:
    try:
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            stream.writelines(pieces)
    except OSError as error:
        raise InputError("output", f"{path}: cannot be written ({error.strerror})") from error


def _commands(options: argparse.Namespace) -> list[str]:
    """Return the commands that repeat what the page rests on."""
    logs = [shlex.quote(str(path)) for path in (*options.logs, *([options.coordinator] if options.coordinator else []))]
    members = f" --members {shlex.quote(str(options.members))}" if options.members else ""
    lines = [f"creditmesh-audit verify {' '.join(logs)}{members}"]
    if options.coordinator and options.logs:
        lines.append(f"creditmesh-audit reconcile {' '.join(logs)}{members}")
    if len(options.logs) > 1:
        lines.append(f"creditmesh-audit secagg-check {' '.join(logs[: len(options.logs)])}{members}")
    lines.append(f"creditmesh-audit prove SEQ {logs[0]} --out record.tlog-proof")
    lines.append("creditmesh-audit prove --check record.tlog-proof --vkey KEY")
    return lines


def _version() -> str:
    try:
        return metadata.version("creditmesh")
    except metadata.PackageNotFoundError:
        return "unknown"


def _document(path: Path, found: Inspection) -> dict[str, object]:
    answers = [
        {
            "number": answer.number,
            "question": asdict(QUESTIONS[answer.number][0]),
            "status": answer.status,
            "sentences": [asdict(sentence) for sentence in answer.sentences],
        }
        for answer in found.answers
    ]
    logs = [{"origin": each.log.origin, "size": each.events, "under_checkpoint": each.covered} for each in _all(found)]
    return {"path": str(path), "logs": logs, "answers": answers, "limits": LIMITS, "exit_code": found.exit_code}


def _all(found: Inspection) -> Sequence[Account]:
    return found.scene.accounts


def _print(path: Path, found: Inspection) -> None:
    logs = ", ".join(account.log.origin for account in found.scene.accounts)
    say(f"{path}: 22 answers from {logs}")
    for answer in found.answers:
        if answer.status == "attention":
            say(f"  look at question {answer.number}: {answer.sentences[0].en}")
    say(*LIMITS)
