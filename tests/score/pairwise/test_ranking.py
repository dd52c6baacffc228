import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy import stats

from batchflow.errors import DataError, UsageError
from batchflow.score.pairwise.ranking import bradley_terry, elo, elo_in_order, position, rank, verdicts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # evalica warns where its compiled part is missing
    import evalica

TO_EVALICA = {"left": evalica.Winner.X, "right": evalica.Winner.Y, "tie": evalica.Winner.Draw}
battles = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["left", "right", "tie"])).filter(
        lambda row: row[0] != row[1]
    ),
    min_size=5,
    max_size=60,
)
RING = [(a, (a + 1) % 4, word) for a in range(4) for word in ("left", "right")]


def columns(rows):
    left, right, winner = zip(*rows, strict=True)
    return [f"m{i}" for i in left], [f"m{i}" for i in right], list(winner)


@given(battles)
@examples(max_examples=40, deadline=None)
def test_bradley_terry_is_evalicas(rows):
    left, right, winner = columns(rows + RING)
    ours = np.exp(bradley_terry(verdicts(left, right, winner).wins()))
    theirs = evalica.bradley_terry(
        left, right, [TO_EVALICA[w] for w in winner], tolerance=1e-12, limit=100_000, solver="naive"
    )
    expected = np.array([theirs.scores[f"m{i}"] for i in range(4)])
    assert ours / ours.sum() == pytest.approx(expected / expected.sum(), abs=1e-6)


@given(battles)
@examples(max_examples=25, deadline=None)
def test_elo_in_file_order_is_evalicas(rows):
    left, right, winner = columns(rows + RING)
    found = verdicts(left, right, winner)
    ours = elo_in_order(found, np.arange(len(winner))[:, None], k=32, scale=400, base=10, initial=1000)[0]
    theirs = evalica.elo(
        left, right, [TO_EVALICA[w] for w in winner], k=32, scale=400, base=10, initial=1000, solver="naive"
    )
    assert ours == pytest.approx([theirs.scores[f"m{i}"] for i in range(4)], abs=1e-6)


def test_elo_does_not_depend_on_the_file_order():
    left, right, winner = columns(RING * 5 + [(0, 1, "left")] * 20)
    one = elo(verdicts(left, right, winner), orders=400)
    other = elo(verdicts(left[::-1], right[::-1], winner[::-1]), orders=400)
    assert one == pytest.approx(other, abs=8)
    assert one.sum() == pytest.approx(4000)
    assert (elo(verdicts(left, right, winner), seed=3) == elo(verdicts(left, right, winner), seed=3)).all()
    with pytest.raises(UsageError, match="order"):
        elo(verdicts(left, right, winner), orders=0)


def test_sandwich_without_clusters_is_near_the_information():
    """With a true model, the sandwich and the inverse information agree; two models have a closed form."""
    wins = 300
    found = rank(verdicts(["a"] * 500, ["b"] * 500, ["left"] * wins + ["right"] * (500 - wins)))
    assert found.ratings[0].strength == pytest.approx(np.log(300 / 200) / 2)
    # Each of the two strengths is half of the log odds, whose error is 1 / √(n p q); C/(C-1) is 500/499.
    assert found.ratings[0].standard_error == pytest.approx(0.5 / np.sqrt(500 * 0.6 * 0.4) * np.sqrt(500 / 499))
    assert (found.ratings[0].wins, found.ratings[0].losses, found.n_clusters) == (300, 200, 500)


def test_copies_of_a_verdict_do_not_make_it_surer():
    rng = np.random.default_rng(0)
    rows = [
        (a, b, w)
        for a, b, w in zip(
            rng.integers(0, 2, 200), rng.integers(2, 4, 200), rng.choice(["left", "right", "tie"], 200), strict=True
        )
    ]
    left, right, winner = columns(rows)
    single = rank(verdicts(left, right, winner))
    prompts = list(range(200)) * 5
    copied = rank(verdicts(left * 5, right * 5, winner * 5, prompts))
    naive = rank(verdicts(left * 5, right * 5, winner * 5))
    for one, other, wrong in zip(single.ratings, copied.ratings, naive.ratings, strict=True):
        assert other.standard_error == pytest.approx(one.standard_error, rel=1e-6)
        assert wrong.standard_error < one.standard_error / 2


def test_clustered_intervals_cover():
    rng, true, hits = np.random.default_rng(1), np.array([0.5, 0.0, -0.5]), 0
    pairs = np.array([(0, 1), (0, 2), (1, 2)])
    for _ in range(150):
        shift = rng.normal(0, 1.0, (60, 3))  # what a prompt does to each model
        left, right, winner, prompts = [], [], [], []
        for prompt in range(60):
            for a, b in pairs:
                odds = true[a] - true[b] + shift[prompt, a] - shift[prompt, b]
                for _ in range(2):
                    left.append(f"m{a}")
                    right.append(f"m{b}")
                    winner.append("left" if rng.random() < 1 / (1 + np.exp(-odds)) else "right")
                    prompts.append(prompt)
        found = {each.model: each for each in rank(verdicts(left, right, winner, prompts)).ratings}
        hits += found["m1"].low <= 0 <= found["m1"].high  # the middle model is at 0 with and without prompt noise
    assert 0.9 <= hits / 150 <= 0.99


def test_unparsed_verdicts_are_counted_and_never_a_win():
    left, right, winner = columns(RING)
    found = verdicts([*left, "m0"], [*right, "m1"], [*winner, None])
    assert found.unparsed == rank(found).unparsed == 1
    assert found.wins().sum() == len(winner)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([("a", "b", "left")], "no chain of wins or ties leads from b to a"),
        ([("a", "b", "tie"), ("c", "d", "tie")], "no chain"),
        ([("a", "b", "won")], "winner 'won'"),
        ([("a", "a", "tie")], "against itself"),
        ([("a", "b", None)], "no verdict"),
        ([("a", "b", "tie")], "two prompts"),
    ],
)
def test_what_cannot_be_ranked_is_refused(rows, text):
    with pytest.raises(DataError, match=text):
        rank(verdicts(*zip(*rows, strict=True)))


def test_position_bias():
    seen = verdicts(["a", "b"] * 3, ["b", "a"] * 3, ["left", "left", "left", "right", "tie", "tie"], [1, 1, 2, 2, 3, 3])
    found = position(seen)
    assert found.agreement == pytest.approx(2 / 3)
    assert found.twice == 3
    assert found.left_wins == pytest.approx(4 / 6)
    assert position(verdicts(["a"], ["b"], ["tie"])).agreement is None


@pytest.mark.parametrize("winner", ["left", "tie"])
def test_verdicts_that_cancel_on_every_prompt_have_an_interval(winner):
    """A judge that always names the left side, or ties alone: 0, and not 0 ± 0."""
    left, right = ["a"] * 100 + ["b"] * 100, ["b"] * 100 + ["a"] * 100
    found = rank(verdicts(left, right, [winner] * 200, list(range(100)) * 2))
    assert "the verdicts on every prompt cancel out: two pseudo-prompts" in found.note
    for each in found.ratings:
        assert each.strength == pytest.approx(0, abs=1e-9)
        assert each.high == -each.low
        assert 0.02 < each.high < 0.05
    five = rank(verdicts(["a"] * 5, ["b"] * 5, ["tie"] * 5))
    assert five.ratings[0].high > 0.2


def test_a_model_that_won_everything_has_no_upper_bound():
    found = rank(verdicts(["a"] * 20 + ["b", "c"], ["b"] * 20 + ["c", "b"], ["left"] * 22))
    best, *rest = found.ratings
    assert (best.model, best.high) == ("a", np.inf)
    assert best.strength > max(each.strength for each in rest)
    assert -np.inf < best.low
    assert all(each.low == -np.inf and each.high < np.inf for each in rest)
    assert "won or lost everything" in found.note


@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_prompts_cover(count):
    """Three models, judged twice a pair: 69, 82 and 89 of 100 with normal bounds."""
    rng, true, hits = np.random.default_rng(count), np.array([0.5, 0.0, -0.5]), 0
    for _ in range(150):
        rows = []
        for prompt in range(count):
            shift = rng.normal(0, 1, 3)
            for a, b in ((0, 1), (0, 2), (1, 2)):
                chance = 1 / (1 + np.exp(true[b] + shift[b] - true[a] - shift[a]))
                rows += [(f"m{a}", f"m{b}", "left" if rng.random() < chance else "right", prompt) for _ in range(2)]
        found = {each.model: each for each in rank(verdicts(*zip(*rows, strict=True))).ratings}["m1"]
        hits += found.low <= 0 <= found.high
    assert hits / 150 >= 0.92


def test_few_prompts_are_said_and_widen_the_bounds():
    left, right, winner = ["a"] * 6, ["b"] * 6, ["left", "left", "right", "left", "tie", "left"]
    few = rank(verdicts(left, right, winner, [0, 1, 2, 3, 4, 5]))
    assert "6 prompts are few" in few.note
    best = few.ratings[0]
    assert best.high - best.strength == pytest.approx(stats.t.ppf(0.975, 5) * best.standard_error)
    many = rank(verdicts(left * 3, right * 3, winner * 3))
    best = many.ratings[0]
    assert many.note == ""
    assert best.high - best.strength == pytest.approx(stats.t.ppf(0.975, 17) * best.standard_error)


def test_contrasts_have_the_error_of_the_difference():
    rng = np.random.default_rng(8)
    left, right, winner = zip(
        *[(a, b, "left" if rng.random() < 0.62 else "right") for a, b in (("a", "b"), ("b", "c"), ("a", "c")) * 60],
        strict=True,
    )
    found = rank(verdicts(left, right, winner, list(range(180))))
    strength = {each.model: each.strength for each in found.ratings}
    assert len(found.contrasts) == 3
    for each in found.contrasts:
        assert each.difference == pytest.approx(strength[each.a] - strength[each.b])
        assert each.difference >= 0
        assert each.low < each.difference < each.high
        assert each.chance == pytest.approx(1 / (1 + np.exp(-each.difference)))
        assert each.p <= each.p_holm <= 1
    # against a plain logistic regression of the same verdicts, with c as the reference
    design = np.array(
        [[(x == "a") - (y == "a"), (x == "b") - (y == "b")] for x, y in zip(left, right, strict=True)], float
    )
    y, beta = np.array([word == "left" for word in winner], float), np.zeros(2)
    for _ in range(30):
        mu = 1 / (1 + np.exp(-design @ beta))
        bread = np.linalg.inv(design.T @ (design * (mu * (1 - mu))[:, None]))
        beta = beta + bread @ design.T @ (y - mu)
    scores = design * (y - mu)[:, None]
    covariance = bread @ scores.T @ scores @ bread * 180 / 179
    by_pair = {frozenset((each.a, each.b)): each for each in found.contrasts}
    assert by_pair[frozenset("ac")].standard_error == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-6)
    assert by_pair[frozenset("ab")].standard_error == pytest.approx(
        np.sqrt(np.array([1, -1]) @ covariance @ [1, -1]), rel=1e-6
    )


def test_contrasts_cover():
    rng, covered, truth = np.random.default_rng(9), 0, {"a": 0.6, "b": 0.0, "c": -0.6}
    for _ in range(200):
        rows = []
        for prompt in range(60):
            shift = rng.normal(0, 0.5)  # a prompt that suits a
            for a, b in (("a", "b"), ("b", "c"), ("a", "c")):
                gap = truth[a] - truth[b] + shift * ((a == "a") - (b == "a"))
                rows.append((a, b, "left" if rng.random() < 1 / (1 + np.exp(-gap)) else "right", prompt))
        (pair,) = (c for c in rank(verdicts(*zip(*rows, strict=True))).contrasts if {c.a, c.b} == {"b", "c"})
        sign = 1 if pair.a == "b" else -1
        covered += pair.low <= sign * 0.6 <= pair.high
    assert covered / 200 > 0.9
