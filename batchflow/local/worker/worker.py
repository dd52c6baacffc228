"""The worker of one local job; the vendor `local` starts its process, `steps.workers.entry`, detached.

It takes the job's lock (a second worker ends at once) and its lease, reads back what an earlier one finished, does the
rest, and leaves its state in progress.json: completed, cancelled, stopped (start the batch again to go on) or failed.
One whose lease is lost writes nothing any more: the job's files are another worker's then.

`python -m batchflow.local.worker.worker FOLDER` works off a folder that no ledger knows.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path

from batchflow import files, settings
from batchflow.errors import BatchflowError, DataError, NotReady
from batchflow.local.base import templates
from batchflow.local.base.options import OFFLINE
from batchflow.local.base.pace import Pace
from batchflow.local.base.transport import Reply
from batchflow.local.job import job_dir, pool_file, rows
from batchflow.local.job.job_dir import Output, Rows, Spec, Standing
from batchflow.local.job.rows import Fate, Row, Verdict
from batchflow.local.servers import engine_room
from batchflow.local.worker import own_engine
from batchflow.local.worker.cache import Cache
from batchflow.local.worker.dispatcher import Window
from batchflow.local.worker.endpoints import Endpoint, Pool
from batchflow.local.worker.engine_client import Feed
from batchflow.local.worker.lease import Lease, Unleased
from batchflow.local.worker.server_endpoints import ServerEndpoints
from batchflow.local.worker.throughput import Rate
from batchflow.records import Json
from batchflow.texts.redaction import Hidden
from batchflow.vocabulary import CANCELLED, COMPLETED, ENGINE, FAILED, LOADING, OUTPUT, QUEUED, RUNNING, STOP, STOPPED

TICK_S = 0.25  # how often the stop file is looked for
REPORT_S = 1.0
SYNC_ROWS = 64  # rows after which the output is synced, at the latest a report later
FIRST_ROWS = 4  # that an engine is shown when its model is loaded
YIELD_ROWS = 256  # kept answers given in a row before the stop file gets its turn

FOLLOWING = frozenset({"server", "ray"})  # engines whose endpoints come and go
PATHS = {"chat": "/chat/completions", "completion": "/completions"}


class Work:
    """One run of one job: what it holds while it lives."""

    def __init__(self, path: Path, spec: Spec, context: settings.Settings, lease: Lease) -> None:
        self.path = path
        self.lease = lease
        self.spec = spec
        self.context = context
        self.done: Rows = job_dir.recover(path / OUTPUT, spec.requests)
        self.output = Output(path / OUTPUT)
        self.standing = Standing(QUEUED, spec.requests)
        self.window: Window | Feed | None = None
        pool_path = path.parent / pool_file.NAME
        self.servers = ServerEndpoints(
            spec.options, spec.model, context, lease, self.say, pool_path, waiting=self.still_loading, joined=self._hide
        )
        self._hide()
        self._rate = Rate(time.monotonic())
        self._syncing: asyncio.Future[None] | None = None
        self._cache: Cache | None = None
        self._keeps = True
        self._identities: frozenset[str] = frozenset()  # of the servers whose answers are kept
        self._template: templates.Template | None = None
        self._alias = ""  # a server's model of another name than the one that was asked for

    def _hide(self) -> None:
        """Hide the keys of servers, and those of the environment, wherever a text is written."""
        self._hidden = Hidden((*self.servers.secrets(), *self.context.secrets()))

    def finish(self, row: Row, verdict: Verdict) -> None:
        """Write a finished row down; once, and not when the job is another worker's by now."""
        if not self._alias and verdict.fate is Fate.ANSWERED:
            self._look_at_name(verdict.body)
        keeps = self._keeps and row.fixed and verdict.has_answer
        if self._write(row, verdict) and keeps and self._cache is not None:
            self._cache.put(row.body, self._hidden.data(files.dumps(verdict.body)))

    def _look_at_name(self, body: Json) -> None:
        """Tell of a server that answers as another model: it may not be the one that was meant."""
        name = body.get("model")
        if self.spec.options.engine == "server" and isinstance(name, str) and name and name != self.spec.model:
            self._alias = f"a server answers as {name[:100]!r}, asked for {self.spec.model!r}"
            self.say(self._alias)

    def _write(self, row: Row, verdict: Verdict) -> bool:
        if self.lease.lost() or not self.done.add(row.index, failed=not verdict.has_answer):
            return False
        self._append(rows.finished_line(row, verdict))
        return True

    def _append(self, line: bytes) -> None:
        self.output.append(self._hidden.data(line))
        if self.output.unsynced >= SYNC_ROWS:
            self._sync_soon()

    def _sync_soon(self) -> None:
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.get_running_loop().run_in_executor(None, self._sync)

    def _sync(self) -> None:
        with suppress(OSError):  # the output keeps it, and tells it to whoever writes next
            self.output.sync()

    def report(self, word: str, error: str | None = None) -> None:
        """Replace progress.json, unless it is another worker's by now."""
        if self.lease.lost():
            return
        standing, window = self.standing, self.window
        standing.word, standing.error = word, self._hidden.text(error) if error else None
        standing.done, standing.errors, standing.cancelled = self.done.done, self.done.errors, self.done.cancelled
        if window is None:
            standing.rows_per_s = standing.tokens_per_s = standing.eta_s = None
            standing.in_flight, standing.endpoints = 0, ()
        else:
            standing.retries, standing.in_flight = window.retries, window.tally.in_flight
            standing.endpoints = self.servers.standing()
            standing.rows_per_s, standing.tokens_per_s = self._rate.take(time.monotonic(), window.tally)
            left = standing.total - standing.done
            standing.eta_s = left / standing.rows_per_s if standing.rows_per_s else None
            if standing.error is None and word == RUNNING:
                standing.error = self._hidden.text(window.last_error) or None
        if standing.error is None and self._alias and word in {RUNNING, COMPLETED}:
            standing.error = self._hidden.text(self._alias)
        job_dir.write_progress(self.path, standing, time.time())

    async def reporting(self) -> None:
        """Progress about once a second, and the group sync of what was written. Raises OSError for a sync that failed.

        A report that cannot be written is no reason to end: the next one may be, and rows are what counts.
        """
        silent = False
        while True:
            await asyncio.sleep(REPORT_S)
            self.output.check()
            self.servers.divide()
            if self.output.unsynced:
                self._sync_soon()
            if self._cache is not None:
                await asyncio.to_thread(self._cache.flush)
            try:
                await asyncio.to_thread(self.report, RUNNING)
                silent = False
            except OSError as error:
                if not silent:
                    self.say(f"the progress cannot be written, going on: {error.strerror or error}")
                silent = True

    def say(self, text: str) -> None:
        """One line of the worker's log."""
        say(self._hidden.text(text))

    def still_loading(self, why: str) -> None:
        """Reports the wait in the log and in the progress that `get` shows; it may take an hour."""
        self.say(why)
        self.report(LOADING, why)

    # ---- the run

    async def run(self) -> str:
        """Do the job; the word it ended with. Raises BatchflowError for what stops it."""
        self.report(QUEUED)
        if (self.path / STOP).exists():
            return self.cancel()
        if await asyncio.to_thread(files.sha256, self.spec.input) != self.spec.sha256:
            raise DataError(f"{self.spec.input}: the file changed since the job was started")
        if self.done.done == self.spec.requests:
            return COMPLETED
        stop = asyncio.create_task(self._stopped())
        work = asyncio.create_task(self._answer())
        try:
            await asyncio.wait({stop, work}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                return COMPLETED
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
            return stop.result()
        finally:
            stop.cancel()

    async def _stopped(self) -> str:
        """Until the user cancels (`stop` file), the lease is lost, or this process is told to end (SIGTERM, SIGINT)."""
        event = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, event.set)
        while not event.is_set() and not self.lease.lost():
            if (self.path / STOP).exists():
                return CANCELLED
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await event.wait()
        return STOPPED

    async def _answer(self) -> None:
        options = self.spec.options
        if options.mode == "completion":
            self._template = templates.load(options.template or "chatml")
        if options.engine not in FOLLOWING:  # a server has to be asked first what it serves
            await self._answer_from_cache(lambda: own_engine.scope_of(self.spec, self.context))
        if self.done.done == self.spec.requests:
            return
        self.report(LOADING)
        left = rows.unfinished(self.spec.input, self.done, self._template, marked=self.servers.count > 1)
        async with self._room(), self._feed(left) if options.engine in OFFLINE else self._window(left) as self.window:
            self._rate = Rate(time.monotonic())  # loading a model, or waiting for one, tells nothing of the speed
            self.report(RUNNING)
            await self._reported(self.window)

    @asynccontextmanager
    async def _room(self) -> AsyncIterator[None]:
        """Room on this host for an engine of our own."""
        context, options = self.context, self.spec.options
        if options.engine in FOLLOWING:
            yield
            return
        async with engine_room.taken(context.home, options, context.environment, self.still_loading):
            self.report(LOADING)
            yield

    async def _reported(self, window: Window | Feed) -> None:
        """Run the window, with reports; whichever fails ends both."""
        tasks = [asyncio.create_task(window.run()), asyncio.create_task(self.reporting())]
        try:
            over, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in over:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def _window(self, left: Iterator[Row]) -> AsyncIterator[Window]:
        """The way of every engine that speaks HTTP."""
        options, loop = self.spec.options, asyncio.get_running_loop()
        async with self._endpoints() as endpoints:
            pool = Pool(endpoints, options.outage_s, loop.time)
            follows = options.engine in FOLLOWING
            following = loop.create_task(self.servers.follow(pool, self._meet_anew)) if follows else None
            try:
                yield Window(left, pool, options, PATHS[options.mode], self.finish, loop.time)
            finally:
                if following is not None:
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)

    async def _meet_anew(self) -> None:
        """Note what the servers serve after one has joined or left; another model behind the name is not kept."""
        self._hide()
        known = await self._noted()
        if self._keeps and self._cache is not None and (known is None or not known <= self._identities):
            self.say("a server of the pool serves another model than the first ones: answers are no longer kept")
            self._keeps = False

    @asynccontextmanager
    async def _feed(self, left: Iterator[Row]) -> AsyncIterator[Feed]:
        """The way of the engines that work in a child process without HTTP."""
        some = islice(rows.unfinished(self.spec.input, self.done, self._template), FIRST_ROWS)
        first = [files.loads(row.body) for row in some]
        async with own_engine.fed(self.spec, self.context, self.say, first) as (process, facts):
            self._note_engine(facts)
            yield Feed(left, process, self.spec.options.window, self.finish)

    async def _answer_from_cache(self, who: Callable[[], bytes]) -> None:
        """Finish the rows whose answers are kept. who: the scope of those that the engine gives now."""
        if not self.spec.options.cache:
            return
        self._cache = Cache(self.path.parent / job_dir.CACHE, who())
        if not self._cache.holds_any():
            return
        for row in rows.unfinished(self.spec.input, self.done, self._template):
            if row.fixed and (kept := self._cache.get(row.body)) is not None:
                verdict = rows.judge(Reply(200, b"", kept))
                if verdict.has_answer:
                    self.standing.cached += 1
                    self._write(row, verdict)  # not `finish`, which would gather them all to keep them again
            if row.index % YIELD_ROWS == 0:
                await asyncio.sleep(0)

    @asynccontextmanager
    async def _endpoints(self) -> AsyncIterator[tuple[Endpoint, ...]]:
        options, servers = self.spec.options, self.servers
        if options.engine not in FOLLOWING:
            async with own_engine.served(self.spec, self.context, self.say) as (client, facts):
                self._note_engine(facts)
                pace = Pace(options.rps, options.tpm) if options.rps or options.tpm else None
                yield (Endpoint(client, options.endpoint_window, pace),)
            return
        async with servers.opened(self.spec):
            await self._meet()
            yield servers.all

    async def _meet(self) -> None:
        """Note what the servers serve, and give the answers that are kept of just these."""
        known = await self._noted()
        if known:
            self._identities = known
            await self._answer_from_cache(lambda: self.servers.scope(known))
        elif self.servers.clients and self.spec.options.cache:
            self.say("a server does not say what it serves: kept answers are neither used nor written")

    async def _noted(self) -> frozenset[str] | None:
        """Identities of who answers, None where one does not say; engine.json has their facts from now on."""
        facts, known = await self.servers.identify()
        self._note_engine(facts)
        return known

    def _note_engine(self, facts: Json) -> None:
        """Replace engine.json. What else had answered rows of this job is kept in it under `before`."""
        now = facts | {"concurrency": self.spec.options.window}
        engine = files.loads(self._hidden.data(files.dumps(now)))
        if job_dir.note_engine(self.path, engine, rows_done=self.done.done):
            self.say(f"{self.done.done:,} rows were answered by another engine, model or setting: see {ENGINE}")

    def cancel(self) -> str:
        """Give every row that has no line yet one that says `cancelled`."""
        for row in self._left():
            if self.lease.lost():
                break
            if self.done.add(row.index, failed=True, cancelled=True):
                self.output.append(rows.cancelled_line(row))
        return CANCELLED

    def _left(self) -> Iterator[Row]:
        return rows.unfinished(self.spec.input, self.done, None)

    def close(self) -> None:
        """Sync and close the output, and the kept answers."""
        if self._cache is not None:
            self._cache.close()
        self.output.close()


def say(text: str) -> None:
    """One line of the log, which is this process's stderr. The text holds no secrets. A full disk costs the line."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with suppress(OSError):
        print(stamp, text, file=sys.stderr, flush=True)  # noqa: T201 - stderr is the log file


def work_off(path: Path, context: settings.Settings, lease: Lease | None = None) -> str:
    """Do the job of a folder whose lock is ours; the word that it ended with.

    It stands in progress.json afterwards, but for a job whose lease was lost: that file is another worker's then.
    """
    spec = job_dir.load_spec(path)
    work = Work(path, spec, context, lease or Unleased())
    word, error = FAILED, None
    try:
        word = asyncio.run(work.run())
        if word == CANCELLED:
            work.cancel()
    except DataError as trouble:
        error = str(trouble)
    except BatchflowError as trouble:  # the user can mend it: the job waits for another start
        word, error = STOPPED, _with_hint(trouble)
    except OSError as trouble:
        word, error = STOPPED, _disk(path, trouble)
    try:
        work.close()
    except OSError as trouble:  # what was written may not be on the disk: nobody may take the job for complete
        word, error = STOPPED, error or _disk(path, trouble)
    if why := work.lease.lost():
        word, error = STOPPED, why
    work.window = work.window if word == COMPLETED else None
    with suppress(OSError):  # without it the free lock says `stopped`, and the log says why
        work.report(word, error)
    work.say(
        f"{word}: {work.done.done:,} of {spec.requests:,} rows, {work.done.errors:,} errors"
        + (f": {error}" if error else "")
    )
    return word


def _disk(path: Path, trouble: OSError) -> str:
    return f"{trouble.filename or path}: {trouble.strerror or trouble}"


def _with_hint(error: BatchflowError) -> str:
    return " ".join(filter(None, (str(error), f"({error.hint})" if error.hint else "")))


def run(path: Path, context: settings.Settings, leased: Callable[[], AbstractContextManager[Lease]]) -> int:
    """The process: take the lock, then the lease, do the job, leave a word. Returns the exit code.

    leased: enters with the job's lease, and raises BatchflowError where it cannot be had: NotReady when another worker
    holds it, which is no failure.
    """
    with job_dir.only_worker(path) as alone:
        if not alone:
            return 0
        try:
            with leased() as lease:
                return _do(path, context, lease)
        except NotReady as error:
            say(str(error))
            return 0
        except BatchflowError as error:
            say(f"stopped: {context.hide(_with_hint(error))}")
            return 1


def _do(path: Path, context: settings.Settings, lease: Lease) -> int:
    try:
        return 0 if work_off(path, context, lease) in {COMPLETED, CANCELLED} else 1
    except BatchflowError as error:  # the spec itself is broken
        why = context.hide(str(error))
        say(f"failed: {why}")
        with suppress(OSError):
            job_dir.write_progress(path, Standing(FAILED, 0, error=why), time.time())
        return 1
    except OSError as error:  # what earlier workers did cannot be read back, or not be added to
        say(f"stopped: {_disk(path, error)}")
        return 1


def main() -> int:
    """Work off a folder that no ledger knows."""
    path = Path(sys.argv[1])
    return run(path, settings.load(path.parents[2]), lambda: nullcontext(Unleased()))


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
