"""Published numbers, redone. The figures are carried here as counts; each names its source."""

import numpy as np
import pytest

from batchflow.records import Level
from batchflow.score.agreement import alpha, cohen_kappa, fleiss_kappa, nominal_alpha, value_alpha
from batchflow.score.base.clusters import cluster, clustered_se
from batchflow.score.intervals import Settings, estimate, exact, wilson
from batchflow.score.labelled.calibration import rogan_gladen
from batchflow.score.labelled.layton import Bin, layton
from batchflow.score.paired import detectable_difference, sample_size
from batchflow.score.pairwise.ranking import bradley_terry, elo_in_order, position, rank, verdicts
from batchflow.score.pairwise.ratings import eigen, newman, outcomes
from batchflow.score.values import MISSING

# layton-eval, results_llm.jsonl at commit ba248de: published score and half-width in points; then per jury value
# (right votes of 3, answers of the model, human labels "right", labels of other vendors' answers).
LAYTON = {
    "gemini-3-flash-high": (85.2, 1.4, [(0, 24, 0, 137), (1, 1, 1, 4), (2, 7, 4, 7), (3, 154, 311, 311)]),
    "gemini-3-pro-high": (83.9, 1.1, [(0, 28, 0, 137), (2, 4, 4, 7), (3, 154, 311, 311)]),
    "gpt-5.1-2025-11-13-high": (83.3, 0.1, [(0, 31, 0, 125), (3, 155, 318, 318)]),
    "gpt-5.2-2025-12-11-high": (80.4, 0.3, [(0, 36, 0, 125), (2, 1, 7, 10), (3, 149, 318, 318)]),
    "claude-opus-4-5-thinking": (79.6, 0.6, [(0, 35, 0, 128), (1, 2, 0, 4), (2, 3, 8, 10), (3, 146, 316, 316)]),
    "kimi-k2.5-thinking": (73.4, 1.4, [(0, 46, 0, 160), (1, 3, 1, 5), (2, 4, 8, 11), (3, 133, 438, 438)]),
    "claude-opus-4-5-no-thinking": (70.2, 0.9, [(0, 51, 0, 128), (1, 3, 0, 4), (2, 4, 8, 10), (3, 128, 316, 316)]),
    "kimi-k2-thinking": (66.7, 1.7, [(0, 57, 0, 160), (1, 2, 1, 5), (2, 12, 8, 11), (3, 115, 438, 438)]),
    "mistral-large-2512": (48.7, 1.4, [(0, 92, 0, 90), (1, 4, 1, 2), (2, 7, 5, 6), (3, 83, 369, 369)]),
}


@pytest.mark.parametrize("model", LAYTON)
def test_layton_table_within_a_tenth_of_a_point(model):
    score, half, rows = LAYTON[model]
    found = layton(tuple(Bin(right, 3, n, yes, labels) for right, n, yes, labels in rows))
    assert 100 * found.score == pytest.approx(score, abs=0.1 + 1e-9)
    assert 100 * (found.interval.high - found.score) == pytest.approx(half, abs=0.1 + 1e-9)
    assert "calibration noise only" in found.footnotes[0]


@pytest.mark.parametrize("model", LAYTON)
def test_the_honest_half_width_is_five_to_seven_points(model):
    _, published, rows = LAYTON[model]
    found = estimate(np.repeat([right / 3 for right, *_ in rows], [n for _, n, *_ in rows]))
    assert found.interval.n == 186
    assert 4.8 <= 100 * found.interval.half_width <= 7.2
    assert 100 * found.interval.half_width > 3 * published


# AlpacaEval (tatsu-lab/alpaca_eval, alpaca_eval_gpt4 annotations): wins, losses, draws with a usable preference; then
# the leaderboard's win_rate and standard_error.
ALPACA = {
    "alpaca-7b": (205, 584, 16, 26.459627329192543, 1.535711469748),
    "claude": (737, 68, 0, 91.5527950310559, 0.9807635016419884),
    "claude-2": (734, 69, 1, 91.35572139303484, 0.9897323784630048),
    "cohere": (728, 74, 3, 90.62111801242236, 1.022512757790303),
    "gpt4": (761, 32, 12, 95.27950310559004, 0.716281440286153),
    "llama-2-70b-chat-hf": (743, 57, 4, 92.66169154228857, 0.911762258320568),
    "llama-2-7b-chat-hf": (574, 230, 1, 71.36645962732919, 1.593038654706019),
    "mistral-medium": (779, 25, 1, 96.83229813664596, 0.6145319996386234),
    "text_davinci_001": (112, 672, 20, 15.17412935323383, 1.235107892276849),
    "zephyr-7b-beta": (727, 75, 1, 90.5977584059776, 1.0287080531312012),
}


@pytest.mark.parametrize("model", ALPACA)
def test_alpaca_win_rate_and_error(model):
    wins, losses, draws, rate, error = ALPACA[model]
    found = estimate(np.repeat([1.0, 0.0, 0.5], [wins, losses, draws]))
    assert 100 * found.mean == pytest.approx(rate, abs=1e-6)
    assert 100 * found.interval.standard_error == pytest.approx(error, abs=1e-6)


def test_krippendorff_2011_example():
    """Computing Krippendorff's Alpha-Reliability, four observers, categories 1..5; evalica gives .743421."""
    columns = ["111", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3"]
    counts = np.array([[column.count(str(category)) for category in range(1, 6)] for column in columns])
    assert nominal_alpha(counts) == pytest.approx(0.743421, abs=1e-6)


CODINGS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


@pytest.mark.parametrize(("scale", "published"), [(Level.ORDINAL, 0.815), (Level.INTERVAL, 0.849)])
def test_krippendorff_2011_on_other_scales(scale, published):
    """The same example on other scales; the ratio scale (.797) is not among batchflow's."""
    votes = np.array([[MISSING if cell == "." else (float(cell) - 1) / 4 for cell in row] for row in CODINGS])
    assert value_alpha(votes, scale) == pytest.approx(published, abs=1e-3)


def test_fleiss_worked_example():
    """Ten subjects, fourteen raters, five categories (Fleiss 1971, as on Wikipedia): .210."""
    counts = np.array(
        [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
         [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]
    )  # fmt: skip
    assert fleiss_kappa(counts) == pytest.approx(0.210, abs=5e-4)


def test_miller_2024_worked_numbers():
    assert sample_size(0.03, 1 / 9) == 969
    assert 100 * detectable_difference(198, 1 / 9, 1 / 6, 1 / 6) == pytest.approx(13.27, abs=0.005)  # printed 13.2
    ten = detectable_difference(198, 1 / 9, 1 / 6, 1 / 6, samples_a=10, samples_b=10)
    assert 100 * ten == pytest.approx(7.57, abs=0.005)  # printed 7.5
    assert 100 * estimate([1.0] * 3275 + [0.0] * 1725).interval.standard_error == pytest.approx(0.7, abs=0.05)  # MATH
    assert 100 * estimate([1.0] * 1882 + [0.0] * 618).interval.standard_error == pytest.approx(0.9, abs=0.05)  # MGSM


def test_clustered_error_of_inspect_ai():
    """UKGovernmentBEIS/inspect_ai tests/scorer/test_metric.py: 0..19, cluster i % 4, C/(C-1): .645."""
    assert clustered_se(np.arange(20.0), [i % 4 for i in range(20)]) == pytest.approx(0.645, abs=5e-4)


@pytest.mark.parametrize(
    ("right", "n", "wilson_bounds", "exact_bounds"),
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_newcombe_1998_table(right, n, wilson_bounds, exact_bounds):
    groups = cluster(np.array([1.0] * right + [0.0] * (n - right)))
    for found, bounds in ((wilson(groups), wilson_bounds), (exact(groups), exact_bounds)):
        assert (found.low, found.high) == pytest.approx(bounds, abs=6e-5)


def test_lee_2025_readme_example():
    """UW-Madison-Lee-Lab/LLM-judge-reporting, README; values from their code."""
    found = rogan_gladen(0.4, 1000, specificity=0.7, wrong=200, sensitivity=0.9, right=200)
    got = (found.score, found.interval.low, found.interval.high)
    assert got == pytest.approx((0.1666666667, 0.0563507248, 0.2627330258), abs=1e-9)


def test_stigler_citations():
    """Journal citations (Stigler 1994; Turner and Firth, JSS 48(9)): coefficients against Biometrika."""
    wins = np.array([[0, 730, 498, 221], [33, 0, 68, 17], [320, 813, 0, 142], [284, 276, 325, 0]], dtype=float)
    found = bradley_terry(wins)
    assert (found - found[0])[1:].round(4).tolist() == [-2.9491, -0.4796, 0.2690]
    sides = [(left, right) for left in range(4) for right in range(4) for _ in range(int(wins[left, right]))]
    names = [[str(each[side]) for each in sides] for side in (0, 1)]
    contrasts = {
        (each.a, each.b): each.standard_error for each in rank(verdicts(*names, ["left"] * len(sides))).contrasts
    }
    errors = [contrasts.get(("0", other)) or contrasts[other, "0"] for other in "123"]
    # Published: the model's own errors. Ours do not trust the model, and agree as far as it holds.
    assert errors == pytest.approx([0.1026, 0.0606, 0.0708], rel=0.03)


# evalica's test cases at commit 2ebe79e, in file order: (left, right, winner).
SIMPLE = (
    "01t 02r 02t 04t 10l 12t 12t 13t 24t 30l 31l 32l 34t 34t 40l 43l",
    [0.050799672530389396, 0.1311506914535368, 0.13168568070110523, 0.33688868041573855, 0.34947527489923],
    [992.1030823399375, 999.9771705955386, 999.9773072285024, 1003.8861974411536, 1004.0562423948679],
)
FOOD = (  # Burger, Pasta, Pizza, Sushi, Tacos
    """23l 01r 42l 34r 02l 13r 40l 21t 30r 14l 03r 42l 31t 04l 20r
    14r 03r 41l 24r 30l 12r 03r 41l 23l 30r 14r 42l 01r 34l 20r""",
    [0.14797665121689418, 0.1281534106031957, 0.09897982556928168, 0.19060028489839073, 0.43428982771223773],
    [998.0260933346951, 994.1913058814378, 992.325764574259, 1002.0980590208538, 1013.3587771887543],
)
COUNTED = {  # evalica's "counting", and its average win rate over opponents
    SIMPLE[0]: ([1.5, 3.0, 3.0, 4.5, 4.0], [0.1875, 0.5, 0.4375, 0.7708333333333334, 0.6388888888888888]),
    FOOD[0]: ([6.0, 4.0, 3.5, 6.5, 10.0], [0.4583333333333333, 0.425, 0.4375, 0.47916666666666663, 0.7]),
}

NEWMAN_EIGEN = {  # evalica's "newman", and its "eigen", which was that of the losses, with half a loss for a tie
    SIMPLE[0]: (
        [0.017973592758248474, 0.4802400245305803, 0.4814190342801864, 12.805770244756038, 13.03674474236858],
        [0.6955953825629274, 0.41775362411253586, 0.41958162945500665, 0.2806190746997715, 0.2946746755941242],
    ),
    FOOD[0]: (
        [0.8296600883232509, 0.7101537820870093, 0.536812511441843, 1.0906271591531849, 2.6652107229187254],
        [0.5285337049443669, 0.43994838306559647, 0.5053087904169826, 0.4548697924168706, 0.2546645661447762],
    ),
}


@pytest.mark.parametrize(("rows", "strengths", "ratings"), [SIMPLE, FOOD])
def test_evalica_cases(rows, strengths, ratings):
    words = {"l": "left", "r": "right", "t": "tie"}
    found = verdicts(*zip(*((row[0], row[1], words[row[2]]) for row in rows.split()), strict=True))
    ours = np.exp(bradley_terry(found.wins()))
    assert ours / ours.sum() == pytest.approx(strengths, abs=1e-6)
    assert [each.model for each in rank(found).ratings] == [str(i) for i in np.argsort(strengths)[::-1]]
    order = np.arange(len(found.score))[:, None]
    assert elo_in_order(found, order, k=4, scale=400, base=10, initial=1000)[0] == pytest.approx(ratings, abs=1e-6)
    wins, (points, rates) = found.wins(), COUNTED[rows]
    assert wins.sum(axis=1).tolist() == points
    shares = np.divide(wins, wins + wins.T, out=np.full_like(wins, np.nan), where=wins + wins.T > 0)
    assert np.nanmean(shares, axis=1) == pytest.approx(rates, abs=1e-12)
    (won, tied), (newmans, eigens) = outcomes(found), NEWMAN_EIGEN[rows]
    assert newman(won, tied)[0] == pytest.approx(np.log(newmans) - np.log(newmans).mean(), abs=1e-7)
    vector = eigen(won.T, tied / 2)
    assert vector / np.linalg.norm(vector) == pytest.approx(eigens, abs=1e-7)


# LLMBar (princeton-nlp/LLMBar, MT-Bench part): judges' verdicts in both orders, the second mapped back. gold, first
# order, second order -> pairs ("i": unreadable); published: right in the first, second, both orders, equal, kappa.
LLMBAR = {
    "ChatGPT/Metrics_Reference": (
        {"111": 56, "112": 32, "122": 13, "211": 8, "212": 42, "221": 1, "222": 48},
        (137, 146, 104, 125, 0.3380406001765226),
    ),
    "ChatGPT/Vanilla_NoRules": (
        {"111": 53, "112": 39, "121": 1, "122": 8, "211": 7, "212": 44, "221": 1, "222": 47},
        (140, 145, 100, 115, 0.2693828433900636),
    ),
    "GPT-4/Metrics_Reference": (
        {"111": 77, "112": 10, "121": 3, "122": 11, "211": 11, "212": 14, "221": 5, "222": 69},
        (161, 163, 146, 168, 0.6815286624203822),
    ),
    "GPT-4/Vanilla_NoRules": (
        {"111": 75, "112": 6, "121": 7, "122": 13, "211": 12, "212": 9, "221": 4, "222": 74},
        (159, 165, 149, 174, 0.7401039584166333),
    ),
    "LLaMA2/Metrics_Reference": (
        {"111": 57, "112": 12, "121": 19, "122": 13, "211": 13, "212": 11, "221": 17, "222": 58},
        (144, 145, 115, 141, 0.41246763592909785),
    ),
    "LLaMA2/Vanilla_NoRules": (
        {"111": 55, "112": 29, "121": 4, "122": 13, "211": 10, "212": 27, "221": 6, "222": 56},
        (146, 142, 111, 134, 0.37292161520190026),
    ),
    "PaLM2/Metrics_Reference": (
        {"111": 56, "112": 15, "11i": 1, "121": 6, "122": 19, "1i2": 1, "1ii": 3, "211": 13, "212": 20, "221": 9,
         "222": 52, "2ii": 5},
        (133, 134, 108, 148, 0.49404761904761907),
    ),
    "PaLM2/Vanilla_NoRules": (
        {"111": 58, "112": 21, "121": 4, "122": 14, "1ii": 4, "211": 12, "212": 24, "221": 3, "222": 56, "2i2": 1,
         "2ii": 3},
        (138, 143, 114, 147, 0.4973417109714837),
    ),
}  # fmt: skip


@pytest.mark.parametrize("judge", LLMBAR)
def test_llmbar_verdicts_in_both_orders(judge):
    counts, (first, second, both, equal, kappa) = LLMBAR[judge]
    pairs = [row for row, times in counts.items() for _ in range(times)]
    right = np.array([[row[0] == row[1], row[0] == row[2]] for row in pairs])
    assert (*right.sum(axis=0), right.all(axis=1).sum(), sum(row[1] == row[2] for row in pairs)) == (
        first, second, both, equal,
    )  # fmt: skip
    ones = np.array([[row[1] == "1", row[2] == "1"] for row in pairs], dtype=np.int8)  # theirs: unreadable is not 1
    assert cohen_kappa(ones[:, 0], ones[:, 1]) == pytest.approx(kappa, abs=1e-12)
    words = {"1": ("left", "right"), "2": ("right", "left"), "i": (None, None)}  # the second order shows b first
    seen = position(
        verdicts(
            ["a", "b"] * len(pairs), ["b", "a"] * len(pairs),
            [words[row[order]][order - 1] for row in pairs for order in (1, 2)],
            [number for number in range(len(pairs)) for _ in range(2)],
        )
    )  # fmt: skip
    read = [row for row in pairs if "i" not in row]
    assert (seen.twice, seen.agreement) == (len(read), pytest.approx(np.mean([row[1] == row[2] for row in read])))


def test_miller_2024_repeats_and_pairs():
    """Section 3.1: the variance that K answers an item leave; table 5: the error of a difference from two errors."""
    one = detectable_difference(100, 1 / 9, 1 / 9, 1 / 9)
    for samples, ratio in ((2, 2 / 3), (4, 1 / 2), (6, 4 / 9)):
        found = detectable_difference(100, 1 / 9, 1 / 9, 1 / 9, samples_a=samples, samples_b=samples)
        assert (found / one) ** 2 == pytest.approx(ratio, abs=1e-12)
    counts = (2710, 565, 565, 1160)  # 5,000 items, both models at 65.5 %, correlated by .50
    a, b = np.repeat([1.0, 1.0, 0.0, 0.0], counts), np.repeat([1.0, 0.0, 1.0, 0.0], counts)
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(0.5, abs=0.005)
    assert 200 * estimate((a - b + 1) / 2).interval.standard_error == pytest.approx(0.7, abs=0.05)


def test_a_jury_that_always_agrees_has_alpha_one():
    votes = np.repeat([[1] * 155 + [0] * 31], 3, axis=0).astype(np.int8)
    assert alpha(votes) == 1.0
    assert estimate(votes.mean(axis=0), settings=Settings(seed=3)).mean == pytest.approx(155 / 186)
