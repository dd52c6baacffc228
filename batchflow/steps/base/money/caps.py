"""Caps: no job is sent that could bring what its run has spent, and what it has out, above `--max-cost`.

The cap stands with the run's root, so that every later command keeps to it. A job's reservation is committed with its
claim, in one transaction that looks at the whole run: of two processes that start at once, the second sees the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from batchflow.errors import NeedsYou, StaleState
from batchflow.ledger import Tx, batches, jobs
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.states import UNSENT, Event, State
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.billing import family
from batchflow.vendors.registry import traits_of

CAP = "max_cost_usd"
"""The option of a run's root that holds its cap."""

SHARED = "max_cost_shared"
"""The option of a run's root that holds the ids of all roots that one cap is for, where a run has several batches."""

_NOTHING_OUT = UNSENT | {State.CANCELLED}
_ROOM = 1e-9  # of a dollar: sums of floats are no more exact than that


def set_cap(context: Context, batch: BatchRecord, max_cost: float | None) -> None:
    """Sets the cap of a run from here on; None keeps the earlier one."""
    if max_cost is None:
        return
    held = roots(context, batch)
    with context.ledger.write(*held) as tx:
        for root in _roots(tx, batch, held):
            if root.options.get(CAP) != max_cost:
                batches.note(tx, root.id, options={**root.options, CAP: max_cost})


def share_cap(context: Context, names: Iterable[str], max_cost: float | None) -> None:
    """Sets one cap for all batches of a run together; None keeps the earlier one."""
    if max_cost is None:
        return
    with context.ledger.read() as tx:
        ids = [batches.get(tx, name).id for name in names]
    shared = {SHARED: ids} if len(ids) > 1 else {}
    with context.ledger.write(*ids) as tx:
        for root in [batches.by_id(tx, one) for one in ids]:
            own = {key: value for key, value in root.options.items() if key != SHARED}
            batches.note(tx, root.id, options={**own, CAP: max_cost, **shared})


def roots(context: Context, batch: BatchRecord) -> frozenset[int]:
    """Ids of the batches that a run's cap stands with: who reserves money of it, or changes it, holds them all."""
    with context.ledger.read() as tx:
        return frozenset(root.id for root in _roots(tx, batch))


def most_of(context: Context, batch: BatchRecord, due: Iterable[JobRecord]) -> dict[int, float]:
    """The most that jobs may cost, by id; empty without a cap. Raises NeedsYou where a price is not known.

    due: those to be sent. Jobs of the run that are out without a reservation are among the answers.
    """
    with context.ledger.read() as tx:
        cap, members = _run(tx, batch)
        if cap is None:
            return {}
        loose = [(member, job) for member, job in members if _needs_measure(member, job)]
    wanted = {job.id for job in due}
    own = [(batch, job) for job in due]
    return {job.id: _most(context, one, job) for one, job in (*own, *((b, j) for b, j in loose if j.id not in wanted))}


def reserve(
    tx: Tx, batch: BatchRecord, job: JobRecord, most: Mapping[int, float], held: frozenset[int]
) -> float | None:
    """The sum to commit with a job's claim; None without a cap. Raises NeedsYou where it does not fit.

    held: as `roots` told them.
    """
    cap, members = _run(tx, batch, held)
    if cap is None:
        return None
    if job.id not in most:
        raise StaleState(f"{batch.name}: a cap was set meanwhile", hint="run the same command again")
    others = sum(_committed(tx, member, one, most, being_sent=one.id == job.id) for member, one in members)
    if others + most[job.id] > cap + _ROOM:
        raise _above(batch, most[job.id], others, cap)
    return most[job.id]


def refuse_above(context: Context, names: Iterable[str], max_cost: float | None, *, canary: bool = False) -> None:
    """Raise NeedsYou, before anything is sent, where all that is to be sent together could pass a run's cap.

    A batch with a canary is looked at part by part, as each is sent: its canary tells what the rest will cost.
    """
    names = tuple(names)
    if max_cost is not None:
        with context.ledger.read() as tx:
            records = [batches.get(tx, name) for name in names]
        for batch in records:
            set_cap(context, batch, max_cost)
    runs: dict[int, list[tuple[BatchRecord, list[JobRecord]]]] = {}
    with context.ledger.read() as tx:
        for name in names:
            batch = batches.get(tx, name)
            is_whole = not canary and "canary" not in batch.options
            due = [job for job in jobs.of_batch(tx, batch.id) if job.state in UNSENT and is_whole]
            runs.setdefault(min(root.id for root in _roots(tx, batch)), []).append((batch, due))
    for parts in runs.values():
        most: dict[int, float] = {}
        for batch, due in parts:
            most |= most_of(context, batch, due)
        if not most:
            continue
        with context.ledger.read() as tx:
            cap, members = _run(tx, parts[0][0])
            wanted = sum(most[job.id] for _, due in parts for job in due)
            others = sum(_committed(tx, member, job, most) for member, job in members)
        if cap is not None and wanted and others + wanted > cap + _ROOM:
            raise _above(parts[0][0], wanted, others, cap)


def _run(
    tx: Tx, batch: BatchRecord, held: frozenset[int] | None = None
) -> tuple[float | None, list[tuple[BatchRecord, JobRecord]]]:
    """The cap of a batch's run, and all its jobs."""
    owners = _roots(tx, batch, held)
    cap = owners[0].options.get(CAP)
    if not isinstance(cap, int | float):
        return None, []
    families = [family(tx, root) for root in owners]
    members = [one for root, retries, jury in families for one in (root, *retries, *jury)]
    return float(cap), [(one, job) for one in members for job in jobs.of_batch(tx, one.id)]


def _roots(tx: Tx, batch: BatchRecord, held: frozenset[int] | None = None) -> list[BatchRecord]:
    """The root of a batch, followed by the other roots of its run that have the same cap.

    held: those whose rows the transaction holds. Raises StaleState where others belong to the run by now.
    """
    root = family(tx, batch)[0]
    others = [batches.with_id(tx, one) for one in root.options.get(SHARED, ()) if one != root.id]
    owners = [root, *(other for other in others if other is not None)]
    if held is not None and not held.issuperset(owner.id for owner in owners):
        raise StaleState(
            f"{batch.name}: a cap for several batches was set meanwhile", hint="run the same command again"
        )
    return owners


def _needs_measure(batch: BatchRecord, job: JobRecord) -> bool:
    """Tells whether only its file says what a job that is or was out may cost."""
    is_out = job.state not in _NOTHING_OUT and job.reserved_usd is None
    return traits_of(batch.provider).pays and is_out and _billed(job) is None


def _billed(job: JobRecord) -> float | None:
    """The bill of a job whose rows are all there; None where it is open or has no upper end."""
    if job.state is not State.FETCHED or job.cost is None:
        return None
    high = job.cost["high"]
    return None if high is None else float(high)


def _committed(
    tx: Tx, batch: BatchRecord, job: JobRecord, most: Mapping[int, float], *, being_sent: bool = False
) -> float:
    """Cost of a job, paid or possible, without the one create that is being decided on.

    A job that was sent again in doubt may be paid for once more for each time.
    """
    if not traits_of(batch.provider).pays:
        return 0.0
    reserved = job.reserved_usd if job.reserved_usd is not None else most.get(job.id, 0.0)
    again = sum(event.event is Event.RESEND and event.job_id == job.id for event in jobs.history(tx, batch.id))
    doubtful = again * reserved
    if being_sent or job.state in _NOTHING_OUT:
        return doubtful
    billed = _billed(job)
    return doubtful + (reserved if billed is None else billed)


def _most(context: Context, batch: BatchRecord, job: JobRecord) -> float:
    from batchflow.steps.base.money.estimating import estimate_of

    expected = estimate_of(context, batch, [job])
    if expected.high_usd is None:
        raise NeedsYou(
            f"{batch.name}: its price is not known, and its run has a cap: {'; '.join(expected.why)}",
            hint=f"[prices.{batch.provider}.'{batch.model}'] in batchflow.toml sets one (docs/money.md)",
        )
    return expected.high_usd


def _above(batch: BatchRecord, wanted: float, others: float, cap: float) -> NeedsYou:
    return NeedsYou(
        f"{batch.name}: it may cost up to ${wanted:,.4f}, and ${others:,.4f} of its run is spent or out: together"
        f" more than --max-cost {cap:g}; nothing was sent",
        hint="a lower --max-tokens when it is prepared, a canary (start --canary) or a higher --max-cost makes room",
    )
