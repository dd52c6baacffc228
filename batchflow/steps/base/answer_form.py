"""Reads an answer: the object that a schema asks for, or what a chain of extractors takes out of a plain text."""

from __future__ import annotations

from dataclasses import dataclass

from batchflow import files, parsing
from batchflow.extract.chain import Chain, chain
from batchflow.ledger.records import BatchRecord, columns_of, damaged
from batchflow.parsing import Answer
from batchflow.records import Item, Json, Kind, Parsed, Response, Schema
from batchflow.tasks import registry as tasks
from batchflow.tasks.neutral import OPTIONS

ANSWER = "answer"
"""The one field of a plain text's value, which is also the field of a schema that rules compare."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a batch's replies. schema None: plain text, of which the chain leaves the answer."""

    schema: Schema | None
    chain: Chain

    @classmethod
    def of(cls, batch: BatchRecord) -> Form:
        """The form of a batch: its task's, with the extractors that its spec names. Raises UsageError."""
        task = tasks.get(batch.task)
        schema = task.ANSWER if batch.kind is Kind.PREDICTION else task.VERDICT
        return cls(schema, chain(() if schema else batch.spec.get("extract", task.EXTRACT)))

    @property
    def needs_columns(self) -> bool:
        """Tells whether a reply is read together with its item's columns."""
        return bool(self.chain.steps)

    def read(self, response: Response, columns: str) -> Answer:
        """Reads a reply. columns: those of its request, as JSON text; only read where they are needed."""
        if self.schema is not None:
            return parsing.parse_response(response, self.schema)
        extracted = self.chain.read(response.text or "", _item(columns) if self.needs_columns else _NOTHING)
        if extracted.value is None:
            return Answer(Parsed.UNPARSED, None, extracted.reason)
        return Answer(Parsed.STRICT, {ANSWER: extracted.value})

    def shown(self, value: Json) -> str:
        """A value as the results file holds it: plain text as it is, an object as JSON."""
        return str(value[ANSWER]) if self.schema is None else files.dumps(value).decode()


_NOTHING = Item("", "", {})


def _item(columns: str) -> Item:
    """The item as far as the ledger knows it, which is what extractors may see: its columns and its options."""
    fields = columns_of("of this batch", columns)
    try:
        options = tuple(files.loads(fields[OPTIONS])) if OPTIONS in fields else ()
    except (ValueError, TypeError):
        raise damaged("RequestRecord", {"id": "of this batch", "columns": columns}, "columns") from None
    return Item("", "", fields, options=options)
