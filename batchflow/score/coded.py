"""Votes from plain code buffers, for callers that do not speak numpy."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from batchflow.errors import DataError
from batchflow.score.paired import Scored
from batchflow.score.values import VoteArray, Votes, field_named, item_values


def votes_from_codes(
    judges: Sequence[str],
    items: Sequence[str],
    answer: Sequence[bytes | bytearray | memoryview],
    justification: Sequence[bytes | bytearray | memoryview],
    *,
    unparsed: int = 0,
    unjudgeable: int = 0,
    provider: str = "",
    model: str = "",
) -> Votes:
    """Votes from one signed byte per item and judge: 1 right, 0 wrong, -1 missing, -2 not asked.

    Raises DataError for other shapes or codes.

    >>> from array import array
    >>> votes = votes_from_codes(["a"], ["1", "2"], [array("b", [1, -1]).tobytes()], [array("b", [-2, -2]).tobytes()])
    >>> votes.answer.tolist()
    [[1, -1]]
    """
    return Votes(
        tuple(judges),
        tuple(items),
        _matrix(answer, len(items)),
        _matrix(justification, len(items)),
        unparsed=unparsed,
        unjudgeable=unjudgeable,
        provider=provider,
        model=model,
    )


def _matrix(rows: Sequence[bytes | bytearray | memoryview], width: int) -> VoteArray:
    if not rows:
        return np.empty((0, width), dtype=np.int8)
    return np.stack([np.frombuffer(row, dtype=np.int8) for row in rows])


def scored_from(
    name: str,
    votes: Votes,
    field: str,
    *,
    method: str = "mean",
    item_of: Sequence[str] | None = None,
    clusters: Sequence[Hashable] | None = None,
) -> Scored:
    """One model's item values for `compare`, by the mean or the majority of its votes.

    item_of: the item that each of `votes.items` answers, where items were answered repeatedly: an item's value is the
    mean over its answers. clusters: one label per answer; items that share one are not independent.
    Raises DataError for lists of another length, and where nobody voted on the field.

    >>> from batchflow.score.values import votes_from
    >>> votes = votes_from(["a"], ["x #0", "x #1", "y #0"], [[True, False, True]], [[True, False, True]])
    >>> found = scored_from("m", votes, "both_correct", item_of=["x", "x", "y"])
    >>> found.items, found.values.tolist()
    (('x', 'y'), [0.5, 1.0])
    """
    found = item_values(votes, field_named(field))
    values = found.majority if method == "majority" else found.mean
    owners, labels = list(item_of or votes.items), list(clusters) if clusters is not None else None
    if len(owners) != len(votes.items) or (labels is not None and len(labels) != len(votes.items)):
        raise DataError(f"{name}: there has to be one item and one cluster for each of {len(votes.items)} answers")
    kept = np.flatnonzero(found.judged).tolist()
    place = {item: n for n, item in enumerate(dict.fromkeys(owners[index] for index in kept))}
    at = np.array([place[owners[index]] for index in kept])
    of_item = {owners[index]: labels[index] for index in reversed(kept)} if labels is not None else None
    shared = of_item is not None and len(set(of_item.values())) < len(of_item)
    return Scored(
        name,
        tuple(place),
        np.bincount(at, weights=values) / np.bincount(at),
        tuple(of_item[item] for item in place) if of_item is not None and shared else None,
    )
