"""An operator's folder: a founded consortium, its settings and a job file, all valid.

It starts nothing. Tests break one thing in it and look at what is said.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from coordinator.consortium import Founding, found
from privacy.log.note import COSIGNATURE, NoteSigner
from tests.node.bank import SCHEMA

__all__ = ["JOB", "Operator", "make_operator", "vkeys"]

JOB = """[job]
recipe = "scorecard"
schema = "schema.toml"
"""


@dataclass(frozen=True, slots=True)
class Operator:
    """Where everything lies."""

    folder: Path
    config: Path
    job: Path
    schema: Path

    @property
    def database(self) -> Path:
        """Return the SQLite file that the settings name."""
        return self.folder / "coordinator.db"


def make_operator(folder: Path) -> Operator:
    """Found the consortium `demo` in `folder`, listening on a free port of this machine."""
    found(folder, Founding("demo", "127.0.0.1:0", ("127.0.0.1", "localhost")), datetime.now(UTC))
    schema, job = folder / "schema.toml", folder / "job.toml"
    schema.write_text(SCHEMA, encoding="utf-8")
    job.write_text(JOB, encoding="utf-8")
    return Operator(folder, folder / "coordinator.toml", job, schema)


def vkeys(member: str) -> tuple[str, str]:
    """Return the verifier keys of a bank's log and of its cosignatures."""
    seed = hashlib.sha256(member.encode()).digest()
    log, witness = NoteSigner(f"{member}/privacy-log", seed), NoteSigner(f"{member}/witness", seed[::-1])
    return log.verifier().encode(), witness.verifier(COSIGNATURE).encode()
