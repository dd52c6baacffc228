"""A user's folder, the vendor behind it, and the command line in between."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from crash.rehearsed import Vendors
from crash.runs import Order, Ran, Runner, bare
from helpers.certificate import one_certificate
from helpers.gateway import GATEWAY

from batchflow.rehearsal.faults import Fault
from batchflow.rehearsal.server import KEY

KILLED = -9
NAME, RETRY = "b", "b_retry_1"
ITEMS = 5
SETTINGS = """
[calls]
find_grace_s = 0
create_s = 0
base_s = 0
cap_s = 0

[limits.{vendor}]
requests = {part}
"""
GATEWAYS = f"""
[gateways.{GATEWAY}]
base_url = "http://127.0.0.1:9/v1"
[default]
{GATEWAY} = "qwen3-32b"
"""


class Failed(AssertionError):
    """Something is left behind, lost or done twice."""


def expect(holds: bool, what: str, *runs: Ran) -> None:
    """Raise Failed with the runs that led there, unless it holds."""
    if not holds:
        raise Failed("\n".join([what, *map(str, runs)]))


class Bench:
    """One project that uses one vendor. Under `folder`: project, home, vendor, and scratch for the runs' outputs.

    part: requests in one job at most. has_store: payloads go to a folder that is their store, too.
    """

    def __init__(
        self, vendor: str, folder: Path, vendors: Vendors, run: Runner, *, part: int = 1000, has_store: bool = False
    ) -> None:
        self.vendor, self.vendors, self.run = vendor, vendors, run
        self.more: dict[str, str] = {}  # further environment
        self.folder = folder
        places = ("project", "home", "vendor", "store")
        self.project, self.home, self.remote, self.store = (folder / "work" / name for name in places)
        self.has_store = has_store
        if has_store:
            self.more["BATCHFLOW_STORE"] = f"file://{self.store}"
        for made in (self.project, self.home, self.remote, self.store):
            made.mkdir(parents=True)
        (self.project / "batchflow.toml").write_text(
            SETTINGS.format(vendor=vendor, part=part) + (GATEWAYS if vendor == GATEWAY else "")
        )
        self._certificate = one_certificate(folder)
        self.remember()

    def remember(self, script: Sequence[Fault] = ()) -> None:
        """Let the vendor go on from what lies in its folder."""
        self.vendors.remember(self.remote, script)

    def keep(self, name: str) -> None:
        """Copy everything as it is now."""
        shutil.copytree(self.folder / "work", self.folder / name)

    def restore(self, name: str) -> None:
        """Put everything back to what it was."""
        shutil.rmtree(self.folder / "work")
        shutil.copytree(self.folder / name, self.folder / "work")

    def order(self, arguments: Sequence[str], at: int = 0, *, scratch: str = "scratch") -> Order:
        """A command for a runner. scratch: its own for each of several at once."""
        (self.folder / scratch).mkdir(exist_ok=True)
        own = {"HOME": str(self.home), "BATCHFLOW_HOME": str(self.home), "SSL_CERT_FILE": str(self._certificate)}
        environment = bare() | self.vendors.environment | own | self.more
        return Order(tuple(arguments), self.project, environment, self.folder / "work", self.folder / scratch, at)

    def batchflow(self, *arguments: str, at: int = 0, run: Runner | None = None) -> Ran:
        """Run a command to its end. Raises Failed where it tells a key."""
        ran = (run or self.run)(self.order(arguments, at), self.vendors.aim)
        expect(KEY not in ran.out + ran.err, "a key was told", ran)
        return ran

    def succeed(self, *arguments: str) -> Ran:
        """Run a command that has to succeed."""
        ran = self.batchflow(*arguments)
        expect(ran.code == 0, "it failed", ran)
        return ran

    def files(self) -> list[Path]:
        """Every file of the user: project, home and store."""
        return [path for top in (self.project, self.home, self.store) for path in top.rglob("*") if path.is_file()]
