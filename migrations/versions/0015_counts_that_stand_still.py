"""Counts of a vendor that stand still."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """The time at which a job's counts last changed; it is not known of counts that were heard before."""
    op.add_column("jobs", sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True))
