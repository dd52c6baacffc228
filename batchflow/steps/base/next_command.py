"""The next command to type: one answer for every verb, from what the ledger holds.

A batch leads to its results, these to a jury or a retry, a jury to the score; judges and retries of a batch go first.
"""

from __future__ import annotations

from collections.abc import Sequence

from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord, Tally
from batchflow.records import Kind
from batchflow.states import Event, Stage, State, stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.failure_reasons import can_retry, reasons
from batchflow.steps.base.worker_liveness import HANGS
from batchflow.vocabulary import STOPPED

NOT_FOUND = "not found"  # in place of a vendor's word: it says that it has no such batch
_OUT = frozenset({State.STARTING, State.SENDING, State.RUNNING})
_UNSENT = frozenset({Stage.PREPARED, Stage.STARTING, Stage.NEEDS_YOU})


def next_command(
    tx: Tx, batch: BatchRecord, found: Sequence[JobRecord] | None = None, tally: Tally | None = None
) -> str:
    """The command that brings a batch on. found, tally: its jobs and counts, where the caller knows them (better)."""
    found = jobs.of_batch(tx, batch.id) if found is None else found
    where = stage(job.state for job in found)
    if where is Stage.RUNNING:
        return f"batchflow {_while_running(found, batch.name)}"
    if where in _UNSENT:
        return f"batchflow start {batch.name}"
    if batch.kind is Kind.JUDGE:
        return _after_a_judge(tx, batch, where)
    if batch.retries_id is not None:
        return _after_a_retry(tx, batches.by_id(tx, batch.retries_id), where)
    if where is Stage.ENDED or _is_stale(tx, batch):
        return f"batchflow results {batch.name}"
    return _after_results(tx, batch, tally)


def next_of(context: Context, name: str) -> str:
    """`next_command` of the batch of that name as it stands now. Raises UnknownBatch."""
    with context.ledger.read() as tx:
        return next_command(tx, batches.get(tx, name))


def jury_command(tx: Tx, parent: BatchRecord, judges: Sequence[BatchRecord]) -> str:
    """Next command for the judges of a batch: send them, wait for them, then score."""
    stages = {judge.name: stage(job.state for job in jobs.of_batch(tx, judge.id)) for judge in judges}
    if unsent := [name for name, where in stages.items() if where in _UNSENT]:
        return f"batchflow start {' '.join(unsent)}"
    if running := [judge for judge in judges if stages[judge.name] is Stage.RUNNING]:
        commands = [_while_running(jobs.of_batch(tx, judge.id), judge.name) for judge in running]
        stuck = next((text for text in commands if not text.startswith("get ")), None)
        together = f"get {' '.join(judge.name for judge in running)} --wait"
        return f"batchflow {stuck or together}"
    return f"batchflow score {parent.name}"


def _while_running(found: Sequence[JobRecord], name: str) -> str:
    out = [job for job in found if job.state in _OUT]
    if any(job.word in {NOT_FOUND, HANGS} for job in out):
        return f"show {name}"
    if not out or any(job.word == STOPPED for job in out):
        return f"start {name}"  # parts wait for room or for the canary, or a local worker died: `start` goes on
    return f"get {name} --wait"


def _after_a_judge(tx: Tx, judge: BatchRecord, where: Stage) -> str:
    if where is Stage.ENDED or judge.parent_id is None:
        return f"batchflow results {judge.name}"
    parent = batches.by_id(tx, judge.parent_id)
    return jury_command(tx, parent, _whole_jury(tx, parent))


def _whole_jury(tx: Tx, parent: BatchRecord) -> list[BatchRecord]:
    """The judges of a batch, and the batches that ask them again."""
    judges = batches.judges_of(tx, parent.id)
    return [*judges, *(retry for judge in judges for retry in batches.retries_of(tx, judge.id))]


def _after_a_retry(tx: Tx, root: BatchRecord, where: Stage) -> str:
    """Its answers stand in the batch that it retries: that one's results are written anew, then that one goes on."""
    return f"batchflow results {root.name}" if where is Stage.ENDED else next_command(tx, root)


def _is_stale(tx: Tx, root: BatchRecord) -> bool:
    """True before the results file of a batch holds everything that was fetched for it."""
    if root.results_at is None:
        return True
    events = (event for retry in batches.retries_of(tx, root.id) for event in jobs.history(tx, retry.id))
    return any(event.event is Event.FETCH and event.at > root.results_at for event in events)


def _after_results(tx: Tx, batch: BatchRecord, tally: Tally | None) -> str:
    for retry in batches.retries_of(tx, batch.id):
        if stage(job.state for job in jobs.of_batch(tx, retry.id)) is not Stage.FINISHED:
            return next_command(tx, retry)
    if jury := _whole_jury(tx, batch):
        return jury_command(tx, batch, jury)
    tally = tally or request_rows.tally(tx, batch.id)
    if tally.answered:
        return f"batchflow jury {batch.results_path}"
    if not can_retry(reasons(tx, batch, tally)):
        return f"batchflow show {batch.name}"
    also = " --also unparsed" if tally.parsed else ""
    return f"batchflow retry {batch.name}{also}"
