"""Full-screen view of batches, drawn by textual. Texts from models, vendors and data sets are never markup."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Static

from batchflow.cli.cards.base.text import clean, line
from batchflow.cli.live import wording
from batchflow.cli.live.drawing import Speak, bar_cell, details, title_cell

if TYPE_CHECKING:
    from batchflow.steps.viewing.feed import Feed
    from batchflow.steps.watching.snapshot import BatchSnapshot, Snapshot

LOOK_S = 1.0
"""Seconds between two readings of the ledger; more where a reading takes long."""
ORDERS: dict[str, Callable[[BatchSnapshot], tuple[object, ...]]] = {
    "as made": lambda _: (),
    "what needs you": lambda batch: (not any(one.needs_you for one in batch.problems), not batch.problems),
    "state": lambda batch: (batch.stage.value,),
    "rows left": lambda batch: (batch.done + batch.failed + batch.cancelled - batch.requests,),
    "end": lambda batch: (batch.end is None, batch.end.likely.timestamp() if batch.end else 0.0),
    "name": lambda batch: (batch.name,),
}
COLUMNS = {"handle": "", "batch": "batch", "state": "state", "rows": "rows", "cost": "cost", "end": "end"}
NARROWEST = 16
_OF_TABLE = frozenset({"sort", "filter", "only_open", "ask", "clear_filter"})


class Batches(DataTable[Text]):
    """The table of batches, whose Enter stands in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select_cursor", "Parts and reasons")]


class Watch(App[None]):
    """All batches, one row each; Enter shows one in full. A thread of its own reads the ledger and asks vendors."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "batchflow watch"
    CSS = """
    #head { height: 1; background: $primary; color: $text; text-style: bold; padding: 0 1; }
    #table { height: 1fr; }
    #said { height: 1; color: $text-muted; padding: 0 1; }
    #filter { display: none; }
    #detail { padding: 0 1; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", show=False),
        Binding("s", "sort", "Sort"),
        Binding("slash", "filter", "Filter"),
        Binding("o", "only_open", "Open only"),
        Binding("r", "ask", "Look now"),
        Binding("escape", "clear_filter", "All", show=False),
    ]

    def __init__(self, feed: Feed, first: Snapshot, speak: Speak, *, project: str) -> None:
        super().__init__()
        self.feed, self.snapshot, self.speak, self.project = feed, first, speak, project
        self.order = "as made"
        self.needle = ""
        self.is_open_only = False
        self._wake, self._over = threading.Event(), threading.Event()

    def compose(self) -> ComposeResult:
        """Head, table, filter, the last words of the work behind it, keys."""
        yield Static(id="head")
        yield Batches(id="table", cursor_type="row", zebra_stripes=True)
        yield Input(
            id="filter", placeholder="part of a name, provider, model or state; Enter keeps it, Escape shows all"
        )
        yield Static(id="said")
        yield Footer()

    def on_mount(self) -> None:
        """Draw what is known, then follow."""
        self.query_one("#table", Batches).focus()
        self.show(self.snapshot)
        threading.Thread(target=self._follow, daemon=True, name="watch").start()

    def on_unmount(self) -> None:
        """Ends the thread."""
        self._over.set()
        self._wake.set()

    def _follow(self) -> None:
        """Ask and read until the view is left; a trouble is shown, and the next look comes all the same."""
        while not self._over.is_set():
            began = time.monotonic()
            try:
                self.feed.ask(self.snapshot)
                self._tell(self.show, self.feed.read())
            except Exception as error:  # noqa: BLE001 - the view stays, whatever a vendor or the ledger says
                self._tell(self.say, str(error))
            self._wake.wait(max(LOOK_S, 2 * (time.monotonic() - began)))
            self._wake.clear()

    def _tell(self, show: Callable[..., None], what: object) -> None:
        if not self._over.is_set():
            try:
                self.call_from_thread(show, what)
            except RuntimeError:  # the view was left in this very moment
                self._over.set()

    def say(self, text: str) -> None:
        """Show a line of what goes on behind the view."""
        self.query_one("#said", Static).update(Text(line(self.speak(text))))

    def hear(self, text: str) -> None:
        """`say`, from the thread that follows."""
        self._tell(self.say, text)

    def show(self, snapshot: Snapshot) -> None:
        """Draw a snapshot."""
        self.snapshot = snapshot
        self._draw()
        if isinstance(self.screen, Details):
            self.screen.draw()

    def shown(self) -> list[BatchSnapshot]:
        """The batches that pass the filter, in the chosen order."""
        wanted = [batch for batch in self.snapshot.batches if self._matches(batch)]
        return wanted if self.order == "as made" else sorted(wanted, key=ORDERS[self.order])

    def _matches(self, batch: BatchSnapshot) -> bool:
        if self.is_open_only and not batch.is_open and not any(one.needs_you for one in batch.problems):
            return False
        texts = (batch.name, batch.provider, batch.model, wording.state(batch), batch.handle)
        return not self.needle or any(self.needle in text.lower() for text in texts)

    def _draw(self) -> None:
        table = self.query_one("#table", Batches)
        batches = self.shown()
        cells = {batch.name: self._cells(batch) for batch in batches}
        widths = self._widths(cells)
        for batch in batches:
            cells[batch.name][1] = title_cell(batch, widths[1], indent=self._indent(batch))
        kept = self._selected()
        table.clear(columns=True)
        for (name, text), width in zip(COLUMNS.items(), widths, strict=True):
            table.add_column(
                Text(text), key=name, width=width
            )  # a width of textual's own comes after the first drawing
        for name, row in cells.items():
            table.add_row(*row, key=name, height=1 + row[1].plain.count("\n"))
        if kept in cells:
            table.move_cursor(row=list(cells).index(kept), animate=False)
        self.query_one("#head", Static).update(self._head(len(batches)))

    def _widths(self, cells: dict[str, list[Text]]) -> list[int]:
        """Widths of the columns; the names of the batches have what the others leave."""
        widths = [
            max(len(text), *(row[place].cell_len for row in cells.values()), 0)
            for place, text in enumerate(COLUMNS.values())
        ]
        room = self.size.width - sum(widths) + widths[1] - 2 * len(widths) - 2
        widths[1] = max(NARROWEST, min(room, widths[1]))
        return widths

    def _cells(self, batch: BatchSnapshot) -> list[Text]:
        stuck, trouble = any(one.needs_you for one in batch.problems), bool(batch.problems)
        style = "bold red" if stuck else "yellow" if trouble else "cyan" if batch.is_open else "green"
        return [
            Text(batch.handle, style="dim"),
            title_cell(batch, indent=self._indent(batch)),
            Text(("! " if trouble else "") + line(batch.stage.value.replace("_", " "), 20), style=style),
            bar_cell(batch, self.size.width)
            + Text(f"{batch.done + batch.failed + batch.cancelled:,}/{batch.requests:,}"),
            Text(wording.short_money(batch.spent)),
            Text(wording.short_end(batch, self.snapshot.at)),
        ]

    def _indent(self, batch: BatchSnapshot) -> str:
        return "  " if batch.of is not None and self.order == "as made" else ""

    def _head(self, count: int) -> Text:
        total = len(self.snapshot.batches)
        facts = [f"{count} of {total} batches" if count != total else f"{total} {'batch' if total == 1 else 'batches'}"]
        facts.append(f"{sum(batch.is_open for batch in self.snapshot.batches)} open")
        if self.needle:
            facts.append(f"filter: {clean(self.needle)}")
        if spent := wording.money(self.snapshot.spent):
            facts.append(spent)
        facts += [f"sorted: {self.order}", f"{self.snapshot.at.astimezone():%H:%M:%S}"]
        return Text(f"{line(self.project, 24)}  {', '.join(facts)}", no_wrap=True, overflow="ellipsis")

    def _selected(self) -> str:
        """Name of the batch under the cursor; empty without one."""
        table = self.query_one("#table", Batches)
        if not table.row_count:
            return ""
        return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)

    # -- keys ----------------------------------------------------------------------------------------------------

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter, or a click: show one batch in full."""
        if event.row_key.value is not None:
            self.push_screen(Details(str(event.row_key.value)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - textual's
        """Keep the keys of the table out of the view of one batch."""
        return action not in _OF_TABLE or not isinstance(self.screen, Details)

    def action_sort(self) -> None:
        """Take the next order."""
        names = list(ORDERS)
        self.order = names[(names.index(self.order) + 1) % len(names)]
        self._draw()

    def action_only_open(self) -> None:
        """Leave out what is over, or show it again."""
        self.is_open_only = not self.is_open_only
        self._draw()

    def action_filter(self) -> None:
        """Opens the line in which a filter is typed."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_clear_filter(self) -> None:
        """Show all again."""
        self.query_one("#filter", Input).value = ""
        self._leave_filter()

    def action_ask(self) -> None:
        """Look at once; a vendor is still asked no more often than it may be."""
        self._wake.set()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self.needle = event.value.strip().lower()
        self._draw()

    def on_input_submitted(self) -> None:
        """Keep the filter."""
        self._leave_filter()

    def _leave_filter(self) -> None:
        self.query_one("#filter", Input).display = False
        self.query_one("#table", Batches).focus()

    def on_resize(self) -> None:
        """Give the names the room that there is now."""
        self._draw()


class Details(Screen[None]):
    """One batch in full: its parts, what they cost, when they end, and every reason with what to do."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back"),
        Binding("backspace,enter", "app.pop_screen", show=False),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self.batch_name = name

    def compose(self) -> ComposeResult:
        """The batch's text, and keys."""
        with VerticalScroll():
            yield Static(id="detail")
        yield Footer()

    def on_mount(self) -> None:
        """Draw it."""
        self.draw()

    def draw(self) -> None:
        """Draw the batch as it is known now."""
        app = self.app
        if not isinstance(app, Watch):
            raise TypeError(type(app))
        opened = next((batch for batch in app.snapshot.batches if batch.name == self.batch_name), None)
        lines = (
            [Text("this batch was deleted meanwhile")]
            if opened is None
            else details(opened, app.snapshot.at, max(app.size.width - 6, 40), app.speak)
        )
        self.query_one("#detail", Static).update(Text("\n").join(lines))

    def on_resize(self) -> None:
        """Fold the lines anew."""
        self.draw()
