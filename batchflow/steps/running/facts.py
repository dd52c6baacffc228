"""Facts that a run needs about a batch, read from the ledger in one view."""

from __future__ import annotations

from dataclasses import replace

from batchflow.ledger import Tx, batches, jobs, request_rows
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.records import Outcome
from batchflow.states import Event, Stage, State
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress import worker_liveness
from batchflow.steps.base.progress.failure_reasons import passing, reasons
from batchflow.steps.base.progress.situation import Member, member, read_situation
from batchflow.steps.base.progress.stages import Stages
from batchflow.steps.running.plan import Facts, Judge
from batchflow.vendors.registry import traits_of


def read_facts(context: Context, tx: Tx, root: BatchRecord) -> Facts:
    """Reads where a batch of questions stands. Rows are counted only where the count decides something."""
    view, stages = _View(context, tx), Stages.of(root)
    own, retries = view.of(root), tuple(map(view.of, batches.retries_of(tx, root.id)))
    judges = tuple(map(view.judge, batches.judges_of(tx, root.id)))
    if own.stage is not Stage.FINISHED:
        return Facts(own, retries, judges, sent_back=frozenset(view.sent_back), stages=stages)
    is_stale = read_situation(tx, root).answers.is_stale
    if is_stale or any(retry.stage is not Stage.FINISHED for retry in retries):
        return Facts(own, retries, judges, is_stale, sent_back=frozenset(view.sent_back), stages=stages)
    tally = request_rows.tally(tx, root.id)
    if stages is not None and stages.made > 1:
        judges = tuple(replace(judge, unasked=_unasked(tx, root, judge)) for judge in judges)
    return Facts(
        own, retries, judges, is_stale, tally.answered, passing(root, reasons(tx, root, tally)),
        is_scored=bool(judges) and _is_scored(tx, root), sent_back=frozenset(view.sent_back),
        stages=stages,
    )  # fmt: skip


def _unasked(tx: Tx, root: BatchRecord, judge: Judge) -> int:
    """Counts the answers that came after a judge's batch was made, and that it has no vote on; 0 while it is out."""
    if any(each.stage is not Stage.FINISHED for each in (judge.member, *judge.retries)):
        return 0
    batch = batches.get(tx, judge.member.name)
    is_rule = traits_of(batch.provider).judges_only
    samples = 1 if is_rule else int(batch.spec.get("judge_samples") or 1)
    due = {answer.id: samples for answer in request_rows.outcomes(tx, root.id) if answer.has_answer}
    for subject_id in request_rows.subjects(tx, batch.id):
        due.pop(subject_id, None)
    for retry in judge.retries:
        for subject, count in request_rows.voted(tx, batches.get(tx, retry.name).id).items():
            if subject in due:
                due[subject] -= count
    return sum(left > 0 for left in due.values())


class _View:
    """Members of a family, as they are now; remembers which of them have parts that wait for room."""

    def __init__(self, context: Context, tx: Tx) -> None:
        self._context, self._tx = context, tx
        self.sent_back: set[str] = set()

    def of(self, batch: BatchRecord) -> Member:
        """One batch; a local one's words as its lease bears them out."""
        parts = jobs.of_batch(self._tx, batch.id)
        beats = worker_liveness.pulses(self._tx, batch, parts)
        seen = [worker_liveness.judged(self._context, batch, job, beats.get(job.id)) for job in parts]
        if any(_is_sent_back(job) for job in parts):
            self.sent_back.add(batch.name)
        return member(batch, seen)

    def judge(self, batch: BatchRecord) -> Judge:
        """A judge with its retries, and its lost votes once none of these is out."""
        own, retries = self.of(batch), tuple(map(self.of, batches.retries_of(self._tx, batch.id)))
        if any(each.stage is not Stage.FINISHED for each in (own, *retries)):
            return Judge(own, retries)
        tally = request_rows.tally(self._tx, batch.id)
        by_rule = traits_of(batch.provider).judges_only
        lost = sum(tally.outcomes.values()) - tally.outcomes.get(Outcome.OK.value, 0)
        return Judge(own, retries, lost if by_rule else sum(tally.unanswered.values()))


def _is_sent_back(job: JobRecord) -> bool:
    """Tells whether a part was started and met a full queue or a passing error; one never started has no error."""
    return job.state is State.PREPARED and bool(job.error)


def _is_scored(tx: Tx, root: BatchRecord) -> bool:
    """Tells whether the votes that are there now have been scored."""
    scored_at = batches.scored_at(tx, root.id)
    if scored_at is None:
        return False
    judges = [one for judge in batches.judges_of(tx, root.id) for one in (judge, *batches.retries_of(tx, judge.id))]
    fetched = (event.at for one in judges for event in jobs.history(tx, one.id) if event.event is Event.FETCH)
    return all(at <= scored_at for at in fetched)
