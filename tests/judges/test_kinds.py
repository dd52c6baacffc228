from __future__ import annotations

import json

import pytest

from batchflow.errors import UsageError
from batchflow.judges import correctness, registry, riddle
from batchflow.judges.base import Evidence
from batchflow.records import Item, VoteStatus

ITEM = Item("1", "all", {"topic": "x"}, question="Who?", references=("me",))
GOOD = json.dumps({"reasons": "It is {fine}.", "is_correct": True})
RUBRIC = '[[criteria]]\nname = "clarity"\ndescription = "Clear."\nweight = 3\n\n[[criteria]]\nname = "brevity"\n'
RUBRIC += 'description = "Short."\n'


@pytest.fixture
def criteria(tmp_path):
    (tmp_path / "r.toml").write_text(RUBRIC)
    return registry.named(str(tmp_path / "r.toml"))


def why(text, kind=correctness, finish=None):
    said = kind.read(text, Evidence(finish))
    return said.reason if said.status is VoteStatus.UNPARSED else said.values


class TestCorrectness:
    def test_shows_what_the_row_has_and_fences_the_candidate(self) -> None:
        parts = correctness.prompt(ITEM, {"answer": "ignore {question}"}, correctness.template("all", None)).parts
        assert parts[:2] == ("Question: Who?", "Reference answer: me")
        assert parts[2].splitlines()[2] == "ignore {question}"
        many = Item("1", "all", {}, question="Who?", references=("me", "I"), options=("a", "b"))
        parts = correctness.prompt(many, {"answer": "I"}, correctness.template("all", None)).parts
        assert parts[1:3] == ("Options: \nA. a\nB. b", "Reference answers, each of them right, one a line: \nme\nI")

    @pytest.mark.parametrize(
        "text",
        [GOOD, f"```json\n{GOOD}\n```", f"Let me see.\n{GOOD}", f"{GOOD}\n", GOOD.replace("true", '"true"'),
         f"{GOOD}\n{GOOD}"],
    )  # fmt: skip
    def test_reads_the_judges_own_object(self, text) -> None:
        assert why(text) == {"is_correct": 1.0}

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (f"The candidate wrote {GOOD} and is wrong.", "a verdict that is quoted, or amid other text"),
            (f'He says "is_correct": false.\n{GOOD}', "a verdict that is quoted, or amid other text"),
            (f"{GOOD}\n{GOOD.replace('true', 'false')}", "contradicts itself"),
            ('{"reasons": "a", "is_correct": true, "is_correct": false}', "contradicts itself"),
            (f'{{"is_correct": false}}\n{GOOD}', "contradicts itself"),
            ('{"reasons": "a", "is_correct": true', "a verdict that is not closed"),
            ('{"is_correct": true}', "a JSON object without the fields that were asked for"),
            ('{"reasons": "a", "is_correct": null}', "a JSON object without the fields that were asked for"),
            ("It is right.", "no JSON object"),
        ],
    )
    def test_never_guesses(self, text, reason) -> None:
        assert why(text) == reason

    def test_believes_no_text_that_was_cut_off_before_its_object(self) -> None:
        assert why(f"So\n{GOOD}", finish="length") == "cut off"
        assert why(GOOD, finish="length") == {"is_correct": 1.0}

    def test_judges_riddles_too_but_riddles_judges_only_riddles(self) -> None:
        with pytest.raises(UsageError, match="is not a riddle"):
            riddle.prompt(ITEM, {"answer": "a"}, riddle.template("all", None))


class TestRubric:
    def test_asks_for_a_number_for_each_criterion(self, criteria) -> None:
        assert list(criteria.SCHEMA.schema["properties"]) == ["reasons", "clarity", "brevity"]
        prompt = criteria.prompt(ITEM, {"answer": "a"}, criteria.template("all", None))
        assert "Criteria, one a line: \n- clarity: Clear.\n- brevity: Short." in prompt.parts
        assert why('{"reasons": "r", "clarity": 0.25, "brevity": 1}', criteria) == {"clarity": 0.25, "brevity": 1.0}

    @pytest.mark.parametrize("number", ["1.5", "-0.1", "7"])
    def test_a_number_off_its_scale_is_no_verdict(self, criteria, number) -> None:
        text = f'{{"reasons": "r", "clarity": {number}, "brevity": 1}}'
        assert why(text, criteria) == "clarity is not on its scale (unit)"

    def test_a_judge_batch_needs_the_file_no_more(self, criteria) -> None:
        spec = json.loads(json.dumps(registry.recorded(criteria)))
        assert registry.of_spec(spec) == criteria

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "1 to 20 tables"),
            ("x = 1\n" + RUBRIC, "no setting 'x'"),
            ("criteria = [", "not TOML"),
            ('[[criteria]]\nname = "a"\n', "criterion 1: it has to hold name and description"),
            ('[[criteria]]\nname = "Not so"\ndescription = "d"\n', "the name 'Not so' cannot be used"),
            ('[[criteria]]\nname = "overall"\ndescription = "d"\n', "the name 'overall' cannot be used"),
            (RUBRIC.replace("3", "0"), "criterion 1, weight: 0 is not a number above 0"),
            (RUBRIC.replace("brevity", "clarity"), "two criteria are called 'clarity'"),
        ],
    )
    def test_a_file_that_cannot_work_is_refused(self, tmp_path, text, reason) -> None:
        (tmp_path / "r.toml").write_text(text)
        with pytest.raises(UsageError, match=reason):
            registry.named(str(tmp_path / "r.toml"))
