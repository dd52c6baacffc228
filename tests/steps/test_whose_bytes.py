"""No answer is read from bytes that are not its own, and nothing goes that an answer still stands on."""

from __future__ import annotations

import os
import subprocess

import pytest
import sqlalchemy as sa
from helpers import warm

from batchflow.ledger import batches, jobs


def shuffled(path, step):
    """The same rows in another order, as a vendor may give them at each download."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[step:] + lines[:step]))


def change(vendor, statement):
    with vendor.project.ledger() as ledger, ledger.write() as tx:
        tx.execute(sa.text(statement))


@pytest.fixture
def mended(vendor):
    """Eight rows, of which a retry answered three."""
    vendor.fault("errors", call="job", fraction=0.4)
    vendor.finished(count=8)
    vendor.project.ok("retry", "b")
    vendor.project.ok("start", "b_retry_1")
    vendor.project.ok("get", "b_retry_1", "--wait", "--refresh-after", 0)
    assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 8}
    return vendor


class TestARetryThatIsInUse:
    """Case 9 of the attack: its raw file held the parent's answers."""

    def test_is_not_deleted(self, mended):
        before = mended.project.files()
        said = mended.project.refused(6, "delete", "b_retry_1")
        assert "3 answers of b came from b_retry_1" in said
        assert "batchflow delete b" in said
        mended.project.refused(6, "delete", "b_retry_1", "--force")
        assert mended.project.files() == before
        assert mended.project.ok("results", "b")["outcomes"] == {"ok": 8}

    def test_goes_with_its_parent(self, mended):
        assert mended.project.ok("delete", "b")["names"] == ["b_retry_1", "b"]
        assert not [name for name in mended.project.files() if name.startswith(("results", "processed_files"))]

    def test_that_answered_nothing_may_go(self, vendor):
        vendor.fault("errors", call="job", fraction=0.5, times=2)
        vendor.finished()
        vendor.project.ok("retry", "b")
        vendor.project.ok("delete", "b_retry_1")
        assert vendor.project.ok("results", "b")["outcomes"] == {"error": 2, "ok": 2}

    def test_that_was_deleted_leaves_its_number_unused(self, vendor):
        vendor.fault("errors", call="job", fraction=0.5)
        vendor.fault("errors", call="job", fraction=1.0, nth=2)
        vendor.fault("errors", call="job", fraction=0.5, nth=3)
        vendor.finished(count=8)
        for number in (1, 2):
            vendor.project.ok("retry", "b")
            vendor.project.ok("start", f"b_retry_{number}")
            vendor.project.ok("get", f"b_retry_{number}", "--wait", "--refresh-after", 0)
            vendor.project.ok("results", "b")
        vendor.project.ok("delete", "b_retry_1")
        assert vendor.project.ok("retry", "b")["name"] == "b_retry_3"

    def test_that_an_older_program_deleted_is_told_and_mended(self, mended):
        with mended.project.ledger() as ledger, ledger.write() as tx:
            batches.delete(tx, [batches.get(tx, "b_retry_1").id])
        before = (mended.project.results / "b.jsonl").read_bytes()
        for command in ("results", "jury"):
            said = mended.project.refused(3, command, "b")
            assert "b: the answer to r" in said
            assert "came from a retry that was deleted" in said
            assert "batchflow results b --again" in said
        assert (mended.project.results / "b.jsonl").read_bytes() == before
        problems = mended.project.run("ledger", "check", "--json")
        assert problems.code == 4
        assert any("b: 3 answers came from a retry that is gone" in text for text in problems.json["problems"])
        assert mended.project.ok("results", "b", "--again")["outcomes"] == {"error": 3, "ok": 5}
        assert mended.project.ok("ledger", "check")["problems"] == []
        assert mended.project.ok("retry", "b")["requests"] == 3


def test_an_id_of_a_deleted_job_is_never_given_again(mended):
    """Case d2: the next retry got the deleted one's id, and its bytes were read for the old answers."""
    with mended.project.ledger() as ledger, ledger.write() as tx:
        gone = {job.id for job in jobs.of_batch(tx, batches.get(tx, "b_retry_1").id)}
        batches.delete(tx, [batches.get(tx, "b_retry_1").id])
    mended.prepare("other")
    with mended.project.ledger() as ledger, ledger.read() as tx:
        assert not gone & {job.id for job in jobs.of_batch(tx, batches.get(tx, "other").id)}
    assert "came from a retry that was deleted" in mended.project.refused(3, "results", "b")


class TestTwoResultsAtOnce:
    """Case 10: the ledger held offsets of one file, and the other's lay on the disk."""

    def test_take_turns(self, vendor):
        vendor.ended(count=8)
        vendor.fault("trickle", call="download", seconds=0.2, times=0)
        command = [warm.python(), "-m", "batchflow", "results", "b", "--json"]
        environment = {**os.environ, **vendor.project.environment}
        both = [
            subprocess.Popen(command, cwd=vendor.project.folder, env=environment, stdout=-1, stderr=-1)
            for _ in range(2)
        ]
        ended = [(child.communicate(timeout=120), child.returncode) for child in both]
        assert [code for _, code in ended] == [0, 0], ended
        assert vendor.calls("download") == 1
        rows = vendor.project.rows("results/b.jsonl")
        assert all(row["original"]["custom_id"] == row["request"] for row in rows)

    def test_elsewhere_are_told_that_the_bytes_differ(self, vendor):
        """As on another host with a folder of its own: its file has the same rows in another order."""
        vendor.finished(count=8)
        shuffled(vendor.project.folder / "processed_files/b.output.raw", 3)
        assert "was changed or cut since it was downloaded" in vendor.project.refused(3, "results", "b")


class TestARawFileThatWasChanged:
    """Case 11."""

    @pytest.mark.parametrize("how", ["cut", "swapped", "edited"])
    def test_spoils_nothing_and_can_be_downloaded_again(self, vendor, how):
        vendor.finished(count=8)
        path, good = vendor.project.folder / "processed_files/b.output.raw", vendor.project.results / "b.jsonl"
        whole, before = path.read_bytes(), good.read_bytes()
        if how == "swapped":
            shuffled(path, 1)
        else:
            path.write_bytes(whole[:400] if how == "cut" else whole.replace(b"is", b"as", 1))
        for command in ("results", "jury"):
            said = vendor.project.refused(3, command, "b")
            assert "b.output.raw: the raw output was changed or cut since it was downloaded" in said
            assert "batchflow results b --again" in said
        assert good.read_bytes() == before
        problems = vendor.project.run("ledger", "check", "--json").json["problems"]
        assert any("b.output.raw" in text for text in problems)
        assert vendor.project.ok("results", "b", "--again")["outcomes"] == {"ok": 8}
        assert (path.read_bytes(), good.read_bytes()) == (whole, before)
        assert vendor.project.ok("ledger", "check")["problems"] == []

    def test_is_told_by_show_beside_all_else(self, vendor):
        vendor.finished()
        vendor.project.ok("jury", "b", "--judges", "rule:exact", "--start")
        path = vendor.project.folder / "processed_files/b.output.raw"
        path.write_bytes(path.read_bytes()[:400])
        shown = vendor.project.ok("show", "b")
        assert shown["tally"]["ok"] == 4
        assert "was changed or cut since it was downloaded" in shown["status"]["notes"][-1]

    def test_is_told_even_where_the_vendor_has_it_no_more(self, vendor):
        vendor.finished(count=8)
        path = vendor.project.folder / "processed_files/b.output.raw"
        path.write_bytes(path.read_bytes()[:400])
        vendor.site.drop("openai", vendor.site.jobs("openai")[0].outputs["output"])
        assert "HTTP 404" in vendor.project.refused(5, "results", "b", "--again")
        assert vendor.project.ok("get", "b")["counts"]["ok"] == 8

    def test_offsets_that_lead_to_another_row_are_told(self, vendor):
        vendor.finished(count=8)
        change(vendor, "UPDATE requests SET raw_offset = (SELECT max(raw_offset) FROM requests)")
        said = vendor.project.refused(3, "results", "b")
        assert "points to the wrong bytes for r1" in said
        assert vendor.project.ok("results", "b", "--again")["outcomes"] == {"ok": 8}

    def test_a_results_file_that_was_changed_is_found_by_the_check(self, vendor):
        vendor.finished()
        (vendor.project.results / "b.jsonl").write_text("{}\n")
        problems = vendor.project.run("ledger", "check", "--json").json["problems"]
        assert any("results/b.jsonl" in text for text in problems)
        vendor.project.ok("results", "b")
        assert vendor.project.ok("ledger", "check")["problems"] == []


class TestADeleteThatRaces:
    """Case 12 (d3, d4): files went before the check that refused."""

    def test_with_a_jury_removes_nothing(self, vendor, monkeypatch):
        from batchflow.steps.verbs.maintenance import delete

        vendor.finished()
        before, held = vendor.project.files(), delete.gathering

        def slow(context, *family):
            monkeypatch.setattr(delete, "gathering", held)
            vendor.project.ok("jury", "b", "--judges", "rule:exact")
            return held(context, *family)

        monkeypatch.setattr(delete, "gathering", slow)
        said = vendor.project.refused(4, "delete", "b")
        assert "a jury or a retry of it was made" in said
        assert before <= vendor.project.files()
        assert len(vendor.project.ok("delete", "b")["names"]) == 2

    def test_with_a_start_removes_nothing(self, vendor, monkeypatch):
        from batchflow.steps.verbs.maintenance import delete

        vendor.prepare()
        before, held = vendor.project.files(), delete.alone

        def slow(context, batch, job):
            monkeypatch.setattr(delete, "alone", held)
            vendor.project.ok("start", "b")
            return held(context, batch, job)

        monkeypatch.setattr(delete, "alone", slow)
        assert "may still be running at the vendor" in vendor.project.refused(6, "delete", "b")
        assert vendor.project.files() == before
        assert list((vendor.project.folder / "processed_files/.locks").glob("*.sent"))
        vendor.project.ok("get", "b", "--wait", "--refresh-after", 0)
        assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 4}


class TestCanaries:
    """Case 13."""

    def test_of_two_sizes_at_once_are_one_canary(self, vendor):
        vendor.prepare(count=12)
        environment = {**os.environ, **vendor.project.environment}
        command = [warm.python(), "-m", "batchflow", "start", "b", "--canary"]
        both = [
            subprocess.Popen([*command, size], cwd=vendor.project.folder, env=environment, stdout=-1, stderr=-1)
            for size in ("2", "5")
        ]
        codes = sorted((child.communicate(timeout=120), child.returncode)[1] for child in both)
        assert codes[0] == 0
        assert codes[1] in {2, 7}
        vendor.project.ok("get", "b", "--wait", "--refresh-after", 0)
        assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 12}
        assert len({one for made in vendor.site.creates for one in made.custom_ids}) == 12

    def test_writes_over_no_other_batchs_file(self, vendor):
        vendor.prepare("b.canary", "--hints", 1)
        other = (vendor.project.folder / "processed_files/b.canary.jsonl").read_bytes()
        vendor.prepare("b")
        vendor.project.ok("start", "b", "--canary", 2)
        assert (vendor.project.folder / "processed_files/b.canary.jsonl").read_bytes() == other
        vendor.project.ok("start", "b.canary")
