"""Votes as values: one row for each field that a judge speaks about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# the CHECK is spelled out, since a later program may know other words
_STATUS = "status = 'valid' OR status = 'missing' OR status = 'unparsed' OR status = 'abstained'"
_KEPT = "votes_before_0006"
_VOTED = "CASE WHEN v.{old} THEN 1.0 WHEN NOT v.{old} THEN 0.0 END"
# a rule spoke about the answer only; all others spoke about both, also where their verdict is missing
_MOVED = """
    INSERT INTO votes (request_id, field, subject_id, status, value)
    SELECT v.request_id, '{old}', v.subject_id, v.status, {voted}
    FROM {kept} v JOIN batches b ON b.id = v.request_id >> 32
    WHERE ({wanted}) AND (v.status <> 'valid' OR v.{old} IS NOT NULL)
    ORDER BY v.request_id
"""


def upgrade() -> None:
    """Votes as values: a number for each field that a judge speaks about, 0 and 1 for booleans.

    The table is made anew: a rename would keep the names of its constraints, which PostgreSQL has once only.
    """
    tx = op.get_bind()
    tx.exec_driver_sql(f"CREATE TEMPORARY TABLE {_KEPT} AS SELECT * FROM votes")  # noqa: S608 - our own names
    op.drop_table("votes")
    op.create_table(
        "votes",
        sa.Column(
            "request_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(_STATUS, name=op.f("ck_votes_status")),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_votes_request_id")),
        sa.PrimaryKeyConstraint("request_id", "field", name=op.f("pk_votes")),
        sqlite_with_rowid=False,
    )
    for old, wanted in (("is_answer_correct", "1 = 1"), ("is_justification_correct", "b.provider <> 'rule'")):
        voted = _VOTED.format(old=old)
        tx.exec_driver_sql(_MOVED.format(old=old, voted=voted, kept=_KEPT, wanted=wanted))
    tx.exec_driver_sql(f"DROP TABLE {_KEPT}")
