"""The plan of a run: one move for everything that the ledger may hold."""

from __future__ import annotations

import itertools

import pytest

from batchflow.states import Stage
from batchflow.steps.base.progress.next_command import NOT_FOUND
from batchflow.steps.base.progress.situation import Member
from batchflow.steps.base.progress.stages import Stages
from batchflow.steps.base.progress.worker_liveness import HANGS
from batchflow.steps.running.plan import Act, Facts, Judge, Policy, Step, next_move

WORDS = {"running": ("in_progress",), "waits": (), "stopped": ("stopped",), "hangs": (HANGS,), "lost": (NOT_FOUND,)}


def a(name, stage="finished"):
    return Member(name, Stage.RUNNING, WORDS[stage]) if stage in WORDS else Member(name, Stage(stage))


def judge(name, stage="finished", *retries, lost=0):
    return Judge(a(name, stage), tuple(a(f"{name}_retry", one) for one in retries), lost)


def facts(stage="finished", *, retries=(), judges=(), **more):
    is_stale = more.pop("is_stale", stage != "finished")
    names = (a(f"r{n}", one) for n, one in enumerate(retries, 1))
    return Facts(a("b", stage), tuple(names), judges, is_stale, more.pop("answered", 3), **more)


@pytest.mark.parametrize(
    ("known", "move"),
    [
        (facts("prepared"), "start b"),
        (facts("prepared", sent_back=frozenset({"b"})), "wait b"),
        (facts("starting"), "start b"),
        (facts("running"), "wait b"),
        (facts("waits"), "wait b"),
        (facts("stopped"), "start b"),
        (facts("hangs"), "stuck b"),
        (facts("lost"), "stuck b"),
        (facts("needs_you"), "stuck b"),
        (facts("ended"), "results b"),
        (facts(is_stale=True), "results b"),
        (facts(passing=1), "retry b"),
        (facts(passing=1, retries=("finished",)), "retry b"),
        (facts(passing=1, retries=("finished", "finished")), "jury b"),
        (facts(passing=1, retries=("prepared",)), "start r1"),
        (facts(retries=("running",)), "wait r1"),
        (facts(retries=("ended",)), "results b"),
        (facts(answered=0), "stuck b"),
        (facts(), "jury b"),
        (facts(judges=(judge("j", "prepared"), judge("k", "prepared"))), "jury b"),
        (facts(judges=(judge("j", "running"), judge("k", "prepared"))), "start k"),
        (facts(judges=(judge("j", "running"), judge("k", "running"))), "wait j k"),
        (facts(judges=(judge("j", "running"), judge("k", "ended"))), "wait j"),
        (facts(judges=(judge("j"), judge("k", "ended"))), "results k"),
        (facts(judges=(judge("j", lost=2), judge("k"))), "retry votes b"),
        (facts(judges=(judge("j", "finished", "prepared", lost=2),)), "start j_retry"),
        (facts(judges=(judge("j", "finished", "ended"),)), "results j"),
        (facts(judges=(judge("j", "finished", "finished", "finished", lost=2),)), "score b"),
        (facts(judges=(judge("j"),)), "score b"),
        (facts(judges=(judge("j"),), is_scored=True), "done"),
    ],
)
def test_every_state_of_a_batch_leads_to_one_move(known, move):
    made = next_move(known, Policy())
    assert " ".join((made.act.value, *made.names)) == move


def staged(made=1, of=3, rule=None):
    ends = tuple(range(2, 2 + of))
    return Stages(ends, ends[:made], 0, None, 1, rule, rule and "precise")


@pytest.mark.parametrize(
    ("known", "move"),
    [
        (facts(stages=staged(), judges=(judge("j"),)), "look b"),
        (facts(stages=staged(), judges=(judge("j", lost=1),)), "retry votes b"),
        (facts(stages=staged(3), judges=(judge("j"),)), "score b"),
        (facts(stages=staged(2, rule="precision 2"), judges=(judge("j"),)), "score b"),
        (facts(stages=staged(2, rule="precision 2"), judges=(judge("j"),), is_scored=True), "done"),
        (facts(stages=staged(2, rule="precision 3"), judges=(judge("j"),), is_scored=True), "look b"),
        (facts("prepared", stages=staged(2), judges=(judge("j"),)), "start b"),
        (facts(stages=staged(2), judges=(Judge(a("j"), unasked=4),)), "retry votes b"),
        (facts(stages=staged(2), judges=(Judge(a("j"), tuple(a(f"r{n}") for n in range(5)), unasked=4),)), "look b"),
        (facts(passing=1, retries=("finished",) * 2, stages=staged(2), judges=(judge("j"),)), "retry b"),
    ],
)
def test_a_batch_in_stages_is_looked_at_after_each_one(known, move):
    made = next_move(known, Policy(rule="precision 2"))
    assert " ".join((made.act.value, *made.names)) == move


@pytest.mark.parametrize(
    ("until", "ended"),
    [
        ("prepare", facts("prepared")),
        ("start", facts("running")),
        ("results", facts(passing=1)),
        ("retry", facts()),
        ("jury", facts(judges=(judge("j"),))),
    ],
)
def test_a_run_ends_behind_the_step_that_until_names(until, ended):
    assert next_move(ended, Policy(until=Step(until))).act is Act.DONE
    later = next_move(ended, Policy(until=list(Step)[list(Step).index(Step(until)) + 1])).act
    assert later is not Act.DONE


def test_no_retries_means_none():
    lost = facts(passing=3, judges=(judge("j", lost=1),))
    assert next_move(lost, Policy(retries=0)).act is Act.SCORE


def test_whatever_stages_meet_there_is_a_move_and_what_is_done_stays_done():
    stages = (*WORDS, *(stage.value for stage in Stage if stage is not Stage.RUNNING))
    for root, child, vote in itertools.product(stages, repeat=3):
        made = next_move(facts(root, retries=(child,), judges=(judge("j", vote),)), Policy())
        assert isinstance(made.act, Act)
        assert (made.act is Act.SCORE) == (root == child == vote == "finished")
