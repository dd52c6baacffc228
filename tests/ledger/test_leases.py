from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from helpers.rows import NOW, add_batch, add_job

from batchflow.errors import LedgerError
from batchflow.ledger import Ledger, batches, leases
from batchflow.ledger.leases import Holder

HERE = Holder("aaaa", "here", 11)
HERE_TOO = Holder("bbbb", "here", 12)
THERE = Holder("cccc", "there", 11)


def seconds(count):
    return timedelta(seconds=count)


@pytest.fixture
def job(ledger):
    with ledger.write() as tx:
        return add_job(tx, add_batch(tx, provider="local"), token="t-1")


@pytest.fixture
def take(ledger, job):
    """Try for the lease of 30 s: the token of whoever holds it then."""

    def done(holder, now=NOW, *, fenced=True):
        with ledger.write() as tx:
            return leases.take(tx, job, holder, now=now, length_s=30, fenced=fenced).holder

    return done


def standing(ledger, job):
    with ledger.read() as tx:
        return leases.of_jobs(tx, [job]).get(job)


def test_a_free_lease_is_taken_and_told(ledger, job, take):
    assert standing(ledger, job) is None
    assert take(HERE) == "aaaa"
    held = standing(ledger, job)
    assert (held.holder, held.host, held.pid, held.length_s) == ("aaaa", "here", 11, 30.0)
    assert held.taken_at == held.beat_at == NOW


@pytest.mark.parametrize(
    ("holder", "after_s", "fenced", "takes"),
    [
        (THERE, 30, True, False),
        (THERE, 31, True, True),
        (THERE, 31, False, True),
        (HERE_TOO, 1, True, True),  # the file lock is the new one's, so the earlier one is dead
        (HERE_TOO, 1, False, False),
        (HERE_TOO, 31, False, True),
        (HERE, 1, True, True),
    ],
)
def test_who_may_take_it_from_a_holder_and_when(take, holder, after_s, fenced, takes):
    take(HERE)
    assert (take(holder, NOW + seconds(after_s), fenced=fenced) == holder.token) is takes


def test_a_beat_keeps_it(ledger, job, take):
    take(HERE)
    with ledger.write() as tx:
        assert leases.beat(tx, job, HERE, now=NOW + seconds(29))
    assert take(THERE, NOW + seconds(50)) == "aaaa"
    held = standing(ledger, job)
    assert (held.taken_at, held.beat_at) == (NOW, NOW + seconds(29))


def test_one_that_ran_out_is_good_again_when_nobody_took_it(ledger, job, take):
    take(HERE)
    with ledger.write() as tx:
        assert leases.beat(tx, job, HERE, now=NOW + seconds(500))
    assert take(THERE, NOW + seconds(510)) == "aaaa"


def test_nobody_beats_or_releases_what_was_taken_from_him(ledger, job, take):
    take(HERE)
    take(THERE, NOW + seconds(31))
    with ledger.write() as tx:
        assert not leases.beat(tx, job, HERE, now=NOW + seconds(32))
        assert not leases.release(tx, job, HERE)
    assert standing(ledger, job).beat_at == NOW + seconds(31)


def test_released_it_is_free(ledger, job, take):
    take(HERE)
    with ledger.write() as tx:
        assert leases.release(tx, job, HERE)
        assert not leases.beat(tx, job, HERE, now=NOW)
    assert standing(ledger, job) is None
    assert take(THERE) == "cccc"


def test_of_many_at_once_one_takes_it(url, job):
    gate, seen = threading.Barrier(5), []

    def grab(number):
        mine = Ledger.open(url, migrate=False)
        gate.wait()
        with mine.write() as tx:
            holder = Holder(f"h{number}", f"host{number}", 1)
            seen.append(leases.take(tx, job, holder, now=leases.now(tx), length_s=30, fenced=True).holder)
        mine.close()

    threads = [threading.Thread(target=grab, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 5
    assert len(set(seen)) == 1


def test_hosts_that_share_a_limited_server_are_counted(ledger):
    """Workers of one host share the limits there; who has another server, no limit or no life does not count."""
    pace = {"base_url": ["http://a/v1", "http://b/v1"], "rps": 6.0}
    cases = [
        ("one/x", pace, 0),
        ("one/y", pace, 0),
        ("two/x", {"base_url": ["http://b/v1"], "tpm": 60.0}, 0),
        ("three/x", {"base_url": ["http://c/v1"], "rps": 6.0}, 0),
        ("four/x", {"base_url": ["http://a/v1"]}, 0),
        ("five/x", pace, 31),
    ]
    with ledger.write() as tx:
        held = []
        for number, (place, options, age_s) in enumerate(cases):
            batch = add_batch(tx, name=f"n{number}", provider="local", options=options)
            held.append(add_job(tx, batch, token=f"n{number}"))
            holder = Holder(f"n{number}", place, 1)
            leases.take(tx, held[-1], holder, now=NOW - seconds(age_s), length_s=30, fenced=False)
        assert [leases.sharing_hosts(tx, job, NOW) for job in held] == [2, 2, 2, 1, 1, 3]


def test_time_goes_on_within_a_transaction(ledger):
    with ledger.write() as tx:
        first = leases.now(tx)
        assert leases.now(tx) > first
    assert first.utcoffset() == timedelta(0)


def test_a_job_is_found_by_its_token(ledger, job):
    with ledger.read() as tx:
        assert leases.job_of(tx, "t-1") == job
        assert leases.job_of(tx, "t-2") is None


def test_a_job_that_is_gone_has_no_lease_to_take(ledger, job, take):
    with ledger.write() as tx:
        tx.execute(sa.text("DELETE FROM jobs"))
    with pytest.raises(sa.exc.IntegrityError):
        take(HERE)


def test_the_leases_of_a_deleted_batch_go_with_it(ledger, job, take):
    take(HERE)
    with ledger.write() as tx:
        other = add_job(tx, add_batch(tx, "other"))
        leases.take(tx, other, THERE, now=NOW, length_s=30, fenced=False)
        batches.delete(tx, [batches.get(tx, "first").id])
    assert standing(ledger, job) is None
    assert standing(ledger, other).holder == "cccc"
    assert ledger.check().problems == ()


class TestAnImpatientLedger:
    def test_does_not_wait_long_for_another_writer(self, url, ledger):
        hasty = Ledger.open(url, migrate=False, patience_s=0.2)
        with ledger.write(), pytest.raises(LedgerError, match="cannot be used"), hasty.write():
            pass
        with hasty.write() as tx:
            assert leases.job_of(tx, "t-1") is None
        hasty.close()

    def test_knows_a_file_that_is_not_there(self, blank, database):
        opened = Ledger.open(blank, migrate=False)
        assert opened.one_host is opened.is_gone is (database == "sqlite")
        opened.close()

    def test_is_content_with_its_own_schema_only(self, ledger):
        assert ledger.misfit() == ""
        for revision in ("0001", "9999"):
            with ledger.write() as tx:
                tx.execute(sa.text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
            assert f"is at revision {revision}, this program needs" in ledger.misfit()
