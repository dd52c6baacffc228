"""Requests and votes: rows by the hundred thousand, so statements are bulk and reads are streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa

from batchflow.errors import DamagedLedger
from batchflow.ledger import dialect
from batchflow.ledger.batches import request_range
from batchflow.ledger.models import JOBS, REQUESTS, VOTES
from batchflow.ledger.records import (
    Failure,
    OutcomeRecord,
    RequestRecord,
    SettledRecord,
    SettledRow,
    Tally,
    are_tallies,
    kind_of,
)
from batchflow.records import Outcome, Parsed, VoteStatus
from batchflow.states import State

CHUNK = 5_000
"""Rows of one bulk statement."""

ERROR_LENGTH = 400
"""Characters by which error texts are told apart where they are counted."""


_R = REQUESTS.c
_V = VOTES.c
_ANSWER = (
    "outcome", "parsed", "error", "model", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens",
    "written_tokens", "written_1h_tokens", "raw_file", "raw_offset", "raw_length",
)  # fmt: skip
_request = partial(tuple.__new__, RequestRecord)  # `_make` takes twice as long
_outcome = partial(tuple.__new__, OutcomeRecord)


_NEW = ("id", "job_id", "custom_id", "item_id", "sample", "content", "columns", "subject_id")


def insert(tx: sa.Connection, columns: Sequence[Sequence[Any]]) -> None:
    """Add requests, given by column: the values of each of `_NEW`."""
    dialect.bulk_insert(tx, REQUESTS, _NEW, columns)


AnsweredRow = tuple[
    str, str | None, str | None, str | None, int | None, int | None, int | None, int | None, int | None, int | None,
    int | None, int | None, int | None, int, str,
]  # fmt: skip
"""An `Answered` as a bare tuple, which is made in a tenth of the time."""


Columns = dialect.Columns
"""Several of them by their columns."""


class Answered(NamedTuple):
    """Outcome of one request, decoded from one raw row, in the order in which `settle` writes it; `_ANSWER` first."""

    outcome: str
    parsed: str | None
    error: str | None
    model: str | None
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    written_tokens: int | None
    written_1h_tokens: int | None
    raw_file: int | None
    raw_offset: int | None
    raw_length: int | None
    id: int
    custom_id: str


def clear(tx: sa.Connection, job_id: int) -> None:
    """Forget the outcomes of a job's requests, before its raw output is decoded again.

    Whoever writes an outcome forgets the job's counts first: where these still say that all are pending, there is none.
    """
    counts = tx.scalar(sa.select(JOBS.c.counts).where(JOBS.c.id == job_id))
    _recount(tx, JOBS.c.id == job_id)
    if counts and are_tallies(counts) and all(row[0] is None for row in counts):
        return  # looking through the requests would take 0.25 µs each
    nothing = dict.fromkeys((*_ANSWER, "raw_job_id"))
    tx.execute(sa.update(REQUESTS).where(*_run(tx, job_id), _R.outcome.is_not(None)).values(**nothing))


def settle(tx: sa.Connection, rows: Sequence[AnsweredRow]) -> int:
    """Write outcomes, fastest in the order of their ids; returns how many requests they reached.

    A custom_id that was never sent reaches none.
    """
    return dialect.bulk_update(tx, REQUESTS, Answered._fields, ("id", "custom_id"), rows)


def packed(columns: Columns) -> Columns:
    """The columns of `Answered` as `settle_columns` takes them: they need less room and time where they wait."""
    return dialect.packed(columns, 2)


def columns_by(rows: Sequence[AnsweredRow]) -> Columns:
    """`packed` for rows."""
    return packed(list(zip(*rows, strict=True)))


def rows_by(columns: Columns) -> list[AnsweredRow]:
    """The rows of `columns_by`."""
    return dialect.unpacked(columns)


def settle_columns(tx: sa.Connection, columns: Columns) -> int:
    """`settle` for rows of `columns_by`."""
    return dialect.update_columns(tx, REQUESTS, Answered._fields, ("id", "custom_id"), columns)


def hand_over(tx: sa.Connection, job_id: int, kept: int, other_id: int) -> None:
    """Give the requests of a job, but for the first ones that it keeps, to another job of their batch."""
    _recount(tx, JOBS.c.batch_id == sa.select(JOBS.c.batch_id).where(JOBS.c.id == job_id).scalar_subquery())
    run = _run(tx, job_id)
    first = tx.scalar(sa.select(_R.id).where(*run).order_by(_R.id).offset(kept).limit(1))
    tx.execute(sa.update(REQUESTS).where(*run, _R.id >= first).values(job_id=other_id))


def count_parsed(tx: sa.Connection, job_id: int) -> int:
    """Counts the requests of a job whose answer matches its schema."""
    good = (Parsed.STRICT.value, Parsed.REPAIRED.value)
    query = sa.select(sa.func.count()).where(_R.job_id == job_id, _R.parsed.in_(good))
    return int(tx.scalar(query) or 0)


def merge_retry(tx: sa.Connection, batch_id: int, root_id: int) -> int:
    """Copies a retry's good answers into the original requests; returns the count.

    An answer replaces a failure, and a parsed answer an unparsed one; where both are good the newer one stands. What
    stands there from the same job is always replaced: its raw output may be another file by now.
    """
    _recount(tx, JOBS.c.batch_id == root_id)
    retry = REQUESTS.alias("retry")
    low, high = request_range(batch_id)
    first, beyond = request_range(root_id)  # a judge's retry may also speak of answers that the judge never saw
    is_better = sa.or_(
        _R.outcome != Outcome.OK.value,
        _R.parsed == Parsed.UNPARSED.value,
        retry.c.parsed.is_distinct_from(Parsed.UNPARSED.value),
        _R.raw_job_id == retry.c.job_id,
    )
    statement = sa.update(REQUESTS).where(
        _R.id == retry.c.subject_id,
        *(retry.c.id >= low, retry.c.id < high, retry.c.outcome == Outcome.OK.value),
        *(_R.id >= first, _R.id < beyond, is_better),
    )
    facts = {name: retry.c[name] for name in _ANSWER}
    return tx.execute(statement.values(**facts, raw_job_id=retry.c.job_id)).rowcount


def models(tx: sa.Connection, batch_id: int) -> frozenset[str]:
    """The models that served a batch's requests, as the vendor names them."""
    low, high = request_range(batch_id)
    query = sa.select(_R.model).where(_R.id >= low, _R.id < high, _R.model.is_not(None)).distinct()
    return frozenset(str(row[0]) for row in tx.execute(query))


def is_asked_for(tx: sa.Connection, batch_id: int, place: int, custom_id: str, subject_id: int) -> bool:
    """Tells whether the request at a place of a retry has this custom_id, and asks again for that request."""
    first, beyond = request_range(batch_id)
    if not 0 <= place < beyond - first:
        return False
    query = sa.select(_R.id).where(_R.id == first + place, _R.custom_id == custom_id, _R.subject_id == subject_id)
    return tx.execute(query).first() is not None


def merged_from(tx: sa.Connection, batch_id: int) -> dict[int, int]:
    """Counts the requests of a batch that a retry answered, by the retry's job."""
    low, high = request_range(batch_id)
    query = sa.select(_R.raw_job_id, sa.func.count()).where(_R.id >= low, _R.id < high, _R.raw_job_id.is_not(None))
    return {int(row[0]): int(row[1]) for row in tx.execute(query.group_by(_R.raw_job_id))}


def close_open(tx: sa.Connection, job_id: int, outcome: str, error: str) -> int:
    """Give every request of a job that has no outcome this one; returns how many there were."""
    _recount(tx, JOBS.c.id == job_id)
    statement = sa.update(REQUESTS).where(*_run(tx, job_id), _R.outcome.is_(None))
    return tx.execute(statement.values(outcome=outcome, error=error)).rowcount


def span(tx: sa.Connection, job_id: int) -> tuple[int, int]:
    """First and last request id of a job; between those of a shard lie others' as well. Raises ValueError for none."""
    ends = (sa.select(end(_R.id)).where(_R.job_id == job_id).scalar_subquery() for end in (sa.func.min, sa.func.max))
    low, high = tx.execute(sa.select(*ends)).one()  # one aggregate each: the index has its ends at hand
    if low is None:
        raise ValueError(f"job {job_id} has no requests")
    return int(low), int(high)


def _run(tx: sa.Connection, job_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    """The requests of a job by their ids: much faster than by the index on job_id. Raises ValueError as `span`."""
    first, last = span(tx, job_id)
    return _R.id >= first, _R.id <= last, _R.job_id + 0 == job_id  # a sum, for which no index is taken


def custom_ids(tx: sa.Connection, job_id: int) -> Iterator[str]:
    """The ids of a job, in the order of its file."""
    for row in tx.execute(sa.select(_R.custom_id).where(_R.job_id == job_id).order_by(_R.id)):
        yield str(row[0])


def stream(tx: sa.Connection, batch_id: int) -> Iterator[RequestRecord]:
    """The requests of a batch in their order, a chunk at a time."""
    yield from map(_request, _in_order(tx, batch_id, RequestRecord._fields))


def settled(tx: sa.Connection, batch_id: int) -> Iterator[SettledRow]:
    """The requests of a batch that have ended, as `stream`."""
    return _in_order(tx, batch_id, SettledRecord._fields, _R.outcome.is_not(None))


def _in_order(tx: sa.Connection, batch_id: int, names: Sequence[str], *where: sa.ColumnElement[bool]) -> Iterator[Any]:
    low, high = request_range(batch_id)
    query = sa.select(*(_R[name] for name in names)).where(_R.id >= sa.bindparam("low"), _R.id < high, *where)
    query = query.order_by(_R.id).limit(CHUNK)
    while True:
        rows = dialect.tuples(tx, query, low=low)
        yield from rows
        if len(rows) < CHUNK:
            return
        low = rows[-1][0] + 1


def columns_of(tx: sa.Connection, request_id: int) -> str:
    """The columns of one request's item, as JSON text; an empty object for a request that is none of ours."""
    columns = tx.execute(sa.select(_R.columns).where(_R.id == request_id)).scalar()
    return "{}" if columns is None else str(columns)


ReplyRow = tuple[int, int | None, str | None, int | None, int | None]
"""(id, subject_id, outcome, raw_file, raw_offset)"""


def replies(tx: sa.Connection, low: int, high: int) -> Iterator[ReplyRow]:
    """The requests from `low` on, below `high`, as far as votes are about them; a chunk at a time, between writes."""
    while True:
        query = sa.select(_R.id, _R.subject_id, _R.outcome, _R.raw_file, _R.raw_offset).where(
            _R.id >= low, _R.id < high
        )
        rows = dialect.tuples(tx, query.order_by(_R.id).limit(CHUNK))
        yield from rows
        if len(rows) < CHUNK:
            return
        low = rows[-1][0] + 1


def subjects(tx: sa.Connection, batch_id: int) -> Iterator[int]:
    """The requests that those of a batch are about."""
    low, high = request_range(batch_id)
    query = sa.select(_R.subject_id).where(_R.id >= low, _R.id < high, _R.subject_id.is_not(None))
    for row in dialect.streamed(tx, query):
        yield int(row[0])


def tally(tx: sa.Connection, batch_id: int) -> Tally:
    """Counts of outcomes, parse results and tokens of a batch: those that its jobs keep, and anew for the others."""
    query = sa.select(JOBS.c.id, JOBS.c.state, JOBS.c.counts).where(JOBS.c.batch_id == batch_id)
    kept = {
        job_id: counts if counts and state in _KEPT and are_tallies(counts) else None
        for job_id, state, counts in tx.execute(query)
    }
    rows = [row for counts in kept.values() for row in counts or ()]
    unknown = [job_id for job_id, counts in kept.items() if counts is None]
    if len(unknown) == len(kept):
        low, beyond = request_range(batch_id)
        rows = _counts(tx, _R.id >= low, _R.id < beyond)
    else:
        rows += [row for job_id in unknown for row in _counts(tx, *_run(tx, job_id))]
    return Tally(
        requests=sum(row[2] for row in rows),
        pending=sum(row[2] for row in rows if row[0] is None),
        outcomes=_sums((row[0], row[2]) for row in rows),
        parsed=_sums((row[1], row[2]) for row in rows),
        input_tokens=sum(row[3] for row in rows),
        cached_tokens=sum(row[4] for row in rows),
        output_tokens=sum(row[5] for row in rows),
        reasoning_tokens=sum(row[6] for row in rows),
    )


_KEPT = frozenset({State.PREPARED.value, State.FETCHED.value})
"""States in which the counts that a job keeps are those of its requests."""


def _counts(tx: sa.Connection, *where: sa.ColumnElement[bool]) -> list[list[Any]]:
    """(outcome, parsed, requests, and their input, cached, output and reasoning tokens) of some requests."""
    tokens = (_R.input_tokens, _R.cached_tokens, _R.output_tokens, _R.reasoning_tokens)
    sums = (sa.func.coalesce(sa.func.sum(column), 0) for column in tokens)
    query = sa.select(_R.outcome, _R.parsed, sa.func.count(), *sums).where(*where).group_by(_R.outcome, _R.parsed)
    return [[outcome, parsed, *map(int, numbers)] for outcome, parsed, *numbers in tx.execute(query)]


def keep_counts(tx: sa.Connection, batch_id: int) -> None:
    """Stores the counts of a batch's fetched jobs, so that nobody has to count a million requests to look."""
    due = sa.select(JOBS.c.id, JOBS.c.counts).where(JOBS.c.batch_id == batch_id, JOBS.c.state == State.FETCHED.value)
    for job_id in [job_id for job_id, counts in tx.execute(due).fetchall() if not counts]:
        tx.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(counts=counts_of(tx, job_id)))


def counts_of(tx: sa.Connection, job_id: int) -> list[list[Any]]:
    """(outcome, parsed, requests, and their input, cached, output and reasoning tokens) of a job's requests."""
    return _counts(tx, *_run(tx, job_id))


def _recount(tx: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    """Forget the counts of jobs whose requests are about to change."""
    tx.execute(sa.update(JOBS).where(which).values(counts=sa.null()))


BAND = 1_000
"""Tokens of prompt by which usage is kept: prices that depend on a prompt's length change at multiples of it."""


def usage_of(tx: sa.Connection, job_id: int) -> list[list[int]]:
    """Tokens of a job's own requests, summed over prompts of the same length in thousands.

    A row: that length (0 for 1 to 1,000 tokens), requests, input, cached, written, written for an hour, output and
    reasoning tokens. What a retry's answer has replaced is told by `merge_retry`'s caller before it does so.
    """
    band = (
        (sa.case((_R.input_tokens > 0, _R.input_tokens), else_=1) - 1) // sa.literal_column(str(BAND), sa.Integer)
    ).label("band")
    kinds = ("input", "cached", "written", "written_1h", "output", "reasoning")
    sums = (sa.func.coalesce(sa.func.sum(_R[f"{kind}_tokens"]), 0) for kind in kinds)
    query = sa.select(band, sa.func.count(), *sums).where(*_run(tx, job_id), _R.input_tokens.is_not(None))
    query = query.where(_R.raw_job_id.is_(None))
    return [[int(value) for value in row] for row in tx.execute(query.group_by("band").order_by("band"))]


def longest(tx: sa.Connection, batch_id: int) -> int:
    """Tokens of a batch's longest output."""
    low, high = request_range(batch_id)
    return int(tx.scalar(sa.select(sa.func.max(_R.output_tokens)).where(_R.id >= low, _R.id < high)) or 0)


RAN = (Outcome.OK.value, Outcome.REFUSED.value)
"""Outcomes of requests that a model answered, for which tokens are reported."""


def without_usage(tx: sa.Connection, job_id: int) -> int:
    """Counts the answers of a job for which the vendor reports no tokens."""
    query = sa.select(sa.func.count()).where(*_run(tx, job_id), _R.input_tokens.is_(None), _R.outcome.in_(RAN))
    return int(tx.scalar(query.where(_R.raw_job_id.is_(None))) or 0)


def failures(tx: sa.Connection, batch_id: int) -> Iterator[Failure]:
    """The unanswered requests of a batch, counted by the beginning of their error text; the commonest come first."""
    low, high = request_range(batch_id)
    text, count = sa.func.substr(_R.error, 1, ERROR_LENGTH), sa.func.count()
    query = sa.select(_R.outcome, _R.parsed, text, count, sa.func.min(_R.id)).where(
        _R.id >= low,
        _R.id < high,
        sa.or_(_R.outcome != Outcome.OK.value, _R.parsed == Parsed.UNPARSED.value),
    )
    query = query.group_by(_R.outcome, _R.parsed, text).order_by(count.desc(), sa.func.min(_R.id))
    for row in tx.execute(query.execution_options(yield_per=CHUNK)):  # as many texts as rows, where each has an id
        yield Failure(kind_of(row[0], row[1]), row[2], int(row[3]), int(row[4]))


def names_of(tx: sa.Connection, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """(custom_id, item) of a few requests by their ids."""
    query = sa.select(_R.id, _R.custom_id, _R.item_id).where(_R.id.in_(ids))
    return {int(row[0]): (str(row[1]), str(row[2])) for row in tx.execute(query)}


def _sums(pairs: Iterable[tuple[str | None, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for key, count in pairs:
        if key is not None:
            sums[key] = sums.get(key, 0) + count
    return dict(sorted(sums.items()))


class NewVote(NamedTuple):
    """Vote of a judge's request on one field of the request that it is about."""

    request_id: int
    field: str
    subject_id: int
    status: str
    value: float | None
    label: str | None = None
    reason: str | None = None


VoteRow = tuple[int, str, int, str, float | None, str | None, str | None]
"""A `NewVote` as a bare tuple."""


class CastVote(NamedTuple):
    """A vote as a score needs it."""

    subject_id: int
    field: str
    status: str
    value: float | None


def put_votes(tx: sa.Connection, batch_id: int, rows: Iterable[NewVote]) -> None:
    """Replace the votes of a judge batch. The rows are read once; in the order of their requests they are fastest."""
    put_votes_between(tx, *request_range(batch_id), rows)


def put_votes_between(tx: sa.Connection, low: int, high: int, rows: Iterable[VoteRow]) -> None:
    """`put_votes` for the requests from `low` on, below `high`."""
    tx.execute(sa.delete(VOTES).where(_V.request_id >= low, _V.request_id < high))
    left = iter(rows)
    while chunk := list(islice(left, CHUNK)):
        dialect.bulk_insert(tx, VOTES, NewVote._fields, list(zip(*chunk, strict=True)))


def counted_votes(tx: sa.Connection, batch_id: int) -> dict[int, list[NewVote]]:
    """The votes of a judge batch as `put_votes` took them, by request."""
    return votes_between(tx, *request_range(batch_id))


def votes_between(tx: sa.Connection, low: int, high: int) -> dict[int, list[NewVote]]:
    """The votes of the requests from `low` on, below `high`, by request."""
    query = sa.select(*(_V[name] for name in NewVote._fields)).where(_V.request_id >= low, _V.request_id < high)
    counted: dict[int, list[NewVote]] = {}
    for row in tx.execute(query.order_by(_V.request_id, _V.field)):
        counted.setdefault(row[0], []).append(NewVote._make(row))
    return counted


def votes(tx: sa.Connection, batch_id: int) -> Iterator[CastVote]:
    """The votes of a judge batch, in the order of its requests. Raises DamagedLedger for a value that is no number."""
    yield from map(CastVote._make, cast_votes(tx, batch_id))


CastRow = tuple[int, str, str, float | None]
"""A `CastVote` as a bare tuple."""


def cast_votes(tx: sa.Connection, batch_id: int) -> Iterator[CastRow]:
    """`votes` as bare tuples, which are made in a fraction of the time."""
    return cast_votes_between(tx, *request_range(batch_id))


def cast_votes_between(tx: sa.Connection, low: int, high: int) -> Iterator[CastRow]:
    """`cast_votes` of the requests from `low` on, below `high`."""
    query = sa.select(*(_V[name] for name in CastVote._fields)).where(_V.request_id >= low, _V.request_id < high)
    for row in dialect.streamed(tx, query.order_by(_V.request_id, _V.field)):
        if row[3].__class__ is not float and row[3] is not None and not isinstance(row[3], int):
            text = f"the ledger is damaged: {str(row[3])[:60]!r} stands where a vote's value belongs"
            raise DamagedLedger(text, hint="batchflow ledger check tells where")
        yield row


def voted(tx: sa.Connection, batch_id: int) -> dict[int, int]:
    """Counts the requests of a judge batch with a vote, an abstention included, by the request that they are about."""
    low, high = request_range(batch_id)
    query = sa.select(_V.subject_id, sa.func.count(_V.request_id.distinct())).where(
        _V.request_id >= low, _V.request_id < high,
        _V.status.in_((VoteStatus.VALID.value, VoteStatus.ABSTAINED.value)),
    )  # fmt: skip
    return {int(row[0]): int(row[1]) for row in tx.execute(query.group_by(_V.subject_id))}


def unread_votes(tx: sa.Connection, batch_id: int) -> dict[str, int]:
    """Counts the requests of a judge batch whose reply is no verdict, by reason."""
    low, high = request_range(batch_id)
    query = sa.select(_V.reason, sa.func.count(_V.request_id.distinct())).where(
        _V.request_id >= low, _V.request_id < high, _V.status == VoteStatus.UNPARSED.value
    )
    return {str(row[0] or "not told"): int(row[1]) for row in tx.execute(query.group_by(_V.reason))}


def outcomes(tx: sa.Connection, batch_id: int) -> Iterator[OutcomeRecord]:
    """A batch's requests in order, without what only the results file needs."""
    low, high = request_range(batch_id)
    query = sa.select(*(_R[name] for name in OutcomeRecord._fields)).where(_R.id >= low, _R.id < high)
    yield from map(_outcome, dialect.streamed(tx, query.order_by(_R.id)))
