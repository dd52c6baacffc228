"""show: what the ledger knows of one batch, without asking anybody."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.ledger import batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord, Tally
from batchflow.states import stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.billing import Cost, RunCost, cost_of, cost_of_run
from batchflow.steps.base.progress.stages import STAGES, Stages
from batchflow.steps.collecting.progress_report import GetReport, told
from batchflow.vendors import registry
from batchflow.vocabulary import FLAGGED


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One event of one job. at: RFC 3339 UTC."""

    at: str
    part: int
    event: str
    state: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RetryRow:
    """One batch that asks some requests again. merged: how many of its answers stand in this batch now."""

    name: str
    state: str
    requests: int
    merged: int


@dataclass(frozen=True, slots=True)
class FlaggedRow:
    """One answer that seems to address the judge, and what was seen in it."""

    item: str
    sample: int
    flags: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class ShowReport:
    """Everything about one batch: how it was made, where it stands, what happened.

    engines: what answered each part of a local batch (engine, version, arguments; `before`: what did earlier).
    flagged: the first FLAGGED of them in the batch's order. more_flagged: there are others. cost: of this batch alone.
    run_cost: of the run that it belongs to: answers, their retries, their jury.
    """

    status: GetReport
    made: dict[str, Any]
    hint_counts: tuple[int, ...]
    files: tuple[str, ...]
    tally: dict[str, Any]
    engines: tuple[dict[str, Any], ...]
    judges: tuple[str, ...]
    retries: tuple[RetryRow, ...]
    flagged: tuple[FlaggedRow, ...]
    more_flagged: bool
    history: tuple[HistoryRow, ...]
    cost: Cost
    run_cost: RunCost
    next: str


def _chosen(batch: BatchRecord) -> dict[str, Any]:
    """Parameters and options that are set; completion mode's template by its flag, for `template` is the task's."""
    own = {**batch.params, **batch.options}
    given = {key: value for key, value in own.items() if value is not None and key != STAGES}
    return {"prompt_template" if key == "template" else key: value for key, value in given.items()}


def show(context: Context, name: str) -> ShowReport:
    """One batch with its history. Raises UnknownBatch."""
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
        job_records, tally = jobs.of_batch(tx, batch.id), request_rows.tally(tx, batch.id)
        status = told(context, tx, batch)
        cost, run_cost = cost_of(tx, batch, job_records), cost_of_run(tx, batch)
        events, judges = jobs.history(tx, batch.id), batches.judges_of(tx, batch.id)
    parts = {job.id: job.part for job in job_records}
    flagged: tuple[FlaggedRow, ...] = ()
    if judges:
        try:
            flagged = _flagged(context, batch)
        except DataError as error:  # what else there is to show needs no answer's bytes
            status = replace(status, notes=(*status.notes, f"{error}; {error.hint}" if error.hint else str(error)))
    facts = {
        "title": batch.title,
        "description": batch.description,
        "task": batch.task,
        "dataset": batch.dataset,
        "dataset_sha256": batch.dataset_sha256,
        "template": batch.template,
        "template_sha256": batch.template_sha256,
        "endpoint": batch.endpoint,
        "split": batch.split,
        "hints": batch.hints,
        **_chosen(batch),
        **({STAGES: stages.text} if (stages := Stages.of(batch)) else {}),
        "created_at": f"{batch.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "results": batch.results_path,
        "results_sha256": batch.results_sha256,
    }
    return ShowReport(
        status=status,
        made=facts,
        hint_counts=tuple(batch.hint_counts),
        files=(*(job.path for job in job_records), *(str(file["path"]) for job in job_records for file in job.raw)),
        tally=_tally(tally),
        engines=_engines(context, batch, job_records),
        judges=tuple(judge.name for judge in judges),
        retries=_retries(context, batch),
        flagged=flagged[:FLAGGED],
        more_flagged=len(flagged) > FLAGGED,
        history=tuple(
            HistoryRow(
                f"{event.at:%Y-%m-%dT%H:%M:%SZ}", parts[event.job_id], event.event.value, event.state.value,
                dict(event.detail),
            )
            for event in events
        ),
        cost=cost,
        run_cost=run_cost,
        next=status.next,
    )  # fmt: skip


def _engines(context: Context, batch: BatchRecord, parts: Iterable[JobRecord]) -> tuple[dict[str, Any], ...]:
    """By part; none for a vendor's batch, and for a job whose engine was never up or whose folder is elsewhere."""
    begun = [job for job in parts if job.remote_id or job.token]
    if not begun or not registry.traits_of(batch.provider).own_engine:
        return ()
    from batchflow.steps.base.vendor_calls import connected  # `list` does without

    with connected(context, batch) as session:
        facts = [(job.part, session.vendor.facts(session.client, session.job(job))) for job in begun]
    return tuple({"part": part, **engine} for part, engine in facts if engine)


def _retries(context: Context, batch: BatchRecord) -> tuple[RetryRow, ...]:
    with context.ledger.read() as tx:
        retries = [(retry, jobs.of_batch(tx, retry.id)) for retry in batches.retries_of(tx, batch.id)]
        merged = request_rows.merged_from(tx, batch.id) if retries else {}
    return tuple(
        RetryRow(
            retry.name, stage(job.state for job in its).value, retry.n_requests, sum(merged.get(j.id, 0) for j in its)
        )
        for retry, its in retries
    )


def _flagged(context: Context, batch: BatchRecord) -> tuple[FlaggedRow, ...]:
    """As the jury saw them, or looked for in the answers themselves where these have changed since.

    Answers are streamed, and no more are looked at once there is one more than is shown.
    """
    from batchflow.judges.injection import flags  # `list` needs none of these
    from batchflow.steps.judging.case import answers, kept_flags

    with context.ledger.read() as tx:
        kept = kept_flags(tx, context.settings.project, batch)
    if kept is not None:
        return tuple(FlaggedRow(item, sample, tuple(seen), text) for item, sample, seen, text in kept)

    candidates = ((request, answer, flags(answer)) for request, answer in answers(context, batch))
    rows_found = (
        FlaggedRow(request.item_id, request.sample, seen, files.dumps(answer).decode()[:400])
        for request, answer, seen in candidates
        if seen
    )
    return tuple(islice(rows_found, FLAGGED + 1))


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "requests": tally.requests,
        "pending": tally.pending,
        **tally.outcomes,
        **tally.parsed,
        "input_tokens": tally.input_tokens,
        "cached_tokens": tally.cached_tokens,
        "output_tokens": tally.output_tokens,
        "reasoning_tokens": tally.reasoning_tokens,
    }
