from __future__ import annotations

from datetime import UTC, datetime

import pytest
from helpers.commands import IMPATIENT, dataset

from batchflow.ledger import batches, jobs
from batchflow.states import Event

RULES = "rule:exact,rule:numeric"


class TestList:
    def test_filters_and_sorts(self, vendor):
        vendor.finished("done")
        vendor.started("alive")
        vendor.prepare("waiting")
        asked = vendor.calls("poll")
        names = [row["name"] for row in vendor.project.ok("list")["batches"]]
        assert names == ["done", "alive", "waiting"]

        def listed(*flags):
            return [row["name"] for row in vendor.project.ok("list", *flags)["batches"]]

        assert listed("--state", "running") == ["alive"]
        assert listed("--state", "finished") == ["done"]
        assert listed("--sort", "name", "-d") == ["waiting", "done", "alive"]
        assert listed("--provider", "groq") == []
        assert vendor.calls("poll") == asked  # listing asks nobody

    def test_of_nothing_tells_how_to_begin(self, project):
        assert "next: batchflow prepare" in project.run("list").out


class TestShow:
    def test_tells_how_a_batch_was_made_and_what_happened(self, vendor):
        vendor.finished("b", "--max-tokens", 3000, "--hints", 1)
        made = vendor.project.ok("show", "b")
        assert [row["event"] for row in made["history"]] == ["claim", "send", "accept", "finish", "fetch"]
        assert made["hint_counts"] == [4, 0, 0, 0]
        assert (made["made"]["hints"], made["made"]["max_tokens"]) == (1, 3000)
        assert len(made["made"]["dataset_sha256"]) == len(made["made"]["template_sha256"]) == 64
        assert made["tally"]["requests"] == made["tally"]["ok"] == 4

    def test_an_unknown_name_is_exit_4_with_the_close_ones(self, vendor):
        vendor.prepare("riddles-one")
        for verb in ("show", "get", "start", "results", "delete", "cancel", "jury", "retry"):
            assert "did you mean riddles-one?" in vendor.project.refused(4, verb, "riddles-oen")


class TestDelete:
    def test_forgets_the_family_and_removes_what_was_made_for_it(self, vendor):
        vendor.finished()
        vendor.project.ok("jury", "b", "--judges", RULES, "--wait")
        made = vendor.project.ok("delete", "b")
        assert made["names"][-1] == "b"
        assert len(made["names"]) == 3
        assert vendor.project.files() == {"b-data.jsonl"}
        assert vendor.project.ok("list")["batches"] == []
        assert vendor.project.ok("ledger", "check")["problems"] == []
        assert vendor.calls("delete") == 0

    def test_never_touches_the_users_own_files(self, vendor):
        vendor.finished()
        mine = vendor.project.folder / "results" / "mine.txt"
        mine.write_text("mine")
        vendor.project.ok("delete", "b")
        assert mine.read_text() == "mine"
        assert (vendor.project.folder / "b-data.jsonl").exists()

    def test_of_a_live_batch_needs_force(self, vendor):
        vendor.started()
        before = vendor.project.files()
        said = vendor.project.refused(6, "delete", "b")
        assert "batchflow cancel b, or batchflow delete b --force" in said
        assert vendor.project.files() == before
        vendor.project.ok("delete", "b", "--force")
        assert vendor.project.ok("list")["batches"] == []

    def test_of_a_running_local_batch_speaks_of_its_worker_and_of_no_money(self, project):
        given = ("--provider", "local", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--name", "b")
        project.ok("prepare", *given, "--limit", 2)
        at = datetime.now(UTC)
        with project.ledger() as ledger, ledger.write() as tx:
            job = jobs.of_batch(tx, batches.get(tx, "b").id)[0]
            for event, facts in ((Event.CLAIM, {}), (Event.SEND, {}), (Event.ACCEPT, {"remote_id": "local-1"})):
                jobs.move(tx, job.id, event, now=at, **facts)
        said = project.refused(6, "delete", "b")
        assert "b may still be worked off by a local worker, and its answers would be lost" in said
        assert not {"vendor", "paid"} & set(said.split())
        assert "batchflow cancel b, or batchflow delete b --force" in said

    def test_with_remote_removes_the_vendors_copies(self, vendor):
        vendor.finished()
        vendor.project.ok("delete", "b", "--remote")
        assert vendor.site.files("openai") == []

    def test_the_name_is_free_again(self, vendor):
        vendor.prepare()
        vendor.project.ok("delete", "b")
        assert vendor.prepare("b", "--hints", 2) == "b"

    def test_a_vendor_that_cannot_be_asked_keeps_everything(self, vendor):
        vendor.finished()
        vendor.fault("status", call="delete", status=500, times=0)
        vendor.project.refused(5, "delete", "b", "--remote")
        assert vendor.project.ok("ledger", "check")["problems"] == []  # it is not marked as half deleted
        assert vendor.project.ok("get", "b")["state"] == "finished"


class TestCancel:
    def test_asks_the_vendor_and_keeps_what_ran(self, vendor):
        vendor.started(count=4)
        made = vendor.project.ok("cancel", "b")
        assert (made["asked"], made["unsent"]) == (1, 0)
        vendor.project.ok("get", "b", "--refresh-after", 0)
        assert vendor.project.ok("results", "b")["outcomes"] == {"cancelled": 2, "ok": 2}

    def test_of_what_was_never_sent_is_done_at_once(self, vendor):
        vendor.prepare()
        made = vendor.project.ok("cancel", "b")
        assert (made["asked"], made["unsent"]) == (0, 1)
        assert vendor.site.calls == []
        assert vendor.project.ok("get", "b")["counts"]["cancelled"] == 4

    def test_of_a_start_that_was_cut_before_its_create_sends_nothing_any_more(self, vendor):
        vendor.prepare("b")
        (vendor.project.folder / "batchflow.toml").write_text('[calls]\ntries = "x"\n')  # told once the job is claimed
        assert "tries has to be a number" in vendor.project.refused(2, "start", "b")
        (vendor.project.folder / "batchflow.toml").write_text(vendor.project.toml)
        made = vendor.project.ok("cancel", "b")
        assert (made["asked"], made["unsent"]) == (0, 1)
        assert vendor.project.ok("start", "b")["sent_now"] == 0
        assert vendor.site.creates == []

    @pytest.mark.parametrize(("when", "asked", "closed"), [("after", 1, 2), ("before", 0, 3)])
    def test_of_a_create_that_nobody_heard_of_settles_it_first(self, vendor, when, asked, closed):
        vendor.project.folder.joinpath("batchflow.toml").write_text(f"{IMPATIENT}[limits.openai]\nrequests = 2\n")
        vendor.prepare("b", count=6)
        vendor.fault("reset", call="create", when=when)
        vendor.fault("status", call="list", status=503, times=2)
        vendor.project.refused(5, "start", "b")
        made = vendor.project.ok("cancel", "b")
        assert (made["asked"], made["unsent"]) == (asked, closed)
        assert vendor.calls("cancel") == asked
        assert vendor.project.ok("start", "b")["sent_now"] == 0
        assert len(vendor.site.creates) == asked

    def test_of_what_nobody_can_tell_needs_you_and_stops_the_rest(self, vendor):
        vendor.project.folder.joinpath("batchflow.toml").write_text(f"{IMPATIENT}[limits.openai]\nrequests = 2\n")
        vendor.prepare("b", count=4)
        with vendor.project.ledger() as ledger, ledger.write() as tx:
            job, _ = jobs.of_batch(tx, batches.get(tx, "b").id)
            for what in ("claim", "send", "doubt"):
                jobs.move(tx, job.id, Event(what), now=datetime.now(UTC), token="t", error="nobody can tell")
        said = vendor.project.refused(6, "cancel", "b")
        assert "nobody can tell; what else there was is stopped" in said
        assert "--adopt ID" in said
        assert vendor.project.ok("start", "b", "--adopt", "batch_x")["sent_now"] == 0
        assert vendor.site.creates == []

    def test_of_what_is_over_says_so(self, vendor):
        vendor.finished()
        assert "nothing is running" in vendor.project.refused(2, "cancel", "b")


class TestRulesAndLocalWork:
    def test_a_rules_verdicts_go_with_their_batch(self, vendor):
        vendor.finished()
        made = vendor.project.ok("jury", "b", "--judges", "rule:exact", "--wait")
        judge = made["batches"][0]["name"]
        assert any(name.endswith(".verdicts") for name in vendor.project.files())
        vendor.project.ok("delete", judge)
        assert not any("judge_" in name for name in vendor.project.files())

    def test_rules_do_not_answer_riddles(self, project):
        dataset(project.folder / "d.jsonl")
        said = project.refused(2, "prepare", "--provider", "rule", "--model", "exact", "--dataset", "d.jsonl")
        assert "they do not give any" in said


@pytest.mark.parametrize("where", ["environment", "dotenv", "toml"])
def test_the_ledger_is_where_the_settings_say(project, tmp_path, where):
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    if where == "environment":
        project.environment["BATCHFLOW_DATABASE_URL"] = elsewhere
    elif where == "dotenv":
        (project.folder / ".env").write_text(f"BATCHFLOW_DATABASE_URL={elsewhere}\n")
    else:
        (project.folder / "batchflow.toml").write_text(f'database_url = "{elsewhere}"\n')
    assert project.ok("ledger", "upgrade")["url"] == elsewhere
    assert (tmp_path / "elsewhere.db").exists()
    assert not (project.folder / "batchflow.db").exists()


def test_a_list_counts_its_batches_in_words(vendor):
    vendor.prepare("b")
    assert vendor.project.run("list").out.startswith("== 1 batch ==")
    vendor.prepare("c")
    assert vendor.project.run("list").out.startswith("== 2 batches ==")
