"""Opening, migrating and checking the ledger, and the only two ways into it: `read()` and `write()`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from batchflow import files
from batchflow.errors import DamagedLedger, LedgerError
from batchflow.ledger import damage, dialect, models, transactions

Tx = sa.Connection
"""An open transaction, as `read` and `write` yield it, for callers that may not import SQLAlchemy."""

HEAD = "0015"
"""Revision of the newest migration; a test holds it to migrations/. Here, so that opening needs no Alembic."""


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """Report of `ledger upgrade|check|backup`. revision None: not created yet."""

    url: str
    revision: str | None
    head: str
    problems: tuple[str, ...] = ()
    backup: str | None = None


class Ledger:
    """Transactions on one database. Functions of this package take the `tx` that these methods yield."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str, *, migrate: bool = True, create: bool = True, patience_s: float | None = None) -> Ledger:
        """Open, and create or migrate where needed. Raises LedgerError for a newer or unreachable ledger.

        create: False gives an empty ledger in memory where there is none yet.
        patience_s: after so long without an answer, a transaction raises LedgerError (default: 30 s on SQLite, and
        on PostgreSQL as the server is set).
        """
        parsed_url = dialect.parsed(url)
        try:
            _refuse_unknown_kind(parsed_url)
            bounds = dialect.connect_arguments(parsed_url, patience_s)
            engine = sa.create_engine(
                parsed_url, json_serializer=_json_text, json_deserializer=_json_value, connect_args=bounds
            )
        except (sa.exc.ArgumentError, ImportError) as error:
            text = (
                f"the ledger {dialect.shown(parsed_url)} cannot be opened: {dialect.without_secrets(error, parsed_url)}"
            )
            raise LedgerError(text, hint=dialect.DRIVER_HINT) from None
        dialect.prepare(engine, patience_s)
        ledger = cls(engine)
        try:
            if not create and (ledger.is_gone or ledger.revision() is None):
                ledger.close()
                return cls.empty()
            if migrate:
                ledger._ensure_current()
        except BaseException:
            ledger.close()
            raise
        return ledger

    @classmethod
    def empty(cls) -> Ledger:
        """A ledger without batches that lies nowhere, for who only looks."""
        engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        models.METADATA.create_all(engine)
        return cls(engine)

    @property
    def url(self) -> str:
        """URL of the ledger, its password hidden."""
        return dialect.shown(self._engine.url)

    @property
    def one_host(self) -> bool:
        """True when only processes of this host can use it: SQLite's locks do not hold on network file systems."""
        return self._engine.dialect.name == "sqlite"

    @property
    def is_gone(self) -> bool:
        """True when the file of a SQLite ledger is not there; open connections would go on in the deleted one."""
        return dialect.is_absent(self._engine)

    def misfit(self) -> str:
        """Lists problems of the schema for this program. Creates and migrates nothing."""
        revision = self.revision()
        return "" if revision == HEAD else f"the ledger {self.url} is at revision {revision}, this program needs {HEAD}"

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent view; nothing is written."""
        with _explained(self._engine.url), transactions.reading(self._engine) as connection:
            yield connection

    @contextmanager
    def write(self, *batch_ids: int, names: Iterable[str] = ()) -> Iterator[sa.Connection]:
        """One transaction that takes its locks at once, so that what was read in it still holds at its end.

        batch_ids: the batches of which it changes anything. names: what it decides on that has no row of its own, such
        as the name of a batch to be made. With neither it has the whole ledger to itself.
        """
        with _explained(self._engine.url), transactions.writing(self._engine, batch_ids, names) as connection:
            yield connection

    @contextmanager
    def alone(self, keys: Sequence[int], *, busy: Callable[[], None]) -> Iterator[None]:
        """Hold locks that processes of other hosts see as well; no transaction is open meanwhile.

        On SQLite, whose processes share one host, it is the caller's file locks that count. busy: called before it
        waits for another holder.
        """
        with _explained(self._engine.url), transactions.alone(self._engine, keys, busy):
            yield

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def revision(self) -> str | None:
        """Revision of the database, None when it has never been migrated.

        Raises LedgerError for one that is not in UTF-8, and for a ledger that has lost its revision.
        """
        with self.read() as tx:
            dialect.refuse_encoding(tx, self.url)
            if not dialect.has_table(tx, "alembic_version"):
                return None
            noted = tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
            if not noted and dialect.has_table(tx, "batches"):
                text = f"the ledger {self.url} is damaged: its table alembic_version holds no revision"
                raise LedgerError(text, hint=_DAMAGE_HINT)
            return str(noted) if noted else None

    def upgrade(self) -> LedgerReport:
        """Bring the schema to HEAD. Two processes at once do it once."""
        with transactions.only_one(self._engine):
            if self.revision() != HEAD:
                _refuse_newer(self.revision(), self.url)
                _alembic(self._engine)
        return LedgerReport(self.url, self.revision(), HEAD)

    def check(self) -> LedgerReport:
        """Look for a schema that is not HEAD's, and for rows that contradict one another."""
        problems: list[str] = []
        revision = None if self.is_gone else self.revision()  # looking would create an empty file
        if revision is None:
            problems.append("there is no ledger here yet: the first command that makes a batch creates it")
        elif revision != HEAD:
            problems.append(f"the schema is at {revision}, the program needs {HEAD}")
        else:
            with self.read() as tx:
                problems += dialect.integrity(tx)
                problems += [
                    f"{text}: {count} rows" for text, query in _CONTRADICTIONS.items() if (count := tx.scalar(query))
                ]
                problems += damage.values(tx)
        return LedgerReport(self.url, revision, HEAD, tuple(problems))

    def backup(self, target: Path) -> LedgerReport:
        """Copy a live SQLite ledger to a new file. Raises LedgerError for other databases and existing targets."""
        if target.exists():
            raise LedgerError(f"{target} exists already", hint="name a file that does not exist")
        revision = None if self.is_gone else self.revision()
        if revision is None:
            raise LedgerError(f"there is no ledger at {self.url} yet", hint="batchflow ledger upgrade creates it")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = files.aside(target)
        try:
            with _explained(self._engine.url):
                dialect.backup(self._engine, temporary)
            files.settle(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return LedgerReport(self.url, revision, HEAD, backup=str(target))

    def _ensure_current(self) -> None:
        revision = self.revision()
        if revision != HEAD:
            _refuse_newer(revision, self.url)
            self.upgrade()


_KINDS = frozenset({"sqlite", "postgresql"})

_BUSY_HINT = "is the disk full, or is another program using it?"

_LOCKED_AWAY_HINT = (
    "do you have write permission for it and its folder? --project names another folder, BATCHFLOW_DATABASE_URL"
    " another ledger"
)

_SERVER_HINT = "does the server run, and does it know the user, password and database of BATCHFLOW_DATABASE_URL?"

_HELD_HINT = "another command or program has held it all the time: pg_stat_activity tells which; then run it again"

_RIGHTS_HINT = "has the user of BATCHFLOW_DATABASE_URL all rights on the ledger's tables? If so, please report it"

_DAMAGE_HINT = "put a backup in its place (batchflow ledger backup makes them), or ask sqlite3's .recover for its rows"

_CONTRADICTIONS: dict[str, sa.TextClause] = {
    "requests whose job is missing": sa.text("SELECT count(*) FROM requests WHERE job_id NOT IN (SELECT id FROM jobs)"),
    "jobs whose requests do not add up": sa.text(
        "SELECT count(*) FROM jobs j WHERE n_requests <> (SELECT count(*) FROM requests r WHERE r.job_id = j.id)"
    ),
    "fetched jobs with requests that have no outcome": sa.text(
        "SELECT count(*) FROM jobs j JOIN requests r ON r.job_id = j.id WHERE j.state = 'fetched' AND r.outcome IS NULL"
    ),
    "batches whose requests do not add up": sa.text(
        "SELECT count(*) FROM batches b WHERE n_requests <> (SELECT count(*) FROM requests r JOIN jobs j"
        " ON r.job_id = j.id WHERE j.batch_id = b.id)"
    ),
    "requests outside the range of their batch": sa.text(
        "SELECT count(*) FROM requests r JOIN jobs j ON r.job_id = j.id WHERE r.id < j.batch_id * 4294967296"
        " OR r.id >= (j.batch_id + 1) * 4294967296"
    ),
    "answers without the place of their bytes, or places without an answer": sa.text(
        "SELECT count(*) FROM requests WHERE (outcome = 'ok' AND raw_offset IS NULL)"
        " OR (raw_offset IS NULL) <> (raw_length IS NULL) OR (raw_offset IS NULL) <> (raw_file IS NULL)"
        " OR (outcome IS NULL AND raw_offset IS NOT NULL) OR (parsed IS NOT NULL AND outcome <> 'ok')"
        " OR (outcome = 'ok' AND parsed IS NULL) OR raw_offset < 0 OR raw_length < 0 OR raw_file < 0"
    ),
    "judges and retries whose batch is missing": sa.text(
        "SELECT count(*) FROM batches b WHERE (parent_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM batches p WHERE p.id"
        " = b.parent_id)) OR (retries_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM batches p"
        " WHERE p.id = b.retries_id))"
    ),
    "batches without a job": sa.text(
        "SELECT count(*) FROM batches b WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.batch_id = b.id)"
    ),
    "running jobs without a vendor id": sa.text(
        "SELECT count(*) FROM jobs WHERE state IN ('running', 'ended') AND remote_id IS NULL"
    ),
    "jobs whose last event disagrees with their state": sa.text(
        "SELECT count(*) FROM jobs j WHERE EXISTS (SELECT 1 FROM events e WHERE e.job_id = j.id) AND j.state <> "
        "(SELECT state FROM events e WHERE e.job_id = j.id ORDER BY e.id DESC LIMIT 1)"
    ),
}


def _json_text(value: Any) -> str:
    return files.dumps(value).decode()


def _json_value(text: str | bytes) -> Any:
    try:
        return files.loads(text)
    except (ValueError, TypeError):
        message = f"the ledger is damaged: {str(text)[:60]!r} is not JSON"
        raise DamagedLedger(message, hint="batchflow ledger check shows where") from None


def _hint(url: sa.URL, message: str) -> str:
    """Returns the hint for an OperationalError, by SQLite's words for SQLITE_READONLY and SQLITE_CANTOPEN."""
    if url.get_backend_name() != "sqlite":
        return _HELD_HINT if "lock timeout" in message else _SERVER_HINT
    return _LOCKED_AWAY_HINT if "readonly" in message or "unable to open" in message else _BUSY_HINT


@contextmanager
def _explained(url: sa.URL) -> Iterator[None]:
    """Database errors that a user can do something about, as LedgerError, without any password of the URL."""
    try:
        yield
    except (sa.exc.IntegrityError, sa.exc.DataError):
        raise
    except sa.exc.DatabaseError as error:
        message = dialect.without_secrets(error.orig, url)
        if isinstance(error, sa.exc.OperationalError) or error.connection_invalidated:
            what, hint = "cannot be used", _hint(url, message)
        elif isinstance(error, sa.exc.ProgrammingError):  # a missing table or right; SQLite says OperationalError
            what, hint = "refuses", _RIGHTS_HINT
        else:
            what, hint = "is damaged", _DAMAGE_HINT
        raise LedgerError(f"the ledger {dialect.shown(url)} {what}: {message}", hint=hint) from None


def _refuse_unknown_kind(url: sa.URL) -> None:
    """Raise LedgerError for a kind of database that has no SQL here, before its driver is loaded."""
    if (kind := url.get_backend_name()) not in _KINDS:
        raise LedgerError(
            f"the ledger {dialect.shown(url)} cannot be opened: it cannot be kept in {kind!r}",
            hint=dialect.DRIVER_HINT,
        )


def _refuse_newer(revision: str | None, url: str) -> None:
    if revision is not None and revision > HEAD:
        raise LedgerError(
            f"the ledger {url} was made by a newer batchflow (revision {revision}, this program knows {HEAD})",
            hint="upgrade batchflow, or point BATCHFLOW_DATABASE_URL at another ledger",
        )


def migrations_folder() -> Path:
    """The migrations: beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def _alembic(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(stdout=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - Alembic keeps it
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    where = dialect.shown(engine.url)
    try:
        with _explained(engine.url), transactions.writing(engine) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:  # a revision that this program has no migration for
        raise LedgerError(f"the ledger {where} cannot be migrated: {error}", hint=_DAMAGE_HINT) from None
    finally:
        config.stdout.close()


def temporary_url() -> str:
    """URL of a throw-away SQLite ledger; for `alembic check` and tests."""
    return f"sqlite:///{Path(tempfile.mkdtemp(prefix='batchflow-')) / 'ledger.db'}"
