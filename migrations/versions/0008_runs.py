"""Runs: what `batchflow run` was asked to do with a batch, so that `tick` can go on with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """A table with a row for each batch of questions of a run."""
    op.create_table(
        "runs",
        sa.Column("batch_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wish", sa.JSON(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_runs_batch_id")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_runs")),
    )
