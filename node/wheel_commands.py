"""The commands of `creditmesh-node` that turn the wheel: outcomes come in, models are watched, retraining is proposed.

    creditmesh-node outcomes FILE | --connectors connectors.toml --config node.toml   [--correct] [--json]
    creditmesh-node monitor --config node.toml   [--json | --out FILE.html]

It parses and prints; it computes nothing. What is heavy is imported when a command runs.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from privacy.errors import InputError

__all__ = ["add_wheel_commands"]


def add_wheel_commands(commands: Any) -> None:
    """Add the commands to a parser's subcommands."""
    outcomes = commands.add_parser("outcomes", help="take in how loans ended: repaid or bad, by application id")
    outcomes.add_argument("file", type=Path, nargs="?", metavar="FILE", help="application_id, result and on")
    outcomes.add_argument("--connectors", type=Path, metavar="connectors.toml", help="read what [outcomes] there maps")
    outcomes.add_argument("--correct", action="store_true", help="replace what is known otherwise; both are kept")
    outcomes.add_argument("--json", action="store_true", help="print the counts as JSON")
    outcomes.set_defaults(run=_outcomes)
    monitor = commands.add_parser("monitor", help="how the model in service does, and whether to train again")
    monitor.add_argument("--json", action="store_true", help="print the whole report as JSON")
    monitor.add_argument("--out", type=Path, metavar="FILE.html", help="also write the report as one page, with charts")
    monitor.set_defaults(run=_monitor)
    for command in (outcomes, monitor):
        command.add_argument(
            "--config", type=Path, default=Path("node.toml"), metavar="node.toml", help="this node's settings"
        )


def _outcomes(options: argparse.Namespace) -> int:
    from node import config
    from node.access import leave_note
    from node.connectors.build import Plan
    from node.outcomes import outcomes_of_file, take_outcomes

    settings = config.load(options.config)
    if (options.file is None) == (options.connectors is None):
        raise InputError("usage", "outcomes needs either FILE or --connectors")
    connectors = None
    if options.connectors is not None:
        connectors = Plan(options.connectors, settings.source.schema_file).load()[0]
        if connectors.outcomes is None:
            raise InputError("connectors", f"{options.connectors}: [outcomes] is missing; add it, or give a FILE")
    mapped = outcomes_of_file(options.file) if connectors is None else connectors.outcomes
    assert mapped is not None  # one of the two was given
    taken = take_outcomes(settings.state.dir, mapped, connectors, datetime.now(UTC), correct=options.correct)
    leave_note(settings.state.dir, "outcomes", f"{taken.taken + taken.corrected} taken")
    print(json.dumps(taken.document()) if options.json else taken.line())
    return 3 if taken.unknown else 0


def _monitor(options: argparse.Namespace) -> int:
    from node import config
    from node.monitor import monitor
    from node.monitor_page import monitor_page
    from node.proposal import propose

    settings, now = config.load(options.config), datetime.now(UTC)
    found = monitor(settings, now)
    if options.out is not None:
        with options.out.open("x", encoding="utf-8") as stream:
            stream.write(monitor_page(settings.member.id, found.report))
    folder = propose(settings, found, now)
    if options.json:
        print(json.dumps({**found.report, "proposal": None if folder is None else str(folder)}, indent=1))
        return 0
    for rule in found.report["rules"]:
        value = "too few rows" if rule["value"] is None else f"{rule['value']:.4g}"
        print(f"{'FIRES' if rule['fired'] else 'quiet'}  {rule['text']}: {value} (limit {rule['limit']:g})")
    if options.out is not None:
        print(f"{options.out}: the report")
    print("nothing to propose" if folder is None else f"{folder}: proposal, job.toml and the grown table")
    return 0
