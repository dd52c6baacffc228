"""plan: how many items, samples, judges and labels a precision or a difference takes, and what each costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchflow.errors import UsageError
from batchflow.ledger.records import BatchRecord
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.billing import cost_of_run
from batchflow.steps.judging import ballot as votes
from batchflow.steps.judging import unanswered
from batchflow.steps.judging.ballot import Ballot
from batchflow.steps.judging.design import Price, Tokens, as_points, labelled, price_by_tokens, prices, split
from batchflow.steps.judging.jury_lookup import judged, jury_of
from batchflow.steps.judging.labels.gold_labels import GoldSource

if TYPE_CHECKING:
    from batchflow.score.planning.components import Components
    from batchflow.score.planning.designs import Design

TRIED = (1, 2, 3, 5)
"""Numbers of samples and of judges that are compared."""

SHOWN = 6
"""Designs that are listed, the cheapest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """The flags of `plan`. Shares of 100 are in points.

    precision: half the width that a score is to have. difference: of two models, that is to be found with `power`.
    score, stability, judge_error, shared_error, leniency: assumptions in place of a pilot. correlation: of two models'
    items. items: in the data set. model, judge: PROVIDER:MODEL whose prices are looked up; answer_tokens, vote_tokens:
    in and out of one request to them. answer_cost, vote_cost, label_cost: USD of one.
    """

    field: str | None = None
    precision: float = 2.0
    difference: float = 5.0
    power: float = 0.8
    level: float = 0.95
    gold: Path | None = None
    score: float | None = None
    stability: float | None = None
    judge_error: float | None = None
    shared_error: float | None = None
    leniency: float | None = None
    judges: int | None = None
    correlation: float | None = None
    items: int | None = None
    answer_cost: float | None = None
    vote_cost: float | None = None
    label_cost: float | None = None
    model: str | None = None
    judge: tuple[str, ...] = ()
    answer_tokens: tuple[int, int] | None = None
    vote_tokens: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One design. half_width: of its interval, 0–1. answers, votes: of all models.

    low_usd, high_usd: None where the price is unknown. enough: the data set has so many items; None where nobody said
    how many it has. pilot: samples and judges are the pilot's.
    """

    items: int
    samples: int
    judges: int
    half_width: float
    answers: int
    votes: int
    low_usd: float | None
    high_usd: float | None
    enough: bool | None
    pilot: bool


@dataclass(frozen=True, slots=True)
class LabelRow:
    """Labels of one model. correlation: of the jury's values with people's. labels: None if no number is enough.

    of_100: of each hundred labels for a comparison of the models, those that belong to this one (Neyman).
    """

    model: str
    labelled: int
    correlation: float
    labels: int | None
    half_width: float
    of_100: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class PlanReport:
    """Report of `plan`.

    source: `pilot` or `assumed`. mean: of the votes, 0–1. spread: standard deviations in points, by their origin.
    spread_difference: of the difference of two models. precision, difference: what was asked for, 0–1. by_precision,
    by_difference: designs, the cheapest first. answer_usd, vote_usd: upper ends of the prices that were used.
    """

    names: tuple[str, ...]
    source: str
    field: str | None
    mean: float
    pilot_items: int
    pilot_samples: int
    pilot_judges: int
    spread: dict[str, float | None]
    spread_difference: dict[str, float | None]
    precision: float
    difference: float
    power: float
    level: float
    by_precision: tuple[PlanRow, ...]
    by_difference: tuple[PlanRow, ...]
    labels: tuple[LabelRow, ...]
    answer_usd: float | None
    vote_usd: float | None
    notes: tuple[str, ...]
    next: str


@dataclass(frozen=True, slots=True)
class _Basis:
    """Basis of a plan. one: components of a score. two: of a difference. answer, vote: price of one."""

    one: Components
    two: Components
    field: str | None
    notes: tuple[str, ...]
    answer: Price | None
    vote: Price | None
    labels: tuple[LabelRow, ...] = ()
    samples: int = 1
    judges: int = 1


def plan(context: Context, targets: Sequence[str], options: PlanOptions) -> PlanReport:
    """Plan from one pilot, from two of different models, or from assumptions.

    Raises UsageError, DataError, NotReady.
    """
    _check(targets, options)
    basis = _of_pilots(context, targets, options) if targets else _of_assumptions(options)
    basis = _looked_up(context, basis, options)
    answer = basis.answer if options.answer_cost is None else Price(options.answer_cost, options.answer_cost)
    vote = basis.vote if options.vote_cost is None else Price(options.vote_cost, options.vote_cost)
    basis = replace(basis, answer=answer, vote=vote)
    one, two = basis.one, basis.two
    return PlanReport(
        names=tuple(targets), source="pilot" if targets else "assumed", field=basis.field, mean=one.mean,
        pilot_items=one.n_items, pilot_samples=one.n_samples, pilot_judges=one.n_judges,
        spread=dict(as_points(one)), spread_difference=dict(as_points(two)),
        precision=options.precision / 100, difference=options.difference / 100,
        power=options.power, level=options.level,
        by_precision=_rows(basis, options), by_difference=_rows(basis, options, models=2), labels=basis.labels,
        answer_usd=None if answer is None else answer.high, vote_usd=None if vote is None else vote.high,
        notes=(*basis.notes, *_notes(basis)),
        next=f"batchflow run eval.toml --precision {options.precision:g}",
    )  # fmt: skip


def _check(targets: Sequence[str], options: PlanOptions) -> None:
    """Raise UsageError for what a pilot tells better than the user, and for too many pilots."""
    assumed = {
        "--score": options.score, "--stability": options.stability, "--judge-error": options.judge_error,
        "--shared-error": options.shared_error, "--leniency": options.leniency, "--judges": options.judges,
    }  # fmt: skip
    given = [name for name, value in assumed.items() if value is not None]
    if targets and given:
        raise UsageError(f"{', '.join(given)}: the pilot {targets[0]} tells that", hint="leave them out, or the pilot")
    if not targets and options.score is None:
        raise UsageError(
            "a plan needs a pilot or an assumption", hint="batchflow plan NAME, or batchflow plan --score 80"
        )
    if len(targets) > 2:
        raise UsageError("a plan is made from one pilot, or from two that are to be compared", hint="name two at most")
    if len(targets) == 2 and options.correlation is not None:
        raise UsageError("--correlation: two pilots tell that", hint="leave it out")


# -- assumptions ------------------------------------------------------------------------------------------------------

_STABILITY, _ERROR, _SHARED, _CORRELATION, _JUDGES = 0.8, 5.0, 0.5, 0.5, 3


def _of_assumptions(options: PlanOptions) -> _Basis:
    from batchflow.score.planning.components import assumed

    stability, shared = _or(options.stability, _STABILITY), _or(options.shared_error, _SHARED)
    error, leniency = _or(options.judge_error, _ERROR), _or(options.leniency, 0.0)
    one = assumed(
        (options.score or 0.0) / 100, stability=stability, error=error / 100, shared=shared, leniency=leniency / 100
    )
    correlation, judges = _or(options.correlation, _CORRELATION), options.judges or len(options.judge) or _JUDGES
    assumptions = (
        f"assumed: {options.score:g} of 100 right, two answers to an item correlate {stability:g}, a judge errs on "
        f"{error:g} of 100 votes, {100 * shared:g} % of that as the others do, judges' means differ by {leniency:g} "
        f"points, two models' items correlate {correlation:g}"
    )
    notes = (assumptions, "a pilot tells more: batchflow run with --limit 50 --samples 2, then batchflow plan NAME")
    return _Basis(one, one.difference(correlation), None, notes, None, None, judges=judges)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


# -- prices -----------------------------------------------------------------------------------------------------------

_ANSWER, _REPLY, _RUBRIC = (500, 1_000), 300, 500
"""Tokens of an answer where nobody says: in and out; of a judge's reply; of its instructions beside the answer."""


def _looked_up(context: Context, basis: _Basis, options: PlanOptions) -> _Basis:
    """The basis with the prices of the models that are named, in place of the pilot's."""
    given = options.answer_tokens is not None or options.vote_tokens is not None
    if given and options.model is None and not options.judge:
        raise UsageError("tokens are of a model or of judges", hint="add --model PROVIDER:MODEL, or --judge")
    answer_tokens = Tokens(*(options.answer_tokens or _ANSWER))
    vote_tokens = Tokens(*(options.vote_tokens or (answer_tokens.prompt + answer_tokens.reply + _RUBRIC, _REPLY)))
    answer, vote, notes = basis.answer, basis.vote, list(basis.notes)
    if options.model is not None:
        answer, note = price_by_tokens(context, options.model, answer_tokens)
        notes.append(f"an answer: {note}")
    if options.judge:
        looked_up = [price_by_tokens(context, name, vote_tokens) for name in options.judge]
        vote = _mean([price for price, _ in looked_up])
        notes += [f"a vote: {note}" for _, note in looked_up]
    return replace(basis, answer=answer, vote=vote, notes=tuple(notes))


# -- pilots -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pilot:
    batch: BatchRecord
    ballot: Ballot
    field: str


def _of_pilots(context: Context, targets: Sequence[str], options: PlanOptions) -> _Basis:
    from batchflow.score.planning.pilots import of_difference

    pilots = [_pilot(context, batch, options.field) for batch in judged(context, targets)]
    first, notes = pilots[0], list[str]()
    one, judges, out = split(first.ballot, first.field)
    notes += [f"{name} voted on less than half of the answers, and is left out" for name in out]
    if one.samples is None:
        notes.append("each item was answered once: what repeated answers differ by is within the items' part")
    if one.judges is None:
        notes.append("one judge: what judges differ by is not known")
    if one.n_items < 30:
        notes.append(f"the pilot has {one.n_items} whole items: its components are rough below 30")
    if one.alike:
        notes.append("all votes of the pilot are alike: two right items and two wrong ones are added for the spread")
    if len(pilots) == 2:
        a, b = (pilot.ballot.votes() for pilot in pilots)
        two = of_difference(a, b, first.field, first.ballot.item_of)
    else:
        correlation = _or(options.correlation, _CORRELATION)
        two = one.difference(correlation)
        notes.append(f"assumed: two models' items correlate {correlation:g} (--correlation, or name two pilots)")
    with context.ledger.read() as tx:
        costs = [cost_of_run(tx, pilot.batch) for pilot in pilots]
    answer, vote = _dearest([prices(cost) for cost in costs])
    return _Basis(
        one, two, first.field, tuple(notes), answer, vote, _label_rows(context, pilots, options),
        samples=max(one.n_samples, 1), judges=len(judges),
    )  # fmt: skip


def _pilot(context: Context, batch: BatchRecord, field: str | None) -> _Pilot:
    judges, _ = jury_of(context, batch, 0.0, field)
    ballot = unanswered.counted_in(votes.of_batch(context, batch, judges), unanswered.worths(()))
    chosen = field or ballot.field
    votes.refuse_half_judged(batch.name, ballot, chosen)
    return _Pilot(batch, ballot, chosen)


def _dearest(prices: Sequence[tuple[Price | None, Price | None]]) -> tuple[Price | None, Price | None]:
    """The mean price of two pilots' answers, and of their votes; None where one of them is not known."""
    return _mean([pair[0] for pair in prices]), _mean([pair[1] for pair in prices])


def _mean(prices: Sequence[Price | None]) -> Price | None:
    known = [price for price in prices if price is not None]
    if len(known) < len(prices):
        return None
    highs = [price.high for price in known if price.high is not None]
    high = sum(highs) / len(known) if len(highs) == len(known) else None
    return Price(sum(price.low for price in known) / len(known), high)


# -- labels -----------------------------------------------------------------------------------------------------------


def _label_rows(context: Context, pilots: Sequence[_Pilot], options: PlanOptions) -> tuple[LabelRow, ...]:
    """Facts from people's labels about the judges of the pilots, and the labels that a precision takes."""
    source = GoldSource(context, options.gold)
    labelled_pilots = [(pilot, *pair) for pilot in pilots if (pair := _labelled(pilot, source)) is not None]
    from batchflow.score.planning.designs import allocated

    shares = allocated(100, [(variance * (1 - rho**2)) ** 0.5 for _, _, variance, rho in labelled_pilots])
    return tuple(_label_row(each, options, share) for each, share in zip(labelled_pilots, shares, strict=True))


def _labelled(pilot: _Pilot, source: GoldSource) -> tuple[int, float, float] | None:
    about = source.about(pilot.batch.task, pilot.batch.split, pilot.ballot)
    return None if about is None else labelled(pilot.ballot, about.of(pilot.ballot), pilot.field)


def _label_row(labelled_pilot: tuple[_Pilot, int, float, float], options: PlanOptions, of_100: int) -> LabelRow:
    from batchflow.score.planning.designs import for_labels

    pilot, count, variance, rho = labelled_pilot
    items = options.items or len(set(pilot.ballot.item_of))
    need = for_labels(variance, rho, items, options.precision / 100, level=options.level)
    usd = None if options.label_cost is None or need.count is None else options.label_cost * need.count
    return LabelRow(pilot.batch.name, count, rho, need.count, need.half_width, of_100, usd)


# -- designs ----------------------------------------------------------------------------------------------------------


def _rows(basis: _Basis, options: PlanOptions, *, models: int = 1) -> tuple[PlanRow, ...]:
    """Designs that reach the precision (one model) or find the difference (two), the cheapest first."""
    rows = [_row(design, basis, options, models) for design in _designs(basis, options, models)]
    rows.sort(key=lambda row: (row.enough is False, row.answers + row.votes if row.high_usd is None else row.high_usd))
    first = rows[:SHOWN]
    return tuple(first + [row for row in rows[SHOWN:] if row.pilot])


def _designs(basis: _Basis, options: PlanOptions, models: int) -> Iterator[Design]:
    from batchflow.score.planning.designs import for_difference, for_precision

    parts = basis.one if models == 1 else basis.two
    samples = TRIED if parts.samples is not None else (basis.samples,)
    judges = TRIED if parts.disagreement is not None else (basis.judges,)
    for k in sorted({*samples, basis.samples}):
        for m in sorted({*judges, basis.judges}):
            if models == 1:
                yield for_precision(parts, options.precision / 100, k, m, level=options.level)
            else:
                wanted = options.difference / 100
                yield for_difference(parts, wanted, k, m, level=options.level, power=options.power)


def _row(design: Design, basis: _Basis, options: PlanOptions, models: int) -> PlanRow:
    answers, cast = models * design.answers, models * design.votes
    low: float | None = None
    high: float | None = None
    if basis.answer is not None and basis.vote is not None:
        (low, top), (more, most) = basis.answer.times(answers), basis.vote.times(cast)
        low += more
        high = None if top is None or most is None else top + most
    return PlanRow(
        design.items, design.samples, design.judges, design.half_width, answers, cast,
        low if high is not None else None, high, None if options.items is None else design.items <= options.items,
        (design.samples, design.judges) == (basis.samples, basis.judges),
    )  # fmt: skip


def _notes(basis: _Basis) -> list[str]:
    pairs = (("an answer", basis.answer), ("a vote", basis.vote))
    unknown = [name for name, price in pairs if price is None or price.high is None]
    notes = [f"price unknown: of {' and of '.join(unknown)} (--answer-cost, --vote-cost)"] if unknown else []
    width = 196 * ((basis.one.judges or 0.0) / basis.judges) ** 0.5
    if width >= 0.05:
        notes.append(
            f"the choice of {basis.judges} judges adds ± {width:.1f} points that no number of items removes; the "
            "designs are for these judges"
        )
    return notes
