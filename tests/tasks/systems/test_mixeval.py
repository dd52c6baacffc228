"""MixEval's files, as they are, to a score by benchmark."""

from __future__ import annotations

import json

import pytest
from helpers.rehearsed import rehearsed

from batchflow.errors import DataError, UsageError
from batchflow.rehearsal.answers import Rule, oracle
from batchflow.settings import Settings
from batchflow.tasks.systems import mixeval

FREE = {
    "0": {"problem_type": "free-form", "context": None, "prompt": "Who wrote Emma?", "benchmark_name": "TriviaQA",
          "target": ["Jane Austen", "Austen"]},
    "1": {"problem_type": "free-form", "context": "There are 3 hens.", "prompt": "How many hens?", "target": ["3"],
          "benchmark_name": "GSM8k"},
}  # fmt: skip
CHOICE = {
    "0": {"problem_type": "multiple-choice", "context": "null", "prompt": "2 + 2?", "options": ["3", "4", "5"],
          "target": [1], "benchmark_name": "MMLU"},
    "1": {"problem_type": "multiple-choice", "context": "It rains.", "prompt": "Is it dry?", "options": ["yes", "no"],
          "target": [1], "benchmark_name": "BoolQ"},
}  # fmt: skip
KNOWN = oracle([("Who wrote Emma", "Austen"), ("How many hens", "4"), ("2 + 2", "B"), ("Is it dry", "A")])


def version(folder, name="mixeval-hard"):
    """A version's folder with one of the benchmarks."""
    inside = folder / "mixeval-2024-06-01" / name
    inside.mkdir(parents=True)
    (inside / "free-form.json").write_text(json.dumps(FREE))
    (inside / "multiple-choice.json").write_text(json.dumps(CHOICE))
    return inside.parent


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def items(path, split="all", task=mixeval.HARD):
    return list(task.items(task.source(Settings(path, path, "sqlite://"), split, path), split))


def test_rows_become_items_in_mixevals_own_words(tmp_path):
    found = items(version(tmp_path))
    assert [item.id for item in found] == ["ff-0", "ff-1", "mc-0", "mc-1"]
    asked = [mixeval.HARD.prompt(item, 0, mixeval.HARD.template("all", None)).parts[0] for item in found]
    assert asked == [
        "Question: Who wrote Emma?\nAnswer the question shortly.",
        "Question: There are 3 hens.\nHow many hens?\nAnswer the question. \nLet's think step by step.",
        "2 + 2?\nA. 3\nB. 4\nC. 5\nAnswer with the option letter from the given choices directly.",
        "It rains.\nIs it dry?\nA. yes\nB. no\nAnswer with the option letter from the given choices directly.",
    ]
    assert [item.references for item in found] == [("Jane Austen", "Austen"), ("3",), ("B",), ("B",)]
    assert len(items(tmp_path / "mixeval-2024-06-01", "multiple-choice")) == 2


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": ""}, "row 0, field prompt: a text is expected"),
        ({"target": "B"}, "row 0, field target: a list of right answers is expected"),
        ({"target": [3]}, "row 0, field target: one number from 0 to 2 is expected"),
        ({"target": [True]}, "row 0, field target: one number from 0 to 2 is expected"),
        ({"options": []}, "row 0, field options: a list of 2 to 26 is expected"),
        ({"benchmark_name": None}, "row 0, field benchmark_name: a text is expected"),
    ],
)
def test_a_broken_row_names_file_key_and_field(tmp_path, row, said):
    folder = version(tmp_path)
    (folder / "mixeval-hard" / "multiple-choice.json").write_text(json.dumps({"0": CHOICE["0"] | row}))
    with pytest.raises(DataError, match=said):
        items(folder)


def test_a_folder_without_the_benchmark_names_what_is_there(tmp_path):
    version(tmp_path)
    with pytest.raises(UsageError, match="no mixeval-hard/free-form") as refused:
        items(tmp_path)
    assert "versions here: mixeval-2024-06-01" in refused.value.hint


def test_a_version_goes_to_a_score_by_benchmark(tmp_path):
    folder = version(tmp_path)
    with rehearsed(tmp_path / "r", rule=Rule(right=1.0, judge_error=0.0, oracle=KNOWN)) as vendor:
        run = vendor.project.ok
        address = vendor.project.environment.pop("OPENAI_BASE_URL").removesuffix("/openai/v1")
        vendor.project.environment |= {"OPENAI_API_TYPE": "azure", "OPENAI_API_BASE": address}  # MixEval's names
        task = ("--task", "mixeval-hard", "--data", folder, "--provider", "openai", "--name", "m")
        assert run("prepare", *task)["requests"] == 4
        run("start", "m")
        vendor.project.run("get", "m", "--refresh-after", 0)
        run("results", "m")
        (judge,) = run("jury", "m", "--judges", "openai:gpt-6-sol", "--start")["batches"]
        vendor.project.run("get", judge["name"], "--refresh-after", 0)
        scored = run("score", "m", "--by", "source", "--by", "half")
        assert (scored["score"], scored["judge_kind"]) == (0.5, "mixeval")
        assert {row["group"]: row["score"] for row in scored["groups"]["source"]} == {
            "TriviaQA": 1.0, "GSM8k": 0.0, "MMLU": 1.0, "BoolQ": 0.0,
        }  # fmt: skip
        run("jury", "m", "--judges", "rule:mixeval", "--start")
        vendor.project.run("get", "judge_m_by_rule_mixeval")
        legacy = run("score", "m", "--legacy-overall")
        assert (legacy["score"], legacy["legacy_overall"]) == (0.5, 0.5)
        assert [row["group"] for row in legacy["groups"]["half"]] == ["free-form", "multiple-choice"]
        assert "Legacy overall:" in vendor.project.run("score", "m", "--legacy-overall").out
        written = run("results", "m", "--layout", "mixeval")["also"]
        tree = vendor.project.results / "mixeval/gpt-6-luna/mixeval_hard/2024-06-01"
        assert sorted(path.name for path in tree.iterdir()) == [
            "gpt-6-luna_close_freeform_hard.jsonl", "gpt-6-luna_close_multichoice_hard.jsonl",
            "judge_results_ff_model_judge_openai_gpt-6-sol.jsonl", "judge_results_ff_model_judge_rule_mixeval.jsonl",
            "judge_results_mp_model_judge_openai_gpt-6-sol.jsonl", "judge_results_mp_model_judge_rule_mixeval.jsonl",
            "score.json",
        ]  # fmt: skip
        assert len(written) == 7
        (first, _) = lines(tree / "gpt-6-luna_close_multichoice_hard.jsonl")
        assert {name: first[name] for name in ("id", "response", "target", "options", "context")} == {
            "id": "0", "response": "B", "target": [1], "options": ["3", "4", "5"], "context": None,
        }  # fmt: skip
        judged = lines(tree / "judge_results_mp_model_judge_openai_gpt-6-sol.jsonl")
        assert [row["judge_option"] for row in judged] == ["B", "A"]
        assert [row["judge_score"] for row in lines(tree / "judge_results_ff_model_judge_openai_gpt-6-sol.jsonl")] == [
            1,
            0,
        ]
        score = json.loads((tree / "score.json").read_text())
        assert list(score) == ["overall", "TriviaQA", "GSM8k", "MMLU", "BoolQ"]
        assert score["overall"] == 0.5
        back = ("import", "predictions", tree, "--task", "mixeval-hard", "--dataset", folder, "--name", "back")
        assert run(*back)["outcomes"] == {"ok": 4}
        (folder / "mixeval-hard" / "free-form.json").write_text(json.dumps({"0": FREE["0"]}))
        assert "was changed" in vendor.project.refused(3, "jury", "m", "--judges", "openai:gpt-6-luna")


def test_compass_verifier_judges_plain_answers(tmp_path):
    rule = Rule(right=1.0, judge_error=0.0, oracle=oracle([("one?", "1"), ("two?", "3")]))
    with rehearsed(tmp_path, rule=rule) as vendor:
        run = vendor.project.ok
        (vendor.project.folder / "q.csv").write_text("question,reference\none?,1\ntwo?,2\n")
        for kind in ("compass-verifier", "compass-verifier-cot"):
            run("prepare", "--task", "qa", "--dataset", "q.csv", "--provider", "openai", "--name", kind)
            run("start", kind)
            vendor.project.run("get", kind, "--refresh-after", 0)
            run("results", kind)
            (judge,) = run("jury", kind, "--kind", kind, "--judges", "openai:gpt-6-sol", "--start")["batches"]
            vendor.project.run("get", judge["name"], "--refresh-after", 0)
            scored = run("score", kind)
            assert (scored["score"], scored["votes_unparsed"], scored["field"]) == (0.5, 0, "verdict")
