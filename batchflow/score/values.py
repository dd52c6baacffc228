"""From votes to item values: who voted what on which answer, and what that makes of each item."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from batchflow.errors import ArgumentError, DataError, UsageError
from batchflow.records import Level
from batchflow.score.base.arguments import FloatArray, among, are_distinct
from batchflow.score.base.clusters import CountArray

VoteArray = npt.NDArray[np.int8] | FloatArray
"""(n_judges, n_items): of a boolean field RIGHT or WRONG, else a number in [0, 1]; or MISSING or NOT_ASKED."""


RIGHT, WRONG = 1, 0
MISSING = -1  # asked, but there is no verdict that can be read
_PART = 10_000
NOT_ASKED = -2  # this judge does not judge this item, or not this field


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """All votes of a jury on the answers of one batch.

    judges: (n_judges,) names. items: (n_items,) ids. cast: by field, (n_judges, n_items), a row per judge. levels: what
    the values of a field mean to one another; nominal, which is right or wrong, where nothing is said. Other values are
    shares of their scale's range.
    unparsed: how many of the missing votes came back but could not be read. unjudgeable: items that are not in
    `items`, since their prediction failed or could not be parsed, so that there was nothing to judge. excluded: such
    items that are in no bound either. wrong: so many of the last `items` have no answer and count as wrong.
    provider, model: of the evaluated answers; gold labels are told apart by them.
    Raises DataError for other shapes or values, for a judge or an item that is named twice.
    """

    judges: tuple[str, ...]
    items: Sequence[str]
    cast: Mapping[str, VoteArray]
    levels: Mapping[str, Level] = field(default_factory=dict)
    unparsed: int = 0
    unjudgeable: int = 0
    provider: str = ""
    model: str = ""
    wrong: int = 0
    excluded: int = 0

    def __post_init__(self) -> None:
        _refuse_twice(self.judges, "judge", "each judge votes once; a judge that samples needs a name for each sample")
        _refuse_twice(self.items, "item", "repeated samples of an item need ids of their own and a cluster column")
        shape = (len(self.judges), len(self.items))
        for name, votes in self.cast.items():
            if votes.shape != shape:
                raise ArgumentError(f"votes on {name} have shape {votes.shape}, expected {shape}: judges by items")
            if self.level_of(name) is Level.NOMINAL:
                if not among(votes, (RIGHT, WRONG, MISSING, NOT_ASKED)).all():
                    raise ArgumentError(
                        f"votes on {name} hold something other than 1, 0, -1 (missing) and -2 (not asked)"
                    )
            elif not (((votes >= 0) & (votes <= 1)) | np.isin(votes, (MISSING, NOT_ASKED))).all():
                raise ArgumentError(
                    f"votes on {name} hold something other than 0 to 1, -1 (missing) and -2 (not asked)"
                )
        if min(self.unparsed, self.unjudgeable, self.wrong, self.excluded) < 0:
            raise ArgumentError(
                "counts of unparsed votes and of unjudgeable, wrong and excluded items cannot be negative"
            )
        if self.wrong > len(self.items) or any(
            (v[:, len(self.items) - self.wrong :] >= 0).any() for v in self.cast.values()
        ):
            raise ArgumentError(f"the last {self.wrong} items count as wrong, so that nobody votes on them")

    @property
    def counts_as_wrong(self) -> npt.NDArray[np.bool_]:
        """(n_items,) True for the items without an answer that count as wrong."""
        return np.arange(len(self.items)) >= len(self.items) - self.wrong

    def of(self, name: str) -> VoteArray:
        """(n_judges, n_items) votes on one field. Raises UsageError for another name."""
        if name not in self.cast:
            raise UsageError(f"there is no field called {name!r}", hint=f"choose one of {', '.join(self.cast)}")
        return self.cast[name]

    def level_of(self, name: str) -> Level:
        """Level of measurement of the field's values."""
        return self.levels.get(name, Level.NOMINAL)


def _refuse_twice(names: Sequence[str], what: str, hint: str) -> None:
    if are_distinct(names):
        return
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"{what} {twice[0]!r} occurs more than once", hint=hint)


def as_votes(values: Any, level: Level) -> VoteArray:
    """The values as the array that a field of this level has: int8 for right and wrong, else float64."""
    if level is Level.NOMINAL:
        given = np.asarray(values)
        coded = given.astype(np.int8)
        if not (coded == given).all():
            raise ArgumentError("votes of a field that is right or wrong are 1, 0, -1 (missing) and -2 (not asked)")
        return coded
    return np.asarray(values, dtype=np.float64)


def all_right(*parts: VoteArray) -> VoteArray:
    """The AND of some verdicts of each judge: wrong where one is wrong, right where all are, else missing.

    A judge that was not asked about one of them does not vote on all. Were its "wrong" to count alone, only
    wrong answers would get a vote, and the score would fall with them. For the same reason a wrong part decides alone
    only if that judge leaves no other item undecided.
    """
    verdict = np.full(parts[0].shape, MISSING, dtype=np.int8)
    verdict[np.logical_and.reduce([part == RIGHT for part in parts])] = RIGHT
    verdict[np.logical_or.reduce([part == WRONG for part in parts])] = WRONG
    known = [part >= 0 for part in parts]
    undecided = np.logical_or.reduce(known) & (verdict == MISSING)
    verdict[undecided.any(axis=-1, keepdims=True) & ~np.logical_and.reduce(known)] = MISSING
    verdict[np.logical_or.reduce([part == NOT_ASKED for part in parts])] = NOT_ASKED
    return verdict


def weighted_mean(parts: Sequence[VoteArray], weights: Sequence[float]) -> VoteArray:
    """The weighted mean of what each judge says about several fields; missing where one of them is.

    >>> weighted_mean([np.array([[1.0, 0.5]]), np.array([[0.0, -1.0]])], [3, 1]).tolist()
    [[0.75, -1.0]]
    """
    total = math.fsum(weights)
    mean: FloatArray = np.sum([weight / total * part for weight, part in zip(weights, parts, strict=True)], axis=0)
    mean = np.clip(mean, 0.0, 1.0)
    mean[np.logical_or.reduce([part == MISSING for part in parts])] = MISSING
    mean[np.logical_or.reduce([part == NOT_ASKED for part in parts])] = NOT_ASKED
    return mean


def votes_of(
    judges: Sequence[str],
    items: Sequence[str],
    cast: Mapping[str, Sequence[Sequence[float]]],
    levels: Mapping[str, Level],
    derived: Mapping[str, tuple[Sequence[str], Sequence[float]]],
    **more: Any,
) -> Votes:
    """Votes from one row of codes per field and judge, for callers that do not speak numpy. more: see `Votes`.

    levels: of every field, in the order in which they are shown. derived: fields that are made of others, with weights
    their mean, without weights right where all are right.

    >>> parts = {"a": [[1, 1, -1]], "b": [[1, 0, 1]]}
    >>> votes = votes_of(["j"], ["1", "2", "3"], parts, dict.fromkeys("ab", Level.NOMINAL), {"both": ("ab", ())})
    >>> votes.of("both").tolist()
    [[1, 0, -1]]
    """
    shape = (len(judges), len(items))
    arrays = {name: as_votes(rows, levels.get(name, Level.NOMINAL)).reshape(shape) for name, rows in cast.items()}
    for name, (parts, weights) in derived.items():
        part_votes = [arrays[part] for part in parts]
        arrays[name] = weighted_mean(part_votes, weights) if weights else all_right(*part_votes)
    order = dict.fromkeys((*levels, *arrays))
    return Votes(tuple(judges), items, {name: arrays[name] for name in order}, levels, **more)


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Values of the judged items, from their votes.

    judged: (n_items,) bool, items in the mean: with at least one valid vote, or without an answer and wrong.
    mean, majority: (n_judged,) in [0, 1], the share of
    valid votes that say right, and what most of them say (a tie is 0.5); of fields that are not right or wrong both are
    the mean of the valid votes. right, valid: (n_judged,) the sum of the votes, and their number.
    bounds, majority_bounds: the score over all items, unjudgeable ones included, by the mean and by the majority, if
    every missing vote said wrong, and if every one said right.
    """

    field: str
    judged: npt.NDArray[np.bool_]
    mean: FloatArray
    majority: FloatArray
    right: CountArray | FloatArray
    valid: CountArray
    n_items: int
    votes: int
    votes_missing: int
    bounds: tuple[float, float]
    majority_bounds: tuple[float, float]
    wrong: int = 0

    @property
    def n_judged(self) -> int:
        """Items with at least one valid vote."""
        return len(self.mean) - self.wrong

    @property
    def complete(self) -> bool:
        """True when every judge that was asked has voted on every judgeable answer."""
        return self.votes_missing == 0


def item_values(votes: Votes, field: str) -> Values:
    """The value of each item. Raises UsageError for another field, DataError where no judge voted on it at all.

    >>> cast = {"good": np.array([[1, 0], [1, MISSING]], dtype=np.int8)}
    >>> found = item_values(Votes(("a", "b"), ("1", "2"), cast), "good")
    >>> found.mean.tolist(), found.votes_missing, found.bounds
    ([1.0, 0.0], 1, (0.5, 0.75))
    """
    cast = votes.of(field)
    is_binary = votes.level_of(field) is Level.NOMINAL
    missing, valid = (each.sum(axis=0, dtype=np.int32) for each in (cast == MISSING, cast >= 0))
    right: Any = (
        (cast == RIGHT).sum(axis=0, dtype=np.int32)
        if is_binary
        else np.sort(np.where(cast >= 0, cast, 0.0), axis=0).sum(axis=0)
    )
    most = _most if is_binary else _share
    if not (valid > 0).any():
        raise _unjudged(votes, field, int(missing.sum()))
    n_valid = int(valid.sum())
    valid = np.where(votes.counts_as_wrong, 1, valid)  # as if one judge had called it wrong
    judged = valid > 0
    bounded, n_asked = len(votes.items) + votes.unjudgeable, valid + missing
    return Values(
        field=str(field),
        judged=judged,
        mean=_share(right[judged], valid[judged]),
        majority=most(right[judged], valid[judged]),
        right=right[judged],
        valid=valid[judged],
        n_items=bounded + votes.excluded,
        votes=n_valid,
        votes_missing=int(missing.sum()),
        bounds=_bounds(_share, right, missing, n_asked, bounded),
        majority_bounds=_bounds(most, right, missing, n_asked, bounded),
        wrong=votes.wrong,
    )


def _unjudged(votes: Votes, field: str, missing: int) -> DataError:
    """The error that nobody voted on a field, with the field that somebody voted on."""
    unread = f", {votes.unparsed} of them unreadable" if votes.unparsed else ""
    gone = f": {missing} missing{unread}" if missing else ""
    other = next((name for name, cast in votes.cast.items() if (cast >= 0).any()), None)
    return DataError(
        f"no judge has a valid vote on {field}{gone}",
        hint=f"judges that are rules vote on one field only: --field-name {other}"
        if other
        else "has the jury finished? `batchflow get` its batches, then `batchflow results`; if it has, "
        "`batchflow jury NAME --retry` asks for the missing votes again",
    )


def _share(right: CountArray | FloatArray, votes: CountArray) -> FloatArray:
    return right / votes


def _most(right: CountArray | FloatArray, votes: CountArray) -> FloatArray:
    twice: FloatArray = 1.0 + np.sign(2 * right - votes)
    return twice / 2


def _bounds(
    value: Callable[[CountArray | FloatArray, CountArray], FloatArray],
    right: CountArray | FloatArray,
    missing: CountArray,
    n_asked: CountArray,
    n_items: int,
) -> tuple[float, float]:
    """Score if all missing votes were wrong, and if all were right; an item that nobody was asked about may be both."""
    some = n_asked > 0
    # exact sums: the order of the items is not to be seen in the last bit
    low = _sum(value(right[some], n_asked[some]))
    high = _sum(value((right + missing)[some], n_asked[some]))
    return low / n_items, (high + n_items - int(some.sum())) / n_items


def _sum(values: FloatArray) -> float:
    """The exact sum, a few thousand numbers in a list at a time."""
    return math.fsum(chain.from_iterable(values[at : at + _PART].tolist() for at in range(0, len(values), _PART)))
