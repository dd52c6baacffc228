import numpy as np
import pytest

from batchflow.errors import DataError
from batchflow.score.base.clusters import cluster
from batchflow.score.intervals import wilson
from batchflow.score.latent.fit import PSEUDO, dawid_skene
from batchflow.score.summary import summarise
from batchflow.score.values import Votes

THREE = ("a", "b", "c")


def jury(rng, n, p, sensitivity, specificity):
    right = rng.random(n) < p
    pairs = zip(sensitivity, specificity, strict=True)
    votes = np.array([np.where(right, rng.random(n) < se, rng.random(n) > sp) for se, sp in pairs])
    return right, votes.astype(np.int8)


def plain(votes, steps=400):
    """The published iteration as one reads it, item by item, with the same pseudo-votes."""
    n = votes.shape[1]
    chance = [sum(v == 1 for v in votes[:, i]) / sum(v >= 0 for v in votes[:, i]) for i in range(n)]
    for _ in range(steps):
        share = (sum(chance) + PSEUDO) / (n + 2 * PSEUDO)
        tables = []
        for row in votes:
            voted = [i for i in range(n) if row[i] >= 0]
            right, wrong = sum(chance[i] for i in voted), sum(1 - chance[i] for i in voted)
            hit = sum(chance[i] for i in voted if row[i] == 1) + 2 * PSEUDO
            miss = sum(1 - chance[i] for i in voted if row[i] == 0) + 2 * PSEUDO
            tables.append((hit / (right + 3 * PSEUDO), miss / (wrong + 3 * PSEUDO)))
        for i in range(n):
            as_right, as_wrong = share, 1 - share
            for row, (sensitivity, specificity) in zip(votes, tables, strict=True):
                if row[i] >= 0:
                    as_right *= sensitivity if row[i] else 1 - sensitivity
                    as_wrong *= 1 - specificity if row[i] else specificity
            chance[i] = as_right / (as_right + as_wrong)
    return sum(chance) / n, tables


def test_the_fit_is_the_published_iteration():
    rng = np.random.default_rng(1)
    _, votes = jury(rng, 60, 0.7, (0.95, 0.9, 0.8), (0.9, 0.7, 0.8))
    votes[1, :9] = -1
    votes[2, 5:8] = -2
    found = dawid_skene(THREE, votes, resamples=9)
    score, tables = plain(votes)
    assert found.converged
    assert found.score == pytest.approx(score, abs=1e-5)
    assert [(j.sensitivity, j.specificity) for j in found.judges] == [
        pytest.approx(table, abs=1e-4) for table in tables
    ]


def test_it_finds_the_share_and_the_judges_where_the_mean_of_the_votes_does_not():
    rng = np.random.default_rng(2)
    _, votes = jury(rng, 4000, 0.8, (0.97, 0.9, 0.7), (0.9, 0.85, 0.6))
    found = dawid_skene(THREE, votes, resamples=199)
    assert found.score == pytest.approx(0.8, abs=0.02)
    assert abs(float(votes.mean()) - 0.8) > 0.04
    assert [j.sensitivity for j in found.judges] == pytest.approx([0.97, 0.9, 0.7], abs=0.03)
    assert [j.specificity for j in found.judges] == pytest.approx([0.9, 0.85, 0.6], abs=0.1)


def test_the_interval_covers_the_true_share_where_errors_are_independent():
    """docs/statistics.md has the table."""
    rng, covered, plainly = np.random.default_rng(3), 0, 0
    for _ in range(120):
        _, votes = jury(rng, 200, 0.8, (0.9,) * 3, (0.9,) * 3)
        found = dawid_skene(THREE, votes, resamples=299).interval
        covered += found.low <= 0.8 <= found.high
        around = wilson(cluster(votes.mean(axis=0)))
        plainly += around.low <= 0.8 <= around.high
    assert covered / 120 > 0.88
    assert plainly / 120 < 0.6


def test_right_and_wrong_do_not_change_places():
    """The start, and the check at the end, keep the solution in which the jury is better than chance."""
    rng = np.random.default_rng(4)
    _, votes = jury(rng, 500, 0.1, (0.9,) * 3, (0.9,) * 3)
    found = dawid_skene(THREE, votes, resamples=9)
    assert found.score == pytest.approx(0.1, abs=0.05)
    assert all(judge.sensitivity + judge.specificity > 1 for judge in found.judges)


def test_order_seed_and_clusters():
    rng = np.random.default_rng(5)
    _, votes = jury(rng, 120, 0.7, (0.9,) * 3, (0.9,) * 3)
    found, again = (dawid_skene(THREE, votes, resamples=99, seed=3) for _ in range(2))
    assert found.interval == again.interval
    turned = dawid_skene(THREE, votes[:, ::-1], resamples=99, seed=3)
    assert (turned.score, turned.interval) == (found.score, found.interval)
    fourfold = dawid_skene(THREE, np.repeat(votes, 4, axis=1), clusters=np.repeat(np.arange(120), 4), resamples=499)
    alone = dawid_skene(THREE, np.repeat(votes, 4, axis=1), resamples=499)
    assert fourfold.interval.n_clusters == 120
    assert fourfold.interval.half_width > 1.6 * alone.interval.half_width


def test_items_without_an_answer_count_as_wrong_in_score_and_interval():
    rng = np.random.default_rng(6)
    _, votes = jury(rng, 100, 0.8, (0.95,) * 3, (0.95,) * 3)
    found, more = dawid_skene(THREE, votes, resamples=499), dawid_skene(THREE, votes, wrong=100, resamples=499)
    assert more.score == pytest.approx(found.score / 2)
    assert more.interval.n == 200
    assert more.interval.low < more.score < more.interval.high


def test_two_judges_are_refused():
    with pytest.raises(DataError, match="2 judges vote: Dawid and Skene's method needs 3"):
        dawid_skene(THREE, np.array([[1, 0], [1, 1], [-1, -2]], dtype=np.int8))


def test_a_unanimous_jury_has_an_interval_in_a_summary():
    votes = Votes(THREE, tuple(map(str, range(40))), {"good": np.ones((3, 40), dtype=np.int8)})
    found = summarise(votes, method="dawid-skene", resamples=99)
    assert found.interval.low < 0.95
    assert found.bounds_low is None
    assert [judge.judge for judge in found.latent] == list(THREE)
    assert any("all item values are equal" in note or "as wide as Wilson's" in note for note in found.footnotes)
