"""The case of a jury: the batch that is judged, its answers with their items, and what a judge is asked about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import NotReady, UsageError
from batchflow.judges import verifiers
from batchflow.judges.base import JudgeKind
from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord, RequestRecord
from batchflow.records import Item, Json, Kind, Outcome
from batchflow.steps.base.answer_form import ANSWER, Form
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.next_command import next_of
from batchflow.steps.base.raw_reader import RawReader
from batchflow.steps.building.asks import Ask
from batchflow.steps.building.sources import items_in_order, texts_in_order
from batchflow.steps.judging import readings
from batchflow.steps.judging.readings import Extract
from batchflow.tasks.base import Known, Prompt, QuickTask, Source, Task, Template
from batchflow.tasks.neutral import OPTIONS
from batchflow.vendors import registry


@dataclass(frozen=True, slots=True)
class Case:
    """The batch to be judged, and its prompts for judges. extract: the jury's own extractors, if it has any."""

    parent: BatchRecord
    task: Task
    kind: JudgeKind
    source: Source
    layout: Template
    samples: int = 1
    cascade: str | None = None
    extract: Extract | None = None

    def samples_of(self, answer: int) -> range:
        """The sample numbers of the questions about an item's `answer`-th answer, for a judge that is a model."""
        return range(answer * self.samples, (answer + 1) * self.samples)


_MOST_COLUMNS = 1_000  # different columns that are kept to be handed out again

FlagRow = list[Any]
"""[item, sample, flags, beginning of the answer]"""


class Subject:
    """One answer that is judged, with its item; what judges are asked about it is written once for all of them."""

    def __init__(self, case: Case, request: RequestRecord, item: Item, answer: dict[str, Any]) -> None:
        self.case, self.request, self.item, self.answer = case, request, item, answer

    @property
    def text(self) -> str:
        """Facts that a rule compares."""
        return str(self.answer.get(ANSWER, ""))

    @cached_property
    def prompt(self) -> Prompt:
        """The question to a judge that is a model."""
        return self.case.kind.prompt(self.item, self.answer, self.case.layout)

    @cached_property
    def _columns(self) -> dict[str, Any]:
        return self.request.groups

    @cached_property
    def _compared(self) -> dict[str, Any]:
        return _compared(self.case.task.reference(self.item), self.item.references, self.text)

    def ask(self, *, sample: int, about: int, rule: str | None, script: Json | None = None) -> Ask:
        """One question to a judge. about: the request that its vote belongs to. rule: the judge that is no model.

        script: the file of a rule that runs in a process of its own.
        """
        columns = self._columns
        if rule is not None:  # it reads texts, and no question
            compared = self._compared
            if script or verifiers.get(rule).COLUMNS:
                options = {OPTIONS: list(self.item.options)} if self.item.options else {}
                own: dict[str, Any] = {"script": script} if script else {}
                compared = compared | own | {"columns": dict(self.item.fields) | options}
            return Ask(self.item.id, "", (), None, sample, columns, about, compared)
        prompt, schema = self.prompt, self.case.kind.SCHEMA
        return Ask(
            self.item.id, prompt.system, prompt.parts, schema, sample, columns, about, self._compared,
            shared=prompt.shared,
        )  # fmt: skip


def _compared(reference: str, references: Sequence[str], answer: str) -> dict[str, Any]:
    """Texts that a rule compares."""
    compared: dict[str, Any] = {"reference": reference, "answer": answer}
    if len(references) != 1:
        compared["references"] = list(references)
    return compared


def parent_of(context: Context, target: str) -> BatchRecord:
    """The batch that a name or a results file speaks of. Raises UnknownBatch, UsageError for a judge batch."""
    path = Path(target)
    name = path.stem if path.suffix == ".jsonl" else target
    with context.ledger.read() as tx:
        batch = batches.find(tx, name)
        if batch is None and path.is_file():
            raise UsageError(f"{target} is not a batch of this ledger", hint=f"batchflow import predictions {target}")
        batch = batch or batches.get(tx, name)
    if batch.kind is not Kind.PREDICTION:
        raise UsageError(f"{batch.name} is a judge batch itself", hint="name the batch whose answers are to be judged")
    return batch


def refuse_unfinished(context: Context, batch: BatchRecord) -> None:
    """Raise NotReady while answers are out."""
    with context.ledger.read() as tx:
        tally = request_rows.tally(tx, batch.id)
    if tally.pending or batch.results_path is None:
        have = tally.requests - tally.pending
        raise NotReady(
            f"{batch.name}: {have:,} of {tally.requests:,} answers are here", hint=next_of(context, batch.name)
        )


def keep_flags(tx: Tx, batch: BatchRecord, rows: Sequence[FlagRow]) -> None:
    """Note which answers of a batch seem to address the judge, for as long as its raw files are what they are now."""
    batches.note(tx, batch.id, flagged={"sha256": _bytes_digest(jobs.with_retries(tx, batch.id)), "rows": rows})


def kept_flags(tx: Tx, project: Path, batch: BatchRecord) -> list[FlagRow] | None:
    """The rows that `keep_flags` took; None where the answers may have changed since, or their files have other sizes.

    Whether each byte is as it was, `results`, `jury` and `ledger check` see: `show` reads no answers for it.
    """
    kept = batch.flagged
    if not kept or kept["sha256"] != _bytes_digest(parts := jobs.with_retries(tx, batch.id)):
        return None
    raw = (file for job in parts for file in job.raw)
    return list(kept["rows"]) if all(_size(project / file["path"]) == file["bytes"] for file in raw) else None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _bytes_digest(parts: Sequence[JobRecord]) -> str:
    """Hash of the raw files of these jobs, in which a batch's answers stand."""
    return files.digest(files.dumps([[job.id, [file["sha256"] for file in job.raw]] for job in parts]))


def subjects(context: Context, case: Case) -> Iterator[Subject]:
    """Parsed answers with their items; data set and answers are read side by side. Raises DataError."""
    item_of = items_in_order(case.task, case.source, case.parent)
    for request, answer in answers(context, case.parent, case.extract):
        yield Subject(case, request, item_of(request.item_id), answer)


def compared(
    context: Context, case: Case, see: Callable[[RequestRecord, dict[str, Any]], None]
) -> Iterator[Ask] | None:
    """The questions to rules that read two texts and nothing else, without items; None for a task that needs them.

    see: gets each answer. Says what `Subject.ask` says. Raises DataError as `subjects`.
    """
    if not isinstance(case.task, QuickTask):
        return None
    return _asks_compared(context, case, see, texts_in_order(case.task, case.source, case.parent))


def _asks_compared(
    context: Context,
    case: Case,
    see: Callable[[RequestRecord, dict[str, Any]], None],
    known_of: Callable[[str], Known],
) -> Iterator[Ask]:
    columns = dict[str, str]()  # by their text in the ledger: many answers have the same
    for request, answer in answers(context, case.parent, case.extract):
        see(request, answer)
        item_id, _, references = known_of(request.item_id)
        if (own := columns.get(request.columns)) is None:
            if len(columns) >= _MOST_COLUMNS:
                columns.clear()
            own = columns[request.columns] = files.dumps(request.groups).decode()
        data = _compared(references[0], references, str(answer.get(ANSWER, "")))
        yield Ask(item_id, "", (), None, request.sample, own, request.id, data)


def answers(
    context: Context, batch: BatchRecord, extract: Extract | None = None
) -> Iterator[tuple[RequestRecord, dict[str, Any]]]:
    """Requests of a batch with their answers, as far as its extractors, or those of a jury, can read them."""
    vendor = registry.get(batch.provider, context.settings)
    form = Form.of(batch).by(extract)
    is_strict = form.strict
    with context.ledger.read() as tx, RawReader(context, vendor, tx, batch) as reader:
        for request in request_rows.stream(tx, batch.id):
            if not (request.has_answer if extract is None else request.outcome == Outcome.OK.value):
                continue
            usual = None if is_strict is None else reader.usual(request)
            if is_strict is not None and usual is not None and is_strict(usual[0][1]):
                yield request, files.loads(usual[0][1])
            else:
                value = readings.read(form, reader.response(request), request).value
                if value is not None:
                    yield request, value
