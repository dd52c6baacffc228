"""retry: ask again exactly what is unanswered, as a child batch whose answers stand in the parent's requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from batchflow import files
from batchflow.errors import NotReady, UsageError
from batchflow.ledger import batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, RequestRecord, kind_of
from batchflow.prices.estimates import Estimate
from batchflow.records import Kind, Outcome, Params, Parsed
from batchflow.states import Stage, stage
from batchflow.steps.base import deletion
from batchflow.steps.base.context import Context
from batchflow.steps.base.money import caps
from batchflow.steps.base.money.estimating import noted
from batchflow.steps.base.money.prompt_cache import CANARY_FOR
from batchflow.steps.base.progress.failure_reasons import BROUGHT_ANEW, is_passing
from batchflow.steps.base.progress.next_command import next_command, next_of
from batchflow.steps.base.progress.situation import read_situation
from batchflow.steps.base.progress.stages import STAGES
from batchflow.steps.base.rehearsal_guard import refuse_another_world
from batchflow.steps.building.asks import Ask
from batchflow.steps.building.batch_builder import Made, Plan, make
from batchflow.steps.building.local_options import Shaping
from batchflow.steps.building.retries import next_number, refuse_another_limit, standing_retry, with_limit
from batchflow.steps.building.sources import items_in_order, same_source, same_template
from batchflow.steps.judging import readings
from batchflow.steps.verbs.submission import import_requests
from batchflow.tasks import registry as tasks
from batchflow.vendors.registry import traits_of
from batchflow.vocabulary import SHARDS

NOT_A_RETRYS = frozenset({"canary", CANARY_FOR, caps.CAP, caps.SHARED, STAGES, SHARDS, deletion.MARK})
"""Options that a retry does not take over from its batch."""


@dataclass(frozen=True, slots=True)
class RetryReport:
    """The child batch of a retry. outcomes: what the requests it asks again had come to."""

    name: str
    handle: str
    retries: str
    requests: int
    outcomes: dict[str, int]
    files: tuple[str, ...]
    new: bool
    rehearsal: bool
    next: str
    estimate: Estimate | None = None


def retry(
    context: Context,
    name: str,
    *,
    also_unparsed: bool = False,
    max_tokens: int | None = None,
    passing_only: bool = False,
) -> RetryReport:
    """Make the child batch. Raises NotReady while anything may still come, UsageError when there is nothing to ask.

    max_tokens: another limit than the batch's, for answers that were cut off. passing_only: leave out what failed for a
    reason that will be there the next time too.
    """
    with context.ledger.read() as tx:
        root = batches.get(tx, name)
        if root.retries_id is not None:
            root = batches.by_id(tx, root.retries_id)
        earlier = batches.retries_of(tx, root.id)
        open_ones = [b.name for b in (root, *earlier) if _is_open(stage(job.state for job in jobs.of_batch(tx, b.id)))]
        due = tuple(
            request
            for request in request_rows.stream(tx, root.id)
            if _is_due(request, also_unparsed=also_unparsed)
            and not (passing_only and not is_passing(root, str(request.outcome), request.error))
        )
        unread = request_rows.tally(tx, root.id).parsed.get(Parsed.UNPARSED.value, 0)
    if root.kind is not Kind.PREDICTION:
        raise UsageError(
            f"{root.name} is a judge batch", hint="batchflow jury NAME --retry asks the missing votes again"
        )
    waiting = [one for one in open_ones if one != root.name]
    if root.name in open_ones:
        raise NotReady(
            f"{root.name} is not finished, its requests may still be answered", hint=next_of(context, root.name)
        )
    if waiting:
        build = standing_retry(context, waiting[-1])
        refuse_another_limit(build.batch, max_tokens)
        return _report(context, root, build, due)
    refuse_another_world(context, root, is_unsent=False)
    if not due:
        raise _nothing_due(root, unread)
    _refuse_judged(context, root, due)
    if max_tokens is not None and root.is_brought:
        raise UsageError(
            f"{root.name} was imported as requests, which hold their own token limits",
            hint="raise the limit in the file, and import it under another --name",
        )
    plan = _plan(context, root, next_number(earlier), due)
    build = make(context, with_limit(plan, max_tokens), _asks(context, root, due))
    return _report(context, root, build, due)


def _refuse_judged(context: Context, root: BatchRecord, due: tuple[RequestRecord, ...]) -> None:
    """Raise UsageError for unparsed answers that a jury reads by extractors of its own, and has judged."""
    with context.ledger.read() as tx:
        judges = [judge for judge in batches.judges_of(tx, root.id) if readings.extract_of(judge) is not None]
        judged = readings.judged(tx, root, judges)
    if held := sum(request.id in judged for request in due if request.outcome == Outcome.OK.value):
        names = " ".join(judge.name for judge in judges)
        raise UsageError(
            f"{root.name}: {held:,} of its unparsed answers are read by other extractors and judged; asked again, they "
            "would be replaced",
            hint=f"leave out --also unparsed, or batchflow delete {names}",
        )


def _nothing_due(root: BatchRecord, unread: int) -> UsageError:
    if not unread:
        return UsageError(f"{root.name}: every request is answered, there is nothing to retry")
    are = "1 answer is" if unread == 1 else f"{unread:,} answers are"
    if traits_of(root.provider).imported:
        return UsageError(f"{root.name}: {are} unparsed, and imported answers cannot be asked again", hint=BROUGHT_ANEW)
    return UsageError(
        f"{root.name}: every request came back, and {are} unparsed", hint=f"batchflow retry {root.name} --also unparsed"
    )


def _is_open(where: Stage) -> bool:
    return where is not Stage.FINISHED


def _is_due(request: RequestRecord, *, also_unparsed: bool) -> bool:
    return not request.has_answer and (also_unparsed or request.outcome != Outcome.OK.value)


def _plan(context: Context, root: BatchRecord, number: int, due: tuple[RequestRecord, ...]) -> Plan:
    return Plan(
        name=f"{root.name}_retry_{number}",
        kind=Kind.PREDICTION,
        provider=root.provider,
        model=root.model,
        endpoint=root.endpoint,
        task=root.task,
        split=root.split,
        hints=root.hints,
        source=same_source(context, root),
        template=same_template(tasks.of_spec(root.task, root.spec), root),
        params=Params(**root.params),
        can=context.settings.capabilities(root.provider, root.model),
        options={key: value for key, value in root.options.items() if key not in NOT_A_RETRYS},
        extra={
            "retries": root.name,
            "requests_sha256": files.digest(" ".join(r.custom_id for r in due).encode()),
            **({"extract": root.spec["extract"]} if "extract" in root.spec else {}),
            **tasks.recorded(tasks.of_spec(root.task, root.spec)),
        },
        retries_id=root.id,
    )


def _asks(context: Context, root: BatchRecord, due: tuple[RequestRecord, ...]) -> Iterator[Ask]:
    """The due requests as they were asked; data set and requests are read side by side."""
    task = tasks.of_spec(root.task, root.spec)
    if root.is_brought:
        yield from import_requests.asks_again(context, root, due)
        return
    template, item_of = same_template(task, root), items_in_order(task, same_source(context, root), root)
    shaping = Shaping.of(root.options)
    for request in due:
        item = item_of(request.item_id)
        prompt = task.prompt(item, root.hints, template)
        ask = Ask(item.id, prompt.system, prompt.parts, task.ANSWER, request.sample, request.groups, request.id)
        yield shaping.ask(ask)


def _report(context: Context, root: BatchRecord, build: Made, due: tuple[RequestRecord, ...]) -> RetryReport:
    outcomes: dict[str, int] = {}
    for request in due:
        kind = kind_of(str(request.outcome), request.parsed)
        outcomes[kind] = outcomes.get(kind, 0) + 1
    relative = tuple(str(path.relative_to(context.settings.project)) for path in build.files)
    batch = build.batch
    with context.ledger.read() as tx:
        follow = str(next_command(read_situation(tx, batch)))
    return RetryReport(
        batch.name, batch.handle, root.name, batch.n_requests, outcomes, relative, build.new, batch.rehearsal,
        follow, noted(context, batch, new=build.new, sizes=build.sizes),
    )  # fmt: skip
