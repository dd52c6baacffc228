"""start --concurrency and its like: another pace for a local batch that stands in the ledger."""

from __future__ import annotations

from typing import Any

from batchflow.errors import NotReady, UsageError
from batchflow.ledger import batches
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.local.base import options as local
from batchflow.states import FINAL, State
from batchflow.steps.base.context import Context, decimal, whole
from batchflow.steps.base.locks import here
from batchflow.steps.base.progress import worker_liveness
from batchflow.steps.base.progress.local_pace import with_pace
from batchflow.steps.building.local_options import LocalFlags, refuse_elsewhere, refuse_without_effect
from batchflow.vendors.inhouse import local as vendor
from batchflow.vendors.registry import traits_of
from batchflow.vocabulary import WORKER_OPTIONS

_OVER = FINAL | {State.ENDED}


def repace(context: Context, batch: BatchRecord, parts: tuple[JobRecord, ...], flags: LocalFlags) -> BatchRecord:
    """Change a batch's pace by the flags of `start`; returns it as it is then.

    Raises UsageError for what its engine does not take and where nothing is left to do, NotReady while a worker that
    goes by the old ones is at work.
    """
    if not traits_of(batch.provider).own_engine:
        refuse_elsewhere(flags, batch.provider)
    given = _given(flags)
    wanted = {**batch.options, **given}
    refuse_without_effect(local.read({name: value for name, value in wanted.items() if name in WORKER_OPTIONS}), given)
    if not with_pace(batch.options, wanted)[1]:
        return batch
    if all(job.state in _OVER for job in parts):
        raise UsageError(f"{batch.name}: nothing is left to do", hint=f"batchflow results {batch.name}")
    _refuse_at_work(context, batch, parts)
    with context.ledger.write(batch.id) as tx:
        now = batches.by_id(tx, batch.id).options  # a cap may have been set meanwhile
        options, changes = with_pace(now, {**now, **given})
        batches.note(tx, batch.id, options=options)
        batch = batches.by_id(tx, batch.id)
    context.say(f"{batch.name}: changed: {'; '.join(changes)}")
    return batch


def _given(flags: LocalFlags) -> dict[str, Any]:
    values = {
        "base_url": list(flags.base_url) or None,
        "concurrency": whole("concurrency", flags.concurrency),
        "rps": decimal("rps", flags.rps),
        "timeout_s": flags.timeout,
        "retries": whole("retries", flags.retries),
        "replicas": flags.replicas,
        "gpus": decimal("gpus", flags.gpus),
        "ray_address": flags.ray_address,
    }
    return {name: value for name, value in values.items() if value is not None}


def _refuse_at_work(context: Context, batch: BatchRecord, parts: tuple[JobRecord, ...]) -> None:
    """Raise NotReady while a worker has the options that it was started with."""
    with context.ledger.read() as tx:
        beats = worker_liveness.pulses(tx, batch, parts)
    client = vendor.connect(context.settings)
    for job in parts:
        pulse = beats.get(job.id)
        if pulse is None or pulse.age_s > pulse.length_s:
            continue
        if pulse.place == here(context.settings.processed) and not vendor.is_at_work(client, job.remote_id or ""):
            continue  # it was killed: its lease only has not run out
        raise NotReady(
            f"{batch.name}, part {job.part}: process {pulse.pid} on {pulse.host} is at work with the options that it"
            " was started with; nothing was changed",
            hint=f"kill {pulse.pid} there (no row is lost), then type the same command again: it goes on with the rest",
        )
