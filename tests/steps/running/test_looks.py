"""Runs in stages through the command line: stopped early where it is clear, to the end where it is not, resumed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from helpers.commands import dataset, riddle
from helpers.rehearsed import rehearsed

from batchflow.rehearsal.answers import Rule, oracle
from batchflow.score import sequential

ITEMS = 240
ASKED = ("--provider", "openai", "--task", "riddles", "--dataset", "own.jsonl", "--judges", "rule:exact")
FAST = ("--refresh-after", 0.1)
ONE = ("run", *ASKED, "--model", "gpt-6-luna", "--name", "b", *FAST)
TWO = ("run", *ASKED, "--model", "gpt-6-luna", "--model", "gpt-6.1-sol", "--name", "m", "--decide", *FAST)


class Uneven(Rule):
    """One model is right as often as the rule says, all others as often as it is wrong otherwise."""

    def reply(self, asked):
        return Rule.reply(self if "sol" in asked.model else replace(self, right=0.95), asked)


@pytest.fixture
def own(tmp_path):
    knows = oracle((f"What is {n} and one?", str(n + 1)) for n in range(1, ITEMS + 1))
    with rehearsed(tmp_path, rule=Uneven(right=0.3, judge_error=0.0, oracle=knows)) as made:
        rows = [riddle(n, category=f"c{n % 40}") for n in range(1, ITEMS + 1)]
        dataset(made.project.folder / "own.jsonl", rows)
        yield made


def sent(own):
    """Items by create."""
    return [[custom_id.rpartition("-")[2] for custom_id in create.custom_ids] for create in own.site.creates]


def test_a_run_stops_once_its_score_is_precise_and_says_which_interval_holds(own):
    done = own.project.ok(*ONE, "--precision", 12)
    (row,) = done["batches"]
    assert (row["stages"]["reason"], row["stages"]["planned"], row["due"]) == ("precise", ITEMS, "done")
    assert row["answered"] == row["requests"] == row["stages"]["items"] < ITEMS
    assert (row["ci_high"] - row["ci_low"]) / 2 <= 0.12
    told = own.project.ok("score", "b")
    looks = told["anytime"]["looks"]
    assert [look["n"] for look in looks] == list(sequential.stages(ITEMS))[: len(looks)]
    assert all((look["high"] - look["low"]) / 2 > 0.12 for look in looks[:-1])
    assert (told["ci_low"], told["ci_high"]) == (looks[-1]["low"], looks[-1]["high"]) == (row["ci_low"], row["ci_high"])
    wilson = told["intervals"]["wilson"]
    assert told["ci_low"] < wilson["low"] < wilson["high"] < told["ci_high"]
    card = own.project.run("score", "b").out
    assert f"Wilson's {100 * wilson['low']:.1f} – {100 * wilson['high']:.1f} is not valid under stopping" in card
    assert "not valid under stopping" in own.project.run("score", "b", "--ci", "wilson").out
    assert own.project.ok("show", "b")["made"]["stages"].endswith("stopped: precise enough")
    listed = next(each for each in own.project.ok("list")["batches"] if each["name"] == "b")
    assert listed["stages"] == row["stages"]
    assert "stopped: precise enough" in (own.project.folder / done["report"]).read_text()
    creates = own.calls("create")
    assert own.project.ok(*ONE, "--precision", 12)["batches"] == done["batches"]
    finer = own.project.ok(*ONE, "--precision", 6)["batches"][0]  # goes on where the coarser one stopped
    assert finer["stages"]["made"] > row["stages"]["made"]
    assert own.calls("create") == creates + finer["stages"]["made"] - row["stages"]["made"]
    asked = [item for create in sent(own) for item in create]
    assert len(asked) == len(set(asked)) == finer["requests"]
    own.project.ok("delete", "b")
    assert own.project.files() == {"own.jsonl", "results/b.html"}


def test_a_run_about_this_data_set_alone_stops_earlier_and_says_so(own):
    words = (*ONE, "--this-data-set", "--until", "score")
    (all_asked,) = own.project.ok(*words, "--precision", 0.1)["batches"]
    assert all_asked["stages"]["reason"] is None
    told = own.project.ok("score", "b")["anytime"]
    halves = [[(look["high"] - look["low"]) / 2 for look in told[key]] for key in ("looks", "data_set")]
    assert all(one < other for one, other in zip(halves[1][1:], halves[0][1:], strict=True))
    assert halves[1][-1] == 0
    between = (halves[0][3] + halves[1][3]) / 2
    (row,) = own.project.ok(*words, "--name", "d", "--precision", 100 * between)["batches"]
    assert (row["stages"]["reason"], row["stages"]["made"]) == ("precise", 4)
    last = own.project.ok("score", "d")["anytime"]["data_set"][-1]
    bounds = f"of this data set alone {100 * last['low']:.1f} – {100 * last['high']:.1f}"
    assert bounds in own.project.run("score", "d").out
    assert "taken by another batch" in own.project.refused(2, *ONE, "--precision", 20)


def test_two_models_are_asked_the_same_items_until_one_is_better(own):
    done = own.project.ok(*TWO)
    assert {row["stages"]["reason"] for row in done["batches"]} == {"decided"}
    assert {row["stages"]["made"] for row in done["batches"]} == {1}  # 95 against 30 of 100
    first, second = sent(own)
    assert sorted(first) == sorted(second)
    (pair,) = done["pairs"]
    assert pair["anytime"]["low"] > 0
    assert len(pair["anytime"]["looks"]) == 1
    assert any("not valid under stopping" in note for note in done["notes"])
    other = own.project.ok(*TWO, "--name", "n", "--order-seed", 1)
    assert sorted(sent(own)[2]) != sorted(first)
    assert {row["stages"]["seed"] for row in other["batches"]} == {1}


def test_two_equal_models_are_asked_everything(own):
    own.site.rule = replace(own.site.rule, right=0.95)
    done = own.project.ok(*TWO, "--first-stage", 200, "--until", "compare")
    assert {(row["stages"]["reason"], row["requests"], row["due"]) for row in done["batches"]} == {
        (None, ITEMS, "done")
    }
    assert done["finished"]
    asked = [item for create in sent(own) for item in create]
    assert sorted(asked) == sorted(2 * [f"r{n}" for n in range(1, ITEMS + 1)])
    rows = own.project.rows("results/m_openai_gpt-6-luna.jsonl")
    assert len({row["id"] for row in rows}) == ITEMS


def test_clusters_are_sent_whole_and_failed_rows_are_asked_again_in_each_stage(own):
    own.fault("errors", call="job", fraction=0.2)
    words = (*ONE, "--precision", 25, "--cluster", "category", "--retries", 1, "--until", "score")
    (row,) = own.project.ok(*words)["batches"]
    assert (row["stages"]["cluster"], row["retries"], row["unanswered"]) == ("category", 1, {})
    for create in sent(own)[:1]:
        categories = {int(item[1:]) % 40 for item in create}
        assert sorted(create) == sorted(f"r{n}" for n in range(1, ITEMS + 1) if n % 40 in categories)
    looks = own.project.ok("score", "b", "--cluster", "category")["anytime"]["looks"]
    assert all(look["n"] % 6 == 0 for look in looks)
    assert "the intervals of groups hold at one look only" in own.project.run("score", "b", "--by", "picarats").out


def test_ticks_bring_it_to_the_same_end(own):
    whole = own.project.ok(*ONE, "--precision", 12, "--until", "score")["batches"][0]
    words = (*ONE[:-4], "--name", "t", *FAST, "--precision", 12, "--until", "score")
    ran = own.project.run(*words, "--detach", "--json")
    for _ in range(40):
        if ran.code == 0:
            break
        ran = own.project.run("tick", "--refresh-after", 0, "--json")
        assert ran.code in {0, 7}, ran
    same = ("stages", "score", "ci_low", "ci_high", "answered")
    (ticked,) = own.project.ok(*words)["batches"]
    assert {key: ticked[key] for key in same} == {key: whole[key] for key in same}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--precision", 2, "--decide"), "at a precision, or when it has decided"),
        (("--decide",), "between two models, and this run has 1 batches"),
        (("--precision", 2, "--canary", 3), "its first stage is one"),
        (("--precision", 2, "--cascade", "rule:exact"), "would settle the first one only"),
        (("--first-stage", 3), "for a run in stages only"),
        (("--this-data-set",), "for a run in stages only"),
        (("--precision", 2, "--cluster", "nothing"), "there is no such column"),
        (("--precision", 60), "60"),
    ],
)
def test_what_stages_exclude_is_refused_before_anything_is_sent(own, words, said):
    assert said in own.project.refused(2, *ONE, *words)
    assert own.calls("create") == 0


def test_a_file_says_the_same_and_another_order_is_another_batch(own):
    (own.project.folder / "e.toml").write_text(
        'models = ["openai:gpt-6-luna"]\ndataset = "own.jsonl"\ntask = "riddles"\njudges = ["rule:exact"]\nname = "b"\n'
        "precision = 30\nfirst_stage = 20\norder_seed = 3\n"
    )
    (row,) = own.project.ok("run", "e.toml", *FAST)["batches"]
    assert (row["stages"]["seed"], row["stages"]["reason"]) == (3, "precise")
    err = own.project.refused(2, "run", "e.toml", "--order-seed", 4, *FAST)
    assert "the name b is taken by another batch; stages:" in err
    for line in ('decide = "yes"\n', 'decide = true\nthis_data_set = "yes"\n'):
        (own.project.folder / "e.toml").write_text(line)
        assert "neither true nor false" in own.project.refused(2, "run", "e.toml", "--provider", "openai")
    assert json.loads(own.project.run("list", "--json").out)["batches"]
