"""A ledger copied to the other kind of database holds the same, and goes on as if nothing had happened."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
import sqlalchemy as sa
from helpers.rows import NOW, add_batch, add_job, add_requests, answered, request_id

from batchflow.errors import LedgerError, NotReady
from batchflow.ledger import Ledger, batches, jobs, labels, leases, request_rows, runs, sheets, suites, uploads
from batchflow.ledger.labels import Label
from batchflow.ledger.leases import Holder
from batchflow.ledger.models import METADATA
from batchflow.ledger.request_rows import NewVote
from batchflow.ledger.sheets import Sheet
from batchflow.ledger.suites import Group, Member, Suite
from batchflow.ledger.transfer import copy
from batchflow.states import Event


@pytest.fixture
def target(database, tmp_path, request):
    """An empty ledger on the other kind of database."""
    if database == "postgresql":
        url = f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), tmp_path / 'other.db')}"
    else:
        server = request.getfixturevalue("postgres")
        url = server.url(server.create(request.getfixturevalue("migrated_database")))
    opened = Ledger.open(url)
    yield opened
    opened.close()


def everything_else(tx, batch, job):
    """A row in each table that the pipeline fills later."""
    uploads.use(tx, job, "file-1", sha256="0" * 64, base_url=None, uploaded_at=NOW)
    leases.take(tx, job, Holder("h", "gone", 1), now=NOW, length_s=1.0, fenced=True)
    labels.put(tx, [Label(request_id(batch, 0), "right", 0.5, "half", "people.csv", 2)], now=NOW)
    sheets.put(tx, Sheet(batch, "right", 1 << 40, "aB-"), now=NOW)
    runs.put(tx, batch, {"until": "score", "größe": [1.5]}, now=NOW)
    suites.put(tx, Suite("s", (Member("läßt", "läßt"),), (Group("all", "macro", ("läßt",)),)), now=NOW)
    batches.record_score(tx, batch, field="right", method="mean", now=NOW, summary={"mean": 0.1})


@pytest.fixture
def filled(ledger):
    """A judged batch with three answers, and a batch that was deleted."""
    with ledger.write() as tx:
        batch = add_batch(tx, "läßt", spec={"größe": [1, 2.5, None]})
        job = add_job(tx, batch, n_requests=3)
        add_requests(tx, batch, job, range(3))
        jobs.move(tx, job, Event.CLAIM, now=NOW, detail={"token": "t1"}, token="t1")
        request_rows.settle(tx, [answered(batch, seq, error="ü\u2028") for seq in range(3)])
        judge = add_batch(tx, "judge", kind="judge", parent_id=batch)
        add_requests(tx, judge, add_job(tx, judge), range(3), about=batch)
        votes = [NewVote(request_id(judge, n), "right", request_id(batch, n), "valid", n / 3, "w") for n in range(3)]
        request_rows.put_votes(tx, judge, votes)
        everything_else(tx, batch, job)
        gone = add_batch(tx, "gone")
        batches.delete(tx, [gone])
    return batch, gone


def rows(ledger):
    with ledger.read() as tx:
        return {table.name: list(tx.execute(sa.select(table))) for table in METADATA.sorted_tables}


def test_every_row_and_the_ledgers_own_id_arrive(ledger, target, filled):
    report = copy(ledger, target)
    assert rows(target) == rows(ledger)
    assert {table.name: table.rows for table in report.tables} == {
        name: len(held) for name, held in rows(ledger).items()
    }
    assert len(rows(target)["requests"]) == 6
    assert all(rows(ledger).values()), "a table is empty: this test would not see it left out"
    assert target.check().problems == ledger.check().problems


def test_no_id_is_given_twice(ledger, target, filled):
    copy(ledger, target)
    with target.write() as tx:
        assert add_batch(tx, "later") > filled[1]


def test_a_ledger_is_not_copied_over_another(ledger, target, filled):
    with target.write() as tx:
        add_batch(tx, "theirs")
    before = rows(target)
    with pytest.raises(LedgerError, match="holds batches already"):
        copy(ledger, target)
    assert rows(target) == before


def test_a_ledger_with_a_worker_at_work_is_not_copied(ledger, target, filled):
    with ledger.write() as tx:
        job = add_job(tx, add_batch(tx, "mine", provider="local"), token="t-1")
        leases.take(tx, job, Holder("a", "here", 1), now=leases.now(tx), length_s=60, fenced=True)
    with pytest.raises(NotReady, match="a worker is at work on mine"):
        copy(ledger, target)
    with ledger.write() as tx:
        leases.beat(tx, job, Holder("a", "here", 1), now=leases.now(tx) - timedelta(hours=1))
    copy(ledger, target)


def test_a_target_that_keeps_something_else_is_told_and_left_empty(ledger, target, filled):
    with target.write() as tx:
        if tx.dialect.name == "sqlite":
            change = "CREATE TRIGGER spoil AFTER INSERT ON batches BEGIN UPDATE batches SET model = 'x'; END"
            tx.exec_driver_sql(change)
        else:
            body = "BEGIN NEW.model := 'x'; RETURN NEW; END"
            tx.exec_driver_sql(f"CREATE FUNCTION spoil() RETURNS trigger AS $$ {body} $$ LANGUAGE plpgsql")
            trigger = "CREATE TRIGGER spoil BEFORE INSERT ON batches FOR EACH ROW EXECUTE FUNCTION spoil()"
            tx.exec_driver_sql(trigger)
    with pytest.raises(LedgerError, match="table batches reads back differently"):
        copy(ledger, target)
    assert rows(target)["batches"] == []
