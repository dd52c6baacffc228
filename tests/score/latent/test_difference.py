import numpy as np
import pytest

from batchflow.errors import DataError
from batchflow.score.latent.difference import compare_fitted, fitted
from batchflow.score.latent.fit import dawid_skene
from batchflow.score.values import Votes

THREE = ("a", "b", "c")


def votes_of(cast, wrong=0, items=None):
    names = items or tuple(str(n) for n in range(cast.shape[1]))
    return Votes(THREE, names, {"right": cast.astype(np.int8)}, wrong=wrong)


def jury(rng, right, error=(0.05, 0.1, 0.25)):
    return np.array([np.where(rng.random(len(right)) < e, ~right, right) for e in error])


def test_the_difference_is_that_of_the_two_fits_and_mirrors_itself():
    rng = np.random.default_rng(1)
    casts = [jury(rng, rng.random(150) < share) for share in (0.8, 0.6)]
    casts[0][1, :9] = -1
    sides = [fitted(name, votes_of(cast)) for name, cast in zip("xy", casts, strict=True)]
    (pair,) = compare_fitted(sides, resamples=199, seed=3).pairs
    scores = [dawid_skene(THREE, cast.astype(np.int8), resamples=9).score for cast in casts]
    assert pair.difference == pytest.approx(scores[0] - scores[1], abs=1e-6)
    assert (pair.mean_a, pair.mean_b) == pytest.approx(tuple(scores), abs=1e-6)
    assert pair.interval.method == "refitted percentile"
    assert pair.interval.low < pair.difference < pair.interval.high
    assert (pair.p < 0.05) == (not pair.interval.low <= 0 <= pair.interval.high)
    (other,) = compare_fitted(sides[::-1], resamples=199, seed=3).pairs
    assert (other.difference, other.interval.low, other.p) == (-pair.difference, -pair.interval.high, pair.p)
    assert compare_fitted(sides, resamples=199, seed=3).pairs == (pair,)


def test_a_bad_judge_weighs_less_and_equal_models_are_hardly_ever_told_apart():
    """Three judges, one of which errs on a quarter; the interval covers the true difference."""
    rng, held, apart, rounds = np.random.default_rng(2), 0, 0, 60
    for number in range(rounds):
        chance = rng.beta(4, 2, 120)
        sides = [fitted(name, votes_of(jury(rng, rng.random(120) < chance))) for name in "xy"]
        (pair,) = compare_fitted(sides, resamples=199, seed=number).pairs
        held += pair.interval.low <= 0 <= pair.interval.high
        apart += pair.p < 0.05
    assert held >= 0.88 * rounds
    assert apart <= 0.12 * rounds


def test_clusters_samples_and_answers_that_count_as_wrong():
    rng = np.random.default_rng(4)
    right = rng.random(80) < 0.7
    items, samples = [f"i{n // 2}" for n in range(80)], tuple(f"i{n // 2} #{n % 2}" for n in range(80))
    twice = fitted("x", votes_of(jury(rng, right), items=samples), item_of=items)
    assert len(twice.scored.items) == 40
    cast = np.hstack([jury(rng, right[::2]), np.full((3, 4), -2)])
    short = fitted("y", votes_of(cast, wrong=4, items=(*dict.fromkeys(items), "j1", "j2", "j3", "j4")))
    assert short.scored.values[-4:].tolist() == [0.0] * 4
    (pair,) = compare_fitted([twice, short], resamples=99).pairs
    assert (pair.n, pair.only_in_b) == (40, ("j1", "j2", "j3", "j4"))
    shared = [f"c{n // 8}" for n in range(40)]
    labelled = [fitted(name, votes_of(jury(rng, right[:40])), clusters=shared) for name in "xy"]
    (clustered,) = compare_fitted(labelled, resamples=99).pairs
    assert clustered.interval.n_clusters == 5
    assert short.scored.clusters is None


def test_few_items_that_differ_are_no_proof():
    rng = np.random.default_rng(5)
    right = np.arange(60) < 50
    other = right.copy()
    other[:3] = False
    sides = [fitted(name, votes_of(jury(rng, each, (0, 0, 0)))) for name, each in (("x", right), ("y", other))]
    (pair,) = compare_fitted(sides, resamples=199).pairs
    assert pair.interval.low < 0 < pair.interval.high
    assert pair.p > 0.05
    assert "differ on only 3 of 60 items" in pair.interval.note


def test_two_judges_are_too_few():
    cast = np.array([[1, 0], [1, 0], [-1, -1]])
    with pytest.raises(DataError, match="2 judges vote"):
        fitted("x", votes_of(cast))
