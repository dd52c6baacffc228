from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import pytest
from helpers.jsonl import write
from helpers.pipeline import to_results, to_votes

from batchflow.ledger import batches, jobs, votes
from batchflow.states import Event

KEYS = {
    "score", "ci_low", "ci_high", "level", "method", "seed", "n_items", "n_judged", "votes_missing", "votes_unparsed",
    "alpha", "judges",
}  # fmt: skip


def test_three_vendors_with_a_known_error_rate_are_scored(judged):
    (score,) = judged.ok("score", "p", "--field-name", "is_answer_correct")["batches"]
    assert set(score) >= KEYS
    truth = judged.ok("get", "p")["counts"]["requests"]
    assert score["n_items"] == score["n_judged"] == truth == 40
    assert [judge["judge"] for judge in score["judges"]] == [
        "gemini:gemini-3.5-flash-lite", "anthropic:claude-haiku-5-5", "mistral:mistral-small-2603",
    ]  # fmt: skip
    assert all(0.5 < judge["mean"] < 0.9 for judge in score["judges"])  # 7 in 10 are right, a judge errs 1 in 10
    assert score["votes_missing"] == score["votes_unparsed"] == score["repaired"] == 0
    assert score["complete"]
    assert score["ci_low"] < score["score"] < score["ci_high"]
    assert all(0 <= score[key] <= 1 for key in ("score", "ci_low", "ci_high", "level", "settled_share"))
    assert 0.3 < score["alpha"] < 1
    pairs = {frozenset((pair["judge_a"], pair["judge_b"])) for pair in score["agreement"]["pairs"]}
    assert len(pairs) == 3


def test_the_votes_of_the_files_are_the_votes_of_the_ledger(judged):
    votes = {}
    for path in judged.results.glob("judge_*.jsonl"):
        for row in judged.rows(f"results/{path.name}"):
            votes.setdefault(row["custom_id"], []).append(all(json.loads(row["answer"]).values()))
    by_hand = sum(sum(cast) / len(cast) for cast in votes.values()) / len(votes)
    assert judged.ok("score", "p")["score"] == pytest.approx(by_hand)
    assert judged.ok("score", "p", "--method", "majority")["score"] == sum(sum(v) >= 2 for v in votes.values()) / 40


def test_same_seed_same_bytes_another_seed_other_draws(judged):
    words = ("score", "p", "--ci", "percentile", "--json", "--seed")
    first, again, other = (judged.run(*words, seed).out for seed in (3, 3, 4))
    assert first == again
    assert json.loads(other)["batches"][0]["seed"] == 4
    assert json.loads(other)["batches"][0]["score"] == json.loads(first)["batches"][0]["score"]


@pytest.mark.parametrize("ci", ["percentile", "wilson", "exact", "beta", "t"])
def test_every_interval_says_its_name(judged, ci):
    score = judged.ok("score", "p", "--ci", ci, "--level", 0.9)
    assert score["interval"]["method"] == ci
    assert score["level"] == 0.9


def test_groups_and_clusters_by_a_column(judged):
    score = judged.ok("score", "p", "--by", "category", "--by", "hints_available", "--cluster", "category")
    assert sum(row["n_items"] for row in score["groups"]["category"]) == 40
    assert score["interval"]["n_clusters"] == len(score["groups"]["category"]) < 40
    assert "columns: category, picarats, hints_available" in judged.refused(2, "score", "p", "--by", "colour")
    assert "columns: category" in judged.refused(2, "score", "p", "--cluster", "colour")


def test_samples_with_seeds_of_their_own_are_one_observation_too(project, vendors):
    vendors(project)
    seeded = "--samples 3 --seed 7 --model gpt-4.1"
    (*_, score) = project.outside(*to_results(limit=10, more=seeded), *to_votes(judges="rule:exact"), "score p")
    assert score["batches"][0]["interval"]["n_clusters"] == 10


def test_samples_of_one_item_are_one_observation(project, vendors):
    vendors(project)
    project.outside(*to_results(limit=10, more="--samples 3"), *to_votes(judges="rule:exact"))
    score = project.ok("score", "p")
    assert score["n_items"] == 30
    assert score["interval"]["n_clusters"] == 10


def test_rules_alone_are_told_apart_from_a_jury(answered):
    answered.ok("jury", "p", "--judges", "rule:exact,rule:normalised,rule:numeric", "--wait")
    score = answered.ok("score", "p")
    assert score["field"] == "is_answer_correct"
    assert list(score["abstained"]) == ["rule:numeric"]
    notes = " ".join(score["footnotes"])
    assert "all judges are rules" in notes
    assert "abstained there" in notes
    assert score["votes_missing"] == 0


def test_the_card_shows_the_agreement_of_the_jury(judged):
    card = judged.run("score", "p").out
    for word in ("Krippendorff's α", "Fleiss' κ", "Pairwise κ", "Unanimous", "Majority", "gemini:", "next: batchflow"):
        assert word in card


def test_a_judge_of_the_own_vendor_is_pointed_out(answered, vendors):
    vendors(answered)
    answered.outside(*to_votes(judges="openai,mistral"))
    assert any("own vendor" in note for note in answered.ok("score", "p")["footnotes"])
    said = answered.refused(3, "score", "p", "--n-judges", 3)
    assert "has 2 judges" in said
    assert "--n-judges 2" in said
    assert answered.ok("score", "p", "--n-judges", 2)["complete"]


def labels(judged, **facts):
    """Human labels of every item: right where two judges or more say so."""
    votes = {}
    for path in sorted(judged.results.glob("judge_*.jsonl")):
        for row in judged.rows(f"results/{path.name}"):
            votes.setdefault(row["custom_id"], []).append(json.loads(row["answer"])["is_answer_correct"])
    rows = [{"custom_id": item, "human_answer_correct": sum(cast) >= 2, **facts} for item, cast in votes.items()]
    return write(judged.folder / "gold.jsonl", rows)


def test_gold_labels_show_how_right_the_judges_are_and_make_ppi(judged):
    gold = labels(judged, model="gpt-6-luna", provider="openai")
    words = ("score", "p", "--gold", gold, "--field-name", "is_answer_correct")
    score = judged.ok(*words)
    assert all(0.8 < right <= 1 for right in score["agreement"]["accuracy"])
    assert 1 <= score["agreement"]["independent"] <= 3
    ppi = judged.ok(*words, "--method", "ppi")
    assert ppi["method"] == "ppi"
    assert "PPI++ on 40 gold labels" in " ".join(ppi["footnotes"])
    card = judged.run(*words).out
    assert "Right by gold" in card
    assert "Effective judges" in card


def test_labels_of_other_models_tell_how_right_the_judges_are(judged):
    rows = [
        {"custom_id": str(n), "provider": "xai", "model": "other", "human_answer_correct": n % 2 == 0,
         "is_answer_correct_gemini": (n % 2 == 0) ^ (n % 10 == 0),
         "is_answer_correct_claude": (n % 2 == 0) ^ (n % 10 < 2),
         "is_answer_correct_mistral": n % 2 == 0}
        for n in range(60)
    ]  # fmt: skip
    words = ("score", "p", "--gold", write(judged.folder / "gold.jsonl", rows), "--field-name", "is_answer_correct")
    score = judged.ok(*words)
    jury = score["agreement"]
    assert (jury["gold_basis"], jury["gold_labels"]) == ("others", 60)
    assert jury["accuracy"] == pytest.approx([0.9, 0.8, 1.0])
    assert jury["independent_among"] == 2
    assert 1 <= jury["independent"] < 2
    assert "60 labels of other models' answers; the labels' judges are taken by their names: gemini for gemini:" in (
        " ".join(score["footnotes"])
    )
    card = judged.run(*words).out
    assert "from 60 labels of other models' answers" in card
    assert " of 2; the other 1 made no labelled error" in card


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (
            {"model": "other", "provider": "xai"},
            "none is of gpt-6-luna's answers to these items (they are about other)",
        ),
        ({"human_answer_correct": None, "human_justification_correct": True}, "nobody labelled that"),
        ({"custom_id": "elsewhere", "is_answer_correct_zed": True}, "they hold votes of zed"),
    ],
)
def test_gold_labels_that_were_not_used_are_pointed_out(judged, facts, why):
    row = {"custom_id": judged.rows("results/p.jsonl")[0]["custom_id"], "human_answer_correct": True} | facts
    gold = write(judged.folder / "gold.jsonl", [row])
    score = judged.ok("score", "p", "--gold", gold, "--field-name", "is_answer_correct")
    assert score["agreement"]["gold_basis"] is None
    said = [note for note in score["footnotes"] if "gold labels were not used" in note]
    assert len(said) == 1
    assert why in said[0]


def test_labels_of_samples_are_told_apart_by_their_column(project, vendors):
    vendors(project)
    project.outside(*to_results(limit=10, more="--samples 3"), *to_votes(judges="rule:exact,rule:normalised"))
    rows = [
        {"custom_id": row["custom_id"], "sample": row["sample"], "human_answer_correct": row["sample"] == 1}
        for row in project.rows("results/p.jsonl")
    ]
    words = ("score", "p", "--method", "ppi", "--gold")
    by_file = project.ok(*words, write(project.folder / "gold.jsonl", rows))
    assert by_file["agreement"]["gold_labels"] == 30
    assert by_file["score"] == pytest.approx(1 / 3)
    written_out = [{**row, "custom_id": f"{row['custom_id']} #{row['sample']}", "sample": None} for row in rows]
    assert project.ok(*words, write(project.folder / "gold.jsonl", written_out)) == by_file


def test_a_sample_column_of_zeros_is_an_item_where_each_was_asked_once(judged):
    gold = labels(judged, model="gpt-6-luna", provider="openai", sample=0)
    score = judged.ok("score", "p", "--gold", gold, "--field-name", "is_answer_correct")
    assert score["agreement"]["gold_labels"] == 40


@pytest.mark.parametrize("words", [("score", "p"), ("compare", "p", "q")])
def test_a_seed_that_is_too_large_is_a_slip_of_the_user(judged, words):
    assert "--seed" in judged.refused(2, *words, "--seed", "9" * 24)


def test_a_judge_that_was_never_sent_is_to_be_started_not_waited_for(answered):
    answered.ok("jury", "p", "--judges", "rule:exact,rule:normalised")
    answered.ok("start", "judge_p_by_rule_exact")
    said = answered.run("score", "p", "--json")
    assert said.code == 7
    assert said.json["incomplete"] == ["judge_p_by_rule_normalised"]
    assert said.json["next"] == "batchflow start judge_p_by_rule_normalised"


def test_a_judge_that_its_vendor_refused_is_to_be_started_again(answered):
    first, second = "judge_p_by_rule_exact", "judge_p_by_rule_normalised"
    answered.ok("jury", "p", "--judges", "rule:exact,rule:normalised")
    answered.ok("start", first)
    with answered.ledger() as ledger, ledger.write() as tx:
        (job,) = jobs.of_batch(tx, batches.get(tx, second).id)
        for what in (Event.CLAIM, Event.REFUSE):
            jobs.move(tx, job.id, what, now=datetime.now(UTC))
    said = answered.run("score", "p", "--json").json
    assert said["incomplete"] == [second]
    assert said["next"] == f"batchflow start {second}"
    other = shutil.copytree(answered.folder / "results", answered.folder / "elsewhere")
    answered.ok("import", "predictions", other / "p.jsonl", "--name", "q")
    answered.ok("jury", "q", "--judges", "rule:exact", "--start")
    assert answered.run("compare", "p", "q", "--json").json["next"] == f"batchflow start {second}"


def test_layton_leaves_out_the_own_vendor_and_needs_gold(judged):
    assert "--gold" in judged.refused(2, "score", "p", "--method", "layton")
    rows = [
        {"riddle_id": f"{vendor}{votes}{n}", "provider": vendor, "model": "m", "human_answer_correct": right,
         **{f"is_answer_correct_{judge}": k < votes for k, judge in enumerate("abc")}}
        for vendor, right in (("openai", False), ("mistral", True)) for votes in range(4) for n in range(10)
    ]  # fmt: skip
    gold = write(judged.folder / "gold.jsonl", rows)
    score = judged.ok("score", "p", "--gold", gold, "--method", "layton", "--field-name", "is_answer_correct")
    assert score["score"] > 0.99  # only mistral's rows count, and there a person called every answer right
    assert any("calibration noise only" in note for note in score["footnotes"])


def test_broken_gold_names_row_and_field(judged):
    said = judged.refused(
        3, "score", "p", "--gold", write(judged.folder / "g.jsonl", [{"custom_id": "1", "human_answer_correct": "y"}])
    )
    assert "line 1" in said
    assert "human_answer_correct" in said


def test_votes_of_rules_are_counted_in_blocks_as_they_are_one_by_one(answered, monkeypatch):
    answered.ok("jury", "p", "--judges", "rule:exact,rule:numeric", "--wait", "--refresh-after", 0)
    commands = [("score", "p", "--by", "category"), ("score", "p", "--method", "majority", "--unanswered", "wrong")]
    in_blocks = [answered.ok(*words) for words in commands]
    monkeypatch.setattr(votes, "_block", lambda *_: None)
    assert [answered.ok(*words) for words in commands] == in_blocks
    assert in_blocks[0]["batches"][0]["abstained"]
