"""The guards of conftest.py: a test that leaves its folder or this machine fails."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from batchflow import settings
from batchflow.ledger import Ledger


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.org"])
def test_other_hosts_cannot_be_reached(host):
    with pytest.raises(AssertionError, match=r"look-up|connection"):
        socket.create_connection((host, 80), timeout=1)


def test_this_machine_can_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_a_ledger_elsewhere_raises(tmp_path):
    elsewhere = Path(__file__).parent / "never.db"
    with pytest.raises(AssertionError, match="a ledger at"):
        Ledger.open(f"sqlite:///{elsewhere}")
    with pytest.raises(AssertionError, match="a ledger at"):
        sqlite3.connect(f"file:{elsewhere}?mode=ro", uri=True)
    assert not elsewhere.exists()
    Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}").close()


def test_no_key_and_no_home_of_the_user():
    known = settings.load(Path.cwd(), dict(os.environ))
    assert known.vendors_with_key() == ()
    assert not known.home.exists()
    assert not any(name.startswith("BATCHFLOW_") for name in set(os.environ) - {"BATCHFLOW_HOME"})


def test_child_processes_find_no_way_out():
    code = "import urllib.request as r; r.urlopen('http://example.org/', timeout=5)"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 1
    assert "refused" in made.stderr
