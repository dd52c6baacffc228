"""Two models' imported answers with three judges' files: what `score` and `compare` say beyond the plain mean."""

from __future__ import annotations

import json
import random
import re

import pytest
from helpers.commands import Project

JUDGES = ("gpt-6-luna", "claude-sonnet-5", "mistral-large-3")
MODELS = {"alpha": ("openai", "gpt-6.1-sol", 0.8), "beta": ("anthropic", "claude-opus-5", 0.6)}
ITEMS = 120


def rows(path, listed):
    path.write_text("".join(json.dumps(row) + "\n" for row in listed), "utf-8")


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A project with both models' answers judged. gpt-6-luna lets 30 points more of openai's wrong answers pass."""
    project = Project(tmp_path_factory.mktemp("judged") / "project")
    project.environment["BATCHFLOW_TASK"] = "qa"
    draw = random.Random(7)
    items = [
        {
            "id": f"q{n}",
            "question": f"What is {n}?",
            "answer": str(n),
            "topic": "abc"[n % 12 // 10 + n % 2],
            "heavy": n % 4,
        }
        for n in range(ITEMS)
    ]
    rows(project.folder / "data.jsonl", items)
    flags = ("--dataset", "data.jsonl")
    labels = []
    for name, (provider, model, skill) in MODELS.items():
        right = [draw.random() < skill for _ in items]
        answers = [{"custom_id": item["id"], "answer": "word " * draw.randint(1, 30), "model": model} for item in items]
        rows(project.folder / f"{name}.jsonl", answers)
        for judge in JUDGES:
            lenient = 0.3 if judge.startswith("gpt") and provider == "openai" else 0.0
            shares = [0.9 if good else 0.15 + lenient for good in right]
            votes = [
                {
                    "custom_id": item["id"],
                    "model": judge,
                    "answer": {"reasons": "", "is_correct": draw.random() < share},
                }
                for item, share in zip(items, shares, strict=True)
            ]
            rows(project.folder / f"{name}_{judge}.jsonl", votes)
        files = [f"{name}_{judge}.jsonl" for judge in JUDGES]
        project.ok("score", *files, "--predictions", f"{name}.jsonl", "--provider", provider, *flags)
        labels += [{"custom_id": item["id"], "provider": provider, "model": model, "human_answer_correct": good}
                   for item, good in zip(items, right, strict=True) if int(item["id"][1:]) % 2]  # fmt: skip
    rows(project.folder / "labels.jsonl", labels)
    return project


def test_dawid_skene_weighs_the_judges(judged):
    found, plain = judged.ok("score", "alpha", "--method", "dawid-skene"), judged.ok("score", "alpha")
    assert found["method"] == "dawid-skene"
    assert found["ci_low"] < found["score"] < found["ci_high"]
    assert found["interval"]["method"] == "refitted percentile"
    assert found["mean"] == plain["score"]
    assert {judge["judge"] for judge in found["latent"]} == set(JUDGES)
    assert found["bounds_low"] is None
    card = judged.run("score", "alpha", "--method", "dawid-skene", "--verbose").out
    assert "As fitted" in card
    assert "not errors that the judges share" in card
    assert plain["latent"] == []
    assert judged.run("score", "alpha", "--method", "dawid-skene", "--ci", "t").code == 2
    assert judged.run("score", "alpha", "--method", "dawid-skene", "--weight", "heavy").code == 2


def test_macro_is_the_mean_of_the_groups_and_weights_weigh(judged):
    macro = judged.ok("score", "alpha", "--macro", "topic")
    groups = macro["groups"]["topic"]
    assert len(groups) == 3
    assert macro["score"] == pytest.approx(sum(row["score"] for row in groups) / 3)
    assert (macro["macro"], macro["interval"]["method"]) == ("topic", "mover")
    assert "mean over topic" in judged.run("score", "alpha", "--macro", "topic").out
    weighted, by = judged.ok("score", "alpha", "--weight", "heavy"), judged.ok("score", "alpha", "--by", "heavy")
    means = {int(row["group"]): row["score"] for row in by["groups"]["heavy"]}
    assert weighted["score"] == pytest.approx(sum(weight * mean for weight, mean in means.items()) / 6)
    assert weighted["weighted"] is True
    assert "mean, weighted" in judged.run("score", "alpha", "--weight", "heavy").out
    refused = judged.run("score", "alpha", "--weight", "topic")
    assert (refused.code, "column topic: 'a' is not a weight" in refused.err or "is not a weight" in refused.err) == (
        3,
        True,
    )
    assert judged.run("score", "alpha", "--macro", "colour").code == 2


def test_a_judge_that_favours_its_house_is_found_by_votes_and_by_labels(judged):
    for flags, reference in (((), "other judges"), (("--gold", "labels.jsonl"), "labels")):
        found = judged.ok("score", "alpha", "beta", "--bias", *flags)
        kin = {row["judge"]: row for row in found["biases"] if row["kind"] == "own house"}
        assert set(kin) == {JUDGES[0], JUDGES[1]}  # mistral judges no model of its house
        own = kin[JUDGES[0]]
        assert own["reference"] == reference
        assert own["low"] < own["size"] < own["high"]
        assert own["size"] > 0
        assert {row["judge"] for row in found["biases"] if row["kind"] == "length"} == set(JUDGES)
        assert any("own house is not tested for mistral-large-3" in note for note in found["notes"])
    assert judged.ok("score", "alpha", "beta")["biases"] == []
    card = judged.run("score", "alpha", "beta", "--bias", "--verbose").out
    assert "Bias: own house" in card
    assert "Bias: length" in card


def test_compare_says_what_error_would_explain_the_difference(judged):
    found = judged.ok("compare", "alpha", "beta")
    (pair,) = found["pairs"]
    assert pair["p"] < 0.05
    assert any("would explain it; --gold with labels of both tells" in note for note in found["notes"])
    assert 0 < pair["explained_by"] < 1


def test_compare_tells_each_judges_errors_by_model(judged):
    found = judged.ok("compare", "alpha", "beta", "--gold", "labels.jsonl")
    rows = {(row["judge"], row["name"]): row for row in found["judge_errors"]}
    assert set(rows) == {(judge, name) for judge in JUDGES for name in MODELS}
    lenient, plain = rows[JUDGES[0], "alpha"], rows[JUDGES[0], "beta"]
    assert lenient["wrong"] + lenient["right"] == ITEMS // 2
    assert lenient["wrong_passed"] > plain["wrong_passed"]
    assert 0 < plain["right_failed"] < 0.3
    assert f"Errors of {JUDGES[0]}" in judged.run("compare", "alpha", "beta", "--gold", "labels.jsonl").out
    assert judged.ok("compare", "alpha", "beta")["judge_errors"] == []


@pytest.mark.parametrize("words", [("score", "alpha"), ("score", "alpha", "beta"), ("compare", "alpha", "beta")])
def test_sentences_for_a_paper(judged, words):
    text, document = judged.run(*words, "--report-text").out, judged.run(*words, "--report-text", "--json").json
    flat = " ".join(text.split())
    assert " ".join(document["report_text"].split()) == flat
    assert document["next"].startswith("batchflow ")
    for name in words[1:]:
        assert MODELS[name][1] in flat
    assert re.search(r"95 % interval -?\d+\.\d to -?\d+\.\d, ", flat)
    assert re.search(
        r"Computed by batchflow \S+ \(seed 0, 9,999 bootstrap resamples; numpy \S+, scipy \S+, Python \S+\)\.", flat
    )
    assert "n = 120" in flat
    assert "o vote is missing" in flat
    if words[0] == "score":
        assert "was asked the 120 items of qa" in flat
        assert all(judge in flat for judge in JUDGES)
        assert "Wilson's score interval" in flat
        assert "All items have a vote." in flat
        assert "Krippendorff's alpha is 0." in flat
    else:
        assert "alpha minus beta on the 120 common items" in flat
        assert "no item is unanswered" in flat
        assert "The models were asked the items of qa (split all)." in flat
        assert f"judged by {JUDGES[0]}, {JUDGES[1]} and {JUDGES[2]}; place 1 of 2." in flat
        assert "would explain it" in flat
