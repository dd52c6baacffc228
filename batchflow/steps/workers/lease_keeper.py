"""The worker process of one local job: `local.worker.worker` under a lease.

`entry` starts it, in a process of its own.

The file lock on the job's folder keeps the workers of one machine apart. The lease in the ledger says to everybody
which process works and when it last gave a sign of life, and keeps the workers of several machines apart, which do
not see one another's locks. This module imports no vendor: a worker is started for every job.
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from batchflow import settings
from batchflow.errors import BatchflowError, LedgerError, NotReady
from batchflow.ledger import Ledger, Tx, leases
from batchflow.ledger.leases import Holder
from batchflow.ledger.records import LeaseRecord
from batchflow.local.worker import worker
from batchflow.steps.base.locks import LOCKS, here, host_of

LEASE_S = 30.0  # as long as a command waits for a busy SQLite ledger: one long write costs nobody the lease
BEATS = 6  # heartbeats in a lease, so one every 5 s: five in a row may fail, and the ledger is hardly written to
PATIENCE_S = 1.0  # a heartbeat waits for the ledger until the next one is due, and at least so long
SHORTEST_S = 0.5  # below it the heartbeats would be the ledger's main work


class Unfit(BatchflowError):
    """There is no such ledger or job any more: waiting does not bring it back."""


def _clock() -> float:
    """Seconds that go on while the process is stopped, and on Linux while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Heart:
    """The lease of one job: taken, kept by a thread that beats, given back. Satisfies `local.worker.lease.Lease`.

    On SQLite, which only one host can use, a lease that ran out costs nothing: whoever wants the job here needs the
    folder's lock, and this process has it. So it works on when the ledger cannot be written, and is stopped by one
    thing only: that the ledger says that the lease is another one's. On PostgreSQL another host may take over a lease
    that ran out, and may not see the lock; so a process that could not beat for a whole lease writes nothing more
    before it has asked, and ends when the ledger cannot tell.
    """

    def __init__(self, ledger: Ledger, token: str, length_s: float, place: str) -> None:
        self._ledger = ledger
        self._token = token
        self._length_s = length_s
        self._me = Holder(secrets.token_hex(8), place, os.getpid())
        self._job_id = 0
        self._beaten = _clock()
        self._why = ""
        self._hosts = 1
        self._failing = False
        self._one = threading.Lock()  # one transaction at a time
        self._over = threading.Event()

    def lost(self) -> str:
        """Reason to write no more rows; empty while they may be written."""
        if not self._why and not self._ledger.one_host and self._is_overdue():
            with self._one:
                if not self._why and self._is_overdue():
                    self._beat()
        return self._why

    def hosts(self) -> int:
        """Number of hosts whose workers ask this job's servers, as of the latest heartbeat."""
        return self._hosts

    def notice_s(self) -> float:
        """Every worker has counted again after one heartbeat."""
        return self._length_s / BEATS

    def take(self) -> None:
        """Take the lease; waits out the lease of a worker of another host, and a ledger that cannot be reached.

        Raises NotReady when the other worker lives, Unfit when ledger or job are gone, LedgerError after a lease's
        length without an answer.
        """
        began, seen = _clock(), None
        while True:
            try:
                standing = self._try()
            except LedgerError:
                if _clock() - began > self._length_s:
                    raise
            else:
                if standing.holder == self._me.token:
                    return
                _refuse_living(seen, standing)
                if seen is None:
                    worker.say(f"waiting for the lease of {host_of(standing.host)}, process {standing.pid}, to run out")
                seen = standing
            time.sleep(self._length_s / BEATS / 2)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Beat in a thread of its own, so that neither a slow ledger nor the work holds the other up; then release."""
        threading.Thread(target=self._keep, daemon=True).start()
        try:
            yield
        finally:
            self._over.set()
            with self._one:
                self._release()

    def _try(self) -> LeaseRecord:
        if self._ledger.is_gone:
            raise Unfit(f"the ledger {self._ledger.url} is gone", hint="put it back, or prepare the batch anew")
        if why := self._ledger.misfit():
            raise Unfit(why, hint="upgrade batchflow, or run batchflow ledger upgrade")
        began = _clock()
        with self._ledger.write(names=[self._token]) as tx:
            job_id = leases.job_of(tx, self._token)
            if job_id is None:
                raise Unfit(f"the ledger {self._ledger.url} has no job {self._token}: its batch was deleted")
            now = leases.now(tx)
            standing = leases.take(tx, job_id, self._me, now=now, length_s=self._length_s, fenced=True)
            self._count(tx, job_id, now)
        self._job_id, self._beaten = job_id, began
        return standing

    def _keep(self) -> None:
        while not self._why and not self._over.wait(self._length_s / BEATS):
            with self._one:
                if not self._over.is_set():
                    self._beat()

    def _beat(self) -> None:
        """One heartbeat; connections are not kept, so that hundreds of workers do not use up a server's."""
        began = _clock()  # the ledger's own time of the beat is later
        try:
            self._why = self._ask()
            self._beaten, self._failing = began, False
        except Exception as error:  # noqa: BLE001 - whatever the ledger does, the work goes on as long as it may
            self._unheard(error)
        finally:
            self._ledger.close()

    def _ask(self) -> str:
        """Beat; returns why the lease is lost, if it is."""
        if self._ledger.is_gone:
            return f"the ledger {self._ledger.url} is gone"
        with self._ledger.write(names=[self._token]) as tx:
            now = leases.now(tx)
            if leases.beat(tx, self._job_id, self._me, now=now):
                self._count(tx, self._job_id, now)
                return ""
            taker = leases.of_jobs(tx, [self._job_id]).get(self._job_id)
        if taker is None:
            return "the lease is gone from the ledger: the batch was deleted"
        return f"{host_of(taker.host)}, process {taker.pid}, has taken the job over"

    def _count(self, tx: Tx, job_id: int, now: datetime) -> None:
        if not self._ledger.one_host:
            self._hosts = leases.sharing_hosts(tx, job_id, now)

    def _unheard(self, error: Exception) -> None:
        if self._is_overdue() and not self._ledger.one_host:
            self._why = f"no heartbeat for {self._length_s:.0f} s, another host may take the job over: {error}"
        elif not self._failing:
            worker.say(f"the heartbeat could not be written, going on: {error}")
        self._failing = True

    def _release(self) -> None:
        if self._why or self._ledger.is_gone:
            return
        try:
            with self._ledger.write(names=[self._token]) as tx:
                leases.release(tx, self._job_id, self._me)
        except LedgerError as error:  # it runs out by itself
            worker.say(f"the lease could not be given back: {error}")

    def _is_overdue(self) -> bool:
        return _clock() - self._beaten > self._length_s


def _refuse_living(before: LeaseRecord | None, now: LeaseRecord) -> None:
    """Raise NotReady when a lease of another host was seen to move: its worker lives."""
    if before is not None and (before.holder, before.beat_at) != (now.holder, now.beat_at):
        raise NotReady(f"{host_of(now.host)}, process {now.pid}, is at work on this job")


@contextmanager
def leased(context: settings.Settings, token: str) -> Iterator[Heart]:
    """The lease of the job that was started under a token, as long as the block runs. Raises as `Heart.take`."""
    length_s = max(SHORTEST_S, context.tuned("lease_s", LEASE_S))
    ledger = Ledger.open(context.database_url, migrate=False, patience_s=max(PATIENCE_S, length_s / BEATS))
    try:
        heart = Heart(ledger, token, length_s, here(context.processed))
        heart.take()
        with heart.beating():
            yield heart
    finally:
        ledger.close()


def main() -> int:
    """The process: lock, lease, work, and the next free part of the batch."""
    path = Path(sys.argv[1])
    context = settings.load(path.parents[2])
    code = worker.run(path, context, partial(leased, context, path.name))
    if any((context.processed / LOCKS).glob("*.share")):  # else nobody takes a part at a time here
        from batchflow.steps.workers import entry, next_part

        next_part.go_on(path, replace(context, worker=entry.COMMAND))
    return code
