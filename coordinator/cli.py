"""The command `creditmesh-coordinator`: parse, run, and turn every error into one line and an exit code.

    creditmesh-coordinator init DIR --name NAME [--listen HOST:PORT] [--host NAME ...] [--enrolment HOST:PORT]
    creditmesh-coordinator invite BANK [--ttl 72h | --cancel] [--json]
    creditmesh-coordinator approve BANK --fingerprint "..." [--json]
    creditmesh-coordinator enrolments [--json]
    creditmesh-coordinator revoke BANK
    creditmesh-coordinator enrol MEMBER --identity HEX --log VKEY --witness VKEY --tls-key FILE --out FILE --config FILE
    creditmesh-coordinator suspend|readmit MEMBER --config coordinator.toml
    creditmesh-coordinator run --config coordinator.toml
    creditmesh-coordinator submit JOB.toml --config coordinator.toml [--json]
    creditmesh-coordinator jobs|members --config coordinator.toml [--json]
    creditmesh-coordinator propose|withdraw|models|card|evidence ...   see coordinator.cli_models
    creditmesh-coordinator export --config coordinator.toml --out FILE --who NAME
    creditmesh-coordinator log-tables --role ROLE
    creditmesh-coordinator backup --out FILE; restore FILE --to DIR [--storage URL] [--log URL]; renew-authority
    creditmesh-coordinator retraining [--job VALIDATION --out DIR] [--json]

Exit codes: 0 fine, 1 failed or tampered, 2 usage or bad input, 4 rolled back, 130 Ctrl-C. Theory: this is the one place
where errors meet the operator, so no other module prints them. Whatever is heavy is imported by the command that needs
it. What the commands do and print is in `coordinator.commands`.
"""

import argparse
import errno
import os
import sqlite3
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from coordinator.authority_commands import add_authority_commands
from coordinator.backup_commands import add_backup_commands
from coordinator.cli_models import add_model_commands
from coordinator.enrolment_commands import add_enrolment_commands
from coordinator.job_commands import add_job_commands, moment_after
from coordinator.retraining_commands import add_retraining
from privacy import errors as privacy_errors
from risk import errors as risk_errors

__all__ = ["main"]

PROGRAM = "creditmesh-coordinator"
OWN = ("coordinator", "privacy", "risk")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing is raised but `SystemExit` by `--help`."""
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


def _init(options: argparse.Namespace) -> int:
    from coordinator import commands

    return commands.found(options.folder, options.name, options.listen, tuple(options.host), options.enrolment)


def _enrol(options: argparse.Namespace) -> int:
    from coordinator import commands

    return commands.enrol(
        options.config,
        options.member,
        (options.identity, options.log, options.witness),
        (options.tls_key, options.out),
    )


def _suspend(options: argparse.Namespace) -> int:
    from coordinator import commands

    return commands.set_status(options.config, options.member, "suspended")


def _readmit(options: argparse.Namespace) -> int:
    from coordinator import commands

    return commands.set_status(options.config, options.member, "active")


def _run(options: argparse.Namespace) -> int:
    from coordinator import config, state_folder

    settings = config.load(options.config)
    with state_folder.open_state(settings.state.dir):
        from coordinator import service

        return service.run(settings)


def _submit(options: argparse.Namespace) -> int:
    from coordinator import commands

    if options.preview:
        return commands.plan(options.config, options.job, options.json)
    not_before = None if options.not_before is None else moment_after(options.not_before)
    return commands.submit(options.config, options.job, options.json, not_before)


def _jobs(options: argparse.Namespace) -> int:
    from coordinator import commands

    return commands.jobs(options.config, options.json)


def _members(options: argparse.Namespace) -> int:
    from coordinator import commands

    return commands.members(options.config, options.json)


def _export(options: argparse.Namespace) -> int:
    from coordinator import config
    from coordinator.export import export_log

    records = export_log(config.load(options.config), options.out, options.who)
    print(f"{options.out}: {records} records; the export stands in the log")
    return 0


def _log_tables(options: argparse.Namespace) -> int:
    from coordinator import commands

    return commands.log_tables(options.role)


def _console(options: argparse.Namespace) -> int:
    from coordinator import config
    from coordinator.console import server

    return server.run(config.load(options.config), options.listen)


def _account(options: argparse.Namespace) -> int:
    from coordinator import account_commands

    return account_commands.run(options)


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint as bad input."""
        raise privacy_errors.InputError("usage", f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="The coordinator that relays and adds for a consortium of banks.")
    kinds = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    init = kinds.add_parser("init", help="found a consortium: authority, keys and coordinator.toml")
    init.add_argument("folder", type=Path, metavar="DIR")
    init.add_argument("--name", required=True, help="the consortium's name: a-z, 0-9, _ and -")
    init.add_argument("--listen", default="127.0.0.1:8443", metavar="HOST:PORT", help="default: %(default)s")
    init.add_argument("--host", action="append", default=[], help="a name or address that members dial")
    init.add_argument("--enrolment", default="", metavar="HOST:PORT", help="where banks join; default: the next port")
    init.set_defaults(run=_init)
    enrol = kinds.add_parser("enrol", help="issue a member's certificate and write the member down")
    enrol.add_argument("member", metavar="MEMBER")
    enrol.add_argument("--identity", required=True, metavar="HEX", help="its Ed25519 public key, 64 hex digits")
    enrol.add_argument("--log", required=True, metavar="VKEY", help="the key of its log, from `creditmesh-node keys`")
    enrol.add_argument("--witness", required=True, metavar="VKEY", help="the key of its cosignatures, from the same")
    enrol.add_argument("--tls-key", required=True, type=Path, metavar="FILE", help="its P-256 public key, PEM")
    enrol.add_argument("--out", required=True, type=Path, metavar="FILE", help="where its certificate is written")
    enrol.set_defaults(run=_enrol)
    suspend = kinds.add_parser("suspend", help="refuse a member's certificate from now on, on open connections too")
    suspend.add_argument("member", metavar="MEMBER")
    suspend.set_defaults(run=_suspend)
    readmit = kinds.add_parser("readmit", help="let a suspended member in again")
    readmit.add_argument("member", metavar="MEMBER")
    readmit.set_defaults(run=_readmit)
    run = kinds.add_parser("run", help="listen for members and run the jobs that wait")
    run.set_defaults(run=_run)
    submit = kinds.add_parser("submit", help="queue a job")
    submit.add_argument("job", type=Path, metavar="JOB.toml")
    submit.add_argument("--preview", action="store_true", help="print rounds, bytes and epsilon, and queue nothing")
    submit.add_argument("--not-before", metavar="TIME", help="start it no earlier: 2026-03-01T22:00Z")
    submit.set_defaults(run=_submit)
    jobs = kinds.add_parser("jobs", help="list jobs")
    jobs.set_defaults(run=_jobs)
    members = kinds.add_parser("members", help="list members")
    members.set_defaults(run=_members)
    add_model_commands(kinds)
    add_enrolment_commands(kinds)
    for add in (add_retraining, add_job_commands, add_backup_commands, add_authority_commands):
        add(kinds)
    _add_log(kinds)
    console = kinds.add_parser("console", help="serve the operator's console to browsers")
    console.add_argument("--listen", metavar="HOST:PORT", help="instead of what [console] listen says")
    console.set_defaults(run=_console)
    _add_account(kinds)
    for command in (console, enrol, suspend, readmit, run, submit, jobs, members):
        command.add_argument("--config", type=Path, default=Path("coordinator.toml"), metavar="coordinator.toml")
    for command in (submit, jobs, members):
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_log(kinds: Any) -> None:
    export = kinds.add_parser("export", help="write the privacy log to a file for an auditor, and write that down")
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write, JSON lines")
    export.add_argument("--who", required=True, metavar="NAME", help="pseudonym of whoever asked for it")
    export.add_argument("--config", type=Path, default=Path("coordinator.toml"), metavar="coordinator.toml")
    export.set_defaults(run=_export)
    tables = kinds.add_parser("log-tables", help="print the SQL with which PostgreSQL's owner makes the log's tables")
    tables.add_argument(
        "--role", required=True, metavar="ROLE", help="whom the coordinator logs in as: it may only add"
    )
    tables.set_defaults(run=_log_tables)


def _add_account(kinds: Any) -> None:
    account = kinds.add_parser("account", help="say who may log in to the console: add, password, remove, list")
    actions = account.add_subparsers(dest="action", metavar="ACTION", required=True)
    # No abbreviations: `--password SECRET` must not pass for --password-file.
    add = actions.add_parser("add", allow_abbrev=False, help="let somebody log in; asks for a password")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", required=True, choices=("operator", "risk", "auditor"))
    password = actions.add_parser(
        "password", allow_abbrev=False, help="set another password; ends the account's sessions"
    )
    password.add_argument("name", metavar="NAME")
    remove = actions.add_parser("remove", help="let an account log in no more")
    remove.add_argument("name", metavar="NAME")
    listing = actions.add_parser("list", help="list the accounts")
    listing.add_argument("--json", action="store_true", help="print JSON")
    for command in (add, password):
        command.add_argument("--password-file", type=Path, metavar="FILE", help="a file of mode 0600 that holds it")
    for command in (add, password, remove, listing):
        command.add_argument("--config", type=Path, default=Path("coordinator.toml"), metavar="coordinator.toml")
        command.set_defaults(run=_account)


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
        return 2, f"a database in the state folder cannot be used: {error}"
    if isinstance(error, MemoryError):
        return 1, "out of memory"
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
