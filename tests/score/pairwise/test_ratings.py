import evalica
import numpy as np
import pytest

from batchflow.errors import DataError, UsageError
from batchflow.score.pairwise.ranking import rank, verdicts
from batchflow.score.pairwise.ratings import METHODS, eigen, outcomes, rate

WORDS = {"left": evalica.Winner.X, "right": evalica.Winner.Y, "tie": evalica.Winner.Draw}


def arena(rng, prompts, strengths, ties=0.15):
    names = list(strengths)
    rows = []
    for prompt in range(prompts):
        first, second = rng.choice(len(names), 2, replace=False).tolist()
        a, b = names[first], names[second]
        chance = 1 / (1 + np.exp(strengths[b] - strengths[a]))
        word = "tie" if rng.random() < ties else "left" if rng.random() < chance else "right"
        rows.append((a, b, word, prompt))
    return tuple(zip(*rows, strict=True))


@pytest.fixture(scope="module")
def played():
    return arena(np.random.default_rng(0), 400, {"a": 1.0, "b": 0.3, "c": 0.0, "d": -0.8})


def by_model(found):
    return {each.model: each.rating for each in found.models}


def test_ratings_are_evalicas(played):
    left, right, winner, prompts = played
    found = verdicts(left, right, winner, prompts)
    words = [WORDS[word] for word in winner]
    theirs = {
        "points": evalica.counting(left, right, words, win_weight=1, tie_weight=0.5).scores,
        "win-rate": evalica.average_win_rate(left, right, words, win_weight=1, tie_weight=0.5).scores,
        "newman": np.log(evalica.newman(left, right, words, tolerance=1e-12, limit=5000).scores),
        # evalica 0.4 multiplies by the transposed matrix, so that its leading vector is of the losses
        "eigen": evalica.eigen(right, left, words, win_weight=1, tie_weight=1, tolerance=1e-12, limit=5000).scores,
    }
    for method, scores in theirs.items():
        ours = by_model(rate(found, method, resamples=9))
        expected = dict(zip(scores.index, scores, strict=True))
        if method == "newman":
            expected = {name: value - np.mean(list(expected.values())) for name, value in expected.items()}
        if method == "eigen":
            expected = {name: value / sum(expected.values()) for name, value in expected.items()}
        assert ours == pytest.approx(expected, abs=1e-5), method


def test_eigen_is_numpys_leading_eigenvector(played):
    wins, ties = outcomes(verdicts(*played))
    values, vectors = np.linalg.eig(wins + ties)
    leading = np.abs(np.real(vectors[:, np.argmax(np.real(values))]))
    assert eigen(wins, ties) == pytest.approx(leading / leading.sum(), abs=1e-8)


def test_newman_without_ties_is_bradley_terry():
    left, right, winner, prompts = arena(np.random.default_rng(1), 300, {"a": 1.0, "b": 0.0, "c": -0.5}, ties=0)
    found = verdicts(left, right, winner, prompts)
    rated = rate(found, "newman", resamples=9)
    assert by_model(rated) == pytest.approx({r.model: r.strength for r in rank(found).ratings}, abs=1e-6)
    assert rated.ties == 0


def test_win_rate_intervals_cover_and_few_prompts_are_said():
    rng, covered = np.random.default_rng(2), 0
    for _ in range(150):
        left, right, winner, prompts = arena(rng, 120, {"a": 1.0, "b": 0.0}, ties=0)
        (best,) = (
            m for m in rate(verdicts(left, right, winner, prompts), "win-rate", resamples=299).models if m.model == "a"
        )
        covered += best.low <= 1 / (1 + np.exp(-1)) <= best.high
    assert covered / 150 > 0.88
    few = arena(rng, 8, {"a": 0.5, "b": 0.0})
    assert "8 prompts are few" in rate(verdicts(*few), "points", resamples=9).note


def test_a_model_that_won_everything_is_infinite_or_refused():
    found = verdicts(["a", "a", "b", "b"], ["b", "c", "c", "c"], ["left", "left", "left", "right"], [1, 2, 3, 4])
    with pytest.raises(DataError, match="no strength can be given"):
        rate(found, "newman")
    assert by_model(rate(found, "win-rate", resamples=99))["a"] == 1.0
    shaky = verdicts(
        ["a", "b", "a", "b"] * 2, ["b", "a", "b", "a"] * 2, ["left", "right", "left", "left"] * 2, list(range(8))
    )
    assert rate(shaky, "newman", resamples=999).models[0].high == np.inf


def test_methods_and_prompts_that_are_refused(played):
    with pytest.raises(UsageError, match="no rating called 'glicko'"):
        rate(verdicts(*played), "glicko")
    with pytest.raises(DataError, match="two prompts"):
        rate(verdicts(["a"], ["b"], ["left"], [1]), "points")
    assert set(METHODS) == {"points", "win-rate", "newman", "eigen"}
