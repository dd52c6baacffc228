"""What a run will cost, told before anything is sent; and the cap, of one batch or of several."""

from __future__ import annotations

import pytest
from helpers.commands import dataset
from helpers.rehearsed import rehearsed

ASKED = ("--provider", "openai", "--task", "riddles", "--dataset", "own.jsonl", "--refresh-after", 0.1)
ONE = ("run", *ASKED, "--model", "gpt-6-luna", "--name", "b", "--judges", "rule:exact")
MODELS = ("--model", "gpt-6-luna", "--model", "gpt-6.1-sol")
TWO = ("run", *ASKED, *MODELS, "--name", "m", "--judges", "openai:gpt-6-luna", "--max-tokens", 2_000)


@pytest.fixture
def own(tmp_path):
    with rehearsed(tmp_path) as made:
        dataset(made.project.folder / "own.jsonl")
        yield made


def test_the_estimate_is_told_before_anything_is_sent_and_the_bill_lies_in_it(own):
    ran = own.project.run(*TWO, "--json")
    told, cost = ran.json["estimate"], ran.json["cost"]
    assert ran.code == 0, ran
    assert ran.err.index("estimate: 16 requests, jury included: $") < ran.err.index("start: m_openai")
    assert told["requests"] == 16  # 2 models × 4 items, and a vote on each
    assert told["low_usd"] < cost["usd"] < told["high_usd"] == told["now_usd"]
    assert (told["spent_usd"], told["max_cost_usd"]) == (0.0, None)
    again = own.project.ok(*TWO)["estimate"]
    assert again["spent_usd"] == again["low_usd"] == again["high_usd"] == pytest.approx(cost["usd"])
    card = own.project.run(*TWO).out
    assert "Estimate:" in card
    assert "tokens in" in card
    free = own.project.ok(*ONE, "--until", "prepare")["estimate"]
    assert free["requests"] == 8  # the rule's votes cost nothing, and are counted


def test_a_run_whose_upper_end_is_above_its_cap_sends_nothing_and_no_tick_sends_it(own):
    high = own.project.ok(*TWO, "--until", "prepare")["estimate"]["high_usd"]
    err = own.project.refused(6, *TWO, "--max-cost", 0.99 * high)
    assert "the run may cost up to $" in err
    assert "nothing was sent" in err
    own.project.ok("tick", "--refresh-after", 0)
    assert own.calls("create") == own.calls("upload") == 0
    done = own.project.ok(*TWO, "--max-cost", 1.01 * high)
    assert done["finished"]
    assert done["cost"]["usd"] < done["estimate"]["high_usd"]


def test_what_is_spent_counts_and_one_cap_is_for_all_models(own):
    first = own.project.ok(*TWO, "--until", "results")
    spent = first["cost"]["usd"]
    assert not first["estimate"]["jury"]
    err = own.project.refused(6, *TWO, "--max-cost", spent * 1.01)
    assert "of it spent" in err
    creates = own.calls("create")
    (own.project.folder / "e.toml").write_text(
        f'models = ["openai:gpt-6-luna", "openai:gpt-6.1-sol"]\ndataset = "own.jsonl"\ntask = "riddles"\nname = "m"\n'
        f'judges = ["openai:gpt-6-luna"]\nmax_tokens = 2000\nmax_cost = {spent * 1.01}\n'
    )
    assert "more than --max-cost" in own.project.refused(6, "run", "e.toml", "--refresh-after", 0.1)
    assert own.calls("create") == creates
    enough = own.project.ok(*TWO, "--until", "prepare")["estimate"]["high_usd"]
    assert own.project.ok(*TWO, "--max-cost", enough)["finished"]


def test_the_second_model_is_held_back_by_what_the_first_one_spends(own):
    prepared = own.project.ok(*TWO, "--until", "prepare")["batches"]
    one, two = (row["name"] for row in prepared)
    high = {name: own.project.ok("estimate", name, "--no-jury")["high_usd"] for name in (one, two)}
    own.project.ok(*TWO, "--until", "prepare", "--max-cost", 100)
    own.project.ok("start", one, "--max-cost", high[one] + 0.5 * high[two])
    err = own.project.refused(6, "start", two)
    assert "is spent or out: together more than --max-cost" in err
    assert own.calls("create") == 1


def test_a_price_that_is_not_known_is_refused_under_a_cap_and_told_without_one(own):
    words = ("run", *ASKED, "--model", "gpt-0-nobody-knows", "--judges", "rule:exact", "--as-named", "--name", "u")
    assert "a price is not known, and the run has a cap: u" in own.project.refused(6, *words, "--max-cost", 5)
    ran = own.project.run(*words, "--until", "prepare")
    assert "price unknown" in ran.err
    assert "Estimate: price unknown" in ran.out
    assert own.calls("create") == 0
    (own.project.folder / "e.toml").write_text('models = ["openai"]\ndataset = "own.jsonl"\nmax_cost = "5"\n')
    assert "is not a number of at least 0" in own.project.refused(2, "run", "e.toml")


def test_stages_are_estimated_as_a_whole_and_capped_one_by_one(own):
    dataset(own.project.folder / "own.jsonl", count=39)
    words = (*ONE, "--precision", 1, "--first-stage", 5, "--max-tokens", 2_000)
    told = own.project.ok(*words, "--until", "prepare")["estimate"]
    assert told["requests"] == 78
    assert told["high_usd"] == pytest.approx(told["now_usd"] * 39 / 5)
    ran = own.project.run(*words, "--max-cost", 1.05 * told["now_usd"], "--json")
    (row,) = ran.json["batches"]
    assert ran.code in {0, 6}, ran
    assert row["stages"]["made"] > 1  # what the first stage showed made room for more
    assert ran.json["cost"]["usd"] <= 1.05 * told["now_usd"]
