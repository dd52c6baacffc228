"""Labels as values: one row for each field that a person speaks about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_KEPT = "labels_before_0009"
_MOVED = """
    INSERT INTO labels (request_id, field, value, source, made_at)
    SELECT l.request_id, '{field}', CASE WHEN l.human_{field} THEN 1.0 ELSE 0.0 END, l.source, l.made_at
    FROM {kept} l WHERE l.human_{field} IS NOT NULL ORDER BY l.request_id
"""


def upgrade() -> None:
    """Labels as values: a number for each field, 0 and 1 for booleans. The table is made anew, as that of votes was."""
    tx = op.get_bind()
    tx.exec_driver_sql(f"CREATE TEMPORARY TABLE {_KEPT} AS SELECT * FROM labels")  # noqa: S608 - our own names
    op.drop_table("labels")
    op.create_table(
        "labels",
        sa.Column(
            "request_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_labels_request_id")),
        sa.PrimaryKeyConstraint("request_id", "field", name=op.f("pk_labels")),
        sqlite_with_rowid=False,
    )
    for field in ("answer_correct", "justification_correct", "both_correct"):
        tx.exec_driver_sql(_MOVED.format(field=field, kept=_KEPT))
    tx.exec_driver_sql(f"DROP TABLE {_KEPT}")
