"""The first ledger."""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The first ledger."""
    op.create_table(
        "batches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("retries_id", sa.Integer(), nullable=True),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("split", sa.Text(), nullable=False),
        sa.Column("hints", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("dataset_path", sa.Text(), nullable=False),
        sa.Column("dataset_sha256", sa.String(length=64), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("template_sha256", sa.String(length=64), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("spec_sha256", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=16), nullable=False),
        sa.Column("n_requests", sa.Integer(), nullable=False),
        sa.Column("hint_counts", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("rehearsal", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("results_path", sa.Text(), nullable=True),
        sa.Column("results_sha256", sa.String(length=64), nullable=True),
        sa.Column("results_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind = 'prediction' OR kind = 'judge'", name=op.f("ck_batches_kind")),
        sa.ForeignKeyConstraint(["parent_id"], ["batches.id"], name=op.f("fk_batches_parent_id")),
        sa.ForeignKeyConstraint(["retries_id"], ["batches.id"], name=op.f("fk_batches_retries_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("name", name=op.f("uq_batches_name")),
    )
    op.create_index(op.f("ix_batches_parent_id"), "batches", ["parent_id"], unique=False)
    op.create_index(op.f("ix_batches_retries_id"), "batches", ["retries_id"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_meta")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("n_requests", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sending_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("remote_file", sa.Text(), nullable=True),
        sa.Column("remote_id", sa.String(length=256), nullable=True),
        sa.Column("adopted", sa.Boolean(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=True),
        sa.Column("word", sa.Text(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=True),
        sa.Column("failed", sa.Integer(), nullable=True),
        sa.Column("speed", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("raw", sa.JSON(), nullable=False),
        sa.Column("oddities", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "state = 'prepared' OR state = 'starting' OR state = 'sending' OR state = 'running' OR state = 'ended' OR state = 'fetched' OR state = 'refused' OR state = 'unsure' OR state = 'lost' OR state = 'cancelled'",
            name=op.f("ck_jobs_state"),
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_jobs_batch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("batch_id", "part", name=op.f("uq_jobs_batch_id")),
        sa.UniqueConstraint("remote_id", name=op.f("uq_jobs_remote_id")),
        sa.UniqueConstraint("token", name=op.f("uq_jobs_token")),
    )
    op.create_index(op.f("ix_jobs_state"), "jobs", ["state"], unique=False)
    op.create_table(
        "scores",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_scores_batch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scores")),
    )
    op.create_index(op.f("ix_scores_batch_id"), "scores", ["batch_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "event = 'claim' OR event = 'release' OR event = 'send' OR event = 'accept' OR event = 'adopt' OR event = 'refuse' OR event = 'doubt' OR event = 'bounce' OR event = 'finish' OR event = 'fetch' OR event = 'disown' OR event = 'lose' OR event = 'resend' OR event = 'abandon'",
            name=op.f("ck_events_event"),
        ),
        sa.CheckConstraint(
            "state = 'prepared' OR state = 'starting' OR state = 'sending' OR state = 'running' OR state = 'ended' OR state = 'fetched' OR state = 'refused' OR state = 'unsure' OR state = 'lost' OR state = 'cancelled'",
            name=op.f("ck_events_state"),
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_events_batch_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_events_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_batch_id"), "events", ["batch_id"], unique=False)
    op.create_index(op.f("ix_events_job_id"), "events", ["job_id"], unique=False)
    op.create_table(
        "requests",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("custom_id", sa.String(length=64), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("content", sa.String(length=32), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("parsed", sa.String(length=16), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("cached_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=True),
        sa.Column("raw_job_id", sa.Integer(), nullable=True),
        sa.Column("raw_file", sa.Integer(), nullable=True),
        sa.Column("raw_offset", sa.BigInteger(), nullable=True),
        sa.Column("raw_length", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "outcome = 'ok' OR outcome = 'refused' OR outcome = 'error' OR outcome = 'expired' OR outcome = 'cancelled' OR outcome = 'missing'",
            name=op.f("ck_requests_outcome"),
        ),
        sa.CheckConstraint(
            "parsed = 'strict' OR parsed = 'repaired' OR parsed = 'unparsed'", name=op.f("ck_requests_parsed")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_requests_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
    )
    op.create_index(op.f("ix_requests_job_id"), "requests", ["job_id"], unique=False)
    op.create_table(
        "votes",
        sa.Column(
            "request_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("is_answer_correct", sa.Boolean(), nullable=True),
        sa.Column("is_justification_correct", sa.Boolean(), nullable=True),
        sa.CheckConstraint(
            "status = 'valid' OR status = 'missing' OR status = 'unparsed' OR status = 'abstained'",
            name=op.f("ck_votes_status"),
        ),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name=op.f("fk_votes_request_id")),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_votes")),
    )
    op.create_index(op.f("ix_votes_subject_id"), "votes", ["subject_id"], unique=False)
    meta = sa.table("meta", sa.column("key", sa.String), sa.column("value", sa.Text))
    op.bulk_insert(meta, [{"key": "ledger_id", "value": uuid.uuid4().hex}])
