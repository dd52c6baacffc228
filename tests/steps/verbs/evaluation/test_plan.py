"""`plan` through the command line: from a pilot, from two, from assumptions; and what `score` says afterwards."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.commands import dataset
from helpers.rehearsed import rehearsed

from batchflow.rehearsal.answers import Rule, oracle

ITEMS = 60
ASKED = ("--provider", "openai", "--task", "riddles", "--dataset", "own.jsonl", "--refresh-after", 0, "--samples", 2)
JUDGES = ("--judges", "openai:gpt-6-luna,openai:gpt-6.1-sol", "--until", "score")


class Moody(Rule):
    """Right on some items always, on others half of the time, by the sample."""

    def _prediction(self, asked):
        number = int("".join(char for char in asked.texts[-1].partition("What is")[2] if char.isdigit()) or 0)
        sample = sum(map(ord, asked.custom_id)) % 10
        return Rule._prediction(replace(self, right=1.0 if number % 3 or sample < 5 else 0.0), asked)


@pytest.fixture
def own(tmp_path):
    knows = oracle((f"What is {n} and one?", str(n + 1)) for n in range(1, ITEMS + 1))
    with rehearsed(tmp_path, rule=Moody(judge_error=0.1, oracle=knows)) as made:
        dataset(made.project.folder / "own.jsonl", count=ITEMS)
        made.project.ok("run", *ASKED, "--model", "gpt-6-luna", "--name", "b", *JUDGES)
        yield made


def test_a_pilot_tells_where_the_variance_comes_from_and_what_designs_cost(own):
    told = own.project.ok("plan", "b", "--precision", 3, "--items", 500, "--label-cost", 0.5)
    assert (told["source"], told["pilot_items"], told["pilot_samples"], told["pilot_judges"]) == ("pilot", ITEMS, 2, 2)
    assert set(told["spread"]) == {"items", "samples", "judges", "disagreement", "rest"}
    assert all(value is not None for value in told["spread"].values())
    rows = told["by_precision"]
    assert all(row["half_width"] <= 0.03 for row in rows)
    assert all(row["votes"] == row["answers"] * row["judges"] for row in rows)
    assert all(row["answers"] == row["items"] * row["samples"] for row in rows)
    assert {row["enough"] for row in rows} <= {True, False}
    assert [row for row in rows if row["pilot"]]
    cost = own.project.ok("show", "b")["run_cost"]
    assert told["answer_usd"] == pytest.approx(cost["batch"]["usd"] / (2 * ITEMS))
    assert told["vote_usd"] == pytest.approx(cost["jury"]["usd"] / (4 * ITEMS))
    row = rows[0]
    assert row["high_usd"] == pytest.approx(row["answers"] * told["answer_usd"] + row["votes"] * told["vote_usd"])
    feasible = [row["high_usd"] for row in rows if row["enough"]]
    assert feasible == sorted(feasible)
    assert all(row["answers"] == 2 * row["items"] * row["samples"] for row in told["by_difference"])
    finer = own.project.ok("plan", "b", "--precision", 1.5)["by_precision"]
    same = {(row["samples"], row["judges"]): row["items"] for row in rows}
    for row in finer:
        if (row["samples"], row["judges"]) in same:
            assert row["items"] == pytest.approx(4 * same[row["samples"], row["judges"]], abs=4)
    card = own.project.run("plan", "b").out
    assert "a score to ± 2 points" in card
    assert "as the pilot" in card
    cheaper = own.project.ok("plan", "b", "--answer-cost", 0, "--vote-cost", 0)
    assert {row["high_usd"] for row in cheaper["by_precision"]} == {0.0}


def test_two_pilots_tell_the_difference_and_labels_their_share(own):
    own.project.ok("run", *ASKED, "--model", "gpt-6.1-sol", "--name", "c", *JUDGES)
    told = own.project.ok("plan", "b", "c")
    assert told["spread_difference"]["judges"] is not None
    assert not any("correlate" in note for note in told["notes"])
    labels = []
    for name, model in (("b", "gpt-6-luna"), ("c", "gpt-6.1-sol")):
        for n in range(1, 31):
            label = {"riddle_id": f"r{n}", "sample": 0, "provider": "openai", "model": model}
            right = n % 5 > (name == "c")
            labels.append(label | {"human_answer_correct": right, "human_justification_correct": right})
    (own.project.folder / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labels))
    rows = own.project.ok("plan", "b", "c", "--gold", "gold.jsonl", "--precision", 15, "--label-cost", 2)["labels"]
    assert [row["model"] for row in rows] == ["b", "c"]
    assert sum(row["of_100"] for row in rows) == 100
    assert all(row["usd"] == 2 * row["labels"] and row["half_width"] <= 0.15 for row in rows)
    found = own.project.ok("score", "b", "--gold", "gold.jsonl", "--method", "ppi")
    assert {lever["name"] for lever in found["levers"]} == {"labels", "items"}


def test_score_says_what_would_narrow_it_most(own):
    found = own.project.ok("score", "b")
    assert {lever["name"] for lever in found["levers"]} == {"items", "samples", "judges"}
    gains = [lever["gain"] for lever in found["levers"]]
    assert gains == sorted(gains, reverse=True)
    assert f"more {found['levers'][0]['name']} first" in own.project.run("score", "b").out


def test_assumptions_stand_in_for_a_pilot_and_prices_are_unknown_without_one(project):
    told = project.ok("plan", "--score", 80, "--stability", 1, "--judge-error", 0, "--precision", 5, "--judges", 1)
    best = min(told["by_precision"], key=lambda row: (row["samples"], row["judges"]))
    assert best["items"] == 246  # 1.96² × 0.8 × 0.2 / 0.05²
    assert best["high_usd"] is None
    assert "price unknown" in project.run("plan", "--score", 80).out
    assert any("price unknown" in note for note in told["notes"])
    priced = project.ok("plan", "--score", 80, "--answer-cost", 0.001, "--vote-cost", 0.0005)["by_precision"]
    assert [row["high_usd"] for row in priced] == sorted(row["high_usd"] for row in priced)


def test_prices_are_looked_up_for_assumed_tokens(project):
    """The user's own table: 2 and 8 USD per million tokens for answers, 1 and 4 for votes."""
    table = "[prices.openai.gpt-6-luna]\ninput = 2\noutput = 8\n[prices.groq]\nj1 = {input = 1, output = 4}\n"
    (project.folder / "batchflow.toml").write_text(f"{table}j2 = {{input = 3, output = 4}}\n")
    words = ("plan", "--score", 80, "--model", "openai:gpt-6-luna", "--judge", "groq:j1", "--judge", "groq:j2")
    found = project.ok(*words, "--answer-tokens", 500, 1000)
    assert found["answer_usd"] == pytest.approx(500 * 2e-6 + 1000 * 8e-6)
    assert found["vote_usd"] == pytest.approx(2000 * 2e-6 + 300 * 4e-6)  # the mean of the two judges
    assert any("openai:gpt-6-luna at 500 tokens in and 1,000 out assumed" in note for note in found["notes"])
    assert {row["judges"] for row in found["by_precision"] if row["pilot"]} == {2}
    own = project.ok(*words, "--vote-tokens", 100, 10, "--answer-cost", 0.5)
    assert (own["answer_usd"], own["vote_usd"]) == (0.5, pytest.approx(100 * 2e-6 + 10 * 4e-6))
    unknown = project.ok("plan", "--score", 80, "--model", "openai:nobody-knows-it", "--judge", "groq:j1")
    assert (unknown["answer_usd"], unknown["by_precision"][0]["high_usd"]) == (None, None)
    assert any("openai:nobody-knows-it has no known price" in note for note in unknown["notes"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--score", 80, "--model", "gpt"), "no PROVIDER:MODEL"),
        (("--score", 80, "--model", "nobody:gpt"), "nobody"),
        (("--score", 80, "--answer-tokens", 1, 2), "tokens are of a model or of judges"),
        ((), "needs a pilot or an assumption"),
        (("b", "--score", 80), "the pilot b tells that"),
        (("b", "c", "d"), "from one pilot, or from two"),
        (("b", "c", "--correlation", 0.2), "two pilots tell that"),
        (("--score", 80, "--precision", 0), "0"),
    ],
)
def test_what_contradicts_itself_is_refused(project, words, said):
    assert said in project.refused(2, "plan", *words)
