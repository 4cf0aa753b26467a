"""`creditmesh-audit prove`: one record's proof as a file of its own, and the check of such a file.

    prove SEQ LOG [--out FILE]                          write FILE (default: <origin>-<seq>.tlog-proof)
    prove --check FILE --vkey KEY | --policy P | --members M

The file (`privacy.log.proof`) holds the record, its path in the tree and the signed checkpoint, so whoever holds the
log's public key checks it without the log. Which key that is, the file cannot say.
"""

import argparse
import json
from pathlib import Path

from audit.commands import Commands, add_command
from audit.keys import Keys, add_keys, load_keys
from audit.opened import read_small
from audit.prover import prove_records, signed_head
from audit.screen import INCOMPLETE, LIMITS, VALID, say, say_json
from audit.source import open_log
from privacy.errors import InputError
from privacy.log.checkpoint import parse_checkpoint
from privacy.log.proof import PROOF_LIMIT_BYTES, parse_proof, verify_proof

__all__ = ["add_prove"]

SUFFIX = ".tlog-proof"


def add_prove(commands: Commands) -> None:
    """Add the command to the command line."""
    prove = add_command(commands, "prove", "write or check the proof that a record is in a log", _run)
    prove.add_argument("seq", type=int, nargs="?", metavar="SEQ", help="the record's number")
    prove.add_argument("log", type=Path, nargs="?", metavar="LOG", help="a state directory or an export")
    prove.add_argument("--out", type=Path, metavar="FILE", help=f"file to write (default: <log>-<seq>{SUFFIX})")
    prove.add_argument("--check", type=Path, metavar="FILE", help="check this proof instead of writing one")
    add_keys(prove)


def _run(options: argparse.Namespace) -> int:
    keys = load_keys(options)
    if options.check is not None:
        if options.seq is not None or options.out is not None:
            raise InputError("usage", "--check FILE takes no record, log or --out")
        return _check(options.check, keys, as_json=options.json)
    if options.seq is None or options.log is None or options.seq < 0:
        raise InputError("usage", "give SEQ and LOG to write a proof, or --check FILE to check one")
    return _write(options, keys)


def _write(options: argparse.Namespace, keys: Keys) -> int:
    seq: int = options.seq
    with open_log(options.log, keys.log) as opened:
        log = keys.judge(opened)
        head = signed_head(log.bare(), log.key, seq + 1)
        (proof,) = prove_records(log.events(), head, frozenset({seq}))
    verify_proof(proof, log.key)
    out: Path = options.out or Path(f"{log.origin.replace('/', '-')}-{seq}{SUFFIX}")
    try:
        with out.open("xb") as stream:
            stream.write(proof.encode())
    except OSError as error:
        raise InputError("output", f"{out}: cannot be written ({error.strerror})") from error
    if options.json:
        say_json({"path": str(out), "origin": log.origin, "seq": seq, "size": head[0].size, "key": log.key.encode()})
    else:
        say(f"{out}: record {seq} of {log.origin} under its checkpoint at {head[0].size}")
        say(f"check it with: creditmesh-audit prove --check {out} --vkey {log.key.encode()}")
    return VALID


def _check(path: Path, keys: Keys, *, as_json: bool) -> int:
    proof = parse_proof(read_small(path, PROOF_LIMIT_BYTES))
    origin = parse_checkpoint(proof.checkpoint)[0].origin
    key = keys.of_origin(origin)
    if key is None:
        raise InputError("usage", f"give the public key of {origin} with --vkey, --policy or --members")
    if not proof.record:
        raise InputError("proof-record", f"{path}: carries no record, only a path; give the proof that `prove` writes")
    event, checkpoint = verify_proof(proof, key)
    policy = keys.policy_of(origin)
    standing = policy.judge_note(proof.checkpoint) if policy else None
    code = INCOMPLETE if standing and standing.pending else VALID
    if as_json:
        quorum = {"cosigners": sorted(standing.cosigners), "threshold": standing.threshold} if standing else None
        document = {"origin": origin, "seq": event.seq, "size": checkpoint.size, "record": json.loads(proof.record)}
        say_json({**document, "quorum": quorum, "exit_code": code})
        return code
    say(f"(1) record          passed   number {event.seq} of {event.log}, {event.kind}")
    say(f"(2) checkpoint      passed   {checkpoint.size} records, signed by {key.name}")
    say(f"(3) inclusion       passed   {len(proof.path)} hashes lead to root {checkpoint.root.hex()}")
    if standing is None:
        say("(4) quorum          skipped  no policy was given that names the log's witnesses")
    else:
        status = "pending" if standing.pending else "passed"
        say(f"(4) quorum          {status:<8} {len(standing.cosigners)} cosigners of {standing.threshold} asked for")
    say(proof.record.decode("utf-8"), *LIMITS)
    return code
