"""score: the votes of a jury into a number with its interval, and everything a reader needs to believe it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from dataclasses import field as member
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchflow.errors import BatchflowError, DataError, NotReady, UsageError
from batchflow.judges import registry as kinds
from batchflow.judges.base import JudgeKind, field_names, scale_of
from batchflow.ledger import batches, request_rows
from batchflow.ledger.records import BatchRecord
from batchflow.steps.base.context import Context, whole
from batchflow.steps.base.money.billing import RunCost, cost_of_run
from batchflow.steps.base.options import task_of
from batchflow.steps.base.progress.next_command import next_of
from batchflow.steps.base.progress.stages import Stages
from batchflow.steps.judging import anytime, caveats, design, judge_files, unanswered
from batchflow.steps.judging import ballot as votes
from batchflow.steps.judging.ballot import Ballot, counted
from batchflow.steps.judging.jury_lookup import Jury, chosen_jury, extract_flag, judged, juries, jury_of, sort_targets
from batchflow.steps.judging.jury_score import JuryScore
from batchflow.steps.judging.labels import gold_labels
from batchflow.steps.judging.labels.gold_labels import GoldLabels, GoldSource
from batchflow.steps.judging.labels.sheets import with_design
from batchflow.steps.judging.readings import extract_of, used
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Task
from batchflow.vendors import registry as vendors
from batchflow.vendors.registry import traits_of
from batchflow.vocabulary import REFRESH_S

if TYPE_CHECKING:
    from batchflow.score.agreement import Pair
    from batchflow.score.bias import Bias
    from batchflow.score.planning.designs import Lever
    from batchflow.score.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOptions:
    """The flags of `score`. field None: the overall field of the judge kind, or what rules voted on alone.

    metric, by, cluster: the task's where none is named. by_known: columns of `by` that a batch lacks are left out.
    weight: a column with the items' weights. macro: a column over whose groups the score is a mean.
    """

    field: str | None = None
    method: str = "mean"
    ci: str = "auto"
    level: float = 0.95
    resamples: int = 9_999
    seed: int = 0
    metric: str | None = None
    by: tuple[str, ...] = ()
    by_known: bool = False
    cluster: str | None = None
    weight: str | None = None
    macro: str | None = None
    gold: Path | None = None
    provider: str | None = None
    model: str | None = None
    n_judges: int | None = None
    predictions: Path | None = None
    kind: str | None = None
    task: str | None = None
    dataset: Path | None = None
    split: str | None = None
    unanswered: tuple[str, ...] = ()
    extract: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchScore:
    """One row of the leaderboard. incomplete: judges that have not finished. score: None where trouble says why.

    left_out: items that are not in the mean, by kind: how their request ended, or `no_vote` (docs/glossary.md).
    cost: of the answers, their retries and their jury; None for judge files, which the ledger does not know.
    unanswered: items without an answer by kind, {"items": how many, "worth": exclude, wrong or bounds}.
    rank_best, rank_worst: places that the intervals leave open beside the other batches; None without others.
    """

    name: str
    provider: str
    model: str
    task: str
    split: str
    hints: int
    rehearsal: bool
    incomplete: tuple[str, ...]
    trouble: str | None
    score: JuryScore | None
    left_out: Mapping[str, int] = member(default_factory=dict)
    cost: RunCost | None = None
    unanswered: Mapping[str, Mapping[str, int | str]] = member(default_factory=dict)
    rank_best: int | None = None
    rank_worst: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The batch, with the keys of its score beside its own."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "score"}
        return own | (self.score.to_json() if self.score else {})


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """Scores, best first; batches that could not be scored come last and say why.

    notes: what the batches differ in besides their models, which their places may come from. biases: of the judges,
    with --bias. plus_minus: layton-eval's dictionary of each batch, with --plus-minus.
    """

    field: str
    batches: tuple[BatchScore, ...]
    notes: tuple[str, ...]
    next: str
    biases: tuple[Bias, ...] = ()
    plus_minus: Mapping[str, Mapping[str, float]] = member(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The scores by batch. suite: the table of `score SUITE` (`steps.suites.table`), which these batches lack."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"suite": None}

    def with_plus_minus(self) -> ScoreReport:
        """The report with layton-eval's dictionary of each batch that has a score."""
        return replace(self, plus_minus={row.name: row.score.plus_minus for row in self.batches if row.score})


def score(
    context: Context,
    targets: Sequence[str] = (),
    options: ScoreOptions | None = None,
    *,
    refresh_after_s: float = REFRESH_S,
) -> ScoreReport:
    """Score the named batches, or all judged ones. Raises NotReady, DataError or UsageError when none can be scored."""
    options = options or ScoreOptions()
    if options.provider is not None:
        options = replace(options, provider=vendors.vendor_word(options.provider))
    whole("seed", options.seed)
    unanswered.worths(options.unanswered)
    gold = GoldSource(context, options.gold)
    names, paths = sort_targets(context, targets)
    if paths or options.predictions is not None:
        _refuse_field(options.field, _kind(options, task_of(context, options.task, options.dataset)))
    if options.kind and options.field is None:
        options = replace(options, field=kinds.named(options.kind).OVERALL)
    if options.predictions is not None:
        names, paths = [*names, _imported(context, options, paths)], []
    rows = [_score_files(context, paths, options, gold)] if paths else []
    parents = judged(context, names) if names or not paths else []
    _refuse_unknown_field(context, parents, options.field)
    for parent in parents:
        try:
            rows.append(_score_batch(context, parent, options, gold, refresh_after_s))
        except BatchflowError as error:
            if len(parents) == 1:
                raise
            rows.append(_unscored(parent, error))
    rows = _placed(sorted(rows, key=lambda row: -row.score.numbers.score if row.score else 1.0))
    field = options.field or next((row.score.numbers.field for row in rows if row.score), "")
    return ScoreReport(field, tuple(rows), _side_by_side(context, parents, rows, options), _next(context, rows))


def _placed(rows: Sequence[BatchScore]) -> list[BatchScore]:
    """The rows with the places that their intervals leave open, where two or more are scored on one field.

    A batch is behind those whose interval lies above its own, and in front of those whose interval lies below. Items
    without an answer that bound a score widen its interval here: they could be right, and wrong.
    """
    numbers = [row.score.numbers for row in rows if row.score]
    if len(numbers) < 2 or len({each.field for each in numbers}) > 1:
        return list(rows)
    spans = [_span(each) for each in numbers]

    def place(row: BatchScore) -> BatchScore:
        if row.score is None:
            return row
        lowest, highest = _span(row.score.numbers)
        best = 1 + sum(low > highest for low, _ in spans)
        return replace(row, rank_best=best, rank_worst=sum(high >= lowest for _, high in spans))

    return [place(row) for row in rows]


def _span(numbers: Summary) -> tuple[float, float]:
    low, high = numbers.interval.low, numbers.interval.high
    if not numbers.unjudgeable or numbers.bounds_low is None or numbers.bounds_high is None:
        return low, high
    return min(low, numbers.bounds_low), max(high, numbers.bounds_high)


def _refuse_field(field: str | None, *judge_kinds: JudgeKind) -> None:
    """Raise UsageError for a field of none of these kinds."""
    names = list(dict.fromkeys(name for kind in judge_kinds for name in field_names(kind)))
    if field is not None and field not in names:
        near = get_close_matches(field, names, n=1)
        meant = f"{near[0]} is the nearest; " if near else ""
        raise UsageError(f"there is no field called {field!r}", hint=f"{meant}choose one of {', '.join(names)}")


def _refuse_unknown_field(context: Context, parents: Sequence[BatchRecord], field: str | None) -> None:
    """Raise UsageError for a field that no judge of any batch votes on."""
    if field is None or not parents:
        return
    with context.ledger.read() as tx:
        juries = [batches.judges_of(tx, parent.id) for parent in parents]
    judge_kinds = [kinds.of_spec(judge.spec) for jury in juries for judge in jury]
    if judge_kinds:
        _refuse_field(field, *judge_kinds)


def _side_by_side(
    context: Context, parents: Sequence[BatchRecord], rows: Sequence[BatchScore], options: ScoreOptions
) -> tuple[str, ...]:
    """Notes on causes of a leaderboard's order other than the models."""
    if len(rows) < 2:
        return ()
    with context.ledger.read() as tx:
        standing = {parent.name: batches.judges_of(tx, parent.id) for parent in parents}
    scored = {row.name for row in rows if row.score}
    juries = {
        parent.name: (parent, chosen_jury(parent, standing[parent.name], options.field, options.extract).judges)
        for parent in parents
        if parent.name in scored
    }
    notes = [f"the batches differ in their {what}" for what in caveats.differences(juries)]
    if len({row.score.numbers.field for row in rows if row.score}) > 1:
        notes.append("the batches are not scored on the same field: --field-name takes one for all")
    notes += [
        f"{row.name}: {counted(numbers.unjudgeable, 'request')} of {numbers.n_items:,} without an answer "
        f"are not in its score; counted as wrong it is {100 * _as_wrong(numbers):.1f}"
        for row, numbers in ((row, row.score.numbers) for row in rows if row.score)
        if numbers.unjudgeable
    ]
    if len(parents) < len(rows):
        notes.append("judge files are shown beside batches of the ledger: their prompts are not known")
    if len(scored) < 2:
        return tuple(notes)  # there is no order to warn about
    names = [row.name for row in rows if row.name in juries]
    advice = f"; run `batchflow compare {' '.join(names)}`" if len(names) > 1 else ""
    return (*notes, f"rank is not significance{advice}")


def _as_wrong(numbers: Summary) -> float:
    """The score of a batch if its requests without an answer count as wrong."""
    return numbers.score * (1 - numbers.unjudgeable / (numbers.n_items - numbers.excluded))


def _kind(options: ScoreOptions, task: Task) -> JudgeKind:
    """The kind of judge files: the named one, or that of the task. Raises UsageError."""
    return kinds.named(options.kind) if options.kind else kinds.suiting(task.JUDGED_BY, task.JUDGE_FACTS)


def _imported(context: Context, options: ScoreOptions, paths: Sequence[Path]) -> str:
    """Bring one's own predictions, and the judge files about them, into the ledger; the batch's name."""
    from batchflow.steps.verbs.evaluation import import_predictions

    if options.predictions is None:
        raise UsageError("there are no predictions to import", hint="--predictions FILE")
    import_options = import_predictions.ImportOptions(
        provider=options.provider, model=options.model, task=options.task, dataset=options.dataset, split=options.split
    )
    name = import_predictions.predictions(context, options.predictions, import_options).name
    with context.ledger.read() as tx:
        batch = batches.get(tx, name)
    kind = _kind(options, tasks.of_spec(batch.task, batch.spec))
    import_predictions.verdicts(context, batch, paths, kind)
    return name


def _next(context: Context, rows: Sequence[BatchScore]) -> str:
    late = [name for row in rows for name in row.incomplete]
    if late:
        return next_of(context, late[0])
    ledger_rows = [row for row in rows if row.split]  # judge files are not in the ledger
    missing = next((row.name for row in ledger_rows if row.score and row.score.numbers.votes_missing), None)
    if missing:
        return f"batchflow jury {missing} --retry"
    return f"batchflow show {ledger_rows[0].name}" if ledger_rows else "batchflow score --help"


def _score_batch(
    context: Context, parent: BatchRecord, options: ScoreOptions, gold: GoldSource, refresh_after_s: float
) -> BatchScore:
    judges, late = jury_of(context, parent, refresh_after_s, options.field, options.extract)
    worths = unanswered.worths(options.unanswered)
    ballot = unanswered.counted_in(votes.of_batch(context, parent, judges), worths)
    ballot = with_design(context, parent, ballot)
    if not ballot.provider and options.provider:  # imported answers whose vendor nobody said
        ballot = replace(ballot, provider=options.provider)
    if gold.chosen:
        with context.ledger.read() as tx:
            ballot = replace(ballot, served=request_rows.models(tx, parent.id))
    wanted = options.n_judges or (judge_files.N_JUDGES if any(traits_of(j.provider).imported for j in judges) else None)
    if wanted is not None and len(judges) != wanted:
        names = ", ".join(judge.name for judge in judges)
        raise DataError(
            f"{parent.name} has {len(judges)} judges ({names}), and {wanted} are expected",
            hint=f"--n-judges {len(judges)}, or batchflow delete a judge batch that does not belong",
        )
    try:
        task = tasks.of_spec(parent.task, parent.spec)
        about = gold.about(parent.task, parent.split, ballot)
        chosen = replace(
            options,
            metric=options.metric or task.METRIC,
            by=options.by or task.BY,
            cluster=options.cluster or task.CLUSTER,
        )
        jury_score = score_of(parent.name, ballot, chosen, about)
    except DataError as error:
        if late:  # the votes that are missing may still come
            message = f"{parent.name}: {error}; {', '.join(late)} not finished"
            raise NotReady(message, hint=next_of(context, late[0])) from None
        raise
    jury_score, stopping = _at_looks(jury_score, parent, ballot, options)
    jury_score = replace(
        jury_score,
        complete=jury_score.complete and not late,
        extract=used(parent, extract_of(judges[0])),
        footnotes=(*stopping, *_other_juries(context, parent, judges), *jury_score.footnotes),
    )
    with context.ledger.read() as tx:
        cost = cost_of_run(tx, parent)
    jury_score = replace(jury_score, levers=_levers(jury_score.numbers, ballot, about, cost))
    field, now, summary = jury_score.numbers.field, context.clock(), jury_score.to_json()
    with context.ledger.write(parent.id) as tx:
        batches.record_score(tx, parent.id, field=field, method=options.method, now=now, summary=summary)
    rehearsed = parent.rehearsal or any(judge.rehearsal for judge in judges)  # a rehearsed vote makes no real score
    return BatchScore(
        parent.name, ballot.provider, parent.model, parent.task, parent.split, parent.hints, rehearsed,
        late, None, jury_score, _left_out(ballot, jury_score), cost, unanswered.worth_of(ballot, worths),
    )  # fmt: skip


def _levers(numbers: Summary, ballot: Ballot, about: GoldLabels | None, cost: RunCost) -> tuple[Lever, ...]:
    """Ways to narrow a score for its money: of the votes, or of the labels that correct it."""
    level = numbers.interval.level
    if numbers.method == "ppi" and about is not None:
        return design.levers_of_labels(ballot, about.of(ballot), numbers.field, level=level)
    if numbers.method not in {"mean", "majority"} or numbers.metric != "mean":
        return ()
    return design.levers_of(ballot, numbers.field, cost, level=level)


def _at_looks(
    jury_score: JuryScore, parent: BatchRecord, ballot: Ballot, options: ScoreOptions
) -> tuple[JuryScore, tuple[str, ...]]:
    """The score with the bounds that hold at every look, where its batch is sent in stages; and notes on that."""
    stages = Stages.of(parent)
    if stages is None:
        return jury_score, ()
    numbers = jury_score.numbers
    bounds = anytime.of_score(ballot, stages, field=numbers.field, method=numbers.method, level=numbers.interval.level)
    numbers, notes = anytime.put_in(numbers, bounds, ci=options.ci)
    return replace(jury_score, numbers=numbers, anytime=bounds), notes


def _other_juries(context: Context, parent: BatchRecord, judges: Sequence[BatchRecord]) -> list[str]:
    """A note on each other jury: of another kind, whose votes are about other fields, or on another reading."""
    with context.ledger.read() as tx:
        panels = juries(batches.judges_of(tx, parent.id))
    own = next(jury for jury in panels if jury.judges[0].id == judges[0].id)
    return [_other_jury(parent, jury, own) for jury in panels if jury is not own]


def _other_jury(parent: BatchRecord, jury: Jury, own: Jury) -> str:
    is_read_alike, is_of_kind = jury.extract == own.extract, jury.kind == own.kind
    names = used(parent, jury.extract)
    flags = [] if is_of_kind else [f"--field-name {jury.kind.OVERALL}"]
    flags += [] if is_read_alike else [extract_flag(names)]
    what = [] if is_of_kind else [f"of kind {jury.kind.NAME}"]
    what += [] if is_read_alike else [f"on what {', '.join(names) or 'no extractor'} leaves of the answers"]
    return f"{counted(len(jury.judges), 'judge')} {' '.join(what)} voted as well: {' '.join(flags)}"


def _left_out(ballot: Ballot, jury_score: JuryScore) -> dict[str, int]:
    """Items that are not in the mean, by kind."""
    no_vote = ballot.answered - jury_score.numbers.n_judged
    return dict(ballot.left_out) | ({"no_vote": no_vote} if no_vote else {})


def _score_files(context: Context, paths: Sequence[Path], options: ScoreOptions, gold: GoldSource) -> BatchScore:
    """The jury of judge files; the ledger does not hear of it."""
    task = task_of(context, options.task)
    judges = options.n_judges or judge_files.N_JUDGES
    whose = {"provider": options.provider or "", "model": options.model or ""}
    ballot = judge_files.ballot_of(paths, _kind(options, task), n_judges=judges, **whose)
    name = judge_files.name_of(paths)
    jury_score = score_of(name, ballot, options, gold.about(task.NAME, options.split, ballot))
    left_out = _left_out(ballot, jury_score)
    return BatchScore(name, ballot.provider, ballot.model, task.NAME, "", 0, False, (), None, jury_score, left_out)


def score_of(name: str, ballot: Ballot, options: ScoreOptions, gold: GoldLabels | None) -> JuryScore:
    """A ballot's score, with what the votes went through before they were counted."""
    from batchflow.score.summary import summarise

    field = options.field or ballot.field
    votes.refuse_half_judged(name, ballot, field)
    if options.method == "layton" and not ballot.provider:
        raise UsageError(
            f"{name}: --method layton leaves out the labels of the evaluated model's own vendor; which one is it?",
            hint="name it, for example --provider openai",
        )
    numbers = summarise(
        ballot.votes(),
        field=field,
        method=options.method,
        ci=options.ci,
        level=options.level,
        resamples=options.resamples,
        seed=options.seed,
        clusters=ballot.units(options.cluster),
        gold=gold.of(ballot) if gold else None,
        groups=_groups(ballot, options),
        metric=options.metric or "mean",
        item_of=ballot.item_of or None,
        weights=_weights(name, ballot, options.weight),
        macro=options.macro,
    )
    n_answered = ballot.answered
    unused = gold_labels.unused(gold, ballot, numbers) if gold else []
    return JuryScore(
        numbers,
        judge_kind=ballot.kind.NAME,
        scale=scale_of(ballot.kind, field),
        unparsed_reasons=sum((Counter(judge.why) for judge in ballot.judges), Counter[str]()),
        complete=numbers.votes_missing == 0,
        repaired=sum(judge.repaired for judge in ballot.judges),
        abstained={judge.name: judge.abstained for judge in ballot.judges if judge.abstained},
        cascade=ballot.cascade,
        settled=ballot.settled,
        settled_share=ballot.settled / n_answered if n_answered else 0.0,
        footnotes=(*_notes(ballot, field, options, numbers.agreement.pairs), *unused, *numbers.footnotes),
    )


def _groups(ballot: Ballot, options: ScoreOptions) -> dict[str, list[Any]]:
    """The columns of --by and --macro, one value per item."""
    wanted = [column for column in options.by if not options.by_known or ballot.has_column(column)]
    groups = {column: ballot.column(column, "--by") for column in wanted}
    if options.macro is not None and options.macro not in groups:
        groups[options.macro] = ballot.column(options.macro, "--macro")
    return groups


def _weights(name: str, ballot: Ballot, column: str | None) -> list[float] | None:
    """The weights of the items. Raises DataError for an item whose weight is no number, or is negative."""
    if column is None:
        return None
    weights = ballot.column(column, "--weight")
    for item, value in zip(ballot.items, weights, strict=True):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value < float("inf"):
            raise DataError(
                f"{name}, item {item}, column {column}: {value!r:.60} is not a weight",
                hint="a weight is a number, 0 or more",
            )
    if not any(weights):
        raise DataError(f"{name}, column {column}: all weights are 0", hint="one at least has to be above 0")
    return [float(value) for value in weights]


def _notes(ballot: Ballot, field: str, options: ScoreOptions, pairs: Sequence[Pair]) -> list[str]:
    """Notes on the votes of a score."""
    notes = []
    if options.field is None and field != ballot.kind.OVERALL and not ballot.settled:
        notes.append(f"no judge votes on all of {ballot.kind.OVERALL}: this is the score of {field} alone")
    if ballot.cascade:
        share = 100 * ballot.settled / ballot.answered if ballot.answered else 0.0
        notes.append(
            f"the rule {ballot.cascade} settled {counted(ballot.settled, 'answer')} of {ballot.answered:,} "
            f"({share:.0f} %) alone; the judges were asked about the rest"
        )
    if len(ballot.judges) > 1 and all(judge.is_rule for judge in ballot.judges):
        notes.append("all judges are rules, so alpha means nothing here")
    notes += [
        f"{judge.name} does not apply to {counted(judge.abstained, 'answer')} and abstained there"
        for judge in ballot.judges
        if judge.abstained
    ]
    notes += caveats.of_kin(ballot)
    notes += caveats.of_twins(ballot, pairs)
    if repaired := sum(judge.repaired for judge in ballot.judges):
        notes.append(f"{counted(repaired, 'vote')} could be read only after a repair of the JSON")
    return notes


def _unscored(parent: BatchRecord, error: BatchflowError) -> BatchScore:
    text = f"{error}; {error.hint}" if error.hint else str(error)
    return BatchScore(
        parent.name, votes.vendor_of(parent), parent.model, parent.task, parent.split, parent.hints, parent.rehearsal,
        (), text, None,
    )  # fmt: skip
