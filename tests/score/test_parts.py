import numpy as np
import pytest

from batchflow.errors import ArgumentError, DataError, UsageError
from batchflow.score.intervals import Settings, estimate
from batchflow.score.parts import mean_of_parts
from batchflow.score.summary import summarise
from batchflow.score.values import Votes


def test_the_mean_of_parts_covers():
    rng, shares, covered = np.random.default_rng(0), (0.9, 0.6, 0.98), 0
    for _ in range(400):
        parts = [estimate((rng.random(n) < p).astype(float), settings=Settings(resamples=1))
                 for n, p in zip((200, 40, 60), shares, strict=True)]  # fmt: skip
        _, interval = mean_of_parts([part.mean for part in parts], [part.interval for part in parts])
        covered += interval.low <= np.mean(shares) <= interval.high
    assert 0.925 <= covered / 400 <= 0.985


def test_macro_and_micro_differ_by_the_parts_sizes():
    votes = Votes(
        ("j",), tuple(map(str, range(110))), {"good": np.array([[1] * 90 + [0] * 10 + [0] * 10], dtype=np.int8)}
    )
    groups = {"topic": ["a"] * 100 + ["b"] * 10}
    micro, macro = summarise(votes, groups=groups), summarise(votes, groups=groups, macro="topic")
    assert micro.score == pytest.approx(90 / 110)
    assert macro.score == pytest.approx((0.9 + 0.0) / 2)
    assert (macro.mean, macro.interval.method, macro.macro) == (micro.score, "mover", "topic")
    assert macro.interval.low < macro.score < macro.interval.high
    assert macro.bounds_low is None
    with pytest.raises(UsageError, match="none of the groups' columns"):
        summarise(votes, groups=groups, macro="colour")


def test_what_is_no_part_is_refused():
    with pytest.raises(DataError, match="no part"):
        mean_of_parts([], [])
    part = estimate([1, 0, 1])
    with pytest.raises(ArgumentError):
        mean_of_parts([part.mean], [part.interval], [0.0])


def test_weights_are_a_weighted_mean_with_the_error_of_a_ratio():
    rng = np.random.default_rng(1)
    values, weights = rng.random(50), rng.integers(1, 5, 50).astype(float)
    found = estimate(values, settings=Settings("t"), weights=weights)
    mean = np.average(values, weights=weights)
    rest = weights * (values - mean)
    assert found.mean == pytest.approx(mean)
    assert found.interval.standard_error == pytest.approx(np.sqrt(50 / 49 * (rest**2).sum()) / weights.sum())
    assert estimate(values, weights=np.full(50, 7.0)).mean == pytest.approx(values.mean())


def test_weights_as_copies_in_one_cluster():
    """A weight of 3 is three copies of an item in one cluster."""
    values, weights = np.array([1.0, 0, 1, 1, 0, 1, 0, 0, 1, 1] * 4), np.array([1, 3, 2, 1, 1, 2, 1, 3, 1, 1] * 4)
    copies, labels = np.repeat(values, weights), np.repeat(np.arange(40), weights)
    one, other = estimate(values, weights=weights, settings=Settings("t")), estimate(copies, labels, Settings("t"))
    assert one.mean == pytest.approx(other.mean)
    assert one.interval.standard_error == pytest.approx(other.interval.standard_error)


def test_a_weighted_interval_covers():
    rng, covered = np.random.default_rng(2), 0
    for _ in range(400):
        chance, weights = rng.beta(4, 1, 120), rng.gamma(2, 1, 120)
        values = (rng.random(120) < chance).astype(float)
        found = estimate(values, settings=Settings(resamples=1), weights=weights).interval
        covered += found.low <= 0.8 <= found.high
    assert covered / 400 > 0.92


@pytest.mark.parametrize("weights", [[1.0, -1.0, 1.0], [1.0, float("nan"), 1.0], [0.0, 0.0, 0.0], [1.0, 1.0]])
def test_weights_that_are_none(weights):
    with pytest.raises(ValueError, match="weights"):
        estimate([1.0, 0.0, 1.0], weights=weights)


def test_items_of_weight_0_do_not_enter():
    assert estimate([1, 0, 1, 0.5], weights=[1, 1, 1, 0]).wilson == estimate([1, 0, 1]).wilson
