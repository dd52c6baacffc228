"""From votes to item values: who voted what on which answer, and what that makes of each item."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from batchflow.errors import DataError, UsageError
from batchflow.score.clusters import CountArray, FloatArray

VoteArray = npt.NDArray[np.int8]
"""(n_judges, n_items): RIGHT, WRONG, MISSING or NOT_ASKED."""


RIGHT, WRONG = 1, 0
MISSING = -1  # asked, but there is no verdict that can be read
NOT_ASKED = -2  # this judge does not judge this item, or not this field


class Field(StrEnum):
    """What of an answer is scored."""

    BOTH = "both_correct"  # answer and justification
    ANSWER = "is_answer_correct"
    JUSTIFICATION = "is_justification_correct"


def field_named(name: str) -> Field:
    """The field of that name. Raises UsageError for another name."""
    try:
        return Field(name)
    except ValueError:
        raise UsageError(f"there is no field called {name!r}", hint=f"choose one of {', '.join(Field)}") from None


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """All votes of a jury on the answers of one batch.

    judges: (n_judges,) names. items: (n_items,) ids. answer, justification: (n_judges, n_items) int8, row per judge.
    unparsed: how many of the missing votes came back but could not be read. unjudgeable: items that are not in
    `items`, since their prediction failed or could not be parsed, so that there was nothing to judge.
    provider, model: of the evaluated answers; gold labels are told apart by them.
    Raises DataError for other shapes or values, for a judge or an item that is named twice.
    """

    judges: tuple[str, ...]
    items: tuple[str, ...]
    answer: VoteArray
    justification: VoteArray
    unparsed: int = 0
    unjudgeable: int = 0
    provider: str = ""
    model: str = ""

    def __post_init__(self) -> None:
        _refuse_twice(self.judges, "judge", "each judge votes once; a judge that samples needs a name for each sample")
        _refuse_twice(self.items, "item", "repeated samples of an item need ids of their own and a cluster column")
        shape = (len(self.judges), len(self.items))
        for name, votes in (("answer", self.answer), ("justification", self.justification)):
            if votes.shape != shape:
                raise DataError(f"{name} votes have shape {votes.shape}, expected {shape}: judges by items")
            if not np.isin(votes, (RIGHT, WRONG, MISSING, NOT_ASKED)).all():
                raise DataError(f"{name} votes hold something other than 1, 0, -1 (missing) and -2 (not asked)")
        if self.unparsed < 0 or self.unjudgeable < 0:
            raise DataError("counts of unparsed votes and unjudgeable items cannot be negative")

    def of(self, field: Field) -> VoteArray:
        """(n_judges, n_items) votes on one field."""
        if field is Field.BOTH:
            return both(self.answer, self.justification)
        return self.answer if field is Field.ANSWER else self.justification


def _refuse_twice(names: Sequence[str], what: str, hint: str) -> None:
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"{what} {twice[0]!r} occurs more than once", hint=hint)


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
    return Votes(tuple(judges), tuple(items), _encoded(answer), _encoded(justification))


def _encoded(rows: Sequence[Sequence[bool | None]]) -> VoteArray:
    return np.array([[MISSING if vote is None else int(vote) for vote in row] for row in rows], dtype=np.int8)


def both(answer: VoteArray, justification: VoteArray) -> VoteArray:
    """The AND of two verdicts of one judge: wrong where either is wrong, right where both are, else missing.

    A judge that was not asked about one of them does not vote on both. Were its "wrong" to count alone, only
    wrong answers would get a vote, and the score would fall with them.
    """
    verdict = np.full(answer.shape, MISSING, dtype=np.int8)
    verdict[(answer == RIGHT) & (justification == RIGHT)] = RIGHT
    verdict[(answer == WRONG) | (justification == WRONG)] = WRONG
    verdict[(answer == NOT_ASKED) | (justification == NOT_ASKED)] = NOT_ASKED
    return verdict


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """What the votes make of each judged item.

    judged: (n_items,) bool, items with at least one valid vote. mean, majority: (n_judged,) in [0, 1], the share of
    valid votes that say right, and what most of them say (a tie is 0.5). right, valid: (n_judged,) int64 votes.
    bounds, majority_bounds: the score over all items, unjudgeable ones included, by the mean and by the majority, if
    every missing vote said wrong, and if every one said right.
    """

    field: Field
    judged: npt.NDArray[np.bool_]
    mean: FloatArray
    majority: FloatArray
    right: CountArray
    valid: CountArray
    n_items: int
    votes: int
    votes_missing: int
    bounds: tuple[float, float]
    majority_bounds: tuple[float, float]

    @property
    def n_judged(self) -> int:
        """Items with at least one valid vote."""
        return len(self.mean)

    @property
    def complete(self) -> bool:
        """True when every judge that was asked has voted on every judgeable answer."""
        return self.votes_missing == 0


def item_values(votes: Votes, field: Field) -> Values:
    """The value of each item. Raises DataError where no judge voted on the field at all.

    >>> votes = votes_from(["a", "b"], ["1", "2"], [[True, False], [True, None]], [[True, True], [False, None]])
    >>> found = item_values(votes, Field.ANSWER)
    >>> found.mean.tolist(), found.votes_missing, found.bounds
    ([1.0, 0.0], 1, (0.5, 0.75))
    """
    cast = votes.of(field)
    right, missing = (cast == RIGHT).sum(axis=0), (cast == MISSING).sum(axis=0)
    valid = right + (cast == WRONG).sum(axis=0)
    judged = valid > 0
    if not judged.any():
        unread = f", {votes.unparsed} of them unreadable" if votes.unparsed else ""
        gone = f": {int(missing.sum())} missing{unread}" if missing.any() else ""
        raise DataError(
            f"no judge has a valid vote on {field}{gone}",
            hint="judges that are rules vote on the answer only: --field-name is_answer_correct"
            if field is not Field.ANSWER and (votes.answer >= 0).any()
            else "has the jury finished? `batchflow get` its batches, then `batchflow results`; if it has, "
            "`batchflow jury NAME --retry` asks for the missing votes again",
        )
    n_items, asked = len(votes.items) + votes.unjudgeable, valid + missing
    return Values(
        field=field,
        judged=judged,
        mean=_share(right[judged], valid[judged]),
        majority=_most(right[judged], valid[judged]),
        right=right[judged],
        valid=valid[judged],
        n_items=n_items,
        votes=int(valid.sum()),
        votes_missing=int(missing.sum()),
        bounds=_bounds(_share, right, missing, asked, n_items),
        majority_bounds=_bounds(_most, right, missing, asked, n_items),
    )


def _share(right: CountArray, votes: CountArray) -> FloatArray:
    return right / votes


def _most(right: CountArray, votes: CountArray) -> FloatArray:
    twice: FloatArray = 1.0 + np.sign(2 * right - votes)
    return twice / 2


def _bounds(
    value: Callable[[CountArray, CountArray], FloatArray],
    right: CountArray,
    missing: CountArray,
    asked: CountArray,
    n_items: int,
) -> tuple[float, float]:
    """Score if all missing votes were wrong, and if all were right; an item that nobody was asked about may be both."""
    some = asked > 0
    # exact sums: the order of the items is not to be seen in the last bit
    low = math.fsum(value(right[some], asked[some]).tolist())
    high = math.fsum(value((right + missing)[some], asked[some]).tolist())
    return low / n_items, (high + n_items - int(some.sum())) / n_items
