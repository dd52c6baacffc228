"""Looks of a run that is sent in stages: after each one its score, or the difference of two, says whether to go on.

A look changes the ledger in one of two ways, each of them whole at once: it notes why the run ended, or it makes the
next stage. A run that is killed before that looks again, and sees the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchflow.errors import DataError, UsageError
from batchflow.ledger import batches
from batchflow.ledger.records import BatchRecord
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.stages import STAGES, Stages
from batchflow.steps.building.staging import next_stage
from batchflow.steps.judging import anytime, unanswered
from batchflow.steps.judging import ballot as votes
from batchflow.steps.judging.ballot import Ballot
from batchflow.steps.judging.jury_lookup import jury_of
from batchflow.steps.running.spec import Wish

if TYPE_CHECKING:
    from batchflow.steps.judging.anytime import Anytime


@dataclass(frozen=True, slots=True)
class _Seen:
    """A batch as it was looked at."""

    batch: BatchRecord
    stages: Stages
    ballot: Ballot


def look(context: Context, names: Sequence[str], wish: Wish) -> None:
    """Look at batches whose votes are all there: together where they are to be decided between, else each alone.

    Raises DataError where nobody voted.
    """
    seen = [_seen(context, name, wish.score.field) for name in names]
    bounds = [_bounds(seen, wish)] if wish.decide and len(seen) > 1 else []
    if not wish.decide:
        bounds = [_bounds([each], wish) for each in seen]
    for bound in bounds:
        if bound is not None:
            context.say(f"look at {', '.join(names)}: {_told(bound)}")
    if bounds and all(bound is not None and _is_enough(bound, wish) for bound in bounds):
        _end(context, seen, wish)
        return
    for each in seen:
        next_stage(context, each.batch)


def _seen(context: Context, name: str, field: str | None) -> _Seen:
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
    stages = Stages.of(batch)
    if stages is None:
        raise UsageError(f"{name} was prepared without stages", hint="choose another --name for a run with them")
    judges, _ = jury_of(context, batch, 0.0, field)
    ballot = unanswered.counted_in(votes.of_batch(context, batch, judges), unanswered.worths(()))
    return _Seen(batch, stages, ballot)


def _bounds(seen: Sequence[_Seen], wish: Wish) -> Anytime | None:
    """The bounds that decide: of one batch's score, or of the difference of two."""
    from batchflow.score.intervals import LEVEL

    field = wish.score.field or seen[0].ballot.field
    if len(seen) == 1:
        (one,) = seen
        return anytime.of_score(one.ballot, one.stages, field=field, method="mean", level=LEVEL)
    from batchflow.score.paired import scored

    a, b = (
        scored(
            each.batch.name, each.ballot.votes(), field=field, item_of=each.ballot.item_of,
            clusters=each.ballot.units(each.stages.cluster),
        )
        for each in seen
    )  # fmt: skip
    stage_of = anytime.stages_of_items(seen[0].ballot, seen[0].stages)
    bound = anytime.of_pair(a, b, (seen[0].stages, seen[1].stages), stage_of, level=LEVEL)
    if bound is None:
        raise DataError(
            f"{a.name} and {b.name} have no judged item in common", hint=f"batchflow compare {a.name} {b.name}"
        )
    return bound


def _is_enough(bound: Anytime, wish: Wish) -> bool:
    last = bound.deciding
    if wish.decide:
        return not last.low <= 0 <= last.high
    return last.half_width <= (wish.precision or 0.0) / 100


def _told(bound: Anytime) -> str:
    last = bound.deciding
    return f"{100 * last.mean:.1f} [{100 * last.low:.1f}, {100 * last.high:.1f}] at every look, {bound.stages}"


def _end(context: Context, seen: Sequence[_Seen], wish: Wish) -> None:
    """Note why the batches end, unless one of them has gone on meanwhile."""
    reason = "decided" if wish.decide else "precise"
    with context.ledger.write(*(each.batch.id for each in seen)) as tx:
        now = [batches.by_id(tx, each.batch.id) for each in seen]
        if any(batch.n_requests != each.batch.n_requests for batch, each in zip(now, seen, strict=True)):
            return
        for batch, each in zip(now, seen, strict=True):
            progress = each.stages.progress(rule=wish.rule, reason=reason)
            batches.note(tx, batch.id, options={**batch.options, STAGES: progress})
