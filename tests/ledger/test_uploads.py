from __future__ import annotations

from datetime import timedelta

import pytest
from helpers.rows import NOW, add_batch, add_job

from batchflow.ledger import batches, uploads

FILE = {"sha256": "a" * 64, "base_url": None, "uploaded_at": NOW}


@pytest.fixture
def job(ledger):
    with ledger.write() as tx:
        return add_job(tx, add_batch(tx))


def spare(tx, job, **other):
    return uploads.spare(tx, job, **({"sha256": "a" * 64, "base_url": None, "since": NOW} | other))


def test_a_file_is_spare_only_while_no_batch_may_be_made_of_it(ledger, job):
    with ledger.write() as tx:
        uploads.use(tx, job, "file-1", **FILE)
        assert spare(tx, job) is None
        uploads.release(tx, job, "file-1")
        assert spare(tx, job) == "file-1"
        uploads.use(tx, job, "file-1", **(FILE | {"uploaded_at": NOW + timedelta(hours=1)}))
        assert spare(tx, job) is None
        uploads.release(tx, job, "file-1")
        assert spare(tx, job, since=NOW + timedelta(minutes=1)) is None  # as old as its upload, not as its last use
        assert uploads.of_job(tx, job) == ("file-1",)


@pytest.mark.parametrize(
    "other", [{"sha256": "b" * 64}, {"base_url": "http://elsewhere"}, {"since": NOW + timedelta(seconds=1)}]
)
def test_other_bytes_another_vendor_and_old_files_do_not_fit(ledger, job, other):
    with ledger.write() as tx:
        uploads.use(tx, job, "file-1", **FILE)
        uploads.release(tx, job, "file-1")
        assert spare(tx, job, **other) is None
        assert spare(tx, job + 1) is None


def test_of_several_the_newest_is_taken(ledger, job):
    with ledger.write() as tx:
        for name in ("file-1", "file-2", "file-3"):
            uploads.use(tx, job, name, **(FILE | {"base_url": "http://there"}))
        for name in ("file-2", "file-1"):
            uploads.release(tx, job, name)
        assert spare(tx, job, base_url="http://there") == "file-2"
        assert uploads.of_job(tx, job) == ("file-1", "file-2", "file-3")


def test_they_go_with_their_batch(ledger):
    with ledger.write() as tx:
        batch = add_batch(tx)
        job = add_job(tx, batch)
        uploads.use(tx, job, "file-1", **FILE)
        batches.delete(tx, [batch])
        assert uploads.of_job(tx, job) == ()
