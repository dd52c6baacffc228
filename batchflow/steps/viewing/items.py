"""Answers of a batch one by one, each with its question, its verdicts and its label; memory stays flat.

Ledger, data set, answers and judges' replies are read side by side, in the order of the batch. Nothing is asked of a
vendor, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple

from batchflow.errors import DataError
from batchflow.judges import injection
from batchflow.judges.base import JudgeKind, Rule
from batchflow.ledger import Tx, batches, labels, request_rows
from batchflow.ledger.records import BatchRecord, RequestRecord, kind_of
from batchflow.ledger.request_rows import CHUNK, NewVote
from batchflow.records import Image, Item, Kind, Level, Outcome, Response, Usage, VoteStatus
from batchflow.steps.base.answer_form import ANSWER, Form
from batchflow.steps.base.context import Context
from batchflow.steps.base.raw_reader import RawReader
from batchflow.steps.building.sources import KnownItems, items_in_order
from batchflow.steps.judging import readings
from batchflow.steps.judging.ballot import label
from batchflow.steps.judging.counting.cast import MISSING, NOT_ASKED, Verdicts
from batchflow.steps.judging.jury_lookup import Jury, juries
from batchflow.steps.judging.labels.columns import PREFIX, Columns, columns_of, kinds_of
from batchflow.tasks.base import question_of, references_of
from batchflow.tasks.neutral import OPTIONS
from batchflow.texts.parsing import Answer
from batchflow.texts.redaction import Hidden
from batchflow.vendors import registry

APART = 0.25
"""Share of a scale by which judges of numbers have to differ to disagree."""

RIGHT = 0.5
"""Mean verdict from which on an answer counts as right, as a share of the scale."""


_OWN = frozenset({OPTIONS, "context"})  # columns that an item shows by names of their own
_SOME = 1_000  # rows whose columns are looked at


@dataclass(frozen=True, slots=True)
class JudgeView:
    """One judge's verdict on one answer. status: of its last vote. values: by field, on the field's scale.

    share: its verdict on the field that counts, 0 to 1; None where it has none. reasons: what it wrote besides its
    values. why: the reason why its reply could not be read, or the error of its request.
    """

    judge: str
    kind: str
    status: str
    values: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    share: float | None = None
    reasons: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class ItemView:
    """One answer with all that is known of it.

    row: its place in the batch, from 1. question, pictures, references, options: None or empty where the data set is
    not here. outcome: how the request ended, `unparsed` for a text that could not be read, `pending`. error: the
    vendor's own text. answer: the text that came back. extracted: the fields that judges and rules see, by name.
    verdict: mean over the judges as a share of the scale; None where nobody voted. human: labels by column.
    human_share: label of the field that the verdict is about, as a share of its scale.
    """

    batch: str
    item: str
    sample: int
    row: int
    request: str
    question: str | None
    pictures: tuple[Image, ...]
    context: str | None
    options: tuple[str, ...]
    references: tuple[str, ...]
    columns: Mapping[str, Any]
    outcome: str
    error: str | None
    answer: str | None
    extracted: Mapping[str, Any] | None
    model: str | None
    usage: Usage | None
    finish: str | None
    retried: bool
    judges: tuple[JudgeView, ...]
    verdict: float | None
    disagree: bool
    human: Mapping[str, bool | float | str]
    human_share: float | None
    flags: tuple[str, ...]


class Human(NamedTuple):
    """Labels of one answer by column, and that of the field that counts as a share of its scale."""

    said: Mapping[str, bool | float | str]
    share: float | None


class ItemReader:
    """Reads the items of one batch. notes: what could not be read, once each; complete when the last item is read.

    field: what the verdict of an item is about; None for a batch that nobody judged.
    """

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        with context.ledger.read() as tx:
            self.batch = batches.get(tx, name)
            judges = batches.judges_of(tx, self.batch.id) if self.batch.kind is Kind.PREDICTION else ()
        self._juries = juries(judges)
        self.judges = tuple(_named(judge) for jury in self._juries for judge in jury.judges)
        self.field = _field(self._juries[0]) if self._juries else None
        self._extract = self._juries[0].extract if self._juries else None
        with context.ledger.read() as tx:
            known = kinds_of(tx, self.batch) if self.batch.kind is Kind.PREDICTION else []
        self._columns = columns_of(known)
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[ItemView]:
        """The items in the order of the batch. Raises DataError where the batch's own answers are not as they were."""
        batch = self.batch
        form, find = Form.of(batch).by(self._extract), KnownItems(self._context, batch, items_in_order)
        hidden = hidden_of(self._context, batch)
        with self._context.ledger.read() as tx, ExitStack() as stack:
            reader = stack.enter_context(
                RawReader(self._context, registry.get(batch.provider, self._context.settings), tx, batch)
            )
            juries = [
                [_Judge(self._context, tx, judge, jury, stack, self.notes) for judge in jury.judges]
                for jury in self._juries
            ]
            labels = _Labels(tx, batch, self._columns, self.field)
            for row, request in enumerate(request_rows.stream(tx, batch.id), start=1):
                item = find(request.item_id)
                if find.note and find.note not in self.notes:
                    self.notes.append(find.note)
                verdicts = [[judge.on(request.id) for judge in jury] for jury in juries]
                response = _hidden(reader.response(request), hidden)
                is_ok = response is not None and request.outcome == Outcome.OK.value
                answer = readings.read(form, response, request) if is_ok else None
                ended = request if self._extract is None else _reread(request, answer)
                yield _view(batch, row, ended, item, response, answer, verdicts, labels.of(request.id), hidden)

    def columns(self) -> tuple[str, ...]:
        """Names of the columns of its first items."""
        with self._context.ledger.read() as tx:
            some = islice(request_rows.stream(tx, self.batch.id), _SOME)
            return tuple(dict.fromkeys(name for request in some for name in request.groups if name not in _OWN))


def _field(jury: Jury) -> str:
    """The field that an item's verdict is about, as `score` chooses it."""
    ruled = [registry.traits_of(judge.provider).judges_only for judge in jury.judges]
    by_rule = all(ruled) or any(judge.spec.get("cascade") for judge in jury.judges)
    return str(jury.kind.RULED) if by_rule and jury.kind.RULED is not None else jury.kind.OVERALL


def _named(judge: BatchRecord) -> str:
    """A judge's name among all juries of a batch: with its extractors, where it has its own."""
    extract = readings.extract_of(judge)
    return label(judge) if extract is None else f"{label(judge)} ({', '.join(extract) or 'no extractor'})"


def _reread(request: RequestRecord, answer: Answer | None) -> RequestRecord:
    """The request as a jury's extractors read it: the ledger holds how the batch's own do."""
    return request if answer is None else request._replace(parsed=answer.parsed.value, error=answer.why)


def _view(
    batch: BatchRecord,
    row: int,
    request: RequestRecord,
    item: Item | None,
    response: Response | None,
    answer: Answer | None,
    verdicts: Sequence[Sequence[JudgeView | None]],
    human: Human,
    hidden: Hidden,
) -> ItemView:
    extracted = answer.value if answer else None
    votes = [view for jury in verdicts for view in jury if view is not None]
    first = [view.share for view in (verdicts[0] if verdicts else ()) if view is not None and view.share is not None]
    columns = {name: value for name, value in request.groups.items() if name not in _OWN}
    return ItemView(
        batch=batch.name,
        item=request.item_id,
        sample=request.sample,
        row=row,
        request=request.custom_id,
        question=None if item is None else question_of(item),
        pictures=() if item is None else item.pictures,
        context=None if item is None else item.context,
        options=() if item is None else item.options,
        references=() if item is None else references_of(item),
        columns=columns,
        outcome=kind_of(request.outcome, request.parsed) if request.outcome else "pending",
        error=None if request.error is None else hidden.text(request.error),
        answer=response.text if response else None,
        extracted=extracted,
        model=request.model,
        usage=_usage(request),
        finish=response.finish if response else None,
        retried=request.raw_job_id is not None,
        judges=tuple(votes),
        verdict=sum(first) / len(first) if first else None,
        disagree=bool(first) and _apart(first),
        human=human.said,
        human_share=human.share,
        flags=injection.flags(extracted) if extracted and batch.kind is Kind.PREDICTION else (),
    )


def hidden_of(context: Context, batch: BatchRecord) -> Hidden:
    """Redacts the keys of a batch's provider; a local worker has hidden its own, which may be a plain word."""
    return Hidden(() if batch.provider in registry.HERE else context.settings.secrets(batch.provider))


def _hidden(response: Response | None, hidden: Hidden) -> Response | None:
    if response is None or response.text is None:
        return response
    return replace(response, text=hidden.text(response.text))


def _apart(shares: Sequence[float]) -> bool:
    """Tells whether judges disagree: right against wrong, or numbers that are APART."""
    return max(shares) - min(shares) >= APART


def _usage(request: RequestRecord) -> Usage | None:
    if request.input_tokens is None:
        return None
    return Usage(
        request.input_tokens, request.cached_tokens or 0, request.output_tokens or 0, request.reasoning_tokens or 0
    )


class _Labels:
    """A batch's human labels, looked up in the order of its requests."""

    def __init__(self, tx: Tx, batch: BatchRecord, columns: Columns, counts: str | None) -> None:
        self._rows = labels.of_batch(tx, batch.id)
        self._next = next(self._rows, None)
        self._columns, self._counts = columns, counts

    def of(self, request_id: int) -> Human:
        """Labels of one request."""
        while self._next is not None and self._next.request_id < request_id:
            self._next = next(self._rows, None)
        cells: dict[str, bool | float | str] = {}
        share: float | None = None
        while self._next is not None and self._next.request_id == request_id:
            label, field = self._next, self._columns.get(f"{PREFIX}{self._next.field}")
            is_boolean = field is not None and field.level is Level.NOMINAL
            cells[f"{PREFIX}{label.field}"] = label.label or (bool(label.value) if is_boolean else label.value)
            if field is not None and field.name == self._counts:
                share = (label.value - field.low) / (field.high - field.low)
            self._next = next(self._rows, None)
        return Human(cells, share)


_VALID = VoteStatus.VALID.value  # an attribute of an enum costs 0.1 µs, and each vote is looked at
_Reply = tuple[RequestRecord, list[NewVote]]


class _Judge:
    """One judge's replies, its retries' included, looked up in the order of the judged answers."""

    def __init__(
        self,
        context: Context,
        tx: Tx,
        judge: BatchRecord,
        jury: Jury,
        stack: ExitStack,
        notes: list[str],
    ) -> None:
        self._name, self._notes, self._form = _named(judge), notes, Form.of(judge)
        self._kind, self._field = jury.kind, _field(jury)
        self._scales = {each.name: each.scale for each in jury.kind.FIELDS}
        self._no_vote = [(name, MISSING if name in self._form.voted else NOT_ASKED) for name in self._scales]
        self._keys = hidden_of(context, judge)
        vendor = registry.get(judge.provider, context.settings)
        self._reader = stack.enter_context(RawReader(context, vendor, tx, judge))
        self._members = [_Replies(tx, judge, member) for member in (judge, *batches.retries_of(tx, judge.id))]

    def on(self, subject: int) -> JudgeView | None:
        """The verdict on one answer; None for one that this judge was not asked about."""
        replies = [reply for member in self._members for reply in member.on(subject)]
        if not replies:
            return None
        votes = [vote for _, cast in replies for vote in cast]
        request, last = replies[-1]
        values, share = self._values(votes)
        reasons = next((text for reply, _ in replies if (text := self._reasons(reply))), None)
        return JudgeView(
            self._name,
            self._kind.NAME,
            _status(votes),
            values,
            {vote.field: vote.label for vote in last if vote.label is not None},
            share,
            reasons,
            next((vote.reason for vote in votes if vote.reason), None) or (request.error if not values else None),
        )

    def _values(self, votes: Sequence[NewVote]) -> tuple[dict[str, float], float | None]:
        """Majority of the samples for each field, on its scale, and for the field that counts, as a share."""
        verdicts: dict[str, Verdicts] = {}
        for vote in votes:
            if vote.status == _VALID and vote.field in self._scales:
                if vote.field not in verdicts:
                    verdicts[vote.field] = Verdicts(self._scales[vote.field], MISSING, 1)
                verdicts[vote.field].add(0, vote.value)
        codes = {name: float(verdicts[name].codes[0]) if name in verdicts else code for name, code in self._no_vote}
        scales = self._scales
        values = {name: scales[name].low + code * scales[name].width for name, code in codes.items() if code >= 0}
        return values, _share(self._kind, self._field, codes)

    def _reasons(self, request: RequestRecord) -> str | None:
        """Texts of a reply besides its values, or all of a reply that could not be read."""
        if request.outcome != Outcome.OK.value or self._form.by_rule:
            return None
        try:
            response = _hidden(self._reader.response(request), self._keys)
        except DataError as error:
            if not any(self._name in note for note in self._notes):
                self._notes.append(f"the reasons of {self._name} cannot be read: {error}")
            return None
        if response is None or response.text is None:
            return None
        verdict = self._form.verdict(response, request.columns)
        if verdict.said is None:
            return response.text
        fields = {each.name for each in self._kind.FIELDS}
        texts = [
            str(text) for name, text in verdict.said.items() if name not in fields and text is not None and text != ""
        ]
        return "\n".join(texts) or None


class _Replies:
    """The replies of one judge batch with their votes, a chunk in memory at a time."""

    def __init__(self, tx: Tx, judge: BatchRecord, member: BatchRecord) -> None:
        self._answers = range(*batches.request_range(judge.parent_id or 0))
        self._rows = self._stream(tx, member)
        self._next = next(self._rows, None)

    def _stream(self, tx: Tx, member: BatchRecord) -> Iterator[_Reply]:
        rows = request_rows.stream(tx, member.id)
        while chunk := list(islice(rows, CHUNK)):
            votes = request_rows.votes_between(tx, chunk[0].id, chunk[-1].id + 1)
            for request in chunk:
                if request.subject_id is not None and request.subject_id in self._answers:
                    yield request, votes.get(request.id, [])

    def on(self, subject: int) -> Iterator[_Reply]:
        """The replies about one answer: one for each sample of the judge."""
        while self._next is not None and (self._next[0].subject_id or 0) <= subject:
            if self._next[0].subject_id == subject:
                yield self._next
            self._next = next(self._rows, None)


def _share(kind: JudgeKind, name: str, codes: Mapping[str, float]) -> float | None:
    """A judge's verdict on a field, derived or not, from its codes."""
    derived = next((each for each in kind.DERIVED if each.name == name), None)
    if derived is None:
        return codes[name] if codes[name] >= 0 else None
    parts = [codes[part] for part in derived.of]
    if any(part == NOT_ASKED for part in parts):
        return None
    if derived.rule is Rule.ALL:
        return 0.0 if 0 in parts else (1.0 if all(part == 1 for part in parts) else None)
    weights = derived.weights or (1.0,) * len(parts)
    if any(part < 0 for part in parts):
        return None
    return sum(weight * part for weight, part in zip(weights, parts, strict=True)) / sum(weights)


def _status(votes: Sequence[NewVote]) -> str:
    statuses = [vote.status for vote in votes]
    order = (VoteStatus.VALID, VoteStatus.ABSTAINED, VoteStatus.UNPARSED, VoteStatus.MISSING)
    return next((status.value for status in order if status.value in statuses), VoteStatus.MISSING.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Selection of items: those of any of the kinds, and of all the column values.

    kinds: words of KINDS. columns: (column, value as text).
    """

    kinds: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()

    def takes(self, view: ItemView) -> bool:
        """Tells whether an item is wanted."""
        if any(shown(view.columns.get(name)) != value for name, value in self.columns):
            return False
        return not self.kinds or any(KINDS[kind](view) for kind in self.kinds)


KINDS: dict[str, Callable[[ItemView], bool]] = {
    "disagree": lambda view: view.disagree,
    "wrong": lambda view: view.verdict is not None and view.verdict < RIGHT,
    "errors": lambda view: view.outcome in {"error", "expired", "cancelled", "missing"},
    "unparsed": lambda view: view.outcome == "unparsed",
    "refused": lambda view: view.outcome == "refused",
    "flagged": lambda view: bool(view.flags),
}
"""Kinds of items that a person looks for."""


def shown(value: Any) -> str:
    """A column's value as `--by COLUMN=VALUE` names it; empty for none."""
    if value is None:
        return ""
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def extracted_text(view: ItemView) -> str | None:
    """The answer that is judged, without its justification."""
    if view.extracted is None:
        return None
    answer = view.extracted.get(ANSWER)
    return None if answer is None else str(answer)
