import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from batchflow.errors import DataError, UsageError
from batchflow.score.riddle import Field, votes_from, votes_on
from batchflow.score.values import MISSING, NOT_ASKED, RIGHT, WRONG, all_right, item_values

arrays = hnp.arrays(np.int8, st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=st.sampled_from([1, 0, -1, -2]))


def votes_of(answer, justification=None, **more):
    answer = np.array(answer, dtype=np.int8)
    justification = answer if justification is None else np.array(justification, dtype=np.int8)
    judges, items = (tuple(map(str, range(size))) for size in answer.shape)
    return votes_on(judges, items, answer, justification, **more)


@pytest.mark.parametrize(
    ("answer", "justification", "expected"),
    [
        (RIGHT, RIGHT, RIGHT),
        (RIGHT, WRONG, WRONG),
        (WRONG, MISSING, WRONG),
        (MISSING, WRONG, WRONG),
        (RIGHT, MISSING, MISSING),
        (MISSING, MISSING, MISSING),
        (WRONG, NOT_ASKED, NOT_ASKED),
        (RIGHT, NOT_ASKED, NOT_ASKED),
    ],
)
def test_both_is_the_and_of_two_verdicts(answer, justification, expected):
    assert all_right(np.array([[answer]]), np.array([[justification]])).tolist() == [[expected]]


def test_a_wrong_part_alone_decides_only_if_no_right_one_is_left_undecided():
    """Else only the wrong ones of the answers whose justification was not judged would have a vote."""
    one = all_right(np.array([[RIGHT, WRONG, WRONG]]), np.array([[RIGHT, MISSING, WRONG]]))
    assert one.tolist() == [[RIGHT, WRONG, WRONG]]
    two = all_right(np.array([[RIGHT, WRONG, WRONG], [RIGHT] * 3]), np.array([[MISSING, MISSING, WRONG], [RIGHT] * 3]))
    assert two.tolist() == [[MISSING, MISSING, WRONG], [RIGHT] * 3]


def test_both_is_made_per_judge_before_averaging():
    found = item_values(votes_of([[1], [0]], [[0], [1]]), Field.BOTH)
    assert found.mean.tolist() == [0.0]  # each judge finds a fault, though each part has half the votes


@given(arrays)
@settings(deadline=None)
def test_bounds_hold_the_score_and_counts_add_up(answer):
    votes = votes_of(answer, unjudgeable=2)
    if not (answer >= 0).any():
        with pytest.raises(DataError, match="no judge has a valid vote"):
            item_values(votes, Field.ANSWER)
        return
    found = item_values(votes, Field.ANSWER)
    for scored, (low, high) in ((found.mean, found.bounds), (found.majority, found.majority_bounds)):
        assert 0 <= low <= scored.mean() + 1e-12
        assert scored.mean() - 1e-12 <= high <= 1
    assert found.votes + found.votes_missing + int((answer == NOT_ASKED).sum()) == answer.size
    assert found.n_items == answer.shape[1] + 2
    assert found.n_judged == int((answer >= 0).any(axis=0).sum())
    assert found.complete == (not (answer == MISSING).any())


def test_missing_votes_leave_the_mean_and_enter_the_bounds():
    found = item_values(votes_of([[1, 0, 1], [1, -1, 1], [1, -1, 0]]), Field.ANSWER)
    assert found.mean == pytest.approx([1, 0, 2 / 3])
    assert found.bounds == pytest.approx(((1 + 0 + 2 / 3) / 3, (1 + 2 / 3 + 2 / 3) / 3))
    assert found.majority.tolist() == [1, 0, 1]
    assert found.votes_missing == 2


def test_a_complete_jury_has_no_room_left():
    found = item_values(votes_of([[1, 0], [1, 1]]), Field.ANSWER)
    assert found.complete
    assert found.bounds == (0.75, 0.75)
    assert found.majority.tolist() == [1.0, 0.5]  # a tie is half


def test_votes_that_all_miss_are_counted_in_the_error():
    with pytest.raises(DataError, match=r"valid vote on is_answer_correct: 3 missing, 2 of them unreadable"):
        item_values(votes_of([[-1, -1, -1]], unparsed=2), Field.ANSWER)


def test_rules_do_not_vote_on_both():
    rules = votes_of([[1, 0]], [[NOT_ASKED, NOT_ASKED]])
    with pytest.raises(DataError, match="no judge has a valid vote on both_correct") as caught:
        item_values(rules, Field.BOTH)
    assert "is_answer_correct" in caught.value.hint


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: votes_of([[1, 2]]), "something other"),
        (lambda: votes_of([[1, 0]], [[1]]), "votes on is_justification_correct have shape"),
        (lambda: votes_of([[1]], unparsed=-1), "negative"),
        (lambda: votes_from(["a"], ["1"], [[0.9]], [[1]]), "not 0.9"),
        (lambda: votes_on(("a", "a"), ("x",), np.ones((2, 1), np.int8), np.ones((2, 1), np.int8)), "judge 'a'"),
        (lambda: votes_on(("a",), ("x", "x"), np.ones((1, 2), np.int8), np.ones((1, 2), np.int8)), "item 'x'"),
    ],
)
def test_broken_votes_are_refused(build, text):
    with pytest.raises(DataError, match=text):
        build()


def test_field_names():
    votes = votes_of([[1]])
    assert votes.of("is_answer_correct") is votes.of(Field.ANSWER)
    with pytest.raises(UsageError, match="correctness"):
        votes.of("correctness")
