"""A suite from its file to its table: three data sets, one engine, one name for every verb."""

from __future__ import annotations

import csv
import json
import re
import threading
from functools import partial

import jsonschema
import pytest
from helpers import schemas
from helpers.commands import Project
from helpers.engine import serving

from batchflow.ledger import suites

SUITE = """\
name = "bench"

[[data]]
dataset = "sums/*.csv"
task = "qa"
max_tokens = 32

[[data]]
name = "letters"
task = "choice"
dataset = "letters.jsonl"
samples = 2

[[groups]]
name = "core"
members = ["small", "large"]

[[groups]]
name = "all"
mean = "micro"

[[groups]]
name = "heavy"
mean = "weighted"
members = ["small", "letters"]
weights = [3, 1]
"""
NAMES = ["bench_large", "bench_small", "bench_letters"]
RULES = ("--judges", "rule:exact", "--wait")


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path / "project")
    project.environment.pop("BATCHFLOW_TASK")
    (project.folder / "sums").mkdir()
    for name, count in (("small", 2), ("large", 6)):
        rows = "".join(f"{n} + 1?,{n + 1}\n" for n in range(count))
        (project.folder / f"sums/{name}.csv").write_text("question,reference\n" + rows)
    rows = [{"question": "Which?", "options": ["x", f"y{n}"], "reference": "B"} for n in range(4)]
    (project.folder / "letters.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (project.folder / "suite.toml").write_text(SUITE)
    return project


class Crowd:
    """Answers, and counts how many requests are in flight at once."""

    def __init__(self):
        self.lock, self.now, self.most = threading.Lock(), 0, 0

    def __call__(self, body):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        threading.Event().wait(0.02)  # long enough for others to come in
        with self.lock:
            self.now -= 1
        asked = json.dumps(body["messages"])
        return "B" if "Which?" in asked else "1" if "0 + 1" in asked else "2"


def fits(name, document):
    jsonschema.validate(document, schemas.closed(schemas.schemas()[name]))
    return document


def test_one_name_from_prepare_to_delete(project):
    with serving("own") as engine:
        engine.text = crowd = Crowd()
        ask = ("--provider", "local", "--base-url", engine.url, "--model", "own", "--concurrency", 2)
        made = fits("suite", project.ok("prepare", "--suite", "suite.toml", "--name", "bench", *ask))
        assert [row["name"] for row in made["members"]] == NAMES
        assert (made["requests"], made["next"]) == (6 + 2 + 8, "batchflow start bench")
        sent = project.ok("start", "bench")["batches"]
        assert [(row["name"], row["sent_now"]) for row in sent] == [(name, int(name == NAMES[0])) for name in NAMES]
        assert "waits for its turn" in sent[1]["jobs"][0]["error"]
        assert project.run("tick", "--refresh-after", 0).code == 7  # it would send the next one, were its turn here
        project.ok("get", "bench", "--wait", "--refresh-after", 0)  # sends the others, one after the other
    assert crowd.most <= 2, "one window serves the whole suite"
    assert len(engine.calls) == 16
    assert {row["name"] for row in project.ok("results", "bench")["batches"]} == set(NAMES)
    early = project.run("score", "bench", "--json")
    assert early.code == 7, "nobody has judged it"
    assert {row["score"] for row in early.json["suite"]["rows"]} == {None}
    judged = fits("jury", project.ok("jury", "bench", *RULES))
    assert [row["name"] for row in judged["juries"]] == [row["parent"] for row in judged["batches"]] == NAMES
    out = [word for form in ("csv", "md", "txt", "json") for word in ("-o", f"bench.{form}")]
    scored = fits("score", project.ok("score", "--suite", "bench", *out))
    assert {row["name"] for row in scored["batches"]} == set(NAMES)
    table = scored["suite"]
    rows = {row["label"]: row for row in table["rows"]}
    assert {label: row["score"] for label, row in rows.items()} == pytest.approx({
        "large": 2 / 6, "small": 1.0, "letters": 1.0,
        "core": (1 + 2 / 6) / 2, "all": (2 + 2 + 4) / 12, "heavy": 1.0,
    })  # fmt: skip
    assert all(row["ci_low"] <= row["score"] <= row["ci_high"] for row in rows.values())
    assert [row["n_items"] for row in table["rows"]][:3] == [6, 2, 8]
    written = list(csv.reader((project.folder / "bench.csv").read_text().splitlines()))
    assert written[0] == ["data set", "mean", "items", "score", "low", "high", "of", "metric"]
    assert written[4][:4] == ["core", "macro", "8", "66.67"]
    for form, begins in (("md", "| data set |"), ("txt", "data set"), ("json", '{"name":"bench"')):
        assert (project.folder / f"bench.{form}").read_text().startswith(begins)
    assert project.ok("report", "bench")["names"] == NAMES
    assert_each_has_a_file(project)
    assert "bench_letters" in project.run("show", "bench").out
    listed = fits("list", project.ok("list"))["suites"]
    assert [(row["name"], row["requests"], len(row["members"])) for row in listed] == [("bench", 16, 3)]
    assert re.search(r"bench +3 finished +16", project.run("list").out)
    for flags in (("--state", "prepared"), ("--parent", NAMES[0])):
        assert project.ok("list", *flags)["suites"] == []
    shown = fits("show", project.ok("show", "bench"))
    assert [row["status"]["name"] for row in shown["batches"]] == NAMES
    for flag in ("--bias", "--plus-minus", "--report-text"):
        assert f"{flag} is about batches" in project.refused(2, "score", "bench", flag)
    project.ok("delete", "bench_small")  # a group tells how many of its members are there
    rows = {row["label"]: row for row in project.run("score", "bench", "--json").json["suite"]["rows"]}
    assert (rows["core"]["present"], rows["core"]["members"], rows["core"]["score"]) == (1, 2, pytest.approx(2 / 6))
    assert "1/2" in project.run("score", "bench").out
    gone = fits("delete", project.ok("delete", "bench"))["names"]
    assert set(gone) >= {"bench", "bench_large", "bench_letters"}
    assert project.ok("list")["batches"] == []
    project.refused(4, "show", "bench")


def assert_each_has_a_file(project):
    written = project.ok("export", "bench", "--to", "csv")["batches"]
    assert [row["path"].rpartition("/")[2] for row in written] == [f"{name}.items.csv" for name in NAMES]
    sheets = project.ok("labels", "sheet", "bench", "--n", 2)["batches"]
    assert [(row["name"], row["items"]) for row in sheets] == [(name, 2) for name in NAMES]
    assert "bench_small.labels.csv" in project.run("labels", "sheet", "bench").out
    assert "each with a file of its own" in project.refused(2, "export", "bench", "--to", "csv", "-o", "all.csv")
    for words in (
        ("rank", "bench"),
        ("plan", "bench"),
        ("update", "bench", "--title", "t"),
        ("show", "bench", "--csv"),
    ):
        refusal = project.refused(2, *words)
        assert "bench is a suite of 3 batches" in refusal
        assert NAMES[0] in refusal
    assert "nothing to" in project.refused(2, "retry", "bench")


HALVES = [("a", 40), ("b", 20)]


def errs(wrong, label, body):
    """Answers 1, or 2 where this model is wrong in this data set."""
    number = int(re.search(r"(\d+)\?", json.dumps(body["messages"]))[1])
    return "2" if wrong(number, label) else "1"


def test_two_suites_are_compared_by_data_set_and_group(project):
    """The left model is right in half of a and all of b, the right one in a quarter of a; b it was not asked."""
    for name, count in HALVES:
        rows = "".join(f"{n}?,1,{'xy'[n % 2]}\n" for n in range(count))
        (project.folder / f"{name}.csv").write_text(f"question,reference,{'kind' if name == 'a' else 'other'}\n{rows}")
    (project.folder / "two.toml").write_text(
        '[[data]]\ndataset = "a.csv"\ntask = "qa"\n[[data]]\ndataset = "b.csv"\ntask = "qa"\n'
    )
    wrong = {"left": lambda n, data: data == "a" and n % 2, "right": lambda n, data: n % 4 != 0}
    with serving("own") as engine:
        ask = ("--provider", "local", "--base-url", engine.url, "--model", "own")
        expected = project.ok("estimate", "--suite", "two.toml", "--no-jury", *ask)
        assert [row["name"].rpartition("_")[2] for row in expected["batches"]] == ["a", "b"]
        for name in ("left", "right"):
            project.ok("prepare", "--suite", "two.toml", "--name", name, *ask)
            for label, _ in HALVES:
                engine.text = partial(errs, wrong[name], label)
                project.ok("start", f"{name}_{label}")
                project.ok("get", f"{name}_{label}", "--wait", "--refresh-after", 0)
            project.ok("results", name)
            project.ok("jury", name, *RULES)
    spent = project.ok("estimate", "left")
    assert (spent["name"], spent["high_usd"], len(spent["batches"])) == ("left", 0, 4)
    table = fits("compare", project.ok("compare", "left", "right"))["suite"]
    rows = {row["label"]: row for row in table["rows"]}
    assert {label: row["difference"] for label, row in rows.items()} == pytest.approx(
        {"a": 0.25, "b": 0.75, "macro": 0.5, "micro": (40 * 0.25 + 20 * 0.75) / 60}
    )
    assert all(row["ci_low"] < row["difference"] < row["ci_high"] for row in rows.values())
    pairs = [project.ok("compare", f"left_{label}", f"right_{label}")["pairs"][0] for label, _ in HALVES]
    assert [rows[label]["p"] for label, _ in HALVES] == [pair["p"] for pair in pairs]
    assert rows["b"]["p_holm"] == pytest.approx(2 * min(pair["p"] for pair in pairs))
    back = {row["label"]: row["difference"] for row in project.ok("compare", "right", "left")["suite"]["rows"]}
    assert back == pytest.approx({label: -row["difference"] for label, row in rows.items()})
    assert "difference" in project.run("compare", "left", "right").out
    by = project.run("score", "left", "--by", "kind").out
    assert "a: kind = x" in by
    assert "b has no such column" in by
    assert "no data set has such a column" in project.refused(2, "score", "left", "--by", "nothing")
    assert "suites are compared with suites" in project.refused(2, "compare", "left", "right_a")
    assert "two suites" in project.refused(2, "compare", "left")
    project.ok("delete", "right_b", "--force")
    late = project.run("compare", "left", "right", "--json")
    rows = {row["label"]: row for row in late.json["suite"]["rows"]}
    assert late.code == 7
    assert (rows["b"]["trouble"], rows["macro"]["present"], rows["macro"]["members"]) == ("not prepared in both", 1, 2)
    assert rows["macro"]["difference"] == pytest.approx(0.25)


def test_a_prepare_that_was_killed_goes_on_by_the_same_command(project):
    ask = ("prepare", "--suite", "suite.toml", "--provider", "openai", "--model", "gpt-6-luna", "--name", "bench")
    (project.folder / "letters.jsonl").write_text('{"question": "Which?"}\n')  # stops the third batch, as a kill would
    project.refused(3, *ask)
    with project.ledger() as ledger, ledger.read() as tx:
        assert len(suites.find(tx, "bench").members) == 3
    assert re.search(r"bench +2 prepared, 1 not prepared ", project.run("list").out)
    states = [row["state"] for row in project.ok("show", "bench")["suite"]["members"]]
    assert states == ["prepared", "prepared", "not prepared"]
    (project.folder / "letters.jsonl").write_text('{"question": "Which?", "options": ["x", "y"], "reference": "B"}\n')
    made = project.ok(*ask)
    assert [row["state"] for row in made["members"]] == ["prepared"] * 3
    assert project.ok(*ask) == made, "the same again changes nothing"
    assert [row["unsent"] for row in project.ok("cancel", "bench")["batches"]] == [1, 1, 1]
    assert project.refused(2, "cancel", "bench").startswith("batchflow: bench_letters: nothing is running")
    (project.folder / "other.toml").write_text('[[data]]\ndataset = "letters.jsonl"\ntask = "choice"\n')
    assert "other members" in project.refused(2, *ask[:2], "other.toml", *ask[3:])
    assert "is the name of a batch" in project.refused(2, *ask[:-1], "bench_large")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[data]]\ndatset = "x.csv"', "line 2, key data.datset: there is no such key"),
        ('[[data]]\ndataset = "x.csv"', "line 2, key data.dataset: there is no file"),
        ("[[data]]\nlimit = 3", "needs dataset, or a task"),
        ("data = []", "names no data set"),
        ('[[data]]\ntask = "riddles"\n[[data]]\ntask = "riddles"', "two data sets are called 'riddles'"),
        ('[[data]]\ntask = "riddles"\n[[groups]]\nname = "g"\nmembers = ["ridles"]', "no data set is called 'ridles'"),
        ('[[data]]\ntask = "riddles"\n[[groups]]\nname = "g"\nmean = "weighted"', "takes one weight for each member"),
        ('[[data]]\ntask = "riddles"\n[[groups]]\nname = "g"\nmean = "naive"', "'naive' is unknown"),
    ],
)
def test_a_faulty_file_is_refused_before_anything_is_made(project, text, told):
    (project.folder / "faulty.toml").write_text(text + "\n")
    assert told in project.refused(2, "prepare", "--suite", "faulty.toml", "--provider", "openai")
    assert project.files() == {"sums/small.csv", "sums/large.csv", "letters.jsonl", "suite.toml", "faulty.toml"}


def test_a_member_for_each_split(project):
    rows = [{"question": f"{n}?", "reference": "1", "split": "ab"[n % 2]} for n in range(4)]
    (project.folder / "halves.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (project.folder / "halves.yaml").write_text("data:\n- dataset: halves.jsonl\n  split: [a, b]\n")
    made = project.ok("prepare", "--suite", "halves.yaml", "--provider", "openai", "--model", "gpt-6-luna")
    assert made["name"] == "openai_gpt-6-luna_halves"
    assert [(row["label"], row["requests"]) for row in made["members"]] == [("halves_a", 2), ("halves_b", 2)]
    assert [group["mean"] for group in made["groups"]] == ["macro", "micro"]
