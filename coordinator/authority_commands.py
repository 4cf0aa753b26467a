"""The operator's command `renew-authority`: another authority in the old one's place, while the coordinator is stopped.

There is no overlap (docs/adr/0101): every bank joins anew with a code that pins the new authority, and keeps its keys,
its log and its pins. Theory: a crash in between leaves files that do not fit, and the same command, run again, makes
all of them anew; what it replaces stays beside it under the name of the day.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["add_authority_commands"]


def add_authority_commands(kinds: Any) -> None:
    """Add the command to the parser's subcommands."""
    renew = kinds.add_parser(
        "renew-authority", help="replace the authority; every bank then joins anew with a new code"
    )
    renew.add_argument("--config", type=Path, default=Path("coordinator.toml"), metavar="coordinator.toml")
    renew.set_defaults(run=_renew)


def _renew(options: argparse.Namespace) -> int:
    from coordinator import authority
    from coordinator.access import leave_note
    from coordinator.config import load
    from coordinator.keys_file import read_public
    from coordinator.log_store import LOG_ORIGIN
    from coordinator.mark_file import MarkFile
    from coordinator.server_certificate import hosts_of, replace_authority
    from coordinator.store import Store
    from privacy.errors import InputError

    settings = load(options.config)
    if settings.authority is None:
        raise InputError("authority-absent", "there is no [authority] key here; renew it where it is kept")
    if (settings.state.dir / "log.mark").exists():
        MarkFile(settings.state.dir / "log.mark", LOG_ORIGIN).close()  # refuses while the coordinator runs
    now, days = datetime.now(UTC), settings.policy.certificate_days
    root = authority.create_authority(settings.consortium.name, now)
    server = authority.issue_server_certificate(root, hosts_of(read_public(settings.tls.certificate)), now, days)
    kept = replace_authority(settings, root, server, now)
    leave_note(settings.state.dir, "renew-authority", authority.fingerprint(root.certificate_pem))
    print(f"fingerprint of the new authority: {authority.fingerprint(root.certificate_pem)}")
    print(f"kept, to be destroyed once every bank is back: {', '.join(path.name for path in kept)}")
    store = Store(settings.storage.url)
    try:
        names = [member.id for member in store.members() if member.status in ("active", "suspended")]
    finally:
        store.close()
    print("start the coordinator; then, for each bank, `invite BANK` here, and there: stop the node, put")
    print(
        "keys/certificate.pem aside, `creditmesh-node join CODE`, and `approve BANK` with the fingerprint it reads out:"
    )
    print(f"  {', '.join(names) or 'no member yet'}")
    return 0
