import pytest

from batchflow.errors import DataError
from batchflow.score.labelled.gold import columns_of, jury_of, read_gold, refuse_contradictions, votes_elsewhere
from batchflow.score.riddle import Field

RELEASED = [  # rows as in the calibration files of layton-eval
    {
        "riddle_id": "005-3",
        "provider": "anthropic",
        "model": "claude",
        "is_answer_correct_gpt": 1,
        "is_answer_correct_claude": None,
        "is_justification_correct_gpt": 0,
        "is_justification_correct_claude": None,
        "both_correct_gpt": 0,
        "both_correct_claude": None,
        "human_answer_correct": True,
        "human_justification_correct": False,
        "human_both_correct": False,
    },
    {"riddle_id": 7, "provider": "openai", "model": "gpt", "human_both_correct": 1, "both_correct_claude": 1.0},
]


def test_released_calibration_rows():
    gold = read_gold(iter(RELEASED))
    assert gold.items == ("005-3", "7")
    assert gold.judges == ("gpt", "claude")
    assert gold.votes[Field.BOTH].tolist() == [[0, -1], [-1, 1]]
    assert gold.human[Field.BOTH].tolist() == [0, 1]
    assert gold.human[Field.ANSWER].tolist() == [1, -1]
    assert gold.labelled(Field.ANSWER).tolist() == [True, False]
    assert gold.of_vendor("openai").tolist() == [False, True]
    assert gold.of_model("openai", "gpt").tolist() == [False, True]
    assert [counts.tolist() for counts in jury_of(gold, Field.BOTH)] == [[0, 1], [1, 1]]


def test_both_is_made_where_the_file_leaves_it_out():
    gold = read_gold(
        [
            {
                "custom_id": "a",
                "human_answer_correct": True,
                "human_justification_correct": True,
                "is_answer_correct_x": True,
                "is_justification_correct_x": False,
            }
        ]
    )
    assert gold.human[Field.BOTH].tolist() == [1]
    assert gold.votes[Field.BOTH].tolist() == [[0]]
    assert gold.of_model("any", "thing").tolist() == [True]  # no model named: the one that is evaluated


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"human_both_correct": True}, "row 2: there is no custom_id or riddle_id"),
        ({"custom_id": "a", "human_both_correct": "yes"}, "row 2, field human_both_correct: 'yes'"),
        ({"custom_id": "a", "both_correct_gpt": 0.5}, "row 2, field both_correct_gpt: 0.5"),
        ({"custom_id": "a", "human_answer_correct": [1]}, r"field human_answer_correct: \[1\]"),
        ({"custom_id": "a", "model": 5}, "row 2, field model: 5 is not a text"),
    ],
)
def test_errors_name_row_and_field(row, text):
    good = {"custom_id": "ok", "human_both_correct": False}
    with pytest.raises(DataError, match=f"labels.jsonl, {text}" if text.startswith("row") else text):
        read_gold([good, row], source="labels.jsonl")


def test_rows_without_any_label_are_refused():
    with pytest.raises(DataError, match="no row has a human label"):
        read_gold([{"custom_id": "a", "both_correct_gpt": 1}])


@pytest.mark.parametrize(
    ("judge", "column"),
    [
        ("openai:gpt-5.2", "gpt-5.2-2025-12-11"),
        ("gpt-5.2-2025-12-11", "gpt-5.2-2025-12-11"),
        ("anthropic:claude-opus-4-5", "claude"),
        ("mistral:mistral-large-2512", "mistral:mistral-large-2512"),
        ("gemini:gemini-3-pro-preview", None),
        ("openai:gpt-5.1-mini", "gpt-5.1"),
        ("rule:exact", None),
    ],
)
def test_judges_are_found_in_the_columns_by_name(judge, column):
    columns = ["gpt-5.2-2025-12-11", "gpt-5.1", "claude", "mistral", "mistral:mistral-large-2512"]
    assert columns_of([judge], columns) == ({judge: column} if column else {})


def test_a_family_that_two_judges_could_be_is_neither():
    assert columns_of(["openai:gpt-6-luna", "openai:gpt-5.1"], ["gpt"]) == {}
    assert columns_of(["gpt", "openai:gpt-5.1"], ["gpt"]) == {"gpt": "gpt"}


def test_votes_elsewhere_leave_out_this_models_own_rows():
    gold = read_gold(
        [
            {"custom_id": "1", "provider": "a", "model": "m", "human_both_correct": 1, "both_correct_gpt": 1},
            {"custom_id": "1", "provider": "a", "model": "n", "human_both_correct": 0, "both_correct_gpt": 1},
            {"custom_id": "2", "provider": "a", "model": "n", "both_correct_gpt": 1},
            {"custom_id": "3", "human_both_correct": 0, "both_correct_gpt": 1},
        ]
    )
    found = votes_elsewhere(gold, ("openai:gpt-5.1", "other"), Field.BOTH, provider="a", model="m")
    assert found.tolist() == [[-1, 1, -1, -1], [-1] * 4]


def parts(*pairs):
    names = ("human_answer_correct", "human_justification_correct")
    return [{"custom_id": str(n), **dict(zip(names, pair, strict=True))} for n, pair in enumerate(pairs)]


def test_labels_of_the_answer_alone_are_none_of_both():
    """Were their wrong ones to count, only wrong answers would have a label."""
    gold = read_gold(parts((True, None), (False, None), (True, None)))
    assert gold.human[Field.BOTH].tolist() == [-1, -1, -1]
    mixed = read_gold(parts((True, None), (False, None), (True, True), (False, True)))
    assert mixed.human[Field.BOTH].tolist() == [-1, -1, 1, 0]


def test_a_wrong_answer_decides_where_all_right_ones_were_labelled_in_full():
    gold = read_gold(parts((True, True), (False, None), (True, False)))
    assert gold.human[Field.BOTH].tolist() == [1, 0, 0]


@pytest.mark.parametrize(("pair", "both"), [((True, True), False), ((False, None), True), ((None, False), True)])
def test_a_combined_label_that_its_parts_contradict_is_refused(pair, both):
    rows = [*parts((True, True)), *(row | {"human_both_correct": both} for row in parts(pair))]
    with pytest.raises(DataError, match="row 2, field human_both_correct: it says"):
        refuse_contradictions(read_gold(rows))
