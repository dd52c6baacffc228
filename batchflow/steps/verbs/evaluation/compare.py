"""compare: judged batches on the same items, item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchflow.errors import UsageError
from batchflow.ledger.records import BatchRecord
from batchflow.steps.base.context import Context, whole
from batchflow.steps.base.progress.next_command import next_of
from batchflow.steps.base.progress.stages import Stages
from batchflow.steps.judging import anytime, caveats, unanswered
from batchflow.steps.judging import ballot as votes
from batchflow.steps.judging.ballot import Ballot, counted
from batchflow.steps.judging.counting.cast import MISSING
from batchflow.steps.judging.jury_lookup import judged, jury_of
from batchflow.steps.judging.labels.gold_labels import GoldSource
from batchflow.steps.judging.labels.sheets import with_design
from batchflow.vocabulary import REFRESH_S

if TYPE_CHECKING:
    from batchflow.score.labelled.gold import Design
    from batchflow.score.labelled.labelled_pair import CorrectedDifference
    from batchflow.score.paired import Comparison, Comparisons, Scored
    from batchflow.score.values import Votes
    from batchflow.steps.judging.anytime import Anytime

DAWID_SKENE = "dawid-skene"
METHODS = ("mean", "majority", DAWID_SKENE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """The flags of `compare`; see `ScoreOptions`. power: of the test that the detectable difference is given for."""

    field: str | None = None
    method: str = "mean"
    level: float = 0.95
    resamples: int = 9_999
    seed: int = 0
    power: float = 0.8
    cluster: str | None = None
    unanswered: tuple[str, ...] = ()
    gold: Path | None = None
    extract: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelRank:
    """One batch of the comparison. n_items: those with a value; a pair has those that both batches have.

    left_out: items without an answer that are in no pair; as_wrong: those that are in the pairs as wrong; unanswered:
    all of them by kind, with what each is worth. rank_best, rank_worst: the places that the paired
    tests, and the answers that are missing, leave open.
    """

    name: str
    provider: str
    model: str
    score: float
    n_items: int
    votes_missing: int
    left_out: int
    rank_best: int
    rank_worst: int
    rehearsal: bool
    as_wrong: int
    unanswered: dict[str, dict[str, int | str]]
    judges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelPair:
    """Two batches of the comparison, with the bounds of their difference.

    bounds_low, bounds_high: the difference if the requests without an answer were all answered wrong by the one model
    and right by the other; None where every request has an answer. corrected: by human labels, None without --gold.
    anytime: the bounds at every look, where both batches were sent in the same stages.
    """

    numbers: Comparison
    bounds_low: float | None
    bounds_high: float | None
    corrected: CorrectedDifference | None = None
    anytime: Anytime | None = None

    @property
    def is_open(self) -> bool:
        """Tells whether the missing answers could turn the difference around."""
        return self.bounds_low is not None and self.bounds_high is not None and self.bounds_low <= 0 <= self.bounds_high

    def to_json(self) -> dict[str, Any]:
        """Plain values; the bounds stand beside the numbers."""
        corrected = asdict(self.corrected) if self.corrected else None
        bounds = {"bounds_low": self.bounds_low, "bounds_high": self.bounds_high}
        looks = self.anytime.to_json() if self.anytime else None
        return {**asdict(self.numbers), **bounds, "corrected": corrected, "anytime": looks}


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One judge's errors on a batch's labelled answers: shares of the wrong ones that pass, and of the right ones that
    fail; None without such answers.
    """

    judge: str
    name: str
    wrong: int
    wrong_passed: float | None
    right: int
    right_failed: float | None


@dataclass(frozen=True, slots=True)
class CompareReport:
    """Models by falling score, and every pair. judge_errors: by judge and batch, from labels; empty without --gold."""

    field: str
    method: str
    level: float
    seed: int
    power: float
    models: tuple[ModelRank, ...]
    pairs: tuple[ModelPair, ...]
    incomplete: tuple[str, ...]
    notes: tuple[str, ...]
    next: str
    judge_errors: tuple[ErrorRow, ...] = ()
    task: str = ""
    split: str = ""

    def to_json(self) -> dict[str, Any]:
        """The report by its keys. suite: the table of `compare SUITE SUITE` (`steps.suites.compare`)."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"suite": None}


def compare(
    context: Context,
    targets: Sequence[str],
    options: CompareOptions | None = None,
    *,
    refresh_after_s: float = REFRESH_S,
) -> CompareReport:
    """Compare two judged batches or more. Raises UsageError below two, NotReady without votes, DataError without a
    common item.
    """
    options = options or CompareOptions()
    _check(options)
    chosen = unanswered.worths(options.unanswered)
    parents = judged(context, targets) if targets else []
    if len(parents) < 2:
        raise UsageError("compare needs two judged batches", hint="batchflow compare A B; batchflow list shows them")
    refuse_other_questions(parents)
    juries, late = _juries(context, parents, refresh_after_s, options)
    ballots = {name: unanswered.counted_in(votes.of_batch(context, *jury), chosen) for name, jury in juries.items()}
    field = options.field or common_field(ballots)
    models, comparisons = _compared(ballots, field, options)
    sizes = {model.name: len(model.items) for model in models}
    missing = {name: _missing(ballot, field) for name, ballot in ballots.items()}
    scored = {model.name: model for model in models}
    pairs = _pairs(comparisons, ballots)
    if options.method != DAWID_SKENE:  # a fit's values are not those of independent items
        pairs = [_at_looks(pair, scored, juries, ballots, options.level) for pair in pairs]
    errors: tuple[ErrorRow, ...] = ()
    if options.gold is not None:
        source = GoldSource(context, options.gold)
        labels = {name: _labels(ballot, juries[name][0], source, field) for name, ballot in ballots.items()}
        designs = {name: with_design(context, juries[name][0], ballot).design for name, ballot in ballots.items()}
        cast = {name: ballot.votes() for name, ballot in ballots.items()} if options.method == "mean" else {}
        pairs = _corrected(pairs, scored, labels, designs, cast, field, options.level)
        errors = _judge_errors(ballots, field, labels)
    places = _places(pairs, 1 - options.level)
    ranks = tuple(
        ModelRank(
            rank.name, ballots[rank.name].provider, juries[rank.name][0].model, rank.mean, sizes[rank.name],
            missing[rank.name], ballots[rank.name].unjudgeable + ballots[rank.name].excluded, *places[rank.name],
            _rehearsed(*juries[rank.name]), ballots[rank.name].wrong,
            unanswered.worth_of(ballots[rank.name], chosen),
            tuple(judge.name for judge in ballots[rank.name].judges),
        )
        for rank in comparisons.ranks
    )  # fmt: skip
    notes = (*_notes(juries, ballots, missing), *_bound_notes(pairs), *_judge_notes(pairs, 1 - options.level))
    fit_notes = (_FITTED,) if options.method == DAWID_SKENE else ()
    notes = (*_stage_notes(pairs, juries), *fit_notes, *notes)
    return CompareReport(
        field, options.method, options.level, options.seed, options.power, ranks,
        tuple(pairs), tuple(late), notes,
        next_of(context, late[0]) if late else f"batchflow score {' '.join(ballots)}", errors,
        parents[0].task, parents[0].split,
    )  # fmt: skip


_FITTED = "Dawid–Skene takes the judges' errors for independent of each other: shared ones stay in the differences"


def _judge_errors(
    ballots: Mapping[str, Ballot], field: str, labels: Mapping[str, Mapping[str, float]]
) -> tuple[ErrorRow, ...]:
    """Each judge's errors on the labelled answers of each batch, by judge."""
    from batchflow.score.labelled.labelled_pair import judge_errors

    rows = [
        ErrorRow(each.judge, name, each.wrong, each.wrong_passed, each.right, each.right_failed)
        for name, ballot in ballots.items()
        for each in judge_errors(name, ballot.votes(), field, labels[name])
    ]
    return tuple(sorted(rows, key=lambda row: row.judge))


def _juries(
    context: Context, parents: Sequence[BatchRecord], refresh_after_s: float, options: CompareOptions
) -> tuple[caveats.Juries, list[str]]:
    """The batches with their judges, and the names of the judges that have not finished."""
    juries, late = dict[str, tuple[BatchRecord, Sequence[BatchRecord]]](), list[str]()
    for parent in parents:
        judges, open_ones = jury_of(context, parent, refresh_after_s, options.field, options.extract)
        juries[parent.name] = parent, judges
        late += open_ones
    return juries, late


def common_field(ballots: Mapping[str, Ballot]) -> str:
    """Returns the field on which all batches can be compared: their one field, or the one that rules vote on. Raises
    UsageError without one.
    """
    fields = dict.fromkeys(ballot.field for ballot in ballots.values())
    ruled = {ballot.kind.RULED for ballot in ballots.values()}
    if len(fields) > 1 and (len(ruled) > 1 or None in ruled):
        raise UsageError(
            f"the batches are judged on different fields: {', '.join(fields)}",
            hint="judge them by one kind: batchflow jury NAME --kind",
        )
    return next(iter(fields)) if len(fields) == 1 else str(next(iter(ruled)))


def _pairs(comparisons: Comparisons, ballots: Mapping[str, Ballot]) -> list[ModelPair]:
    """All pairs with the bounds of their differences."""
    extremes = {rank.name: _extremes(rank.mean, ballots[rank.name]) for rank in comparisons.ranks}
    return [_bounded(pair, ballots, extremes) for pair in comparisons.pairs]


def _bounded(pair: Comparison, ballots: Mapping[str, Ballot], extremes: Mapping[str, tuple[float, float]]) -> ModelPair:
    """The pair with the bounds of its difference: a model that leaves hard requests unanswered looks too good."""
    low: float | None = None
    high: float | None = None
    if ballots[pair.a].unjudgeable or ballots[pair.b].unjudgeable:
        (worst_a, best_a), (worst_b, best_b) = extremes[pair.a], extremes[pair.b]
        low, high = worst_a - best_b, best_a - worst_b
    return ModelPair(pair, low, high)


def _at_looks(
    pair: ModelPair, models: Mapping[str, Scored], juries: caveats.Juries, ballots: Mapping[str, Ballot], level: float
) -> ModelPair:
    """The pair with bounds that hold at every look, where both batches were sent in the same stages."""
    a, b = pair.numbers.a, pair.numbers.b
    one, two = Stages.of(juries[a][0]), Stages.of(juries[b][0])
    if one is None or two is None:
        return pair
    stage_of = anytime.stages_of_items(ballots[a], one)
    return replace(pair, anytime=anytime.of_pair(models[a], models[b], (one, two), stage_of, level=level))


def _stage_notes(pairs: Sequence[ModelPair], juries: caveats.Juries) -> list[str]:
    """Notes on pairs of which a batch was sent in stages: their plain intervals hold at one look only."""
    notes = []
    for pair in pairs:
        numbers, bounds = pair.numbers, pair.anytime
        if bounds is not None:
            last = bounds.last
            notes.append(
                f"{numbers.a} − {numbers.b}: at every look {100 * last.low:.1f} – {100 * last.high:.1f} "
                f"({bounds.stages}){bounds.own_text}; the interval and p of the table are not valid under stopping"
            )
        elif any(Stages.of(juries[name][0]) for name in (numbers.a, numbers.b)):
            notes.append(
                f"{numbers.a} − {numbers.b}: not both were sent in the same stages, so no interval holds under stopping"
            )
    return notes


def _labels(ballot: Ballot, parent: BatchRecord, source: GoldSource, field: str) -> dict[str, float]:
    """People's labels of a batch's answers by item. An item that counts as wrong for want of an answer needs none.

    Raises DataError where the labels are about another field, UsageError for repeated answers.
    """
    from batchflow.score.labelled.own_labels import own_labels
    from batchflow.score.summary import refuse_other_field

    if ballot.sampled:
        raise UsageError(
            f"{parent.name}: its items were answered repeatedly, and --gold compares one answer to an item",
            hint="batchflow score --method ppi corrects each batch",
        )
    about = source.about(parent.task, parent.split, ballot)
    if about is None:
        return {}
    gold = about.of(ballot)
    refuse_other_field(gold, field)
    labels = own_labels(ballot.items, gold, field, provider=ballot.provider, model=ballot.model)
    return labels | dict.fromkeys(ballot.items[ballot.answered :], 0.0)


def _corrected(
    pairs: Sequence[ModelPair],
    models: Mapping[str, Scored],
    labels: Mapping[str, Mapping[str, float]],
    designs: Mapping[str, Design | None],
    cast: Mapping[str, Votes],
    field: str,
    level: float,
) -> list[ModelPair]:
    """The pairs with their differences corrected by labels; of two sheets, that with more of the labels counts.

    cast: the votes of each batch, where the models' values are their means; they show how often the judges err.
    """
    from batchflow.score.labelled.labelled_pair import corrected_difference
    from batchflow.score.labelled.reliability import expected_slope_of_differences

    sides = [(pair, pair.numbers.a, pair.numbers.b) for pair in pairs]
    corrected = []
    for pair, a, b in sides:
        both = labels[a].keys() & labels[b].keys()
        drawn = [design for design in (designs[a], designs[b]) if design is not None]
        design = max(drawn, key=lambda one: len(one.drawn & both), default=None)
        slope = expected_slope_of_differences(cast[a], cast[b], field) if cast else None
        difference = corrected_difference(
            models[a], models[b], labels[a], labels[b], level=level, design=design, slope=slope
        )
        corrected.append(replace(pair, corrected=difference))
    return corrected


def _judge_notes(pairs: Sequence[ModelPair], error: float) -> list[str]:
    """Notes on what the judges' errors may have to do with the differences."""
    notes = []
    for pair in pairs:
        numbers, corrected = pair.numbers, pair.corrected
        if corrected is not None:
            errors = "; ".join(
                f"{each.model}: {100 * each.wrong_passed:.1f} % of {each.wrong} wrong answers pass"
                for each in corrected.errors
                if each.wrong_passed is not None
            )
            notes.append(
                f"{numbers.a} − {numbers.b} by {corrected.labels} labels of both: {100 * corrected.difference:+.1f} "
                f"[{100 * corrected.interval.low:.1f}, {100 * corrected.interval.high:.1f}], p {corrected.p:.2g}; "
                f"{errors}"
            )
            notes += [f"{numbers.a} − {numbers.b}: {note}" for note in corrected.notes]
        elif numbers.p_holm < error and numbers.explained_by is not None:
            notes.append(
                f"{numbers.a} − {numbers.b}: judges that let {100 * numbers.explained_by:.1f} points more of one's "
                "wrong answers pass than of the other's would explain it; --gold with labels of both tells"
            )
    return notes


def _extremes(mean: float, ballot: Ballot) -> tuple[float, float]:
    """A score if every request without an answer had been answered wrong, and right."""
    share = ballot.unjudgeable / (len(ballot.items) + ballot.unjudgeable)
    return mean * (1 - share), mean * (1 - share) + share


def _places(pairs: Sequence[ModelPair], error: float) -> dict[str, tuple[int, int]]:
    """The best and the worst place of each model; a pair that is open, or not significant, places neither."""
    names = {name for pair in pairs for name in (pair.numbers.a, pair.numbers.b)}
    better, worse = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for pair in pairs:
        numbers = pair.numbers
        if numbers.p_holm < error and numbers.difference != 0 and not pair.is_open:
            winner, loser = (numbers.a, numbers.b) if numbers.difference > 0 else (numbers.b, numbers.a)
            better[loser] += 1
            worse[winner] += 1
    return {name: (1 + better[name], len(names) - worse[name]) for name in names}


def _bound_notes(pairs: Sequence[ModelPair]) -> list[str]:
    return [
        f"{pair.numbers.a} − {pair.numbers.b}: with the requests that have no answer the difference could be anything "
        f"from {100 * pair.bounds_low:+.1f} to {100 * pair.bounds_high:+.1f} points"
        f"{', so the two are not ranked: batchflow retry asks them again' if pair.is_open else ''}"
        for pair in pairs
        if pair.bounds_low is not None and pair.bounds_high is not None
    ]


def _kinds(ballot: Ballot) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in ballot.left_out.items())


def _rehearsed(parent: BatchRecord, judges: Sequence[BatchRecord]) -> bool:
    """A rehearsed vote makes no real score."""
    return parent.rehearsal or any(judge.rehearsal for judge in judges)


def _missing(ballot: Ballot, field: str) -> int:
    """Votes on the field that were asked for and are not there."""
    return int((ballot.votes().of(field) == MISSING).sum())


def _check(options: CompareOptions) -> None:
    whole("seed", options.seed)
    if options.method not in METHODS:
        raise UsageError(f"compare has no method {options.method!r}", hint=f"choose one of {', '.join(METHODS)}")


def _compared(ballots: Mapping[str, Ballot], field: str, options: CompareOptions) -> tuple[list[Scored], Comparisons]:
    """The models' item values and the comparisons of all pairs. Raises UsageError for a method that does not fit."""
    from batchflow.score.latent.difference import compare_fitted, fitted
    from batchflow.score.paired import compare_all, scored
    from batchflow.score.summary import refuse_unfit

    how: dict[str, Any] = {"level": options.level, "resamples": options.resamples, "seed": options.seed}
    how["power"] = options.power
    sides: list[tuple[str, Votes, dict[str, Any]]] = []
    for name, ballot in ballots.items():
        votes.refuse_half_judged(name, ballot, field)
        cast, units = ballot.votes(), ballot.units(options.cluster)
        refuse_unfit(options.method, cast.level_of(field))
        sides.append((name, cast, {"field": field, "item_of": ballot.item_of, "clusters": units}))
    if options.method == DAWID_SKENE:
        fits = [fitted(name, cast, **facts) for name, cast, facts in sides]
        return [fit.scored for fit in fits], compare_fitted(fits, **how)
    models = [scored(name, cast, method=options.method, **facts) for name, cast, facts in sides]
    return models, compare_all(models, **how)


def refuse_other_questions(parents: Sequence[BatchRecord]) -> None:
    """Raise UsageError for batches of other tasks or splits, where equal ids would pair unrelated questions."""
    first = parents[0]
    for other in parents[1:]:
        if (other.task, other.split) != (first.task, first.split):
            raise UsageError(
                f"{first.name} is {first.task}, split {first.split}, and {other.name} is {other.task}, split "
                f"{other.split}: their items are other questions, whatever their ids say",
                hint="compare batches of one task and split; batchflow score puts any batches side by side",
            )


def _notes(juries: caveats.Juries, ballots: Mapping[str, Ballot], missing: Mapping[str, int]) -> list[str]:
    """Notes on other causes of a difference in score: the batches' differences, and what is missing."""
    meant = {"data sets": "; items are matched by their ids, which have to mean the same questions"}
    notes = [f"the batches differ in their {what}{meant.get(what, '')}" for what in caveats.differences(juries)]
    for name, ballot in ballots.items():
        items = len(set(ballot.item_of))
        if items < len(ballot.items):
            notes.append(f"{name}: {len(ballot.items)} answers to {items} items; an item counts with their mean")
        if ballot.left_out:
            count = ballot.unjudgeable + ballot.excluded
            notes.append(f"{name}: {counted(count, 'item')} unanswered, left out of every pair: {_kinds(ballot)}")
        if ballot.wrong:
            notes.append(f"{name}: {counted(ballot.wrong, 'item')} unanswered by the model, in every pair as wrong")
        if missing[name]:
            notes.append(f"{name}: {counted(missing[name], 'vote')} missing; an item counts with the votes it has")
        notes += [f"{name}: {note}" for note in caveats.of_kin(ballot)]
    return notes
