from __future__ import annotations

import json

import pytest
from helpers.jsonl import write


@pytest.fixture
def labels(judged, tmp_path):
    """A person's word on every answer of `p`, at odds with the jury on a few."""
    rows = [
        {"custom_id": row["custom_id"], "provider": "openai", "model": "gpt-6-luna", "human_answer_correct": right,
         "human_justification_correct": True}
        for n, row in enumerate(judged.rows("results/p.jsonl"))
        for right in ["wrong" not in json.loads(row["answer"])["answer"] or n % 9 == 0]
    ]  # fmt: skip
    return write(tmp_path / "labels.jsonl", rows)


def test_labels_in_the_ledger_do_what_a_gold_file_does(judged, labels):
    assert judged.ok("score", "p")["agreement"]["accuracy"] is None
    report = judged.ok("import", "labels", labels)
    assert (report["labels"], report["batches"], report["changed"]) == (40, {"p": 40}, 0)
    words = ("score", "p", "--method", "ppi", "--field-name", "is_answer_correct")
    by_ledger, by_file = judged.ok(*words), judged.ok(*words, "--gold", labels)
    assert by_ledger == by_file
    assert all(right > 0.7 for right in by_ledger["agreement"]["accuracy"])


def test_labels_of_another_model_calibrate_through_its_own_jury(judged, labels, tmp_path):
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    mine = [
        {"custom_id": r["custom_id"], "answer": json.dumps({"justification": "j", "answer": "a"}), "model": "mine"}
        for r in rows
    ]
    made = judged.ok("import", "predictions", write(tmp_path / "mine.jsonl", mine), "--provider", "mistral")
    judged.ok("jury", made["name"], "--judges", "rule:exact,rule:normalised", "--wait")
    judged.ok("import", "labels", labels)
    score = judged.ok("score", made["name"], "--method", "ppi", "--field-name", "is_answer_correct")
    assert any("Rogan–Gladen on 40 gold labels" in note for note in score["footnotes"])


def test_the_last_label_stands_and_changes_are_counted(judged, labels):
    judged.ok("import", "labels", labels)
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    rows[0]["human_answer_correct"] = not rows[0]["human_answer_correct"]
    assert judged.ok("import", "labels", write(labels, rows))["changed"] == 1
    assert judged.ok("import", "labels", labels)["changed"] == 0


def test_the_proposed_command_of_answers_that_nobody_judged_is_their_jury(answered, tmp_path):
    item = answered.rows("results/p.jsonl")[0]["custom_id"]
    path = write(tmp_path / "labels.jsonl", [{"custom_id": item, "human_answer_correct": True}])
    assert answered.ok("import", "labels", path)["next"] == "batchflow jury p"


def test_the_proposed_command_works_behind_a_jury(judged, labels):
    told = judged.ok("import", "labels", labels)
    assert told["next"] == "batchflow score p --method ppi --field-name both_correct"
    assert judged.ok(*told["next"].split()[1:])["method"] == "ppi"


def test_labels_of_one_field_are_never_taken_for_another(judged, labels):
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    only = write(labels, [{k: v for k, v in row.items() if k != "human_justification_correct"} for row in rows])
    told = judged.ok("import", "labels", only)
    assert told["next"] == "batchflow score p --method ppi --field-name is_answer_correct"
    assert judged.ok(*told["next"].split()[1:])["field"] == "is_answer_correct"
    for words in (("score", "p", "--method", "ppi"), ("score", "p", "--method", "ppi", "--gold", only)):
        said = judged.refused(3, *words)
        assert "no gold label is about both_correct: they are about is_answer_correct" in said
        assert "--field-name is_answer_correct" in said


def test_a_later_file_erases_no_label_that_it_does_not_have(judged, labels, tmp_path):
    judged.ok("import", "labels", labels)
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    silent = [{**row, "human_justification_correct": None} for row in rows]
    assert judged.ok("import", "labels", write(tmp_path / "later.jsonl", silent))["changed"] == 0
    score = judged.ok("score", "p", "--method", "ppi", "--field-name", "is_justification_correct")
    assert score["agreement"]["gold_labels"] == 40


def test_an_old_combined_label_goes_with_the_part_that_contradicts_it(judged, labels, tmp_path):
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    full = [{**row, "human_answer_correct": True, "human_both_correct": True} for row in rows]
    judged.ok("import", "labels", write(tmp_path / "full.jsonl", full))
    wrong = [{**full[0], "human_answer_correct": False, "human_both_correct": None}]
    assert judged.ok("import", "labels", write(tmp_path / "wrong.jsonl", wrong))["changed"] == 2
    assert judged.ok("score", "p", "--method", "ppi", "--field-name", "both_correct")["agreement"]["gold_labels"] == 40


def test_rows_about_other_answers_are_counted_and_none_at_all_is_an_error(judged, labels):
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    rows[0]["model"], rows[1]["custom_id"] = "another-model", "nobody"
    report = judged.ok("import", "labels", write(labels, rows))
    assert (report["labels"], report["elsewhere"]) == (38, 2)
    assert "2 rows are about answers" in report["notes"][0]
    said = judged.refused(3, "import", "labels", write(labels, [{**row, "model": "m"} for row in rows]))
    assert "none of its 40 rows" in said


def test_a_row_that_fits_two_batches_needs_its_batch_named(judged, labels, tmp_path):
    mine = [
        {"custom_id": row["custom_id"], "answer": "{}", "model": "gpt-6-luna"} for row in judged.rows("results/p.jsonl")
    ]
    judged.ok("import", "predictions", write(tmp_path / "q.jsonl", mine), "--provider", "openai")
    said = judged.refused(2, "import", "labels", labels)
    assert "p, q" in said
    assert "--batch p" in said
    assert judged.ok("import", "labels", labels, "--batch", "p")["batches"] == {"p": 40}


def test_broken_labels_are_refused_and_deleted_batches_take_theirs_along(judged, labels, tmp_path):
    item = judged.rows("results/p.jsonl")[0]["custom_id"]
    broken = write(tmp_path / "x.jsonl", [{"custom_id": item, "human_answer_correct": "maybe"}])
    assert "x.jsonl, line 1, field human_answer_correct" in judged.refused(3, "import", "labels", broken)
    judged.ok("import", "labels", labels)
    judged.ok("delete", "p")
    assert judged.ok("list")["batches"] == []
    assert judged.ok("ledger", "check")["problems"] == []


def test_labels_of_pictures_never_calibrate_texts(project, tmp_path):
    """layton-eval took the text calibration set for images; here the ledger's labels keep to their split."""
    answer = json.dumps({"justification": "so", "answer": "7"})
    for split, ids in (("llm", range(1, 25)), ("vlm", range(1, 25))):
        made = [{"custom_id": f"{split}-{n:03d}", "answer": answer, "model": split} for n in ids]
        words = ("--provider", "xai", "--split", split)
        project.ok("import", "predictions", write(tmp_path / f"{split}.jsonl", made), *words)
        project.ok("jury", split, "--judges", "rule:exact,rule:normalised", "--wait")
    labels = [
        {"custom_id": f"vlm-{n:03d}", "provider": "xai", "model": "vlm", "human_answer_correct": n % 2 == 0}
        for n in range(1, 25)
    ]
    path = write(tmp_path / "labels.jsonl", labels)
    project.ok("import", "labels", path)
    assert "human labels of this task and split" in project.refused(2, "score", "llm", "--method", "ppi")
    assert project.ok("score", "llm")["agreement"]["gold_basis"] is None
    assert project.ok("score", "vlm")["agreement"]["gold_basis"] == "own"
    brought = [
        {**row, "answer": json.dumps({"is_answer_correct": True, "is_justification_correct": True})} for row in made
    ]
    files = (
        write(tmp_path / "judge.jsonl", brought),
        "--n-judges",
        "1",
        "--provider",
        "xai",
        "--field-name",
        "is_answer_correct",
    )
    assert project.ok("score", *files, "--model", "vlm")["agreement"]["gold_labels"] == 24
    others = write(tmp_path / "other.jsonl", [{**row, "custom_id": f"x{n}"} for n, row in enumerate(brought)])
    assert project.ok("score", others, *files[1:], "--model", "vlm")["agreement"]["gold_basis"] is None
    told = [{**row, "model": "else", "is_answer_correct_exact": n % 3 == 0} for n, row in enumerate(labels)]
    score = project.ok("score", "llm", "--gold", write(tmp_path / "gold.jsonl", told))
    assert any("are they labels for other data?" in note for note in score["footnotes"])


def test_labels_that_name_the_model_as_its_vendor_does_are_its_own(project, tmp_path):
    answer = json.dumps({"justification": "so", "answer": "7"})
    dated = {"provider": "xai", "model": "m-2026-01-31"}
    made = [{"custom_id": f"llm-{n:03d}", "answer": answer, **dated} for n in range(1, 25)]
    words = ("--provider", "xai", "--model", "m", "--name", "p")
    project.ok("import", "predictions", write(tmp_path / "made.jsonl", made), *words)
    project.ok("jury", "p", "--judges", "rule:exact,rule:normalised", "--wait")
    labels = [
        {"custom_id": row["custom_id"], **dated, "human_answer_correct": n % 2 == 0, "is_answer_correct_exact": True}
        for n, row in enumerate(made)
    ]
    score = project.ok("score", "p", "--gold", write(tmp_path / "gold.jsonl", labels), "--method", "ppi")
    assert (score["agreement"]["gold_basis"], score["agreement"]["gold_labels"]) == ("own", 24)
