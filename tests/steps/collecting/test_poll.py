from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from helpers.rehearsed import rehearsed
from helpers.until import until

from batchflow.ledger import jobs


@pytest.fixture
def slow(tmp_path):
    """A vendor that takes many looks."""
    with rehearsed(tmp_path, polls=1000) as made:
        yield made


class TestRefreshBound:
    def test_a_watch_at_any_rate_asks_once(self, slow):
        slow.started()
        for _ in range(12):
            assert slow.project.run("get", "b").code == 7
        assert slow.calls("poll") == 1

    def test_zero_asks_each_time_even_after_a_patient_look(self, slow):
        slow.started()
        slow.project.run("get", "b")
        for _ in range(3):
            slow.project.run("get", "b", "--refresh-after", 0)
        assert slow.calls("poll") == 4

    def test_a_patient_look_leaves_a_young_answer_of_an_impatient_one(self, slow):
        slow.started()
        slow.project.run("get", "b", "--refresh-after", 0)
        slow.project.run("get", "b", "--refresh-after", 60)
        assert slow.calls("poll") == 1

    def test_half_a_second_is_half_a_second(self, slow):
        slow.started()

        def asked_thrice():
            slow.project.run("get", "b", "--refresh-after", 0.5)
            return slow.calls("poll") == 3

        began = time.monotonic()
        until(asked_thrice)
        assert time.monotonic() - began >= 2 * 0.5

    def test_a_clock_that_was_put_back_silences_nobody(self, slow):
        slow.started()
        slow.project.run("get", "b")
        ahead = datetime.now(UTC) + timedelta(hours=3)
        with slow.project.ledger() as ledger, ledger.write() as tx:
            jobs.note(tx, 1, checked_at=ahead, next_check_at=ahead)
        slow.project.run("get", "b")
        slow.project.run("get", "b")
        assert slow.calls("poll") == 2

    def test_a_wish_without_end_is_kept_for_a_day(self, slow):
        slow.started()
        slow.fault("status", call="poll", status=429, retry_after="Fri, 31 Dec 9999 23:59:59 GMT")
        assert slow.project.run("get", "b").code == 7
        with slow.project.ledger() as ledger, ledger.read() as tx:
            pause = jobs.get(tx, 1).next_check_at - datetime.now(UTC)
        assert timedelta(hours=23) < pause <= timedelta(days=1)

    def test_the_age_of_the_answer_is_told(self, slow):
        slow.started()
        first = slow.project.run("get", "b", "--json").json
        assert first["age_s"] < 5
        with slow.project.ledger() as ledger, ledger.write() as tx:
            jobs.note(tx, 1, checked_at=datetime.now(UTC) - timedelta(minutes=5))
        told = slow.project.run("get", "b", "--refresh-after", 3600)
        assert "(5 min ago)" in told.out
        assert slow.project.run("get", "b", "--refresh-after", 3600, "--json").json["age_s"] == pytest.approx(
            300, abs=9
        )

    def test_a_vendors_retry_after_outlasts_zero(self, slow):
        slow.started()
        slow.fault("status", call="poll", status=429, retry_after="30")
        ran = slow.project.run("get", "b", "--refresh-after", 0)
        assert ran.code == 7
        assert "the vendor could not be asked" in ran.out
        slow.project.run("get", "b", "--refresh-after", 0)
        assert slow.calls("poll") == 1

    def test_never_asked_is_said(self, slow):
        slow.prepare()
        ran = slow.project.run("get", "b")
        assert "Checked: never" in " ".join(ran.out.split())
        assert slow.site.calls == []


class TestExitCodes:
    def test_prepared_and_running_7_ended_and_finished_0(self, vendor):
        vendor.prepare()
        assert vendor.project.run("get", "b").code == 7
        vendor.project.ok("start", "b")
        vendor.site.pace = type(vendor.site.pace)(polls=2)
        assert vendor.project.run("get", "b", "--refresh-after", 0).code == 7
        ended = vendor.project.run("get", "b", "--refresh-after", 0, "--json")
        assert (ended.code, ended.json["state"], ended.json["finished"]) == (0, "ended", True)
        vendor.project.ok("results", "b")
        assert vendor.project.run("get", "b", "--json").json["state"] == "finished"

    def test_wait_blocks_until_it_is_done(self, vendor):
        vendor.started()
        ran = vendor.project.run("get", "b", "--wait", "--refresh-after", 0)
        assert ran.code == 0
        assert "b: ended" in ran.err

    def test_several_batches_are_one_document(self, vendor):
        vendor.started("one")
        vendor.prepare("two")
        ran = vendor.project.run("get", "one", "two", "--json")
        assert [row["name"] for row in ran.json["batches"]] == ["one", "two"]
        assert ran.code == 7

    def test_a_vendor_that_cannot_be_reached_is_told_and_the_ledger_answers(self, vendor):
        vendor.started()
        vendor.project.environment["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
        ran = vendor.project.run("get", "b", "--refresh-after", 0)
        assert ran.code == 7
        assert "cannot be reached" in ran.out
        assert "State:      running\n" in ran.out

    def test_a_batch_that_the_vendor_does_not_know_is_lost_only_when_a_person_says_so(self, vendor):
        """A wrong key or base URL looks the same as a batch that is gone."""
        vendor.started()
        vendor.site.forget("openai", vendor.site.creates[0].job_id)
        ran = vendor.project.run("get", "b", "--refresh-after", 0)
        assert ran.code == 6
        assert "batchflow cancel NAME --lost" in ran.out
        vendor.project.ok("cancel", "b", "--lost")
        made = vendor.project.ok("get", "b")
        assert made["state"] == "finished"
        assert made["counts"] == {"requests": 4, "pending": 0, "done": 0, "failed": 4, "missing": 4}


def test_a_part_that_finds_no_room_while_nothing_else_is_out_may_be_too_large(tmp_path):
    with rehearsed(tmp_path, polls=1) as vendor:
        vendor.fault("queue_full", call="job", nth=1)
        vendor.started("alone")
        ran = vendor.project.run("get", "alone", "--refresh-after", 0)
        assert "prepare the batch anew in smaller ones (requests under [limits.openai]" in ran.out
        vendor.started("other")
        vendor.fault("queue_full", call="job", nth=1)
        vendor.started("crowded")
        ran = vendor.project.run("get", "crowded", "--refresh-after", 0)
        assert "nqueued" in ran.out
        assert "smaller ones" not in ran.out


def test_the_vendors_words_and_counts_are_shown(slow):
    slow.started()
    made = slow.project.run("get", "b", "--json").json
    assert made["jobs"][0]["word"] == "in_progress"
    assert made["counts"]["requests"] == 4
    assert made["base_url"] == slow.up.url("openai")
