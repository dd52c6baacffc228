"""results --layout: a batch's results once more, in the files of another layout."""

from __future__ import annotations

from dataclasses import replace

from batchflow.layouts.base import Layout
from batchflow.ledger import batches
from batchflow.steps.base.context import Context
from batchflow.steps.building.sources import items_in_order, same_source
from batchflow.steps.collecting.fetch import ResultsReport
from batchflow.steps.collecting.results_file import write_layout
from batchflow.tasks import registry as tasks


def also_in(context: Context, report: ResultsReport, layout: Layout) -> ResultsReport:
    """Write the results of a batch that were just fetched in a layout; returns the report with its files.

    Raises DataError where the layout wants the items of a data set that was changed.
    """
    with context.ledger.read() as tx:
        batch = batches.get(tx, report.name)
    item_of = items_in_order(tasks.of_spec(batch.task, batch.spec), same_source(batch), batch) if layout.ITEMS else None
    return replace(report, also=write_layout(context, batch, layout, item_of))
