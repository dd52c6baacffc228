import numpy as np
import pytest

from batchflow.score.bias import JudgedAnswers, judge_biases, position_bias, slope
from batchflow.score.pairwise.ranking import verdicts

HOUSES = {
    "openai:j": frozenset({"openai"}),
    "anthropic:k": frozenset({"anthropic"}),
    "mistral:l": frozenset({"mistral"}),
}


def models(rng, n=250, kin=0.0, long=0.0, labels=False):
    """Four models' answers to the same items; openai:j favours its own house, or long answers, by so much."""
    items = tuple(map(str, range(n)))
    hard = rng.random(n)
    found = []
    for house, skill in (("openai", 0.8), ("openai", 0.6), ("anthropic", 0.7), ("mistral", 0.5)):
        right = rng.random(n) < np.clip(skill + 0.4 * (0.5 - hard), 0, 1)
        lengths = np.exp2(rng.normal(9, 1, n))
        votes = {}
        for judge in HOUSES:
            chance = np.where(right, 0.9, 0.15)
            if judge == "openai:j":
                chance = chance + kin * (house == "openai") + long * (np.log2(lengths) - 9)
            votes[judge] = (rng.random(n) < np.clip(chance, 0, 1)).astype(float)
        known = np.where(rng.random(n) < 0.4, right.astype(float), np.nan) if labels else np.full(n, np.nan)
        found.append(JudgedAnswers(f"{house} {skill}", frozenset({house}), items, votes, lengths, known))
    return found


@pytest.mark.parametrize("labels", [False, True])
def test_a_judge_that_favours_its_house_or_long_answers_is_found(labels):
    found = judge_biases(models(np.random.default_rng(1), n=600, kin=0.1, long=0.05, labels=labels), HOUSES)
    told = {(each.kind, each.judge): each for each in found}
    kin, long = told["own house", "openai:j"], told["length", "openai:j"]
    assert {each.reference for each in found} == {"labels" if labels else "other judges"}
    assert kin.low < kin.size < kin.high
    assert kin.size == pytest.approx(0.08, abs=0.06)
    assert long.size == pytest.approx(0.045, abs=0.025)
    assert long.p_holm < 0.05
    assert kin.n_clusters == 600 or labels
    if labels:  # against each other, one judge's bias shows in all
        assert told["length", "mistral:l"].p_holm > 0.05
    assert kin.p <= kin.p_holm


def test_judges_without_a_bias_are_named_at_most_at_the_error_rate():
    rng, false = np.random.default_rng(1), {"own house": 0, "length": 0}
    for _ in range(150):
        for each in judge_biases(models(rng, n=80), HOUSES):
            false[each.kind] += each.p < 0.05
    assert all(count / 450 < 0.075 for count in false.values())


def test_what_cannot_be_tested_is_left_out():
    (part, *_) = models(np.random.default_rng(2), n=30)
    assert [each.kind for each in judge_biases([part], HOUSES)] == ["length"] * 3  # no other house
    alone = JudgedAnswers("m", part.houses, part.items, {"openai:j": part.votes["openai:j"]}, part.lengths, part.labels)
    assert judge_biases([alone], {"openai:j": HOUSES["openai:j"]}) == ()


def test_slope_is_the_sandwich_of_its_definition():
    rng = np.random.default_rng(3)
    x, y, clusters = rng.random(40), rng.random(40), [str(n // 4) for n in range(40)]
    found = slope(y, x, clusters)
    design = np.column_stack([np.ones(40), x])
    bread = np.linalg.inv(design.T @ design)
    beta = bread @ design.T @ y
    scores = design * (y - design @ beta)[:, None]
    middle = sum(np.outer(s, s) for s in (scores[4 * c : 4 * c + 4].sum(axis=0) for c in range(10)))
    error = np.sqrt((bread @ middle @ bread)[1, 1] * 10 / 9)
    assert found[0] == pytest.approx(beta[1])
    assert (found[2] - found[1]) / 2 == pytest.approx(2.262157 * error)
    assert slope(y, np.ones(40), clusters) is None


def test_position_bias_needs_both_orders_and_takes_no_strength_for_a_bias():
    rng = np.random.default_rng(5)

    def pairs(shift, n=400, both=True):
        left, right, winner, prompts = [], [], [], []
        for prompt in range(n):
            for first, second in (("a", "b"), ("b", "a"))[: 1 + both]:
                chance = (0.9 if first == "a" else 0.1) + shift
                left.append(first)
                right.append(second)
                winner.append("left" if rng.random() < chance else "right")
                prompts.append(prompt)
        return verdicts(left, right, winner, prompts)

    fair, swayed = position_bias(pairs(0.0)), position_bias(pairs(0.08))
    assert fair.low < 0 < fair.high
    assert swayed.size == pytest.approx(0.08, abs=0.05)
    assert swayed.p < 0.05
    assert (swayed.n, swayed.n_clusters, swayed.reference) == (400, 400, "both orders")
    assert position_bias(pairs(0.0, both=False)) is None
