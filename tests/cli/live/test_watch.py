"""The full-screen view: what it shows, its keys, and that it only looks."""

from __future__ import annotations

import asyncio
import html
import re
import sys
from datetime import timedelta
from types import SimpleNamespace

import pytest
from helpers.rehearsed import rehearsed
from helpers.snapshots import NOON, batch, job, snapshot
from helpers.terminals import Terminal

from batchflow.cli.live.watch import Watch
from batchflow.states import Stage, State
from batchflow.steps.base.progress.situation import Role
from batchflow.steps.watching.expected_end import Basis, End
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


def on(keys, *, size=(80, 24), shown=SEVERAL, reads=None):
    """What the view shows after these keys, line by line."""

    async def typed():
        feed = SimpleNamespace(ask=lambda _: False, read=reads or (lambda: shown))
        view = Watch(feed, shown, lambda text: text, project="project")
        async with view.run_test(size=size) as pilot:
            for key in keys:
                await pilot.press(key)
            await pilot.pause(0.05)
            return view.export_screenshot()

    rows = {}
    for height, text in re.findall(r'<text [^>]*? y="([\d.]+)"[^>]*>(.*?)</text>', asyncio.run(typed())):
        rows.setdefault(float(height), []).append(html.unescape(text).replace("\xa0", " "))
    return ["".join(texts).rstrip() for _, texts in sorted(rows.items())]


def test_a_row_for_each_batch_with_rows_cost_and_end():
    text = "\n".join(on((), size=(100, 24)))
    assert "3 batches, 2 open, about $0.10 to $0.30, sorted: as made" in text
    for part in ("@1", "first", "running", "20/100", "~$0.10–$0.30", "7 min left", "judge openai:flash", "! needs you"):
        assert part in text
    assert "[link=x]hostile[/link]" in text  # markup is text


@pytest.mark.parametrize(("keys", "first"), [("s", "@3"), ("ss", "@2"), ("sss", "@1"), ("ssssss", "@1")])
def test_s_sorts(keys, first):
    rows = [line for line in on(keys) if re.match(r"\s*@\d ", line)]
    assert rows[0].split()[0] == first


def test_the_filter_takes_part_of_a_name_and_escape_shows_all():
    assert "1 of 3 batches" in "\n".join(on(["slash", "h", "o", "s", "t"]))
    assert "1 of 3 batches" in "\n".join(on(["slash", "h", "o", "s", "t", "enter"]))
    assert "3 batches, " in "\n".join(on(["slash", "h", "o", "s", "t", "enter", "escape"]))
    assert "2 of 3 batches" in "\n".join(on(["o"]))


def test_enter_shows_parts_and_reasons_in_full_and_escape_goes_back():
    text = "\n".join(on(["down", "down", "enter"]))
    assert "refused: [bold red]no[/] such model" in text
    assert "what to do: batchflow start hostile" in text
    text = "\n".join(on(["enter"]))
    assert re.search(r"part 0 .*20 of 50", text)
    assert "end unknown" not in text.partition("part 1")[0]
    assert "sorted: as made" in "\n".join(on(["enter", "escape"]))


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (200, 60)])
def test_any_size_will_do(size):
    assert any("@1" in line for line in on((), size=size))


def test_a_reading_that_fails_is_told_and_the_view_stays():
    def fails():
        raise OSError("the disk is gone [bold]")

    text = "\n".join(on(["r"], reads=fails))
    assert "the disk is gone [bold]" in text
    assert "first" in text


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
        terminal.until("in_progress|[1-9]/4|b", 20)
        terminal.type("q")
        assert terminal.ended() == 0
        assert "next: " in terminal.seen
        assert vendor.calls("create") == 1
        assert vendor.calls("poll") >= 1

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
