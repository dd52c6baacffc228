from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from helpers import browser as chromium
from helpers.jsonl import write

LABELS = "human_answer_correct"


def rows_of(path):
    with Path(path).open(newline="", encoding="utf-8-sig") as handle:
        return list(csv.DictReader(handle))


def fill(path, rows):
    with Path(path).open("w", newline="", encoding="utf-8") as handle:
        out = csv.DictWriter(handle, list(rows[0]))
        out.writeheader()
        out.writerows(rows)


def test_a_sheet_is_drawn_by_its_seed_filled_in_and_imported_field_by_field(viewed_project):
    sheet = viewed_project.ok("labels", "sheet", "a", "--n", 12, "--seed", 5)
    assert (sheet["items"], sheet["answers"], sheet["fields"]) == (12, 33, [LABELS])
    rows = rows_of(sheet["path"])
    again = viewed_project.ok("labels", "sheet", "a", "--n", 12, "--seed", 5, "-o", viewed_project.folder / "two.csv")
    assert Path(again["path"]).read_bytes() == Path(sheet["path"]).read_bytes()
    other = viewed_project.ok("labels", "sheet", "a", "--n", 12, "--seed", 6)
    assert rows_of(other["path"]) != rows
    assert len(rows) == 12
    assert all(row["answer"] and row["reference"] and row["batch"] == "a" and not row[LABELS] for row in rows)
    assert not any("verdict" in name or "gpt-5.4" in "".join(row.values()) for row in rows for name in row)
    filled = [{**row, LABELS: "right" if n < 5 else "0" if n < 10 else ""} for n, row in enumerate(rows)]
    fill(viewed_project.folder / "filled.csv", filled)
    report = viewed_project.ok("import", "labels", "filled.csv")
    assert (report["labels"], report["batches"]) == (10, {"a": 10})
    before = {view["item"]: view["human"] for view in viewed_project.ok("show", "a", "--items", "--limit", 0)["items"]}
    assert [before[row["custom_id"]][LABELS] for row in filled[:10]] == [True] * 5 + [False] * 5
    turned = [{**row, LABELS: "wrong" if n == 0 else row[LABELS]} for n, row in enumerate(filled)]
    fill(viewed_project.folder / "filled.csv", turned)
    assert viewed_project.ok("import", "labels", "filled.csv")["changed"] == 1
    fill(viewed_project.folder / "filled.csv", [{**rows[0], LABELS: "maybe"}])
    assert "line 2, field human_answer_correct: 'maybe' is no label" in viewed_project.refused(
        3, "import", "labels", "filled.csv"
    )


def test_a_page_is_filled_in_offline_and_saved_as_rows_that_import_takes(viewed_project):
    sheet = viewed_project.ok("labels", "sheet", "b", "--n", 40, "--format", "html")
    assert sheet["items"] == 33
    with chromium.running() as browser:
        browser.open(Path(sheet["path"]).as_uri())
        assert browser.run("document.getElementById('status').textContent") == "0 of 33 answers judged"
        browser.run("document.getElementById('answer-0').focus()")
        for key in ("1", "2", "j", "1"):
            browser.key(key)
        assert browser.run("document.getElementById('status').textContent") == "3 of 33 answers judged"
        assert browser.run("document.querySelector('#answers img').naturalWidth") == 24
        caught = (
            "new Promise(done => { URL.createObjectURL = blob => { blob.text().then(done); return 'about:blank#'; }; "
            "HTMLAnchorElement.prototype.click = () => {}; document.getElementById('save').click(); })"
        )
        saved = browser.run(caught)
        assert browser.console == []
    (viewed_project.folder / "saved.jsonl").write_text(saved)
    assert [json.loads(line)[LABELS] for line in saved.splitlines()] == [True, False, True]
    assert viewed_project.ok("import", "labels", "saved.jsonl")["batches"] == {"b": 3}


def test_a_sheet_by_the_jurys_verdict_is_weighted_in_every_estimate(viewed_project):
    words = ("labels", "sheet", "b", "--n", 16, "--stratify", "--seed", 3)
    sheet = viewed_project.ok(*words)
    views = {view["item"]: view for view in viewed_project.ok("show", "b", "--items", "--limit", 0)["items"]}
    sizes = {name: answers for name, (answers, _) in sheet["strata"].items()}
    assert sum(drawn for _, drawn in sheet["strata"].values()) == sheet["items"] == 16
    assert sum(sizes.values()) == sum(view["verdict"] is not None for view in views.values())
    rows = rows_of(sheet["path"])
    assert not any("verdict" in name or "points" in "".join(row.values()) for row in rows for name in row)
    again = viewed_project.ok(*words, "-o", viewed_project.folder / "two.csv")
    assert Path(again["path"]).read_bytes() == Path(sheet["path"]).read_bytes()

    def stratum(view):
        value = view["verdict"]
        return (
            "0 points"
            if value == 0
            else "100 points"
            if value == 1
            else f"{'less than ' * (value < 0.5)}50 points{' or more' * (value >= 0.5)}"
        )

    truth = {
        item: view["extracted"] is not None and view["extracted"]["answer"] == view["references"][0]
        for item, view in views.items()
    }
    filled = [{**row, LABELS: "right" if truth[row["custom_id"]] else "wrong"} for row in rows]
    fill(viewed_project.folder / "filled.csv", filled)
    drawn = {}
    for row in filled:
        drawn.setdefault(stratum(views[row["custom_id"]]), []).append(truth[row["custom_id"]])
    assert {name: len(own) for name, own in drawn.items()} == {name: n for name, (_, n) in sheet["strata"].items()}
    expected = sum(sizes[name] * sum(own) / len(own) for name, own in drawn.items()) / sum(sizes.values())
    by_file = viewed_project.ok("score", "b", "--method", "ppi", "--unanswered", "exclude", "--gold", "filled.csv")
    viewed_project.ok("import", "labels", "filled.csv")
    by_ledger = viewed_project.ok("score", "b", "--method", "ppi", "--unanswered", "exclude")
    for score in (by_file, by_ledger):
        assert score["score"] == pytest.approx(expected)
        assert score["interval"]["method"] == "stratified ppi++ adjusted"
        assert any("each label counts for its stratum" in note for note in score["footnotes"])
        assert not any("do not look chosen at random" in note for note in score["footnotes"])
    own = {
        row["custom_id"]: sizes[stratum(views[row["custom_id"]])] / len(drawn[stratum(views[row["custom_id"]])])
        for row in filled
    }
    judge = by_ledger["judges"][0]["judge"]
    right = {
        item: next(one["verdict"] for one in views[item]["judges"] if one["judge"] == judge) == truth[item]
        for item in own
    }
    accuracy = sum(weight * right[item] for item, weight in own.items()) / sum(own.values())
    assert by_ledger["agreement"]["accuracy"][0] == pytest.approx(accuracy)
    pair = viewed_project.ok("compare", "b", "a", "--gold", both_labelled(viewed_project, filled))["pairs"][0]
    assert any("its stratum" in note for note in pair["corrected"]["notes"])
    viewed_project.ok("delete", "b")
    assert not [problem for problem in viewed_project.ok("ledger", "check")["problems"] if "sheet" in problem]


def both_labelled(project, filled):
    """The labels of `b`, and as many of `a`'s answers to the same items."""
    answered = {
        view["item"]
        for view in project.ok("show", "a", "--items", "--limit", 0)["items"]
        if view["verdict"] is not None
    }
    others = [
        {"custom_id": row["custom_id"], "model": "gpt-6-luna", LABELS: n % 3 > 0}
        for n, row in enumerate(filled)
        if row["custom_id"] in answered
    ]
    mine = [{"custom_id": row["custom_id"], "model": row["model"], LABELS: row[LABELS] == "right"} for row in filled]
    return write(project.folder / "both.jsonl", [*mine, *others])


def test_a_sheet_by_verdict_needs_verdicts_and_a_label_for_each_stratum(viewed_project):
    assert "each needs a label" in viewed_project.refused(2, "labels", "sheet", "b", "--n", 1, "--stratify")
    rows = [{"custom_id": "q1", "answer": "2", "model": "m"}]
    write(viewed_project.folder / "p.jsonl", rows)
    viewed_project.ok("import", "predictions", "p.jsonl", "--dataset", "questions.csv")
    assert "p has not been judged" in viewed_project.refused(7, "labels", "sheet", "p", "--stratify")
