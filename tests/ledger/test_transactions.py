"""Locks of transactions: who waits for whom on PostgreSQL, and that nobody does for ever."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.rows import add_batch, add_job

from batchflow.errors import LedgerError
from batchflow.ledger import Ledger, batches, jobs, transactions

SOON_S = 0.3  # long enough for a transaction that does not wait


@pytest.fixture
def other(url):
    """The ledger as another process has it."""
    opened = Ledger.open(url)
    yield opened
    opened.close()


def three(ledger):
    with ledger.write() as tx:
        return [add_batch(tx, f"b{number}", hints=0) for number in range(3)]


def add_one(ledger, batch_ids, names=()):
    """A thought about every batch: it was lost if another one came between."""
    with ledger.write(*batch_ids, names=names) as tx:
        for batch_id in batch_ids:
            batches.note(tx, batch_id, hints=batches.by_id(tx, batch_id).hints + 1)


def fall_silent(ledger, batch_id, meanwhile):
    """A transaction that says nothing until the server has ended it."""
    with ledger.write(batch_id) as tx:
        batches.note(tx, batch_id, hints=9)
        tx.exec_driver_sql(f"SET LOCAL {transactions._SILENCE} = '50ms'")
        meanwhile()
        batches.note(tx, batch_id, hints=10)


def waits(ledger, *batch_ids, names=()):
    """Tells whether a transaction waits for one that is open; it goes on once that one has ended."""
    began = threading.Event()

    def begin():
        with ledger.write(*batch_ids, names=names):
            began.set()

    thread = threading.Thread(target=begin)
    thread.start()
    return not began.wait(SOON_S), thread


def test_nothing_is_lost_and_nobody_waits_for_ever_whatever_is_locked_in_whatever_order(url, ledger):
    batch_ids, rounds = three(ledger), 12

    def work(seed):
        chance, mine, counts = random.Random(seed), Ledger.open(url), [0, 0, 0]
        for _ in range(rounds):
            chosen = chance.sample(batch_ids, chance.randint(1, 3))
            names = chance.sample(["a", "b", "c"], chance.randint(0, 2))
            if chance.random() < 0.2:
                with mine.write() as tx:
                    for batch_id in chosen:
                        batches.note(tx, batch_id, hints=batches.by_id(tx, batch_id).hints + 1)
            else:
                add_one(mine, chosen, names)
            for batch_id in chosen:
                counts[batch_ids.index(batch_id)] += 1
        mine.close()
        return counts

    with ThreadPoolExecutor(6) as pool:
        counted = [sum(column) for column in zip(*pool.map(work, range(6)), strict=True)]
    with ledger.read() as tx:
        assert [batches.by_id(tx, batch_id).hints for batch_id in batch_ids] == counted


@pytest.mark.parametrize("database", ["postgresql"])
class TestSideBySide:
    """PostgreSQL's own: SQLite has one writer."""

    @pytest.mark.parametrize(
        ("open_", "next_", "is_held_up"),
        [
            (((1,), ()), ((2,), ()), False),
            (((1, 2), ()), ((2, 3), ()), True),
            (((1,), ()), ((), ("x",)), False),
            (((), ("x",)), ((), ("y",)), False),
            (((2,), ("x",)), ((1,), ("x",)), True),
            (((1,), ()), ((), ()), True),
            (((), ()), ((1,), ()), True),
            (((), ()), ((), ("x",)), True),
        ],
    )
    def test_who_waits_for_whom(self, ledger, other, open_, next_, is_held_up):
        batch_ids = dict(zip((1, 2, 3), three(ledger), strict=True))
        (held, names), (wanted, further) = open_, next_
        with ledger.write(*(batch_ids[one] for one in held), names=names):
            waiting, thread = waits(other, *(batch_ids[one] for one in wanted), names=further)
        thread.join(30)
        assert (waiting, thread.is_alive()) == (is_held_up, False)

    def test_rows_of_a_batch_that_is_held_are_referred_to_without_waiting(self, ledger, other):
        """A judge is made while its batch is written: a foreign key takes no lock that a writer of the batch has."""
        parent, *_ = three(ledger)
        with ledger.write(parent) as tx, other.write(names=["judge"]) as second:
            batches.note(tx, parent, hints=7)
            add_job(second, add_batch(second, "judge", parent_id=parent))

    def test_it_reads_what_was_committed_while_it_waited_whatever_the_server_is_set_to(self, url, ledger):
        batch_id, *_ = three(ledger)
        with ledger.write() as tx:
            name = tx.exec_driver_sql("SELECT current_database()").scalar_one()
            tx.exec_driver_sql(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'repeatable read'")
        mine = Ledger.open(url)
        with ledger.write(batch_id) as tx:
            batches.note(tx, batch_id, hints=41)
            thread = threading.Thread(target=add_one, args=(mine, [batch_id]))
            thread.start()
            time.sleep(SOON_S)
        thread.join(30)
        mine.close()
        with ledger.read() as tx:
            assert batches.by_id(tx, batch_id).hints == 42

    def test_a_dead_hosts_transaction_is_ended_by_the_server(self, ledger, other):
        """It says nothing any more, and does not go away: others would wait for it for ever."""
        batch_id, *_ = three(ledger)
        with ledger.write(batch_id) as tx:
            assert tx.exec_driver_sql(f"SHOW {transactions._SILENCE}").scalar_one() == "5min"
        with pytest.raises(LedgerError, match="cannot be used") as caught:
            fall_silent(ledger, batch_id, lambda: add_one(other, [batch_id]))
        assert "server" in caught.value.hint
        with ledger.read() as tx:
            assert batches.by_id(tx, batch_id).hints == 1

    def test_a_process_that_cannot_wait_keeps_its_own_bound(self, url, ledger):
        batch_id, *_ = three(ledger)
        hasty = Ledger.open(url, patience_s=2.0)
        with hasty.write(batch_id) as tx:
            assert tx.exec_driver_sql(f"SHOW {transactions._SILENCE}").scalar_one() == "2s"
        hasty.close()

    def test_a_row_of_a_batch_that_is_not_held_is_found_by_these_tests(self, ledger):
        mine, foreign, _ = three(ledger)
        with ledger.write(foreign) as tx:
            job_id = add_job(tx, foreign)
        for change in (
            lambda tx: jobs.note(tx, job_id, word="x"),
            lambda tx: batches.note(tx, foreign, hints=1),
            lambda tx: batches.delete(tx, [foreign]),
        ):
            with pytest.raises(LedgerError, match="is not held"), ledger.write(mine) as tx:
                change(tx)
