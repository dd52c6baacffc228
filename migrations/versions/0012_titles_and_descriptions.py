"""Titles and descriptions of batches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Two texts that a person gives a batch."""
    op.add_column("batches", sa.Column("title", sa.Text(), nullable=True))
    op.add_column("batches", sa.Column("description", sa.Text(), nullable=True))
