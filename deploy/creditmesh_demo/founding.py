"""Write down a consortium for one demo run: authority, certificates, identities, and the coordinator's settings.

It starts no process; nodes' settings follow in `creditmesh_demo.folders`, once the port is known. Theory: it uses the
coordinator's own founding and enrolling functions, so a demo's members hold the same certificates and pins as real
ones; what differs is that one program sees all private keys here, which a real network never allows. Everything listens
on the loopback interface alone.
"""

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path

from coordinator import authority, config, consortium
from coordinator.keys_file import read_identity, write_new
from coordinator.log_store import load_log_key
from coordinator.store import Store
from creditmesh_demo.folders import RunFolders
from node.record_store import load_log_key as load_node_key
from node.witness_store import load_witness_key
from privacy.keys import IdentityKey
from privacy.log.note import COSIGNATURE

__all__ = ["found"]

CONSORTIUM = "demo"
COORDINATOR_LOG = "coordinator/privacy-log"
LOOPBACK = "127.0.0.1"

COORDINATOR_TOML = """\
[consortium]
name = "{name}"

[listen]
grpc = "{host}:0"

[tls]
ca = "keys/ca.pem"
certificate = "keys/server.pem"
key = "keys/server.key"

[authority]
key = "keys/ca.key"

[identity]
key = "keys/identity.key"

[storage]
url = "sqlite:///coordinator.db"

[policy]
rejoin_s = 2

[state]
dir = "."
"""


def found(run: RunFolders) -> None:
    """Found the consortium in the run's folders and enrol its members."""
    now = datetime.now(UTC)
    consortium.found(run.coordinator, consortium.Founding(CONSORTIUM, f"{LOOPBACK}:0", (LOOPBACK,)), now)
    settings_file = run.coordinator / "coordinator.toml"
    settings_file.write_text(COORDINATOR_TOML.format(name=CONSORTIUM, host=LOOPBACK), encoding="utf-8")
    settings = config.load(settings_file)
    store = Store(settings.storage.url)
    try:
        banks = [_enrol(store, settings, member, folder, now) for member, folder in run.nodes.items()]
    finally:
        store.close()
    _pin(run, banks)


def _enrol(
    store: Store, settings: config.CoordinatorConfig, member: str, state: Path, now: datetime
) -> consortium.Enrolment:
    """Make a member's keys and certificate in its state folder; return what others may know of them."""
    keys = state / "keys"
    keys.mkdir(parents=True, mode=0o700)
    seed, tls_key = secrets.token_bytes(32), authority.generate_key()
    bank = consortium.Enrolment(
        member=member,
        identity=IdentityKey.from_seed(seed).public.hex(),
        tls_public_pem=authority.public_key_of(tls_key),
        log=load_node_key(state, f"{member}/privacy-log").verifier().encode(),
        witness=load_witness_key(state, member).verifier(COSIGNATURE).encode(),
    )
    certificate = consortium.enrol(settings, store, bank, now)
    write_new(keys / "identity.key", seed.hex().encode("ascii") + b"\n", 0o600)
    write_new(keys / "tls.key", tls_key, 0o600)
    write_new(keys / "certificate.pem", certificate, 0o644)
    write_new(keys / "ca.pem", settings.tls.ca.read_bytes(), 0o644)
    return bank


def _pin(run: RunFolders, banks: list[consortium.Enrolment]) -> None:
    """Give every member the public keys of the coordinator and of all members."""
    coordinator = read_identity(run.coordinator / "keys" / "identity.key").public.hex()
    log = load_log_key(run.coordinator, COORDINATOR_LOG).verifier().encode()
    document = {
        "coordinator": {"identity": coordinator, "log": log},
        "members": {
            bank.member: {"identity": bank.identity, "log": bank.log, "witness": bank.witness} for bank in banks
        },
    }
    for folder in run.nodes.values():
        write_new(folder / "keys" / "members.json", json.dumps(document, indent=1).encode("ascii"), 0o644)
