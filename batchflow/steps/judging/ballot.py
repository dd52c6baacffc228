"""The votes of one jury as `batchflow.score` takes them: one verdict per judge, answer and field."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchflow.errors import DataError, UsageError
from batchflow.judges import registry as kinds
from batchflow.judges import riddle
from batchflow.judges.base import JudgeKind, Scale, field_names, parts_of, scale_of
from batchflow.ledger import Tx, batches, request_rows
from batchflow.ledger.records import BatchRecord, OutcomeRecord, kind_of
from batchflow.records import Parsed, VoteStatus
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.stages import place_of
from batchflow.steps.judging import readings
from batchflow.tasks import registry as tasks
from batchflow.texts import parsing
from batchflow.vendors.registry import traits_of

if TYPE_CHECKING:
    from batchflow.score.labelled.gold import Design
    from batchflow.score.values import Votes

_MOST_GROUPS = 10_000  # different columns that are kept to be handed out again
MISSING, NOT_ASKED = -1, -2  # the codes of batchflow.score.values, which is not imported for them


class Verdicts:
    """One judge's verdicts on one field: what most of its samples say, or the mean of numbers that are more than that.

    codes: a number per answer, as `batchflow.score.Votes` takes them. A tie is no verdict: it stays missing, as an
    answer without a valid vote does.
    """

    __slots__ = ("_lead", "_scale", "_times", "codes")

    def __init__(self, scale: Scale, start: int, length: int) -> None:
        self._scale = scale
        self.codes: array[Any] = array("b" if scale.binary else "d", [start]) * length
        self._lead: array[Any] = array("i" if scale.binary else "d", [0]) * length
        self._times = array("i", [0]) * (0 if scale.binary else length)

    def add(self, index: int, value: float | None) -> None:
        """Count one sample's vote; None says that this judge does not judge this answer, or not this field."""
        if value is None:
            self.codes[index] = NOT_ASKED
        elif self._scale.binary:
            self._lead[index] = lead = self._lead[index] + (1 if value else -1)
            self.codes[index] = 1 if lead > 0 else 0 if lead else MISSING
        else:
            self._lead[index] += self._scale.share(value)
            self._times[index] += 1
            self.codes[index] = self._lead[index] / self._times[index]


@dataclass(frozen=True, slots=True)
class Judge:
    """One judge's part of a ballot. cast: its codes by field.

    unread: answers whose verdict is missing because no vote on them could be read; why: the replies, by reason.
    """

    name: str
    cast: Mapping[str, array[Any]]
    unread: int = 0
    repaired: int = 0
    abstained: int = 0
    is_rule: bool = False
    why: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Silent:
    """An unanswered request, as the answers of a ballot are told: name, item, cluster and columns."""

    name: str
    item: str
    cluster: str
    columns: Mapping[str, Any]
    kind: str
    place: int = 0


@dataclass(frozen=True, slots=True)
class Ballot:
    """All verdicts on the answers of one model, by judges of one kind.

    items, clusters, columns: one per judgeable answer; answers of one cluster are not independent of each other.
    silent: unanswered requests. unjudgeable: those outside the mean and inside the bounds; left_out: all outside the
    mean, by kind; see `unanswered.counted_in`, which puts the last `wrong` ones among the items and leaves `excluded`
    ones out of everything. item_of: the item of each answer.
    cascade, settled: the rule that judged some answers alone, and how many.
    served: other names of the model, as the vendor told them with its answers. places: of each answer's request in its
    batch. design: how answers were drawn to be labelled, if by the jury's verdict.
    """

    provider: str
    model: str
    items: tuple[str, ...]
    clusters: Sequence[str]
    columns: Sequence[Mapping[str, Any]]
    judges: tuple[Judge, ...]
    kind: JudgeKind
    unjudgeable: int = 0
    cascade: str | None = None
    settled: int = 0
    item_of: Sequence[str] = ()
    served: frozenset[str] = frozenset()
    left_out: Mapping[str, int] = field(default_factory=dict)
    silent: Sequence[Silent] = ()
    wrong: int = 0
    excluded: int = 0
    places: Sequence[int] = ()
    design: Design | None = None

    @property
    def answered(self) -> int:
        """Items with an answer."""
        return len(self.items) - self.wrong

    @property
    def field(self) -> str:
        """The overall field, or what rules vote on where nobody judges all that is overall."""
        if self.kind.RULED is None:
            return self.kind.OVERALL
        parts = parts_of(self.kind, self.kind.OVERALL)
        judged = all(any(code >= MISSING for judge in self.judges for code in judge.cast[part]) for part in parts)
        return self.kind.OVERALL if judged and not self.settled else self.kind.RULED

    @property
    def sampled(self) -> bool:
        """Tells whether items were answered repeatedly, so that an answer is named `item #sample`."""
        return bool(self.items) and tuple(self.item_of) not in {(), self.items}

    def votes(self) -> Votes:
        """The ballot in the form of the statistics library, derived fields included."""
        from batchflow.score.values import votes_of

        names = field_names(self.kind)
        return votes_of(
            [judge.name for judge in self.judges],
            self.items,
            {each.name: [judge.cast[each.name] for judge in self.judges] for each in self.kind.FIELDS},
            {name: scale_of(self.kind, name).level for name in names},
            {derived.name: (derived.of, derived.weights) for derived in self.kind.DERIVED},
            unparsed=sum(judge.unread for judge in self.judges),
            unjudgeable=self.unjudgeable,
            wrong=self.wrong,
            excluded=self.excluded,
            provider=self.provider,
            model=self.model,
        )

    def has_column(self, name: str) -> bool:
        """Tells whether an item has a value in this column."""
        return any(name in row for row in self.columns)

    def column(self, name: str, option: str) -> list[Any]:
        """One value per answer. Raises UsageError, naming the columns there are."""
        if self.columns and not self.has_column(name):
            names = ", ".join(dict.fromkeys(key for row in self.columns for key in row)) or "none"
            raise UsageError(f"{option} {name}: there is no such column", hint=f"columns: {names}")
        return [row.get(name) for row in self.columns]

    def units(self, column: str | None) -> Sequence[str]:
        """Returns the units of observation: items, or the values of a column; without a value an answer is its own."""
        if column is None:
            return self.clusters
        values = self.column(column, "--cluster")
        pairs = zip(values, self.clusters, strict=True)
        return [f"item {own}" if value is None else f"{column} {_written(value)}" for value, own in pairs]


def _written(value: Any) -> str:
    """A value as `--by` and `--cluster` tell it apart: 1 and "1" are one."""
    from batchflow.score.base.arguments import label

    return str(label(value, "--cluster", 0))


def vendor_of(batch: BatchRecord) -> str:
    """Whose model gave the answers; of imported ones, what the user said, or an empty text."""
    return str(batch.options.get("vendor") or "") if traits_of(batch.provider).imported else batch.provider


def settles(judge: BatchRecord) -> bool:
    """Tells whether a judge batch is the rule of a cascade."""
    return traits_of(judge.provider).judges_only and bool(judge.spec.get("cascade"))


def of_batch(context: Context, parent: BatchRecord, judges: Sequence[BatchRecord]) -> Ballot:
    """The ballot of a judged batch, by judges of one jury. What was asked and is not there is missing.

    Raises DataError for twin judges.
    """
    _refuse_twins(parent, judges)
    kind = kinds.of_spec(judges[0].spec)
    items: list[str] = []
    names: list[str] = []
    clusters: list[str] = []
    columns: list[Mapping[str, Any]] = []
    groups: dict[str, Mapping[str, Any]] = {}  # by their text: many answers have the same
    places: list[int] = []
    place: dict[int, int] = {}
    first: dict[str, str] = {}  # what an item's first sample asked: a further one may differ in its seed
    silent: list[Silent] = []
    many = parent.spec.get("samples", 1) != 1
    is_imported = traits_of(parent.provider).imported
    with context.ledger.read() as tx:
        for request in readings.outcomes(context, tx, parent, judges):
            name = f"{request.item_id} #{request.sample}" if many else request.item_id
            # samples of one item, and items that ask the same, are one observation; imports do not tell what was asked
            content = request.item_id if is_imported else request.content
            unit = first.setdefault(request.item_id, content)
            if not request.has_answer:
                silent.append(
                    Silent(name, request.item_id, unit, request.groups, _failure(request), place_of(request.id))
                )
                continue
            place[request.id] = len(items)
            places.append(place_of(request.id))
            items.append(name)
            names.append(request.item_id)
            clusters.append(unit)
            if (own := groups.get(request.columns)) is None:
                if len(groups) >= _MOST_GROUPS:
                    groups.clear()
                own = groups[request.columns] = request.groups
            columns.append(own)
        alone = {index for judge in judges if settles(judge) for index in _asked(tx, judge, place)}
        cast = tuple(_cast(tx, kind, judge, place, alone) for judge in judges)
    rule = next((str(judge.spec["cascade"]) for judge in judges if judge.spec.get("cascade")), None)
    return Ballot(
        vendor_of(parent), parent.model, tuple(items), clusters, columns, cast, kind, len(silent), rule, len(alone),
        names, left_out=Counter(each.kind for each in silent), silent=silent, places=places,
    )  # fmt: skip


def _failure(request: OutcomeRecord) -> str:
    """The kind of an unanswered request; a text that was cut off is one of its own."""
    if request.outcome is None:
        return "pending"
    why = request.error or ""
    if why.startswith((parsing.Unread.CUT_OFF.value, parsing.Unread.THOUGHT.value)):
        return "cut_off"
    return kind_of(request.outcome, request.parsed)


def _refuse_twins(parent: BatchRecord, judges: Sequence[BatchRecord]) -> None:
    seen: dict[str, str] = {}
    for judge in judges:
        name = label(judge)
        if name in seen:
            raise DataError(
                f"{parent.name}: {name} judges it twice, in {seen[name]} and {judge.name}; a judge has one vote",
                hint=f"batchflow delete one of them: batchflow delete {judge.name}",
            )
        seen[name] = judge.name


def label(judge: BatchRecord) -> str:
    """A judge's name in a jury, with its kind where another one suits the task."""
    name = judge.model if traits_of(judge.provider).imported else f"{judge.provider}:{judge.model}"
    kind = str(judge.spec.get("judge_kind", riddle.NAME))
    return name if kind == tasks.of_spec(judge.task, judge.spec).JUDGED_BY else f"{kind}@{name}"


def _asked(tx: Tx, judge: BatchRecord, place: Mapping[int, int]) -> Iterable[int]:
    """The answers that a judge batch is about."""
    subjects = (request.subject_id for request in request_rows.stream(tx, judge.id))
    return (place[subject] for subject in subjects if subject is not None and subject in place)


def _cast(tx: Tx, kind: JudgeKind, judge: BatchRecord, place: Mapping[int, int], alone: set[int]) -> Judge:
    """One judge's verdicts. alone: answers that a cascade's rule judges, and nobody else."""
    rule, settling = traits_of(judge.provider).judges_only, settles(judge)
    names = (str(kind.RULED),) if rule else tuple(each.name for each in kind.FIELDS)
    start = NOT_ASKED if settling else MISSING
    cast = {
        each.name: Verdicts(each.scale, start if each.name in names else NOT_ASKED, len(place)) for each in kind.FIELDS
    }
    for settled in alone:
        for name, verdicts in cast.items():
            verdicts.codes[settled] = MISSING if settling and name in names else NOT_ASKED
    unread, abstained, first = set[int](), 0, names[0]
    valid, unparsed, abstains = (
        status.value for status in (VoteStatus.VALID, VoteStatus.UNPARSED, VoteStatus.ABSTAINED)
    )
    index_of, adding = place.get, {name: verdicts.add for name, verdicts in cast.items()}
    for subject, name, status, value in _votes(tx, judge):
        if (index := index_of(subject)) is None or name not in adding:
            continue
        if status == valid:
            adding[name](index, value)
        elif status == unparsed:
            unread.add(index)
        elif status == abstains:
            abstained += name == first
            adding[name](index, None)
    return Judge(
        label(judge),
        {name: verdicts.codes for name, verdicts in cast.items()},
        unread=sum(cast[first].codes[index] == MISSING for index in unread),
        repaired=request_rows.tally(tx, judge.id).parsed.get(Parsed.REPAIRED.value, 0),
        abstained=abstained,
        is_rule=rule,
        why=request_rows.unread_votes(tx, judge.id),
    )


def _votes(tx: Tx, judge: BatchRecord) -> Iterable[tuple[int, str, str, float | None]]:
    """A judge's votes: its own, and those on answers that came later, which its retries asked about."""
    for member in (judge, *batches.retries_of(tx, judge.id)):
        yield from request_rows.cast_votes(tx, member.id)


def refuse_half_judged(name: str, ballot: Ballot, field: str) -> None:
    """Raise DataError where a cascade's rule leaves a field unjudged: the rest is no sample of the batch."""
    if ballot.settled and field != ballot.kind.RULED:
        raise DataError(
            f"{name}: {ballot.cascade} settled {ballot.settled:,} of {len(ballot.items):,} answers, and nobody judged "
            f"{field} of them; that of the rest alone would not be the batch's",
            hint=f"--field-name {ballot.kind.RULED}, or judge it without --cascade",
        )


def counted(n: int, thing: str) -> str:
    """`1 vote`, `2 votes`."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"
