"""Proposals to promote a model, and the banks' signed ballots on them."""

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0004"
down_revision = "0003"

_sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "proposals",
        sa.Column("number", _sequence, primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("job", sa.String(63), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("proposed", sa.BigInteger, nullable=False),
        sa.Column("closed", sa.BigInteger),
    )
    op.create_index("ix_proposals_model", "proposals", ["model"])
    op.create_table(
        "ballots",
        sa.Column("proposal", _sequence, sa.ForeignKey("proposals.number"), primary_key=True, autoincrement=False),
        sa.Column("member", sa.String(63), primary_key=True),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("t", sa.BigInteger, nullable=False),
    )
