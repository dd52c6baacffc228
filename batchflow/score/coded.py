"""Votes from plain code buffers, for callers that do not speak numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from batchflow.score.values import VoteArray, Votes


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
