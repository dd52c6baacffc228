import numpy as np
import pytest

from batchflow.errors import DataError
from batchflow.score.labelled.labelled_pair import corrected_difference
from batchflow.score.labelled.reliability import expected_slope_of_differences
from batchflow.score.paired import Scored, compare
from batchflow.score.values import Votes


def equal_models(rng, n, labels, passed=(0.15, 0.05), right=0.7):
    """Two models that are right equally often; the jury of three lets their wrong answers pass unequally often."""
    items = tuple(map(str, range(n)))
    chosen = rng.permutation(n)[:labels]
    models, human = [], []
    for name, lenient in zip("ab", passed, strict=True):
        truth = rng.random(n) < right
        votes = np.where(truth, rng.random((3, n)) < 0.97, rng.random((3, n)) < lenient)
        models.append(Scored(name, items, votes.mean(axis=0)))
        human.append({items[place]: float(truth[place]) for place in chosen.tolist()})
    return models, human


def test_judges_that_favour_one_model_make_no_difference_with_labels_of_both():
    rng, plain, corrected, covered = np.random.default_rng(0), 0, 0, 0
    for _ in range(250):
        (a, b), (of_a, of_b) = equal_models(rng, 500, 100)
        plain += compare(a, b, resamples=1).p < 0.05
        found = corrected_difference(a, b, of_a, of_b)
        corrected += found.p < 0.05
        covered += found.interval.low <= 0 <= found.interval.high
    assert plain / 250 > 0.12
    assert corrected / 250 <= 0.06
    assert covered == 250 - corrected


def test_the_judges_errors_are_told_by_model():
    (a, b), (of_a, of_b) = equal_models(np.random.default_rng(1), 4000, 2000)
    found = corrected_difference(a, b, of_a, of_b)
    assert [each.model for each in found.errors] == ["a", "b"]
    assert [each.wrong_passed for each in found.errors] == pytest.approx([0.15, 0.05], abs=0.02)
    assert [each.right_failed for each in found.errors] == pytest.approx([0.03, 0.03], abs=0.01)
    assert all(each.wrong + each.right == 2000 for each in found.errors)
    assert abs(found.difference) < abs(found.uncorrected) + 0.02
    assert found.labels == 2000


def test_without_labels_the_error_that_would_explain_it_is_told():
    """+3 points between models with 30 % wrong answers: judges that let 10 points more of a's wrong answers pass."""
    ids = tuple(map(str, range(1000)))
    a = Scored("a", ids, np.array([1.0] * 730 + [0.0] * 270))
    b = Scored("b", ids, np.array([1.0] * 700 + [0.0] * 300))
    assert compare(a, b).explained_by == pytest.approx(0.03 / 0.3)
    assert compare(a, b).explained_by == compare(b, a).explained_by
    assert compare(a, a.__class__("c", ids, np.zeros(1000))).explained_by == pytest.approx(0.73)


def test_too_few_labels_of_both_are_refused():
    (a, b), (of_a, _) = equal_models(np.random.default_rng(2), 50, 20)
    with pytest.raises(DataError, match="0 items have a label of both a's and b's answer"):
        corrected_difference(a, b, of_a, {})


def test_few_labels_of_both_are_not_drowned_in_noisy_judges_nor_good_ones_in_few_labels():
    """Two models at 97 % with judges that err on one in five, and at 70 % with judges that hardly err; 10 labels."""
    for share, error in ((0.97, 0.2), (0.7, 0.02)):
        rng, apart = np.random.default_rng(4), {"ours": [], "votes": [], "full": [], "labels": []}
        for _ in range(500):
            right = rng.random((2, 196)) < share
            cast = np.where(rng.random((3, 2, 196)) < error, ~right, right).astype(np.int8)
            items = tuple(map(str, range(196)))
            votes = [Votes(("a", "b", "c"), items, {"right": cast[:, side]}) for side in (0, 1)]
            models = [Scored(name, items, cast[:, side].mean(axis=0)) for side, name in enumerate("xy")]
            human = [dict(zip(items[:10], each[:10].astype(float).tolist(), strict=True)) for each in right]
            slope = expected_slope_of_differences(*votes, "right")
            apart["ours"].append(corrected_difference(*models, *human, slope=slope).difference)
            apart["votes"].append(corrected_difference(*models, *human).difference)
            jury = models[0].values - models[1].values
            apart["labels"].append((right[0, :10].astype(float) - right[1, :10]).mean())
            apart["full"].append(apart["labels"][-1] + jury[10:].mean() - jury[:10].mean())
        rmse = {name: float(np.sqrt(np.mean(np.square(each)))) for name, each in apart.items()}
        assert rmse["ours"] <= 1.05 * min(rmse["full"], rmse["labels"])
        assert rmse["ours"] <= 1.02 * rmse["votes"]


def test_the_slope_of_differences_is_seen_in_votes_of_judges_of_both():
    rng = np.random.default_rng(6)
    right = rng.random((2, 100_000)) < 0.8
    cast = np.where(rng.random((3, *right.shape)) < 0.1, ~right, right).astype(np.int8)
    items = tuple(map(str, range(right.shape[1])))
    a = Votes(("a", "b", "c"), items, {"right": cast[:, 0]})
    b = Votes(("c", "x", "b", "a"), items[::-1], {"right": np.vstack([cast[[2, 0, 1, 0], 1]])[:, ::-1]})
    jury = cast[:, 0].mean(axis=0) - cast[:, 1].mean(axis=0)
    slope = np.cov(right[0].astype(float) - right[1], jury)[0, 1] / jury.var(ddof=1)
    assert expected_slope_of_differences(a, b, "right") == pytest.approx(slope, abs=0.02)
    assert expected_slope_of_differences(a, Votes(("x", "c"), items, {"right": cast[:2, 1]}), "right") is None
