"""Card and JSON document of each report. Pure: a report in, values out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from batchflow.cli.cards import (
    arena,
    compass,
    judging,
    listed,
    money,
    planning,
    ranking,
    running,
    suites,
    upkeep,
    watching,
    written,
)
from batchflow.cli.cards.base.card import Card, Column, Table, table_of, tabulated, title
from batchflow.cli.cards.base.encoder import plain
from batchflow.cli.cards.base.text import counted, label, line, size, span
from batchflow.cli.cards.base.text import written as in_words
from batchflow.vocabulary import FREE_WORKER

if TYPE_CHECKING:
    from batchflow.steps.base.progress.failure_reasons import Reason
    from batchflow.steps.collecting.fetch import ResultsReport
    from batchflow.steps.collecting.progress_report import GetReport
    from batchflow.steps.suites.members import ShownBatches
    from batchflow.steps.verbs.maintenance.delete import CancelReport
    from batchflow.steps.verbs.submission.prepare import PrepareReport
    from batchflow.steps.verbs.submission.retry import RetryReport
    from batchflow.steps.verbs.submission.start import StartReport
    from batchflow.steps.viewing.status import HistoryRow, ShowReport


def card(report: Any) -> Card:
    """The card of a report, by the name of its class: the classes' modules need not be imported for it."""
    if isinstance(report, list):
        return _several(report)
    result = _CARDS[type(report).__name__](report)
    texts = tuple(line(note, 400) for note in result.notes)
    rows = tuple((key, line(value, 400)) for key, value in result.rows)
    return replace(
        result, title=line(result.title), rows=rows, notes=texts,
        table=_clean(result.table), below=_clean(result.below), more=_clean(result.more),
    )  # fmt: skip


def _clean(table: Table) -> Table:
    return tuple(tuple(map(line, row)) for row in table)


def document(report: Any) -> Any:
    """The JSON document of a report."""
    if isinstance(report, list):
        return _documents(report)
    return plain(report)


def _documents(reports: list[Any]) -> dict[str, Any]:
    """One shape for any number of names: `batches`, and the `next` of all."""
    rows = [document(report) for report in reports]
    if type(reports[0]).__name__ == "JuryReport":
        return _juries(rows) | {"next": _together(reports)}
    return {"batches": rows, "next": _together(reports)}


def _juries(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The judge batches of all juries, each with the batch that it judges (`parent`), and the juries without them."""
    judges = [{**judge, "parent": row["name"]} for row in rows for judge in row["batches"]]
    return {"batches": judges, "juries": [{key: row[key] for key in row if key != "batches"} for row in rows]}


_ROWS = {
    "PrepareReport": ("Requests", "Processed file"),
    "StartReport": ("Sent now", "Requests"),
    "GetReport": ("State", "Requests"),
    "ResultsReport": ("Outcomes", "Answers"),
    "JuryReport": ("Answers", "Settled"),
    "RetryReport": ("Requests",),
    "CancelReport": ("Asked to stop", "Never sent"),
    "ExportReport": ("File", "Items"),
    "SheetReport": ("Sheet", "Answers"),
}
"""Rows of a card that a table of several batches shows."""


def _several(reports: list[Any]) -> Card:
    if len(reports) == 1:
        return card(reports[0])
    cards = [card(report) for report in reports]
    rows = _ROWS.get(type(reports[0]).__name__, ())
    columns = {"batch": "batch", **{row: row.lower() for row in rows}}
    table = tabulated(columns, ({"batch": each.title} | _picked(each, rows) for each in cards))
    return Card(
        f"{len(reports)} batches", _together(reports), table=table, notes=tuple(n for each in cards for n in each.notes)
    )


def _picked(card: Card, rows: Sequence[str]) -> dict[str, str]:
    """The named rows of a card, as far as it has them."""
    return {key: value for key, value in card.rows if key in rows}


_SEVERAL = frozenset({"start", "get", "results", "score", "compare"})  # they take the names of several batches


def _together(reports: list[Any]) -> str:
    """The next commands of several batches: one for those that the same command applies to, else a line each."""
    names: dict[tuple[str, ...], list[str]] = {}
    for report in reports:
        form = tuple("" if word == report.name else word for word in report.next.split())
        key = form if "" in form and not _SEVERAL.isdisjoint(form) else tuple(report.next.split())
        names.setdefault(key, []).append(report.name)
    return "\n".join(
        " ".join(word or " ".join(dict.fromkeys(of_form)) for word in form) for form, of_form in names.items()
    )


REASONS = 3
"""Reasons that a card shows; `--json` has them all."""


def reasons(failures: Sequence[Reason]) -> tuple[tuple[str, str], ...]:
    """The commonest reasons why requests are unanswered, each with one request and what to do."""
    rows = tuple(
        (
            "Why",
            f"{why.count:,} {why.kind}: {line(why.text, 120)} (row {why.row}, item {line(why.item, 40)}); {why.advice}",
        )
        for why in failures[:REASONS]
    )
    more = len(failures) - REASONS
    return (*rows, ("Why", f"{counted_reasons(more)} (--json has all)")) if more > 0 else rows


def counted_reasons(count: int) -> str:
    """`1 more reason`, `2 more reasons`."""
    return "1 more reason" if count == 1 else f"{count:,} more reasons"


def jobs(waiting: int) -> str:
    """`1 job waits`, `3 jobs wait`."""
    return "1 job waits" if waiting == 1 else f"{waiting} jobs wait"


def _where(base_url: str | None) -> tuple[tuple[str, str], ...]:
    return (("Pointed at", base_url),) if base_url else ()


def named(report: Any) -> tuple[str, str]:
    """Row with a batch's name, and the handle that may be typed in its place."""
    return ("Name", f"{report.name} ({report.handle})")


def _prepared(report: PrepareReport) -> Card:
    rows = (
        named(report),
        ("Provider", report.provider),
        ("Model", report.model),
        ("Task", f"{report.task}, split {report.split}, hints {report.hints}"),
        ("Prompt", report.template),
        *((("Extract", ", ".join(report.extract)),) if report.extract else ()),
        ("Requests", f"{report.requests:,}"),
        *_hints(report),
        ("Processed file", f"{', '.join(report.files)} ({size(report.bytes)})"),
        *money.estimate_rows(report.estimate),
        *_where(report.base_url),
    )
    is_as_it_was = not report.new and not any(
        "it stood there already, and was changed" in note for note in report.notes
    )
    stands = ("this batch is in the ledger already; nothing was changed",) if is_as_it_was else ()
    notes = (*stands, *report.notes)
    return Card(title(report.name, report.rehearsal), report.next, rows, notes=notes, rehearsal=report.rehearsal)


def _hints(report: PrepareReport) -> tuple[tuple[str, str], ...]:
    """Counts the items that have each requested hint; data sets leave hints empty."""
    shown = [f"hint {n} in {count:,}" for n, count in enumerate(report.hint_counts[: report.hints], start=1)]
    return (("Hints shown", f"{', '.join(shown)} items"),) if shown else ()


def _started(report: StartReport) -> Card:
    rows = (
        named(report),
        ("Provider", report.provider),
        ("Model", report.model),
        ("Requests", f"{report.requests:,}"),
        ("Sent now", f"{report.sent_now} of {len(report.jobs)} jobs"),
        *((f"Job {job.part}", f"{job.state} {job.remote_id or ''}") for job in report.jobs[:20]),
        *_where(report.base_url),
    )
    notes = tuple(f"job {job.part}: {job.error}" for job in report.jobs if job.error)
    if report.waiting:
        notes += (f"{jobs(report.waiting)} for {report.waits_for}; {_who_sends(report)}",)
    return Card(title(report.name, report.rehearsal), report.next, rows, notes=notes, rehearsal=report.rehearsal)


def _who_sends(report: StartReport) -> str:
    if report.waits_for != FREE_WORKER:
        return "get --wait or the next start sends the rest"
    return f"this host takes {report.at_once} at a time, and the next one when one is done"


def _got(report: GetReport) -> Card:
    counts = report.counts
    progress = watching.told_counts(report)
    words = sorted({job.word for job in report.jobs if job.word})
    checked = "never" if report.age_s is None else f"{report.checked_at} ({span(report.age_s)} ago)"
    rows = (
        named(report),
        ("State", report.state + (f" ({', '.join(words)})" if words else "")),
        ("Provider", report.provider),
        ("Model", report.model),
        ("Requests", f"{counts['requests']:,}: {progress}" if progress else f"{counts['requests']:,}"),
        ("Checked", checked),
        *unanswered(report.unanswered),
        *reasons(report.why),
        *_speed(report),
        *_workers(report),
        *_where(report.base_url),
    )
    notes = tuple(f"job {job.part}: {text}" for job in report.jobs for text in (job.error, job.counts_note) if text)
    if counts["failed"] and not report.why:
        notes += (f"{counts['failed']:,} failed; batchflow results {report.name} says why, once they can be fetched",)
    waiting = sum(job.state == "prepared" for job in report.jobs)
    if waiting and waiting < len(report.jobs):
        notes += (f"{jobs(waiting)} to be sent, of {len(report.jobs)}",)
    if report.trouble:
        notes += (f"the vendor could not be asked: {report.trouble}",)
    return Card(title(report.name, report.rehearsal), report.next, rows, notes=notes, rehearsal=report.rehearsal)


def _speed(report: GetReport) -> tuple[tuple[str, str], ...]:
    """Speed of a local batch; nothing before the first row of this run."""
    speeds = [job.speed for job in report.jobs if job.speed]
    if not speeds or report.finished:
        return ()
    rate, tokens, retries, in_flight = (
        sum(float(speed.get(key) or 0) for speed in speeds)
        for key in ("rows_per_s", "tokens_per_s", "retries", "in_flight")
    )
    ends = [float(speed["eta_s"]) for speed in speeds if "eta_s" in speed]
    end = f"about {span(max(ends))} left" if ends else "no row finished yet; end unknown"
    summary = f"{rate:.2f} rows/s, {tokens:.0f} tokens/s, {end}; {in_flight:.0f} in flight"
    return (("Speed", f"{summary}, {retries:.0f} retries" if retries else summary),)


def _workers(report: GetReport) -> tuple[tuple[str, str], ...]:
    """Workers of a local batch's jobs, with the age of their heartbeats."""
    worker_jobs = [job for job in report.jobs if job.heartbeat_age_s is not None and job.word != "stopped"]
    lines = [
        f"{job.worker_host}, process {job.worker_pid}, heartbeat {span(job.heartbeat_age_s or 0.0)} ago"
        for job in worker_jobs
    ]
    return (("Worker", "; ".join(lines)),) if lines else ()


def _tokens(report: Any) -> str:
    return (
        f"{report.input_tokens:,} in ({report.cached_tokens:,} cached),"
        f" {report.output_tokens:,} out ({report.reasoning_tokens:,} reasoning)"
    )


def _resulted(report: ResultsReport) -> Card:
    rows = (
        named(report),
        ("Results", ", ".join((report.path, *report.also))),
        ("Outcomes", counted(report.outcomes) + f" of {report.requests:,}"),
        ("Answers", counted(report.parsed)),
        *unanswered(report.unanswered),
        *reasons(report.why),
        ("Tokens", _tokens(report)),
        *money.row(report.cost),
    )
    notes: tuple[str, ...] = () if report.finished else (f"{report.pending:,} requests are still open",)
    notes += tuple(each.text for each in report.late)
    if report.oddities:
        notes += (f"in the vendor's output: {counted(report.oddities)}",)
    return Card(title(report.name, report.rehearsal), report.next, rows, notes=notes, rehearsal=report.rehearsal)


def unanswered(kinds: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    """The requests without an answer, and how they ended."""
    return (("Unanswered", f"{sum(kinds.values()):,} ({counted(dict(kinds))})"),) if kinds else ()


def _engine(facts: dict[str, Any]) -> str:
    """Describes the engine that answered a part of a local batch."""
    details = ", ".join(
        f"{key} {in_words(value)}" for key, value in facts.items() if key not in {"part", "before"} and value
    )
    return (
        f"its first rows came from something else (--json: before), the rest from {details}"
        if facts.get("before")
        else details
    )


def _shown(report: ShownBatches) -> Card:
    """The batches of a suite, or the one batch in full."""
    return suites.shown(report.suite) if report.suite else _shown_batch(report.batches[0])


def _shown_batch(report: ShowReport) -> Card:
    status = _got(report.status)
    rows = tuple((label(key), in_words(value)) for key, value in report.made.items() if value is not None)
    tally = ", ".join(f"{value:,} {key.replace('_', ' ')}" for key, value in report.tally.items() if value)
    extra: tuple[tuple[str, str], ...] = (
        ("Files", ", ".join(report.files)),
        ("Tally", tally),
        ("Judges", ", ".join(report.judges) or "none"),
        *money.row(report.cost),
        *money.run_row(report.run_cost),
    )
    extra += tuple((f"Engine {facts['part']}", _engine(facts)) for facts in report.engines)
    extra += tuple(
        ("Retried by", f"{row.name} ({row.state}): {row.requests:,} asked again, {row.merged:,} stand here now")
        for row in report.retries
    )
    flagged = tuple(
        f"flagged: {row.item}{f' #{row.sample}' if row.sample else ''} {', '.join(row.flags)}: {row.text}"
        for row in report.flagged
    )
    if report.more_flagged:
        flagged += (f"more answers than these {len(flagged)} are flagged",)
    history = table_of(_HISTORY, report.history)
    return Card(
        status.title, report.next, status.rows + rows + extra, history, status.notes + flagged, status.rehearsal
    )


_HISTORY: tuple[Column[HistoryRow], ...] = (
    Column("time (UTC)", lambda event: event.at),
    Column("job", lambda event: str(event.part)),
    Column("event", lambda event: event.event),
    Column("state", lambda event: event.state),
    Column("detail", lambda event: line(in_words(event.detail))),
)


def _retried(report: RetryReport) -> Card:
    rows = (
        named(report),
        ("Retries", report.retries),
        ("Requests", f"{report.requests:,} ({counted(report.outcomes)})"),
        ("Processed file", ", ".join(report.files)),
        *money.estimate_rows(report.estimate),
    )
    notes = () if report.new else ("this retry was made already and is not finished",)
    return Card(title(report.name, report.rehearsal), report.next, rows, notes=notes, rehearsal=report.rehearsal)


def _cancelled(report: CancelReport) -> Card:
    rows = (
        ("Asked to stop", _number_of_jobs(report.asked)),
        ("Never sent", _number_of_jobs(report.unsent)),
        ("Given up", _number_of_jobs(report.lost)),
    )
    return Card(report.name, report.next, rows)


def _number_of_jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"


_CARDS: dict[str, Callable[[Any], Card]] = {
    "PrepareReport": _prepared,
    "EstimateReport": money.estimated,
    "StartReport": _started,
    "GetReport": _got,
    "ResultsReport": _resulted,
    "JuryReport": judging.juried,
    "ScoreReport": judging.scored,
    "PlanReport": planning.planned,
    "CompareReport": judging.compared,
    "RankReport": ranking.ranked,
    "RunReport": running.ran,
    "DoctorReport": upkeep.doctored,
    "CertifyReport": upkeep.certified,
    "InitReport": upkeep.begun,
    "WatchReport": watching.watched,
    "TickReport": running.ticked,
    "ImportReport": judging.imported,
    "LabelReport": judging.labelled,
    "ListReport": listed.listed,
    "ShownBatches": _shown,
    "RetryReport": _retried,
    "CancelReport": _cancelled,
    "DeleteReport": upkeep.deleted,
    "UpdateReport": upkeep.updated,
    "ReportReport": written.reported,
    "ExportReport": written.exported,
    "SheetReport": written.sheet,
    "LedgerReport": upkeep.ledger,
    "CopyReport": upkeep.ledger_copied,
    "EngineListReport": upkeep.engines,
    "PoolReport": upkeep.pool,
    "WorkersReport": upkeep.workers,
    "EngineInstallReport": upkeep.installed,
    "EngineServeReport": upkeep.serving,
    "EngineStopReport": upkeep.stopped,
    "RateReport": arena.rated,
    "AnswerFile": arena.answered,
    "ArenaPageReport": arena.page,
    "CompassReport": compass.ran,
    "InitConfigReport": compass.begun,
    "SuiteReport": suites.shown,
    "SuiteScore": suites.scored,
    "SuiteComparison": suites.compared,
}
