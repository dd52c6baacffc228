from __future__ import annotations

import csv
import json
from pathlib import Path

from helpers import browser as chromium

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
