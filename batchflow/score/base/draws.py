"""Bootstrap draws of a mean: exact, seeded, and cheap because item values take few distinct values.

Resampling n items with replacement and taking the mean only depends on how often each distinct value is drawn,
and those counts are multinomial. Drawing the counts is the same law as drawing the items, at a cost that does not
grow with n.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from batchflow.errors import UsageError
from batchflow.score.base.arguments import FloatArray
from batchflow.score.base.clusters import Clusters, CountArray

FEW = 512  # up to here counts are drawn; above, drawing rows one by one is cheaper
SEED_BITS = 63  # neither JSON readers nor the ledger hold more
CELLS = 1_000_000  # numbers held at once: 8 MB, drawn in a fraction of a second, after which Ctrl-C is heeded
MOST = 10_000_000  # resamples: more would only take memory; the bounds are exact to a thousandth of their error here


def generator(seed: int) -> np.random.Generator:
    """A generator of its own for each use. Raises UsageError for a seed that is negative or over 63 bits."""
    if not 0 <= seed < 1 << SEED_BITS:
        raise UsageError(f"seed is {seed}, it has to be a whole number from 0 to 2**{SEED_BITS} - 1")
    return np.random.default_rng(seed)


def refuse_number(resamples: int) -> None:
    """Raise UsageError for resamples below 1 or above MOST."""
    if not 1 <= resamples <= MOST:
        raise UsageError(f"resamples is {resamples}, it has to be from 1 to {MOST}", hint="the default is 9999")


def patterns(times: CountArray, *, resamples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """(rows, k) how often each of k patterns is resampled, a part of all resamples at a time. times: (k,) as seen."""
    refuse_number(resamples)
    step = max(1, CELLS // len(times))
    for start in range(0, resamples, step):
        drawn = rng.multinomial(int(times.sum()), times / times.sum(), min(step, resamples - start))
        yield drawn.astype(np.float64)


def means(groups: Clusters, *, resamples: int, rng: np.random.Generator) -> FloatArray:
    """(resamples,) means over items, the clusters of `groups` resampled with replacement."""
    refuse_number(resamples)
    few = len(groups.sums) <= FEW
    step = max(1, CELLS // (len(groups.sums) if few else groups.count))
    draw = _by_count if few else _by_row
    parts = [draw(groups, min(step, resamples - start), rng) for start in range(0, resamples, step)]
    return np.concatenate(parts)


def _by_count(groups: Clusters, rows: int, rng: np.random.Generator) -> FloatArray:
    drawn = rng.multinomial(groups.count, groups.times / groups.count, rows).astype(np.float64)
    result: FloatArray = (drawn @ groups.sums) / (drawn @ groups.sizes)
    return result


def _by_row(groups: Clusters, rows: int, rng: np.random.Generator) -> FloatArray:
    sums, sizes = np.repeat(groups.sums, groups.times), np.repeat(groups.sizes, groups.times)
    picked = rng.integers(0, groups.count, (rows, groups.count))
    result: FloatArray = sums[picked].sum(axis=1) / sizes[picked].sum(axis=1)
    return result
