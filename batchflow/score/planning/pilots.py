"""A pilot's votes as a plan needs them: whole tables of judges, differences of two models, labels beside the jury."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from batchflow.errors import DataError
from batchflow.score.base.arguments import FloatArray
from batchflow.score.planning.components import Components, components
from batchflow.score.values import Votes, item_values

FULL = 0.5
"""Share of the answers that a judge has to have voted on to count in the split of the variance."""

FEWEST_LABELS = 10
"""Labels below which nothing is concluded of the judges."""


@dataclass(frozen=True, slots=True)
class VoteTable:
    """Votes on a field. values: (judges, answers) in [0, 1], nan where there is none. out: judges that voted rarely."""

    values: FloatArray
    judges: tuple[str, ...]
    out: tuple[str, ...]


def table_of(votes: Votes, field: str) -> VoteTable:
    """The table of a pilot. Answers that count as wrong without an answer are 0 for every judge.

    Raises DataError where no judge voted on half of them.
    """
    cast = votes.of(field)
    values = np.where(cast >= 0, cast, np.nan).astype(np.float64, copy=False)
    values[:, votes.counts_as_wrong] = 0.0
    full = (~np.isnan(values)).mean(axis=1) >= FULL
    if not full.any():
        raise DataError(f"no judge has voted on half of the answers ({field})")
    kept = tuple(name for name, is_full in zip(votes.judges, full.tolist(), strict=True) if is_full)
    out = tuple(name for name in votes.judges if name not in kept)
    return VoteTable(values[full] if out else values, kept, out)


def of_difference(a: Votes, b: Votes, field: str, item_of: Sequence[Hashable]) -> Components:
    """The components of the difference of two models, from the answers and the judges that both have.

    item_of: the item of each answer of the first. Raises DataError below two answers, or without a common judge.
    """
    one, two = table_of(a, field), table_of(b, field)
    judges = [name for name in one.judges if name in two.judges]
    place = {name: at for at, name in enumerate(b.items)}
    left = [at for at, name in enumerate(a.items) if name in place]
    if not judges or len(left) < 2:
        raise DataError(
            f"the pilots have {len(judges)} judges and {len(left)} answers in common",
            hint="pilots of two models are asked the same items, and judged by the same jury",
        )
    right = [place[a.items[at]] for at in left]
    rows = [one.judges.index(name) for name in judges], [two.judges.index(name) for name in judges]
    gap = one.values[np.ix_(rows[0], left)] - two.values[np.ix_(rows[1], right)]
    parts = components((gap + 1) / 2, [item_of[at] for at in left]).scaled(2)
    return replace(parts, mean=float(np.nanmean(gap)))


def beside_labels(votes: Votes, labels: Mapping[str, float], field: str) -> tuple[int, float, float] | None:
    """Number of labels of judged answers, their variance, and their correlation with the jury; None with too few."""
    values = item_values(votes, field)
    names = [item for item, kept in zip(votes.items, values.judged.tolist(), strict=True) if kept]
    pairs = [(value, labels[item]) for item, value in zip(names, values.mean.tolist(), strict=True) if item in labels]
    if len(pairs) < FEWEST_LABELS:
        return None
    jury, human = np.array(pairs).T
    variance = max(float(human.var(ddof=1)), 1 / len(pairs))  # labels that are all alike are no proof of no variance
    rho = float(np.corrcoef(jury, human)[0, 1]) if jury.std() and human.std() else 0.0
    return len(pairs), variance, rho
