"""The life of a batch beyond the straight road: canaries, full queues, retries, other hosts, vendors that forget."""

from __future__ import annotations

import contextlib
import socket
from datetime import UTC, datetime

import pytest
from helpers.commands import IMPATIENT
from helpers.rehearsed import rehearsed

from batchflow import settings
from batchflow.errors import NeedsYou, StaleState
from batchflow.ledger import batches, jobs
from batchflow.states import Event, State
from batchflow.steps.base.context import Context
from batchflow.steps.verbs.maintenance import delete
from batchflow.steps.verbs.submission import start, wait

IN_TENS = f"{IMPATIENT}[limits.openai]\nrequests = 3\n"


@pytest.fixture
def narrow(tmp_path):
    """A rehearsed OpenAI that takes three requests a job."""
    with rehearsed(tmp_path, toml=IN_TENS) as made:
        yield made


@contextlib.contextmanager
def working(vendor, **given):
    """What a step is given, with a sleep or a voice of the test's own."""
    found = settings.load(vendor.project.folder, vendor.project.environment)
    with vendor.project.ledger() as ledger:
        yield Context(ledger, found, **given)


def states(project, name="b"):
    with project.ledger() as ledger, ledger.read() as tx:
        return [job.state for job in jobs.of_batch(tx, batches.get(tx, name).id)]


def events(project, name="b"):
    with project.ledger() as ledger, ledger.read() as tx:
        return [event.event for event in jobs.history(tx, batches.get(tx, name).id)]


class TestCanary:
    def test_goes_alone_and_lets_the_rest_go_when_it_came_back_parsed(self, vendor):
        vendor.prepare(count=6)
        started = vendor.project.ok("start", "b", "--canary", 2)
        assert [job["state"] for job in started["jobs"]] == ["running", "prepared"]
        assert "canary" in started["waits_for"]
        assert [len(made.custom_ids) for made in vendor.site.creates] == [2]
        vendor.project.ok("get", "b", "--wait", "--refresh-after", 0)
        assert [len(made.custom_ids) for made in vendor.site.creates] == [2, 4]
        assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 6}
        assert [row["custom_id"] for row in vendor.project.rows("results/b.jsonl")] == [f"r{n}" for n in range(1, 7)]

    def test_that_fails_holds_the_rest_until_a_person_says_go(self, vendor):
        vendor.prepare(count=6)
        vendor.fault("errors", call="job", fraction=1.0)
        vendor.project.ok("start", "b", "--canary", 2)
        vendor.project.run("get", "b", "--wait", "--refresh-after", 0)
        assert "0 of 2 canary requests" in vendor.project.refused(6, "start", "b")
        assert len(vendor.site.creates) == 1
        vendor.project.ok("start", "b", "--past-canary")
        assert len(vendor.site.creates) == 2

    def test_is_refused_where_it_makes_no_sense(self, vendor):
        vendor.prepare(count=3)
        assert "3 requests" in vendor.project.refused(2, "start", "b", "--canary", 3)
        vendor.project.ok("start", "b")
        assert "too late" in vendor.project.refused(2, "start", "b", "--canary", 1)

    def test_of_an_edited_file_is_not_cut_unless_the_edit_is_accepted(self, vendor):
        vendor.prepare()
        path = vendor.project.folder / "processed_files/b.jsonl"
        path.write_bytes(path.read_bytes().replace(b"What is", b"Tell me"))
        assert "was changed since it was prepared" in vendor.project.refused(3, "start", "b", "--canary", 1)
        vendor.project.ok("start", "b", "--canary", 1, "--accept-edit")
        assert "edited by hand" in vendor.project.ok("show", "b")["status"]["notes"][-1]
        assert len(vendor.site.creates) == 1

    def test_of_a_file_that_is_gone_says_so(self, vendor):
        vendor.prepare()
        (vendor.project.folder / "processed_files/b.jsonl").unlink()
        assert "b.jsonl is gone" in vendor.project.refused(3, "start", "b", "--canary", 1)

    def test_leaves_no_file_of_the_uncut_batch(self, vendor):
        vendor.prepare(count=4)
        vendor.project.ok("start", "b", "--canary", 1)
        assert {path for path in vendor.project.files() if path.startswith("processed_files/b")} == {
            "processed_files/b~canary.jsonl",
            "processed_files/b~rest.jsonl",
        }


class TestQueue:
    def test_a_full_queue_lets_the_rest_wait_and_wait_sends_it(self, narrow):
        narrow.prepare(count=9)
        narrow.fault("status", call="create", nth=2, status=429, code="token_limit_exceeded")
        started = narrow.project.ok("start", "b")
        assert [job["state"] for job in started["jobs"]] == ["running", "prepared", "prepared"]
        assert "token_limit_exceeded" in started["jobs"][1]["error"]
        narrow.project.ok("get", "b", "--wait", "--refresh-after", 0)
        assert narrow.project.ok("results", "b")["outcomes"] == {"ok": 9}
        assert [len(made.custom_ids) for made in narrow.site.creates] == [3, 3, 3]

    def test_a_validation_that_fails_for_want_of_room_is_sent_again(self, narrow):
        narrow.prepare(count=6)
        narrow.fault("queue_full", call="job", nth=2)
        narrow.project.ok("start", "b")
        narrow.project.ok("get", "b", "--wait", "--refresh-after", 0)
        assert Event.BOUNCE in events(narrow.project)
        assert narrow.project.ok("results", "b")["outcomes"] == {"ok": 6}

    def test_creates_too_often_let_the_rest_wait(self, narrow):
        narrow.prepare(count=9)
        narrow.fault("status", call="create", nth=2, status=429, code="rate_limit_exceeded", message="Slow down.")
        started = narrow.project.ok("start", "b")
        assert [job["state"] for job in started["jobs"]] == ["running", "prepared", "prepared"]
        assert "Slow down." in started["jobs"][1]["error"]
        narrow.project.ok("get", "b", "--wait", "--refresh-after", 0)
        assert narrow.project.ok("results", "b")["outcomes"] == {"ok": 9}

    @pytest.mark.parametrize("fault", [{"kind": "queue_full", "call": "job"}, {"kind": "status", "call": "create"}])
    def test_a_batch_of_which_nothing_found_room_is_waited_for_too(self, vendor, fault):
        """An hour of waiting, without the hour."""
        vendor.prepare()
        vendor.fault(**fault, **({"status": 429, "code": "token_limit_exceeded"} if fault["kind"] == "status" else {}))
        vendor.project.ok("start", "b")
        pauses = []
        with working(vendor, sleep=pauses.append) as context:
            (report,) = wait.wait(context, ["b"], refresh_after_s=0, on_report=lambda _: None)
        assert report.finished
        assert sum(pauses) >= wait.RETRY_START_S  # no upload and create every few seconds
        assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 4}

    def test_so_is_one_whose_only_create_came_to_nothing_while_it_was_waited_for(self, vendor):
        vendor.prepare()
        vendor.fault("status", call="create", status=429, code="token_limit_exceeded")
        vendor.fault("reset", call="create", nth=2, when="before")
        vendor.project.ok("start", "b")
        said = []
        with working(vendor, say=said.append, sleep=lambda _: None) as context:
            (report,) = wait.wait(context, ["b"], refresh_after_s=0, on_report=lambda _: None)
        assert report.finished
        assert any("could not be sent" in text for text in said)
        assert len(vendor.site.creates) == 1

    def test_what_a_cut_start_left_on_its_way_is_asked_about(self, vendor):
        vendor.prepare()
        vendor.fault("reset", call="create", when="after")
        vendor.fault("status", call="list", status=503, times=2)
        vendor.project.refused(5, "start", "b")
        assert states(vendor.project) == [State.SENDING]
        with working(vendor, sleep=lambda _: None) as context:
            (report,) = wait.wait(context, ["b"], refresh_after_s=0, on_report=lambda _: None)
        assert report.finished
        assert len(vendor.site.creates) == 1

    def test_what_nobody_started_is_not_waited_for(self, vendor):
        vendor.prepare()
        assert vendor.project.run("get", "b", "--wait").code == 7
        assert vendor.site.calls == []

    def test_no_room_costs_one_upload_however_often_it_is_tried(self, vendor):
        vendor.prepare()
        vendor.fault("status", call="create", times=3, status=429, code="token_limit_exceeded")
        for _ in range(3):
            assert vendor.project.ok("start", "b")["waiting"] == 1
        assert vendor.project.ok("start", "b")["sent_now"] == 1
        assert vendor.calls("upload") == 1
        assert len(vendor.site.creates) == 1

    def test_an_upload_that_was_edited_or_lies_elsewhere_is_not_used_again(self, vendor):
        vendor.prepare()
        vendor.fault("status", call="create", times=2, status=429, code="token_limit_exceeded")
        assert vendor.project.ok("start", "b")["waiting"] == 1
        sent = vendor.project.folder / "processed_files/b.jsonl"
        sent.write_bytes(sent.read_bytes().replace(b"What is", b"Tell me"))
        assert vendor.project.ok("start", "b", "--accept-edit")["waiting"] == 1
        assert vendor.calls("upload") == 2
        vendor.project.environment["OPENAI_BASE_URL"] += "/"  # another place, for all that can be told
        assert vendor.project.ok("start", "b")["sent_now"] == 1
        assert vendor.calls("upload") == 3
        assert vendor.site.jobs("openai")[0].input_id == vendor.site.files("openai")[0].id

    def test_delete_does_not_forget_what_a_start_takes_meanwhile(self, vendor):
        vendor.prepare()
        vendor.fault("status", call="create", status=429, code="token_limit_exceeded")
        vendor.project.ok("start", "b")
        vendor.fault("status", call="delete", status=503)

        def meanwhile(_):
            with vendor.project.ledger() as ledger, ledger.write() as tx:
                (job,) = jobs.of_batch(tx, batches.get(tx, "b").id)
                jobs.move(tx, job.id, Event.CLAIM, now=datetime.now(UTC), claimed_by="elsewhere:1", token="t1")

        with working(vendor, sleep=meanwhile) as context, pytest.raises(NeedsYou, match="may still be running"):
            delete.delete(context, "b", remote=True)
        assert states(vendor.project) == [State.STARTING]

    def test_delete_removes_uploads_of_which_no_batch_was_made(self, narrow):
        narrow.prepare(count=6)
        narrow.fault("queue_full", call="job", nth=2)
        narrow.fault("status", call="create", nth=3, status=429, code="token_limit_exceeded")
        narrow.project.ok("start", "b")
        narrow.project.ok("get", "b", "--wait", "--refresh-after", 0)
        narrow.project.ok("results", "b")
        assert narrow.calls("upload") == 3  # one of a batch that bounced, one that waited for room
        narrow.project.ok("delete", "b", "--remote")
        assert narrow.site.files("openai") == []


class TestRetry:
    def test_asks_exactly_what_has_no_answer_and_its_answers_stand_in_the_parent(self, vendor):
        vendor.prepare(count=6)
        vendor.fault("errors", call="job", fraction=0.5)
        vendor.project.ok("start", "b")
        vendor.project.ok("get", "b", "--wait", "--refresh-after", 0)
        first = vendor.project.ok("results", "b")["outcomes"]
        failed = [row["custom_id"] for row in vendor.project.rows("results/b.jsonl") if row["outcome"] != "ok"]
        assert 0 < first["error"] == len(failed) < 6
        made = vendor.project.ok("retry", "b")
        assert (made["name"], made["requests"], made["outcomes"]) == ("b_retry_1", len(failed), {"error": len(failed)})
        assert vendor.project.ok("retry", "b")["new"] is False
        vendor.project.ok("start", "b_retry_1")
        vendor.project.ok("get", "b_retry_1", "--wait", "--refresh-after", 0)
        assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 6}
        rows = vendor.project.rows("results/b.jsonl")
        assert [row["custom_id"] for row in rows] == [f"r{n}" for n in range(1, 7)]
        assert [row["custom_id"] for row in rows if row["retried"]] == failed
        assert "nothing to retry" in vendor.project.refused(2, "retry", "b")
        assert vendor.project.ok("ledger", "check")["problems"] == []

    def test_waits_until_nothing_more_can_come(self, vendor):
        vendor.started()
        assert "not finished" in vendor.project.refused(7, "retry", "b")

    def test_unparsed_answers_are_asked_again_when_the_user_says_so(self, vendor):
        vendor.ended(count=3)
        path = vendor.output()
        path.write_bytes(path.read_bytes().replace(b'\\"answer\\"', b'\\"anwser\\"', 1))
        assert vendor.project.ok("results", "b")["parsed"] == {"strict": 2, "unparsed": 1}
        assert "every request came back, and 1 answer is unparsed" in vendor.project.refused(2, "retry", "b")
        assert vendor.project.ok("retry", "b", "--also", "unparsed")["outcomes"] == {"unparsed": 1}
        vendor.project.ok("start", "b_retry_1")
        vendor.project.ok("get", "b_retry_1", "--wait", "--refresh-after", 0)
        assert vendor.project.ok("results", "b")["parsed"] == {"strict": 3}

    def test_is_forgotten_with_its_parent(self, vendor):
        vendor.fault("errors", call="job", fraction=1.0)
        vendor.finished()
        vendor.project.ok("retry", "b")
        assert vendor.project.ok("delete", "b")["names"] == ["b_retry_1", "b"]


class TestAnotherHost:
    def claimed(self, vendor, state, minutes=0, by="elsewhere:1"):
        """Pretend that another machine was cut in a state, some minutes ago."""
        vendor.prepare()
        at = datetime.now(UTC).replace(microsecond=0)
        with vendor.project.ledger() as ledger, ledger.write() as tx:
            job = jobs.of_batch(tx, batches.get(tx, "b").id)[0]
            since = at.fromtimestamp(at.timestamp() - 60 * minutes, UTC)
            facts = {"claimed_by": by, "claimed_at": since, "token": "t0"}
            jobs.move(tx, job.id, Event.CLAIM, now=since, **facts)
            if state is State.SENDING:
                sent = {
                    "sending_at": since,
                    "remote_file": "file-1",
                    "base_url": vendor.project.environment["OPENAI_BASE_URL"],
                }
                jobs.move(tx, job.id, Event.SEND, now=since, **sent)

    @pytest.mark.parametrize("state", [State.STARTING, State.SENDING])
    def test_is_left_alone_while_it_may_still_be_sending(self, vendor, state):
        self.claimed(vendor, state)
        assert "elsewhere" in vendor.project.refused(7, "start", "b")
        assert states(vendor.project) == [state]
        assert vendor.site.creates == []

    @pytest.mark.parametrize("state", [State.STARTING, State.SENDING])
    def test_of_the_same_name_or_from_another_folder_of_this_one_is_no_nearer(self, vendor, state):
        """Its lock lies in a folder that is not looked at from here."""
        self.claimed(vendor, state, by=f"{socket.gethostname()}/0123456789abcdef:1")
        assert "another project folder or machine" in vendor.project.refused(7, "start", "b")
        assert vendor.site.creates == []

    def test_is_left_alone_by_cancel_too_which_leads_to_no_start(self, vendor):
        self.claimed(vendor, State.SENDING)
        said = vendor.project.refused(7, "cancel", "b")
        assert "batchflow cancel b there; or here, once an hour has passed" in said
        assert states(vendor.project) == [State.SENDING]

    @pytest.mark.parametrize("state", [State.STARTING, State.SENDING])
    def test_is_taken_over_when_the_user_says_so(self, vendor, state):
        self.claimed(vendor, state)
        vendor.project.ok("start", "b", "--takeover")
        assert len(vendor.site.creates) == 1

    @pytest.mark.parametrize("state", [State.STARTING, State.SENDING])
    def test_is_taken_over_after_an_hour(self, vendor, state):
        self.claimed(vendor, state, minutes=61)
        vendor.project.ok("start", "b")
        assert len(vendor.site.creates) == 1

    def test_that_sends_it_while_we_ask_about_an_earlier_try_is_not_sent_over(self, vendor):
        """Both had taken over a claim that looked dead; what we asked about is not what is on its way now."""
        vendor.project.folder.joinpath("batchflow.toml").write_text(
            "[calls]\ntries = 1\nfind_grace_s = 100\ncreate_s = 0\n"
        )
        self.claimed(vendor, State.SENDING)

        def meanwhile(_):
            now = datetime.now(UTC)
            with vendor.project.ledger() as ledger, ledger.write() as tx:
                job = jobs.of_batch(tx, batches.get(tx, "b").id)[0]
                jobs.move(tx, job.id, Event.RELEASE, now=now, claimed_by=None)
                jobs.move(tx, job.id, Event.CLAIM, now=now, claimed_by="third:1", token="t1")
                jobs.move(tx, job.id, Event.SEND, now=now, sending_at=now)

        with working(vendor, sleep=meanwhile) as context, pytest.raises(StaleState, match="another process moved it"):
            start.start(context, "b", start.StartOptions(takeover=True))
        assert states(vendor.project) == [State.SENDING]
        assert vendor.calls("list") == 2
        assert vendor.site.creates == []


class TestForgotten:
    def forgotten(self, vendor):
        vendor.started()
        with vendor.project.ledger() as ledger, ledger.write() as tx:
            jobs.note(tx, jobs.of_batch(tx, batches.get(tx, "b").id)[0].id, remote_id="batch_of_another_key")

    def test_a_batch_that_the_vendor_does_not_know_is_not_given_up(self, vendor):
        self.forgotten(vendor)
        ran = vendor.project.run("get", "b", "--refresh-after", 0)
        assert ran.code == 6
        assert "base URL" in ran.out
        assert states(vendor.project) == [State.RUNNING]

    def test_until_a_person_does(self, vendor):
        self.forgotten(vendor)
        assert "no vendor has reported" in vendor.project.refused(2, "cancel", "b", "--lost")
        vendor.project.run("get", "b", "--refresh-after", 0)
        assert vendor.project.ok("cancel", "b", "--lost")["lost"] == 1
        assert vendor.project.ok("results", "b")["outcomes"] == {"missing": 4}


def test_a_token_limit_that_is_raised_is_told(vendor):
    made = vendor.project.ok("prepare", "--provider", "openai", "--limit", 1, "--max-tokens", 50)
    assert any("--max-tokens 50 is sent as 2048" in note for note in made["notes"])
    body = vendor.project.rows(made["files"][0])[0]["body"]
    assert body["max_completion_tokens"] == 2048


def test_what_was_made_in_rehearsal_says_so_everywhere(vendor):
    vendor.project.environment["BATCHFLOW_REHEARSAL"] = "1"
    vendor.finished()
    assert all(row["rehearsal"] for row in vendor.project.rows("results/b.jsonl"))
    vendor.project.ok("jury", "b", "--judges", "rule:numeric", "--wait", "--refresh-after", 0)
    for words in (("get", "b"), ("show", "b"), ("score", "b"), ("list",)):
        assert "REHEARSAL" in vendor.project.run(*words).out, words


class TestARehearsalAndTheRealThingNeverMix:
    def inside(self, vendor):
        vendor.project.environment["BATCHFLOW_REHEARSAL"] = "1"

    def outside(self, vendor):
        del vendor.project.environment["BATCHFLOW_REHEARSAL"]

    def test_what_was_prepared_outside_and_sent_inside_is_marked(self, vendor):
        vendor.prepare()
        self.inside(vendor)
        assert vendor.project.ok("start", "b")["rehearsal"] is True
        vendor.project.run("get", "b", "--refresh-after", 0)
        assert vendor.project.ok("results", "b")["rehearsal"] is True
        assert all(row["rehearsal"] for row in vendor.project.rows("results/b.jsonl"))

    def test_what_was_prepared_inside_is_not_paid_for_outside(self, vendor):
        self.inside(vendor)
        vendor.prepare()
        self.outside(vendor)
        said = vendor.project.refused(2, "start", "b")
        assert "b is a rehearsal batch" in said
        assert "what to do: batchflow rehearse -- batchflow start b; to send it for real" in said
        assert vendor.site.calls == []
        self.inside(vendor)
        assert vendor.project.ok("start", "b")["sent_now"] == 1

    def test_what_was_partly_sent_for_real_is_not_completed_inside(self, narrow):
        narrow.fault("status", call="create", nth=2, status=429, message="Enqueued token limit reached")
        assert narrow.project.ok("start", narrow.prepare(count=6))["waiting"] == 1
        self.inside(narrow)
        assert "sent for real" in narrow.project.refused(2, "start", "b")
        self.outside(narrow)
        assert narrow.project.ok("start", "b")["waiting"] == 0
        self.inside(narrow)
        assert narrow.project.ok("start", "b")["sent_now"] == 0  # nothing is left to send, so nothing can mix

    def test_the_real_vendor_is_not_asked_about_a_rehearsed_batch(self, vendor):
        self.inside(vendor)
        vendor.started()
        self.outside(vendor)
        asked = vendor.site.calls.copy()
        for words in (("get", "b", "--refresh-after", 0), ("get", "b", "--wait", "--refresh-after", 0)):
            told = vendor.project.run(*words)
            assert told.code == 7
            assert "the real openai does not know it: batchflow rehearse -- batchflow get b\n" in told.out
            assert told.out.endswith("next: batchflow rehearse -- batchflow get b --wait\n")
        assert "batchflow rehearse -- batchflow" in vendor.project.refused(2, "cancel", "b")
        self.inside(vendor)
        assert vendor.project.ok("get", "b", "--refresh-after", 0)["finished"]
        self.outside(vendor)
        assert "the real openai does not know it" in vendor.project.refused(2, "results", "b")
        assert "the real openai does not know it" in vendor.project.refused(2, "delete", "b", "--remote")
        assert [call for _, call in vendor.site.calls[len(asked) :]] == ["poll"]
        self.inside(vendor)
        assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 4}

    def test_a_rehearsed_vendor_is_not_asked_about_a_real_batch(self, vendor):
        vendor.started()
        asked = vendor.site.calls.copy()
        self.inside(vendor)
        told = vendor.project.run("get", "b", "--wait", "--refresh-after", 0)
        assert told.code == 7
        assert "sent for real, and the rehearsed openai does not know it: type the command outside" in told.out
        assert vendor.site.calls == asked

    def test_a_real_batch_is_not_retried_inside(self, vendor):
        vendor.fault("errors", call="job", fraction=0.5)
        vendor.finished()
        self.inside(vendor)
        assert "sent for real" in vendor.project.refused(2, "retry", "b")
        self.outside(vendor)
        child = vendor.project.ok("retry", "b")["name"]
        self.inside(vendor)
        assert "sent for real" in vendor.project.refused(2, "start", child)


class TestARehearsalIsNotJudgedForMoney:
    def made_up(self, vendor):
        vendor.project.environment["BATCHFLOW_REHEARSAL"] = "1"
        vendor.finished()
        return vendor.project.environment.pop("BATCHFLOW_REHEARSAL")

    def test_judges_of_vendors_are_refused_before_anything_is_made(self, vendor):
        inside = self.made_up(vendor)
        for judges in ((), ("--judges", "openai:gpt-6-luna,rule:exact")):
            said = vendor.project.refused(2, "jury", "b", *judges)
            assert "the answers of b come from a rehearsal" in said
            again = " ".join(("batchflow rehearse -- batchflow jury b", *judges))
            assert f"{again}; or judges that cost nothing: --judges rule:exact" in said
        assert len(vendor.project.ok("list")["batches"]) == 1
        vendor.project.environment["BATCHFLOW_REHEARSAL"] = inside
        made = vendor.project.ok("jury", "b", "--judges", "openai:gpt-6-luna")["batches"][0]["name"]
        del vendor.project.environment["BATCHFLOW_REHEARSAL"]
        assert "come from a rehearsal" in vendor.project.refused(2, "jury", "b", "--judges", "gemini:x")
        assert "is a rehearsal batch" in vendor.project.refused(2, "start", made)

    def test_rules_and_local_judges_cost_nothing(self, vendor):
        self.made_up(vendor)
        local = ("--judges", "local:m,rule:exact", "--base-url", "http://127.0.0.1:9/v1")
        assert len(vendor.project.ok("jury", "b", *local)["batches"]) == 2

    def test_a_paid_judge_that_was_prepared_for_a_rehearsed_batch_is_not_sent(self, vendor):
        """As batches made before juries were refused."""
        vendor.finished()
        judge = vendor.project.ok("jury", "b", "--judges", "openai:gpt-6-luna")["batches"][0]["name"]
        with vendor.project.ledger() as ledger, ledger.write() as tx:
            batches.note(tx, batches.get(tx, "b").id, rehearsal=True)
        creates = len(vendor.site.creates)
        assert "would be paid for judging them" in vendor.project.refused(2, "start", judge)
        assert len(vendor.site.creates) == creates


def test_a_score_of_rehearsed_votes_is_a_rehearsal(vendor):
    vendor.finished()
    vendor.finished("c", "--hints", 1)
    vendor.project.environment["BATCHFLOW_REHEARSAL"] = "1"
    vendor.project.ok("jury", "b", "--judges", "rule:numeric", "--wait", "--refresh-after", 0)
    assert vendor.project.ok("score", "b")["rehearsal"] is True
    vendor.project.environment.pop("BATCHFLOW_REHEARSAL")
    vendor.project.ok("jury", "c", "--judges", "rule:numeric", "--wait", "--refresh-after", 0)
    compared = vendor.project.ok("compare", "b", "c")["models"]
    assert {model["name"]: model["rehearsal"] for model in compared} == {"b": True, "c": False}


def test_waiting_for_several_batches_asks_about_all_of_them(tmp_path):
    with rehearsed(tmp_path, polls=3) as slow:
        slow.started("one")
        slow.started("two")
        told = slow.project.run("get", "one", "two", "--wait", "--refresh-after", 0)
        assert told.code == 0
        assert [line.partition(":")[0] for line in told.err.splitlines()][:2] == ["one", "two"]
        asked = [job for job, call in slow.site.calls if call == "poll"]
        assert len(asked) == 6
