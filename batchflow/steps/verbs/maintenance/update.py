"""update: a person's title and description of a batch. What was prepared stays as it is."""

from __future__ import annotations

from dataclasses import dataclass

from batchflow.errors import UsageError
from batchflow.ledger import batches
from batchflow.steps.base.context import Context


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """The batch as it is described now."""

    name: str
    handle: str
    title: str | None
    description: str | None
    rehearsal: bool
    next: str


def update(context: Context, name: str, *, title: str | None = None, description: str | None = None) -> UpdateReport:
    """Set what is given; an empty text takes it away. Raises UnknownBatch, and UsageError where nothing is given."""
    given = {"title": title, "description": description}
    facts = {key: text.strip() or None for key, text in given.items() if text is not None}
    if not facts:
        raise UsageError(
            "nothing is to be changed",
            hint="--title TEXT or --description TEXT; model, prompt and parameters are fixed: prepare a new batch",
        )
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
    with context.ledger.write(batch.id) as tx:
        batches.note(tx, batch.id, **facts)
        batch = batches.by_id(tx, batch.id)
    return UpdateReport(
        batch.name, batch.handle, batch.title, batch.description, batch.rehearsal, f"batchflow show {batch.name}"
    )
