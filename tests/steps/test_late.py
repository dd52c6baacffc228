"""Rows that a vendor counts and hands over late are waited for, and taken up whenever they come."""

from __future__ import annotations

import pytest
from helpers.commands import IMPATIENT
from helpers.rehearsed import rehearsed

from batchflow.rehearsal.faults import Fault
from batchflow.rehearsal.registry import MODULES


@pytest.fixture(params=MODULES)
def vendor(request, tmp_path):
    with rehearsed(tmp_path, name=request.param) as made:
        yield made


@pytest.fixture
def openai(tmp_path):
    with rehearsed(tmp_path) as made:
        yield made


def arrives(vendor):
    """What was held back is there at the next look."""
    vendor.site.jobs(vendor.name)[0].hidden = 1


def give_no_time(vendor):
    vendor.project.environment["BATCHFLOW_CALLS_LATE_S"] = "0"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets that Google's SDK leaves open
class TestAtEveryVendor:
    def test_rows_that_come_late_are_waited_for(self, vendor):
        vendor.fault("late_rows", call="job", fraction=0.5, polls=1000)
        vendor.ended(count=6)
        ran = vendor.project.run("results", "b")
        assert ran.code == 7, ran
        assert "3 rows of b, part 0, waited for until 20" in ran.out
        made = vendor.project.run("results", "b", "--json").json
        assert (made["outcomes"], made["pending"], made["finished"]) == ({"ok": 3}, 3, False)
        assert made["late"][0]["rows"] == 3
        assert len(vendor.project.rows("results/b.jsonl")) == 3
        assert vendor.project.ok("get", "b")["state"] == "ended"
        arrives(vendor)
        made = vendor.project.ok("results", "b")
        assert (made["outcomes"], made["late"]) == ({"ok": 6}, [])

    def test_files_that_are_named_late_are_waited_for(self, vendor):
        vendor.fault("late_file", call="job", polls=1000)
        vendor.ended()
        assert "4 rows of b, part 0, waited for until 20" in vendor.project.refused(7, "results", "b")
        arrives(vendor)
        assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 4}

    def test_a_file_that_is_not_there_for_a_while_is_waited_for(self, vendor):
        vendor.ended()
        away = Fault("status", call="download", status=404, times=0)
        vendor.site.faults.add(away)
        for _ in range(2):
            said = vendor.project.refused(7, "results", "b")
            assert "waited for until 20" in said
            assert "HTTP 404" in said
        away.nth = 1000  # it is there again
        assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 4}

    def test_after_that_they_are_missing_until_they_are_asked_for_again(self, vendor):
        vendor.fault("late_rows", call="job", fraction=0.5, polls=1000)
        vendor.ended()
        give_no_time(vendor)
        assert vendor.project.ok("results", "b")["outcomes"] == {"missing": 2, "ok": 2}
        arrives(vendor)
        assert vendor.project.ok("results", "b")["outcomes"] == {"missing": 2, "ok": 2}
        assert vendor.project.ok("results", "b", "--again")["outcomes"] == {"ok": 4}
        assert vendor.project.ok("ledger", "check")["problems"] == []
        assert len(vendor.site.creates) == 1


@pytest.mark.parametrize(
    ("kind", "outcomes"), [("expire", {"expired": 3, "ok": 3}), ("cancel", {"cancelled": 3, "ok": 3})]
)
def test_of_a_batch_that_was_cut_short_what_ran_is_waited_for(openai, kind, outcomes):
    openai.fault(kind, call="job", fraction=0.5)
    openai.fault("late_output", call="job", polls=1000)
    openai.ended(count=6)
    made = openai.project.run("results", "b", "--json")
    assert (made.code, made.json["pending"]) == (7, 3)
    arrives(openai)
    assert openai.project.ok("results", "b")["outcomes"] == outcomes


def test_one_file_that_is_gone_withholds_no_other(openai):
    openai.fault("errors", call="job", fraction=0.5)
    openai.ended()
    job = openai.site.jobs("openai")[0]
    output = openai.site._files.pop(("openai", job.outputs["output"]))
    made = openai.project.run("results", "b", "--json")
    assert (made.code, made.json["outcomes"]) == (7, {"error": 2})
    openai.site._files["openai", output.id] = output
    assert openai.project.ok("results", "b")["outcomes"] == {"error": 2, "ok": 2}


def test_a_file_that_stays_away_is_told_and_a_person_decides(openai):
    openai.fault("errors", call="job", fraction=0.5)
    openai.ended()
    give_no_time(openai)
    openai.site.drop("openai", openai.site.jobs("openai")[0].outputs["output"])
    assert "HTTP 404" in openai.project.refused(5, "results", "b")
    assert [row["outcome"] for row in openai.project.rows("results/b.jsonl")] == ["error", "error"]
    openai.project.ok("cancel", "b", "--lost")
    assert openai.project.ok("results", "b")["outcomes"] == {"error": 2, "missing": 2}


def test_how_long_is_a_setting(openai):
    (openai.project.folder / "batchflow.toml").write_text(f"{IMPATIENT}late_s = 0\n")
    openai.fault("late_rows", call="job", fraction=0.5, polls=1000)
    openai.ended()
    assert openai.project.ok("results", "b")["outcomes"] == {"missing": 2, "ok": 2}


def test_rows_that_the_counts_do_not_hold_either_are_missing_at_once(openai):
    openai.fault("missing", call="job", fraction=0.5)
    openai.ended()
    assert openai.project.ok("results", "b")["outcomes"] == {"missing": 2, "ok": 2}


def test_taking_up_again_keeps_what_the_vendor_no_longer_has(openai):
    openai.finished()
    openai.site.drop("openai", openai.site.jobs("openai")[0].outputs["output"])
    assert openai.project.ok("results", "b", "--again")["outcomes"] == {"ok": 4}


def test_taking_up_again_never_takes_less(openai):
    openai.finished()
    path = openai.output()
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert openai.project.ok("results", "b", "--again")["outcomes"] == {"ok": 4}
