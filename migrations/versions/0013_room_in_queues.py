"""Room that jobs take in a vendor's queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """A job's prompt tokens; those of jobs that are out already are measured when they are needed."""
    op.add_column("jobs", sa.Column("enqueued_tokens", sa.BigInteger(), nullable=True))
