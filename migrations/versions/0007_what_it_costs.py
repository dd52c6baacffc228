"""What it costs: usage and bills of jobs, estimates of batches, cache writes of requests."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_ADDED = {
    "requests": ("written_tokens", "written_1h_tokens"),
    "jobs": ("usage", "cost", "reserved_usd"),
    "batches": ("estimate",),
}
_KINDS: dict[str, sa.types.TypeEngine[Any]] = {
    "reserved_usd": sa.Float(), "usage": sa.JSON(), "cost": sa.JSON(), "estimate": sa.JSON(),
}  # fmt: skip


def upgrade() -> None:
    """Columns that an older program left unknown stay empty; `results` fills them from the usage of the requests."""
    for table, names in _ADDED.items():
        for name in names:
            kind = _KINDS.get(name, sa.Integer())
            op.add_column(table, sa.Column(name, kind, nullable=True))
