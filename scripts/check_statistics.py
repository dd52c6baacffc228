"""Largest differences between batchflow.score and other libraries on seeded random data; started by check-statistics.

Exits with 1 where a difference is larger than rounding explains.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

from batchflow.records import Level
from batchflow.score.agreement import alpha, value_alpha
from batchflow.score.base.clusters import cluster, clustered_se
from batchflow.score.base.significance import holm, mcnemar
from batchflow.score.intervals import exact, wilson
from batchflow.score.labelled.calibration import ppi
from batchflow.score.paired import Scored, compare
from batchflow.score.pairwise.ranking import bradley_terry, elo_in_order, rank, verdicts
from batchflow.score.pairwise.ratings import eigen, newman, outcomes, points, win_rate

CASES = 200
Generator = np.random.Generator
Found = Iterator[tuple[Any, Any]]
"""Pairs of our numbers and theirs, a pair a case."""


def wilson_and_exact(rng: Generator) -> Found:
    """Statsmodels' proportion_confint."""
    from statsmodels.stats.proportion import proportion_confint

    for _ in range(CASES):
        n = int(rng.integers(2, 400))
        right, level = int(rng.integers(1, n)), float(rng.uniform(0.6, 0.999))
        groups = cluster(np.array([1.0] * right + [0.0] * (n - right)))
        for ours, method in ((wilson, "wilson"), (exact, "beta")):
            found = ours(groups, level=level)
            yield (found.low, found.high), proportion_confint(right, n, 1 - level, method)


def holms(rng: Generator) -> Found:
    """Statsmodels' multipletests."""
    from statsmodels.stats.multitest import multipletests

    for _ in range(CASES):
        p = rng.random(int(rng.integers(1, 12))) ** 3
        yield holm(p.tolist()), multipletests(p, method="holm")[1]


def mcnemars(rng: Generator) -> Found:
    """Statsmodels' exact mcnemar."""
    from statsmodels.stats.contingency_tables import mcnemar as theirs

    for _ in range(CASES):
        b, c = rng.integers(0, 40, 2).tolist()
        yield mcnemar(b, c)[0], theirs([[5, b], [c, 5]], exact=True).pvalue


def clustered(rng: Generator) -> Found:
    """Statsmodels' OLS on a constant with a cluster-robust covariance, without its factor (n-1)/(n-k)."""
    import statsmodels.api as sm

    for _ in range(CASES):
        n = int(rng.integers(20, 200))
        labels, values = rng.integers(0, int(rng.integers(4, 15)), n), rng.random(n)
        fit = sm.OLS(values, np.ones(n)).fit(cov_type="cluster", cov_kwds={"groups": labels, "use_correction": False})
        count = len(np.unique(labels))
        yield clustered_se(values, labels), float(fit.bse[0]) * np.sqrt(count / (count - 1))


def paired_t(rng: Generator) -> Found:
    """Scipy's ttest_rel."""
    from scipy.stats import ttest_rel

    for _ in range(CASES):
        n = int(rng.integers(20, 200))
        x, y = rng.random(n), rng.random(n)
        ids = tuple(map(str, range(n)))
        found, theirs = compare(Scored("a", ids, x), Scored("b", ids, y), resamples=1), ttest_rel(x, y)
        bounds = theirs.confidence_interval(0.95)
        order = np.argsort(np.array(ids))
        yield (found.p, found.interval.low, found.interval.high), (theirs.pvalue, bounds.low, bounds.high)
        yield found.correlation, float(np.corrcoef(x[order], y[order])[0, 1])


def alphas(rng: Generator) -> Found:
    """krippendorff.alpha, nominal, ordinal and interval, with missing votes."""
    import krippendorff

    for _ in range(CASES):
        judges, n = int(rng.integers(2, 6)), int(rng.integers(5, 60))
        truth = rng.integers(0, 5, n) / 4
        votes = np.clip(truth + rng.integers(-1, 2, (judges, n)) / 4, 0, 1)
        votes[rng.random((judges, n)) < 0.15] = -1
        seen = np.where(votes < 0, np.nan, votes)
        for level in (Level.ORDINAL, Level.INTERVAL):
            yield value_alpha(votes, level), krippendorff.alpha(seen, level_of_measurement=level.value)
        coded = np.where(votes < 0, -1, votes > 0.5).astype(np.int8)
        seen = np.where(coded < 0, np.nan, coded)
        if (mine := alpha(coded)) is not None:
            yield mine, krippendorff.alpha(seen, level_of_measurement="nominal")


def ppis(rng: Generator) -> Found:
    """ppi-python's point and interval of the mean, as published."""
    from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

    for _ in range(CASES):
        n, rest, p = int(rng.integers(20, 150)), int(rng.integers(50, 400)), float(rng.uniform(0.3, 0.8))
        right = (rng.random(n + rest) < p).astype(float)
        judged = np.where(rng.random((3, n + rest)) < 0.15, 1 - right, right).mean(axis=0)
        found = ppi(right[:n], judged[:n], judged[n:])
        point = float(np.ravel(ppi_mean_pointestimate(right[:n], judged[:n], judged[n:]))[0])
        low, high = (float(np.ravel(bound)[0]) for bound in ppi_mean_ci(right[:n], judged[:n], judged[n:], alpha=0.05))
        assert found.published is not None
        yield (found.published_score, found.published.low, found.published.high), (point, low, high)


def played(rng: Generator) -> tuple[list[str], list[str], list[str]]:
    """A round of verdicts on four models."""
    n = int(rng.integers(80, 300))
    names = np.array(list("abcd"))
    sides = np.array([rng.choice(4, 2, replace=False) for _ in range(n)])
    words = rng.choice(["left", "right", "tie"], n, p=(0.5, 0.35, 0.15))
    return names[sides[:, 0]].tolist(), names[sides[:, 1]].tolist(), words.tolist()


def evalicas(name: str) -> Callable[[Generator], Found]:
    """One of evalica's ratings."""

    def pairs(rng: Generator) -> Found:
        import evalica

        words = {"left": evalica.Winner.X, "right": evalica.Winner.Y, "tie": evalica.Winner.Draw}
        for _ in range(CASES // 4):
            left, right, winner = played(rng)
            found = verdicts(left, right, winner)
            wins, ties = outcomes(found)
            coded = [words[word] for word in winner]
            how: dict[str, Any] = {"win_weight": 1, "tie_weight": 0.5}
            exactly: dict[str, Any] = {"tolerance": 1e-13, "limit": 20_000}
            if name == "Bradley–Terry":
                yield bradley_terry(found.wins()), _centred(evalica.bradley_terry(left, right, coded, **how, **exactly))
            elif name == "Newman":
                yield newman(wins, ties)[0], _centred(evalica.newman(left, right, coded, **exactly))
            elif name == "eigen":  # its matrix is of losses
                scores = evalica.eigen(right, left, coded, win_weight=1, tie_weight=1, **exactly).scores.sort_index()
                yield eigen(wins, ties), (scores / scores.sum()).to_numpy()
            elif name == "win rate":
                yield win_rate(wins, ties), evalica.average_win_rate(left, right, coded, **how).scores.sort_index()
            elif name == "points":
                yield points(wins, ties), evalica.counting(left, right, coded, **how).scores.sort_index()
            else:
                order = np.arange(len(left))[:, None]
                mine = elo_in_order(found, order, k=32, scale=400, base=10, initial=1000)[0]
                yield mine, evalica.elo(left, right, coded, k=32).scores.sort_index()

    return pairs


def _centred(result: Any) -> Any:
    logs = np.log(result.scores.sort_index().to_numpy())
    return logs - logs.mean()


def contrasts(rng: Generator) -> Found:
    """Statsmodels' logistic regression with errors clustered on the prompt."""
    import statsmodels.api as sm

    for _ in range(CASES // 4):
        left, right, winner = played(rng)
        prompts = rng.integers(0, 40, len(left))
        found = rank(verdicts(left, right, winner, prompts.tolist()))
        design = np.array(
            [[(x == m) - (y == m) for m in "bcd"] for x, y in zip(left, right, strict=True)], dtype=np.float64
        )
        score = np.array([{"left": 1.0, "right": 0.0, "tie": 0.5}[word] for word in winner])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = sm.GLM(score, design, family=sm.families.Binomial()).fit(
                tol=1e-13, cov_type="cluster", cov_kwds={"groups": prompts, "use_correction": False}
            )
        factor = np.sqrt(found.n_clusters / (found.n_clusters - 1))
        covariance = np.zeros((4, 4))
        covariance[1:, 1:] = np.asarray(fit.cov_params()) * factor**2
        strength = dict(zip("abcd", [0.0, *fit.params], strict=True))
        for each in found.contrasts:
            a, b = "abcd".index(each.a), "abcd".index(each.b)
            error = np.sqrt(covariance[a, a] + covariance[b, b] - 2 * covariance[a, b])
            yield (each.difference, each.standard_error), (strength[each.a] - strength[each.b], error)


CHECKS: tuple[tuple[str, str, Callable[[Generator], Found]], ...] = (
    ("Wilson, Clopper–Pearson", "statsmodels", wilson_and_exact),
    ("Holm", "statsmodels", holms),
    ("McNemar, exact", "statsmodels", mcnemars),
    ("clustered standard error", "statsmodels", clustered),
    ("Bradley–Terry contrasts and their clustered errors", "statsmodels", contrasts),
    ("paired t: p, interval, correlation", "scipy", paired_t),
    ("α nominal, ordinal, interval", "krippendorff", alphas),
    ("PPI++ as published: point, interval", "ppi-python", ppis),
    *((name, "evalica", evalicas(name)) for name in ("Bradley–Terry", "Newman", "eigen", "win rate", "points", "Elo")),
)
ROUNDING = 1e-6


def main() -> int:
    """Print the table as Markdown."""
    print("| what | library | cases | largest difference |", "| --- | --- | ---: | ---: |", sep="\n")
    worst = 0.0
    for number, (what, library, pairs) in enumerate(CHECKS):
        apart = [
            float(np.abs(np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)).max())
            for ours, theirs in pairs(np.random.default_rng(number))
        ]
        worst = max(worst, *apart)
        print(f"| {what} | {library} {version(library)} | {len(apart)} | {max(apart):.0e} |", flush=True)
    return int(worst > ROUNDING)


if __name__ == "__main__":
    sys.exit(main())
