"""A ledger that was put back knows nothing of what was sent since; the folder does."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from batchflow import settings
from batchflow.ledger import batches, jobs
from batchflow.states import Event


@pytest.fixture
def keep(vendor):
    """Back the ledger up; the function that comes back puts the copy in its place."""
    folder = vendor.project.folder

    def keep():
        vendor.project.ok("ledger", "backup", "copy.db")

        def restore():
            for name in ("batchflow.db-wal", "batchflow.db-shm"):
                (folder / name).unlink(missing_ok=True)
            shutil.copy(folder / "copy.db", folder / "batchflow.db")

        return restore

    return keep


def memories(vendor):
    return sorted(path.name for path in vendor.project.folder.glob("processed_files/.locks/*.sent"))


def finish(vendor):
    vendor.project.run("get", "b", "--refresh-after", 0)
    return vendor.project.ok("results", "b")["outcomes"]


def send_after_the_backup(vendor, keep, *options):
    """Send a batch that the ledger, put back, has as prepared."""
    vendor.prepare()
    restore = keep()
    vendor.project.ok("start", "b", *options)
    restore()


def test_what_was_sent_after_the_backup_is_found_again(vendor, keep):
    send_after_the_backup(vendor, keep)
    ran = vendor.project.run("start", "b")
    assert ran.code == 0
    assert "this older ledger knows nothing of it; asking openai" in ran.err
    assert len(vendor.site.creates) == 1
    assert vendor.project.ok("start", "b")["sent_now"] == 0
    assert finish(vendor) == {"ok": 4}


def test_the_note_of_a_host_that_was_taken_over_hides_no_create_of_another(vendor, keep, tmp_path):
    """It wrote its note into the store, and learned then that it must not send; later the ledger is put back."""
    store = tmp_path / "store"
    store.mkdir()
    vendor.project.environment["BATCHFLOW_STORE"] = f"file://{store}"
    send_after_the_backup(vendor, keep)
    (note,) = store.glob("*/processed_files/.locks/*.sent/*")
    token, known = "f" * 24, settings.load(vendor.project.folder, vendor.project.environment)
    later = {"token": token, "key_mark": known.key_mark("openai", token), "sending_at": "2999-01-01T00:00:00+00:00"}
    never = json.loads(note.read_bytes()) | later
    data = json.dumps(never).encode()
    note.with_name(hashlib.sha256(data).hexdigest()).write_bytes(data)
    vendor.project.ok("start", "b")
    assert len(vendor.site.creates) == 1
    assert finish(vendor) == {"ok": 4}
    assert len(list(store.glob("*/processed_files/.locks/*.sent/*"))) == 2  # the next create removes them


def test_what_was_prepared_after_the_backup_too(vendor, keep):
    vendor.prepare("earlier")
    restore = keep()
    vendor.started()
    restore()
    vendor.prepare("between")  # takes the other's place in the ledger
    vendor.started()
    assert len(vendor.site.creates) == 1
    assert finish(vendor) == {"ok": 4}


def test_a_backup_from_between_two_tries_asks_about_the_later_one(vendor, keep):
    vendor.fault("reset", call="create", when="before")
    vendor.fault("status", call="list", status=503, times=2)
    vendor.prepare()
    vendor.project.refused(5, "start", "b")  # nobody knows: it stays `sending`
    restore = keep()
    vendor.project.ok("start", "b")
    restore()
    vendor.project.ok("start", "b")
    assert len(vendor.site.creates) == 1
    assert finish(vendor) == {"ok": 4}


def test_what_never_was_is_sent_after_all(vendor, keep):
    vendor.prepare()
    restore = keep()
    vendor.fault("reset", call="create", when="before")
    vendor.project.refused(5, "start", "b")
    restore()
    assert vendor.project.ok("start", "b")["sent_now"] == 1
    assert len(vendor.site.creates) == 1


def test_a_batch_that_was_cut_since_needs_you(vendor, keep):
    send_after_the_backup(vendor, keep, "--canary", 1)
    said = vendor.project.refused(6, "start", "b")
    assert "its parts differ from those in the ledger" in said
    assert len(vendor.site.creates) == 1


def test_a_memory_whose_writing_was_cut_is_none(vendor):
    vendor.prepare()
    with vendor.project.ledger() as ledger, ledger.read() as tx:
        nonce = batches.get(tx, "b").nonce
    folder = vendor.project.folder / "processed_files/.locks"
    folder.mkdir(exist_ok=True)
    (folder / f"{nonce}-0.sent").write_bytes(b'{"token":"abc","sha')
    assert vendor.project.ok("start", "b")["sent_now"] == 1


def test_delete_forgets_and_keys_are_not_remembered(vendor):
    vendor.ended()
    (memory,) = memories(vendor)
    text = (vendor.project.folder / "processed_files/.locks" / memory).read_text()
    assert vendor.project.environment["OPENAI_API_KEY"] not in text
    with vendor.project.ledger() as ledger, ledger.read() as tx:
        assert jobs.of_batch(tx, batches.get(tx, "b").id)[0].token in text
    vendor.project.ok("delete", "b", "--force")
    assert memories(vendor) == []
    vendor.started()
    assert len(vendor.site.creates) == 2


def test_a_canary_that_an_older_ledger_does_not_know_is_not_made_again(vendor, keep):
    send_after_the_backup(vendor, keep, "--canary", 1)
    assert "too late for a canary" in vendor.project.refused(2, "start", "b", "--canary", 1)
    assert len(vendor.site.creates) == 1


def test_a_delete_forgets_parts_that_an_older_ledger_has_not(vendor, keep):
    vendor.prepare()
    restore = keep()
    vendor.project.ok("start", "b", "--canary", 1)
    vendor.project.run("get", "b", "--refresh-after", 0)
    vendor.project.ok("start", "b")
    assert len(memories(vendor)) == 2
    restore()
    assert "may still be running at the vendor" in vendor.project.refused(6, "delete", "b")
    vendor.project.ok("delete", "b", "--force")
    assert memories(vendor) == []


def test_a_backup_from_between_claim_and_create_asks_too(vendor, keep):
    vendor.prepare()
    restore = keep()
    vendor.project.ok("start", "b")
    with vendor.project.ledger() as ledger, ledger.read() as tx:
        job = jobs.of_batch(tx, batches.get(tx, "b").id)[0]
    restore()
    with vendor.project.ledger() as ledger, ledger.write() as tx:
        told = {"token": job.token}
        jobs.move(tx, job.id, Event.CLAIM, now=job.claimed_at, detail=told, claimed_by=job.claimed_by, **told)
    ran = vendor.project.run("start", "b")
    assert (ran.code, "was about to be sent" in ran.err) == (0, True)
    assert len(vendor.site.creates) == 1
    assert finish(vendor) == {"ok": 4}


def test_a_memory_that_cannot_be_read_is_no_sign_that_nothing_was_sent(vendor, keep):
    send_after_the_backup(vendor, keep)
    (memory,) = memories(vendor)
    path = vendor.project.folder / "processed_files/.locks" / memory
    path.unlink()
    path.mkdir()
    assert "move it away" in vendor.project.refused(1, "start", "b")
    assert len(vendor.site.creates) == 1


def test_cancel_stops_what_an_older_ledger_does_not_know(vendor, keep):
    send_after_the_backup(vendor, keep)
    made = vendor.project.ok("cancel", "b")
    assert (made["asked"], made["unsent"]) == (1, 0)
    assert vendor.calls("cancel") == 1


def test_cancel_closes_what_the_folder_remembers_and_the_vendor_never_had(vendor, keep):
    vendor.prepare()
    restore = keep()
    vendor.fault("reset", call="create", when="before")
    vendor.project.refused(5, "start", "b")
    restore()
    made = vendor.project.ok("cancel", "b")
    assert (made["asked"], made["unsent"]) == (0, 1)
    assert vendor.project.ok("start", "b")["sent_now"] == 0
