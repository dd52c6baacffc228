"""Estimate of a whole run: what is billed, what is out, and what is still to be sent, its jury included."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from batchflow.errors import NeedsYou, UsageError
from batchflow.judges import registry as kinds
from batchflow.ledger import batches, jobs
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.prices.estimates import Estimate
from batchflow.states import State
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.billing import family
from batchflow.steps.base.money.estimating import estimate_of
from batchflow.steps.base.progress.stages import Stages
from batchflow.steps.running.plan import Step
from batchflow.steps.running.spec import Wish
from batchflow.steps.verbs.submission.estimate import planned_jury
from batchflow.vendors.registry import traits_of

_WITHOUT_JURY = frozenset({Step.RESULTS, Step.RETRY})
_OVER = frozenset({State.CANCELLED, State.LOST})


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """Estimate of a run, made before anything more is sent.

    requests and tokens: of all its batches, stages that come later included. low_usd, high_usd: of the same; high_usd
    None: a price is not known. spent_usd: billed by now, a part of both ends. now_usd: the upper end without the stages
    that come later, which a cap has to hold before anything is sent; None as high_usd. max_cost_usd: the cap that was
    asked for. jury: its judges are in the numbers. why: of a range or a gap in the prices. unpriced: batches and judges
    without a price.
    """

    requests: int = 0
    input_low: int = 0
    input_high: int = 0
    output_low: int = 0
    output_high: int = 0
    low_usd: float = 0.0
    high_usd: float | None = 0.0
    now_usd: float | None = 0.0
    spent_usd: float = 0.0
    max_cost_usd: float | None = None
    jury: bool = False
    why: tuple[str, ...] = ()
    unpriced: tuple[str, ...] = ()

    def __add__(self, other: RunEstimate) -> RunEstimate:
        """Both together."""
        return RunEstimate(
            requests=self.requests + other.requests,
            input_low=self.input_low + other.input_low,
            input_high=self.input_high + other.input_high,
            output_low=self.output_low + other.output_low,
            output_high=self.output_high + other.output_high,
            low_usd=self.low_usd + other.low_usd,
            high_usd=_sum(self.high_usd, other.high_usd),
            now_usd=_sum(self.now_usd, other.now_usd),
            spent_usd=self.spent_usd + other.spent_usd,
            max_cost_usd=self.max_cost_usd,
            jury=self.jury or other.jury,
            why=tuple(dict.fromkeys((*self.why, *other.why))),
            unpriced=tuple(dict.fromkeys((*self.unpriced, *other.unpriced))),
        )

    @property
    def text(self) -> str:
        """One line for a person who waits."""
        money = "price unknown" if self.high_usd is None else f"{_usd(self.low_usd)} to {_usd(self.high_usd)}"
        spent = f", {_usd(self.spent_usd)} of it spent" if self.spent_usd else ""
        cap = "" if self.max_cost_usd is None else f"; the cap is {_usd(self.max_cost_usd)}"
        return f"estimate: {self.requests:,} requests, {self.jury_text}: {money}{spent}{cap}"

    @property
    def jury_text(self) -> str:
        """Tells whether the jury is counted."""
        return "jury included" if self.jury else "without a jury"


def expected(context: Context, wish: Wish, max_cost: float | None) -> RunEstimate:
    """The estimate of a run whose batches are prepared, with its jury unless it ends before that.

    Raises UsageError for judges that there are not.
    """
    total = RunEstimate(max_cost_usd=max_cost)
    for name in wish.names:
        with context.ledger.read() as tx:
            root, retries, jury = family(tx, batches.get(tx, name))
        own = _sum_of(_of_member(context, member) for member in (root, *retries, *jury))
        own = replace(own, jury=bool(jury))
        if not jury and wish.policy.until not in _WITHOUT_JURY:
            own += _of_planned_jury(context, root, wish)
        total += _with_later_stages(own, Stages.of(root))
    return total


def refuse_above(estimate: RunEstimate, *, canary: bool) -> None:
    """Raise NeedsYou, before anything is sent, where a run may cost more than its cap.

    canary: each batch's canary tells what the rest will cost, so that only what is sent first has to fit (`caps`).
    """
    cap = estimate.max_cost_usd
    if cap is None:
        return
    if estimate.now_usd is None:
        raise NeedsYou(
            f"a price is not known, and the run has a cap: {', '.join(estimate.unpriced)}; nothing was sent",
            hint="[prices.PROVIDER.'MODEL'] in batchflow.toml sets one (docs/money.md)",
        )
    if not canary and estimate.now_usd > cap + 1e-9:
        spent = f", {_usd(estimate.spent_usd)} of it spent" if estimate.spent_usd else ""
        raise NeedsYou(
            f"the run may cost up to {_usd(estimate.now_usd)}{spent}, {estimate.jury_text}: "
            f"more than --max-cost {cap:g}; nothing was sent",
            hint="a lower --max-tokens, a --limit, a --canary or a higher --max-cost makes room",
        )


def _of_member(context: Context, batch: BatchRecord) -> RunEstimate:
    """Cost of a batch of the run: its bill, and the estimate of what is not billed."""
    with context.ledger.read() as tx:
        parts = [job for job in jobs.of_batch(tx, batch.id) if job.state not in _OVER]
    billed = [job for job in parts if _is_billed(job)]
    own = _sum_of(map(_of_bill, billed))
    rest = [job for job in parts if not _is_billed(job)]
    return own + _of_estimate(batch.name, batch.provider, estimate_of(context, batch, rest)) if rest else own


def _is_billed(job: JobRecord) -> bool:
    return job.state is State.FETCHED and job.cost is not None and job.cost["high"] is not None


def _of_bill(job: JobRecord) -> RunEstimate:
    cost, usage = job.cost or {}, job.usage or []
    read, output, high = sum(row[2] for row in usage), sum(row[6] for row in usage), float(cost["high"])
    return RunEstimate(job.n_requests, read, read, output, output, float(cost["low"] or 0.0), high, high, high)


def _of_estimate(name: str, provider: str, estimate: Estimate) -> RunEstimate:
    if traits_of(provider).judges_only:  # a rule reads and writes no tokens
        return RunEstimate(estimate.requests)
    high = 0.0 if estimate.is_free else estimate.high_usd
    return RunEstimate(
        estimate.requests, estimate.input_low, estimate.input_high, estimate.output_low, estimate.output_high,
        estimate.low_usd or 0.0, high, high, why=estimate.why, unpriced=(name,) if high is None else (),
    )  # fmt: skip


def _of_planned_jury(context: Context, root: BatchRecord, wish: Wish) -> RunEstimate:
    wanted = wish.jury
    kind = kinds.named(wanted.kind) if wanted.kind else None
    try:
        rows = planned_jury(context, root, wanted.judges, samples=wanted.samples, kind=kind)
    except UsageError:
        if wish.policy.until.comes_before(Step.JURY):  # nobody has to be there to judge yet
            return RunEstimate()
        raise
    return replace(_sum_of(_of_estimate(row.name, row.provider, row.estimate) for row in rows), jury=True)


def _with_later_stages(own: RunEstimate, stages: Stages | None) -> RunEstimate:
    """The estimate if all stages are sent, by the size of those that are made."""
    if stages is None or stages.is_last or stages.reason is not None:
        return own
    more = stages.planned[-1] / stages.items
    return replace(
        own,
        requests=round(own.requests * more),
        input_low=round(own.input_low * more),
        input_high=round(own.input_high * more),
        output_low=round(own.output_low * more),
        output_high=round(own.output_high * more),
        high_usd=None if own.high_usd is None else own.high_usd * more,
    )


def _sum_of(parts: Iterable[RunEstimate]) -> RunEstimate:
    return sum(parts, RunEstimate())


def _usd(value: float) -> str:
    """An amount with two digits that count, however small it is."""
    text = f"{value:,.2f}" if value >= 1 or not value else f"{value:.2g}"
    return f"${text}" if "e" not in text else f"${value:.10f}".rstrip("0")


def _sum(one: float | None, two: float | None) -> float | None:
    return None if one is None or two is None else one + two
