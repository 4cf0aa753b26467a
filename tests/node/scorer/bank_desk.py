"""A bank with models in service, on the synthetic room: what tests of the scorer and its bench start from."""

import hashlib
import json
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from creditmesh_demo.room import write_room
from creditmesh_demo.room_banks import scaled

from node import config, model_store
from node.serving import InService, Serving, install
from node.source import read_table
from node.tokens import TokenFile
from node.toml_file import read_document
from risk.catalogue import recipe
from risk.dictionary import Dictionary, parse_dictionary
from risk.head import Head
from risk.lending_policy import parse_policy
from risk.modelfile import canonical_json, encode_head, encode_model
from risk.portrait import build_reference
from risk.spec import JobSpec
from risk.table import Table
from tests.risk.rooms import books_of, train

__all__ = ["ROOT", "applicants", "body", "dictionary", "in_service", "make_bank", "token"]

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = ROOT / "deploy/creditmesh_demo/room_schema.toml"
POLICY = ROOT / "deploy/samples/lending-policy.toml"
NODE_TOML = """
[member]
id = "rural_bank"
[coordinator]
endpoint = "127.0.0.1:9"
[tls]
ca = "ca.pem"
certificate = "node.pem"
key = "node.key"
[identity]
key = "identity.key"
peers = "members.json"
[source]
table = "rows.csv"
schema = "schema.toml"
[state]
dir = "state"
alarm_free_percent = 0
stop_free_percent = 0
[scoring]
listen = "127.0.0.1:0"
policy = "policy.toml"
reference = "reference.json"
"""


def dictionary() -> Dictionary:
    """Return the synthetic room's dictionary."""
    return parse_dictionary(read_document(SCHEMA), "schema.toml")


@lru_cache
def _trained() -> tuple[dict[str, bytes], bytes, tuple[Table, ...]]:
    """Return model files by name, a reference file, and the tables they came from."""
    declared = dictionary()
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        write_room(room, 3, scaled(0.05))
        tables = tuple(read_table(path, declared, path.stem) for path in sorted(room.glob("*.csv")))
    made = {}
    for name, parameters in (("scorecard", {}), ("trees", {"trees": 20})):
        found = recipe(name)
        spec = JobSpec(
            name, found.version, found.parse_parameters(parameters), declared, len(tables), 1 << 16, 0, 300_000
        )
        made[name] = train(spec, books_of(list(tables), spec)).model
    head = encode_head(Head(-0.1, 0.7, 0.3), made["trees"], made["scorecard"])
    files = {name: encode_model(model) for name, model in made.items()} | {"head": head}
    policy = parse_policy(read_document(POLICY), "policy.toml")
    reference = canonical_json(build_reference(tables[0], declared, policy.portrait).to_document())
    return files, reference, tables


def make_bank(folder: Path, champion: str = "scorecard", challenger: str | None = None) -> config.NodeConfig:
    """Write a bank's folder with this model in service and return its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    files, reference, _ = _trained()
    (folder / "node.toml").write_text(NODE_TOML, "utf-8")
    (folder / "reference.json").write_bytes(reference)
    shutil.copy(SCHEMA, folder / "schema.toml")
    shutil.copy(POLICY, folder / "policy.toml")
    settings = config.load(folder / "node.toml")
    for content in files.values():
        model_store.put(settings.state.dir, content)
    other = None if challenger is None else in_service(challenger)
    install(settings.state.dir, dictionary(), Serving(in_service(champion), other))
    return settings


def in_service(name: str) -> InService:
    """Return how `serving.json` names a model: `scorecard`, `trees`, or `head` for both mixed."""
    files, _, _ = _trained()
    names = {each: hashlib.sha256(content).hexdigest() for each, content in files.items()}
    if name == "head":
        return InService("mixed", "head", names["trees"], names["scorecard"], names["head"])
    return InService("network", f"{name}/1", names[name], None, None)


def token(settings: config.NodeConfig, role: str = "scorer") -> str:
    """Return a fresh token of a role."""
    return TokenFile(settings.state.dir).add(f"test-{role}", role, "2026-11-24T00:00:00Z")


@lru_cache
def applicants() -> tuple[dict[str, Any], ...]:
    """Return a few hundred applicants as a caller would send their fields."""
    _, _, tables = _trained()
    declared = dictionary()
    table = tables[-1]
    found = []
    for at in range(table.rows):
        record: dict[str, Any] = {}
        for field in declared.model_fields:
            value = table.columns[field.name][at]
            if field.kind == "category":
                if value >= 0:
                    record[field.name] = field.levels[int(value)]
            elif value == value:
                record[field.name] = float(value)
        found.append(record)
    return tuple(found)


def body(number: int, **more: Any) -> bytes:
    """Return the body of an application with an id of its own."""
    rows = applicants()
    document = {
        "application_id": f"A-{number}",
        "fields": rows[number % len(rows)],
        "sources": [
            {"source": source, "as_of": "2026-11-20", "consent_id": f"C-{number}"}
            for source in ("bureau", "vat_declarations", "tax_invoices", "settlement_flow")
        ],
        "monthly_inflow": 152_000.0,
        "other_exposure": 20_000.0,
        "requested_amount": 300_000,
        "screening": {"blacklist": "clear"},
    }
    return json.dumps({**document, **more}).encode("utf-8")
