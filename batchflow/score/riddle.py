"""The two booleans of riddles, and of layton-eval's files: whether an answer is right, and its justification."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import numpy as np

from batchflow.errors import ArgumentError
from batchflow.records import Level
from batchflow.score.values import MISSING, VoteArray, Votes, all_right, as_votes


class Field(StrEnum):
    """Field of the verdict on a riddle that is scored."""

    BOTH = "both_correct"  # answer and justification
    ANSWER = "is_answer_correct"
    JUSTIFICATION = "is_justification_correct"


def votes_on(
    judges: tuple[str, ...], items: tuple[str, ...], answer: VoteArray, justification: VoteArray, **more: Any
) -> Votes:
    """Votes on both parts, and on both together, from two (n_judges, n_items) arrays. more: see `Votes`."""
    parts = (answer, justification)
    together = all_right(*parts) if answer.shape == justification.shape else answer
    cast = {Field.BOTH: together, Field.ANSWER: answer, Field.JUSTIFICATION: justification}
    return Votes(judges, items, {str(field): votes for field, votes in cast.items()}, **more)


def votes_from(
    judges: Sequence[str],
    items: Sequence[str],
    answer: Sequence[Sequence[bool | None]],
    justification: Sequence[Sequence[bool | None]],
) -> Votes:
    """Votes from nested booleans, one row per judge; None is a missing vote.

    >>> votes = votes_from(["a", "b"], ["1", "2"], [[True, False], [True, None]], [[True, True], [False, None]])
    >>> votes.of(Field.BOTH).tolist()
    [[1, 0], [0, -1]]
    """
    return votes_on(tuple(judges), tuple(items), _encoded(answer), _encoded(justification))


def _encoded(rows: Sequence[Sequence[bool | None]]) -> VoteArray:
    return as_votes([[MISSING if vote is None else _code(vote) for vote in row] for row in rows], Level.NOMINAL)


def _code(vote: object) -> int:
    if isinstance(vote, bool | int | float | np.bool_ | np.integer) and vote in {0, 1}:
        return int(vote)
    raise ArgumentError(f"a vote is True, False or None, not {vote!r:.60}")
