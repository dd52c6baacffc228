from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from batchflow.errors import DataError, UsageError
from batchflow.score.labelled.calibration import ppi, rogan_gladen
from batchflow.score.labelled.gold import read_gold
from batchflow.score.labelled.layton import Bin, layton
from batchflow.score.riddle import votes_from
from batchflow.score.summary import summarise

shares = st.lists(st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0]), min_size=4, max_size=30)


@given(st.lists(st.booleans(), min_size=4, max_size=30), shares, shares)
@examples(max_examples=60, deadline=None)
def test_ppi_is_the_published_formula(labels, judged, unlabelled):
    """The slow twin: λ by a search over a grid, which minimises the estimated variance of the score."""
    size = min(len(labels), len(judged))
    y, f, u = (np.array(x, float) for x in (labels[:size], judged[:size], unlabelled))
    found = ppi(y, f, u)
    grid = np.linspace(0, 1, 2001)
    pooled = np.concatenate([f, u]).var(ddof=1)
    cov = ((y - y.mean()) * (f - f.mean())).mean()
    risk = grid**2 * pooled * (1 / len(u) + 1 / size) - 2 * grid * cov / size
    best = grid[np.argmin(risk)] if pooled > 0 else 0.0
    raw = y.mean() + best * (u.mean() - f.mean())
    assert found.published_score == pytest.approx(min(max(raw, 0), 1), abs=1e-3)
    assert 0 <= found.interval.low <= found.score <= found.interval.high <= 1


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_that_are_all_alike_do_not_silence_the_jury(label):
    """30 labels that all confirm the jury: the score is the jury's, not the labels' 100 or 0."""
    judged, rest = np.full(30, label), np.concatenate([np.full(271, label), np.full(29, 1 - label)])
    found = ppi(np.full(30, label), judged, rest)
    everything = np.concatenate([judged, rest]).mean()
    assert found.score == pytest.approx(everything)  # not the labels' 100 or 0
    assert found.interval.low < everything < found.interval.high
    assert any("do not show how often the jury errs" in note for note in found.footnotes)


def test_ppi_by_hand():
    """With each item left out in turn, jury and labels are alike: λ = 1 / (1 + n/N) = 1/3."""
    y, f, u = np.array([1.0, 1, 0, 0]), np.array([1.0, 1, 0, 0]), np.array([1.0, 0])
    found = ppi(y, f, u)
    assert found.weight == pytest.approx(1 / 3)
    assert found.score == pytest.approx(0.5)
    variance = ((2 / 3) ** 2 * 0.25) / 4 + (1 / 3) ** 2 * 0.25 / 2
    assert found.interval.standard_error == pytest.approx(np.sqrt(variance))


def test_the_corrected_score_is_as_near_as_the_better_of_jury_and_labels():
    """RMSE against λ = 1 and against the labels alone; the paper's λ is biased by over a point here."""
    rng, errors = np.random.default_rng(3), {"ours": [], "paper": [], "plain": [], "labels": []}
    for _ in range(800):
        truth = rng.random(186) < 0.95
        judged = np.where(rng.random((3, 186)) < 0.05, ~truth, truth).mean(axis=0)
        y, f, u = truth[:30].astype(float), judged[:30], judged[30:]
        found = ppi(y, f, u)
        for name, value in (
            ("ours", found.score), ("paper", found.published_score), ("plain", y.mean() + u.mean() - f.mean()),
            ("labels", y.mean()),
        ):  # fmt: skip
            errors[name].append(value - 0.95)
    rmse = {name: float(np.sqrt(np.mean(np.square(each)))) for name, each in errors.items()}
    assert rmse["ours"] < min(rmse["plain"], rmse["labels"])
    assert abs(np.mean(errors["ours"])) < 0.003 < abs(np.mean(errors["paper"]))


def test_labels_chosen_by_their_verdict_are_pointed_out():
    """60 labels, all of answers that the jury calls right, of a batch in which it calls a third wrong."""
    rest = np.repeat([1.0, 0.0], [60, 66])
    chosen = ppi(np.ones(60), np.ones(60), rest)
    assert any("do not look chosen at random: the jury gives 100.0 on them and 47.6 on the rest" in n
               for n in chosen.footnotes)  # fmt: skip
    rng, said = np.random.default_rng(0), 0
    for _ in range(300):
        judged = rng.binomial(3, 0.7, 200) / 3
        said += any("chosen at random:" in n for n in ppi(np.ones(60), judged[:60], judged[60:]).footnotes)
    assert said <= 12


@pytest.mark.parametrize(
    ("labels", "judged", "unlabelled", "score", "low", "high"),
    [
        (
            "110110101101110101101101011011", "110100101111110101001101011011", "1101" * 40 + "10" * 30,
            0.701159893, 0.587000114, 0.815319673,
        ),
        (
            "000000010000000000010000000000", "010000010010000100010000110000", "0000000100" * 20,
            0.009721124, -0.073168665, 0.092610913,
        ),
        (
            "1111111111111101111111111", "1111011111111101111110111", "1111101" * 30,
            0.954068911, 0.888214021, 1.019923801,
        ),
        ("10101010101010101010", "01010101010101010101", "1100" * 25, 0.5, 0.280869365, 0.719130635),
    ],
)  # fmt: skip
def test_ppi_agrees_with_its_authors_package(labels, judged, unlabelled, score, low, high):
    """ppi-python 0.2.3, ppi_mean_pointestimate and ppi_mean_ci; bounds beyond 0 and 1 are cut by us."""
    found = ppi(*(np.array(list(bits), float) for bits in (labels, judged, unlabelled)))
    told = (found.published_score, found.published.low, found.published.high)
    assert told == pytest.approx((score, max(low, 0), min(high, 1)), abs=1e-8)


@pytest.mark.parametrize(
    ("n", "rest", "p", "error"), [(10, 100, 0.5, 0.1), (50, 136, 0.98, 0.02), (100, 86, 0.95, 0.05)]
)
def test_ppi_covers_with_few_labels_and_few_failures(n, rest, p, error):
    """Where the interval published for the tuned λ covers 62 to 91 of 100 data sets."""
    rng, hits, published = np.random.default_rng(n), 0, 0
    for _ in range(600):
        truth = rng.random(n + rest) < p
        judged = np.where(rng.random((3, n + rest)) < error, ~truth, truth).mean(axis=0)
        found = ppi(truth[:n].astype(float), judged[:n], judged[n:])
        hits += found.interval.low <= p <= found.interval.high
        published += found.published.low <= p <= found.published.high
    assert hits / 600 >= 0.93
    assert published <= hits


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0])), min_size=2, max_size=40), shares)
@examples(max_examples=80, deadline=None)
def test_the_ppi_interval_holds_its_score_and_never_has_width_0(labelled, unlabelled):
    y, f = (np.array(column, float) for column in zip(*labelled, strict=True))
    found = ppi(y, f, np.array(unlabelled))
    assert 0 <= found.interval.low <= found.score <= found.interval.high <= 1
    assert found.interval.high - found.interval.low > 0.01


def test_the_adjusted_ppi_interval_without_a_jury_is_agresti_and_mins():
    """Nothing unlabelled: 9 of 10 right, with two pseudo-labels 10 of 12."""
    y = np.array([1.0] * 9 + [0.0])
    found = ppi(y, y, np.array([]))
    half = 1.959963984540054 * np.sqrt(10 / 12 * 2 / 12 / 12)
    assert found.score == 0.9
    assert (found.interval.low, found.interval.high) == pytest.approx((10 / 12 - half, 1.0), abs=1e-9)


def test_ppi_covers_where_the_jury_is_biased():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(400):
        truth = rng.random(400) < 0.5
        judged = np.where(rng.random(400) < 0.2, 1.0, truth)  # lenient
        found = ppi(truth[:100].astype(float), judged[:100], judged[100:])
        hits += found.interval.low <= 0.5 <= found.interval.high
    assert 0.92 <= hits / 400 <= 0.98
    assert found.interval.half_width < 1.96 * 0.05  # and is narrower than the labels alone


def test_all_labelled_is_the_mean_of_the_labels():
    y = np.array([1.0, 0, 1, 1])
    assert ppi(y, y, np.array([])).score == 0.75
    with pytest.raises(DataError, match="too few"):
        ppi(y[:1], y[:1], y)


def test_rogan_gladen_covers_where_judge_quality_is_known_from_elsewhere():
    rng, hits = np.random.default_rng(1), 0
    for _ in range(400):
        passed = rng.binomial(300, 0.7 * 0.9 + 0.3 * 0.2) / 300
        found = rogan_gladen(
            passed,
            300,
            specificity=rng.binomial(150, 0.8) / 150,
            wrong=150,
            sensitivity=rng.binomial(150, 0.9) / 150,
            right=150,
        )
        hits += found.interval.low <= 0.7 <= found.interval.high
    assert 0.92 <= hits / 400 <= 0.985


def test_rogan_gladen_refuses_what_cannot_be_told():
    with pytest.raises(DataError, match="no better than chance"):
        rogan_gladen(0.5, 10, specificity=0.5, wrong=5, sensitivity=0.4, right=5)
    with pytest.raises(DataError, match="both kinds"):
        rogan_gladen(0.5, 10, specificity=1, wrong=0, sensitivity=1, right=5)


def test_layton_draw_is_the_plain_loop():
    """The predecessor's own steps: labels drawn bin by bin with replacement, and its point estimate on each draw."""
    bins = (Bin(0, 3, 40, 1, 20), Bin(2, 3, 10, 5, 9), Bin(3, 3, 50, 29, 30))
    rng = np.random.default_rng(4)
    values = np.repeat([0, 2 / 3, 1], [40, 10, 50])
    means = []
    for _ in range(4000):
        drawn = [rng.choice([1] * b.human_right + [0] * (b.human_all - b.human_right), b.n) for b in bins]
        labels = np.concatenate(drawn)
        means.append((labels - values).mean() + values.mean())  # labelled and unlabelled jury values are the same
    low, high = np.percentile(means, [2.5, 97.5])
    found = layton(bins, seed=8)
    assert found.score == pytest.approx((low + high) / 2, abs=0.006)
    assert found.interval.half_width == pytest.approx((high - low) / 2, abs=0.007)
    assert found == layton(bins, seed=8)


def test_the_half_width_always_goes_up():
    assert layton((Bin(3, 3, 10, 7, 7),)).interval.high == 1.0
    certain = layton((Bin(0, 3, 5, 0, 4), Bin(3, 3, 5, 7, 7)))
    assert (certain.score, certain.interval.low, certain.interval.high) == (0.5, 0.499, 0.501)


ITEMS = [str(number) for number in range(60)]


def jury(rows=None, provider="acme", model="new"):
    right = [[number % 3 != 0 for number in range(60)]] * 3
    votes = votes_from(["x", "y", "z"], ITEMS, rows or right, rows or right)
    return replace(votes, provider=provider, model=model)


def gold_rows(model, provider, n=60, flip=7):
    return [
        {
            "custom_id": str(number),
            "provider": provider,
            "model": model,
            "human_both_correct": (number % 3 != 0) ^ (number % flip == 0),
            "both_correct_x": number % 3 != 0,
            "both_correct_y": number % 3 != 0,
        }
        for number in range(n)
    ]


def test_own_labels_take_ppi_and_others_rogan_gladen():
    own = summarise(jury(), method="ppi", gold=read_gold(gold_rows("new", "acme", 40)))
    assert own.interval.method == "ppi++ adjusted"
    assert own.agreement.accuracy is not None
    others = summarise(jury(), method="ppi", gold=read_gold(gold_rows("old", "acme")))
    assert others.interval.method == "rogan-gladen"
    assert "60 gold labels of other models" in others.footnotes[0]
    assert (own.agreement.gold_basis, own.agreement.gold_labels) == ("own", 40)
    assert (others.agreement.gold_basis, others.agreement.gold_labels) == ("others", 60)


def test_layton_leaves_out_the_own_vendor_and_needs_to_know_it():
    rows = gold_rows("old", "acme") + gold_rows("other", "rival", 30)
    found = summarise(jury(), method="layton", gold=read_gold(rows))
    assert "from 30 labels" in found.footnotes[0]
    with pytest.raises(UsageError, match="vendor"):
        summarise(jury(provider=""), method="layton", gold=read_gold(rows))
    with pytest.raises(DataError, match="no calibration label"):
        summarise(jury(), method="layton", gold=read_gold(rows[:60]))


def test_labels_that_cannot_be_right_are_pointed_out():
    rows = gold_rows("old", "acme") + gold_rows("other", "rival", 30)
    notes = " ".join(summarise(jury(), method="layton", gold=read_gold(rows)).footnotes)
    assert "60 labels of acme's own models are left out" in notes
    assert "other data" not in notes
    mistyped = " ".join(summarise(jury(provider="acne"), method="layton", gold=read_gold(rows)).footnotes)
    assert "no label is of a model of acne, so none is left out; the labels name acme, rival" in mistyped
    elsewhere = read_gold([{**row, "custom_id": f"vlm-{row['custom_id']}"} for row in rows])
    for method in ("layton", "ppi"):
        assert "none of the labelled answers is to an item of this batch" in " ".join(
            summarise(jury(), method=method, gold=elsewhere).footnotes
        )


def test_without_the_models_name_its_own_labels_are_not_taken_for_those_of_others():
    with pytest.raises(UsageError, match="by its name") as refused:
        summarise(jury(model=""), method="ppi", gold=read_gold(gold_rows("new", "acme", 40)))
    assert refused.value.hint == "add --model NAME; the labels name new"
    nameless = [{**row, "model": None} for row in gold_rows("new", "acme", 40)]
    assert summarise(jury(model=""), method="ppi", gold=read_gold(nameless)).interval.method == "ppi++ adjusted"


def test_labels_that_name_the_model_alone_or_the_vendor_alone_are_told_apart():
    rows = gold_rows("new", "acme", 40)
    assert summarise(jury(provider=""), method="ppi", gold=read_gold(rows)).agreement.gold_basis == "own"
    strangers = [{**row, "model": None, "provider": "rival"} for row in gold_rows("old", "rival")]
    assert summarise(jury(), method="ppi", gold=read_gold(strangers)).interval.method == "rogan-gladen"
    two = rows + [{**row, "provider": "rival"} for row in gold_rows("new", "rival", 50)[40:]]
    with pytest.raises(UsageError, match="acme and rival; which of them") as refused:
        summarise(jury(provider=""), method="ppi", gold=read_gold(two))
    assert refused.value.hint == "name it, for example --provider acme"


@pytest.mark.parametrize(("method", "whose"), [("ppi", "new"), ("ppi", "old"), ("layton", "old")])
def test_a_corrected_score_stands_beside_no_bounds_that_it_would_not_hold(method, whose):
    found = summarise(
        jury(),
        method=method,
        gold=read_gold(gold_rows(whose, "rival" if method == "layton" else "acme")),
        clusters=[number // 2 for number in range(len(jury().items))],
    )
    plain = summarise(jury())
    assert (found.bounds_low, found.bounds_high) == (None, None)
    assert (found.mean, found.majority) == (plain.score, plain.majority)
    assert found.percentile.low <= found.mean <= found.percentile.high
    assert any("30 clusters for independent" in note for note in found.footnotes)
    assert ("published" in found.to_json()["intervals"]) == (whose == "new")


def test_copied_labels_are_pointed_out():
    rows = gold_rows("old", "acme")
    once, twice = (
        " ".join(summarise(jury(), method="ppi", gold=read_gold(listed)).footnotes)
        for listed in (rows, rows + rows[:9])
    )
    assert "copies" not in once
    assert "9 rows of labels are copies of others" in twice


def test_groups_beside_a_corrected_score_are_said_to_be_uncorrected():
    found = summarise(
        jury(),
        method="ppi",
        gold=read_gold(gold_rows("new", "acme", 40)),
        groups={"half": [0, 1] * (len(jury().items) // 2)},
    )
    assert any("the groups are means of the votes" in note for note in found.footnotes)


def test_gold_methods_say_what_they_need():
    with pytest.raises(UsageError, match="needs human labels"):
        summarise(jury(), method="ppi")
    with pytest.raises(UsageError, match="makes its own interval"):
        summarise(jury(), method="ppi", gold=read_gold(gold_rows("new", "acme")), ci="t")
    with pytest.raises(DataError, match="no row on both_correct that fits"):
        summarise(jury(), method="ppi", gold=read_gold([{"custom_id": "q", "model": "m", "human_both_correct": True}]))
    twice = gold_rows("new", "acme", 3)
    twice.append({**twice[0], "human_both_correct": not twice[0]["human_both_correct"]})
    with pytest.raises(DataError, match="two gold labels"):
        summarise(jury(), gold=read_gold(twice))
