"""What the operator's commands do and print; each returns an exit code.

This module runs no job and keeps no process; the running coordinator finds what is written here in the database.

JSON of the commands, one document on standard output, times UTC in ISO 8601:

    jobs     [{"id", "recipe", "state", "reason", "created", "ended" | null, "wish",
               "not_before" | null, "history": [{"at", "kind"}], "rounds": int, "models": [SHA256],
               "released": TIME | "pending" | null}]
    members  [{"id", "identity", "certificate_serial": HEX, "status", "log": VKEY, "witness": VKEY}]
    submit   {"id"}
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from coordinator import config, consortium
from coordinator.access import leave_note
from coordinator.job_file import JobFile, load_job
from coordinator.keys_file import read_public, write_new
from coordinator.registry import Registry
from coordinator.store import Job, MemberStatus, ModelRecord, Store
from coordinator.toml_file import read_document
from privacy.errors import InputError
from privacy.log.journal import POSTGRES_SCHEMA, TABLES

__all__ = [
    "check_models",
    "enrol",
    "found",
    "jobs",
    "log_tables",
    "members",
    "plan",
    "print_table",
    "set_status",
    "spec_of",
    "spec_with",
    "submit",
]

_ROLE = re.compile(r"[a-z][a-z0-9_]{0,62}")


def found(folder: Path, name: str, listen: str, hosts: tuple[str, ...], enrolment: str = "") -> int:
    """Found a consortium in `folder`, print the authority's fingerprint and what comes next.

    enrolment: where the desk listens; the port after `listen`'s if empty.
    """
    if not config.CONSORTIUM_NAME.fullmatch(name):
        raise InputError("consortium-name", f"--name {name!r}: expected 1 to 63 of a-z, 0-9, _ and -")
    try:
        config.check_address(listen)
    except ValueError as error:
        raise InputError("listen-address", f"--listen {listen!r}: expected {error}") from None
    host, _, port = listen.rpartition(":")
    enrolment = enrolment or f"{host}:{int(port) + 1 if port != '0' else 0}"
    try:
        config.check_address(enrolment)
    except ValueError as error:
        raise InputError("listen-address", f"--enrolment {enrolment!r}: expected {error}") from None
    if host in ("0.0.0.0", "[::]") and not hosts:  # noqa: S104 - compared, not bound
        raise InputError("host-missing", f"--listen {listen}: say with --host by which name or address banks dial it")
    dialled = hosts[0] if hosts else host
    founding = consortium.Founding(name, listen, ("127.0.0.1", "localhost", *hosts), enrolment, dialled)
    fingerprint = consortium.found(folder, founding, datetime.now(UTC))
    print(f"founded {name} in {folder}\nfingerprint of its authority: {fingerprint}")
    print(f"banks dial {dialled}, ports {port} (work) and {enrolment.rpartition(':')[2]} (joining)\nnext:")
    print(f"    creditmesh-coordinator run --config {folder / 'coordinator.toml'}")
    print(f"    creditmesh-coordinator invite BANK --config {folder / 'coordinator.toml'}")
    return 0


def enrol(config_path: Path, member: str, keys: tuple[str, str, str], files: tuple[Path, Path]) -> int:
    """Enrol a bank.

    keys: its identity, and the verifier keys of its log and of its cosignatures. files: where its TLS public key is,
    and where its certificate goes.
    """
    settings = config.load(config_path)
    (identity, log, witness), (public, out) = keys, files
    if out.exists():
        raise InputError("file-exists", f"{out}: exists already; it is never overwritten")
    with _store(settings) as store:
        bank = consortium.Enrolment(member, identity, read_public(public), log, witness)
        certificate = consortium.enrol(settings, store, bank, datetime.now(UTC))
    write_new(out, certificate, 0o644)
    leave_note(settings.state.dir, "enrol", member)
    print(f"enrolled {member}; certificate in {out}")
    return 0


def set_status(config_path: Path, member: str, status: MemberStatus) -> int:
    """Suspend a bank, or let it in again; a running coordinator cuts a suspended one off within two seconds."""
    settings = config.load(config_path)
    with _store(settings) as store:
        store.set_member_status(member, status)
    leave_note(settings.state.dir, "suspend" if status == "suspended" else "restore", member)
    print(f"{member} is {status}")
    return 0


def submit(config_path: Path, job_path: Path, as_json: bool, not_before: int | None = None) -> int:
    """Check a job file and queue it; print its id. not_before: UTC microseconds before which it is not started."""
    settings = config.load(config_path)
    job = load_job(job_path)
    spec = spec_of(job)
    check_models(settings, job)
    with _store(settings) as store:
        job_id = store.add_job(job.job.recipe, spec, not_before)
    leave_note(settings.state.dir, "submit", job_id)
    print(json.dumps({"id": job_id}) if as_json else job_id)
    return 0


def check_models(settings: config.CoordinatorConfig, job: JobFile) -> None:
    """Raise `InputError` for a job that looks at a model which is not in the registry."""
    from risk.catalogue import recipe
    from risk.charter import models_named

    registry = Registry(settings.state.dir / "models")
    for digest in models_named(job.job.recipe, recipe(job.job.recipe).parse_parameters(job.parameters)):
        registry.get(digest)


def log_tables(role: str) -> int:
    """Print SQL that makes the privacy log's tables in PostgreSQL and lets `role` read them and add to them."""
    if not _ROLE.fullmatch(role):
        raise InputError("role-name", f"--role {role!r}: expected 1 to 63 of a-z, 0-9 and _, starting with a letter")
    grant = f'GRANT SELECT, INSERT ON {", ".join(TABLES)} TO "{role}"'
    print("".join(f"{statement};\n" for statement in ("BEGIN", *POSTGRES_SCHEMA, grant, "COMMIT")), end="")
    return 0


def plan(config_path: Path, job_path: Path, as_json: bool) -> int:
    """Print what a job file would cost, and queue nothing."""
    from coordinator.preview import preview

    settings = config.load(config_path)
    job = load_job(job_path)
    check_models(settings, job)
    with _store(settings) as store:
        active = sum(member.status == "active" for member in store.members())
    made = asdict(preview(spec_of(job), active, settings.policy.min_members))
    if as_json:
        print(json.dumps(made, indent=2))
        return 0
    for name, value in made.items():
        print(f"{name:<18} {'-' if value is None else value}")
    return 0


def spec_of(job: JobFile) -> dict[str, Any]:
    """Return what is queued for a job file: `{"job": ..., "parameters": ..., "schema": ...}`, plain JSON values.

    job: recipe, purpose, seed, holdout_ppm, max_rows. parameters: as in the file. schema: the parsed data dictionary's
    document. Raises an `InputError` for an unknown recipe, parameters it does not take, or a bad schema.
    """
    return spec_with(job, read_document(job.job.schema_file), str(job.job.schema_file))


def spec_with(job: JobFile, schema: dict[str, Any], where: str) -> dict[str, Any]:
    """Return what is queued for a job whose data dictionary is given, not read. where: what to call it in errors."""
    from risk.catalogue import recipe
    from risk.dictionary import parse_dictionary

    parse_dictionary(schema, where)
    recipe(job.job.recipe).parse_parameters(job.parameters)
    names = ("recipe", "purpose", "seed", "holdout_ppm", "max_rows", "approval_wait_s")
    settings = {name: getattr(job.job, name) for name in names}
    spec = {"job": settings, "parameters": dict(job.parameters), "schema": schema}
    return spec if job.privacy is None else {**spec, "privacy": job.privacy.model_dump()}


def jobs(config_path: Path, as_json: bool) -> int:
    """Print all jobs, oldest first."""
    with _store(config.load(config_path)) as store:
        listed = [_job(store, job) for job in store.jobs()]
    print_table(listed, ("id", "recipe", "state", "rounds", "created", "ended", "released", "reason"), as_json)
    return 0


def members(config_path: Path, as_json: bool) -> int:
    """Print all members by id."""
    with _store(config.load(config_path)) as store:
        listed = [
            {
                "id": member.id,
                "identity": member.identity,
                "certificate_serial": f"{member.certificate_serial:x}",
                "status": member.status,
                "log": member.log,
                "witness": member.witness,
            }
            for member in store.members()
        ]
    print_table(listed, ("id", "status", "identity"), as_json)
    return 0


@contextmanager
def _store(settings: config.CoordinatorConfig) -> Iterator[Store]:
    store = Store(settings.storage.url)
    try:
        yield store
    finally:
        store.close()


def _job(store: Store, job: Job) -> dict[str, Any]:
    models = store.models(job.id)
    return {
        "id": job.id,
        "recipe": job.recipe,
        "state": job.state,
        "reason": job.reason,
        "created": _moment(job.created),
        "ended": None if job.ended is None else _moment(job.ended),
        "wish": job.wish,
        "not_before": None if job.not_before is None else _moment(job.not_before),
        "history": [
            {"at": _moment(event.t), "kind": event.kind}
            for event in store.job_events(job.id)
            if event.kind != "round-opened"
        ],
        "rounds": len(store.rounds(job.id)),
        "models": [model.sha256 for model in models],
        "released": _released(models),
    }


def _released(models: list[ModelRecord]) -> str | None:
    """Say when the job's model was released, "pending" while it waits for witnesses, None without a model."""
    if not models:
        return None
    moments = [model.released for model in models]
    return "pending" if None in moments else _moment(max(moment for moment in moments if moment is not None))


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def print_table(rows: list[Mapping[str, Any]] | list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    """Print rows as a table of these columns, or whole as JSON."""
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    table = [columns, *(tuple("" if row[name] is None else str(row[name]) for name in columns) for row in rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(columns))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
