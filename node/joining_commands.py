"""The bank's commands about joining: join, peers, rotate, doctor. Each returns an exit code.

They decide nothing. JSON of the commands: `peers` prints [{"member", "state", "fingerprint"}] as
`node.pin_book.Standing` says; `doctor` as `node.doctor` says.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["add_joining_commands"]

_STATES = {
    "own": "this bank",
    "founding": "pinned by hand",
    "telephone": "compared by telephone",
    "first-use": "NOT compared: taken at first sight",
    "waiting": "NOT compared: it cannot take part with this bank yet",
    "changed": "CHANGED: the coordinator lists other keys, which are refused",
}
_HIDDEN = "(not shown before it is compared: type what you hear)"


def add_joining_commands(commands: Any) -> None:
    """Add the commands to the parser's subcommands."""
    join = commands.add_parser("join", help="join a consortium with the code that its operator sent")
    join.add_argument("code", metavar="CODE", help="the join code, whole; `-` reads it from standard input")
    join.add_argument("--data", type=Path, metavar="TABLE", help="the bank's .csv or .parquet file")
    join.add_argument("--schema", type=Path, metavar="FILE", help="the consortium's data dictionary")
    join.add_argument("--state", type=Path, default=Path("state"), metavar="DIR", help="for keys, log and models")
    join.add_argument("--no-wait", action="store_true", help="apply and end with code 3; the same command goes on")
    join.set_defaults(run=_join)
    peers = commands.add_parser("peers", help="list the other banks' fingerprints, or compare one")
    actions = peers.add_subparsers(dest="action", metavar="ACTION")
    verify = actions.add_parser("verify", help="pin a bank's keys after it read its fingerprint out on the telephone")
    verify.add_argument("member", metavar="BANK")
    verify.add_argument("fingerprint", metavar='"7QX4Z ..."', nargs="+", help="as the bank read it out")
    verify.set_defaults(run=_verify)
    drop = actions.add_parser("drop", help="forget a bank that left the network")
    drop.add_argument("member", metavar="BANK")
    drop.set_defaults(run=_drop)
    peers.set_defaults(run=_peers)
    rotate = commands.add_parser("rotate", help="have the running node renew its certificate now, with a new key")
    rotate.set_defaults(run=_rotate)
    doctor = commands.add_parser("doctor", help="check everything that joining and running need; say what to do")
    doctor.set_defaults(run=_doctor)
    for command in (join, peers, rotate, doctor):
        command.add_argument("--config", type=Path, default=Path("node.toml"), metavar="node.toml")
    for command in (verify, drop):
        # Given after the action it would be overwritten by the default, were there one.
        command.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="node.toml")
    for command in (peers, doctor):
        command.add_argument("--json", action="store_true", help="print JSON")


def _join(options: argparse.Namespace) -> int:
    import sys

    from node.join import Places, join
    from node.state_folder import open_state

    code = sys.stdin.read() if options.code == "-" else options.code
    places = Places(options.data, options.schema, options.state, options.config)

    def say(text: str) -> None:
        print(text, flush=True)

    with open_state(options.state):
        return join(code, places, not options.no_wait, say, _now)


def _peers(options: argparse.Namespace) -> int:
    import json
    from dataclasses import asdict

    standings = _book(options.config).standings()
    if options.json:
        print(json.dumps([asdict(each) for each in standings], indent=1))
        return 0
    for each in standings:
        print(f"{each.member}\n    {each.fingerprint or _HIDDEN}\n    {_STATES[each.state]}")
    if any(each.state in ("first-use", "waiting", "changed") for each in standings):
        print('\nCall each of them at a number that you know; then: creditmesh-node peers verify BANK "FINGERPRINT"')
    return 0


def _verify(options: argparse.Namespace) -> int:
    from node import config
    from node.access import leave_note

    settings = config.load(options.config)
    fingerprint = _book(options.config).verify(options.member, " ".join(options.fingerprint))
    leave_note(settings.state.dir, "peers-verify", options.member)
    print(f"{options.member} is pinned as compared: {fingerprint}; a running node knows within two seconds")
    return 0


def _drop(options: argparse.Namespace) -> int:
    from node import config
    from node.access import leave_note

    settings = config.load(options.config)
    _book(options.config).drop(options.member)
    leave_note(settings.state.dir, "peers-drop", options.member)
    print(f"{options.member} is forgotten; if it comes back, its fingerprint is compared anew")
    return 0


def _rotate(options: argparse.Namespace) -> int:
    from node import config
    from node.rotation import ask_rotation

    return ask_rotation(config.load(options.config), print)


def _doctor(options: argparse.Namespace) -> int:
    from node.doctor import examine

    report = examine(options.config, _now)
    print(report.to_json() if options.json else "\n".join(report.lines()))
    return report.exit_code


def _book(path: Path) -> Any:
    from node import config
    from node.certificate import member_uri
    from node.pin_book import PinBook

    settings = config.load(path)
    uri = member_uri(settings.tls.certificate.read_bytes())
    return PinBook(settings.identity.peers, settings.member.id, uri.removeprefix("spiffe://").partition("/")[0])


def _now() -> datetime:
    return datetime.now(UTC)
