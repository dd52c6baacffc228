"""pool: the endpoints of local batches that come and go while the batches run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from batchflow import files
from batchflow.errors import UsageError
from batchflow.ledger import batches
from batchflow.local.base.options import normalised_url
from batchflow.local.job import pool_file
from batchflow.local.job.pool_file import Member
from batchflow.records import Json
from batchflow.steps.base.context import Context
from batchflow.vendors.registry import traits_of
from batchflow.vocabulary import JOBS, PROGRESS, RUNNING


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One endpoint. state: `in`, `out`, or `own` of batches that name it themselves. workers: that ask it now.

    window: requests that they may have in flight there, in_flight: those that they have, answers: of these workers.
    """

    url: str
    model: str
    state: str
    workers: int
    window: int
    in_flight: int
    answers: int


@dataclass(frozen=True, slots=True)
class PoolReport:
    """Report of `pool add|remove|list`."""

    endpoints: tuple[PoolRow, ...]
    next: str


def listing(context: Context) -> PoolReport:
    """The endpoints of the pool, and those of running batches, with what their workers have there."""
    return _report(context, pool_file.read(_path(context)))


def add(context: Context, url: str, model: str = "") -> PoolReport:
    """Add an endpoint to those that batches ask. Raises UsageError for what is no base URL."""
    url = normalised_url(url)

    def put(members: dict[str, Member]) -> None:
        members[url] = Member(url, model)

    return _report(context, pool_file.change(_path(context), put))


def remove(context: Context, url: str) -> PoolReport:
    """Remove an endpoint from those that batches ask. Raises UsageError for one that nobody asks."""
    url = normalised_url(url)
    own = {one for _, urls in _own(context) for one in urls}
    at_work = {endpoint["url"] for endpoint in _at_work(context)}  # replicas that Ray has placed, too

    def take(members: dict[str, Member]) -> None:
        if url in own:  # a batch that names it itself would go on asking it
            members[url] = Member(url, is_out=True)
        elif url in members and not (members[url].is_out and url in at_work):
            del members[url]
        elif url in at_work:
            members[url] = Member(url, is_out=True)
        else:
            known = ", ".join(dict.fromkeys([*members, *sorted(own)])) or "none"
            raise UsageError(f"{url}: no batch asks it", hint=f"endpoints: {known}")

    return _report(context, pool_file.change(_path(context), take))


def _path(context: Context) -> Path:
    return context.settings.processed / JOBS / pool_file.NAME


def _own(context: Context) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The models of local batches, with the endpoints that they name themselves."""
    with context.ledger.read() as tx:
        local = [batch for batch in batches.listing(tx) if traits_of(batch.provider).own_engine]
    for batch in local:
        yield batch.model, tuple(batch.options.get("base_url") or ())


def _report(context: Context, members: tuple[Member, ...]) -> PoolReport:
    at_work = list(_at_work(context))
    states = {member.url: ("out" if member.is_out else "in", member.model) for member in members}
    for endpoint in at_work:
        states.setdefault(endpoint["url"], ("own", ""))
    rows = tuple(_row(url, model, state, at_work) for url, (state, model) in states.items())
    return PoolReport(rows, "batchflow pool list" if rows else "batchflow pool add http://HOST:PORT/v1")


def _row(url: str, model: str, state: str, at_work: list[Json]) -> PoolRow:
    there = [endpoint for endpoint in at_work if endpoint["url"] == url]
    sums = {key: sum(int(endpoint[key]) for endpoint in there) for key in ("window", "in_flight", "answers")}
    return PoolRow(url, model, state, len(there), **sums)


def _at_work(context: Context) -> Iterator[Json]:
    """The endpoints of every worker that runs, as it told last."""
    for path in sorted((context.settings.processed / JOBS).glob(f"*/{PROGRESS}")):
        try:
            progress = files.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(progress, dict) and progress.get("word") == RUNNING:
            yield from progress.get("endpoints") or ()
