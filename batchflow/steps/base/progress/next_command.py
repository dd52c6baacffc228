"""The next command to type: one answer for every verb, from a batch's situation alone.

A batch leads to its results, these to a jury or a retry, a jury to the score; judges and retries of a batch go first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batchflow.ledger import batches
from batchflow.states import Stage
from batchflow.steps.base.context import Context
from batchflow.steps.base.progress.situation import Member, Role, Situation, read_situation
from batchflow.steps.base.progress.worker_liveness import HANGS
from batchflow.vocabulary import STOPPED

NOT_FOUND = "not found"  # in place of a vendor's word: it says that it has no such batch
_UNSENT = frozenset({Stage.PREPARED, Stage.STARTING, Stage.NEEDS_YOU})


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it is typed: its verb, the batches or files that it is about, its flags."""

    verb: str
    targets: tuple[str, ...]
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(("batchflow", self.verb, *self.targets, *self.flags))


def next_command(situation: Situation) -> Command:
    """The command that brings a batch on."""
    batch, root = situation.batch, situation.root
    if _is_unfinished(batch):
        return _unfinished(batch)
    if root is None or situation.role is Role.JUDGE:
        return _after_a_judge(batch, root, situation.jury)
    if batch.stage is Stage.ENDED:
        return Command("results", (root.name,))  # a retry's answers stand there
    return _after_answers(root, situation)


def next_of(context: Context, name: str) -> str:
    """`next_command` of the batch of that name as it stands now. Raises UnknownBatch."""
    with context.ledger.read() as tx:
        return str(next_command(read_situation(tx, batches.get(tx, name))))


def jury_command(name: str, jury: Sequence[Member]) -> Command:
    """Next command for the judges of the batch of that name: send them, wait for them, then score."""
    if unsent := [judge.name for judge in jury if judge.stage in _UNSENT]:
        return Command("start", tuple(unsent))
    commands = [_while_running(judge) for judge in jury if judge.stage is Stage.RUNNING]
    if stuck := next((command for command in commands if command.verb != "get"), None):
        return stuck
    if commands:
        return _wait(*(name for command in commands for name in command.targets))
    return Command("score", (name,))


def _is_unfinished(batch: Member) -> bool:
    return batch.stage is Stage.RUNNING or batch.stage in _UNSENT


def _unfinished(batch: Member) -> Command:
    return _while_running(batch) if batch.stage is Stage.RUNNING else Command("start", (batch.name,))


def _while_running(batch: Member) -> Command:
    if {NOT_FOUND, HANGS} & set(batch.words):
        return Command("show", (batch.name,))
    if not batch.words or STOPPED in batch.words:
        return Command(
            "start", (batch.name,)
        )  # parts wait for room or a canary, or a local worker died: `start` goes on
    return _wait(batch.name)


def _wait(*names: str) -> Command:
    return Command("get", names, ("--wait",))


def _after_a_judge(judge: Member, root: Member | None, jury: Sequence[Member]) -> Command:
    if root is None or judge.stage is Stage.ENDED:
        return Command("results", (judge.name,))
    return jury_command(root.name, jury)


def _after_answers(root: Member, situation: Situation) -> Command:
    if _is_unfinished(root):
        return _unfinished(root)
    if root.stage is Stage.ENDED or situation.answers.is_stale:
        return Command("results", (root.name,))
    return _after_results(root, situation)


def _after_results(root: Member, situation: Situation) -> Command:
    for retry in situation.retries:
        if retry.stage is not Stage.FINISHED:
            return Command("results", (root.name,)) if retry.stage is Stage.ENDED else _unfinished(retry)
    if situation.jury:
        return jury_command(root.name, situation.jury)
    answers = situation.answers
    if answers.answered:
        return Command("jury", (str(answers.path),))
    if not answers.retry_helps:
        return Command("show", (root.name,))
    return Command("retry", (root.name,), ("--also", "unparsed") if answers.unparsed else ())
