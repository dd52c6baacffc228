"""The end of a worker whose host takes a part at a time: it starts the worker of the next free part.

Where none is free and other hosts are at work, one process of this host stands by: a part whose worker dies is taken
over once its lease has run out. A worker that was stopped, or met trouble, starts nobody: `start` goes on.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from batchflow import files, settings
from batchflow.errors import BatchflowError, LedgerError
from batchflow.ledger import Ledger, batches, jobs, leases
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.local.worker import worker
from batchflow.states import State
from batchflow.steps.base.context import Context
from batchflow.steps.base.vendor_calls import connected
from batchflow.steps.sending import host_share
from batchflow.steps.sending.host_share import Taken
from batchflow.steps.workers.lease_keeper import BEATS, LEASE_S
from batchflow.vocabulary import COMPLETED, PROGRESS

TRIES = 10  # looks at a ledger that cannot be reached


def go_on(path: Path, project: settings.Settings) -> None:
    """Take the next free part of the batch whose job lies in a folder, where this process has done that job."""
    if not _has_completed(path):
        return
    ledger = Ledger.open(project.database_url, migrate=False)
    try:
        context = Context(ledger, project, say=worker.say)
        if (batch := _shared(context, path.name)) is not None:
            _until_taken(context, batch)
    except BatchflowError as error:
        worker.say(project.hide(f"no further part was taken: {error}"))
    finally:
        ledger.close()


def _has_completed(path: Path) -> bool:
    try:
        progress = files.loads((path / PROGRESS).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(progress.get("word") == COMPLETED and progress.get("pid") == os.getpid())


def _shared(context: Context, token: str) -> BatchRecord | None:
    """The batch of a job, where this host takes its parts one after another."""
    with context.ledger.read() as tx:
        job_id = leases.job_of(tx, token)
        batch = None if job_id is None else batches.by_id(tx, jobs.get(tx, job_id).batch_id)
    return batch if batch is not None and host_share.at_once(context, batch) else None


def _until_taken(context: Context, batch: BatchRecord) -> None:
    """Take what is free; where other hosts have the rest, stand by until it is done or free again."""
    with host_share.standing_by(context, batch) as alone:
        first, failures = True, 0
        while first or alone or failures:
            try:
                taken, failures = _take(context, batch), 0
            except LedgerError:
                failures += 1
                if failures == TRIES:
                    raise
            else:
                if taken is None or taken.parts or not taken.elsewhere:
                    return
                if first and alone:
                    worker.say(f"{batch.name}: other hosts have the rest; standing by in case one of them dies")
            first = False
            context.ledger.close()  # connections are not kept while it waits
            time.sleep(context.tuned("lease_s", LEASE_S) / BEATS)


def _take(context: Context, batch: BatchRecord) -> Taken | None:
    """Take what is free now; None where nothing may be taken."""
    with context.ledger.read() as tx:
        latest = batches.find(tx, batch.name)
        parts = jobs.of_batch(tx, batch.id) if latest is not None and latest.id == batch.id else ()
    most = host_share.at_once(context, batch)
    if not parts or not most or latest is None or _waits_for_its_canary(latest, parts):
        return None
    with connected(context, latest) as session:
        return host_share.take(session, parts, most)


def _waits_for_its_canary(batch: BatchRecord, parts: tuple[JobRecord, ...]) -> bool:
    """Tells whether nothing behind a canary has been sent: `start` decides on its answers."""
    return "canary" in batch.options and all(job.state is State.PREPARED for job in parts[1:])
