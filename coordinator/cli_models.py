"""The commands of `creditmesh-coordinator` about models: what each takes.

    creditmesh-coordinator propose MODEL --as champion|challenger --config coordinator.toml [--json]
    creditmesh-coordinator withdraw NUMBER --config coordinator.toml
    creditmesh-coordinator models --config coordinator.toml [--json]
    creditmesh-coordinator card MODEL --out FILE.md|FILE.html [--language en|zh|both] --config coordinator.toml
    creditmesh-coordinator evidence MODEL --out DIR|FILE.zip --config coordinator.toml

It parses only; what they do is in `coordinator.model_commands` and `coordinator.model_papers`, imported by the command
that needs them.
"""

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add_model_commands"]

_MODEL = "its digest, the first 8 or more digits of it, or champion or challenger"


def add_model_commands(kinds: Any) -> None:
    """Add the commands to a parser's subcommands."""
    propose = kinds.add_parser("propose", help="ask the banks to sign a model off as champion or challenger")
    propose.add_argument("model", metavar="MODEL", help=_MODEL)
    propose.add_argument("--as", dest="role", required=True, choices=["champion", "challenger"])
    propose.set_defaults(run=_propose)
    withdraw = kinds.add_parser("withdraw", help="take back a proposal that no quorum has signed yet")
    withdraw.add_argument("number", type=_number, metavar="NUMBER", help="the proposal's number")
    withdraw.set_defaults(run=_withdraw)
    models = kinds.add_parser("models", help="list models: champion and challenger, lineage, sign-off")
    models.set_defaults(run=_models)
    card = kinds.add_parser("card", help="write a model's card from the records of its job")
    card.add_argument("--language", choices=["en", "zh", "both"], default="both", help="default: %(default)s")
    card.set_defaults(run=_card)
    evidence = kinds.add_parser("evidence", help="write a model's evidence pack for independent validation")
    evidence.set_defaults(run=_evidence)
    for command, form in ((card, "FILE"), (evidence, "DIR|FILE.zip")):
        command.add_argument("model", metavar="MODEL", help=_MODEL)
        command.add_argument("--out", type=Path, required=True, metavar=form, help="where to write; replaces nothing")
    for command in (propose, withdraw, models, card, evidence):
        command.add_argument("--config", type=Path, default=Path("coordinator.toml"), metavar="coordinator.toml")
    for command in (propose, models):
        command.add_argument("--json", action="store_true", help="print JSON")


def _propose(options: argparse.Namespace) -> int:
    from coordinator import model_commands

    return model_commands.propose(options.config, options.model, options.role, options.json)


def _withdraw(options: argparse.Namespace) -> int:
    from coordinator import model_commands

    return model_commands.withdraw(options.config, options.number)


def _models(options: argparse.Namespace) -> int:
    from coordinator import model_commands

    return model_commands.models(options.config, options.json)


def _card(options: argparse.Namespace) -> int:
    from coordinator import model_papers

    return model_papers.card(options.config, options.model, options.out, options.language)


def _evidence(options: argparse.Namespace) -> int:
    from coordinator import model_papers

    return model_papers.evidence(options.config, options.model, options.out)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) < 2**53:
        raise argparse.ArgumentTypeError(f"a proposal is a number from 1, found {text!r}")
    return int(text)
