"""A plain file of questions goes to a score, with no riddle in sight: rules, models, rubrics, brought answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

OPENAI = ("--provider", "openai", "--model", "gpt-6-luna", "--name", "b")
SOL = "openai:gpt-6-sol"
ROWS = "question,reference,topic,source\n" + "".join(
    f'"What is {n} and one?",{n + 1 if n != 3 else "three"},{"ab"[n % 2]},{n // 3}\n' for n in range(1, 9)
)
RUBRIC = """
[[criteria]]
name = "clarity"
description = "A layman understands it."
weight = 3
[[criteria]]
name = "brevity"
description = "It is short."
"""
PACKAGE = Path(__file__).parents[1] / "packages" / "stars_judge"


@pytest.fixture
def own(vendor):
    """The rehearsed vendor's project as a stranger has it: no task is set anywhere."""
    del vendor.project.environment["BATCHFLOW_TASK"]
    vendor.project.environment["BATCHFLOW_REHEARSAL"] = "1"
    (vendor.project.folder / "mine.csv").write_text(ROWS)
    return vendor


@pytest.fixture
def answered(own):
    own.project.ok("prepare", *OPENAI, "--dataset", "mine.csv")
    own.project.ok("start", "b")
    own.project.ok("get", "b", "--refresh-after", 0)
    own.project.ok("results", "b")
    return own.project


def judged(project, *flags):
    return project.ok("jury", "b", *flags, "--wait", "--refresh-after", 0)


def test_models_judge_whether_answers_are_right(answered):
    made = judged(answered, "--judges", SOL)
    assert [batch["name"] for batch in made["batches"]] == ["judge_b_by_openai_gpt-6-sol"]
    asked = answered.rows("processed_files/judge_b_by_openai_gpt-6-sol.jsonl")
    assert "riddle" not in json.dumps(asked)
    assert "What is 1 and one?" in json.dumps(asked[0])
    summary = answered.ok("score", "b", "--by", "topic", "--cluster", "source")
    assert (summary["field"], summary["judge_kind"], summary["extract"]) == ("is_correct", "correctness", [])
    assert summary["scale"] == {"name": "boolean", "low": 0.0, "high": 1.0, "level": "nominal"}
    assert (summary["score"], summary["n_judged"], summary["complete"]) == (7 / 8, 8, True)
    assert {row["group"]: row["score"] for row in summary["groups"]["topic"]} == {"a": 1.0, "b": 0.75}
    assert summary["interval"]["n_clusters"] == 3
    row = json.loads(answered.rows("results/judge_b_by_openai_gpt-6-sol.jsonl")[2]["answer"])
    assert row["is_correct"] is False


def test_rules_vote_on_the_one_field(answered):
    judged(answered, "--judges", "rule:exact,rule:numeric")
    scored = answered.ok("score", "b")
    assert (scored["field"], scored["score"]) == ("is_correct", 7 / 8)
    assert not any("justif" in note for note in scored["footnotes"])
    with answered.ledger() as ledger, ledger.read() as tx:
        from batchflow.ledger import batches, request_rows

        judge = batches.get(tx, "judge_b_by_rule_exact")
        votes = list(request_rows.votes(tx, judge.id))
    assert {vote.field for vote in votes} == {"is_correct"}
    assert [vote.value for vote in votes] == [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_a_cascade_asks_models_about_the_rest(answered):
    made = judged(answered, "--judges", SOL, "--cascade", "exact")
    assert (made["settled"], made["judgeable"]) == (7, 8)
    scored = answered.ok("score", "b")
    assert (scored["score"], scored["field"]) == (7 / 8, "is_correct")


def test_a_rubric_of_ones_own_beside_another_kind(answered):
    (answered.folder / "r.toml").write_text(RUBRIC)
    judged(answered, "--judges", SOL)
    made = judged(answered, "--judges", SOL, "--kind", "r.toml")
    assert [batch["name"] for batch in made["batches"]] == ["judge_b_by_openai_gpt-6-sol_as_rubric"]
    (answered.folder / "r.toml").unlink()
    own_kind = answered.ok("score", "b")
    assert own_kind["field"] == "is_correct"
    assert "1 judge of kind rubric voted as well: --field-name overall" in own_kind["footnotes"]
    summary = answered.ok("score", "b", "--field-name", "overall")
    assert summary["scale"] == {"name": "unit", "low": 0.0, "high": 1.0, "level": "interval"}
    assert [judge["judge"] for judge in summary["judges"]] == [f"rubric@{SOL}"]
    said = [json.loads(row["answer"]) for row in answered.rows("results/judge_b_by_openai_gpt-6-sol_as_rubric.jsonl")]
    expected = sum(0.75 * row["clarity"] + 0.25 * row["brevity"] for row in said) / len(said)
    assert summary["score"] == pytest.approx(expected)
    assert summary["ci_low"] < summary["score"] < summary["ci_high"]
    clarity = answered.ok("score", "b", "--field-name", "clarity", "--by", "topic")
    assert clarity["score"] == pytest.approx(sum(row["clarity"] for row in said) / len(said))
    text = answered.refused(2, "score", "b", "--field-name", "clarty")
    assert "clarity is the nearest" in text
    assert "is for fields that are right or wrong" in answered.refused(
        2, "score", "b", "--field-name", "clarity", "--method", "majority"
    )


def test_rules_cannot_judge_by_a_rubric(answered):
    (answered.folder / "r.toml").write_text(RUBRIC)
    before = answered.files()
    assert "rules compare answers" in answered.refused(2, "jury", "b", "--judges", "rule:exact", "--kind", "r.toml")
    assert "correctness is the nearest" in answered.refused(2, "jury", "b", "--kind", "correctnes")
    assert "is not a riddle" in answered.refused(2, "jury", "b", "--judges", SOL, "--kind", "riddle")
    assert answered.files() == before


def test_a_kind_of_somebody_elses_whose_replies_cannot_be_read(answered, monkeypatch):
    monkeypatch.syspath_prepend(str(PACKAGE))
    made = judged(answered, "--judges", SOL, "--kind", "stars")
    name = made["batches"][0]["name"]
    assert {row["error"] for row in answered.rows(f"results/{name}.jsonl")} <= {"no stars", "not one to five stars"}
    assert "8 missing, 8 of them unreadable" in answered.refused(3, "score", "b")
    again = answered.ok("jury", "b", "--retry")
    assert again["batches"][0]["requests"] == 8


FIELDS = """
name = "support"
reply = "json"
[[fields]]
name = "grade"
description = "Is it right?"
scale = "letters"
letters = { A = 1, B = 0.5, C = 0 }
[[fields]]
name = "tone"
description = "How polite is it?"
scale = "rating"
low = 1
high = 5
"""


def test_any_scale_goes_to_a_score(answered):
    (answered.folder / "k.toml").write_text(FIELDS)
    for kind, field in (
        ("letters", "grade"),
        ("rating", "rating"),
        ("preference", "preference"),
        ("k.toml", "overall"),
    ):
        judged(answered, "--judges", SOL, "--kind", kind)
        scored = answered.ok("score", "b", "--field-name", field)
        assert (scored["field"], scored["votes_missing"], scored["n_judged"]) == (field, 0, 8), kind
        assert 0.5 < scored["score"] <= 1
    assert scored["scale"]["name"] == "unit"  # of the mean
    card = answered.run("score", "b", "--field-name", "rating").out
    assert "rating, from 1 to 10" in card
    assert "kind rating" in card


def test_brought_answers_and_brought_requests_go_to_a_score(own):
    rows = [{"custom_id": str(n), "answer": str(n + 1), "model": "m"} for n in range(1, 9)]
    (own.project.folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own.project.ok("import", "predictions", "p.jsonl", "--dataset", "mine.csv")
    own.project.ok("jury", "p", "--judges", f"rule:exact,{SOL}", "--wait", "--refresh-after", 0)
    assert own.project.ok("score", "p")["score"] == 7 / 8
    lines = [
        {"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": "gpt-6-luna", "messages": [{"role": "user", "content": f"What is {n} and one?"}]}}
        for n in range(1, 9)
    ]  # fmt: skip
    (own.project.folder / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    own.project.ok("import", "requests", "q.jsonl", "--provider", "openai", "--dataset", "mine.csv")
    own.project.ok("start", "q")
    own.project.ok("get", "q", "--refresh-after", 0)
    own.project.ok("results", "q")
    own.project.ok("jury", "q", "--judges", "rule:exact", "--wait", "--refresh-after", 0)
    assert own.project.ok("score", "q")["score"] == 7 / 8


def test_human_labels_correct_a_score_of_plain_answers(answered):
    judged(answered, "--judges", SOL)
    labels = [{"custom_id": str(n), "human_answer_correct": True} for n in range(1, 5)]
    (answered.folder / "l.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))
    told = answered.ok("import", "labels", "l.jsonl", "--batch", "b")
    assert told["next"] == "batchflow score b --method ppi --field-name is_correct"
    assert answered.ok("score", "b", "--method", "ppi")["score"] > 7 / 8


def test_several_references_and_none(own):
    rows = [
        {"question": "What is 1 and one?", "reference": ["two", "2"]},
        {"question": "What is 2 and one?", "reference": ["four", "5"]},
        {"question": "What is 3 and one?"},
    ]
    (own.project.folder / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    brought = [{"custom_id": str(n), "answer": str(n + 1), "model": "m"} for n in (1, 2, 3)]
    (own.project.folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in brought))
    own.project.ok("import", "predictions", "p.jsonl", "--dataset", "r.jsonl")
    own.project.ok("jury", "p", "--judges", "rule:exact", "--wait", "--refresh-after", 0)
    summary = own.project.ok("score", "p")
    assert (summary["score"], summary["n_judged"]) == (0.5, 2)
    assert summary["abstained"] == {"rule:exact": 1}
