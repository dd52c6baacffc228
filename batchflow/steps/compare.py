"""compare: judged batches on the same items, item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from batchflow.errors import UsageError
from batchflow.ledger.records import BatchRecord
from batchflow.steps import votes
from batchflow.steps.context import Context, whole
from batchflow.steps.follow import next_of
from batchflow.steps.juries import judged, jury_of
from batchflow.steps.poll import REFRESH_S
from batchflow.steps.votes import ANSWER, BOTH, FIELDS, Ballot, counted

if TYPE_CHECKING:
    from batchflow.score.paired import Scored

METHODS = ("mean", "majority")


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


@dataclass(frozen=True, slots=True)
class ModelRank:
    """One batch of the comparison. rank_best, rank_worst: the places that the paired tests leave open."""

    name: str
    provider: str
    model: str
    score: float
    n_items: int
    rank_best: int
    rank_worst: int
    rehearsal: bool


@dataclass(frozen=True, slots=True)
class CompareReport:
    """Models by falling score, and every pair; a pair is a `score.Comparison` as plain values."""

    field: str
    method: str
    level: float
    seed: int
    power: float
    models: tuple[ModelRank, ...]
    pairs: tuple[dict[str, Any], ...]
    incomplete: tuple[str, ...]
    notes: tuple[str, ...]
    next: str


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
    from batchflow.score.paired import compare_all

    options = options or CompareOptions()
    _check(options)
    parents = judged(context, targets) if targets else []
    if len(parents) < 2:
        raise UsageError("compare needs two judged batches", hint="batchflow compare A B; batchflow list shows them")
    ballots: dict[str, Ballot] = {}
    late: list[str] = []
    rehearsed: set[str] = set()
    for parent in parents:
        judges, open_ones = jury_of(context, parent, refresh_after_s)
        if parent.rehearsal or any(judge.rehearsal for judge in judges):  # a rehearsed vote makes no real score
            rehearsed.add(parent.name)
        ballots[parent.name] = votes.of_batch(context, parent, judges)
        late += open_ones
    field = options.field or (BOTH if all(ballot.field == BOTH for ballot in ballots.values()) else ANSWER)
    models = [_scored(name, ballot, field, options) for name, ballot in ballots.items()]
    found = compare_all(
        models, level=options.level, resamples=options.resamples, seed=options.seed, power=options.power
    )
    of, sizes = {parent.name: parent for parent in parents}, {model.name: len(model.items) for model in models}
    ranks = tuple(
        ModelRank(
            rank.name, ballots[rank.name].provider, of[rank.name].model, rank.mean, sizes[rank.name], rank.best,
            rank.worst, rank.name in rehearsed,
        )
        for rank in found.ranks
    )  # fmt: skip
    return CompareReport(
        field, options.method, options.level, options.seed, options.power, ranks,
        tuple(asdict(pair) for pair in found.pairs), tuple(late), tuple(_notes(parents, ballots)),
        next_of(context, late[0]) if late else f"batchflow score {' '.join(ballots)}",
    )  # fmt: skip


def _check(options: CompareOptions) -> None:
    whole("seed", options.seed)
    if options.field is not None and options.field not in FIELDS:
        raise UsageError(f"there is no field called {options.field!r}", hint=f"choose one of {', '.join(FIELDS)}")
    if options.method not in METHODS:
        raise UsageError(f"compare has no method {options.method!r}", hint=f"choose one of {', '.join(METHODS)}")


def _scored(name: str, ballot: Ballot, field: str, options: CompareOptions) -> Scored:
    from batchflow.score.paired import scored

    votes.refuse_half_judged(name, ballot, field)
    units = ballot.units(options.cluster)
    return scored(name, ballot.votes(), field=field, method=options.method, item_of=ballot.item_of, clusters=units)


def _notes(parents: Sequence[BatchRecord], ballots: dict[str, Ballot]) -> list[str]:
    """How the batches differ: what a difference in score may come from, besides the models."""
    notes = []
    for what, values in (
        ("data sets", {parent.dataset_sha256 for parent in parents}),
        ("numbers of hints", {parent.hints for parent in parents}),
        ("prompts", {parent.template_sha256 for parent in parents}),
        ("juries", {tuple(sorted(judge.name for judge in ballot.judges)) for ballot in ballots.values()}),
    ):
        if len(values) > 1:
            notes.append(f"the batches differ in their {what}; items are matched by their ids")
    for name, ballot in ballots.items():
        items = len(set(ballot.item_of))
        if items < len(ballot.items):
            notes.append(f"{name}: {len(ballot.items)} answers to {items} items; an item counts with their mean")
        if ballot.unjudgeable:
            notes.append(f"{name}: {counted(ballot.unjudgeable, 'request')} without an answer, left out of every pair")
    return notes
