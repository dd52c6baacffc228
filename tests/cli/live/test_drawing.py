"""The live view of a wait: what its lines say, how wide and how high they are."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from helpers.snapshots import NOON, batch, job, snapshot

from batchflow.cli.cards.base.columns import fold
from batchflow.cli.live.drawing import bar, details, drawn, title_cell
from batchflow.states import Stage, State
from batchflow.steps.base.progress.situation import Role
from batchflow.steps.watching.expected_end import Basis, End
from batchflow.steps.watching.snapshot import Problem, ProblemKind, Spent

END = End(*(NOON + timedelta(minutes=minutes) for minutes in (9, 12, 20)), Basis.MODEL, 7)
REFUSED = Problem(
    ProblemKind.REFUSED, "[bold]no[/bold] such model\x1b[2J\n" + "x" * 400, "batchflow start b", needs_you=True
)
LONG = "openai_gpt-6-luna_llm_hints_2_with_a_name_that_is_much_wider_than_any_screen"


def lines(*several, width=80, height=40, **facts):
    texts = drawn(snapshot(*several), elapsed_s=83, width=width, height=height, speak=lambda text: text, **facts)
    return [text.plain.rstrip() for text in texts]


def test_a_batch_with_parts_says_how_far_it_is_what_it_costs_and_when_it_ends():
    jobs = (
        job(done=30, failed=2, rate=0.4, end=END),
        job(part=1, state=State.PREPARED, unknown_end="a part is not sent yet"),
    )
    spent = Spent(0.1, 0.3, estimated=30, expected_low_usd=0.5, expected_high_usd=1.5)
    assert lines(batch("b", *jobs, rate=0.4, end=END, spent=spent)) == [
        "1 batch, 83 s, about $0.10 to $0.30",
        "@1 b" + " " * 69 + "running",
        "   ━━━━━━━━━────────────────────  32 of 100  24.0 rows/min  about $0.10 to $0.30",
        "   30 done, 2 failed; 7 min left (4 min to 15 min), as 7 earlier jobs of this",
        "   model",
        "   part 0   ━━━━━━━━────  32 of 50  running  7 min left (4 min to 15 min), as 7…",
        "   part 1   ────────────  0 of 50  prepared  end unknown: a part is not sent yet",
        "Ctrl-C: nothing is lost, and the same command goes on",
    ]


def test_a_judge_stands_below_its_batch_and_a_batch_that_is_over_takes_two_lines():
    over = batch(
        "b",
        job(state=State.FETCHED, done=50, over_at=NOON),
        stage=Stage.FINISHED,
        outcomes={"answered": 49, "refused": 1},
    )
    judge = batch("judge_b_by_m", handle="@2", role=Role.JUDGE, of="b", provider="gemini", model="flash")
    assert [line[:30].rstrip() for line in lines(over, judge)][1:4] == [
        "@1 b", "   49 answered, 1 refused; fre", "   @2 judge gemini:flash",
    ]  # fmt: skip


def test_a_reason_is_shown_with_what_to_do_and_nothing_in_it_is_obeyed():
    shown = lines(batch(stage=Stage.NEEDS_YOU, problems=(REFUSED,)))
    assert any("! refused: [bold]no[/bold] such model�[2J" in line for line in shown)
    assert "     what to do: batchflow start b" in shown


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("height", [4, 12, 60])
def test_whatever_the_terminal_nothing_is_wider_or_higher(width, height):
    several = [
        batch(f"{n}{LONG}", *(job(part=part, end=END) for part in range(30)), end=END, problems=(REFUSED,))
        for n in range(9)
    ]
    shown = lines(*several, width=width, height=height)
    assert len(shown) <= height
    assert max(map(len, shown)) <= width
    assert shown[-1].startswith("Ctrl-C")


def test_batches_that_are_over_give_way_to_those_that_are_not():
    over = [batch(f"over{n}", job(state=State.FETCHED, over_at=NOON), stage=Stage.FINISHED) for n in range(20)]
    shown = lines(*over, batch("open"), height=8)
    assert any(line.startswith("@1 open") for line in shown)
    assert any("more; batchflow watch shows all" in line for line in shown)


@pytest.mark.parametrize(
    ("done", "failed", "picture"),
    [(0, 0, "----------"), (49, 0, "#########-"), (50, 0, "##########"), (49, 1, "##########"), (1, 1, "#---------")],
)
def test_a_bar_is_full_at_the_end_only_and_shows_every_failure(done, failed, picture):
    drawn_bar = bar(job(done=done, failed=failed), 10, ascii_only=True)
    assert drawn_bar.plain == picture
    assert any(span.style == "red" and span.start < span.end for span in drawn_bar.spans) == bool(failed)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_the_mark_of_a_rehearsal_is_whole_on_every_screen(width):
    for name in ("b", LONG, "x" * 90):
        rehearsed = batch(name, rehearsal=True, stage=Stage.NEEDS_YOU)
        assert re.search(r" \(REHEARSAL\)  +needs you", lines(rehearsed, width=width)[1])
        assert details(rehearsed, NOON, width, str)[0].plain.endswith(" (REHEARSAL)")
        cell = title_cell(rehearsed, 16, indent="  ").plain.split("\n")
        assert "(REHEARSAL)" in cell[-1]
        assert max(map(len, cell)) <= 16
    for begin in range(1, 40):  # nor is it broken where a table folds a name
        assert "(REHEARSAL)" in fold(f"{'x' * begin} (REHEARSAL)", 20)[-1]
