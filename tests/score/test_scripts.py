"""The scripts whose figures stand in docs/statistics.md still run, and still say what the docs say."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(*words):
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=True).stdout


def tables(text):
    """Tables of Markdown, each with its rows by head."""
    found = []
    for part in text.split("\n\n"):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.strip().splitlines()]
        if len(rows) > 2:
            found.append([list(zip(rows[0], row, strict=True)) for row in rows[2:]])
    return found


def between_marks(page):
    """The text between the marks of each table, by its name."""
    return dict(re.findall(r"<!-- table (\w+): [^\n]* -->\n(.*?)<!-- end -->", page, re.DOTALL))


def test_quick_coverage(tmp_path):
    page = tmp_path / "docs/statistics.md"
    page.parent.mkdir()
    shutil.copy(SCRIPTS.parent / "docs/statistics.md", page)
    script = shutil.copytree(SCRIPTS, tmp_path / "scripts") / "coverage_simulation"
    before = page.read_text("utf-8")
    run(script, "--quick", "--write", "intervals", "labels")
    old, new = between_marks(before), between_marks(page.read_text("utf-8"))
    assert {name for name in old if new[name] != old[name]} == {"intervals", "labels"}
    ((intervals,), (labelled,)) = (tables(new[name]) for name in ("intervals", "labels"))
    plain, _, clustered = map(dict, intervals)
    assert (plain["values"], plain["n"], plain["p"]) == ("right/wrong", "50", "0.8")
    assert float(plain["default"]) > 90
    assert float(plain["predecessor"]) < 70
    assert float(clustered["default"]) > float(clustered["scipy default"]) + 5
    assert min(float(dict(row)["ours"]) for row in labelled) > 90
    assert min(float(dict(row)["published"]) for row in labelled) < 90


def test_every_table_of_the_docs_is_made_by_one_script():
    page = (SCRIPTS.parent / "docs" / "statistics.md").read_text("utf-8")
    marked = re.findall(r"<!-- table (\w+): scripts/coverage_simulation --write \1 -->\n\n\|", page)
    help_text = run(SCRIPTS / "coverage_simulation", "--help")
    assert len(marked) == page.count("<!-- end -->") == 14
    assert all(re.search(rf"\b{name}\b", help_text) for name in marked)


def test_bench_measures_one_job():
    found = json.loads(run(SCRIPTS / "bench_score", "--one", "layton, ours"))
    assert found["found"] == "0.8520"
    assert found["seconds"] > 0


def test_a_corrected_score_is_as_near_as_the_better_of_jury_and_labels():
    """The grid of docs/statistics.md, sampled: never worse where judges err independently, whatever the labels."""
    corrected, covered, _ = tables(run(SCRIPTS / "ppi_simulation", "--quick"))
    alone, held = ([dict(row) for row in each if ("errors", "independent") in row] for each in (corrected, covered))
    assert [row["labels"] for row in alone] == ["5", "10", "30", "100", "300"]
    assert all(float(row["worst ratio"]) <= 1.05 for row in alone)
    assert all(float(row["ours: least (mean width)"].split()[0]) > 90 for row in held)


def test_labels_of_two_models_leave_no_false_difference_and_sheets_by_verdict_cover():
    sheets, models, lambdas = tables(run(SCRIPTS / "label_simulation", "--quick"))
    assert float(dict(sheets[0])["covers"]) >= 90
    assert float(dict(models[2])["false differences by the votes"]) > 12 > float(dict(models[2])["corrected"])
    alone = [dict(row) for row in lambdas if ("errors", "independent") in row]
    assert all(float(row["2 sd, slope (ours): worst"]) < 1.1 for row in alone)
