"""The mark of a batch that is being deleted. It comes before anything is removed, and goes with the batch's row.

Nothing that a marked batch names has to be there: a delete that was cut has left no damage, and run again it goes on.
"""

from __future__ import annotations

from collections.abc import Iterable

from batchflow.ledger import Tx, batches
from batchflow.ledger.records import BatchRecord

MARK = "deleting"
"""The option of a batch that is its mark."""


def mark(tx: Tx, batch_ids: Iterable[int]) -> None:
    """Mark batches. The transaction has their rows, or the whole ledger."""
    for batch_id in batch_ids:
        options = batches.by_id(tx, batch_id).options
        batches.note(tx, batch_id, options={**options, MARK: True})


def is_marked(batch: BatchRecord) -> bool:
    """Tells whether a delete of the batch has begun and did not come to its end."""
    return bool(batch.options.get(MARK))


def finding(batch: BatchRecord) -> str:
    """The line of `ledger check` about a marked batch."""
    return f"{batch.name}: its delete was cut off, and some of its files may be gone: batchflow delete {batch.name}"
