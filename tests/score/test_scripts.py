"""The scripts whose figures stand in docs/statistics.md still run, and still say what the docs say."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(*words):
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=True).stdout


def test_quick_coverage():
    intervals, labelled = run(SCRIPTS / "coverage_simulation", "--quick").split("\n\n")
    lines = intervals.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads, *values = rows[:1] + rows[2:]
    plain = dict(zip(heads, values[0], strict=True))
    assert (plain["values"], plain["n"], plain["p"]) == ("right/wrong", "50", "0.8")
    assert float(plain["ours (auto)"]) > 90
    assert float(plain["predecessor"]) < 70
    clustered = dict(zip(heads, values[2], strict=True))
    assert float(clustered["ours (auto)"]) > float(clustered["scipy default"]) + 5
    ours, published = zip(
        *((line.split("|")[5], line.split("|")[7]) for line in labelled.splitlines()[2:]), strict=True
    )
    assert min(map(float, ours)) > 90
    assert min(map(float, published)) < 90


def test_bench_measures_one_job():
    found = json.loads(run(SCRIPTS / "bench_score", "--one", "layton, ours"))
    assert found["found"] == "0.8520"
    assert found["seconds"] > 0


def test_a_corrected_score_is_as_near_as_the_better_of_jury_and_labels():
    """The grid of docs/statistics.md, sampled: never worse from 30 labels on, by a bounded share with fewer."""
    table = run(SCRIPTS / "ppi_simulation", "--quick").split("\n\n")[0].splitlines()
    heads, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in (table[0], *table[2:]))
    by_labels = {int(row[0]): dict(zip(heads, row, strict=True)) for row in rows}
    assert all(float(by_labels[n]["worst ratio"]) <= 1.02 for n in (30, 100, 300))
    assert all(float(by_labels[n]["worst ratio"]) <= 1.4 for n in (5, 10))
    assert all(float(row["least coverage"]) > 90 for row in by_labels.values())
