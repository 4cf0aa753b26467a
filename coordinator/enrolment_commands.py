"""The operator's commands about joining: invite, enrolments, approve, revoke. Each returns an exit code.

They decide nothing (`coordinator.enrolment`). JSON, times UTC in ISO 8601:

    invite      {"member", "code", "expires"}
    approve     {"member", "complete": bool, "approvers": [PSEUDONYM], "copies": how often others showed its code}
    enrolments  [{"member", "state", "created", "expires", "applied" | null, "source", "wrong", "copies",
                  "approvers": [PSEUDONYM], "decided" | null}]

The listing has no fingerprint on purpose: who approves must hear it from the bank, not read it here.
"""

import argparse
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from privacy.errors import InputError

__all__ = ["add_enrolment_commands"]

_TTL = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_UNITS = {"m": 60, "h": 3600, "d": 86_400}


def add_enrolment_commands(kinds: Any) -> None:
    """Add the commands to the parser's subcommands."""
    invite = kinds.add_parser("invite", help="print a join code for a bank, or cancel its invitation")
    invite.add_argument("member", metavar="BANK", help="its id: a-z, 0-9, _ and -")
    invite.add_argument("--ttl", default="72h", metavar="TIME", help="how long the code is good: 30m, 72h, 7d")
    invite.add_argument("--cancel", action="store_true", help="cancel what is open for this bank")
    invite.set_defaults(run=_invite)
    approve = kinds.add_parser("approve", help="let a bank in whose fingerprint you typed from a telephone call")
    approve.add_argument("member", metavar="BANK")
    approve.add_argument("--fingerprint", required=True, metavar='"7QX4Z ..."', help="as the bank read it out")
    approve.set_defaults(run=_approve)
    listing = kinds.add_parser("enrolments", help="list invitations and who waits for approval")
    listing.set_defaults(run=_enrolments)
    revoke = kinds.add_parser("revoke", help="put a member out for good; its certificate never counts again")
    revoke.add_argument("member", metavar="BANK")
    revoke.set_defaults(run=_revoke)
    for command in (invite, approve, listing, revoke):
        command.add_argument("--config", type=Path, default=Path("coordinator.toml"), metavar="coordinator.toml")
    for command in (invite, approve, listing):
        command.add_argument("--json", action="store_true", help="print JSON")


def account() -> str:
    """Return the pseudonym of the account that runs this command; under sudo, of who called sudo."""
    number = os.environ.get("SUDO_UID", "") if os.getuid() == 0 else ""
    return f"uid-{number if number.isascii() and number.isdigit() else os.getuid()}"


def _invite(options: argparse.Namespace) -> int:
    from coordinator.access import leave_note
    from coordinator.enrolment import desk_endpoint

    with _enrolment(options.config) as (settings, enrolment):
        if options.cancel:
            enrolment.records.cancel(options.member)
            leave_note(settings.state.dir, "invite-cancel", options.member)
            print(f"the invitation of {options.member} is cancelled; its code is worth nothing")
            return 0
        endpoint = desk_endpoint(settings.enrolment, _listening(settings.state.dir))
        code, invite = enrolment.invite(options.member, _ttl(options.ttl), endpoint)
    leave_note(settings.state.dir, "invite", options.member)
    expires = _moment(invite.expires)
    if options.json:
        print(json.dumps({"member": options.member, "code": code, "expires": expires}))
        return 0
    print(f"join code for {options.member}, good once, until {expires}:\n\n{code}\n")
    print(f"Send it to {options.member} by a way you trust. There it is used as:\n")
    print("    creditmesh-node join CODE --data TABLE --schema SCHEMA --state state\n")
    print(f"Then call {options.member} at a number that you know, and type what they read out:\n")
    print(f'    creditmesh-coordinator approve {options.member} --fingerprint "..."')
    return 0


def _approve(options: argparse.Namespace) -> int:
    from coordinator.access import leave_note
    from privacy.errors import VerificationError

    with _enrolment(options.config) as (settings, enrolment):
        try:
            approval = enrolment.approve(options.member, options.fingerprint, account(), datetime.now(UTC))
        except VerificationError:
            leave_note(settings.state.dir, "approve-wrong", options.member)
            raise
    leave_note(settings.state.dir, "approve", options.member)
    if options.json:
        parts = {"member": options.member, "complete": approval.complete, "approvers": list(approval.approvers)}
        parts["copies"] = approval.copies
        print(json.dumps(parts))
    elif approval.complete:
        print(f"{options.member} is a member; its node gets the certificate by itself")
    else:
        print(f"{options.member} waits for a second approval, from another account than {approval.approvers[0]}")
    if approval.copies and not options.json:
        print(
            f"look: {approval.copies} times somebody else showed this bank's code; it was refused, but the code was "
            "copied on its way: find out where"
        )
    return 0 if approval.complete else 3


def _enrolments(options: argparse.Namespace) -> int:
    from coordinator.commands import print_table

    with _enrolment(options.config) as (_, enrolment):
        now = enrolment.records.now_us()
        rows = [
            {
                "member": each.member,
                "state": each.standing(now),
                "created": _moment(each.created),
                "expires": _moment(each.expires),
                "applied": _moment(each.applied.applied) if each.applied else None,
                "source": each.applied.source if each.applied else "",
                "wrong": each.wrong,
                "copies": each.copies,
                "approvers": list(each.approvers),
                "decided": _moment(each.decided) if each.decided else None,
            }
            for each in enrolment.records.invites()
        ]
    print_table(rows, ("member", "state", "expires", "applied", "source", "wrong", "copies", "decided"), options.json)
    return 0


def _revoke(options: argparse.Namespace) -> int:
    from coordinator.access import leave_note

    with _enrolment(options.config) as (settings, enrolment):
        enrolment.revoke(options.member)
    leave_note(settings.state.dir, "revoke", options.member)
    print(f"{options.member} is revoked; a running coordinator cuts it off within a second")
    return 0


@contextmanager
def _enrolment(path: Path) -> Iterator[Any]:
    from coordinator import config
    from coordinator.enrolment import Enrolment
    from coordinator.store import Store

    settings = config.load(path)
    store = Store(settings.storage.url)
    try:
        yield settings, Enrolment(settings, store)
    finally:
        store.close()


def _listening(state: Path) -> str:
    try:
        document = json.loads((state / "listening.json").read_text("utf-8"))
        return str(document.get("enrolment", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _ttl(text: str) -> timedelta:
    match = _TTL.fullmatch(text)
    if match is None:
        raise InputError("invite-ttl", f"--ttl {text!r}: expected a time such as 30m, 72h or 7d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
