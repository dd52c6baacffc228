"""`run` and `tick` through the command line, against a rehearsed vendor: whole, cut short, resumed, in pieces."""

from __future__ import annotations

import pytest
from helpers.commands import dataset

RULES = "rule:exact,rule:normalised"
ASKED = ("--provider", "openai", "--model", "gpt-6-luna", "--task", "riddles", "--dataset", "own.jsonl")
FAST = ("--refresh-after", 0.1)


@pytest.fixture
def own(vendor):
    dataset(vendor.project.folder / "own.jsonl")
    return vendor


def test_one_command_goes_from_the_data_set_to_the_score_and_again_does_nothing_new(own):
    done = own.project.ok("run", *ASKED, "--name", "b", "--judges", RULES, *FAST)
    (row,) = done["batches"]
    assert (done["finished"], done["until"], row["score"], row["due"]) == (True, "report", 1.0, "done")
    assert (row["answered"], row["judges"], row["lost_votes"], row["unanswered"]) == (4, 2, 0, {})
    assert (own.project.results / "b.jsonl").exists()
    assert "<html" in (own.project.folder / done["report"]).read_text()
    with own.project.ledger() as ledger, ledger.read() as tx:  # the report takes the score that the run has made
        assert tx.exec_driver_sql("SELECT count(*) FROM scores").scalar() == 1
    creates = own.calls("create")
    assert own.project.ok("run", *ASKED, "--name", "b", "--judges", RULES, *FAST)["batches"] == done["batches"]
    assert own.calls("create") == creates == 1
    assert own.project.ok("tick")["runs"] == 0
    few = own.project.run("run", *ASKED, "--name", "b", "--judges", RULES, *FAST).out
    assert "run of 1 batch" in few
    assert "lost votes" not in few
    more = own.project.run("run", *ASKED, "--name", "b", "--judges", RULES, *FAST, "-v").out
    assert [line.split() for line in more.splitlines() if "lost votes" in line] == [
        ["retries", "judges", "lost", "votes", "pending"]
    ]


def test_until_stops_behind_a_step_and_a_later_run_goes_on(own):
    words = ("run", *ASKED, "--name", "b", "--judges", RULES, *FAST)
    assert own.project.ok(*words, "--until", "prepare")["batches"][0]["state"] == "prepared"
    assert own.calls("create") == 0
    started = own.project.ok(*words, "--until", "start")
    assert (started["batches"][0]["state"], started["finished"], own.calls("poll")) == ("running", True, 0)
    answers = own.project.ok(*words, "--until", "results")
    assert (answers["batches"][0]["answered"], answers["batches"][0]["judges"]) == (4, 0)
    assert own.project.ok(*words, "--until", "jury")["batches"][0]["score"] is None
    assert own.project.ok(*words)["batches"][0]["score"] == 1.0
    assert own.calls("create") == 1


def test_what_failed_for_a_passing_reason_is_asked_again_and_the_rest_is_not(own):
    own.fault("errors", call="job", fraction=0.5)
    done = own.project.ok("run", *ASKED, "--name", "b", "--judges", RULES, *FAST)
    assert (done["batches"][0]["answered"], done["batches"][0]["retries"]) == (4, 1)
    assert [len(made.custom_ids) for made in own.site.creates] == [4, 2]
    own.fault("errors", call="job", fraction=0.5)
    none = own.project.ok("run", *ASKED, "--name", "c", "--judges", RULES, "--retries", 0, *FAST)
    assert (none["batches"][0]["answered"], none["batches"][0]["retries"]) == (2, 0)


def test_a_file_lists_models_and_values_and_each_combination_is_a_batch(own):
    (own.project.folder / "eval").mkdir()
    dataset(own.project.folder / "eval" / "own.jsonl")
    (own.project.folder / "eval" / "e.toml").write_text(
        'dataset = "own.jsonl"\ntask = "riddles"\nmodels = ["openai:gpt-6-luna", "openai:gpt-6.1-sol"]\n'
        'hints = [0, 1]\nsamples = [1, 3]\njudges = ["rule:exact"]\nby = ["category"]\n'
    )
    made = own.project.ok("run", "eval/e.toml", "--until", "prepare")
    names = [row["name"] for row in made["batches"]]
    assert len(names) == 8
    assert names[1] == "openai_gpt-6-luna_llm_hints_0_samples_3"
    done = own.project.ok("run", "eval/e.toml", "--limit", 2, "--name", "x", "--hints", 1, *FAST)
    assert [row["name"] for row in done["batches"]] == [
        "x_openai_gpt-6-luna_samples_1", "x_openai_gpt-6-luna_samples_3",
        "x_openai_gpt-6-1-sol_samples_1", "x_openai_gpt-6-1-sol_samples_3",
    ]  # fmt: skip
    assert {row["score"] for row in done["batches"]} == {1.0}
    assert len(done["pairs"]) == 6


def test_a_declared_task_is_judged_by_its_own_kind(own):
    (own.project.folder / "t.toml").write_text(
        'name = "mine"\n[data]\npath = "own.jsonl"\ncolumns = { question = "description", reference = "answer" }\n'
        '[prompt]\nsystem = "Be short."\nuser = "{question}"\n[judge]\nkind = "correctness"\n'
    )
    asked = (
        "run",
        "--provider",
        "openai",
        "--model",
        "gpt-6-luna",
        "--task",
        "t.toml",
        "--judges",
        "rule:exact",
        *FAST,
    )
    done = own.project.ok(*asked, "--until", "score")
    assert (done["field"], done["batches"][0]["score"]) == ("is_correct", 1.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modles = []", "did you mean models?"),
        ("models = [", "https://toml.io"),
        ('dataset = "gone.csv"', "there is no file"),
        ("retries = -1", "is not a whole number of at least 0"),
        ('until = "end"', "steps: prepare, start"),
        ("hints = [1, 1]", "names a value twice"),
        ("concurrency = [1, 2]", "takes one value"),
        ("hints = []", "names no value"),
        ("judges = [1]", "is not a text"),
    ],
)
def test_a_faulty_file_is_refused_before_anything_is_written(own, text, said):
    (own.project.folder / "e.toml").write_text(text)
    assert said in own.project.refused(2, "run", "e.toml", "--provider", "openai", "--limit", 1)
    assert own.calls("create") == 0
    assert not (own.project.folder / "processed_files").exists()


def test_a_jury_that_cannot_judge_is_refused_before_the_answers_are_paid_for(own):
    err = own.project.refused(2, "run", *ASKED, "--judges", "anthropic:claude-haiku-5-5")
    assert "ANTHROPIC_API_KEY" in err
    own.project.refused(2, "run", *ASKED, "--judges", "rule:none")
    assert own.calls("create") == own.calls("upload") == 0


def test_detached_and_ticked_it_ends_as_one_that_waits(own):
    words = ("run", *ASKED, "--name", "b", "--judges", RULES, "--detach", *FAST)
    first = own.project.run(*words, "--json")
    assert (first.code, first.json["finished"], first.json["next"]) == (7, False, "batchflow tick")
    own.prepare("never-started")
    for _ in range(6):
        ran = own.project.run("tick", "--refresh-after", 0, "--json")
        assert ran.code in {0, 7}, ran
        if ran.code == 0:
            break
    assert (ran.code, ran.json["runs"]) == (0, 0), ran
    assert own.project.ok(*words)["batches"][0]["score"] == 1.0
    assert own.project.ok("show", "never-started")["status"]["state"] == "prepared"
    assert own.calls("create") == 1
    own.project.ok("delete", "b")
    assert own.project.ok("tick")["runs"] == 0


def test_a_batch_that_its_vendor_refuses_holds_up_none_of_the_others_and_is_told_at_once(own):
    own.fault("status", call="create", status=400, message="model not allowed")
    more = ("--model", "gpt-6.1-sol")
    ran = own.project.run("run", *ASKED, *more, "--name", "b", "--judges", RULES, *FAST, "--json")
    states = {row["model"]: (row["state"], bool(row["trouble"])) for row in ran.json["batches"]}
    assert states == {"gpt-6-luna": ("needs_you", True), "gpt-6.1-sol": ("finished", False)}
    assert (ran.code, ran.json["finished"]) == (5, False)
    assert "model not allowed" in ran.err
