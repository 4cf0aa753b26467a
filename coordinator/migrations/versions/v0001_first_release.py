"""Members, jobs, rounds, events, models and releases, as the first release made them.

It makes only what is missing: a database of the first release has these tables and no version.
"""

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None

_sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _members_and_jobs()
    _history()
    op.create_table(
        "models",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("job", sa.String(63), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "releases",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("job", sa.String(63), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("released", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )


def _members_and_jobs() -> None:
    op.create_table(
        "members",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("identity", sa.String(64), nullable=False, unique=True),
        sa.Column("certificate_serial", sa.String(48), nullable=False, unique=True),
        sa.Column("status", sa.String(16), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "member_keys",
        sa.Column("member", sa.String(63), sa.ForeignKey("members.id"), primary_key=True),
        sa.Column("log", sa.Text, nullable=False),
        sa.Column("witness", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "jobs",
        sa.Column("number", _sequence, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(63), nullable=False, unique=True),
        sa.Column("recipe", sa.String(63), nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        if_not_exists=True,
    )


def _history() -> None:
    op.create_table(
        "rounds",
        sa.Column("job", sa.String(63), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", sa.String(127), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("survivors", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        if_not_exists=True,
    )
    op.create_table(
        "events",
        sa.Column("seq", _sequence, primary_key=True, autoincrement=True),
        sa.Column("job", sa.String(63), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("t", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_events_job", "events", ["job"], if_not_exists=True)
