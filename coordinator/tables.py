"""The SQL tables behind `coordinator.store`: portable types, text for JSON, UTC microseconds for times.

This module opens no database. Theory: keys that the protocol knows (member, job, round number) are the primary keys, so
a second writer of the same fact collides instead of adding a twin.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text

__all__ = [
    "accounts",
    "ballots",
    "certificates",
    "events",
    "farewells",
    "invite_approvals",
    "invites",
    "jobs",
    "live",
    "member_entries",
    "member_keys",
    "members",
    "metadata",
    "models",
    "progress",
    "proposals",
    "releases",
    "rounds",
    "sums",
]

metadata = MetaData()
_sequence = BigInteger().with_variant(Integer, "sqlite")

members = Table(
    "members",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("identity", String(64), nullable=False, unique=True),
    Column("certificate_serial", String(48), nullable=False, unique=True),
    Column("status", String(16), nullable=False),
)
member_keys = Table(
    "member_keys",
    metadata,
    Column("member", String(63), ForeignKey("members.id"), primary_key=True),
    Column("log", Text, nullable=False),
    Column("witness", Text, nullable=False),
)
jobs = Table(
    "jobs",
    metadata,
    Column("number", _sequence, primary_key=True, autoincrement=True),
    Column("id", String(63), nullable=False, unique=True),
    Column("recipe", String(63), nullable=False),
    Column("spec", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("wish", String(16)),
    Column("not_before", BigInteger),
)
progress = Table(
    "progress",
    metadata,
    Column("job", String(63), ForeignKey("jobs.id"), primary_key=True),
    Column("manifest", Text, nullable=False),
    Column("document", Text, nullable=False),
)
sums = Table(
    "sums",
    metadata,
    Column("job", String(63), ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)
farewells = Table(
    "farewells",
    metadata,
    Column("job", String(63), ForeignKey("jobs.id"), primary_key=True),
    Column("member", String(63), primary_key=True),
)
live = Table(
    "live",
    metadata,
    Column("job", String(63), ForeignKey("jobs.id"), primary_key=True),
    Column("body", Text, nullable=False),
    Column("t", BigInteger, nullable=False),
)
rounds = Table(
    "rounds",
    metadata,
    Column("job", String(63), ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, nullable=False),
    Column("name", String(127), nullable=False),
    Column("state", String(16), nullable=False),
    Column("survivors", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("ended", BigInteger),
)
events = Table(
    "events",
    metadata,
    Column("seq", _sequence, primary_key=True, autoincrement=True),
    Column("job", String(63), ForeignKey("jobs.id"), nullable=False, index=True),
    Column("t", BigInteger, nullable=False),
    Column("kind", String(63), nullable=False),
    Column("body", Text, nullable=False),
)
models = Table(
    "models",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("job", String(63), ForeignKey("jobs.id"), primary_key=True),
    Column("path", Text, nullable=False),
)
releases = Table(
    "releases",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("job", String(63), ForeignKey("jobs.id"), primary_key=True),
    Column("released", BigInteger, nullable=False),
)
accounts = Table(
    "accounts",
    metadata,
    Column("number", _sequence, primary_key=True, autoincrement=True),
    Column("name", String(63), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("removed", BigInteger),
)
invites = Table(
    "invites",
    metadata,
    Column("number", _sequence, primary_key=True, autoincrement=True),
    Column("member", String(63), nullable=False, index=True),
    Column("verifier", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("wrong", Integer, nullable=False),
    Column("copies", Integer, nullable=False),
    Column("applied", BigInteger),
    Column("request", Text),
    Column("entry", Text),
    Column("fingerprint", String(63)),
    Column("source", String(63)),
    Column("decided", BigInteger),
    Column("certificate", Text),
)
invite_approvals = Table(
    "invite_approvals",
    metadata,
    Column("invite", _sequence, ForeignKey("invites.number"), primary_key=True, autoincrement=False),
    Column("approver", String(63), primary_key=True),
    Column("t", BigInteger, nullable=False),
)
member_entries = Table(
    "member_entries",
    metadata,
    Column("member", String(63), ForeignKey("members.id"), primary_key=True),
    Column("entry", Text, nullable=False),
)
certificates = Table(
    "certificates",
    metadata,
    Column("serial", String(48), primary_key=True),
    Column("member", String(63), ForeignKey("members.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("issued", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
)
proposals = Table(
    "proposals",
    metadata,
    Column("number", _sequence, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("model", String(64), nullable=False, index=True),
    Column("job", String(63), ForeignKey("jobs.id"), nullable=False),
    Column("document", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("proposed", BigInteger, nullable=False),
    Column("closed", BigInteger),
)
ballots = Table(
    "ballots",
    metadata,
    Column("proposal", _sequence, ForeignKey("proposals.number"), primary_key=True, autoincrement=False),
    Column("member", String(63), primary_key=True),
    Column("decision", String(16), nullable=False),
    Column("document", Text, nullable=False),
    Column("t", BigInteger, nullable=False),
)
