"""Types of the ledger's columns, and the CHECKs that bound their words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, TypeDecorator
from sqlalchemy.engine import Dialect

from batchflow.errors import DamagedLedger

MOST = 2**31 - 1
"""The largest INTEGER of every database."""


def one_of(column: str, values: Iterable[StrEnum]) -> str:
    """SQL text of a CHECK that a column holds one of the values (or NULL).

    Not IN: SQLite builds a table of its list for every row that is checked, which costs more than writing the row.
    """
    return " OR ".join(f"{column} = {value.value!r}" for value in values)


class UtcDateTime(TypeDecorator[datetime]):
    """UTC-aware times on every database; SQLite, which has no zones, holds them as naive UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: they would be read back as something else."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time in the ledger needs a zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class's signature
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Callable[[Any], datetime | None] | None:
        """Returns the reader of a stored time, which raises DamagedLedger for anything else."""
        read = super().result_processor(dialect, coltype)

        def process(value: Any) -> datetime | None:
            try:
                return read(value) if read is not None else value
            except (ValueError, TypeError):
                text = f"the ledger is damaged: {str(value)[:60]!r} is not a time"
                raise DamagedLedger(text, hint="batchflow ledger check shows where") from None

        return process


class Count(TypeDecorator[int]):
    """A number that a vendor tells: one that is larger than any INTEGER becomes the largest."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the base class's signature
        """Bound it: 10**30 failed rows are a vendor's mistake, and no reason to fail with it."""
        return None if value is None else min(value, MOST)


LONG = BigInteger().with_variant(Integer, "sqlite")
"""SQLite\'s INTEGER key is 64 bits wide, and is the rowid."""
