"""The next move of a run: a pure function of what the ledger knows, so that a killed run needs no other memory.

A batch is sent, awaited and fetched, what failed for a passing reason is asked again, then its jury goes the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from batchflow.states import Stage
from batchflow.steps.base.progress.next_command import NOT_FOUND
from batchflow.steps.base.progress.situation import Member
from batchflow.steps.base.progress.stages import Stages
from batchflow.steps.base.progress.worker_liveness import HANGS
from batchflow.vocabulary import STOPPED

RETRIES = 2
"""Retries of what failed for a passing reason, where `--retries` does not say."""


class Step(StrEnum):
    """The steps of a run, in order; `--until` names the last one."""

    PREPARE = "prepare"
    START = "start"
    RESULTS = "results"
    RETRY = "retry"
    JURY = "jury"
    SCORE = "score"
    COMPARE = "compare"
    REPORT = "report"

    def comes_before(self, other: Step) -> bool:
        """Tells whether a run that ends with this step leaves the other one out."""
        order = list(Step)
        return order.index(self) < order.index(other)


class Act(StrEnum):
    """A move: one existing command, or a reason why there is none."""

    START = "start"
    WAIT = "wait"
    RESULTS = "results"
    RETRY = "retry"
    JURY = "jury"
    RETRY_VOTES = "retry votes"
    LOOK = "look"
    SCORE = "score"
    DONE = "done"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of a run: its last step and its retries. rule: by which it ends before all stages are sent, if any."""

    retries: int = RETRIES
    until: Step = Step.REPORT
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """One judge of a batch with the batches that ask it again. lost_votes: counted once all of them are fetched.

    unasked: answers of later stages that it has no vote on.
    """

    member: Member
    retries: tuple[Member, ...] = ()
    lost_votes: int = 0
    unasked: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """A batch of questions as a run sees it. sent_back: names of batches with parts that wait for room at a vendor.

    passing: requests that failed for a passing reason; answered, passing: counted once everything is fetched.
    stages: of a batch that is sent piece by piece; each one may be asked again as often as a whole batch.
    """

    root: Member
    retries: tuple[Member, ...] = ()
    judges: tuple[Judge, ...] = ()
    is_stale: bool = True
    answered: int = 0
    passing: int = 0
    is_scored: bool = False
    sent_back: frozenset[str] = frozenset()
    stages: Stages | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Next act and the batches that it is for. why: for a person, where nothing can be done."""

    act: Act
    names: tuple[str, ...] = ()
    why: str = ""


DONE = Move(Act.DONE)
_UNSENT = frozenset({Stage.PREPARED, Stage.STARTING})


def next_move(facts: Facts, policy: Policy) -> Move:
    """The move that brings a batch of questions on."""
    until, root = policy.until, facts.root
    if until is Step.PREPARE:
        return DONE
    if move := _brought_on([root], facts.sent_back):
        return DONE if until is Step.START and move.act is not Act.START and move.act is not Act.STUCK else move
    if until is Step.START:
        return DONE
    return _answers(facts, policy) or (DONE if until.comes_before(Step.JURY) else _votes(facts, policy))


def _answers(facts: Facts, policy: Policy) -> Move | None:
    """The move that completes the answers; None once they are complete."""
    root = facts.root.name
    if facts.root.stage is Stage.ENDED or facts.is_stale:
        return Move(Act.RESULTS, (root,))
    if policy.until.comes_before(Step.RETRY):
        return None
    if move := _brought_on(facts.retries, facts.sent_back):
        return move
    if any(retry.stage is Stage.ENDED for retry in facts.retries):
        return Move(Act.RESULTS, (root,))  # a retry's answers stand there
    if facts.passing and len(facts.retries) < policy.retries * _stages(facts):
        return Move(Act.RETRY, (root,))
    return None


def _votes(facts: Facts, policy: Policy) -> Move:
    """The move that completes the votes, then the score."""
    root, judges = facts.root.name, facts.judges
    if not facts.answered:
        return Move(Act.STUCK, (root,), "none of its requests is answered, so there is nothing to judge")
    if all(judge.member.stage is Stage.PREPARED and not judge.retries for judge in judges):
        return Move(Act.JURY, (root,))  # none is sent before all are made, so some may still be missing
    everyone = [member for judge in judges for member in (judge.member, *judge.retries)]
    if move := _brought_on(everyone, facts.sent_back):
        return move
    ended = [judge.member.name for judge in judges if _has_ended((judge.member, *judge.retries))]
    if ended:
        return Move(Act.RESULTS, tuple(ended))
    most = policy.retries * _stages(facts) + _stages(facts) - 1  # further stages are asked about by retries, too
    if any((judge.lost_votes or judge.unasked) and len(judge.retries) < most for judge in judges):
        return Move(Act.RETRY_VOTES, (root,))
    return _after_votes(facts, policy)


def _after_votes(facts: Facts, policy: Policy) -> Move:
    """The move once all votes are there that can be had."""
    root = facts.root.name
    if policy.until.comes_before(Step.SCORE):
        return DONE
    if policy.rule is not None and facts.stages is not None and not _is_over(facts.stages, policy.rule):
        return Move(Act.LOOK, (root,))
    return DONE if facts.is_scored else Move(Act.SCORE, (root,))


def _stages(facts: Facts) -> int:
    return 1 if facts.stages is None else facts.stages.made


def _is_over(stages: Stages, rule: str) -> bool:
    """Tells whether a look by this rule has ended the batch, or nothing is left to send."""
    return stages.is_last or (stages.reason is not None and stages.rule == rule)


def _has_ended(members: Sequence[Member]) -> bool:
    return any(member.stage is Stage.ENDED for member in members)


def _brought_on(members: Iterable[Member], sent_back: frozenset[str]) -> Move | None:
    """Sends what is not sent, else waits for what is out; None where nothing is left to do for that."""
    moves = [(member.name, _alone(member, member.name in sent_back)) for member in members]
    for act in (Act.START, Act.STUCK, Act.WAIT):
        if names := tuple(name for name, (its_act, _) in moves if its_act is act):
            why = next(text for _, (its_act, text) in moves if its_act is act)
            return Move(act, names, why)
    return None


def _alone(member: Member, is_sent_back: bool) -> tuple[Act | None, str]:
    if member.stage in _UNSENT:
        return (Act.WAIT if is_sent_back else Act.START), ""
    if member.stage is Stage.NEEDS_YOU:
        return Act.STUCK, "a person has to decide"
    if member.stage is not Stage.RUNNING:
        return None, ""
    if NOT_FOUND in member.words:
        return Act.STUCK, "its vendor does not know it"
    if HANGS in member.words:
        return Act.STUCK, "its worker hangs"
    return (Act.START if STOPPED in member.words else Act.WAIT), ""
