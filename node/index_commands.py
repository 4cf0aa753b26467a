"""The command `creditmesh-node index`: build, check and show what a bank's own tables give.

It parses and prints; it computes nothing. What is heavy is imported when a command runs.

    creditmesh-node index build --config node.toml --connectors connectors.toml   [--out DIR] [--json]
    creditmesh-node index check --config node.toml --connectors connectors.toml   [--json]
    creditmesh-node index build --schema schema.toml --connectors connectors.toml --out DIR   before the bank joined
    creditmesh-node index show APPLICANT --config node.toml --connectors connectors.toml   [--on DATE] [--given N=V ...]
                               [--application ID]
"""

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from privacy.errors import InputError

__all__ = ["add_index"]


def add_index(commands: Any) -> None:
    """Add `index` and its three commands to a parser's commands."""
    index = commands.add_parser("index", help="turn the bank's own tables into the dictionary's fields")
    kinds = index.add_subparsers(title="commands", metavar="COMMAND", required=True)
    build = kinds.add_parser("build", help="write a table to train on, with its manifest; nothing looks ahead")
    build.add_argument("--out", type=Path, metavar="DIR", help="default: a new folder under index/ of the state folder")
    build.set_defaults(run=_build)
    check = kinds.add_parser("check", help="count what the mappings give and what is missing, and why; write nothing")
    check.set_defaults(run=_check)
    show = kinds.add_parser("show", help="one applicant's record for the decision API, as JSON")
    show.add_argument("applicant", metavar="APPLICANT", help="as it stands in the sources' key columns")
    show.add_argument("--on", metavar="DATE", help="decide as of the beginning of this day, YYYY-MM-DD; default: now")
    show.add_argument("--given", action="append", default=[], metavar="NAME=VALUE", help="what the application says")
    show.add_argument("--application", metavar="ID", help="print the body of POST /v1/decisions for this application")
    show.set_defaults(run=_show)
    for command in (build, check, show):
        command.add_argument("--config", type=Path, default=Path("node.toml"), metavar="node.toml", help="the settings")
        command.add_argument("--connectors", type=Path, required=True, metavar="connectors.toml", help="the mappings")
    for command in (build, check):
        command.add_argument("--schema", type=Path, metavar="FILE", help="the data dictionary, before the bank joined")
        command.add_argument("--json", action="store_true", help="print JSON")


def _build(options: argparse.Namespace) -> int:
    from node.connectors.build import Plan, build_index

    dictionary, state = _dictionary(options)
    if options.out is None and state is None:
        raise InputError("usage", "index build --schema needs --out DIR: before it joined, a bank has no state folder")
    folder = options.out if state is None else options.out or state / "index" / _now().strftime("%Y%m%dT%H%M%SZ")
    survey = build_index(Plan(options.connectors, dictionary), folder, _now)
    if options.json:
        print(json.dumps({"folder": str(folder), **survey.document()}, indent=1, ensure_ascii=False))
    else:
        table = folder / "table.parquet"
        before = f"next: creditmesh-node join CODE --data {table} --schema {dictionary}"
        print(
            "\n".join([*survey.lines(), before if state is None else f'set [source] table = "{table}" to train on it'])
        )
    return 0


def _check(options: argparse.Namespace) -> int:
    from node.connectors.build import Plan, survey_index

    dictionary, state = _dictionary(options)
    if state is not None:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state or options.connectors.parent, prefix="index-check-") as folder:
        survey = survey_index(Plan(options.connectors, dictionary), Path(folder) / "copies", _now)
    print(json.dumps(survey.document(), indent=1, ensure_ascii=False) if options.json else "\n".join(survey.lines()))
    return 2 if survey.problems else 0


def _show(options: argparse.Namespace) -> int:
    from node import config
    from node.connectors.applicant import read_applicant
    from node.connectors.build import Plan

    settings = config.load(options.config)
    connectors, dictionary = Plan(options.connectors, settings.source.schema_file).load()
    decided = _now() if options.on is None else _day(options.on)
    given = _given(options.given)
    if options.application is not None:
        given.setdefault(connectors.applications.application, options.application)
    record = read_applicant(connectors, dictionary, options.applicant, decided, given)
    if options.application is None:
        document = record.document()
    else:
        document = record.request(options.application, dictionary, connectors)
    print(json.dumps(document, indent=1, ensure_ascii=False))
    return 0


def _dictionary(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """Return the data dictionary and the state folder, which is None for a bank that has not joined yet."""
    from node import config

    if options.schema is not None:
        return options.schema, None
    settings = config.load(options.config)
    return settings.source.schema_file, settings.state.dir


def _now() -> datetime:
    return datetime.now(UTC)


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise InputError("usage", f"--on {text!r}: expected a day as 2030-12-31") from None


def _given(pairs: list[str]) -> dict[str, str]:
    given = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or name in given:
            raise InputError("usage", "--given: expected NAME=VALUE, each name once")
        given[name] = value
    return given
