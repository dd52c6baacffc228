from __future__ import annotations

import csv
import io
import json

import pytest
from helpers.viewed import HOSTILE, ROWS


def items(project, *flags):
    ran = project.run("show", *flags, "--json", "--limit", 0)
    assert ran.code == 0, ran
    assert ran.out.count("\n") == 1
    return ran.json["items"]


def test_each_item_has_question_reference_answer_verdicts_reasons_label_and_error(viewed_project):
    found = {view["item"]: view for view in items(viewed_project, "a", "--items")}
    assert len(found) == ROWS
    third, tenth, twelfth = (found[name] for name in ("q3", "q10", "q12"))
    assert (third["question"], third["references"], third["row"]) == ("What is 3 and one?", ["4"], 3)
    assert third["answer"] == third["extracted"]["answer"]
    assert [judge["judge"] for judge in third["judges"]] == [
        "openai:gpt-5.4-mini", "openai:gpt-5.4", "openai:gpt-5.4-nano"
    ]  # fmt: skip
    assert {judge["reasons"] for judge in third["judges"]} == {"A rehearsed line of reasoning."}
    shares = [judge["verdict"] for judge in third["judges"]]
    assert shares == [judge["values"]["is_correct"] for judge in third["judges"]]
    assert third["verdict"] == pytest.approx(sum(shares) / 3)
    assert third["columns"] == {"topic": "logic"}
    assert (tenth["outcome"], tenth["judges"], tenth["answer"]) == ("error", [], None)
    assert "upstream <b>server</b> error 77" in tenth["error"]
    assert twelfth["human"] == {"human_answer_correct": True}
    size = (viewed_project.folder / "pictures/9.png").stat().st_size
    assert found["q9"]["pictures"] == [{"path": "pictures/9.png", "type": "image/png", "bytes": size}]


def test_selections_are_subsets_that_mean_what_they_say(viewed_project):
    every = items(viewed_project, "b", "--items")
    for flag, meant in {
        "--disagree": lambda view: len({judge["verdict"] for judge in view["judges"]}) == 2,
        "--wrong": lambda view: bool(view["judges"]) and view["verdict"] < 0.5,
        "--refused": lambda view: view["outcome"] == "refused",
        "--flagged": lambda view: bool(view["flags"]),
    }.items():
        assert items(viewed_project, "b", flag) == [view for view in every if meant(view)], flag
    assert items(viewed_project, "b", "--refused")
    assert items(viewed_project, "b", "--by", "topic=logic") == [v for v in every if v["columns"]["topic"] == "logic"]
    assert not items(viewed_project, "b", "--unparsed")
    either = items(viewed_project, "b", "--refused", "--wrong")
    assert {view["outcome"] for view in either} == {"refused", "ok"}


def test_judge_batches_have_items_too(viewed_project):
    judge = viewed_project.ok("list")["batches"][-1]["name"]
    first = items(viewed_project, judge, "--items")[0]
    assert json.loads(first["answer"]) == first["extracted"]
    assert first["judges"] == []


def test_the_text_is_cut_and_clean_and_says_that_there_is_more(viewed_project):
    ran = viewed_project.run("show", "a", "--items", "--limit", 7)
    assert ran.code == 0
    assert ran.out.startswith("== items of a (REHEARSAL) ==\n")
    assert ran.out.count("  Question: ") == 7
    assert HOSTILE in ran.out  # a terminal runs no markup
    assert "note: more items match; --limit 0 shows all" in ran.out
    assert "Error:" in viewed_project.run("show", "a", "--errors").out
    assert "\nnone\n" in viewed_project.run("show", "a", "--unparsed").out


def test_csv_has_a_row_for_each_item_and_no_formula(viewed_project):
    ran = viewed_project.run("show", "a", "--csv", "--limit", 0)
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert len(rows) == ROWS
    assert rows[8]["pictures"] == "pictures/9.png"
    assert {row["verdict of openai:gpt-5.4"] for row in rows} == {"right", "wrong", ""}


def test_a_changed_data_set_costs_the_questions_only(viewed_project):
    path = viewed_project.folder / "questions.csv"
    copied = viewed_project.folder / "copy.csv"
    path.rename(copied)
    with viewed_project.ledger() as ledger, ledger.write() as tx:
        tx.exec_driver_sql("UPDATE batches SET dataset_path = ?", (str(path),))
    ran = viewed_project.ok("show", "a", "--items", "--limit", 3)
    assert [view["question"] for view in ran["items"]] == [None, None, None]
    assert all(view["judges"] for view in ran["items"])
    assert "is gone since it was prepared" in ran["notes"][0]


def test_what_cannot_be_shown_is_refused(viewed_project):
    assert "columns: topic" in viewed_project.refused(2, "show", "a", "--by", "nothing=1")
    assert "COLUMN=VALUE is expected" in viewed_project.refused(2, "show", "a", "--by", "topic")
    assert "exclude each other" in viewed_project.run("show", "a", "--csv", "--json").err
    viewed_project.ok("prepare", "--dataset", "questions.csv", "--provider", "openai", "--name", "new")
    assert "new has not been judged" in viewed_project.refused(2, "show", "new", "--wrong")
