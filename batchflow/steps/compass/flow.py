"""run cfg.yaml: inference, evaluation and summary of OpenCompass's kind, each step over the ledger's batches.

Both ways, in one go or step by step on different days and servers, go through the same batches, so that they come to
the same score: judges always see the stored answers.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchflow import files
from batchflow.batch_file import safe
from batchflow.errors import NotReady, UsageError
from batchflow.layouts import opencompass
from batchflow.ledger import batches, suites
from batchflow.ledger.suites import Member, Suite
from batchflow.steps.base.context import Context
from batchflow.steps.building.local_options import LocalFlags
from batchflow.steps.collecting.fetch import results
from batchflow.steps.collecting.progress_report import GetReport
from batchflow.steps.collecting.results_file import Place, shown
from batchflow.steps.compass import runs
from batchflow.steps.compass.config import Config
from batchflow.steps.compass.data_sets import MMLU, DataSet, categories_of, groups_of
from batchflow.steps.compass.judging import judged
from batchflow.steps.compass.models import model_of
from batchflow.steps.compass.runs import Run
from batchflow.steps.compass.summary import SummaryRow, summarised
from batchflow.steps.judging.panel import bundled_script
from batchflow.steps.suites.suite import check, keep
from batchflow.steps.verbs.submission.prepare import PrepareOptions, prepare
from batchflow.steps.verbs.submission.start import start_all
from batchflow.steps.verbs.submission.wait import wait
from batchflow.steps.viewing.layout import also_in
from batchflow.tasks import registry as tasks
from batchflow.vendors.registry import traits_of

Listener = Callable[[GetReport], None]


@dataclass(frozen=True, slots=True)
class CompassReport:
    """Report of `run cfg.yaml`. name: the task's; run: its timestamp; suite: of its batches; rows: of the summary."""

    name: str
    run: str
    mode: str
    folder: str
    suite: str
    rows: tuple[SummaryRow, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


def run(
    context: Context, config: Config, *, mode: str, work_dir: Path | None, reuse: str | None, refresh_after_s: float,
    on_report: Listener,
) -> CompassReport:  # fmt: skip
    """Do the steps of a mode. Raises UsageError before anything is made, NotReady where answers are still out.

    reuse: a run's timestamp, or `latest`. Without it, inference begins a new run, or goes on with the last one of the
    same configuration that has no summary yet; evaluation and summary take the latest.
    """
    data = expanded(context, config)
    infers, judges = mode in {"all", "infer"}, mode in {"all", "eval"}
    _refuse_nobody(context, config, data, infers=infers, judges=judges)
    this, suite = _begun(context, config, data, runs.folder_of(context, config, work_dir), reuse, infers=infers)
    suite = _kept(context, suite, data, config, adds=infers)
    _copied(this, config)
    paths: list[str] = []
    if infers:
        paths += _inferred(context, config, data, this, refresh_after_s, on_report)
    if judges:
        labels = {each.label for each in data}
        members = [member for member in suite.members if member.label in labels]
        judged(context, config, data, members, refresh_after_s=refresh_after_s, on_report=on_report)
        paths += _written(context, config, members, this)
    rows: tuple[SummaryRow, ...] = ()
    notes: tuple[str, ...] = ()
    if mode != "infer":
        rows, written, notes = summarised(context, config, data, this, refresh_after_s=refresh_after_s)
        paths += [shown(context, path) for path in written]
    return CompassReport(
        name=config.task_name, run=this.name, mode=mode, folder=shown(context, this.folder), suite=this.suite,
        rows=rows, files=tuple(dict.fromkeys(paths)), notes=notes, rehearsal=context.settings.rehearsal,
        next=_next(config, this, mode),
    )  # fmt: skip


def _begun(
    context: Context, config: Config, data: Sequence[DataSet], work: Path, reuse: str | None, *, infers: bool
) -> tuple[Run, Suite]:
    """The run that is meant, with its suite: one that is there, else a new one once all data sets are known to be."""
    if reuse is not None or not infers:
        this = runs.named(context, config, work, reuse or runs.LATEST)
        return this, runs.suite_of(context, this)
    if (before := runs.unfinished(context, config, work, config.path.read_bytes())) is not None:
        context.say(f"run {before.name} goes on; --reuse names another one")
        return before, runs.suite_of(context, before)
    for options in _options(context, config, data, "check"):
        check(context, options)
    this = runs.begin(config, work, context.clock())
    return this, Suite(this.suite, (), ())


def _next(config: Config, this: Run, mode: str) -> str:
    if mode == "infer":
        return f"batchflow run {shlex.quote(str(config.path))} --mode eval --reuse {this.name}"
    return f"batchflow show {this.suite}"


def _refuse_nobody(context: Context, config: Config, data: Sequence[DataSet], *, infers: bool, judges: bool) -> None:
    """Raise UsageError where nobody would answer, or judge, or where a judge is not allowed to run programs."""
    if infers and not config.model.is_known:
        raise UsageError(f"{config.path}: model.api_server is missing", hint="or model.provider, for a vendor")
    if judges and not config.judge.is_known and any(not (each.kind or "").startswith("rule:") for each in data):
        raise UsageError(f"{config.path}: judge.judger_server is missing", hint="or judge.provider, for a vendor")
    for each in data if judges else ():
        bundled_script(context, (each.kind or "").removeprefix("rule:"))


def expanded(context: Context, config: Config) -> list[DataSet]:
    """The data sets of a configuration, MMLU-Pro as its categories. Raises UsageError, DataError."""
    out: list[DataSet] = []
    for each in config.data:
        if each.name != MMLU or each.split is not None:
            out.append(each)
            continue
        task = tasks.get(str(each.task))
        source = task.source(context.settings, task.SPLITS[0], each.path)
        there = dict.fromkeys(str(item.fields["category"]) for item in task.items(source, task.SPLITS[0]))
        out += categories_of(each, list(there))
    return out


def _options(context: Context, config: Config, data: Sequence[DataSet], suite: str) -> list[PrepareOptions]:
    """The settings of each data set's batch."""
    server = config.model
    is_own = traits_of(server.provider).own_engine
    local = (
        LocalFlags(
            base_url=server.urls, rps=server.rps, concurrency=server.concurrency, retries=server.retries,
            timeout=server.timeout,
        )
        if is_own
        else LocalFlags()
    )  # fmt: skip
    model = model_of(context, server, "model", config.path)
    return [
        PrepareOptions(
            provider=server.provider, model=model, name=f"{suite}_{safe(each.label)}", task=each.task or "qa",
            dataset=each.path, split=each.split, samples=each.repeats, max_tokens=server.max_tokens,
            temperature=server.temperature, limit=each.options.get("limit") or config.limit,
            map=tuple(each.options.get("map", ())), local=local,
        )
        for each in data
    ]  # fmt: skip


def _kept(context: Context, suite: Suite, data: Sequence[DataSet], config: Config, *, adds: bool) -> Suite:
    """The suite with the configuration's data sets and groups. Raises UsageError for one that the run never asked."""
    known = {member.label: member for member in suite.members}
    strange = [each.label for each in data if each.label not in known]
    if strange and not adds:
        hint = f"its data sets: {', '.join(known)}; --mode infer adds others"
        raise UsageError(f"run {suite.name}: it has no data set {', '.join(strange)}", hint=hint)
    members = (*suite.members, *(Member(label, f"{suite.name}_{safe(label)}") for label in strange))
    groups = groups_of(list(data), config.groups)
    latest = Suite(suite.name, members, groups)
    if suite.members:
        with context.ledger.write(names=[latest.name]) as tx:
            suites.put(tx, latest, now=context.clock())
    else:
        keep(context, latest)
    return latest


def _copied(this: Run, config: Config) -> None:
    """Keep the configuration beside the run; another one of the same run under a further number."""
    text = config.path.read_bytes()
    folder = this.folder / runs.CONFIGS
    folder.mkdir(exist_ok=True)
    there = [path for path in sorted(folder.glob("*")) if path.is_file()]
    if text not in [path.read_bytes() for path in there]:
        number = f"_{len(there)}" if there else ""
        with files.replacing(folder / f"{this.name}{number}{config.path.suffix}") as out:
            out.write(text)


def _inferred(
    context: Context, config: Config, data: Sequence[DataSet], this: Run, refresh_after_s: float, on_report: Listener
) -> list[str]:
    """Ask every data set's questions, and write the predictions; what is there already is not asked again."""
    names = [prepare(context, options).name for options in _options(context, config, data, this.suite)]
    with context.ledger.read() as tx:
        records = [batches.get(tx, name) for name in names]
    start_all(context, [batch.name for batch in records if batch.results_path is None])
    wait(context, names, refresh_after_s=refresh_after_s, on_report=on_report)
    return _written(context, config, [Member(each.label, name) for each, name in zip(data, names, strict=True)], this)


def _written(context: Context, config: Config, members: Sequence[Member], this: Run) -> list[str]:
    """Write predictions, and results as far as there are verdicts. Raises NotReady while answers are out."""
    written: list[str] = []
    for member in members:
        report = results(context, member.batch)
        if not report.finished:
            raise NotReady(f"{report.name}: some answers are still out", hint=f"batchflow get {report.name} --wait")
        place = Place(this.folder, config.task_name, member.label)
        written += also_in(context, report, opencompass, place).also
    return written
