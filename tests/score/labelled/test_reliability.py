from dataclasses import replace

import numpy as np
import pytest

from batchflow.score.labelled.calibration import ppi
from batchflow.score.labelled.gold import read_gold
from batchflow.score.labelled.reliability import expected_slope
from batchflow.score.riddle import votes_from
from batchflow.score.summary import summarise


def drawn(rng, n, p, error, judges=3):
    right = rng.random(n) < p
    return right, np.where(rng.random((judges, n)) < error, ~right, right).astype(np.int8)


@pytest.mark.parametrize(("p", "error", "judges"), [(0.5, 0.1, 3), (0.8, 0.02, 2), (0.99, 0.2, 3), (0.9, 0.2, 5)])
def test_the_votes_alone_show_the_slope_of_what_is_right_on_the_jurys_value(p, error, judges):
    right, votes = drawn(np.random.default_rng(1), 200_000, p, error, judges)
    jury = votes.mean(axis=0)
    slope = np.cov(right, jury)[0, 1] / jury.var(ddof=1)
    assert expected_slope(votes, binary=True) == pytest.approx(min(slope, 1), abs=0.02)
    thinned = np.where(np.random.default_rng(2).random(votes.shape) < 0.3, -1, votes).astype(np.int8)
    assert expected_slope(thinned, binary=True) == pytest.approx(
        np.cov(right[(thinned >= 0).any(axis=0)], _means(thinned))[0, 1] / _means(thinned).var(ddof=1), abs=0.05
    )


def _means(votes):
    count = (votes >= 0).sum(axis=0)
    return np.where(votes >= 0, votes, 0).sum(axis=0)[count > 0] / count[count > 0]


def test_numbers_have_a_reliability_and_a_single_judge_has_none():
    rng = np.random.default_rng(3)
    truth = rng.beta(4, 2, 100_000)
    votes = np.clip(truth + rng.normal(0, 0.1, (2, 100_000)), 0, 1)
    assert expected_slope(votes, binary=False) == pytest.approx(truth.var() / votes.mean(axis=0).var(), abs=0.03)
    assert expected_slope(np.array([[1, 0, 1]], dtype=np.int8), binary=True) is None
    assert expected_slope(np.array([[1, 0, -1, -1], [-1, -1, 1, 0]], dtype=np.int8), binary=True) is None
    assert expected_slope(np.array([[1, 1], [1, 1]], dtype=np.int8), binary=True) == 1.0
    assert expected_slope(np.array([[1, 0, 1, 0], [0, 1, 0, 1]], dtype=np.int8), binary=True) == 1.0  # no spread at all


def test_few_labels_that_are_all_right_are_not_drowned_in_a_noisy_jury():
    """p 0.99, judges that err on one in five, 5 labels: λ = 1 is far worse than the labels alone, λ = 0 elsewhere."""
    for p, error in ((0.99, 0.2), (0.8, 0.02)):
        rng, errors = np.random.default_rng(4), {"ours": [], "votes": [], "full": [], "labels": []}
        for _ in range(1500):
            right, votes = drawn(rng, 191, p, error)
            y, jury = right[:5].astype(float), votes.mean(axis=0)
            f, u = jury[:5], jury[5:]
            errors["ours"].append(ppi(y, f, u, slope=expected_slope(votes, binary=True)).score - p)
            errors["votes"].append(ppi(y, f, u).score - p)
            errors["full"].append(min(max(y.mean() + u.mean() - f.mean(), 0), 1) - p)
            errors["labels"].append(y.mean() - p)
        rmse = {name: float(np.sqrt(np.mean(np.square(each)))) for name, each in errors.items()}
        assert rmse["ours"] <= 1.08 * min(rmse["full"], rmse["labels"])
        assert rmse["ours"] <= 1.02 * rmse["votes"]


def test_a_score_takes_the_slope_from_its_votes():
    right, votes = drawn(np.random.default_rng(5), 191, 0.99, 0.2)
    items = [str(n) for n in range(191)]
    gold = read_gold(
        [{"custom_id": name, "model": "m", "human_answer_correct": bool(right[int(name)])} for name in items[:8]]
    )
    words = {"field": "is_answer_correct", "method": "ppi", "gold": gold}
    found = summarise(replace(votes_from(["a", "b", "c"], items, votes, votes), model="m"), **words)
    jury = votes.mean(axis=0)
    expected = ppi(right[:8].astype(float), jury[:8], jury[8:], slope=expected_slope(votes, binary=True))
    assert found.score == pytest.approx(expected.score)
    assert expected.weight < 0.4 < ppi(right[:8].astype(float), jury[:8], jury[8:]).weight


def test_a_slope_outside_0_and_1_is_no_slope():
    with pytest.raises(ValueError, match="slope"):
        ppi(np.ones(3), np.ones(3), np.ones(3), slope=1.5)
