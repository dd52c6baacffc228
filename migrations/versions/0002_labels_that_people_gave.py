"""Labels that people gave."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Labels that people gave."""
    op.create_table(
        "labels",
        sa.Column(
            "request_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("human_answer_correct", sa.Boolean(), nullable=True),
        sa.Column("human_justification_correct", sa.Boolean(), nullable=True),
        sa.Column("human_both_correct", sa.Boolean(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_labels_request_id")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_labels")),
    )
