"""Labels of any field on any scale: taken in field by field, used by every command, refused with file and line."""

from __future__ import annotations

import json

import pytest
from helpers.jsonl import write

SOL = "openai:gpt-6-sol"
ROWS = "question,reference\n" + "".join(f"What is {n} and one?,{n + 1}\n" for n in range(1, 13))
KIND = """
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


@pytest.fixture
def project(vendor):
    """Batches `p` and `q` about one data set, judged by the kind `support`."""
    del vendor.project.environment["BATCHFLOW_TASK"]
    vendor.project.environment["BATCHFLOW_REHEARSAL"] = "1"
    made = vendor.project
    (made.folder / "mine.csv").write_text(ROWS)
    (made.folder / "k.toml").write_text(KIND)
    for name, wrong in (("p", 3), ("q", 5)):
        rows = [{"custom_id": str(n), "answer": str(n + (n > wrong)), "model": name} for n in range(1, 13)]
        write(made.folder / f"{name}.jsonl", rows)
        made.ok("import", "predictions", f"{name}.jsonl", "--dataset", "mine.csv")
        made.ok("jury", name, "--kind", "k.toml", "--judges", SOL, "--wait", "--refresh-after", 0)
    return made


def csv(path, head, *rows):
    path.write_text("\n".join([head, *rows]) + "\n")
    return path.name


def counts(report):
    return report["labels"], report["new"], report["changed"], report["unchanged"]


def test_labels_of_every_scale_reach_score_items_and_report(project):
    head = "custom_id,model,human_grade,human_tone,human_is_correct"
    rows = [f"{n},p,{'abc'[n % 3]},{1 + n % 5},{'right' if n % 3 else ''}" for n in range(1, 11)]
    path = csv(project.folder / "l.csv", head, *rows)
    report = project.ok("import", "labels", path)
    assert counts(report) == (10, 27, 0, 0)
    assert report["next"] == "batchflow score p --method ppi --field-name overall"
    assert counts(project.ok("import", "labels", path)) == (10, 0, 0, 27)
    later = write(
        project.folder / "m.jsonl", [{"custom_id": "1", "model": "p", "human_grade": "A", "human_tone": None}]
    )
    assert counts(project.ok("import", "labels", later)) == (1, 0, 1, 0)
    assert counts(project.ok("import", "labels", csv(project.folder / "n.csv", "custom_id,human_tone", "11,4.5"),
                             "--batch", "p")) == (1, 1, 0, 0)  # fmt: skip
    human = {view["item"]: view["human"] for view in project.ok("show", "p", "--items", "--limit", 0)["items"]}
    assert human["1"] == {"human_answer_correct": True, "human_grade": "A", "human_tone": 2.0}
    assert human["11"] == {"human_tone": 4.5}
    assert human["12"] == {}
    for field, labelled in (("grade", 10), ("tone", 11), ("overall", 10)):
        score = project.ok("score", "p", "--method", "ppi", "--field-name", field)
        assert (score["method"], score["field"]) == ("ppi", field)
        assert any(f"PPI++ on {labelled} gold labels" in note for note in score["footnotes"]), score["footnotes"]
    rows[0] = rows[0].replace(",b,", ",a,")
    by_file = project.ok("score", "p", "--method", "ppi", "--field-name", "grade",
                         "--gold", csv(project.folder / "g.csv", head, *rows))  # fmt: skip
    by_ledger = project.ok("score", "p", "--method", "ppi", "--field-name", "grade")
    assert (by_file["score"], by_file["ci_low"]) == (by_ledger["score"], by_ledger["ci_low"])
    project.ok("report", "p", "--format", "json", "-o", "r.json")
    part = json.loads((project.folder / "r.json").read_text())["batches"][0]
    assert part["corrected"]["method"] == "ppi"


def test_labels_of_both_models_correct_a_difference_on_any_scale(project):
    rows = [f"{n},{model},{1 + (n * (1 + (model == 'q'))) % 5}" for n in range(1, 9) for model in "pq"]
    gold = csv(project.folder / "l.csv", "custom_id,model,human_tone", *rows)
    pair = project.ok("compare", "p", "q", "--field-name", "tone", "--gold", gold)["pairs"][0]
    assert pair["corrected"]["labels"] == 8


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (["1,p,A,,", "2,p,A,,", "2,p,B,,"], "l.csv, line 4, field human_grade: line 3 says something else"),
        (["1,p,D,,"], "l.csv, line 2, field human_grade: 'D' is no label"),
        (["1,p,A,6,"], "l.csv, line 2, field human_tone: '6' is no label"),
        (["1,p,A,,", "2,p,,,maybe"], "l.csv, line 3, field human_is_correct: 'maybe' is no label"),
        (["1,p,,,"], "none of its 1 rows has a label"),
    ],
)
def test_faulty_rows_are_refused_before_anything_is_written(project, rows, text):
    path = csv(project.folder / "l.csv", "custom_id,model,human_grade,human_tone,human_is_correct", *rows)
    assert text in project.refused(3, "import", "labels", path)
    assert all(view["human"] == {} for view in project.ok("show", "p", "--items", "--limit", 0)["items"])


def test_columns_that_are_no_field_are_refused_and_a_kind_may_be_named(project):
    path = csv(project.folder / "l.csv", "custom_id,model,human_rating", "1,p,7")
    said = project.refused(3, "import", "labels", path)
    assert "line 2: nobody is asked about 'rating'" in said
    assert "human_grade" in said
    assert project.ok("import", "labels", path, "--kind", "rating")["new"] == 1


def test_a_combined_label_never_contradicts_its_parts(vendor):
    project = vendor.project
    answer = json.dumps({"justification": "so", "answer": "7"})
    rows = [{"custom_id": f"llm-{n:03d}", "answer": answer, "model": "m"} for n in range(1, 4)]
    project.ok("import", "predictions", write(project.folder / "r.jsonl", rows), "--task", "riddles")
    words = ("human_answer_correct", "human_justification_correct", "human_both_correct")

    def given(name, *said):
        return write(project.folder / name, [{"custom_id": "llm-001", **dict(zip(words, said, strict=True))}])

    for said, others in (((False, None, True), words[0]), ((True, True, False), f"{words[0]} and {words[1]}")):
        text = project.refused(3, "import", "labels", given("a.jsonl", *said), "--batch", "r")
        assert f"a.jsonl, line 1, field human_both_correct: it says {'right' if said[2] else 'wrong'}" in text
        assert f"{others} contradict" in text
    project.ok("import", "labels", given("b.jsonl", False, None, None), "--batch", "r")
    text = project.refused(3, "import", "labels", given("c.jsonl", None, None, True), "--batch", "r")
    assert "human_answer_correct (b.jsonl, line 1) contradict" in text
    project.ok("import", "labels", given("d.jsonl", None, None, False), "--batch", "r")
    report = project.ok("import", "labels", given("e.jsonl", True, True, None), "--batch", "r")
    assert (report["new"], report["changed"]) == (1, 2)  # the combined label went with the part that it was about
