"""The last line of every card: what each verb tells to type next, at every stage of a batch."""

from __future__ import annotations

import pytest

from batchflow.states import Stage
from batchflow.steps.base.progress.next_command import NOT_FOUND, next_command
from batchflow.steps.base.progress.situation import Answers, Member, Role, Situation
from batchflow.steps.base.progress.worker_liveness import HANGS

JURY = ("judge_b_by_rule_exact", "judge_b_by_rule_numeric")
READ = Answers("results/b.jsonl", is_stale=False, answered=3)
WORDS = {"running": ("in_progress",), "unheard": (None,), "waits": (), "stopped": ("stopped",), "hangs": (HANGS,)}
WORDS |= {"lost": (None, NOT_FOUND)}


def a(name, stage="finished"):
    """A member: one at a stage, or a running one whose jobs have these words."""
    return Member(name, Stage.RUNNING, WORDS[stage]) if stage in WORDS else Member(name, Stage(stage))


def of_root(stage="finished", answers=READ, **others):
    return Situation(a("b", stage), Role.ROOT, a("b", stage), answers=answers, **others)


def of_retry(stage, root="finished", answers=READ):
    return Situation(a("b_retry", stage), Role.RETRY, a("b", root), (a("b_retry", stage),), answers=answers)


def of_judge(stage, *jury, root=True):
    judge = a("j", stage)
    return Situation(judge, Role.JUDGE, a("b") if root else None, jury=(judge, *(a(f"j{n}", s) for n, s in jury)))


@pytest.mark.parametrize(
    ("situation", "command"),
    [
        (of_root("prepared"), "start b"),
        (of_root("starting"), "start b"),
        (of_root("needs_you"), "start b"),
        (of_root("running"), "get b --wait"),
        (of_root("unheard"), "get b --wait"),
        (of_root("waits"), "start b"),  # parts wait for room or for the canary
        (of_root("stopped"), "start b"),
        (of_root("hangs"), "show b"),
        (of_root("lost"), "show b"),
        (of_root("ended"), "results b"),
        (of_root(answers=Answers("results/b.jsonl", is_stale=True)), "results b"),
        (of_root(answers=Answers()), "results b"),
        (of_root(), "jury results/b.jsonl"),
        (of_root(answers=Answers("x", is_stale=False)), "retry b"),
        (of_root(answers=Answers("x", is_stale=False, unparsed=2)), "retry b --also unparsed"),
        (of_root(answers=Answers("x", is_stale=False, unparsed=2, retry_helps=False)), "show b"),
        (of_root(retries=(a("r1"), a("r2", "prepared"))), "start r2"),
        (of_root(retries=(a("r1", "running"),)), "get r1 --wait"),
        (of_root(retries=(a("r1", "ended"),)), "results b"),
        (of_root(retries=(a("r1"),)), "jury results/b.jsonl"),
        (of_root(retries=(a("r1", "prepared"),), jury=(a("j"),)), "start r1"),
        (of_root(jury=(a("j"), a("k"))), "score b"),
        (of_root(jury=(a("j", "prepared"), a("k", "running"), a("l", "needs_you"))), "start j l"),
        (of_root(jury=(a("j", "running"), a("k"), a("l", "unheard"))), "get j l --wait"),
        (of_root(jury=(a("j", "running"), a("k", "stopped"))), "start k"),
        (of_root(jury=(a("j", "ended"),)), "score b"),
        (of_retry("prepared"), "start b_retry"),
        (of_retry("running"), "get b_retry --wait"),
        (of_retry("ended"), "results b"),
        (of_retry("finished"), "jury results/b.jsonl"),
        (of_retry("finished", answers=Answers("x", is_stale=True)), "results b"),
        (of_retry("finished", root="running"), "get b --wait"),  # it was lost, and has been found
        (of_judge("prepared", (1, "prepared")), "start j"),
        (of_judge("running"), "get j --wait"),
        (of_judge("ended"), "results j"),
        (of_judge("finished", root=False), "results j"),
        (of_judge("finished"), "score b"),
        (of_judge("finished", (1, "prepared"), (2, "starting")), "start j1 j2"),
        (of_judge("finished", (1, "running"), (2, "hangs")), "show j2"),
    ],
)  # fmt: skip
def test_every_situation_leads_to_one_command(situation, command):
    assert str(next_command(situation)) == f"batchflow {command}"


def follows(vendor, *words):
    """The next command that one command tells."""
    told = vendor.project.run(*words, "--json").json
    return told["next"].removeprefix("batchflow ")


def everywhere(vendor, name, *others):
    """What `show`, `get` and further commands that change nothing tell: all the same."""
    first = follows(vendor, "show", name)
    asks = first.startswith("get ")  # then `get` would bring the batch on
    told = {words: follows(vendor, *words) for words in (*(() if asks else (("get", name),)), *others)}
    assert set(told.values()) <= {first}, (first, told)
    return first


def prepared(vendor, name, **facts):
    """Prepare a batch, and the words that prepare it again."""
    vendor.prepare(name, **facts)
    given = ("--provider", "openai", "--model", "gpt-6-luna", "--name", name, "--dataset", f"{name}-data.jsonl")
    return ("prepare", *given)


def test_the_straight_road(vendor):
    again = prepared(vendor, "b")
    assert everywhere(vendor, "b", again) == "start b"
    assert follows(vendor, "list") == "show b"
    assert follows(vendor, "start", "b") == "get b --wait"
    assert everywhere(vendor, "b", again, ("start", "b")) == "get b --wait"
    assert follows(vendor, "get", "b", "--refresh-after", 0) == "results b"
    assert everywhere(vendor, "b", again, ("start", "b")) == "results b"
    assert follows(vendor, "results", "b") == "jury results/b.jsonl"
    assert everywhere(vendor, "b", again, ("start", "b"), ("results", "b")) == "jury results/b.jsonl"
    assert follows(vendor, "delete", "b") == "list"
    assert follows(vendor, "list") == "prepare --help"


def test_batches_that_are_named_together_are_told_to_go_on_together(vendor):
    for name in ("b", "c", "d"):
        vendor.prepare(name)
    assert vendor.project.run("start", "b", "c").out.endswith("\nnext: batchflow get b c --wait\n")
    told = vendor.project.run("get", "b", "c", "--refresh-after", 0).out
    assert told.endswith("\nnext: batchflow results b c\n")
    assert vendor.project.run("results", *told.split()[-2:]).code == 0
    vendor.project.ok("start", "d")
    told = vendor.project.run("get", "b", "d", "--refresh-after", 0).out
    assert told.endswith("\nnext: batchflow results d\n")  # b waits for a jury: the last one's


def test_a_command_that_takes_one_name_is_told_with_one(vendor):
    for name in ("b", "c"):
        vendor.prepare(name)
        vendor.project.ok("cancel", name)
    assert vendor.project.run("results", "b", "c").code == 0
    told = vendor.project.run("get", "b", "c").out
    assert told.endswith("\nnext: batchflow retry c\n")
    assert vendor.project.run(*told.split()[-2:]).code == 0


def test_a_batch_that_is_named_twice_is_told_once(vendor):
    vendor.prepare("b")
    assert vendor.project.run("get", "b", "b").out.endswith("\nnext: batchflow start b\n")


def test_a_jury(vendor):
    vendor.finished("b")
    first, second = JURY
    judges = ("jury", "b", "--judges", "rule:exact,rule:numeric")
    assert follows(vendor, *judges) == f"start {first} {second}"
    assert everywhere(vendor, "b", judges, ("results", "b")) == f"start {first} {second}"
    assert everywhere(vendor, first) == f"start {first}"
    assert follows(vendor, "start", first) == f"get {first} --wait"
    assert everywhere(vendor, "b", judges) == f"start {second}"
    vendor.project.ok("start", second)
    assert everywhere(vendor, "b", judges) == f"get {first} {second} --wait"
    assert follows(vendor, "get", first, "--refresh-after", 0) == f"results {first}"
    assert follows(vendor, "results", first) == f"get {second} --wait"
    assert follows(vendor, "get", second, "--refresh-after", 0) == f"results {second}"
    assert everywhere(vendor, "b", judges, ("results", second), ("show", first)) == "score b"
    assert follows(vendor, "score", "b", "--field-name", "is_answer_correct") == "show b"


@pytest.mark.parametrize(("flag", "told"), [("--start", f"get {' '.join(JURY)} --wait"), ("--wait", "score b")])
def test_a_jury_that_is_sent_at_once(vendor, flag, told):
    vendor.finished("b")
    judges = ("jury", "b", "--judges", "rule:exact,rule:numeric", flag, "--refresh-after", 0)
    assert follows(vendor, *judges) == told
    if flag == "--wait":
        assert follows(vendor, *judges) == told  # the judges have finished: nothing is to be sent


def test_what_failed_is_to_be_asked_again_before_anybody_judges(vendor):
    vendor.fault("errors", call="job", fraction=1.0)
    vendor.ended("b")
    assert follows(vendor, "results", "b") == "retry b"
    assert everywhere(vendor, "b", ("results", "b")) == "retry b"
    assert follows(vendor, "retry", "b") == "start b_retry_1"
    assert everywhere(vendor, "b", ("retry", "b"), ("results", "b"), ("show", "b_retry_1")) == "start b_retry_1"
    assert follows(vendor, "start", "b_retry_1") == "get b_retry_1 --wait"
    assert everywhere(vendor, "b", ("retry", "b")) == "get b_retry_1 --wait"
    assert follows(vendor, "get", "b_retry_1", "--refresh-after", 0) == "results b"
    assert everywhere(vendor, "b", ("retry", "b"), ("results", "b_retry_1")) == "results b"
    assert follows(vendor, "results", "b") == "jury results/b.jsonl"
    assert everywhere(vendor, "b", ("show", "b_retry_1")) == "jury results/b.jsonl"


def test_some_failures_are_named_beside_the_jury(vendor):
    vendor.fault("errors", call="job", fraction=0.5)
    vendor.ended("b", count=6)
    card = vendor.project.run("results", "b").out
    assert card.endswith("next: batchflow jury results/b.jsonl\n")
    assert "Unanswered: 3 (3 error)\n" in card
    assert "3 error: HTTP 500: " in card
    assert "Rehearsed row error. (row 2, item r2); batchflow retry b\n" in card


def test_answers_that_nobody_can_read_are_asked_again(vendor):
    vendor.ended("b")
    path = vendor.output()
    path.write_bytes(path.read_bytes().replace(b'\\"answer\\"', b'\\"anwser\\"'))
    assert follows(vendor, "results", "b") == "retry b --also unparsed"
    assert follows(vendor, "retry", "b", "--also", "unparsed") == "start b_retry_1"
    assert everywhere(vendor, "b", ("retry", "b", "--also", "unparsed")) == "start b_retry_1"


def test_what_was_cancelled(vendor):
    prepared(vendor, "b")
    assert follows(vendor, "cancel", "b") == "results b"
    assert follows(vendor, "results", "b") == "retry b"
    vendor.started("c")
    assert follows(vendor, "cancel", "c") == "get c --wait"


def test_what_needs_a_person(vendor):
    prepared(vendor, "b")
    vendor.fault("status", call="create", status=400, message="this model does not exist")
    assert vendor.project.run("start", "b").code == 5
    assert everywhere(vendor, "b") == "start b"
    vendor.started("c")
    vendor.fault("status", call="poll", status=404, times=0)
    vendor.project.run("get", "c", "--refresh-after", 0)
    assert everywhere(vendor, "c") == "show c"


def test_what_was_brought_cannot_be_asked_again(vendor):
    vendor.finished("b")
    project = vendor.project
    brought = ("import", "predictions", "own.jsonl", "--dataset", "b-data.jsonl", "--name", "own")
    (project.folder / "own.jsonl").write_bytes((project.folder / "results/b.jsonl").read_bytes())
    assert follows(vendor, *brought) == "jury results/own.jsonl"
    assert everywhere(vendor, "own") == "jury results/own.jsonl"
