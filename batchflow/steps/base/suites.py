"""Suites among batches: a suite's name stands for its members, which an engine of one's own serves in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from batchflow.errors import UnknownBatch, UsageError
from batchflow.ledger import Tx, batches, jobs, suites
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.ledger.suites import Suite
from batchflow.states import State
from batchflow.steps.base.context import Context
from batchflow.vendors.registry import traits_of
from batchflow.vocabulary import IN_TURN

Report = TypeVar("Report")

NOT_THERE = "not prepared"
"""In place of the stage of a member whose batch is not there."""
_OUT = frozenset({State.STARTING, State.SENDING, State.RUNNING})
_WHERE = ("base_url", "base_urls", "engine", "gguf")
"""Options of a local batch that say what serves it."""


def named(context: Context, names: Sequence[str], *, judges: bool = False) -> list[str]:
    """The names of batches, each suite replaced by its members that are there, in order.

    judges: with the judges and retries of the members behind them. Raises UnknownBatch for a suite without a batch.
    """
    with context.ledger.read() as tx:
        several = [_members(tx, name, judges=judges) for name in names]
    return list(dict.fromkeys(name for each in several for name in each))


def suite_of(context: Context, names: Sequence[str]) -> Suite | None:
    """The suite that the one name given is that of; None for anything else."""
    if len(names) != 1:
        return None
    with context.ledger.read() as tx:
        return suites.find(tx, names[0])


def for_each(context: Context, name: str, act: Callable[[str], Report], *, out: Path | None = None) -> list[Report]:
    """Does something with a batch, or with each member of a suite; members that have nothing to do for it are left.

    out: the one file that is to be written. Raises what a single batch raises, the last refusal where no member of a
    suite took part, and UsageError for one file of several members.
    """
    suite = suite_of(context, [name])
    if suite is None:
        return [act(name)]
    if out is not None and len(suite.members) > 1:
        raise UsageError(
            f"--output {out}: {name} has {len(suite.members)} batches, each with a file of its own",
            hint="leave --output out, or name one of its batches",
        )
    reports: list[Report] = []
    refused: UsageError | None = None
    for member in named(context, [name]):
        try:
            reports.append(act(member))
        except UsageError as error:
            refused = error
    if not reports and refused is not None:
        raise refused
    return reports


def _members(tx: Tx, name: str, *, judges: bool) -> list[str]:
    suite = suites.find(tx, name)
    if suite is None:
        return [name]
    there = [batch for member in suite.members if (batch := batches.find(tx, member.batch))]
    if not there:
        hint = f"batchflow prepare --suite FILE --name {name} makes them, batchflow delete {name} forgets the suite"
        raise UnknownBatch(f"suite {name}: none of its {len(suite.members)} batches is there", hint=hint)
    return [member.name for batch in there for member in ([batch, *_children(tx, batch)] if judges else [batch])]


def _children(tx: Tx, batch: BatchRecord) -> list[BatchRecord]:
    children = [*batches.retries_of(tx, batch.id), *batches.judges_of(tx, batch.id)]
    return [member for child in children for member in (child, *_children(tx, child))]


def ahead_of(context: Context, batch: BatchRecord) -> list[str]:
    """Other batches of its suites that the same engine of one's own is at work on, as the ledger knows of it."""
    if not traits_of(batch.provider).own_engine:
        return []
    with context.ledger.read() as tx:
        root = _root(tx, batch)
        names = [member.batch for suite in suites.of_batches(tx, [root.name]) for member in suite.members]
        members = [member for name in names if (member := batches.find(tx, name))]
        family = [one for member in members for one in (member, *_children(tx, member))]
        return [
            one.name
            for one in family
            if one.id != batch.id and _where(one) == _where(batch) and _is_out(jobs.of_batch(tx, one.id))
        ]


def _root(tx: Tx, batch: BatchRecord) -> BatchRecord:
    """The batch of questions that a batch judges or asks again; itself for one that asks them."""
    above = batch.parent_id if batch.parent_id is not None else batch.retries_id
    return batch if above is None else _root(tx, batches.by_id(tx, above))


def _where(batch: BatchRecord) -> list[object]:
    return [batch.provider, *(batch.options.get(name) for name in _WHERE)]


def _is_out(parts: Sequence[JobRecord]) -> bool:
    return any(job.state in _OUT for job in parts)


def waits_its_turn(error: str | None) -> bool:
    """Tells whether a job's error is the note that `put_off` makes."""
    return (error or "").startswith(IN_TURN)


def is_in_turn(parts: Sequence[JobRecord]) -> bool:
    """Tells whether jobs were started and wait for another batch of their suite."""
    return any(job.state is State.PREPARED and waits_its_turn(job.error) for job in parts)


def put_off(context: Context, batch: BatchRecord, due: Sequence[JobRecord], ahead: Sequence[str]) -> None:
    """Note on jobs that they wait for their turn; whoever waits for them sends them then."""
    text = f"{IN_TURN}: {ahead[0]} is at work, and one limit serves the suite"
    with context.ledger.write(batch.id) as tx:
        for job in due:
            if job.error != text and job.state is State.PREPARED:
                jobs.note(tx, job.id, error=text)
    context.say(f"{batch.name}: {text}")
