"""The full-screen view: what it shows, its keys, and that it only looks."""

from __future__ import annotations

import asyncio
import html
import re
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import screens
from helpers.rehearsed import rehearsed
from helpers.screens import plain  # noqa: F401 - a fixture
from helpers.snapshots import NOON, batch, job, snapshot
from helpers.terminals import Terminal
from helpers.until import until

from batchflow.cli.live.watch import Watch
from batchflow.states import Stage, State
from batchflow.steps.base.progress.situation import Role
from batchflow.steps.watching.expected_end import Basis, End
from batchflow.steps.watching.problems import unreachable
from batchflow.steps.watching.snapshot import Problem, ProblemKind, Spent

END = End(*(NOON + timedelta(minutes=minutes) for minutes in (9, 12, 20)), Basis.COUNTS)
REFUSED = Problem(ProblemKind.REFUSED, "[bold red]no[/] such model", "batchflow start hostile", needs_you=True)
SPENT = Spent(0.1, 0.3, estimated=20, expected_low_usd=0.5, expected_high_usd=1.5)
OVER = job(state=State.FETCHED, done=50, over_at=NOON)
SEVERAL = snapshot(
    batch("first", job(done=20, end=END), job(part=1, state=State.PREPARED), end=END, spent=SPENT, rate=0.1),
    batch("judge_first_by_x", OVER, handle="@2", role=Role.JUDGE, of="first", model="flash", stage=Stage.FINISHED),
    batch("[link=x]hostile[/link]", handle="@3", stage=Stage.NEEDS_YOU, problems=(REFUSED,)),
)


def typed(*steps, size=(80, 24), shown=SEVERAL, reads=None):
    """Type the keys of each step, and wait until what it wants (regular expressions) is on the screen."""

    async def through():
        feed = SimpleNamespace(ask=lambda _: False, read=reads or (lambda: shown))
        view = Watch(feed, shown, lambda text: text, project="project")
        async with view.run_test(size=size) as pilot:
            for keys, *wanted in steps:
                await pilot.press(*keys)
                end = time.monotonic() + 30
                while not all(re.search(one, screen := _text(view)) for one in wanted):
                    assert time.monotonic() < end, (keys, wanted, screen)
                    await pilot.pause(0.02)

    asyncio.run(through())


def _text(view):
    rows = {}
    for height, text in re.findall(r'<text [^>]*? y="([\d.]+)"[^>]*>(.*?)</text>', view.export_screenshot()):
        rows.setdefault(float(height), []).append(html.unescape(text).replace("\xa0", " "))
    return "\n".join("".join(texts).rstrip() for _, texts in sorted(rows.items()))


def test_a_row_for_each_batch_with_rows_cost_and_end():
    first = r"@1 +first +running .* 20/100 +~\$0.10–\$0.30 +7 min left"
    judge, hostile = r"@2 +judge openai:flash +finished", r"@3 +\[link=x\]hostile\[/link\] +! needs you"  # no markup
    typed(((), r"3 batches, 2 open, about \$0.10 to \$0.30, sorted: as made", first, judge, hostile), size=(100, 24))


def test_s_sorts():
    orders = (
        ("what needs you", "@3"),
        ("state", "@2"),
        ("rows left", "@1"),
        ("end", "@1"),
        ("name", "@3"),
        ("as made", "@1"),
    )
    typed(*(("s", rf"sorted: {name},[^@]*{first} ") for name, first in orders))


def test_the_filter_takes_part_of_a_name_and_escape_shows_all():
    typed(
        (["slash", *"host"], "1 of 3 batches"),
        (["enter"], "1 of 3 batches.* filter: host"),
        (["escape"], r"project +3 batches"),
        ("o", "2 of 3 batches"),
        ("o", r"project +3 batches"),
    )


def test_enter_shows_parts_and_reasons_in_full_and_escape_goes_back():
    typed(
        (["enter"], r"part 0 .*20 of 50", r"Expected +\$0.50 to \$1.50"),
        (["s"], "part 0"),
        (["escape"], "sorted: as made"),
        (["down", "down", "enter"], r"refused: \[bold red\]no\[/\] such model", "what to do: batchflow start hostile"),
    )


@pytest.mark.parametrize("size", [(40, 10), (60, 16), (80, 16), (200, 60)])
def test_any_size_will_do_and_the_mark_of_a_rehearsal_is_whole(size):
    name = "openai_gpt-6-luna_riddles_llm_hints_2_temperature_0"
    typed(((), "@1", r"\(REHEARSAL\)"), size=size, shown=snapshot(batch(name, rehearsal=True)))


def test_a_reading_that_fails_is_told_and_the_view_stays():
    def fails():
        raise OSError("the disk is gone [bold]")

    typed(("r", r"the disk is gone \[bold\]", "first"), reads=fails)


GONE = unreachable("connection refused: http://127.0.0.1:8000/v1, tried for 4 min")
FULL = Problem(
    ProblemKind.NO_ROOM, "the vendor's queue is full (enqueued token limit)", "nothing: it is sent again later"
)
DONE = {"stage": Stage.FINISHED, "over_at": NOON, "spent": Spent(0.41, 0.41, billed=50)}
RUNNING = (
    batch("riddles_luna", job(done=20, end=END), job(part=1, done=5, end=END), end=END, spent=SPENT, rate=0.1),
    batch("riddles_haiku", OVER, handle="@2", provider="anthropic", model="claude-haiku-5-5", **DONE),
    batch("riddles_own", job(done=31, failed=2), handle="@3", provider="local", model="qwen", rate=0.4),
)
TROUBLED = (
    batch("riddles_llama", job(state=State.REFUSED, problem=REFUSED), handle="@4", provider="groq", model="llama-9",
          stage=Stage.NEEDS_YOU, problems=(REFUSED,)),
    batch("riddles_server", job(done=12, problem=GONE), handle="@5", provider="local", model="qwen", problems=(GONE,)),
    batch("riddles_small", job(state=State.PREPARED, problem=FULL), handle="@6", provider="mistral", model="small",
          stage=Stage.PREPARED, problems=(FULL,), rehearsal=True),
)  # fmt: skip
JUDGE = {"role": Role.JUDGE, "of": "riddles_luna"}
JURY = (
    batch("riddles_luna", OVER, **DONE),
    batch("judge_1", OVER, **JUDGE, handle="@2", provider="anthropic", model="claude-haiku-5-5", **DONE),
    batch("judge_2", job(done=17, failed=1, end=END), **JUDGE, handle="@3", provider="gemini", model="gemini-4-carbon",
          spent=SPENT, end=END),
    batch("judge_3", OVER, **JUDGE, handle="@4", provider="rule", model="exact", stage=Stage.FINISHED, over_at=NOON),
)  # fmt: skip
SCREENS = {
    "empty": ((), (100, 16), ()),
    "filtered": (RUNNING, (100, 16), ("slash", *"own", "enter")),
    "running": (RUNNING, (110, 16), ()),
    "troubles": ((*RUNNING, *TROUBLED), (110, 18), ("s", "down")),
    "narrow": ((*RUNNING, *TROUBLED), (80, 16), ()),
    "jury": (JURY, (110, 16), ()),
    "details": (TROUBLED, (80, 20), ("enter",)),
}


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("name", SCREENS)
def test_screens_are_those_that_are_kept(name, tmp_path):
    batches, size, keys = SCREENS[name]
    over = threading.Event()
    feed = SimpleNamespace(ask=lambda _: over.wait(60), read=lambda: snapshot(*batches))  # it draws once only
    view = Watch(feed, snapshot(*batches), lambda text: text, project="evaluation")
    svg = asyncio.run(screens.picture(view, size=size, keys=keys))
    over.set()
    screens.hold(svg, Path(__file__).parent / "screens" / f"{name}.svg", tmp_path)


class TestCommand:
    @pytest.fixture
    def vendor(self, tmp_path):
        """A vendor that is never done."""
        with rehearsed(tmp_path, polls=10_000) as made:
            yield made

    def test_it_asks_and_sends_nothing(self, vendor):
        vendor.started("b")
        vendor.prepare("c")
        terminal = Terminal(vendor.project, "watch", "--refresh-after", "0.5")
        terminal.until("2 batches, 2 open")
        until(lambda: vendor.calls("poll"))
        terminal.type("q")
        assert terminal.ended() == 0
        assert "next: " in terminal.seen
        assert vendor.calls("create") == 1

    def test_in_a_pipe_it_looks_once(self, vendor):
        vendor.started("b")
        ran = vendor.project.run("watch", "b")
        assert ran.code == 0
        assert "== 1 batch ==" in ran.out
        (row,) = vendor.project.ok("watch")["batches"]
        assert (row["name"], row["requests"], row["role"]) == ("b", 4, "root")
        assert vendor.calls("create") == 1

    def test_without_textual_it_names_the_extra(self, vendor):
        vendor.started("b")
        program = (
            sys.executable,
            "-c",
            "import sys; sys.modules['textual'] = None; from batchflow.cli.main import *; main()",
        )
        terminal = Terminal(vendor.project, "watch", program=program)
        terminal.until(r"pip install 'batchflow-eval\[watch\]'")
        assert terminal.ended() == 2
