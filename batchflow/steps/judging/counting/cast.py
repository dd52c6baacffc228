"""A judge's votes as one code for each answer, in a byte or a number each."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from batchflow.judges.base import Scale
from batchflow.ledger.votes import ABSTAINED, RIGHT, WRONG

MISSING, NOT_ASKED = -1, -2  # the codes of batchflow.score.values, which is not imported for them


class Verdicts:
    """One judge's verdicts on one field: what most of its samples say, or the mean of numbers that are more than that.

    codes: a number per answer, as `batchflow.score.Votes` takes them. A tie is no verdict: it stays missing, as an
    answer without a valid vote does.
    """

    __slots__ = ("_lead", "_scale", "_times", "codes")

    def __init__(self, scale: Scale, start: int, length: int) -> None:
        self._scale = scale
        self.codes: array[Any] = array("b" if scale.binary else "d", [start]) * length
        self._lead: array[Any] = array("i" if scale.binary else "d", [0]) * length
        self._times = array("i", [0]) * (0 if scale.binary else length)

    def add(self, index: int, value: float | None) -> None:
        """Count one sample's vote; None says that this judge does not judge this answer, or not this field."""
        if value is None:
            self.codes[index] = NOT_ASKED
        elif self._scale.binary:
            self._lead[index] = lead = self._lead[index] + (1 if value else -1)
            self.codes[index] = 1 if lead > 0 else 0 if lead else MISSING
        else:
            self._lead[index] += self._scale.share(value)
            self._times[index] += 1
            self.codes[index] = self._lead[index] / self._times[index]

    def add_all(self, indexes: array[int], votes: str) -> None:
        """`add` for one vote on each answer: of right, wrong and "this judge does not judge it", a letter for each."""
        start, count = indexes[0] if indexes else 0, len(indexes)
        is_run = start >= 0 and indexes == array(indexes.typecode, range(start, start + count))
        if not is_run or not self._scale.binary or any(self._lead[start : start + count]):
            for index, vote in zip(indexes, votes, strict=True):
                if index >= 0:
                    self.add(index, VALUES[vote])
            return
        coded = votes.encode().translate(_CODES)
        self.codes[start : start + count] = array("b", coded)
        self._lead[start : start + count] = array("i", map(_LEADS.__getitem__, votes))


VALUES: Mapping[str, float | None] = {RIGHT: 1.0, WRONG: 0.0, ABSTAINED: None}
_LEADS = {RIGHT: 1, WRONG: -1, ABSTAINED: 0}
_CODES = bytes.maketrans("".join(VALUES).encode(), array("b", [1, 0, NOT_ASKED]).tobytes())
