"""What need not be counted or looked for again: the requests of a job by outcome, and answers that address the judge."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Two columns of JSON; empty ones are counted and looked for as before."""
    op.add_column("jobs", sa.Column("counts", sa.JSON(), nullable=True))
    op.add_column("batches", sa.Column("flagged", sa.JSON(), nullable=True))
