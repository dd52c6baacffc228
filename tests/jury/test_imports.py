from __future__ import annotations

import json

import pytest
from helpers.jsonl import write

MODEL = "my-model-7"


@pytest.fixture
def predictions(answered, tmp_path):
    """Somebody's own predictions in layton-eval's form: those of `p`, without what this program adds."""
    rows = [
        {"id": f"x{n}", "custom_id": row["custom_id"], "answer": row["answer"], "model": MODEL, "original": {}}
        for n, row in enumerate(reversed(answered.rows("results/p.jsonl")))
    ]
    return write(tmp_path / "mine.jsonl", rows)


def items(answered):
    return [row["custom_id"] for row in answered.rows("results/p.jsonl")]


def judge_file(folder, name, ids, right):
    answer = {"is_answer_correct": True, "is_justification_correct": True}
    wrong = {"is_answer_correct": False, "is_justification_correct": False}
    rows = [
        {"custom_id": item, "answer": json.dumps(answer if n < right else wrong), "model": name}
        for n, item in enumerate(ids)
    ]
    return write(folder / f"{name}.jsonl", rows)


def test_own_predictions_become_a_batch_that_a_jury_can_judge(answered, predictions):
    made = answered.ok("import", "predictions", predictions, "--provider", "gemini")
    assert (made["name"], made["model"], made["provider"], made["new"]) == ("mine", MODEL, "gemini", True)
    assert made["outcomes"] == {"missing": made["requests"] - 40, "ok": 40}
    assert made["parsed"] == {"strict": 40}
    got = {row["custom_id"]: row["answer"] for row in answered.rows("results/mine.jsonl") if row["outcome"] == "ok"}
    assert got == {row["custom_id"]: row["answer"] for row in answered.rows("results/p.jsonl")}
    answered.ok("jury", "mine", "--judges", "rule:normalised", "--wait")
    answered.ok("jury", "p", "--judges", "rule:normalised", "--wait")
    score = answered.ok("score", "mine")
    assert (score["provider"], score["model"]) == ("gemini", MODEL)
    assert score["score"] == answered.ok("score", "p")["score"]
    assert score["unjudgeable"] == made["requests"] - 40
    assert score["n_items"] == made["requests"]
    assert answered.ok("compare", "mine", "p")["pairs"][0]["difference"] == 0


def test_importing_twice_is_a_no_op_and_other_rows_are_another_batch(answered, predictions):
    first = answered.ok("import", "predictions", predictions)
    again = answered.ok("import", "predictions", predictions)
    assert not again["new"]
    assert again["outcomes"] == first["outcomes"]
    predictions.write_text("".join(predictions.read_text().splitlines(keepends=True)[:5]))
    assert "taken by another batch" in answered.refused(2, "import", "predictions", predictions)


def test_the_evaluated_vendor_does_not_judge_its_own_import(answered, predictions, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    answered.ok("import", "predictions", predictions, "--provider", "gemini")
    judges = [batch["judge"].partition(":")[0] for batch in answered.ok("jury", "mine")["batches"]]
    assert judges == ["openai", "anthropic", "mistral"]


def test_any_vendor_can_be_named_but_no_slip_of_the_pen(answered, predictions):
    for word in ("openia", "Mistal", " "):
        assert "did you mean" in answered.refused(2, "import", "predictions", predictions, "--provider", word)
    assert answered.ok("import", "predictions", predictions, "--provider", "Grok")["provider"] == "grok"


def test_a_name_that_leads_out_of_its_folder_is_refused(answered, predictions):
    before = answered.files()
    assert "cannot be a file name" in answered.refused(2, "import", "predictions", predictions, "--name", "../x")
    assert answered.files() == before
    assert not list(answered.folder.glob("x.*"))


def test_the_users_own_results_file_is_neither_overwritten_nor_deleted(answered, predictions):
    own = answered.results / "benchmark_openai_x.jsonl"
    own.write_text(predictions.read_text())
    before = own.read_bytes()
    assert "batchflow import predictions" in answered.refused(2, "jury", own)
    made = answered.ok("import", "predictions", own)
    assert made["name"] == "benchmark_openai_x_imported"
    answered.ok("delete", made["name"])
    assert own.read_bytes() == before


def test_predictions_that_need_repair_or_cannot_be_read_are_counted(answered, tmp_path):
    ids = items(answered)[:5]
    good = {"justification": "j", "answer": "a"}
    texts = [json.dumps(good), f"```json\n{json.dumps(good)}\n```", "just words", None, good]
    path = write(
        tmp_path / "b.jsonl", [{"custom_id": i, "answer": t, "model": "m"} for i, t in zip(ids, texts, strict=True)]
    )
    made = answered.ok("import", "predictions", path)
    assert made["parsed"] == {"repaired": 1, "strict": 2, "unparsed": 1}
    assert made["outcomes"]["ok"] == 4


def test_the_model_may_be_named_once_for_all_rows(answered, tmp_path):
    path = write(
        tmp_path / "c.jsonl", [{"custom_id": items(answered)[0], "answer": {"justification": "j", "answer": "a"}}]
    )
    assert "field model: it is missing" in answered.refused(3, "import", "predictions", path)
    assert answered.ok("import", "predictions", path, "--model", MODEL)["model"] == MODEL


def test_a_jury_without_an_answer_to_judge_says_why(answered, tmp_path):
    path = write(tmp_path / "d.jsonl", [{"custom_id": items(answered)[0], "answer": "just words", "model": MODEL}])
    answered.ok("import", "predictions", path)
    said = answered.refused(3, "jury", "d")
    assert "None of 1 answers is JSON {answer, justification}. First one: 'just words'." in said


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lambda rows: [*rows, rows[0]], 3, "is answered twice"),
        (lambda rows: [{**rows[0], "custom_id": "nobody"}], 3, "--dataset"),
        (lambda rows: [{**rows[0], "model": "other"}, *rows[1:]], 2, "2 models"),
        (lambda rows: [{"custom_id": rows[0]["custom_id"], "model": "m"}], 3, "field answer"),
    ],
)
def test_rows_that_make_no_sense_are_refused_and_nothing_is_made(answered, predictions, change, code, says):
    rows = [json.loads(line) for line in predictions.read_text().splitlines()]
    assert says in answered.refused(code, "import", "predictions", write(predictions, change(rows)))
    assert len(answered.ok("list")["batches"]) == 1


def test_imported_answers_cannot_be_asked_for_again(answered, predictions):
    answered.ok("import", "predictions", predictions)
    assert "cannot be asked again" in answered.refused(2, "retry", "mine")
    assert "cannot be asked again" in answered.refused(2, "prepare", "--provider", "import", "--model", "m")


def test_score_brings_predictions_and_judge_files_into_the_ledger(answered, predictions, tmp_path):
    ids = items(answered)
    files = [judge_file(tmp_path, name, ids, right) for name, right in (("j-a", 30), ("j-b", 30), ("j-c", 20))]
    words = ("score", *files, "--predictions", predictions, "--provider", "openai", "--by", "category")
    score = answered.ok(*words)
    assert score["name"] == "mine"
    assert score["score"] == pytest.approx((20 + 10 * 2 / 3) / 40)
    assert [judge["judge"] for judge in score["judges"]] == ["j-a", "j-b", "j-c"]
    assert sum(row["n_judged"] for row in score["groups"]["category"]) == 40
    assert answered.run(*words, "--json").out == answered.run(*words, "--json").out
    assert answered.ok("score", "mine")["score"] == score["score"]
    said = answered.refused(2, "score", *files[:2], "--predictions", predictions, "--provider", "anthropic")
    assert "taken by another batch" in said


def test_the_vendor_of_imported_answers_can_be_said_when_they_are_scored(answered, predictions, tmp_path):
    files = [judge_file(tmp_path, name, items(answered), 30) for name in ("j-a", "j-b", "j-c")]
    answered.ok("score", *files, "--predictions", predictions)
    rows = [
        {"riddle_id": f"{vendor}{n}", "provider": vendor, "model": "m", "human_both_correct": n % 2 == 0,
         **{f"both_correct_{judge}": n % 2 == 0 for judge in "abc"}}
        for vendor in ("openai", "mistral") for n in range(10)
    ]  # fmt: skip
    words = ("score", "mine", "--gold", write(tmp_path / "gold.jsonl", rows), "--method", "layton")
    assert "--provider openai" in answered.refused(2, *words)
    score = answered.ok(*words, "--provider", "openai")
    assert score["score"] == 0.75
    assert "10 labels of openai's own models are left out" in score["footnotes"]


def test_too_few_judge_files_for_imported_predictions_are_told(answered, predictions, tmp_path):
    files = [judge_file(tmp_path, name, items(answered), 30) for name in ("j-a", "j-b")]
    said = answered.refused(3, "score", *files, "--predictions", predictions)
    assert "has 2 judges" in said
    assert "--n-judges 2" in said
    assert answered.ok("score", "mine", "--n-judges", 2)["n_judged"] == 40


def test_a_verdict_on_an_answer_that_is_not_there_is_refused(answered, predictions, tmp_path):
    path = judge_file(tmp_path, "j-a", [*items(answered), "nobody"], 30)
    said = answered.refused(3, "score", path, "--predictions", predictions, "--n-judges", 1)
    assert "has no answer to item nobody" in said
