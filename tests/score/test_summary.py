import json
from dataclasses import replace

import numpy as np
import pytest

from batchflow.errors import DataError, UsageError
from batchflow.score.paired import compare, scored
from batchflow.score.riddle import votes_on
from batchflow.score.summary import summarise

PROMISED = {
    "score", "ci_low", "ci_high", "level", "method", "seed", "n_items", "n_judged", "votes_missing", "votes_unparsed",
    "alpha", "judges", "mean", "bounds_low", "bounds_high", "intervals", "majority", "footnotes",
}  # fmt: skip


def votes(seed=0, n=120, **more):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.7
    cast = np.where(rng.random((2, 3, n)) < 0.9, truth, ~truth).astype(np.int8)
    cast[:, 1, :9] = -1
    return votes_on(("a", "b", "c"), tuple(map(str, range(n))), cast[0], cast[1], **more)


def test_json_holds_what_was_promised_and_is_the_same_twice():
    found = [json.dumps(summarise(votes(unparsed=4), seed=3).to_json()) for _ in range(2)]
    assert found[0] == found[1]
    plain = json.loads(found[0])
    assert plain.keys() >= PROMISED
    assert plain["ci_low"] <= plain["score"] <= plain["ci_high"]
    assert plain["bounds_low"] <= plain["score"] <= plain["bounds_high"]
    assert plain["intervals"].keys() == {"percentile", "wilson"}
    assert [row["judge"] for row in plain["judges"]] == ["a", "b", "c"]
    assert [row["missing"] for row in plain["judges"]] == [0, 9, 0]
    assert (plain["n_items"], plain["n_judged"], plain["votes_missing"], plain["votes_unparsed"]) == (120, 120, 9, 4)


def test_nothing_missing_is_silent():
    cast = np.array([[1, 0] * 30], np.int8)
    clean = summarise(votes_on(("a",), tuple(map(str, range(60))), cast, cast))
    assert clean.complete
    assert clean.footnotes == ()
    assert clean.bounds_low == clean.score == clean.bounds_high
    cast = cast.copy()
    cast[0, 0] = -1
    loud = summarise(votes_on(("a",), tuple(map(str, range(60))), cast, cast, unparsed=1, unjudgeable=3))
    assert not loud.complete
    assert loud.footnotes == (
        "1 vote is missing, 1 of them unparsed; the bounds say what that could change",
        "3 of 63 items are unanswered and excluded (as wrong: 46.8)",
        "1 of 63 items has no valid vote and is excluded",
    )
    assert (loud.n_items, loud.n_judged) == (63, 59)


def test_the_score_never_misses_its_own_bounds_by_a_rounding():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        cast = rng.integers(0, 2, (3, int(rng.integers(3, 90)))).astype(np.int8)
        whole = votes_on(("a", "b", "c"), tuple(map(str, range(cast.shape[1]))), cast, cast)
        for method in ("mean", "majority"):
            found = summarise(whole, method=method, resamples=9, clusters=[n // 3 for n in range(cast.shape[1])])
            assert found.bounds_low <= found.score <= found.bounds_high
            assert found.bounds_high - found.bounds_low < 1e-12


def test_the_order_of_the_items_is_not_seen_in_the_last_bit():
    found, shuffled = votes(n=117), np.random.default_rng(5).permutation(117)
    other = votes_on(
        found.judges,
        tuple(found.items[n] for n in shuffled),
        found.of("is_answer_correct")[:, shuffled],
        found.of("is_justification_correct")[:, shuffled],
    )
    assert summarise(found).to_json() == summarise(other).to_json()


@pytest.mark.parametrize("seed", [-1, 1 << 63, 10**24])
def test_a_seed_that_json_could_not_hold_is_refused(seed):
    with pytest.raises(UsageError, match="seed is"):
        summarise(votes(), seed=seed)


def test_majority_is_a_method_and_stands_beside_the_mean():
    mean, most = summarise(votes()), summarise(votes(), method="majority")
    assert most.score == mean.majority == most.majority != mean.score
    assert most.bounds_low <= most.score <= most.bounds_high


def test_groups_are_sorted_and_add_up():
    picarats = [None if n < 10 else (20 if n % 2 else 100) for n in range(120)]
    found = summarise(votes(), groups={"picarats": picarats}).groups["picarats"]
    assert [row.group for row in found] == ["20", "100", "(none)"]
    assert sum(row.n_items for row in found) == 120
    whole = sum(row.score * row.n_judged for row in found) / 120
    assert whole == pytest.approx(summarise(votes()).score)


def test_a_group_that_nobody_judged_is_shown_empty():
    cast = np.array([[1, 0, -1]], np.int8)
    found = summarise(votes_on(("a",), ("1", "2", "3"), cast, cast), groups={"category": ["x", "x", "y"]})
    assert [(row.group, row.score, row.n_items) for row in found.groups["category"]] == [("x", 0.5, 2), ("y", None, 1)]


def test_clusters_are_those_of_the_judged_items():
    cast = np.array([[1, -1, 0, 1]], np.int8)
    found = summarise(votes_on(("a",), tuple("abcd"), cast, cast), clusters=["p", "p", "q", "q"])
    assert found.interval.n_clusters == 2
    with pytest.raises(DataError, match="2 labels for 4 items"):
        summarise(votes_on(("a",), tuple("abcd"), cast, cast), clusters=["p", "q"])


def test_a_judge_apart_is_a_footnote():
    rng = np.random.default_rng(1)
    truth = (rng.random(200) < 0.5).astype(np.int8)
    cast = np.stack([truth, truth, np.where(rng.random(200) < 0.3, 1 - truth, truth)]).astype(np.int8)
    found = summarise(votes_on(("a", "b", "odd"), tuple(map(str, range(200))), cast, cast))
    assert "judge odd disagrees with the rest of the jury beyond chance" in found.footnotes
    assert found.to_json()["agreement"]["apart"] == ["odd"]


def test_a_hundred_thousand_items_take_no_time():
    rng = np.random.default_rng(0)
    cast = rng.integers(-1, 2, (3, 100_000)).astype(np.int8)
    many = votes_on(("a", "b", "c"), tuple(map(str, range(100_000))), cast, cast)
    assert summarise(many).interval.half_width < 0.003


def test_unknown_words_are_refused():
    for wrong, text in (({"method": "median"}, "median"), ({"field": "style"}, "style"), ({"ci": "bca"}, "bca")):
        with pytest.raises(UsageError, match=text):
            summarise(votes(), **wrong)


def test_a_summary_is_frozen():
    with pytest.raises(AttributeError):
        summarise(votes()).score = 1.0
    assert replace(summarise(votes()), score=1.0).score == 1.0


def test_two_batches_are_compared_on_their_judged_items():
    cast = np.array([[1, 0, -1, 1]], np.int8)
    one = scored("one", votes_on(("a",), tuple("wxyz"), cast, cast), clusters=["p", "p", "q", "q"])
    other = scored("other", votes_on(("a",), tuple("wxyz"), 1 - np.abs(cast), 1 - np.abs(cast)), method="majority")
    found = compare(one, other)
    assert (found.n, found.only_in_b, found.interval.n_clusters) == (3, ("y",), 2)
    with pytest.raises(UsageError, match="ppi"):
        scored("one", votes_on(("a",), tuple("wxyz"), cast, cast), method="ppi")
