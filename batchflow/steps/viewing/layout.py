"""results --layout: a batch's results once more, in the files of another layout."""

from __future__ import annotations

from dataclasses import replace
from itertools import compress

from batchflow.layouts.base import Layout
from batchflow.ledger import batches
from batchflow.ledger.records import BatchRecord
from batchflow.steps.base.context import Context
from batchflow.steps.building.sources import items_in_order, same_source
from batchflow.steps.collecting.fetch import ResultsReport
from batchflow.steps.collecting.results_file import ValueOf, write_layout
from batchflow.steps.judging.ballot import of_batch
from batchflow.steps.judging.jury_lookup import judges_on
from batchflow.tasks import registry as tasks


def also_in(context: Context, report: ResultsReport, layout: Layout) -> ResultsReport:
    """Write the results of a batch that were just fetched in a layout; returns the report with its files.

    Raises DataError where the layout wants the items of a data set that was changed.
    """
    with context.ledger.read() as tx:
        batch = batches.get(tx, report.name)
    item_of = items_in_order(tasks.of_spec(batch.task, batch.spec), same_source(batch), batch) if layout.ITEMS else None
    value_of = _values(context, batch) if layout.VALUES else None
    return replace(report, also=write_layout(context, batch, layout, item_of, value_of))


def _values(context: Context, batch: BatchRecord) -> ValueOf | None:
    """Mean verdicts of the batch's jury, of the kind that suits its task; None without a jury."""
    with context.ledger.read() as tx:
        judges = batches.judges_of(tx, batch.id)
    if not judges:
        return None
    from batchflow.score.values import item_values

    made = of_batch(context, batch, judges_on(batch, judges, None))
    if not any(code >= 0 for judge in made.judges for code in judge.cast[made.field]):
        return None  # no vote has been fetched yet, or none could be read
    values = item_values(made.votes(), made.field)
    known = dict(zip(compress(made.items, values.judged), values.mean.tolist(), strict=True))
    return lambda item, sample: known.get(f"{item} #{sample}" if made.sampled else item)
