"""No test leaves its own folder and this machine: sockets reach loopback only, ledgers lie where the test's files lie,
and the environment holds neither keys nor the user's home. Audit hooks see it however a library got there.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from ipaddress import ip_address
from pathlib import Path

import pytest
from helpers import both_ways, compiled, held, shortcuts, warm  # noqa: F401 - statements are compiled once
from helpers import postgres as servers
from helpers.certificate import one_certificate
from hypothesis import HealthCheck
from hypothesis import settings as examples

from batchflow.ledger import Ledger
from batchflow.settings import ACCESS

NOWHERE = "http://127.0.0.1:9"  # the discard port: a client that goes round the hooks in a child process ends here
LOOPBACK = "127.0.0.1,localhost,::1"

# an example that takes long says that the machine paused, and nothing about the code
examples.register_profile("patient", examples.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("patient")

_ROOTS: list[Path] = []  # the folder that holds all of this run's temporary files, while a test runs


class LeftTheMachine(AssertionError):
    """A test tried to reach another host."""


class LeftItsFolder(AssertionError):
    """A test opened a ledger outside its temporary folder."""


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        _stay_here(arguments[1])
    elif event == "socket.getaddrinfo" and not _is_here(arguments[0]):
        raise LeftTheMachine(f"name look-up of {arguments[0]!r}")
    elif event == "sqlite3.connect" and _ROOTS:
        _stay_inside(os.fsdecode(arguments[0]))  # type: ignore[arg-type]


def _stay_here(address: object) -> None:
    if isinstance(address, tuple) and not _is_here(address[0]):
        raise LeftTheMachine(f"connection to {address!r}")


def _is_here(host: object) -> bool:
    if host is None or host in {"", "localhost", b"localhost"}:
        return True
    try:
        return ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    except ValueError:
        return False


def _stay_inside(database: str) -> None:
    name = database.removeprefix("file:").partition("?")[0]
    if name in {"", ":memory:"} or any(Path(name).resolve().is_relative_to(root) for root in _ROOTS):
        return
    raise LeftItsFolder(f"a ledger at {database}")


sys.addaudithook(_watch)


def clean(environment: dict[str, str]) -> dict[str, str]:
    """An environment without vendor keys, base URLs, batchflow settings or a way out of the machine."""
    named = {name for access in ACCESS.values() for name in (*access.keys, *access.base_urls)}
    kept = {k: v for k, v in environment.items() if k not in named and not k.startswith(("BATCHFLOW_", "HF_"))}
    proxies = {name: NOWHERE for way in ("http", "https", "all") for name in (f"{way}_proxy", f"{way}_PROXY".upper())}
    return {**kept, **proxies, "NO_PROXY": LOOPBACK, "no_proxy": LOOPBACK}


def pytest_collection_finish() -> None:
    """The collector passes over what the modules of the tests have loaded, and comes less often: 5% of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True, scope="session")
def _own_temporary_folder(tmp_path_factory):
    """`tempfile` writes where pytest writes, here and in child processes."""
    before, folder = tempfile.tempdir, tmp_path_factory.mktemp("tempfile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        tempfile.tempdir = str(folder)
        yield
        warm.stop()
        tempfile.tempdir = before


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL, started once for all tests of a process that need one."""
    with servers.running() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_database(postgres):
    """The name of a database with an empty ledger; tests take copies of it.

    A transaction that changes rows of a batch that it does not hold fails there.
    """
    name = postgres.create()
    Ledger.open(postgres.url(name)).close()
    held.guard(f"host={postgres.folder} user=postgres dbname={name}")
    with held.telling():
        yield name


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return one_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def _template(tmp_path_factory):
    return tmp_path_factory.mktemp("template")


@pytest.fixture(autouse=True)
def migrations(_template):
    """New SQLite ledgers are copied; the tests of the ledger itself make them by migrations."""
    with shortcuts.migrated_by_copy(_template):
        yield


@pytest.fixture(autouse=True)
def _both_ways(monkeypatch):
    """Rows that are read the fast way are read the tolerant way too, in every test."""
    both_ways.compare_all(monkeypatch)


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory, monkeypatch, certificate):
    """A new home, no keys, and ledgers only below this run's temporary folder."""
    home = tempfile.mkdtemp(prefix="home-")
    wanted = clean(dict(os.environ)) | {"HOME": home, "BATCHFLOW_HOME": f"{home}/.batchflow"}
    wanted |= {"SSL_CERT_FILE": str(certificate)}
    for name in set(os.environ) - set(wanted):
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    _ROOTS[:] = [tmp_path_factory.getbasetemp().resolve()]
    yield
    _ROOTS.clear()
