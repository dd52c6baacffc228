"""Conclusions that commands drew wrongly once, each as it was found, by the command line."""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.commands import Project
from helpers.jsonl import write

GIB = 2**30
JUDGES = ("gpt-5.1-2025-11-13", "gemini-3-pro-preview", "claude-opus-4-5-20251101")


def verdict(right):
    return json.dumps({"is_answer_correct": right, "is_justification_correct": True})


def judge_files(folder, rights, **columns):
    """Files of three judges; rights: of each judge, or of all."""
    folder.mkdir(exist_ok=True)
    sides = rights if isinstance(rights[0], list) else [rights] * 3
    return [
        write(folder / f"j_{number}.jsonl", [
            {"custom_id": f"{n:03d}", "answer": verdict(right), "model": judge} | {k: v[n] for k, v in columns.items()}
            for n, right in enumerate(side)
        ])
        for number, (judge, side) in enumerate(zip(JUDGES, sides, strict=True))
    ]  # fmt: skip


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """a: 100 of 200 answered, all right; b: 120 of 200 right; c: as a, but its other answers cannot be read."""
    made = Project(tmp_path_factory.mktemp("pair"))
    data = [{"id": f"i{n}", "description": "?", "answer": "right", "category": f"c{n % 6}"} for n in range(200)]
    dataset = write(made.folder / "data.jsonl", data)
    answers = {
        "a": ["right"] * 100 + [None] * 100,
        "b": ["right", "right", "right", "wrong", "wrong"] * 40,
        "c": ["right"] * 100 + ["no answer in the form that was asked for"] * 100,
    }
    for name, said in answers.items():
        rows = [
            {
                "custom_id": f"i{n}", "model": name,
                "answer": text if text is None or " " in text else json.dumps({"justification": "j", "answer": text}),
            }
            for n, text in enumerate(said)
        ]  # fmt: skip
        made.ok(
            "import", "predictions", write(made.folder / f"{name}.jsonl", rows), "--dataset", dataset, "--name", name
        )
        made.ok("jury", name, "--judges", "rule:exact", "--wait")
    return made


def places(report):
    key = "models" if "models" in report else "batches"
    return {
        row.get("name", row.get("model")): (row["rank_best"], row["rank_worst"]) for row in report[key]
    }  # fmt: skip


def test_unanswered_requests_win_in_no_command(pair):
    """A model that answers 100 of 200 stood first, without a word, before one that answers all."""
    for command in ("score", "compare", "rank"):
        by_bounds, as_wrong, excluded = (
            places(pair.ok(command, "a", "b", "--unanswered", worth)) for worth in ("bounds", "wrong", "exclude")
        )
        assert by_bounds == places(pair.ok(command, "a", "b")) == {"a": (1, 2), "b": (1, 2)}, command
        assert as_wrong["b"][0] == 1, command
        assert as_wrong["a"] != (1, 1), command
        assert excluded["a"] == (1, 1), command
        own = places(pair.ok(command, "c", "b"))  # its own failures are wrong, unless it is said otherwise
        assert own["c"] != (1, 1), command
        assert places(pair.ok(command, "c", "b", "--unanswered", "model=exclude"))["c"] == (1, 1), command
    (row,) = pair.ok("score", "c")["batches"]
    assert row["unanswered"] == {"unparsed": {"items": 100, "worth": "wrong"}}
    notes = pair.ok("rank", "a", "b")["notes"]
    assert any("a: 100 items unanswered (missing), in no pair, but in the bounds" in note for note in notes)
    assert any("a − b: the answers that are missing could turn it around" in note for note in notes)
    assert "refused=exclude" in pair.refused(2, "rank", "a", "b", "--unanswered", "nothing")
    pair.ok("report", "a", "b", "c")
    page = "".join(path.read_text() for path in pair.folder.glob("results/*.html"))
    assert "100 missing" in page
    assert "100 unparsed" in page


def test_a_published_score_is_held_against_with_its_error_and_correlation(pair):
    """Of a paper's score, a mean and a standard error are all that is known: √(a² + b² - 2 ρ a b)."""
    error = (0.6 * 0.4 / 200) ** 0.5
    for words, rho in (("55,2", 0.0), ("55,2,0.5", 0.5)):
        note = next(note for note in pair.ok("score", "b", "--against", words)["notes"] if "published" in note)
        apart = 100 * (error**2 + 0.02**2 - 2 * rho * error * 0.02) ** 0.5
        assert "b − published 55 (SE 2): +5.0 [" in note
        assert float(note.split("SE ")[-1].split(",")[0]) == pytest.approx(apart, abs=0.02)
    assert "MEAN,SE" not in pair.refused(2, "score", "b", "--against", "55")
    assert "both in points of 100" in pair.refused(2, "score", "b", "--against", "55,2,7")


def test_clusters_say_the_same_by_interval_and_test_in_both_directions(pair):
    there, back = (pair.ok("compare", *names, "--cluster", "category")["pairs"][0] for names in ("bc", "cb"))
    assert (there["difference"], there["p"]) == (-back["difference"], back["p"])
    assert (there["interval"]["low"], there["interval"]["high"]) == (
        -back["interval"]["high"],
        -back["interval"]["low"],
    )
    assert (there["p"] < 0.05) == (there["interval"]["low"] > 0 or there["interval"]["high"] < 0)
    assert there["detectable"] < 2 * (there["interval"]["high"] - there["interval"]["low"])


def test_labels_chosen_by_their_verdict_and_contradictions_are_told(project, tmp_path):
    rights = [n % 3 > 0 for n in range(300)]
    files = judge_files(tmp_path / "j", rights)
    chosen = [f"{n:03d}" for n in range(300) if rights[n]][:60]
    gold = write(tmp_path / "gold.jsonl", [{"custom_id": n, "model": "M", "human_both_correct": True} for n in chosen])
    score = project.ok("score", *files, "--model", "M", "--gold", gold, "--method", "ppi")
    told = next(note for note in score["footnotes"] if "do not look chosen at random" in note)
    assert "the jury gives 100.0 on them and 58.3 on the rest" in told
    assert score["score"] < 0.75
    parts = {"human_answer_correct": True, "human_justification_correct": True}
    rows = [{"custom_id": n, "model": "M", "human_both_correct": n != "002"} | parts for n in ("001", "002")]
    refused = project.refused(3, "score", *files, "--model", "M", "--gold", write(tmp_path / "bad.jsonl", rows))
    assert "bad.jsonl, line 2, field human_both_correct" in refused


def test_groups_levels_and_the_order_of_files_are_what_they_say(project, tmp_path):
    sides = [[(n * step) % 7 > 2 for n in range(40)] for step in (1, 2, 3)]
    files = judge_files(tmp_path / "j", sides, half=["x"] * 20 + ["y"] * 20, one=[1, "1"] * 20)
    assert [row["group"] for row in project.ok("score", *files, "--by", "one")["groups"]["one"]] == ["1"]
    assert project.ok("score", *files, "--cluster", "one")["intervals"]["wilson"]["n_clusters"] == 1
    assert "99.99999 % interval" in project.run("score", *files, "--level", 0.9999999).out
    listing = {"footnotes", "batches", "agreement", "judges"}
    plain = project.ok("score", *files)
    for order in itertools.permutations(files):
        other = project.ok("score", *order)
        assert {key for key in plain if other[key] != plain[key]} <= listing


def test_ctrl_c_is_heeded_at_once_whatever_the_resamples_and_memory_is_bounded(tmp_path):
    """100 million were computed for 20 s after Ctrl-C, in 2.3 GB; CPU time, because the machine may be busy."""
    files = judge_files(tmp_path / "j", [n % 5 > 0 for n in range(200)], half=["x"] * 100 + ["y"] * 100)

    def limited():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        resource.setrlimit(resource.RLIMIT_AS, (2 * GIB, 2 * GIB))

    words = ["score", *map(str, files), "--ci", "percentile", "--by", "half", "--resamples", "10000000"]
    child = subprocess.Popen(
        [sys.executable, "-m", "batchflow", *words], cwd=tmp_path, preexec_fn=limited,  # noqa: PLW1509
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while (used := cpu_seconds(child.pid)) < 3:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 130
    assert usage.ru_utime + usage.ru_stime - used < 1


def cpu_seconds(pid):
    ticks = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
