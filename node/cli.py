"""The command `creditmesh-node`: parse the command line, run, and turn every error into one line and an exit code.

    creditmesh-node join CODE --data TABLE --schema FILE [--state DIR] [--config node.toml] [--no-wait]
    creditmesh-node run   [--config node.toml]
    creditmesh-node doctor | peers [--config node.toml] [--json]
    creditmesh-node peers verify BANK "FINGERPRINT" | peers drop BANK | rotate   [--config node.toml]
    creditmesh-node check --config node.toml | --table FILE --schema FILE   [--json]
    creditmesh-node keys  --member ID --state DIR
    creditmesh-node replay JOB ROUND --config node.toml   [--json]
    creditmesh-node budget --config node.toml   [--json]
    creditmesh-node models|sign|card|evidence ...   see node.cli_models
    creditmesh-node export --config node.toml --out FILE --who NAME
    creditmesh-node index build|check|show ... (`node.index_commands`)
    creditmesh-node outcomes|monitor ... (`node.wheel_commands`)
    creditmesh-node record assessment|erasure ... (`node.record_commands`)
    creditmesh-node use MODEL|--chosen RECIPE|--promoted [--challenger MODEL] --config node.toml
    creditmesh-node serve --config node.toml
    creditmesh-node token add NAME --role ROLE | list | revoke NAME   --config node.toml
    creditmesh-node reference --out FILE --config node.toml
    creditmesh-node model MODEL --format onnx|pmml|sql --out FILE   [--golden FILE] [--head HEAD --own MODEL]

Exit codes: 0 fine, 1 failed or tampered, 2 usage or bad input, 3 something needed is missing, 4 rolled back, 130
Ctrl-C. This module trains nothing and sends nothing. Theory: this is the one place where errors meet the user, so no
other module prints them. Whatever is heavy is imported by the command that needs it.
"""

import argparse
import errno
import os
import sqlite3
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from node.backup_commands import add_backup_commands
from node.cli_models import add_model_commands
from node.index_commands import add_index
from node.joining_commands import add_joining_commands
from node.offer_commands import add_offer_commands
from node.record_commands import add_record
from node.scoring_commands import add_scoring_commands
from node.wheel_commands import add_wheel_commands
from privacy import errors as privacy_errors
from risk import errors as risk_errors

__all__ = ["main"]

PROGRAM = "creditmesh-node"
OWN = ("node", "privacy", "risk")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing is raised but `SystemExit` by `--help`."""
    _be_frugal()
    try:
        options = _parser().parse_args(arguments)
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of our output went away, as in `... | head`; there is nobody to tell.
        _drop_output()
        return 1
    except (Exception, KeyboardInterrupt) as error:
        _flush_output()
        code, text = _explain(error)
        print(f"{PROGRAM}: {' '.join(text.split())}", file=sys.stderr)
        return code


def _be_frugal() -> None:
    # Read before Polars is imported: two threads parse as fast as a bank's table needs, and freed memory goes back to
    # the system at once instead of staying with the process for as long as it runs.
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")


def _run(options: argparse.Namespace) -> int:
    from node import config, state_folder

    settings = config.load(options.config)
    with state_folder.open_state(settings.state.dir):
        from node import service

        return service.run(settings)


def _check(options: argparse.Namespace) -> int:
    from node import config
    from node.check import check_table

    if options.config is not None and options.table is None and options.schema is None:
        settings = config.load(options.config)
        report = check_table(settings.source.table, settings.source.schema_file, settings.permit)
    elif options.config is None and options.table is not None and options.schema is not None:
        report = check_table(options.table, options.schema)
    else:
        raise privacy_errors.InputError("usage", "check needs either --config, or --table and --schema")
    print(report.to_json() if options.json else "\n".join(report.lines()))
    if not report.ok:
        print(f"{PROGRAM}: {report.table}: {report.summary()}; training would refuse this file", file=sys.stderr)
    return 0 if report.ok else 2


def _replay(options: argparse.Namespace) -> int:
    import json

    from node import config
    from node.access import leave_note
    from node.replay import replay_round

    settings = config.load(options.config)
    report = replay_round(settings, options.job, options.round)
    leave_note(settings.state.dir, "replay", f"{options.job}/{options.round}")
    print(json.dumps(report.document(), indent=1) if options.json else "\n".join(report.lines()))
    return report.exit_code


def _export(options: argparse.Namespace) -> int:
    from node import config
    from node.export import export_log

    records = export_log(config.load(options.config), options.out, options.who)
    print(f"{options.out}: {records} records; the export stands in the log")
    return 0


def _model(options: argparse.Namespace) -> int:
    from node.model_file import export_model, golden_lines

    sources = {"model": options.model, "head": options.head, "own": options.own}
    exported = export_model(sources, options.format)
    written = {options.out: exported.content} | ({options.golden: golden_lines(exported)} if options.golden else {})
    for path, each in written.items():
        with path.open("xb") as stream:
            stream.write(each)
        print(f"{path}: {len(each)} bytes")
    return 0


def _keys(options: argparse.Namespace) -> int:
    from node.record_store import load_log_key
    from node.witness_store import load_witness_key
    from privacy.log.note import COSIGNATURE
    from privacy.roster import check_member_id

    member = check_member_id(options.member)
    log = load_log_key(options.state, f"{member}/privacy-log").verifier()
    witness = load_witness_key(options.state, member).verifier(COSIGNATURE)
    print(f"log     {log.encode()}\nwitness {witness.encode()}")
    return 0


def _budget(options: argparse.Namespace) -> int:
    import json

    from node import config
    from node.account import read_account

    account = read_account(config.load(options.config))
    print(json.dumps(account.document(), indent=1) if options.json else "\n".join(account.lines()))
    return 0


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint as bad input."""
        raise privacy_errors.InputError("usage", f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="The node that a bank runs beside its own data.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    run = commands.add_parser("run", help="connect to the coordinator and take part in jobs")
    run.add_argument("--config", type=Path, default=Path("node.toml"), metavar="node.toml", help="this node's settings")
    run.set_defaults(run=_run)
    add_joining_commands(commands)
    add_backup_commands(commands)
    add_offer_commands(commands)
    check = commands.add_parser("check", help="check the bank's table and report counts by problem, never a value")
    check.add_argument("--config", type=Path, metavar="node.toml", help="this node's settings")
    check.add_argument("--table", type=Path, metavar="FILE", help="a .csv or .parquet file, with --schema")
    check.add_argument("--schema", type=Path, metavar="FILE", help="the data dictionary, with --table")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.set_defaults(run=_check)
    keys = commands.add_parser("keys", help="make the keys of this bank's log and cosignatures, and print both publics")
    keys.add_argument("--member", required=True, metavar="ID", help="this bank's id")
    keys.add_argument("--state", type=Path, required=True, metavar="DIR", help="its state folder, made if absent")
    keys.set_defaults(run=_keys)
    replay = commands.add_parser("replay", help="recompute what this bank sent in a round and compare the commitment")
    replay.add_argument("job", metavar="JOB", help="the job's id, a folder under jobs/ of the state folder")
    replay.add_argument("round", type=_round, metavar="ROUND", help="the round's number, from 1")
    replay.add_argument(
        "--config", type=Path, default=Path("node.toml"), metavar="node.toml", help="this node's settings"
    )
    replay.add_argument("--json", action="store_true", help="print the findings as JSON")
    replay.set_defaults(run=_replay)
    budget = commands.add_parser(
        "budget", help="what jobs with noise have cost so far, beside the cap, and whom that holds for"
    )
    budget.add_argument(
        "--config", type=Path, default=Path("node.toml"), metavar="node.toml", help="this node's settings"
    )
    budget.add_argument("--json", action="store_true", help="print the account as JSON")
    budget.set_defaults(run=_budget)
    _add_model(commands.add_parser("model", help="write a trained model for another scoring engine"))
    add_model_commands(commands)
    export = commands.add_parser("export", help="write the privacy log to a file for an auditor, and write that down")
    export.add_argument(
        "--config", type=Path, default=Path("node.toml"), metavar="node.toml", help="this node's settings"
    )
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write, JSON lines")
    export.add_argument("--who", required=True, metavar="NAME", help="pseudonym of whoever asked for it")
    export.set_defaults(run=_export)
    add_index(commands)
    add_wheel_commands(commands)
    add_record(commands)
    add_scoring_commands(commands)
    return parser


def _add_model(model: argparse.ArgumentParser) -> None:
    model.add_argument("model", type=Path, metavar="MODEL", help="a model file, as the node keeps it under models/")
    model.add_argument(
        "--format", choices=["onnx", "pmml", "sql"], required=True, help="SQL reads the table applicants"
    )
    model.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    model.add_argument("--golden", type=Path, metavar="FILE", help="also write rows and scores to compare by")
    model.add_argument("--head", type=Path, metavar="HEAD", help="the bank's head, to write the mixed model")
    model.add_argument("--own", type=Path, metavar="MODEL", help="what the head mixes besides: RECIPE-partner.json")
    model.set_defaults(run=_model)


def _round(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"a round is a number from 1, found {text!r}")
    return int(text)


def _flush_output() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _drop_output()


def _drop_output() -> None:
    # What cannot be written would be tried again when the interpreter ends, and fail with a traceback.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: BaseException) -> tuple[int, str]:
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted"
    if isinstance(error, privacy_errors.InputError | risk_errors.InputError):
        return 2, error.message
    if isinstance(error, privacy_errors.VerificationError) and error.code == "rolled-back":
        return 4, error.message
    if isinstance(error, privacy_errors.MisuseError | risk_errors.MisuseError):
        return 1, f"internal error: {error.message} ({_place(error)})"
    if isinstance(error, privacy_errors.PrivacyError | risk_errors.RiskError):
        return 1, error.message
    if isinstance(error, OSError):
        return 2, _explain_system(error)
    if isinstance(error, sqlite3.OperationalError):
        return 2, f"the state folder's database cannot be used: {error}"
    if isinstance(error, MemoryError):
        return 1, "out of memory"
    # An unforeseen error's own text may quote a row, so only its kind and place are shown.
    return 1, f"internal error: {type(error).__name__} ({_place(error)})"


def _explain_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{where}the disk is full; make room and start again"
    return f"{where}{(error.strerror or type(error).__name__).lower()}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    root = Path(__file__).parents[1]
    own = [frame for frame in frames if any(Path(frame.filename).is_relative_to(root / name) for name in OWN)]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "unknown place"
