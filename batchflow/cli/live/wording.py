"""Progress in words: a snapshot in, texts out. Pure; texts from outside come out as one clean line each."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from batchflow.cli.cards.base.card import REHEARSED
from batchflow.cli.cards.base.text import counted, line, shortened, span
from batchflow.cli.cards.money import between, usd

if TYPE_CHECKING:
    from batchflow.steps.watching.expected_end import End
    from batchflow.steps.watching.snapshot import BatchSnapshot, JobSnapshot, Problem, Spent

LEAST_NAME = 8
"""Characters of a name that are shown beside its mark, however narrow the terminal is."""
LONGEST = 600
"""Characters of a reason that are shown."""

_FROM = {
    "worker": "at its pace",
    "counts": "if the pace holds",
    "model": "as {jobs} of this model",
    "vendor": "as {jobs} of this vendor",
}


def state(batch: BatchSnapshot) -> str:
    """Stage of a batch with its vendor's or worker's own words."""
    stage = batch.stage.value.replace("_", " ")
    return line(f"{stage} ({', '.join(batch.words)})") if batch.words else stage


def heading(batch: BatchSnapshot, width: int) -> str:
    """Handle and name of a batch, marked when it is rehearsed; of a judge below its batch, who judges.

    A name that does not fit is cut in its middle; the mark is never cut.
    """
    mark = f" {REHEARSED}" if is_marked(batch) else ""
    return shortened(line(f"{batch.handle} {name(batch)}"), max(width - len(mark), LEAST_NAME)) + mark


def name(batch: BatchSnapshot) -> str:
    """`heading` without the handle and the mark."""
    if _judges_below(batch):
        return line(f"judge {batch.provider}:{batch.model}")
    role = f"{batch.role.value} " if batch.of is not None else ""
    return line(f"{role}{batch.name}")


def is_marked(batch: BatchSnapshot) -> bool:
    """Tells whether a batch has the mark of a rehearsal; a judge below its batch stands under that one's."""
    return batch.rehearsal and not _judges_below(batch)


def _judges_below(batch: BatchSnapshot) -> bool:
    return batch.of is not None and batch.role.value == "judge"


def rows(one: BatchSnapshot | JobSnapshot) -> str:
    """`52 of 100`: requests that are over, whatever became of them; else that nobody counts them."""
    if one.is_uncounted:
        return f"not counted, {one.requests:,} in all"
    return f"{one.done + one.failed + one.cancelled:,} of {one.requests:,}"


def outcomes(batch: BatchSnapshot) -> str:
    """Rows by how they ended, as far as that is known: by the rows themselves, else as the vendor counts."""
    if batch.outcomes:
        return counted(dict(batch.outcomes))
    known = {"done": batch.done, "failed": batch.failed, "cancelled": batch.cancelled}
    return counted({kind: count for kind, count in known.items() if count}) if any(known.values()) else ""


def rate(per_s: float | None) -> str:
    """Rows per second, minute or hour, whichever makes a number that can be read."""
    if not per_s:
        return ""
    for unit, seconds in (("s", 1), ("min", 60)):
        if per_s * seconds >= 1:
            return f"{per_s * seconds:,.1f} rows/{unit}"
    return f"{per_s * 3600:,.1f} rows/h"


def money(spent: Spent) -> str:
    """Cost so far; what is expected in all, where it is only estimated; `price unknown` where there is no price."""
    if spent.is_free:
        return "free"
    if spent.low_usd is None and spent.unpriced:
        return "price unknown"
    if spent.billed or spent.estimated:
        amount = between(spent.low_usd, spent.high_usd)
        return f"{'about ' if spent.estimated else ''}{amount}{', some prices unknown' if spent.unpriced else ''}"
    if spent.expected_low_usd is None:
        return ""
    return f"$0.00 of {between(spent.expected_low_usd, spent.expected_high_usd)}"


def short_money(spent: Spent) -> str:
    """`money` in a cell of a table: `~` in front of what is only estimated."""
    if spent.is_free or not (spent.billed or spent.estimated):
        return "free" if spent.is_free else "unknown" if spent.unpriced else "-"
    if spent.low_usd is None:
        return "unknown"
    ends = [usd(value) for value in (spent.low_usd, spent.high_usd) if value is not None]
    amount = "–".join(dict.fromkeys(ends)) + ("+" if spent.high_usd is None else "")
    return f"~{amount}" if spent.estimated else amount


def left(end: End, now: datetime) -> str:
    """Time until an expected end, as a range where that says more."""
    low, likely, high = ((at - now).total_seconds() for at in (end.earliest, end.likely, end.latest))
    if likely < 1:
        return "any moment"
    if span(max(low, 0)) == span(high):
        return f"{span(likely)} left"
    return f"{span(likely)} left ({span(max(low, 0))} to {span(high)})"


def basis(end: End) -> str:
    """Source of an expected end."""
    jobs = "1 earlier job" if end.jobs == 1 else f"{end.jobs:,} earlier jobs"
    return _FROM[end.basis.value].format(jobs=jobs)


def ending(one: BatchSnapshot | JobSnapshot, now: datetime) -> str:
    """The expected end of what is still open; `end unknown` with the reason; how long it took, once it is over."""
    if one.end is not None:
        return f"{left(one.end, now)}, {basis(one.end)}"
    if one.unknown_end:
        return f"end unknown: {one.unknown_end}"
    if one.begun_at is not None and one.over_at is not None:
        return f"took {span((one.over_at - one.begun_at).total_seconds())}"
    return ""


def short_end(batch: BatchSnapshot, now: datetime) -> str:
    """`ending` in a cell of a table."""
    if batch.end is not None:
        likely = (batch.end.likely - now).total_seconds()
        return f"{span(likely)} left" if likely >= 1 else "any moment"
    return "unknown" if batch.unknown_end else ending(batch, now)


def expected(spent: Spent) -> str:
    """Cost of the whole batch, as estimated before; empty where nobody is paid or nothing is known."""
    known = spent.expected_low_usd is not None and not spent.is_free
    return between(spent.expected_low_usd, spent.expected_high_usd) if known else ""


def reason(problem: Problem) -> str:
    """A problem in one line."""
    return line(f"{problem.kind.value}: {problem.text}", LONGEST)


def advice(problem: Problem) -> str:
    """Advice about a problem."""
    return line(problem.advice, LONGEST)


def sentence(batch: BatchSnapshot, now: datetime) -> str:
    """A batch in one line of a log."""
    facts = [outcomes(batch), rate(batch.rate) if batch.is_open else "", money(batch.spent), ending(batch, now)]
    summary = "; ".join(fact for fact in facts if fact)
    text = f"{line(batch.name)}: {state(batch)}, {rows(batch)}" + (f" ({summary})" if summary else "")
    for problem in batch.problems[:1]:
        text += f"; {reason(problem)}; what to do: {advice(problem)}"
    return text
