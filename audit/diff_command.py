"""`creditmesh-audit diff OLD NEW [LOG]`: whether two checkpoints belong to one history.

Theory: two signed heads of one log either lie on one line, which the log proves, or they are a fork, and then the two
notes by themselves are evidence against the key's holder, whatever the log says now. OLD is what the auditor saw first:
a NEW that is smaller was rolled back.

Outcomes and exit codes: same or continued 0; forked, or a log that differs from the newer checkpoint 1; unproved (no
log, or one that ends before) 3; rolled back 4.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from audit.commands import Commands, add_command
from audit.keys import add_keys, load_keys
from audit.opened import OpenLog, read_small
from audit.prover import roots_at, walk
from audit.screen import FAILED, INCOMPLETE, ROLLED_BACK, VALID, say, say_json
from audit.source import open_log
from privacy.errors import InputError, VerificationError
from privacy.log.checkpoint import Checkpoint, parse_checkpoint, verify_checkpoint
from privacy.log.note import NOTE_LIMIT_BYTES, VerifierKey
from privacy.log.tree import consistency_proof, verify_consistency

__all__ = ["add_diff"]


def add_diff(commands: Commands) -> None:
    """Add the command to the command line."""
    diff = add_command(commands, "diff", "say whether two checkpoints belong to one history", _run)
    diff.add_argument("old", type=Path, metavar="OLD", help="the checkpoint that was seen first")
    diff.add_argument("new", type=Path, metavar="NEW", help="the checkpoint that was seen later")
    diff.add_argument("log", type=Path, nargs="?", metavar="LOG", help="the log that should prove both")
    add_keys(diff)


@dataclass(frozen=True, slots=True)
class _Outcome:
    relation: str
    code: int
    detail: str
    proof: tuple[bytes, ...] = ()


def _run(options: argparse.Namespace) -> int:
    keys = load_keys(options)
    notes = [read_small(path, NOTE_LIMIT_BYTES) for path in (options.old, options.new)]
    origins = [parse_checkpoint(note)[0].origin for note in notes]
    if origins[0] != origins[1]:
        raise InputError("usage", f"the checkpoints are of two logs, {origins[0]} and {origins[1]}")
    if options.log is None:
        key = keys.of_origin(origins[0])
        if key is None:
            raise InputError("usage", f"give the public key of {origins[0]} with --vkey or --members, or give LOG")
        heads = [verify_checkpoint(note, key, origins[0]) for note in notes]
        outcome = _compared(heads[0], heads[1], None)
    else:
        with open_log(options.log, keys.log) as opened:
            log = keys.judge(opened)
            if log.origin != origins[0]:
                raise InputError("usage", f"{options.log} is log {log.origin}, the checkpoints are of {origins[0]}")
            key = log.key
            heads = [verify_checkpoint(note, key, origins[0]) for note in notes]
            outcome = _compared(heads[0], heads[1], log)
    _tell(options, heads, key, outcome)
    return outcome.code


def _compared(old: Checkpoint, new: Checkpoint, log: OpenLog | None) -> _Outcome:
    if old.size == new.size:
        if old.root != new.root:
            detail = f"one key signed two roots at {old.size} records: both notes are evidence"
            return _Outcome("forked", FAILED, detail)
        return _Outcome("same", VALID, f"both show the same {old.size} records")
    low, high = sorted((old, new), key=lambda head: head.size)
    if log is None:
        return _Outcome("unproved", INCOMPLETE, "only the log can prove that one continues the other: give LOG")
    proof = _proved(low, high, log)
    if isinstance(proof, _Outcome):
        return proof
    if old.size > new.size:
        gone = old.size - new.size
        detail = f"the later one is older by {gone} records of the same history"
        return _Outcome("rolled-back", ROLLED_BACK, detail, proof)
    return _Outcome("continued", VALID, f"{new.size - old.size} records were added, none was changed", proof)


def _proved(low: Checkpoint, high: Checkpoint, log: OpenLog) -> _Outcome | tuple[bytes, ...]:
    """Return the proof that the larger head continues the smaller one, or what stands against it."""
    pairs = [(low.size, high.size)] if low.size else []
    walked = walk(log.events(), high.size, frozenset(), pairs)
    if walked.size < high.size:
        detail = f"the log shows {walked.size} records, one checkpoint says {high.size}: nothing can be proved"
        return _Outcome("unproved", INCOMPLETE, detail)
    proof = tuple(consistency_proof(low.size, high.size, walked.read)) if low.size else ()
    try:
        verify_consistency(low.size, low.root, high.size, high.root, proof)
    except VerificationError:
        return _differs(low, high, log)
    return proof


def _differs(low: Checkpoint, high: Checkpoint, log: OpenLog) -> _Outcome:
    # The larger head fixes every record below it. Only a log that makes it can convict the smaller one of a fork.
    roots = roots_at(log.events(), frozenset({low.size, high.size}))
    if roots[high.size] != high.root:
        detail = f"the log does not make the root that was signed at {high.size}: it is not the log of that checkpoint"
        return _Outcome("log-differs", FAILED, detail)
    detail = f"one key signed two histories of the first {low.size} records: both notes and the log are evidence"
    return _Outcome("forked", FAILED, detail)


def _tell(options: argparse.Namespace, heads: list[Checkpoint], key: VerifierKey, outcome: _Outcome) -> None:
    if options.json:
        shown = [{"size": head.size, "root": head.root.hex()} for head in heads]
        say_json({
            "origin": heads[0].origin, "key": key.encode(), "old": shown[0], "new": shown[1],
            "relation": outcome.relation, "detail": outcome.detail, "exit_code": outcome.code,
            "proof": [each.hex() for each in outcome.proof],
        })  # fmt: skip
        return
    say(f"log {heads[0].origin}: {outcome.relation}, {outcome.detail}")
    for name, head in zip(("old", "new"), heads, strict=True):
        say(f"  {name}: {head.size} records, root {head.root.hex()}, signed by {key.encode()}")
    if outcome.proof:
        say("  consistency proof (RFC 6962):", *(f"    {each.hex()}" for each in outcome.proof))
