"""Evaluation: a verifier behind a server of one's own, any vendor's model, or a rule, for each data set of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from batchflow.errors import UnknownBatch
from batchflow.judges.systems import compass_verifier
from batchflow.ledger import batches
from batchflow.ledger.suites import Member
from batchflow.steps.base.context import Context
from batchflow.steps.collecting.fetch import results
from batchflow.steps.collecting.progress_report import GetReport
from batchflow.steps.compass.config import Config, Server
from batchflow.steps.compass.data_sets import DataSet
from batchflow.steps.compass.models import model_of
from batchflow.steps.judging.jury_report import JuryReport
from batchflow.steps.verbs.evaluation.jury import jury
from batchflow.steps.verbs.submission.start import start_all
from batchflow.steps.verbs.submission.wait import wait
from batchflow.vendors.registry import traits_of

_RULE = "rule:"


def judged(
    context: Context, config: Config, data: Sequence[DataSet], members: Sequence[Member], *, refresh_after_s: float,
    on_report: Callable[[GetReport], None],
) -> None:  # fmt: skip
    """Ask the judge about all answers, and fetch its verdicts; those that are there are not asked for again.

    Raises UnknownBatch for a data set that was never asked, NotReady while answers are out.
    """
    by_label = {member.label: member.batch for member in members}
    _refuse_absent(context, by_label)
    for each in data:
        results(context, by_label[each.label])
    juries = [_jury(context, config, each, by_label[each.label]) for each in data]
    names = [judge.name for report in juries for judge in report.batches]
    with context.ledger.read() as tx:
        due = [name for name in names if batches.get(tx, name).results_path is None]
    start_all(context, due)
    wait(context, names, refresh_after_s=refresh_after_s, on_report=on_report)
    for name in names:
        results(context, name)


def _refuse_absent(context: Context, by_label: dict[str, str]) -> None:
    with context.ledger.read() as tx:
        gone = [label for label, name in by_label.items() if batches.find(tx, name) is None]
    if gone:
        raise UnknownBatch(f"{', '.join(gone)}: nothing was asked yet", hint="run it with --mode infer first")


def _jury(context: Context, config: Config, data: DataSet, batch: str) -> JuryReport:
    """The judge's batch for one data set."""
    if data.kind and data.kind.startswith(_RULE):
        return jury(context, batch, [data.kind])
    server = config.judge
    name = model_of(context, server, "judge", config.path)
    kind = data.kind or server.kind or compass_verifier.PLAIN.NAME
    seated = _with_panel(context, server, name)
    return jury(seated, batch, [f"{server.provider}:{name}"], cascade=data.cascade, kind=kind)


def _with_panel(context: Context, server: Server, name: str) -> Context:
    """The context with the judge's settings as its pool has them."""
    row: dict[str, Any] = {"provider": server.provider, "model": name}
    row |= {"max_tokens": server.max_tokens, "temperature": server.temperature}
    if traits_of(server.provider).own_engine:
        row |= {"base_url": list(server.urls), "rps": server.rps, "concurrency": server.concurrency}
        row |= {"retries": server.retries, "timeout": server.timeout}
    row = {key: value for key, value in row.items() if value is not None}
    settings = replace(context.settings, file={**context.settings.file, "panel": [row]})
    return replace(context, settings=settings)
