"""What a job needs to go on after a crash, what an operator wishes of it, and where it stands."""

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add two columns to `jobs`, and the tables `progress`, `sums`, `farewells` and `live`."""
    op.add_column("jobs", sa.Column("wish", sa.String(16)))
    op.add_column("jobs", sa.Column("not_before", sa.BigInteger))
    op.create_table(
        "progress",
        sa.Column("job", sa.String(63), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "sums",
        sa.Column("job", sa.String(63), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "farewells",
        sa.Column("job", sa.String(63), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("member", sa.String(63), primary_key=True),
    )
    op.create_table(
        "live",
        sa.Column("job", sa.String(63), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("t", sa.BigInteger, nullable=False),
    )
