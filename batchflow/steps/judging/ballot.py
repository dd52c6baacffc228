"""The votes of one jury as `batchflow.score` takes them: one verdict per judge, answer and field."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from batchflow.errors import DataError, UsageError
from batchflow.judges import registry as kinds
from batchflow.judges import riddle
from batchflow.judges.base import JudgeKind, field_names, parts_of, scale_of
from batchflow.ledger import Tx, batches, request_rows
from batchflow.ledger.records import BatchRecord
from batchflow.ledger.request_rows import CastRow
from batchflow.ledger.votes import ABSTAINED, Block, blocks
from batchflow.records import Parsed, VoteStatus
from batchflow.steps.base.context import Context
from batchflow.steps.judging import readings
from batchflow.steps.judging.counting.answers import Answers, Silent
from batchflow.steps.judging.counting.cast import MISSING, NOT_ASKED, Verdicts
from batchflow.tasks import registry as tasks
from batchflow.vendors.registry import traits_of

if TYPE_CHECKING:
    from batchflow.score.labelled.gold import Design
    from batchflow.score.values import Votes

_VALID, _UNPARSED, _ABSTAINED = VoteStatus.VALID.value, VoteStatus.UNPARSED.value, VoteStatus.ABSTAINED.value


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
    items: Sequence[str]
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
        return self.item_of is not self.items and bool(self.items) and list(self.item_of) not in ([], list(self.items))

    @property
    def owners(self) -> Sequence[str] | None:
        """The items where they are told apart from their answers; None where every answer is an item of its own."""
        return None if self.item_of is self.items else self.item_of or None

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
    kind, answers = kinds.of_spec(judges[0].spec), Answers(parent)
    with context.ledger.read() as tx:
        answers.add_all(readings.outcomes(context, tx, parent, judges))
        alone = {index for judge in judges if settles(judge) for index in _asked(tx, judge, answers)}
        cast = tuple(_cast(tx, kind, judge, answers, alone) for judge in judges)
    rule = next((str(judge.spec["cascade"]) for judge in judges if judge.spec.get("cascade")), None)
    silent = answers.silent
    return Ballot(
        vendor_of(parent), parent.model, answers.names, answers.clusters, answers.columns, cast, kind, len(silent),
        rule, len(alone), answers.owners, left_out=Counter(each.kind for each in silent), silent=silent,
        places=answers.places,
    )  # fmt: skip


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


def _asked(tx: Tx, judge: BatchRecord, answers: Answers) -> Iterable[int]:
    """The answers that a judge batch is about."""
    indexes = answers.indexes(subject - answers.low for subject in request_rows.subjects(tx, judge.id))
    return (index for index in indexes if index >= 0)


def _cast(tx: Tx, kind: JudgeKind, judge: BatchRecord, answers: Answers, alone: set[int]) -> Judge:
    """One judge's verdicts. alone: answers that a cascade's rule judges, and nobody else."""
    rule, settling = traits_of(judge.provider).judges_only, settles(judge)
    names = (str(kind.RULED),) if rule else tuple(each.name for each in kind.FIELDS)
    start = NOT_ASKED if settling else MISSING
    length = len(answers.names)
    cast = {each.name: Verdicts(each.scale, start if each.name in names else NOT_ASKED, length) for each in kind.FIELDS}
    for settled in alone:
        for name, verdicts in cast.items():
            verdicts.codes[settled] = MISSING if settling and name in names else NOT_ASKED
    unread, abstained = _count(tx, judge, answers, cast, names)
    return Judge(
        label(judge),
        {name: verdicts.codes for name, verdicts in cast.items()},
        unread=sum(cast[names[0]].codes[index] == MISSING for index in unread),
        repaired=request_rows.tally(tx, judge.id).parsed.get(Parsed.REPAIRED.value, 0),
        abstained=abstained,
        is_rule=rule,
        why=request_rows.unread_votes(tx, judge.id),
    )


def _count(
    tx: Tx, judge: BatchRecord, answers: Answers, cast: Mapping[str, Verdicts], names: Sequence[str]
) -> tuple[set[int], int]:
    """Add a judge's votes up: the answers with a vote that could not be read, and how many it abstained from."""
    unread, abstained, first, adding = set[int](), 0, names[0], {name: each.add for name, each in cast.items()}
    for block in _votes(tx, judge, answers, names):
        if isinstance(block, tuple):
            indexes, letters = answers.indexes(block[0]), block[1]
            if ABSTAINED in letters:
                abstained += sum(letter == ABSTAINED and at >= 0 for at, letter in zip(indexes, letters, strict=True))
            cast[first].add_all(indexes, letters)
            continue
        for subject, name, status, value in block:
            if (index := answers.index(subject - answers.low)) < 0 or name not in adding:
                continue
            if status == _VALID:
                adding[name](index, value)
            elif status == _UNPARSED:
                unread.add(index)
            elif status == _ABSTAINED:
                abstained += name == first
                adding[name](index, None)
    return unread, abstained


def _votes(tx: Tx, judge: BatchRecord, answers: Answers, names: Sequence[str]) -> Iterator[Block | Iterable[CastRow]]:
    """A judge's votes: its own, and those on answers that came later, which its retries asked about."""
    for member in (judge, *batches.retries_of(tx, judge.id)):
        if len(names) == 1:
            yield from blocks(tx, member.id, names[0], answers.low)
        else:
            yield request_rows.cast_votes(tx, member.id)


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
