"""A ledger into another database, row by row: SQLite to PostgreSQL when a laptop's project becomes a team's, and back.

The copy is one transaction on the target, which is read back and compared before it is committed. Meanwhile nobody
writes to the source. Ids, tokens and the ledger's own id stay, so that vendors' batches are found as before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from batchflow import files
from batchflow.errors import LedgerError, NotReady
from batchflow.ledger import dialect, transactions
from batchflow.ledger.core import HEAD, Ledger
from batchflow.ledger.models import BATCHES, JOBS, LEASES, METADATA

_CHUNK = 2000  # rows in memory


@dataclass(frozen=True, slots=True)
class TableCopy:
    """One table of a copied ledger. sha256: of its rows in the order of their keys, the same on both sides."""

    name: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CopyReport:
    """Report of `ledger copy`."""

    source: str
    target: str
    tables: tuple[TableCopy, ...]
    next: str


def copy(source: Ledger, target: Ledger) -> CopyReport:
    """Copy a ledger into an empty one. All or nothing.

    Raises LedgerError where the source is older than this program, the target holds batches, or what was written reads
    otherwise; NotReady while a worker of the source is at work, who would go on writing there.
    """
    if (revision := source.revision()) != HEAD:
        text = f"the ledger {source.url} is at revision {revision or 'none'}, this program needs {HEAD}"
        raise LedgerError(text, hint="batchflow ledger upgrade")
    with source.write() as old, target.write() as new:
        transactions.without_hurry(old)
        _refuse_worker(old)
        if new.scalar(sa.select(sa.func.count()).select_from(BATCHES)):
            text = f"the ledger {target.url} holds batches already"
            raise LedgerError(text, hint="name an empty database: ledgers are copied, not merged")
        copies = tuple(_summed(table, _inserted(old, new, table)) for table in METADATA.sorted_tables)
        for table in METADATA.sorted_tables:
            dialect.reserve_ids(old, new, table)
        for table, written in zip(METADATA.sorted_tables, copies, strict=True):
            if _summed(table, _chunks(new, table, new)) != written:
                raise LedgerError(f"table {table.name} reads back differently; nothing was copied")
    follow = "set BATCHFLOW_DATABASE_URL to the new ledger, then: batchflow ledger check"
    return CopyReport(source.url, target.url, copies, follow)


def _refuse_worker(tx: sa.Connection) -> None:
    now = dialect.now(tx)
    query = sa.select(BATCHES.c.name, LEASES.c.beat_at, LEASES.c.length_s).select_from(
        LEASES.join(JOBS, JOBS.c.id == LEASES.c.job_id).join(BATCHES, BATCHES.c.id == JOBS.c.batch_id)
    )
    busy = sorted({row.name for row in tx.execute(query) if (now - row.beat_at).total_seconds() < row.length_s})
    if busy:
        text = f"a worker is at work on {', '.join(busy)}, and would go on writing to the old ledger"
        raise NotReady(text, hint=f"wait for it (batchflow get {busy[0]} --wait), or batchflow cancel {busy[0]}")


def _inserted(old: sa.Connection, new: sa.Connection, table: sa.Table) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table, each chunk once it is in the target."""
    new.execute(sa.delete(table))  # a new ledger has an id of its own
    for rows in _chunks(old, table, new):
        new.execute(sa.insert(table), rows)
        yield rows


def _summed(table: sa.Table, chunks: Iterable[list[dict[str, Any]]]) -> TableCopy:
    digest, count = hashlib.sha256(), 0
    for rows in chunks:
        digest.update(b"".join(map(_line, rows)))
        count += len(rows)
    return TableCopy(table.name, count, digest.hexdigest())


def _chunks(tx: sa.Connection, table: sa.Table, target: sa.Connection) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table in the order of their keys, with texts as the target can hold them."""
    query = sa.select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_CHUNK)
    for rows in tx.execute(query).mappings().partitions():
        yield [{name: dialect.storable(value, target) for name, value in row.items()} for row in rows]


def _line(row: dict[str, Any]) -> bytes:
    """A row's values in the order of its table's columns."""
    return files.dumps([value.isoformat() if isinstance(value, datetime) else value for value in row.values()]) + b"\n"
