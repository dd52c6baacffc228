"""Everything that is SQLite's or PostgreSQL's own; the rest of the ledger is plain SQLAlchemy."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from batchflow import files
from batchflow.errors import LedgerError, install_extra
from batchflow.ledger.file_systems import network_of
from batchflow.settings import hideable

WRITES = "batchflow_writes"
"""Execution option of a connection whose transaction will write."""

BUSY_S = 30
_AGAIN_S = 0.01  # between two tries to switch to the write-ahead log
_AT_ONCE = 10  # rows that one statement adds
OLDEST_SQLITE = (3, 35)  # RETURNING; UPDATE .. FROM came with 3.33


DRIVER_HINT = (
    "BATCHFLOW_DATABASE_URL takes sqlite:////abs/path/ledger.db, or postgresql+psycopg://user@host/database,"
    f" which needs: {install_extra('postgres')}"
)

_SHOWN = frozenset(
    {"host", "port", "dbname", "sslmode", "application_name", "connect_timeout", "target_session_attrs"}
    | {"mode", "cache", "uri", "immutable", "nolock", "timeout", "check_same_thread"}
)
"""Options in a URL's query whose values may be shown; any other may be a password, or a mistyped name of one."""


def parsed(url: str) -> sa.URL:
    """The ledger's URL. Raises LedgerError, which repeats nothing of it: any part may hold a piece of a password."""
    try:
        engine_url = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # ValueError: a port that is no number, as after `:pass/word@`
        engine_url = None
    if engine_url is None or "@" in (engine_url.host or ""):
        hint = f"in a password write %40 for @, %3A for : and %2F for /. {DRIVER_HINT}"
        raise LedgerError("the ledger cannot be opened: its URL cannot be read", hint=hint)
    return engine_url


def shown(url: sa.URL) -> str:
    """The URL with stars for its passwords, those in its query too."""
    query = {name: value if name in _SHOWN else "***" for name, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def without_secrets(error: object, url: sa.URL) -> str:
    """Redacts the URL's passwords in a driver's message; one that equals the user's name stays."""
    text, values = str(error), [url.password]
    for name, value in url.query.items():
        if name not in _SHOWN:
            values += [value] if isinstance(value, str) else value
    for value in hideable(values):
        if value not in {url.username, url.host, url.database}:
            text = text.replace(value, "***")
    return text


def connect_arguments(url: sa.URL, patience_s: float | None) -> dict[str, Any]:
    """Arguments of a connection to PostgreSQL: its encoding, and bounds for a process that cannot wait long.

    patience_s: bounds libpq's `connect_timeout` (whole seconds, at least 2), its `tcp_user_timeout` (ms) and the
    server's own timeouts; None leaves the defaults of both.
    """
    if url.get_backend_name() == "sqlite":
        return {}
    text = {"client_encoding": "utf8"}  # else the database's own: in SQL_ASCII, every text is bytes
    if patience_s is None:
        return text
    ms = round(patience_s * 1000)
    bounds = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    options = " ".join(f"-c {name}={ms}" for name in bounds)
    return {**text, "connect_timeout": max(2, round(patience_s)), "tcp_user_timeout": ms, "options": options}


def prepare(engine: sa.Engine, patience_s: float | None = None) -> None:
    """Set up what each new connection needs. patience_s: how long SQLite waits for another writer, BUSY_S if None."""
    event.listen(engine, "before_cursor_execute", _made_storable, retval=True)
    if engine.dialect.name == "sqlite":
        _refuse_old(sqlite3.sqlite_version_info)
        _folder_exists(engine)
        wait_s = BUSY_S if patience_s is None else patience_s
        event.listen(engine, "connect", partial(_sqlite_connect, round(wait_s * 1000)))
        event.listen(engine, "begin", _sqlite_begin)


def is_absent(engine: sa.Engine) -> bool:
    """True when the file of a SQLite ledger is not there: a connection would make an empty one."""
    if engine.dialect.name != "sqlite" or "uri" in engine.url.query:  # a URI is SQLite's to read
        return False
    return not Path(engine.url.database or "").exists()


def _refuse_old(version: tuple[int, ...]) -> None:
    """Raise LedgerError for a SQLite that would fail in the middle of a command, as RHEL 8's system library would."""
    if version < OLDEST_SQLITE:
        have, need = (".".join(map(str, numbers)) for numbers in (version, OLDEST_SQLITE))
        raise LedgerError(
            f"this Python has SQLite {have}, and a ledger needs {need} or newer",
            hint="use a Python with its own SQLite (python.org, conda, uv), or PostgreSQL: BATCHFLOW_DATABASE_URL",
        )


def _folder_exists(engine: sa.Engine) -> None:
    path = engine.url.database
    if not path or path == ":memory:":
        raise LedgerError("a ledger in memory would be lost after this command", hint="name a file in the URL")
    if not Path(path).parent.is_dir():
        raise LedgerError(f"the folder of the ledger {path} does not exist", hint="create it, or change the URL")
    if "uri" not in engine.url.query and (kind := network_of(Path(path).parent)):  # a URI is its author's matter
        raise LedgerError(
            f"the ledger {path} lies on a network file system ({kind}), where the locks of SQLite do not hold",
            hint="set BATCHFLOW_DATABASE_URL to a file on a local disk, or to PostgreSQL where several hosts need it",
        )


def _sqlite_connect(wait_ms: int, raw: Any, _record: Any) -> None:
    # the driver would begin and commit by its own rules; BEGIN is ours, so that DDL rolls back too
    raw.isolation_level = None
    cursor = raw.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {wait_ms}")
    _write_ahead(cursor, wait_ms)
    cursor.execute("PRAGMA synchronous = FULL")  # a committed intent survives a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor, wait_ms: int) -> None:
    """Switch to the write-ahead log. A new file that another process writes to is waited for here.

    SQLite itself answers at once then, whatever the busy timeout is.
    """
    until = time.monotonic() + wait_ms / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
        else:
            return
        time.sleep(_AGAIN_S)


def _sqlite_begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def now(tx: sa.Connection) -> datetime:
    """The time of the one clock that all processes of a ledger share: the server's, or that of SQLite's one host."""
    if tx.dialect.name == "sqlite":
        return datetime.now(UTC)
    # CURRENT_TIMESTAMP would be the transaction's start
    clock: datetime = tx.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return clock.astimezone(UTC)


def has_table(tx: sa.Connection, name: str) -> bool:
    """Ask the catalogue directly: SQLAlchemy's inspector costs more than the rest of a `get`."""
    if tx.dialect.name == "sqlite":
        query = sa.text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name")
    else:
        query = sa.text("SELECT 1 FROM information_schema.tables WHERE table_name = :name")
    return tx.execute(query, {"name": name}).first() is not None


def refuse_encoding(tx: sa.Connection, url: str) -> None:
    """Raise LedgerError for a PostgreSQL database that is not in UTF-8: the first accented letter would break a write.

    The encoding of a database is chosen when it is created, and cannot be changed afterwards.
    """
    if tx.dialect.name == "sqlite":
        return
    encoding = str(tx.exec_driver_sql("SHOW server_encoding").scalar_one())
    if encoding != "UTF8":
        raise LedgerError(
            f"the database of the ledger {url} is in {encoding}, and answers come in every script: it has to be UTF8",
            hint="make another, and name it in the URL: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
        )


def integrity(tx: sa.Connection) -> list[str]:
    """The database's own opinion of its file."""
    if tx.dialect.name != "sqlite":
        return []
    faults = [str(row[0]) for row in tx.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"]
    broken = tx.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    return faults + ([f"foreign keys broken in {len(broken)} rows"] if broken else [])


def backup(engine: sa.Engine, target: Path) -> None:
    """SQLite's online backup. Raises LedgerError elsewhere."""
    if engine.dialect.name != "sqlite":
        raise LedgerError("only SQLite ledgers are backed up here", hint="use pg_dump for PostgreSQL")
    with engine.connect() as connection, closing(sqlite3.connect(target)) as copy:
        source = connection.connection.driver_connection
        if not isinstance(source, sqlite3.Connection):
            raise LedgerError("the SQLite driver is not the standard one")
        source.backup(copy)


def bulk(tx: sa.Connection, statement: str, rows: Iterable[Sequence[Any]]) -> int:
    """Run one statement with `?` places over many rows, as fast as the driver can; returns the rows it touched.

    No literal `?` may stand in the statement.
    """
    batch = [tuple(row) for row in rows]
    return _many(tx, statement, batch) if batch else 0


def _many(tx: sa.Connection, statement: str, rows: list[tuple[Any, ...]]) -> int:
    if tx.dialect.name != "sqlite":
        statement = statement.replace("?", "%s")
    return tx.exec_driver_sql(statement, rows).rowcount


_LITERAL = re.compile(r"[\w.:/@-]{0,100}", re.ASCII)
"""A text that means itself between quotes, in any database and driver."""


def bulk_insert(tx: sa.Connection, table: sa.Table, names: Sequence[str], columns: Sequence[Sequence[Any]]) -> int:
    """Add rows, given by column, to a table; returns how many. A value that all have stands in the statement.

    SQLite takes ten rows in one statement, in three quarters of the time.
    """
    if not columns or not columns[0]:
        return 0
    texts = [_literal(column) for column in columns]
    values, handed = f"({', '.join(text or '?' for text in texts)})", _handed(columns, texts)
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {values}"  # noqa: S608 - names of our own
    whole = len(handed) - len(handed) % _AT_ONCE if tx.dialect.name == "sqlite" else 0
    if not whole:
        return _many(tx, statement, handed)
    flat, size, rest = chain.from_iterable(handed[:whole]), _AT_ONCE * len(handed[0]), handed[whole:]
    tens = [tuple(islice(flat, size)) for _ in range(whole // _AT_ONCE)]
    count = _many(tx, statement + f", {values}" * (_AT_ONCE - 1), tens)
    return count + (_many(tx, statement, rest) if rest else 0)


def bulk_update(
    tx: sa.Connection, table: sa.Table, names: Sequence[str], keys: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> int:
    """Set columns of the rows that these keys name, which stand last in `names`; returns how many rows there were.

    A value that is the same in all rows stands in the statement, since handing it over costs as much as writing it.
    """
    return update_columns(tx, table, names, keys, packed(list(zip(*rows, strict=True)), len(keys))) if rows else 0


Columns = list[tuple[Any, ...]]
"""Rows by their columns. A column has one member, where all rows have the same value."""


def packed(columns: Columns, keys: int) -> Columns:
    """Columns of rows, each as short as it can be, but for the last `keys`. 1 and 1.0 are the same value here."""
    own = len(columns) - keys
    return [column if _varies(column) else column[:1] for column in columns[:own]] + columns[own:]


def unpacked(columns: Columns) -> list[tuple[Any, ...]]:
    """The rows of `packed`."""
    count = len(columns[-1])
    return list(zip(*(column if len(column) == count else column * count for column in columns), strict=True))


def update_columns(
    tx: sa.Connection, table: sa.Table, names: Sequence[str], keys: Sequence[str], columns: Columns
) -> int:
    """`bulk_update` of rows as `packed` gives them."""
    own, count = len(names) - len(keys), len(columns[-1])
    texts = [_literal(column) if len(column) == 1 else None for column in columns[:own]] + [None for _ in keys]
    columns = [column if len(column) == count else column * count for column in columns]
    changes = ", ".join(f"{name} = {text or '?'}" for name, text in zip(names[:own], texts[:own], strict=True))
    wanted = " AND ".join(f"{name} = ?" for name in keys)
    statement = f"UPDATE {table.name} SET {changes} WHERE {wanted}"  # noqa: S608 - names of our own
    return _many(tx, statement, _handed(columns, texts))


def _handed(columns: Sequence[Sequence[Any]], texts: list[str | None]) -> list[tuple[Any, ...]]:
    """The rows without the columns that stand in the statement."""
    return list(zip(*(column for column, text in zip(columns, texts, strict=True) if text is None), strict=True))


def _is_mixed(column: Sequence[Any]) -> bool:
    """Tells whether a column has several values, 1 and 1.0 among them."""
    return _varies(column) or (column[0].__class__ is int and float in set(map(type, column)))


def _varies(column: Sequence[Any]) -> bool:
    first = column[0]
    return bool(column[-1] != first) or column.count(first) != len(column)


def _literal(column: Sequence[Any]) -> str | None:
    """SQL text of the one value that a whole column has; None where it has several, or one that needs an escape."""
    first = column[0]
    if first is not None and first.__class__ is not int and not (first.__class__ is str and _LITERAL.fullmatch(first)):
        return None
    if _is_mixed(column):
        return None
    return "NULL" if first is None else str(first) if first.__class__ is int else f"'{first}'"


def tuples(tx: sa.Connection, query: sa.Select[Any], **values: Any) -> list[tuple[Any, ...]]:
    """All rows of a query as the driver gives them, for columns of texts and numbers only: SQLAlchemy's cost more."""
    with tx.execute(query, values) as result:
        return list(result.cursor.fetchall()) if result.cursor is not None else []


def streamed(tx: sa.Connection, query: sa.Select[Any]) -> Iterator[tuple[Any, ...]]:
    """`tuples`, a few thousand in memory at a time."""
    with tx.execute(query) as result:
        while result.cursor is not None and (rows := result.cursor.fetchmany(5_000)):
            yield from rows


def _made_storable(
    connection: sa.Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool
) -> tuple[str, Any]:
    """Make every text that goes to the database one that it can hold: vendors' texts may hold anything.

    SQLite's bulk rows are left as they are: it holds NUL, and the reader of raw rows lets no half of a pair through.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    if many:
        return statement, parameters if is_sqlite else [_storable_row(row, is_sqlite) for row in parameters]
    return statement, _storable_row(parameters, is_sqlite)


def _storable_row(row: Any, is_sqlite: bool) -> Any:
    if isinstance(row, dict):
        return {name: _storable(value, is_sqlite) for name, value in row.items()}
    return tuple(_storable(value, is_sqlite) for value in row)


def _storable(value: Any, is_sqlite: bool) -> Any:
    """A text without halves of surrogate pairs, which UTF-8 cannot write, and, for PostgreSQL, without NUL."""
    if not isinstance(value, str):
        return value
    if not value.isascii():
        value = files.encodable(value)
    return value if is_sqlite or "\0" not in value else value.replace("\0", files.UNKNOWN)


def storable(value: Any, tx: sa.Connection) -> Any:
    """A value as a database can hold it."""
    return _storable(value, tx.dialect.name == "sqlite")


def reserve_ids(source: sa.Connection, target: sa.Connection, table: sa.Table) -> None:
    """Moves a target table's counter beyond every id that the source ever gave."""
    column = table.autoincrement_column
    if column is None:
        return
    highest = _highest_id(source, table, column)
    if target.dialect.name != "sqlite":
        names = {"table": table.name, "column": column.name, "value": max(highest, 1), "used": highest > 0}
        query = "SELECT setval(pg_get_serial_sequence(:table, :column), :value, :used)"
        target.execute(sa.text(query), names)
    elif table.dialect_options["sqlite"]["autoincrement"]:
        target.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        values = {"name": table.name, "value": highest}
        target.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :value)"), values)


def _highest_id(tx: sa.Connection, table: sa.Table, column: sa.Column[Any]) -> int:
    """The highest id that a table ever gave, also of rows that are deleted, as far as the database remembers it."""
    present = int(tx.scalar(sa.select(sa.func.max(column))) or 0)
    if tx.dialect.name == "sqlite":
        query = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return max(present, int(tx.scalar(query, {"name": table.name}) or 0))
    names = {"table": table.name, "column": column.name}
    sequence = str(tx.scalar(sa.text("SELECT pg_get_serial_sequence(:table, :column)"), names))
    latest, is_used = tx.execute(sa.text(f"SELECT last_value, is_called FROM {sequence}")).one()  # noqa: S608 - the server's own name
    return max(present, int(latest) if is_used else 0)
