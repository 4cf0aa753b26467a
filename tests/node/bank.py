"""A bank's folder as an operator leaves it: table, schema, keys, certificate, members.json and node.toml, all valid.

It starts nothing. Tests break one thing in it and look at what is said.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from coordinator import authority
from node.record_store import load_log_key
from node.witness_store import load_witness_key
from privacy.keys import IdentityKey
from privacy.log.note import COSIGNATURE, NoteSigner

__all__ = ["HEADER", "ROWS", "SCHEMA", "Bank", "make_bank", "write_table"]

SCHEMA = """
name = "room"
version = 1
title = "a room"
source = "made for tests"

[target]
field = "bad"
meaning = "1 = the loan went bad"

[time]
field = "month"
format = "%Y-%m"

[accepted]
field = "accepted"

[borrower]
field = "borrower"

[[field]]
name = "turnover"
dimension = "operating"
type = "number"
unit = "CNY"
bounds = [0, 1000]
risk_when_rising = "down"
text = "yearly turnover"
special = [-999]

[[field]]
name = "young"
dimension = "scenario"
type = "flag"
risk_when_rising = "up"
text = "younger than two years"

[[field]]
name = "industry"
dimension = "scenario"
type = "category"
levels = ["31", "52", "farm, fish"]
risk_when_rising = "free"
text = "industry"

[[field]]
name = "region"
dimension = "scenario"
type = "category"
levels = ["north", "south"]
risk_when_rising = "free"
use = "segment"
text = "region"

[[field]]
name = "note"
dimension = "behaviour"
type = "number"
unit = "points"
bounds = [0, 1]
risk_when_rising = "free"
use = "ignore"
text = "not used"
"""

HEADER = "borrower,month,accepted,turnover,young,industry,region,note,bad"
ROWS = (
    "b1,2007-02,1,10.5,0,31,north,0.5,0",
    'b2,2007-03,1,,1,"farm, fish",south,,1',
    "b3,2007-12,1,-999,,52,,abc,0",
    "b4,,1,1000,1,,north,7,1",
    "b5,2008-01,0,5,0,31,north,0,",
)


@dataclass(frozen=True, slots=True)
class Bank:
    """Where everything lies; `other` is the credential of another consortium's authority."""

    folder: Path
    config: Path
    table: Path
    schema: Path
    other: authority.Credential


def write_table(path: Path, *rows: str, header: str = HEADER) -> Path:
    """Write a CSV of these lines and return its path."""
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def make_bank(folder: Path, member: str = "alpha") -> Bank:
    """Make the folder of one member of a consortium called `demo`, with three other members pinned."""
    now = datetime.now(UTC)
    root, other = authority.create_authority("demo", now), authority.create_authority("other", now)
    key = authority.generate_key()
    certificate = authority.issue_member_certificate(root, member, authority.public_key_of(key), now)
    seeds = {name: bytes([place]) * 32 for place, name in enumerate((member, "beta", "delta", "gamma"), start=1)}
    log = NoteSigner("coordinator/privacy-log", bytes(32)).verifier().encode()
    state = folder / "state"
    members = {name: _pins(name, seed) for name, seed in seeds.items()}
    members[member]["log"] = load_log_key(state, f"{member}/privacy-log").verifier().encode()
    members[member]["witness"] = load_witness_key(state, member).verifier(COSIGNATURE).encode()
    peers = {
        "coordinator": {"identity": IdentityKey.from_seed(bytes(32)).public.hex(), "log": log},
        "members": members,
    }
    _write(folder / "ca.pem", root.certificate_pem)
    _write(folder / "node.pem", certificate)
    _write(folder / "node.key", key, mode=0o600)
    _write(folder / "identity.key", seeds[member].hex().encode("ascii") + b"\n", mode=0o600)
    _write(folder / "members.json", json.dumps(peers).encode("utf-8"))
    _write(folder / "schema.toml", SCHEMA.encode("utf-8"))
    table = write_table(folder / f"{member}.csv", *ROWS)
    config = folder / "node.toml"
    config.write_text(
        f"""[member]
id = "{member}"
[coordinator]
endpoint = "127.0.0.1:8443"
[tls]
ca = "ca.pem"
certificate = "node.pem"
key = "node.key"
[identity]
key = "identity.key"
peers = "members.json"
[source]
table = "{table.name}"
schema = "schema.toml"
[permit]
min_rows = 1
min_bads = 1
[state]
dir = "state"
""",
        encoding="utf-8",
    )
    return Bank(folder, config, table, folder / "schema.toml", other)


def _pins(name: str, seed: bytes) -> dict[str, str]:
    log = NoteSigner(f"{name}/privacy-log", bytes([seed[0] + 50]) * 32)
    witness = NoteSigner(f"{name}/witness", bytes([seed[0] + 100]) * 32)
    return {
        "identity": IdentityKey.from_seed(seed).public.hex(),
        "log": log.verifier().encode(),
        "witness": witness.verifier(COSIGNATURE).encode(),
    }


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.write_bytes(content)
    path.chmod(mode)
