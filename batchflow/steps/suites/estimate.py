"""estimate of a suite: what its batches and their juries will cost together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add

from batchflow.steps.base.context import Context
from batchflow.steps.base.suites import named
from batchflow.steps.suites.suite import plan_suite
from batchflow.steps.suites.suite_file import SuiteFile
from batchflow.steps.verbs.submission.estimate import EstimateReport, estimate_batch, estimate_prepared, total
from batchflow.steps.verbs.submission.prepare import PrepareOptions


def estimate_suite(
    context: Context, name: str, judges: Sequence[str], *, with_jury: bool, samples: int
) -> EstimateReport:
    """Cost of the batches of a suite that are there, and of their juries. Raises UnknownBatch, UsageError."""
    reports = [
        estimate_batch(context, member, judges, with_jury=with_jury, samples=samples)
        for member in named(context, [name])
    ]
    return _together(name, reports, f"batchflow start {name}")


def estimate_suite_file(
    context: Context,
    suite: SuiteFile,
    options: PrepareOptions,
    judges: Sequence[str],
    *,
    with_jury: bool,
    samples: int,
) -> EstimateReport:
    """Cost of the batches that `prepare --suite` would make; nothing is kept. Raises as `prepare_suite`."""
    name, planned = plan_suite(context, suite, options)
    reports = [estimate_prepared(context, own, judges, with_jury=with_jury, samples=samples) for _, own in planned]
    return _together(name, reports, "batchflow prepare (with the same options)")


def _together(name: str, reports: Sequence[EstimateReport], follow: str) -> EstimateReport:
    """The estimates of all members in one."""
    spent = [report.spent for report in reports if report.spent is not None]
    return replace(
        reports[0],
        name=name,
        batches=tuple(row for report in reports for row in report.batches),
        low_usd=total([report.low_usd for report in reports]),
        high_usd=total([report.high_usd for report in reports]),
        spent=reduce(add, spent) if spent else None,
        notes=tuple(dict.fromkeys(note for report in reports for note in report.notes)),
        rehearsal=any(report.rehearsal for report in reports),
        next=follow,
    )
