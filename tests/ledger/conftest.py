"""Every test of the storage runs twice: on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import shutil

import pytest

from batchflow.ledger import Ledger


@pytest.fixture(autouse=True)
def migrations():
    """Here, ledgers are made by their migrations."""


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory):
    """A migrated SQLite ledger; tests copy it, since migrating takes a hundred times as long."""
    path = tmp_path_factory.mktemp("migrated") / "ledger.db"
    Ledger.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    return request.param


@pytest.fixture
def blank(database, tmp_path, request):
    """URL of a database that no ledger was ever in."""
    if database == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server = request.getfixturevalue("postgres")
    return server.url(server.create())


@pytest.fixture
def url(database, tmp_path, request):
    """URL of a new ledger."""
    if database == "sqlite":
        path = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "ledger.db")
        return f"sqlite:///{path}"
    server = request.getfixturevalue("postgres")
    return server.url(server.create(request.getfixturevalue("migrated_database")))


@pytest.fixture
def ledger(url):
    opened = Ledger.open(url)
    yield opened
    opened.close()
