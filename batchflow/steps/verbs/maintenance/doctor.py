"""doctor: what this machine, folder and environment are fit for. Writes nothing, and shows no key."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from batchflow import __version__
from batchflow.errors import DISTRIBUTION, BatchflowError, Trouble, VendorError
from batchflow.ledger import Ledger
from batchflow.local.servers.engines import listing
from batchflow.records import Job
from batchflow.settings import ACCESS, LOCAL, VENDORS
from batchflow.steps.base.context import Context
from batchflow.steps.base.payloads import store_of
from batchflow.steps.base.vendor_calls import client_of, once
from batchflow.steps.verbs.submission.prepare import SETTABLE
from batchflow.vendors import registry

LEAST_FREE = 1_000_000_000
"""Bytes of free disk below which a folder is worth a word: answers, raw files and the ledger need room."""
PACKAGES = (
    "sqlalchemy", "click", "openai", "anthropic", "google-genai", "mistralai", "together", "groq", "xllamacpp",
    "psycopg", "pyarrow", "textual",
)  # fmt: skip
NOBODY = ("batch_000000000000000000000000", "batches/000000000000000000000000")
"""Ids that no vendor ever gave: asking after one costs a GET, and the refusal tells whether the key is good."""


class Finding(StrEnum):
    """Result of a check."""

    GOOD = "ok"
    NOTE = "note"  # nothing is wrong, and somebody may want to know
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. hint: what to do, where something is to be done."""

    name: str
    finding: str
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All checks; healthy: none of them is bad."""

    checks: tuple[Check, ...]
    healthy: bool
    next: str


def doctor(context: Context, *, ping: bool = False) -> DoctorReport:
    """Look at everything; ping: also ask each vendor that has a key one question that costs nothing."""
    looks = (_program, _project, _options, _ledger, _store, _keys, _engines)
    checks = tuple(check for look in looks for check in _looked(context, look))
    if ping:
        checks += tuple(_ping(context, name) for name in context.settings.vendors_with_key())
    healthy = not any(check.finding == Finding.BAD for check in checks)
    begun = (context.settings.project / "batchflow.toml").is_file()
    usual = "batchflow list" if begun else "batchflow init"
    follow = next((check.hint for check in checks if check.hint.startswith("batchflow ")), usual)
    return DoctorReport(checks, healthy, follow)


def _looked(context: Context, look: Callable[[Context], Iterator[Check]]) -> list[Check]:
    """The findings of one look; one that fails is a finding itself."""
    checks: list[Check] = []
    try:
        checks.extend(look(context))
    except BatchflowError as error:
        checks.append(Check(look.__name__.strip("_"), Finding.BAD, str(error), error.hint))
    return checks


def _program(_context: Context) -> Iterator[Check]:
    yield Check("batchflow", Finding.GOOD, f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    versions = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    yield Check("packages", Finding.GOOD, ", ".join(f"{name} {number}" for name, number in versions.items()))
    absent = [name for name in PACKAGES if name not in versions]
    if absent:
        hint = f"pip install '{DISTRIBUTION}[engine,postgres,parquet]' brings what its commands need"
        yield Check("packages", Finding.NOTE, f"not installed: {', '.join(absent)}", hint)


def _project(context: Context) -> Iterator[Check]:
    settings = context.settings
    config = settings.project / "batchflow.toml"
    has = "with a batchflow.toml" if config.is_file() else "without a batchflow.toml"
    if os.access(settings.project, os.W_OK):
        yield Check("project", Finding.GOOD, f"{settings.project} ({has})")
    else:
        yield Check("project", Finding.BAD, f"{settings.project} is not writable", "chmod, or --project FOLDER")
    for name, folder in (("disk", settings.project), ("home", settings.home)):
        free = shutil.disk_usage(_existing(folder)).free
        few = free < LEAST_FREE
        text = f"{folder}: {free / 1e9:.1f} GB free"
        yield Check(name, Finding.NOTE if few else Finding.GOOD, text, "make room" if few else "")


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _options(context: Context) -> Iterator[Check]:
    """Options of `prepare` that are set outside of a command, and which of their places wins."""
    environment, section = context.settings.environment, context.settings.section("prepare")
    lines = []
    for name in SETTABLE:
        variable = f"BATCHFLOW_{name.upper()}"
        if environment.get(variable, "").strip():
            over = " (over batchflow.toml)" if name in section else ""
            lines.append(f"{name} from {variable}{over}")
        elif name in section:
            lines.append(f"{name} from batchflow.toml")
    yield Check("options", Finding.GOOD, "; ".join(lines) or "none set outside of commands")
    unknown = sorted(set(section) - set(SETTABLE))
    if unknown:
        yield Check("options", Finding.BAD, f"[prepare] {', '.join(unknown)}: unknown", "batchflow prepare --help")
    if context.settings.rehearsal:
        yield Check("rehearsal", Finding.NOTE, "this is a rehearsal: no vendor is asked, and nothing is paid")


def _ledger(context: Context) -> Iterator[Check]:
    url = context.settings.database_url
    opened = Ledger.open(url, migrate=False, patience_s=5.0)
    try:
        report = opened.check()
        if report.revision is None:
            yield Check("ledger", Finding.GOOD, f"{report.url}: none yet; the first `prepare` or `run` creates it")
            return
        if report.problems:
            behind = report.revision != report.head
            hint = "batchflow ledger upgrade" if behind else "batchflow ledger check"
            yield Check("ledger", Finding.BAD, f"{report.url}: {'; '.join(report.problems[:3])}", hint)
            return
        yield Check("ledger", Finding.GOOD, f"{report.url}, revision {report.revision}, whole")
        with opened.write():  # takes the write lock, and changes nothing
            yield Check("ledger", Finding.GOOD, "writable")
    finally:
        opened.close()


def _store(context: Context) -> Iterator[Check]:
    """Write, read and remove an object, where a store is set."""
    if (store := store_of(context)) is not None:
        yield Check("store", Finding.GOOD, f"{store.url}: {store.ping()}")


def _keys(context: Context) -> Iterator[Check]:
    settings = context.settings
    for vendor in (*VENDORS, *settings.gateways):
        name, where = settings.key_name(vendor), settings.base_url(vendor)
        elsewhere = f"; pointed at {where}" if where else ""
        if name:
            yield Check(vendor, Finding.NOTE if where else Finding.GOOD, f"key in {name}{elsewhere}")
        else:
            first = ACCESS[vendor].keys[0] if vendor in ACCESS else "none needed, or as [gateways] says"
            yield Check(vendor, Finding.NOTE, f"no key ({first}){elsewhere}")
    if where := settings.base_url(LOCAL):
        yield Check(LOCAL, Finding.GOOD, f"server at {where}")


def _engines(context: Context) -> Iterator[Check]:
    rows = listing(context.settings)
    ready = [f"{row.name} {row.version or ''}".strip() for row in rows if row.installed]
    yield Check("engines", Finding.GOOD, ", ".join(ready) or "none; `batchflow engine install` brings a small one")


def _ping(context: Context, name: str) -> Check:
    """One question about a batch that does not exist: a vendor that says so has taken the key."""
    vendor = registry.get(name, context.settings)
    label, reached = f"ping {name}", "reached; the key is accepted"
    for nobody in NOBODY:
        job = Job("doctor", Path(), "", 0, "", vendor.ENDPOINTS[0], "", "", 0.0, remote_id=nobody)
        try:
            with client_of(context, vendor) as client:
                once(context, vendor, partial(vendor.poll, client, job))
        except VendorError as error:
            if error.trouble in {Trouble.NOT_FOUND, Trouble.REFUSED}:
                break
            if not isinstance(error.__cause__, ValueError) or nobody == NOBODY[-1]:  # its SDK may know no such id
                return Check(label, Finding.BAD, str(error), error.hint)
        except BatchflowError as error:
            return Check(label, Finding.BAD, str(error), error.hint)
    return Check(label, Finding.GOOD, reached)
