"""The votes of a rule, many in one row: a score of a million of them reads few rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from batchflow.ledger.batches import request_range
from batchflow.ledger.models import VOTES
from batchflow.ledger.request_rows import CHUNK, CastRow, cast_votes_between
from batchflow.records import VoteStatus

RIGHT, WRONG, ABSTAINED = "1", "0", "a"
_OTHER = "?"

Block = tuple["array[int]", str]
"""The places of requests in their batch, and the vote on each by its letter."""

_V = VOTES.c


def blocks(tx: sa.Connection, batch_id: int, field: str, first: int) -> Iterator[Block | Iterable[CastRow]]:
    """The votes of a judge batch in the order of its requests, a few thousand at a time.

    Those that are all on one field and right, wrong or abstained come as a block, on SQLite; all others as the rows of
    `request_rows.cast_votes`. first: the id of the first request that they may be about.
    """
    low, high = request_range(batch_id)
    last = tx.execute(sa.select(sa.func.max(_V.request_id)).where(_V.request_id >= low, _V.request_id < high)).scalar()
    for start in range(low, -1 if last is None else last + 1, CHUNK):
        here = (_V.request_id >= start, _V.request_id < min(start + CHUNK, high))
        block = _block(tx, field, first, here) if tx.dialect.name == "sqlite" else None
        if block is not None:
            yield block
            continue
        yield cast_votes_between(tx, start, min(start + CHUNK, high))


def _block(tx: sa.Connection, field: str, first: int, here: tuple[sa.ColumnElement[bool], ...]) -> Block | None:
    """Some votes at once; None where one is of another kind. SQLite aggregates in the order of its one index."""
    letter = sa.case(
        (_V.field != field, _OTHER),
        (sa.and_(_V.status == VoteStatus.VALID.value, _V.value == 1.0), RIGHT),
        (sa.and_(_V.status == VoteStatus.VALID.value, _V.value == 0.0), WRONG),
        (_V.status == VoteStatus.ABSTAINED.value, ABSTAINED),
        else_=_OTHER,
    )
    places = sa.func.group_concat(_V.subject_id - first)
    text, letters = tx.execute(sa.select(places, sa.func.group_concat(letter, "")).where(*here)).one()
    if text is None:
        return array("q"), ""
    return None if _OTHER in letters else (array("q", map(int, text.split(","))), str(letters))
