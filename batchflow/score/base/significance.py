"""Small tests of significance, exact where they can be; `scipy.special` is loaded only where it is used."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from batchflow.errors import ArgumentError
from batchflow.score.base.arguments import FloatArray, numbers


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979), in the order given: keeps the error rate of the whole family.

    >>> [round(x, 3) for x in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    numbers("p", p)
    order = np.argsort(p, kind="stable")
    steps = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    out = np.empty(len(p))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(p) else steps
    return [float(x) for x in out]


def binomial_tail(k: int, n: int, chance: float) -> float:
    """P(X >= k) of a Binomial(n, chance); 1 where n or k is 0."""
    from scipy.special import betainc

    return 1.0 if k <= 0 else float(betainc(k, n - k + 1, chance))


def mcnemar(only_a: int, only_b: int) -> tuple[float, float]:
    """Exact two-sided McNemar p and its mid-p, from the items that only one of two models has right.

    The mid-p (Fagerland, Lydersen and Laake 2013) counts half of the observed table's own probability: nearer to its
    level than the exact test, which is conservative.

    >>> [round(p, 4) for p in mcnemar(1, 8)]
    [0.0391, 0.0215]
    """
    if min(only_a, only_b) < 0:
        raise ArgumentError(f"only_a and only_b are counts, not {only_a} and {only_b}")
    n, least = only_a + only_b, min(only_a, only_b)
    if n == 0:
        return 1.0, 1.0
    tail = binomial_tail(n - least, n, 0.5)  # = P(X <= least), by symmetry
    exact = min(1.0, 2 * tail)
    here = math.exp(math.lgamma(n + 1) - math.lgamma(least + 1) - math.lgamma(n - least + 1) - n * math.log(2))
    return exact, 1.0 - here / 2 if only_a == only_b else 2 * tail - here


def rank_sum(one: FloatArray, other: FloatArray) -> float:
    """Two-sided p of Wilcoxon's rank-sum test, with middle ranks for ties and the normal approximation; 1 where empty.

    >>> round(rank_sum(np.array([1.0, 1, 1, 1]), np.array([0.0, 0, 1, 0])), 4)
    0.0404
    """
    n, m = len(one), len(other)
    if not n or not m:
        return 1.0
    _, place, times = np.unique(np.concatenate([one, other]), return_inverse=True, return_counts=True)
    rank = np.cumsum(times) - (times - 1) / 2
    variance: float = n * m / 12 * (n + m + 1 - float((times**3 - times).sum()) / ((n + m) * (n + m - 1)))
    if variance <= 0:
        return 1.0
    apart = float(rank[place[:n]].sum()) - n * (n + m + 1) / 2
    return math.erfc(abs(apart) / math.sqrt(2 * variance))


def normal_p(z: float) -> float:
    """Two-sided p of a standard normal z."""
    return math.erfc(abs(z) / math.sqrt(2))


def t_test(mean: float, variance: float, df: float) -> float:
    """Two-sided p of a mean with this variance against 0, on `df` degrees of freedom; 1 for a mean of exactly 0.

    Where all df + 1 units differ by the same amount there is no variance, and the sign test stands in.
    """
    from scipy.special import stdtr

    if mean == 0 or df < 1:
        return 1.0
    if variance <= 0:
        return float(2 * 0.5 ** (df + 1))
    return 2.0 * float(stdtr(df, -abs(mean) / math.sqrt(variance)))
