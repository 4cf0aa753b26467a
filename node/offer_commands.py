"""The commands `offers`, `approve` and `refuse`: a person at the bank agrees to a job that the permit allows, or not.

They talk to nobody: the decision is a file in the state folder, which the running node answers within a second. JSON of
`offers`: `[{"job", "state": "waiting" | "accepted" | "refused", "who" | null, "reason", "recipe", "purpose",
"parameters", "members", "privacy": "exact" | {...}, "max_rows", "received_us"}]`, newest first.
"""

import argparse
import json
from pathlib import Path
from typing import Any

__all__ = ["add_offer_commands"]


def add_offer_commands(commands: Any) -> None:
    """Add the commands to the parser's subcommands."""
    offers = commands.add_parser("offers", help="list jobs that wait for somebody here to agree, and past decisions")
    offers.add_argument("--json", action="store_true", help="print JSON")
    offers.set_defaults(run=_offers)
    approve = commands.add_parser("approve", help="agree to a job that waits")
    refuse = commands.add_parser("refuse", help="refuse a job that waits")
    refuse.add_argument("--reason", default="", metavar="TEXT", help="stays in this bank's own log")
    for command, accepted in ((approve, True), (refuse, False)):
        command.add_argument("job", metavar="JOB")
        command.add_argument("--who", required=True, metavar="NAME", help="pseudonym of whoever decides")
        command.set_defaults(run=_decide, accepted=accepted)
    for command in (offers, approve, refuse):
        command.add_argument("--config", type=Path, default=Path("node.toml"), metavar="node.toml")


def _offers(options: argparse.Namespace) -> int:
    from node.config import load
    from node.offer_book import OfferBook

    settings = load(options.config)
    listed = OfferBook(settings.state.dir).listed()
    if options.json:
        print(json.dumps(listed, indent=2, ensure_ascii=False))
        return 0
    for line in listed:
        privacy = line["privacy"] if line["privacy"] == "exact" else f"epsilon {line['privacy']['epsilon']}"
        who = f" by {line['who']}" if line["who"] else ""
        print(f"{line['job']}  {line['state']}{who}  {line['recipe']}  {line['purpose']}  {privacy}")
        print(f"    with {', '.join(line['members'])}")
    if not listed:
        way = "" if settings.permit.approval == "person" else '; [permit] approval = "permit" decides without a person'
        print(f"no offers{way}")
    return 0


def _decide(options: argparse.Namespace) -> int:
    from node.access import leave_note
    from node.config import load
    from node.offer_book import OfferBook

    state = load(options.config).state.dir
    OfferBook(state).decide(options.job, options.who, options.accepted, getattr(options, "reason", ""))
    leave_note(state, "approve-job" if options.accepted else "refuse-job", options.job)
    print(f"{options.job} is {'approved' if options.accepted else 'refused'}; the node tells the coordinator")
    return 0
