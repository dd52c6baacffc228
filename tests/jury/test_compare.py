from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.commands import Project
from helpers.jsonl import write
from helpers.pipeline import rehearsed, to_results, to_votes

from batchflow.rehearsal.faults import Fault


@pytest.fixture(scope="module")
def _three(tmp_path_factory):
    """Three models on 40, 40 and 30 of the same items, judged by one rule."""
    made = Project(tmp_path_factory.mktemp("three"))
    with rehearsed(tmp_path_factory.mktemp("vendors"), right=0.6) as vendors:
        made.environment.update(vendors.environment)
        commands = []
        for name, provider, limit in (("a", "openai", 40), ("b", "mistral", 40), ("c", "groq", 30)):
            commands += [*to_results(name, provider=provider, limit=limit), *to_votes(name, "rule:normalised")]
        made.outside(*commands)
    return made.folder


@pytest.fixture
def three(_three, tmp_path):
    return Project(Path(shutil.copytree(_three, tmp_path / "project")))


def votes(project, name):
    return {
        row["custom_id"]: json.loads(row["answer"])["is_answer_correct"]
        for row in project.rows(f"results/judge_{name}_by_rule_normalised.jsonl")
    }


def test_two_batches_are_compared_item_by_item(three):
    report = three.ok("compare", "a", "b")
    (pair,) = report["pairs"]
    a, b = votes(three, "a"), votes(three, "b")
    assert report["field"] == "is_answer_correct"
    assert pair["n"] == 40
    assert pair["difference"] == pytest.approx(sum(a[item] - b[item] for item in a) / 40)
    assert pair["mcnemar"]["only_a"] == sum(a[item] > b[item] for item in a)
    assert pair["mcnemar"]["only_b"] == sum(a[item] < b[item] for item in a)
    assert pair["interval"]["low"] < pair["difference"] < pair["interval"]["high"]
    assert 0 < pair["detectable"] < 1
    assert pair["p"] == pair["p_holm"]
    assert pair["only_in_a"] == pair["only_in_b"] == []


def test_a_model_that_left_half_unanswered_is_not_ranked_first(project, tmp_path):
    """100 of 200 answered, all right, against 120 of 200 right: between -10 and +40 points, whatever the test says."""
    answers = {"a": ["right"] * 100 + [None] * 100, "b": ["right", "right", "right", "wrong", "wrong"] * 40}
    data = [{"id": f"i{n}", "description": "?", "answer": "right"} for n in range(200)]
    dataset = write(tmp_path / "data.jsonl", data)
    for name, said in answers.items():
        rows = [
            {"custom_id": f"i{n}", "model": name, "answer": text and json.dumps({"justification": "j", "answer": text})}
            for n, text in enumerate(said)
        ]
        path = write(tmp_path / f"{name}.jsonl", rows)
        project.ok("import", "predictions", path, "--dataset", dataset, "--name", name)
        project.ok("jury", name, "--judges", "rule:exact", "--wait")
    report = project.ok("compare", "a", "b")
    (pair,) = report["pairs"]
    assert (pair["difference"], pair["bounds_low"], pair["bounds_high"]) == pytest.approx((0.4, -0.1, 0.4))
    assert pair["p"] < 0.001
    assert (pair["n"], {model["name"]: model["left_out"] for model in report["models"]}) == (100, {"a": 100, "b": 0})
    assert [(model["rank_best"], model["rank_worst"]) for model in report["models"]] == [(1, 2), (1, 2)]
    assert any("a: 100 items unanswered, left out of every pair" in note for note in report["notes"])
    assert any("so the two are not ranked" in note for note in report["notes"])
    assert "so the two are not ranked" in " ".join(project.run("compare", "a", "b").out.split())
    board = project.ok("score", "a", "b")
    assert any("counted as wrong it is 50.0" in note for note in board["notes"])
    chosen = project.ok("compare", "a", "b", "--unanswered", "wrong")
    (pair,) = chosen["pairs"]
    assert (pair["difference"], pair["n"], pair["bounds_low"]) == (pytest.approx(-0.1), 200, None)
    assert [model["name"] for model in chosen["models"]] == ["b", "a"]
    assert any("a: 100 items unanswered by the model, in every pair as wrong" in note for note in chosen["notes"])
    alone = project.ok("score", "a")
    assert any("100 of 200 items are unanswered and excluded (as wrong: 50.0)" in note for note in alone["footnotes"])


def test_three_batches_holm_ranks_and_items_that_only_one_has(three):
    report = three.ok("compare", "a", "b", "c")
    assert len(report["pairs"]) == 3
    assert all(pair["p_holm"] >= pair["p"] for pair in report["pairs"])
    assert {model["name"]: model["n_items"] for model in report["models"]} == {"a": 40, "b": 40, "c": 30}
    assert all(1 <= model["rank_best"] <= model["rank_worst"] <= 3 for model in report["models"])
    scores = [model["score"] for model in report["models"]]
    assert scores == sorted(scores, reverse=True)
    pair = next(pair for pair in report["pairs"] if {pair["a"], pair["b"]} == {"a", "c"})
    assert pair["n"] == 30
    assert set(pair["only_in_a"]) == set(votes(three, "a")) - set(votes(three, "c"))
    card = three.run("compare", "a", "b", "c").out
    assert "10 of a's items are not judged in c: " in card
    assert "McNemar" in card
    assert "is for all 3 pairs" in card
    assert "is for all" not in three.run("compare", "a", "b").out


def test_same_seed_same_bytes(three):
    words = ("compare", "a", "b", "--json", "--seed", 5)
    assert three.run(*words).out == three.run(*words).out


def test_what_cannot_be_compared_is_refused(three):
    assert "two judged batches" in three.refused(2, "compare", "a")
    assert "two judged batches" in three.refused(2, "compare", "a", "a")
    assert "no batch is named 'd'" in three.refused(4, "compare", "a", "d")
    assert "no judge has a valid vote" in three.refused(3, "compare", "a", "b", "--field-name", "both_correct")


def test_other_juries_are_pointed_out(three):
    three.ok("jury", "b", "--judges", "rule:exact", "--wait")
    assert any("juries" in note for note in three.ok("compare", "a", "b")["notes"])
    assert any("juries" in note for note in three.ok("score", "a", "b")["notes"])


def test_a_jury_that_was_asked_otherwise_and_votes_that_are_missing_are_told(three, vendors):
    vendors(three, Fault(vendor="anthropic", call="job", kind="expire", fraction=0.5))
    judge = "--judges anthropic --wait --refresh-after 0"
    rules = [f"delete judge_{name}_by_rule_normalised" for name in ("a", "b")]
    three.outside(f"jury a {judge}", f"jury b {judge} --samples 3", *rules)
    made = three.ok("compare", "a", "b")
    assert [note for note in made["notes"] if "ways of asking" in note] == [
        "the batches differ in their ways of asking anthropic:claude-haiku-5-5"
    ]
    missing = {model["name"]: model["votes_missing"] for model in made["models"]}
    assert missing == {name: three.ok("score", name)["votes_missing"] for name in ("a", "b")}
    assert missing["a"] == 20
    assert "a: 20 votes missing; an item counts with the votes it has" in made["notes"]
    board = three.ok("score", "a", "b")
    assert "the batches differ in their ways of asking anthropic:claude-haiku-5-5" in board["notes"]
    assert "rank is not significance; run `batchflow compare " in board["notes"][-1]
    for row in board["batches"]:  # layton-eval's rank spread: batches whose intervals do not overlap are apart
        above = sum(other["ci_low"] > row["ci_high"] for other in board["batches"])
        reach = sum(other["ci_high"] >= row["ci_low"] for other in board["batches"])
        assert (row["rank_best"], row["rank_worst"]) == (1 + above, reach)
    assert three.ok("score", "a")["notes"] == []
    verdict = json.dumps({"is_answer_correct": True, "is_justification_correct": True})
    judges = [
        write(three.folder / f"{name}.jsonl", [{"custom_id": "1", "answer": verdict, "model": name}]) for name in "xyz"
    ]
    beside = three.ok("score", "a", *judges)["notes"]
    assert beside[-1] == "rank is not significance"  # there is nothing that `compare` takes beside one batch


def test_what_is_said_of_several_batches_is_said_once(three):
    note = "no judge votes on all of both_correct: this is the score of is_answer_correct alone"
    board = three.run("score").out
    assert board.count(note) == 1
    assert f"note: all: {note}" in board
    assert f"note: a: {note}" in three.run("score", "a").out


def test_the_card_says_how_the_interval_of_few_differences_was_made(three, tmp_path):
    answer = json.dumps({"justification": "so", "answer": "7"})
    items = sorted(votes(three, "a"))[:12]
    for name in ("u", "w"):
        rows = [{"custom_id": item, "answer": answer, "model": name} for item in items]
        three.ok("import", "predictions", write(tmp_path / f"{name}.jsonl", rows), "--provider", "xai")
        three.ok("jury", name, "--judges", "rule:normalised", "--wait")
    assert "u − w: Agresti–Min interval, because" in three.run("compare", "u", "w", "--verbose").out


def test_batches_of_other_questions_are_not_compared(three, tmp_path):
    answer = json.dumps({"justification": "so", "answer": "7"})
    rows = [{"custom_id": f"vlm-{n:03d}", "answer": answer, "model": "m"} for n in range(1, 6)]
    three.ok("import", "predictions", write(tmp_path / "v.jsonl", rows), "--provider", "xai", "--split", "vlm")
    three.ok("jury", "v", "--judges", "rule:normalised", "--wait")
    said = three.refused(2, "compare", "a", "v")
    assert "a is riddles, split llm, and v is riddles, split vlm" in said
    assert "batchflow score" in said
    assert any("data sets" in note for note in three.ok("score", "a", "v")["notes"])


def test_a_cluster_column_takes_the_place_of_mcnemar(three):
    (pair,) = three.ok("compare", "a", "b", "--cluster", "category")["pairs"]
    assert pair["mcnemar"] is None
    assert pair["interval"]["n_clusters"] < pair["n"]


def test_samples_are_averaged_by_item(three, vendors):
    vendors(three)
    three.outside(*to_results("d", limit=20, more="--samples 2"), *to_votes("d", "rule:normalised"))
    made = three.ok("compare", "a", "d")
    (pair,) = made["pairs"]
    assert pair["n"] == 20
    assert len(pair["only_in_a"]) == 20
    assert "d: 40 answers to 20 items; an item counts with their mean" in made["notes"]


def test_labels_of_both_models_correct_a_difference(three, tmp_path):
    """People call a third of what the rule passed for `a` wrong, and agree with it on `b`."""
    models = {each["name"]: each for each in three.ok("compare", "a", "b")["models"]}
    rows = []
    for name in ("a", "b"):
        for number, (item, right) in enumerate(sorted(votes(three, name).items())[:24]):
            label = bool(right) and not (name == "a" and number % 3 == 0)
            whose = {"provider": models[name]["provider"], "model": models[name]["model"]}
            rows.append({"custom_id": item, **whose, "human_answer_correct": label})
    words = ("compare", "a", "b", "--gold", write(tmp_path / "labels.jsonl", rows))
    (pair,) = three.ok(*words)["pairs"]
    found = pair["corrected"]
    assert found["labels"] == 24
    assert found["uncorrected"] == pytest.approx(pair["difference"])
    assert found["difference"] < pair["difference"] - 0.05
    assert found["interval"]["low"] <= found["difference"] <= found["interval"]["high"]
    lenient, exact = found["errors"]
    assert lenient["wrong_passed"] > 0
    assert exact["wrong_passed"] == 0
    said = " ".join(three.run(*words, "--verbose").out.split())
    assert "by 24 labels of both:" in said
    assert three.ok("compare", "a", "b")["pairs"][0]["corrected"] is None


def test_dawid_skene_weighs_the_judges_of_each_batch(three, vendors):
    vendors(three)
    three.outside(*(command for name in "ab" for command in to_votes(name)))
    report = three.ok("compare", "a", "b", "--method", "dawid-skene", "--resamples", 499)
    (pair,) = report["pairs"]
    scores = {name: three.ok("score", name, "--method", "dawid-skene", "--resamples", 99)["score"] for name in "ab"}
    assert pair["difference"] == pytest.approx(scores["a"] - scores["b"], abs=1e-5)
    assert pair["interval"]["method"] == "refitted percentile"
    assert pair["interval"]["low"] < pair["difference"] < pair["interval"]["high"]
    assert [row["score"] for row in report["models"]] == pytest.approx(sorted(scores.values(), reverse=True), abs=1e-5)
    assert "takes the judges' errors for independent" in three.run("compare", "a", "b", "--method", "dawid-skene").out
    assert "1 judges vote" in three.refused(3, "compare", "a", "c", "--method", "dawid-skene")
