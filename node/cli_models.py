"""The commands of `creditmesh-node` about the network's models: what each takes.

    creditmesh-node models --config node.toml [--json]
    creditmesh-node sign MODEL --as champion|challenger --approve|--reject [--reason CODE] --who NAME --config node.toml
    creditmesh-node card MODEL --out FILE.md|FILE.html [--language en|zh|both] --config node.toml
    creditmesh-node evidence MODEL --out DIR|FILE.zip --config node.toml

It parses only; what they do is in `node.model_commands` and `node.model_papers`, imported by the command that needs it.
"""

import argparse
from pathlib import Path
from typing import Any

__all__ = ["add_model_commands"]

_MODEL = "its digest, the first 8 or more digits of it, or champion or challenger"


def add_model_commands(commands: Any) -> None:
    """Add the commands to a parser's subcommands."""
    models = commands.add_parser("models", help="list the network's models: figures, lineage, what there is to sign")
    models.add_argument("--json", action="store_true", help="print JSON")
    models.set_defaults(run=_models)
    sign = commands.add_parser("sign", help="approve or reject a model that the coordinator proposes")
    sign.add_argument("model", metavar="MODEL", help=_MODEL)
    sign.add_argument("--as", dest="role", required=True, choices=["champion", "challenger"])
    decision = sign.add_mutually_exclusive_group(required=True)
    decision.add_argument("--approve", dest="decision", action="store_const", const="approve")
    decision.add_argument("--reject", dest="decision", action="store_const", const="reject")
    sign.add_argument(
        "--reason", default="", metavar="CODE", help="why: figures, stability, fairness, documents, privacy or other"
    )
    sign.add_argument("--who", required=True, metavar="NAME", help="pseudonym of whoever decides")
    sign.set_defaults(run=_sign)
    card = commands.add_parser("card", help="write a model's card, with this bank's own figures")
    card.add_argument("--language", choices=["en", "zh", "both"], default="both", help="default: %(default)s")
    card.set_defaults(run=_card)
    evidence = commands.add_parser("evidence", help="write a model's evidence pack, with this bank's own figures")
    evidence.set_defaults(run=_evidence)
    for command, form in ((card, "FILE"), (evidence, "DIR|FILE.zip")):
        command.add_argument("model", metavar="MODEL", help=_MODEL)
        command.add_argument("--out", type=Path, required=True, metavar=form, help="where to write; replaces nothing")
    for command in (models, sign, card, evidence):
        command.add_argument(
            "--config", type=Path, default=Path("node.toml"), metavar="node.toml", help="this node's settings"
        )


def _models(options: argparse.Namespace) -> int:
    from node import model_commands

    return model_commands.models(options.config, options.json)


def _sign(options: argparse.Namespace) -> int:
    from node import model_commands

    decision = (options.decision, options.reason, options.who)
    return model_commands.sign(options.config, options.model, options.role, decision)


def _card(options: argparse.Namespace) -> int:
    from node import model_papers

    return model_papers.card(options.config, options.model, options.out, options.language)


def _evidence(options: argparse.Namespace) -> int:
    from node import model_papers

    return model_papers.evidence(options.config, options.model, options.out)
