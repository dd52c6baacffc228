"""The card of a jury: its judge batches, and a survey of the answers that they are asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchflow import files
from batchflow.judges import injection, verifiers
from batchflow.ledger import batches, request_rows
from batchflow.ledger.records import BatchRecord, RequestRecord
from batchflow.prices.estimates import Estimate
from batchflow.records import Outcome, Parsed
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.next_command import jury_command
from batchflow.steps.base.progress.situation import members
from batchflow.steps.judging.case import Case, FlagRow, Subject
from batchflow.steps.judging.readings import used
from batchflow.vendors import registry
from batchflow.vocabulary import FLAGGED


@dataclass(frozen=True, slots=True)
class JudgeBatch:
    """One judge batch on the card. retries: the judge batch whose missing votes it asks again.

    estimate: what it will cost.
    """

    name: str
    handle: str
    judge: str
    requests: int
    new: bool
    files: tuple[str, ...]
    retries: str | None = None
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class JuryReport:
    """The jury of a batch. unjudgeable: unanswered requests, which no judge is asked about; unanswered: them by kind.

    extract: the extractors between the texts and the answers that are judged.
    settled: answers that the cascade's rule judges alone. flagged: answers that seem to address the judge, in all and
    by what was seen in them.
    """

    name: str
    batches: tuple[JudgeBatch, ...]
    judgeable: int
    unjudgeable: int
    unanswered: dict[str, int]
    samples: int
    extract: tuple[str, ...]
    cascade: str | None
    settled: int
    settled_share: float
    flagged: int
    flags: dict[str, int]
    notes: tuple[str, ...]
    rehearsal: bool
    next: str


@dataclass(slots=True)
class Survey:
    """Counts of the answers as they pass by. settled: requests that the cascade's rule judges alone."""

    judgeable: int = 0
    flagged: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    settled: set[int] = field(default_factory=set)
    rows: list[FlagRow] = field(default_factory=list)

    def see(self, request: RequestRecord, answer: Mapping[str, Any]) -> None:
        """Take in one answer."""
        self.judgeable += 1
        if flags := injection.flags(answer):
            self.flagged += 1
            self.flags.update(flags)
            if len(self.rows) <= FLAGGED:
                text = files.dumps(answer).decode()[:400]
                self.rows.append([request.item_id, request.sample, list(flags), text])

    def count(self, subject: Subject) -> bool:
        """Take in one answer; tells whether the cascade's rule settles it. Raises UsageError for an unknown rule."""
        self.see(subject.request, subject.answer)
        rule = subject.case.cascade
        if rule is None or not _proves(rule, subject):
            return False
        self.settled.add(subject.request.id)
        return True


def report_of(
    context: Context, case: Case, judge_batches: Sequence[JudgeBatch], survey: Survey, notes: tuple[str, ...]
) -> JuryReport:
    """The card of a jury."""
    batch = case.parent
    with context.ledger.read() as tx:  # judges that stand there already may be further
        judges = members(tx, (batches.get(tx, judge.name) for judge in judge_batches))
        tally = request_rows.tally(tx, batch.id)
    unread = tally.outcomes.get(Outcome.OK.value, 0) - survey.judgeable
    unanswered = tally.unanswered | {Parsed.UNPARSED.value: unread}
    unanswered = {kind: count for kind, count in unanswered.items() if count}
    return JuryReport(
        name=batch.name,
        batches=tuple(judge_batches),
        judgeable=survey.judgeable,
        unjudgeable=batch.n_requests - survey.judgeable,
        unanswered=unanswered,
        samples=case.samples,
        extract=used(batch, case.extract),
        cascade=case.cascade,
        settled=len(survey.settled),
        settled_share=len(survey.settled) / survey.judgeable if survey.judgeable else 0.0,
        flagged=survey.flagged,
        flags=dict(sorted(survey.flags.items())),
        notes=(*notes, *_unread_note(batch, unanswered)),
        rehearsal=batch.rehearsal,
        next=str(jury_command(batch.name, judges)),
    )


def _unread_note(batch: BatchRecord, unanswered: Mapping[str, int]) -> tuple[str, ...]:
    unread = unanswered.get(Parsed.UNPARSED.value, 0)
    if not unread:
        return ()
    are = "1 answer is" if unread == 1 else f"{unread:,} answers are"
    if registry.traits_of(batch.provider).imported:  # what was brought cannot be asked again
        return (f"{are} unparsed; no judge is asked about them",)
    return (f"{are} unparsed; to ask them again: batchflow retry {batch.name} --also unparsed",)


def _proves(rule: str, subject: Subject) -> bool:
    """Tells whether a rule can judge an answer alone."""
    item = subject.item
    return verifiers.settled(rule, subject.text, *item.references, columns=item.fields) is not None
