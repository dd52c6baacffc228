"""Reads a reply: the object of a schema, what extractors take out of a plain text, or a judge's verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from batchflow import files
from batchflow.extract.chain import Chain, chain
from batchflow.judges import registry as kinds
from batchflow.judges.base import Evidence, JudgeKind, Verdict, unparsed
from batchflow.ledger.records import BatchRecord, columns_of, damaged
from batchflow.records import Item, Json, Kind, Outcome, Parsed, Response, Schema, VoteStatus
from batchflow.tasks import registry as tasks
from batchflow.tasks.neutral import OPTIONS
from batchflow.texts import parsing
from batchflow.texts.parsing import Answer
from batchflow.vendors.inhouse import rules
from batchflow.vendors.registry import strict_answers, traits_of

ANSWER = "answer"
"""The one field of a plain text's value, which is also the field of a schema that rules compare."""


EXTRACTED = "extracted_output"
"""Key of a verifier's verdict beside its field: what it read out of the answer."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a batch's replies. schema None: plain text, of which the chain leaves the answer.

    With a schema and a chain, the chain works on the object's `answer`, and leaves its other fields as they are.
    kind: of a judge batch, whose replies are verdicts. by_rule: a rule gives them, on one field.
    """

    schema: Schema | None
    chain: Chain
    kind: JudgeKind | None = None
    by_rule: bool = False

    @classmethod
    def of(cls, batch: BatchRecord) -> Form:
        """The form of a batch: its task's with the extractors of its spec, or its judge kind's. Raises UsageError."""
        if batch.kind is Kind.JUDGE:
            kind = kinds.of_spec(batch.spec)
            return cls(kind.SCHEMA, chain(()), kind, traits_of(batch.provider).judges_only)
        task = tasks.of_spec(batch.task, batch.spec)
        return cls(task.ANSWER, chain(() if task.ANSWER else batch.spec.get("extract", task.EXTRACT)))

    def by(self, extract: Iterable[str] | None) -> Form:
        """The form of answers that a jury reads by extractors of its own; None: by the batch's. Raises UsageError."""
        return self if extract is None else replace(self, chain=chain(extract))

    @property
    def needs_columns(self) -> bool:
        """Tells whether a reply is read together with its item's columns."""
        return bool(self.chain.steps) if self.kind is None else self.kind.READS_ITEM and not self.by_rule

    @property
    def is_object(self) -> bool:
        """Tells whether an answer is the object of a schema, and nothing is taken out of it."""
        return self.kind is None and self.schema is not None and not self.chain.steps

    @property
    def strict(self) -> Callable[[str], bool] | None:
        """Tells quickly of most texts that they are as the schema asks; None where each has to be read."""
        return strict_answers(self.schema) if self.is_object and self.schema is not None else None

    @property
    def voted(self) -> tuple[str, ...]:
        """The fields that each reply votes on."""
        if self.kind is None:
            return ()
        return (str(self.kind.RULED),) if self.by_rule else tuple(field.name for field in self.kind.FIELDS)

    def read(self, response: Response, columns: str) -> Answer:
        """Reads a reply. columns: those of its request, as JSON text; only read where they are needed."""
        if self.kind is not None:
            return as_answer(self.verdict(response, columns)) or _UNREAD
        if self.schema is None:
            return self._extracted(response.text or "", {}, Parsed.STRICT, columns)
        answer = parsing.parse_response(response, self.schema)
        if answer.value is None or not self.chain.steps:
            return answer
        return self._extracted(str(answer.value.get(ANSWER) or ""), answer.value, answer.parsed, columns)

    def _extracted(self, text: str, rest: Json, parsed: Parsed, columns: str) -> Answer:
        """The answer that the chain leaves of a text, beside the other fields of its object."""
        extracted = self.chain.read(text, _item(columns) if self.needs_columns else _NOTHING)
        if extracted.value is None:
            return Answer(Parsed.UNPARSED, None, extracted.reason)
        return Answer(parsed, {**rest, ANSWER: extracted.value})

    def verdict(self, response: Response, columns: str) -> Verdict:
        """Vote of a judge's reply; its status is MISSING where there is no reply. columns: as for `read`."""
        if self.kind is None or response.outcome is not Outcome.OK or response.text is None:
            return _MISSING
        if self.by_rule:
            return _ruled(self.kind, rules.verdict_of(response), rules.extracted_of(response))
        item = _item(columns) if self.needs_columns else None
        return read_verdict(self.kind, response.text, response.finish, item)

    def shown(self, value: Json) -> str:
        """A value as the results file holds it: plain text as it is, an object as JSON."""
        is_plain = self.schema is None and self.kind is None
        return str(value[ANSWER]) if is_plain else files.dumps(value).decode()


def read_verdict(kind: JudgeKind, text: str, finish: str | None = None, item: Item | None = None) -> Verdict:
    """Vote of a text; a kind of somebody else's that fails must not stop the other votes."""
    try:
        return kind.read(text, Evidence(finish, item))
    except Exception as error:  # noqa: BLE001 - somebody else's module
        return unparsed(f"{kind.NAME} failed: {type(error).__name__}")


def as_answer(verdict: Verdict) -> Answer | None:
    """A verdict as an answer, which requests and results files know of; None for a missing one."""
    if verdict.status is VoteStatus.MISSING:
        return None
    if verdict.status is VoteStatus.UNPARSED:
        return Answer(Parsed.UNPARSED, None, verdict.reason)
    value = verdict.said
    return Answer(verdict.parsed, dict(verdict.labels) if value is None else value)


def _ruled(kind: JudgeKind, ruling: bool | float | None, extracted: Any) -> Verdict:
    """A rule's verdict: one field, and nothing about the others. It abstains where it does not apply.

    extracted: what a verifier read out of the answer, which the verdict shows beside its fields.
    """
    ruled = next(field for field in kind.FIELDS if field.name == kind.RULED)
    right = bool(ruling) if ruled.scale.binary and ruling in {0, 1} else ruling
    if isinstance(ruling, bool) and not ruled.scale.binary and not ruled.scale.labels:
        right = ruled.scale.high if ruling else ruled.scale.low  # right and wrong are the ends of a scale of numbers
    shown: Json = {field.name: right if field is ruled else None for field in kind.FIELDS}
    if extracted is not None:
        shown[EXTRACTED] = extracted
    if ruling is None:
        return Verdict(VoteStatus.ABSTAINED, said=shown)
    value = ruled.scale.value(right)
    if value is None:
        return unparsed(f"{ruled.name} is not on its scale ({ruled.scale.name})")
    return Verdict(VoteStatus.VALID, {ruled.name: value}, said=shown)


_NOTHING = Item("", "", {})
_MISSING = Verdict(VoteStatus.MISSING)
_UNREAD = Answer(Parsed.UNPARSED, None, parsing.Unread.EMPTY.value)


def _item(columns: str) -> Item:
    """The item as far as the ledger knows it, which is what extractors may see: its columns and its options."""
    fields = columns_of("of this batch", columns)
    try:
        options = tuple(files.loads(fields[OPTIONS])) if OPTIONS in fields else ()
    except (ValueError, TypeError):
        raise damaged("RequestRecord", {"id": "of this batch", "columns": columns}, "columns") from None
    return Item("", "", fields, options=options)
