"""`rank` on a file of verdicts, and on judged batches."""

from __future__ import annotations

import json
import random

import jsonschema
import pytest
from helpers import schemas
from helpers.commands import Project

STRENGTH = {"a": 1.0, "b": 0.0, "c": -1.0}


def rows(path, listed):
    path.write_text("".join(json.dumps(row) + "\n" for row in listed), "utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Verdicts of two judges in both orders on 80 prompts; one of them favours the left answer."""
    project = Project(tmp_path_factory.mktemp("rank") / "project")
    draw = random.Random(3)
    listed = []
    for prompt in range(80):
        for a, b in (("a", "b"), ("b", "c"), ("a", "c")):
            for judge, left in (("fair", 0.0), ("leaning", 0.25)):
                for first, second in ((a, b), (b, a)):
                    chance = 1 / (1 + 2.718 ** (STRENGTH[second] - STRENGTH[first])) + left
                    winner = "left" if draw.random() < chance else "right"
                    listed.append({"left": first, "right": second, "winner": winner, "prompt": prompt, "judge": judge})
    listed.append({"left": "a", "right": "b", "winner": None, "prompt": 80, "judge": "fair"})
    rows(project.folder / "verdicts.jsonl", listed)
    return project


def test_bradley_terry_with_its_pairs_places_and_the_judges_leaning(project):
    found = project.ok("rank", "verdicts.jsonl")
    jsonschema.validate(found, schemas.closed(schemas.schemas()["rank"]))
    assert [row["model"] for row in found["models"]] == ["a", "b", "c"]
    assert [(row["rank_best"], row["rank_worst"]) for row in found["models"]] == [(1, 1), (2, 2), (3, 3)]
    assert (found["n_prompts"], found["unparsed"], found["twice"], found["once"]) == (80, 1, 480, 1)
    for pair in found["pairs"]:
        assert pair["low"] < pair["difference"] < pair["high"]
        assert pair["p"] <= pair["p_holm"] < 0.05
        assert 0.5 < pair["chance"] < 1
    leaning = {row["judge"]: row for row in found["biases"]}
    assert {row["kind"] for row in found["biases"]} == {"position"}
    assert leaning["leaning"]["low"] > 0.1
    assert leaning["fair"]["low"] < 0.05
    card = project.run("rank", "verdicts.jsonl", "--verbose").out
    assert "Bias: position" in card
    assert "which count as a tie (--orders)" in card
    assert "a − b" in card


def test_two_orders_that_contradict_each_other_are_what_one_says(project):
    ties = {how: project.ok("rank", "verdicts.jsonl", "--orders", how) for how in ("tie", "missing", "each")}
    apart = ties["tie"]["twice"] - ties["tie"]["agreed"]
    assert apart > 0
    assert ties["tie"]["n"] == ties["missing"]["n"] + apart == 480
    assert ties["each"]["n"] == 960
    assert sum(row["ties"] for row in ties["tie"]["models"]) == 2 * apart
    assert ties["missing"]["unparsed"] == apart + 1


@pytest.mark.parametrize("method", ["newman", "eigen", "win-rate", "points", "elo"])
def test_every_method_finds_the_order(project, method):
    found = project.ok("rank", "verdicts.jsonl", "--method", method, "--resamples", 199)
    assert [row["model"] for row in found["models"]] == ["a", "b", "c"]
    assert found["pairs"] == []
    if method == "elo":
        assert found["models"][0]["low"] is None
        assert "Elo is the mean over random orders of the verdicts, and has no interval" in found["notes"]
    else:
        assert all(row["low"] < row["rating"] < row["high"] for row in found["models"])
    assert found == project.ok("rank", "verdicts.jsonl", "--method", method, "--resamples", 199)


def test_arena_files_have_other_names(project):
    listed = [
        {"model_a": "x", "model_b": "y", "winner": word, "question_id": n}
        for n, word in enumerate(["model_a", "model_b", "tie", "tie (bothbad)", "model_a", "model_a"])
    ]
    rows(project.folder / "arena.jsonl", listed)
    found = project.ok("rank", "arena.jsonl")
    assert [(row["model"], row["wins"], row["losses"], row["ties"]) for row in found["models"]] == [
        ("x", 3, 1, 2), ("y", 1, 3, 2),
    ]  # fmt: skip
    assert any("6 prompts are few" in note for note in found["notes"])
    assert any("no pair was judged in both orders" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"left": "a", "right": "a", "winner": "left"}, "line 1: 'a' stands against itself"),
        (
            {"left": "a", "right": "b", "winner": "first"},
            "line 1, field winner: 'first' is not left, right, tie or null",
        ),
        ({"left": "a", "winner": "left"}, "line 1, field right: None is not a model's name"),
    ],
)
def test_rows_that_are_none_are_refused_with_their_line(project, row, said):
    rows(project.folder / "bad.jsonl", [row])
    assert said in project.refused(3, "rank", "bad.jsonl")


def imported(project, name, votes, kind=None):
    """A batch of answers with one judge's file; its verdicts by item."""
    rows(
        project.folder / f"{name}.jsonl",
        [{"custom_id": f"q{n}", "answer": "x", "model": name} for n in range(len(votes))],
    )
    rows(
        project.folder / f"judge_{name}.jsonl",
        [{"custom_id": f"q{n}", "model": "j", "answer": vote} for n, vote in enumerate(votes)],
    )
    flags = ("--kind", kind) if kind else ()
    project.ok(
        "score",
        f"judge_{name}.jsonl",
        "--predictions",
        f"{name}.jsonl",
        "--dataset",
        "data.jsonl",
        "--n-judges",
        1,
        *flags,
    )


def test_judged_batches_meet_item_by_item(tmp_path):
    project = Project(tmp_path / "project")
    project.environment["BATCHFLOW_TASK"] = "qa"
    rows(project.folder / "data.jsonl", [{"id": f"q{n}", "question": "?", "answer": "y"} for n in range(30)])
    draw = random.Random(5)
    for name, share in (("good", 0.8), ("fair", 0.5)):
        imported(project, name, [{"reasons": "", "is_correct": draw.random() < share} for _ in range(30)])
    found = project.ok("rank", "good", "fair")
    assert [row["model"] for row in found["models"]] == ["good", "fair"]
    assert (found["n"], found["n_prompts"]) == (30, 30)
    assert "a batch wins an item on which its votes on is_correct are higher" in found["notes"]
    assert found["next"] == "batchflow score good fair"
    assert "rank needs two judged batches" in project.refused(2, "rank", "good")
    rows(project.folder / "verdicts.jsonl", [{"left": "a", "right": "b", "winner": "left"}])
    assert "rank takes files of verdicts, or judged batches" in project.refused(2, "rank", "good", "verdicts.jsonl")


def test_answers_that_were_held_against_the_reference_are_verdicts(tmp_path):
    project = Project(tmp_path / "project")
    project.environment["BATCHFLOW_TASK"] = "qa"
    rows(project.folder / "data.jsonl", [{"id": f"q{n}", "question": "?", "answer": "y"} for n in range(20)])
    for name, words in (
        ("better", ["first"] * 14 + ["second"] * 6),
        ("worse", ["first"] * 5 + ["tie"] * 5 + ["second"] * 10),
    ):
        imported(project, name, [f"[[{word}]]" for word in words], kind="preference")
    found = project.ok("rank", "better", "worse")
    assert [row["model"] for row in found["models"]] == ["better", "reference", "worse"]
    assert {row["model"]: row["ties"] for row in found["models"]} == {"better": 0, "reference": 5, "worse": 5}
    assert any("left of the reference" in note for note in found["notes"])
