"""ledger check: what the ledger says of itself, and of the files that it leads to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.ledger import Tx, batches, jobs
from batchflow.ledger.core import HEAD, LedgerReport
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.steps.base import deletion, payloads
from batchflow.steps.base.context import Context
from batchflow.steps.base.digests import is_whole
from batchflow.steps.base.payloads import store_of


def check(context: Context) -> LedgerReport:
    """Look for damage and contradictions, and for files, here and in the store, that are not as they were written.

    Files are looked at only where the ledger can be read.
    """
    report = context.ledger.check()
    if report.problems or report.revision != HEAD:
        return report
    with context.ledger.read() as tx:
        changed, kept = tuple(_changed_files(context, tx)), payloads.named(tx)
    return replace(report, problems=(*changed, *payloads.problems(context, kept)))


def _changed_files(context: Context, tx: Tx) -> Iterator[str]:
    project = context.settings.project
    for batch in batches.listing(tx):
        if deletion.is_marked(batch):
            yield deletion.finding(batch)
            continue
        for job in jobs.of_batch(tx, batch.id):
            here = [file for file in job.raw if (project / file["path"]).exists() or store_of(context) is None]
            yield from filter(None, (_fault(project, batch, job, file) for file in here))
        path = project / (batch.results_path or "")
        if path.is_file() and files.sha256(path) != batch.results_sha256:
            yield f"{batch.results_path} was changed since it was written: batchflow results {batch.name}"


def _fault(project: Path, batch: BatchRecord, job: JobRecord, file: Mapping[str, Any]) -> str:
    """Describes the damage of a raw file; empty where it is whole, or where another host's folder holds the batch."""
    if is_whole(project, file):
        return ""
    again = f"batchflow results {batch.name} --again"
    if (project / file["path"]).exists():
        return f"{file['path']}: the raw output of {batch.name} was changed or cut since it was downloaded: {again}"
    return f"{file['path']}: the raw output of {batch.name} is gone: {again}" if (project / job.path).exists() else ""
