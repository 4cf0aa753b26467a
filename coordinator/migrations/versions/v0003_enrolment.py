"""Invitations, their approvals, the members' own signed entries, and every certificate that was issued."""

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0003"
down_revision = "0002"

_sequence = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _invites()
    op.create_table(
        "member_entries",
        sa.Column("member", sa.String(63), sa.ForeignKey("members.id"), primary_key=True),
        sa.Column("entry", sa.Text, nullable=False),
    )
    op.create_table(
        "certificates",
        sa.Column("serial", sa.String(48), primary_key=True),
        sa.Column("member", sa.String(63), sa.ForeignKey("members.id"), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("issued", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_certificates_member", "certificates", ["member"])


def _invites() -> None:
    op.create_table(
        "invites",
        sa.Column("number", _sequence, primary_key=True, autoincrement=True),
        sa.Column("member", sa.String(63), nullable=False),
        sa.Column("verifier", sa.String(64), nullable=False, unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("wrong", sa.Integer, nullable=False),
        sa.Column("copies", sa.Integer, nullable=False),
        sa.Column("applied", sa.BigInteger),
        sa.Column("request", sa.Text),
        sa.Column("entry", sa.Text),
        sa.Column("fingerprint", sa.String(63)),
        sa.Column("source", sa.String(63)),
        sa.Column("decided", sa.BigInteger),
        sa.Column("certificate", sa.Text),
    )
    op.create_index("ix_invites_member", "invites", ["member"])
    op.create_table(
        "invite_approvals",
        sa.Column("invite", _sequence, sa.ForeignKey("invites.number"), primary_key=True, autoincrement=False),
        sa.Column("approver", sa.String(63), primary_key=True),
        sa.Column("t", sa.BigInteger, nullable=False),
    )
