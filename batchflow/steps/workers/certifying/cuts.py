"""Kills of `rehearse --certify`: the client dies at three places, and the same command has to go on.

batchflow itself runs against the server, in a project of its own and through a relay that holds the call at which the
client is to die. The relay counts the creates that the server took, the ledger the rows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from batchflow import files
from batchflow.steps.workers.certifying.relay import Cut, Relay, relayed
from batchflow.steps.workers.certifying.run import CUT_ROWS, PATIENCE_S, Certified, Run, Verdict, row_of

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR")
"""Variables that a child gets: no key, and no address but the relay's."""

NAME = "killed"
"""Name of the batch."""


@dataclass
class _Project:
    """A project whose gateway is the relay. By cut: creates that the server took, and why a cut was not made."""

    folder: Path
    relay: Relay
    creates: dict[Cut, int] = field(default_factory=dict)
    troubles: dict[Cut, str] = field(default_factory=dict)

    def child(self, *words: str) -> subprocess.Popen[bytes]:
        """A command, as a process of its own."""
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        return subprocess.Popen(
            [sys.executable, "-m", "batchflow", "--project", str(self.folder), *words, "--json"],
            env=environment | {"BATCHFLOW_HOME": str(self.folder / "home")}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words: str) -> tuple[list[dict[str, Any]], str]:
        """The report of a command on its batches, and the first line of its complaint."""
        with self.child(*words) as child:
            try:
                out, err = child.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                return [], f"batchflow {words[0]} took longer than {PATIENCE_S:.0f} s"
        try:
            reported = files.loads(out).get("batches") or []
        except (ValueError, AttributeError):
            reported = []
        return reported, next(iter(err.decode("utf-8", "replace").splitlines()), "")

    def killed(self, cut: Cut, *words: str) -> None:
        """Run a command until it is at the cut, and kill it there."""
        self.relay.arm(cut)
        until = time.monotonic() + PATIENCE_S
        with self.child(*words) as child:
            while not self.relay.reached.wait(0.02) and child.poll() is None and time.monotonic() < until:
                pass
            is_there = self.relay.reached.is_set()
            child.kill()
            _, err = child.communicate()
        self.relay.disarm()
        if not is_there:
            complaint = next(iter(err.decode("utf-8", "replace").splitlines()), "it came to its end without")
            self.troubles[cut] = f"batchflow {words[0]} was not there: {complaint}"


def cuts(run: Run) -> Iterator[Certified]:
    """Kill batchflow at each place, one after the other in one batch, and count creates and rows on the way."""
    with TemporaryDirectory(prefix="batchflow-certify-") as folder, relayed(run.server) as relay:
        project = _Project(Path(folder), relay)
        _prepare(run, project)
        project.killed(Cut.UPLOADED, "start", NAME)
        project.killed(Cut.CREATED, "start", NAME)
        before = relay.creates
        _, complaint = project.run("start", NAME)
        after = relay.creates
        _wait(run, project)
        project.killed(Cut.DOWNLOADING, "results", NAME)
        reported, last_complaint = project.run("results", NAME)
        yield _sent(project, Cut.UPLOADED, before, complaint)
        yield _sent(project, Cut.CREATED, after, complaint)
        yield _collected(project, reported[0] if reported else {}, last_complaint)


def _prepare(run: Run, project: _Project) -> None:
    """The project: its data set, its batchflow.toml, its batch. A list is looked at twice, `listed_s` apart."""
    items = [{"id": f"k{number}", "question": "Say yes."} for number in range(CUT_ROWS)]
    (project.folder / "items.jsonl").write_bytes(b"".join(map(files.dump_line, items)))
    (project.folder / "batchflow.toml").write_text(
        f'[gateways.certified]\nbase_url = "{project.relay.url}"\nendpoints = ["{run.endpoint}"]\n'
        f"[calls]\ncreate_s = 0\nfind_grace_s = {run.listed_s}\n"
    )
    given = ("--provider", "certified", "--model", run.model, "--as-named", "--max-tokens", "16", "--name", NAME)
    project.run("prepare", *given, "--dataset", str(project.folder / "items.jsonl"))


def _wait(run: Run, project: _Project) -> None:
    """Ask until the batch has ended."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        reported, _ = project.run("get", NAME, "--refresh-after", "0")
        if not reported or reported[0]["finished"] or reported[0]["state"] == "needs_you":
            return
        time.sleep(run.poll_s)


def _sent(project: _Project, cut: Cut, creates: int, complaint: str) -> Certified:
    """The row of a kill while the batch was sent. creates: all that the server took, after the next `start`."""
    if trouble := project.troubles.get(cut):
        return _unseen(cut, trouble)
    counted = f"{creates} {'create' if creates == 1 else 'creates'} by the next start"
    return row_of(
        cut.value, good=creates == 1, seen=counted if creates else f"{counted}: {complaint}",
        fine="the same command goes on, and nothing is sent twice",
        otherwise="the batch is sent twice" if creates else "the same command does not go on: `show` says what to do",
    )  # fmt: skip


def _collected(project: _Project, report: dict[str, Any], complaint: str) -> Certified:
    """The row of a kill while the output was read."""
    if trouble := project.troubles.get(Cut.DOWNLOADING):
        return _unseen(Cut.DOWNLOADING, trouble)
    outcomes, odd = dict(report.get("outcomes") or {}), report.get("oddities") or {}
    rows = sum(outcomes.values()) - outcomes.get("missing", 0) - outcomes.get("pending", 0)
    seen = [f"{rows} of {CUT_ROWS} rows", *(f"{count} {kind}" for kind, count in odd.items())]
    return row_of(
        Cut.DOWNLOADING.value, good=rows == CUT_ROWS and not odd,
        seen=", ".join(seen if report else [*seen, complaint]),
        fine="the same command goes on, and every row is there once", otherwise="rows are lost or come twice",
    )  # fmt: skip


def _unseen(cut: Cut, trouble: str) -> Certified:
    return Certified(cut.value, Verdict.UNSEEN, trouble, "whether the same command goes on was not seen")
