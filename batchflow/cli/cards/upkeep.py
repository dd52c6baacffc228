"""Cards of a project's upkeep: the ledger, local engines, `doctor` and `init`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchflow.cli.cards.base.card import Card, Column, table_of, title

if TYPE_CHECKING:
    from batchflow.ledger.core import LedgerReport
    from batchflow.ledger.transfer import CopyReport, TableCopy
    from batchflow.steps.verbs.maintenance.delete import DeleteReport
    from batchflow.steps.verbs.maintenance.doctor import Check, DoctorReport
    from batchflow.steps.verbs.maintenance.init import InitReport
    from batchflow.steps.verbs.maintenance.update import UpdateReport
    from batchflow.steps.workers.certifying.certify import CertifyReport
    from batchflow.steps.workers.certifying.run import Certified
    from batchflow.steps.workers.engines import (
        EngineInstallReport,
        EngineListReport,
        EngineRow,
        EngineServeReport,
        EngineStopReport,
    )
    from batchflow.steps.workers.hosts import HostRow, WorkerRow, WorkersReport
    from batchflow.steps.workers.pool import PoolReport, PoolRow


def updated(report: UpdateReport) -> Card:
    """A batch with its new title and description."""
    rows = (
        ("Name", f"{report.name} ({report.handle})"),
        ("Title", report.title or "none"),
        ("Description", report.description or "none"),
    )
    return Card(title(report.name, report.rehearsal), report.next, rows, rehearsal=report.rehearsal)


def deleted(report: DeleteReport) -> Card:
    """Batches that were deleted, with their files."""
    rows = (("Batches", ", ".join(report.names)), ("Files", ", ".join(report.files) or "none"))
    return Card("deleted", report.next, rows)


def ledger(report: LedgerReport) -> Card:
    """The ledger's address and revision."""
    backup = (("Backup", report.backup),) if report.backup else ()
    rows = (("Ledger", report.url), ("Revision", f"{report.revision or 'none yet'} (program: {report.head})"), *backup)
    return Card("ledger", "batchflow list", rows, notes=report.problems)


def ledger_copied(report: CopyReport) -> Card:
    """A copied ledger, with the counts of its tables."""
    rows = (("From", report.source), ("To", report.target))
    return Card("ledger copied", report.next, rows, table=table_of(_TABLES, report.tables))


_TABLES: tuple[Column[TableCopy], ...] = (
    Column("table", lambda table: table.name),
    Column("rows", lambda table: f"{table.rows:,}"),
    Column("sha256", lambda table: table.sha256[:16]),
)


def engines(report: EngineListReport) -> Card:
    """Engines and models, installed or not."""
    return Card("engines", report.next, table=table_of(_ENGINES, report.engines))


_ENGINES: tuple[Column[EngineRow], ...] = (
    Column("engine or model", lambda engine: engine.name),
    Column("here", lambda engine: "yes" if engine.installed else "no"),
    Column("version", lambda engine: engine.version or engine.path or "-"),
    Column("note", lambda engine: engine.note),
)


def pool(report: PoolReport) -> Card:
    """The endpoints of local batches, and how they are doing."""
    return Card("pool", report.next, table=table_of(_POOL, report.endpoints))


_POOL: tuple[Column[PoolRow], ...] = (
    Column("endpoint", lambda row: row.url),
    Column("model", lambda row: row.model or "-"),
    Column("state", lambda row: row.state),
    Column("workers", lambda row: str(row.workers)),
    Column("in flight", lambda row: f"{row.in_flight} of {row.window}"),
    Column("answers", lambda row: f"{row.answers:,}"),
)


def workers(report: WorkersReport) -> Card:
    """The hosts at work, and the workers of each."""
    rows = tuple((host.host, _together(host)) for host in report.hosts)
    notes = () if rows else ("no worker is at work",)
    return Card("workers", report.next, rows, table=table_of(_WORKERS, report.workers), notes=notes)


def _together(host: HostRow) -> str:
    count = "1 worker" if host.workers == 1 else f"{host.workers} workers"
    return f"{count}, {host.rows_per_s:.2f} rows/s, heartbeat {host.heartbeat_age_s:.0f} s ago"


_WORKERS: tuple[Column[WorkerRow], ...] = (
    Column("host", lambda row: row.host),
    Column("process", lambda row: str(row.pid)),
    Column("batch", lambda row: row.batch),
    Column("part", lambda row: str(row.part)),
    Column("rows", lambda row: f"{row.done:,} of {row.requests:,}"),
    Column("rows/s", lambda row: "-" if row.rows_per_s is None else f"{row.rows_per_s:.2f}"),
    Column("heartbeat", lambda row: f"{row.heartbeat_age_s:.0f} s ago" + (" (silent)" if row.silent else "")),
)


def installed(report: EngineInstallReport) -> Card:
    """An engine that was installed."""
    rows = (
        ("Engine", f"{report.engine} {report.version}"),
        ("Model", report.model),
        ("File", f"{report.path} (sha256 {report.sha256[:16]}…)"),
    )
    notes = () if report.downloaded else ("already installed",)
    return Card("engine", report.next, rows, notes=notes)


def serving(report: EngineServeReport) -> Card:
    """A server that was started."""
    rows = (
        ("Engine", f"{report.engine}, process {report.pid}"),
        ("Model", report.model),
        ("URL", report.url),
        ("Key", f"in {report.key_file}; a batch on this machine finds it by itself"),
        ("Log", report.log),
    )
    return Card(f"{report.name} is ready", report.next, rows, notes=report.notes)


def stopped(report: EngineStopReport) -> Card:
    """Servers that were stopped."""
    rows = (("Stopped", ", ".join(report.stopped) or "none"), ("Gone before", ", ".join(report.gone) or "none"))
    return Card("engine", report.next, rows)


def doctored(report: DoctorReport) -> Card:
    """Checks of `doctor`."""
    notes = tuple(f"{check.name}: {check.hint}" for check in report.checks if check.hint)
    name = "all is well" if report.healthy else "something is wrong"
    return Card(name, report.next, table=table_of(_CHECKS, report.checks), notes=notes)


_CHECKS: tuple[Column[Check], ...] = (
    Column("check", lambda check: check.name),
    Column("", lambda check: check.finding),
    Column("found", lambda check: check.text),
)


def certified(report: CertifyReport) -> Card:
    """The table of a server of /v1/batches."""
    rows = (("Server", report.url), ("Model", report.model), ("Requests", f"{report.requests} at most"))
    name = "batchflow can use it" if report.usable else "batchflow cannot rely on it"
    notes = tuple(f"{check.check}: {check.meaning}" for check in report.checks if check.verdict.value != "pass")
    return Card(name, report.next, rows, table=table_of(_CERTIFIED, report.checks), notes=notes)


_CERTIFIED: tuple[Column[Certified], ...] = (
    Column("check", lambda check: check.check),
    Column("", lambda check: check.verdict.value),
    Column("seen", lambda check: check.seen),
)


def begun(report: InitReport) -> Card:
    """Files of a new project."""
    rows = (
        ("Project", report.project),
        ("Written", ", ".join(report.written) or "nothing"),
        *((("Kept", f"{', '.join(report.kept)}: there already"),) if report.kept else ()),
        ("Keys", "copy .env.example to .env and fill in what you have"),
    )
    return Card("init", report.next, rows)
