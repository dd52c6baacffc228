from __future__ import annotations

import contextlib
import multiprocessing
import os
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from helpers import warm
from helpers.rows import NOW, add_batch, add_job, add_requests, answered

from batchflow.errors import LedgerError
from batchflow.ledger import Ledger, batches, jobs, request_rows
from batchflow.ledger.core import HEAD
from batchflow.states import Event


def stamp(ledger, revision):
    with ledger.write() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = :to"), {"to": revision})


class TestOpening:
    def test_creates_the_ledger(self, blank):
        ledger = Ledger.open(blank)
        assert ledger.revision() == HEAD
        ledger.close()

    def test_without_migration_creates_no_tables(self, blank):
        ledger = Ledger.open(blank, migrate=False)
        assert ledger.revision() is None
        assert ledger.check().problems == (
            "there is no ledger here yet: the first command that makes a batch creates it",
        )
        ledger.close()

    def test_many_at_once_migrate_once(self, blank):
        seen, gate = [], threading.Barrier(6)

        def use():
            gate.wait()
            ledger = Ledger.open(blank)
            with ledger.read() as tx:
                seen.append(batches.ledger_id(tx))
            ledger.close()

        threads = [threading.Thread(target=use) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 6
        assert len(set(seen)) == 1

    def test_a_new_file_that_another_program_writes_to_is_waited_for(self, tmp_path):
        """SQLite's busy timeout does not hold for the switch to the write-ahead log."""
        path = tmp_path / "ledger.db"
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        free = threading.Timer(0.3, other.rollback)
        free.start()
        ledger = Ledger.open(f"sqlite:///{path}")
        assert ledger.revision() == HEAD
        ledger.close()
        free.join()
        other.close()

    def test_a_newer_ledger_is_refused_and_not_touched(self, url, ledger):
        stamp(ledger, "9999")
        for use in (lambda: Ledger.open(url), ledger.upgrade):
            with pytest.raises(LedgerError, match=r"newer batchflow \(revision 9999, this program knows") as caught:
                use()
            assert "upgrade batchflow" in caught.value.hint
        assert ledger.check().problems == (f"the schema is at 9999, the program needs {HEAD}",)

    def test_a_revision_that_never_was_is_told(self, url, ledger):
        stamp(ledger, "0000")
        with pytest.raises(LedgerError, match="cannot be migrated"):
            Ledger.open(url)

    @pytest.mark.parametrize(
        ("url", "text"),
        [
            ("not a url", "cannot be opened"),
            ("oracle9i://x", "cannot be opened"),
            ("mysql://me@host/db", "cannot be kept in 'mysql'"),
            ("postgres://me@host/db", "cannot be kept in 'postgres'"),
            ("sqlite://", "in memory"),
            ("sqlite:////no/such/folder/ledger.db", "does not exist"),
            ("postgresql+psycopg://postgres@/x?host=/no/such/folder", "cannot be used"),
        ],
    )
    def test_what_cannot_be_opened_says_why(self, url, text):
        with pytest.raises(LedgerError, match=text) as caught:
            Ledger.open(url)
        assert caught.value.hint

    @pytest.mark.parametrize("url", ["mysql://me@host/db", "not a url"])
    def test_the_two_kinds_that_are_known_are_named(self, url):
        with pytest.raises(LedgerError) as caught:
            Ledger.open(url)
        assert "sqlite:///" in caught.value.hint
        assert "postgresql+psycopg://" in caught.value.hint

    @pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
    def test_a_database_that_cannot_hold_every_text_is_refused_and_left_as_it_is(self, postgres, encoding):
        url = postgres.url(postgres.create(encoding=encoding))
        opened = Ledger.open(url, migrate=False)
        for use in (lambda: Ledger.open(url), opened.upgrade, opened.check):
            with pytest.raises(LedgerError, match=f"is in {encoding}") as caught:
                use()
            assert "ENCODING 'UTF8'" in caught.value.hint
        with opened.read() as tx:
            assert tx.scalar(sa.text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")) == 0
        opened.close()

    def test_a_server_that_cannot_be_used_is_not_a_full_disk(self, postgres):
        with pytest.raises(LedgerError, match='database "nobody" does not exist') as caught:
            Ledger.open(postgres.url("nobody"))
        assert "does the server run" in caught.value.hint

    def test_a_user_without_rights_is_not_damage(self, postgres, migrated_database):
        name = postgres.create(migrated_database)
        owner = Ledger.open(postgres.url(name))
        with owner.write() as tx:
            tx.execute(sa.text("CREATE ROLE guest LOGIN"))
        owner.close()
        with pytest.raises(LedgerError, match="permission denied") as caught:
            Ledger.open(postgres.url(name).replace("postgres@", "guest@"))
        assert "rights" in caught.value.hint

    @pytest.mark.parametrize("url", ["postgresql+psycopg://me:s3cret!pw@127.0.0.1:9/db", "nodb://me:s3cret!pw@h/db"])
    def test_the_password_is_in_no_text(self, url):
        with pytest.raises(LedgerError) as caught:
            Ledger.open(url)
        assert "s3cret" not in f"{caught.value} {caught.value.hint}"


class TestTransactions:
    def test_writers_come_one_after_the_other_and_see_each_other(self, url, ledger):
        """Read, think, write: nobody's thought is lost. PostgreSQL alone would let both read the same."""
        with ledger.write() as tx:
            add_batch(tx, "counter", hints=0)

        def count_up():
            mine = Ledger.open(url)
            for _ in range(5):
                with mine.write() as tx:
                    batches.note(tx, 1, hints=batches.get(tx, "counter").hints + 1)
            mine.close()

        threads = [threading.Thread(target=count_up) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with ledger.read() as tx:
            assert batches.get(tx, "counter").hints == 20

    def test_a_reader_sees_one_moment(self, url, ledger):
        with ledger.write() as tx:
            add_batch(tx, "first")
        other = Ledger.open(url)
        with ledger.read() as tx:
            before = [batch.name for batch in batches.listing(tx)]
            with other.write() as writing:
                add_batch(writing, "second")
            assert [batch.name for batch in batches.listing(tx)] == before
        other.close()
        with ledger.read() as tx:
            assert [batch.name for batch in batches.listing(tx)] == ["first", "second"]

    def test_a_reader_cannot_write_unseen(self, ledger):
        with ledger.write() as tx:
            add_batch(tx, "first")
        if ledger.url.startswith("postgresql"):
            with pytest.raises(LedgerError, match="read-only"), ledger.read() as tx:
                batches.note(tx, 1, hints=9)

    def test_what_fails_leaves_nothing(self, ledger):
        with pytest.raises(ZeroDivisionError), ledger.write() as tx:
            add_batch(tx, name=f"{1 / (add_batch(tx) - 1)}")
        with ledger.read() as tx:
            assert batches.listing(tx) == ()


class TestChecking:
    def whole(self, ledger):
        """A batch that went all the way."""
        with ledger.write() as tx:
            batch_id = add_batch(tx, n_requests=3)
            job_id = add_job(tx, batch_id, n_requests=3)
            add_requests(tx, batch_id, job_id, range(3))
            for what in (Event.CLAIM, Event.SEND, Event.ACCEPT, Event.FINISH):
                jobs.move(tx, job_id, what, now=NOW, remote_id="batch_1")
            request_rows.settle(tx, [answered(batch_id, seq) for seq in range(3)])
            jobs.move(tx, job_id, Event.FETCH, now=NOW)
        return job_id

    def test_finds_nothing_in_a_whole_ledger(self, ledger):
        self.whole(ledger)
        assert ledger.check().problems == ()

    @pytest.mark.parametrize(
        ("statement", "problem"),
        [
            ("DELETE FROM requests WHERE id % 2 = 0", "do not add up"),
            ("UPDATE requests SET outcome = NULL", "no outcome"),
            ("UPDATE jobs SET state = 'lost'", "last event disagrees"),
            ("UPDATE jobs SET state = 'running', remote_id = NULL", "without a vendor id"),
        ],
    )
    def test_finds_contradictions(self, ledger, statement, problem):
        self.whole(ledger)
        with ledger.write() as tx:
            tx.execute(sa.text(statement))
        assert any(problem in text for text in ledger.check().problems)


class TestSqliteFiles:
    @pytest.fixture
    def database(self):
        return "sqlite"

    def test_settings_of_a_connection(self, ledger):
        """Foreign keys hold, writers wait for one another, a committed intent survives a power cut."""
        with ledger.read() as tx:
            told = {name: tx.exec_driver_sql(f"PRAGMA {name}").scalar() for name in
                    ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")}  # fmt: skip
        assert told == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000, "synchronous": 2}

    def test_a_writer_takes_the_lock_at_once(self, url, ledger):
        other = Ledger.open(url)
        with ledger.write(), other._engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA busy_timeout = 1")
            with pytest.raises(sa.exc.OperationalError, match="locked"):
                connection.exec_driver_sql("BEGIN IMMEDIATE")
        other.close()

    @pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
    def test_a_network_file_system_is_refused_before_anything_is_made(self, tmp_path, monkeypatch, kind):
        share = tmp_path / "a share"
        (share / "evals").mkdir(parents=True)
        mounts = tmp_path / "mountinfo"
        place = str(share).replace(" ", "\\040")
        mounts.write_text(
            f"21 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 21 0:40 / {place} rw shared:9 - {kind} host:/x rw\n"
        )
        monkeypatch.setattr("batchflow.ledger.file_systems.MOUNTS", mounts)
        with pytest.raises(LedgerError, match=rf"network file system \({kind}\), where the locks") as caught:
            Ledger.open(f"sqlite:///{share}/evals/ledger.db")
        assert "BATCHFLOW_DATABASE_URL" in caught.value.hint
        assert list(share.rglob("*")) == [share / "evals"]
        monkeypatch.chdir(share)
        Ledger.open("sqlite:///file:ledger.db?uri=true").close()  # its author knows better
        Ledger.open(f"sqlite:///{tmp_path / 'local.db'}").close()

    def test_an_old_sqlite_is_refused_before_anything_is_made(self, tmp_path, monkeypatch):
        monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 26, 0))  # RHEL 8
        with pytest.raises(LedgerError, match=r"SQLite 3\.26\.0, and a ledger needs 3\.35"):
            Ledger.open(f"sqlite:///{tmp_path / 'old.db'}")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("damage", ["truncated", "overwritten", "no database"])
    def test_damage_is_a_text_and_not_a_traceback(self, url, ledger, tmp_path, damage):
        TestChecking().whole(ledger)
        ledger.close()
        path = tmp_path / "ledger.db"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = path.read_bytes()
        for leftover in ("-wal", "-shm"):
            Path(f"{path}{leftover}").unlink(missing_ok=True)
        broken = {
            "truncated": whole[: len(whole) // 3],
            "overwritten": whole[:4096] + b"\xa5" * (len(whole) - 4096),
            "no database": b"a letter to my aunt\n" * 300,
        }
        path.write_bytes(broken[damage])
        assert "damaged" in self.opinion_of(url)

    def opinion_of(self, url):
        """What a user is told of a ledger, by whatever looks first."""
        try:
            opened = Ledger.open(url)
            problems = opened.check().problems
            opened.close()
        except LedgerError as error:
            return str(error)
        return f"damaged: {problems}" if problems else "fine"

    def test_backup_of_a_live_ledger(self, url, ledger, tmp_path):
        """Somebody has an open write transaction: the copy holds what was committed."""
        TestChecking().whole(ledger)
        other = Ledger.open(url)
        with other.write() as tx:
            add_batch(tx, "not committed")
            report = ledger.backup(tmp_path / "copies" / "copy.db")
        other.close()
        assert report.backup == str(tmp_path / "copies" / "copy.db")
        copy = Ledger.open(f"sqlite:///{report.backup}")
        with copy.read() as tx:
            assert [batch.name for batch in batches.listing(tx)] == ["first"]
        assert copy.check().problems == ()
        copy.close()

    def test_backup_never_overwrites(self, ledger, tmp_path):
        target = tmp_path / "copy.db"
        target.write_text("mine")
        with pytest.raises(LedgerError, match="exists already"):
            ledger.backup(target)
        assert target.read_text() == "mine"

    def test_no_backup_of_what_is_not_there(self, tmp_path):
        ledger = Ledger.open(f"sqlite:///{tmp_path / 'nothing.db'}", migrate=False)
        with pytest.raises(LedgerError, match="no ledger"):
            ledger.backup(tmp_path / "copy.db")
        ledger.close()
        assert not (tmp_path / "copy.db").exists()

    def test_a_folder_that_cannot_be_written_is_told(self, tmp_path):
        path = tmp_path / "folder.db"
        path.mkdir()
        with pytest.raises(LedgerError, match="cannot be used"):
            Ledger.open(f"sqlite:///{path}")


def test_processes_that_start_together_share_one_ledger(blank, tmp_path):
    command = [warm.batchflow(), "--project", str(tmp_path), "ledger", "upgrade"]
    environment = {**os.environ, "BATCHFLOW_DATABASE_URL": blank}
    running = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) for _ in range(4)
    ]
    said = [process.communicate(timeout=60)[1] for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    ledger = Ledger.open(blank, migrate=False)
    assert ledger.check().problems == ()
    ledger.close()


def test_only_sqlite_is_backed_up_here(postgres, migrated_database, tmp_path):
    ledger = Ledger.open(postgres.url(postgres.create(migrated_database)))
    with pytest.raises(LedgerError, match="only SQLite") as caught:
        ledger.backup(tmp_path / "copy")
    ledger.close()
    assert "pg_dump" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_nothing_and_holds_up_nobody(url, ledger):
    """What a process had not committed dies with it, and so does its lock."""

    def die_inside(at):
        mine = Ledger.open(at)
        with mine.write() as tx:
            add_batch(tx, "never")
            os._exit(9)

    child = multiprocessing.get_context("fork").Process(target=die_inside, args=(url,))
    child.start()
    child.join(30)
    assert child.exitcode == 9
    with ledger.write() as tx:
        assert batches.listing(tx) == ()
        add_batch(tx, "after")
