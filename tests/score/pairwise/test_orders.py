import pytest

from batchflow.errors import UsageError
from batchflow.score.pairwise.orders import PairVerdict, settle


def pair(first, second, judge="j", prompt=1):
    return [PairVerdict("a", "b", first, prompt, judge), PairVerdict("b", "a", second, prompt, judge)]


@pytest.mark.parametrize(
    ("first", "second", "tie", "missing"),
    [
        ("left", "right", "left", "left"),  # a both times
        ("right", "left", "right", "right"),
        ("tie", "tie", "tie", "tie"),
        ("left", "left", "tie", None),  # the left one both times
        ("left", "tie", "tie", None),
    ],
)
def test_two_orders(first, second, tie, missing):
    rows = pair(first, second)
    assert [row.winner for row in settle(rows).rows] == [tie]
    assert [row.winner for row in settle(rows, "missing").rows] == [missing]
    assert settle(rows, "each").rows == tuple(rows)
    found = settle(rows)
    assert (found.twice, found.agreed, found.once) == (1, int(missing is not None), 0)


def test_judges_prompts_and_pairs_stand_apart():
    rows = [*pair("left", "right", "j"), *pair("left", "left", "k"), *pair("right", "left", prompt="1")]
    assert sorted((row.judge, row.prompt, row.winner) for row in settle(rows).rows if row.prompt == 1) == [
        ("j", 1, "left"),
        ("k", 1, "tie"),
    ]
    assert settle(rows).twice == 3


def test_one_order_alone_stays_as_it_is_and_is_counted():
    rows = [PairVerdict("a", "b", "left", 1), PairVerdict("a", "b", "left", 2), PairVerdict("b", "a", None, 2)]
    found = settle(rows)
    assert (found.once, found.twice) == (2, 0)
    assert [row.winner for row in found.rows] == ["left", "left"]
    (unread,) = settle([PairVerdict("a", "b", None, 1)]).rows
    assert unread.winner is None


def test_several_verdicts_in_one_order_are_their_majority():
    rows = [*pair("left", "right"), PairVerdict("a", "b", "left", 1, "j"), PairVerdict("a", "b", "right", 1, "j")]
    assert [row.winner for row in settle(rows).rows] == ["left"]


def test_words_that_are_none():
    with pytest.raises(UsageError, match="no choice 'draw'"):
        settle([], "draw")
    with pytest.raises(ValueError, match="winner 'first'"):
        settle([PairVerdict("a", "b", "first", 1)])
