"""From a report to the screen: `--json` on every command, one card or table on stdout, progress on stderr."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchflow import files, settings
from batchflow.cli import typed
from batchflow.cli.cards.base import columns
from batchflow.cli.cards.base.card import Card, folded, unfolded
from batchflow.cli.cards.base.text import clean
from batchflow.cli.cards.batches import card, document
from batchflow.cli.streamed import Sentences, Streamed
from batchflow.cli.typed import Typed

if TYPE_CHECKING:  # these load SQLAlchemy, which neither `get --help` nor a shell's completion needs
    from batchflow.ledger import Ledger
    from batchflow.steps.base.context import Context


class App:
    """Settings and ledger of one command; the ledger is opened when it is first needed."""

    def __init__(self, project: Path, *, as_json: bool, speak: Typed = Typed()) -> None:  # noqa: B008 - frozen
        self.project = project
        self.as_json = as_json
        self.speak = speak
        self._on_close = ExitStack()
        self._tell: Callable[[str], None] = progress

    @cached_property
    def settings(self) -> settings.Settings:
        """Settings of the project folder, with what works local jobs off."""
        from batchflow.steps.workers import entry

        return replace(settings.load(self.project), worker=entry.COMMAND)

    @cached_property
    def context(self) -> Context:
        """The ledger, opened and migrated, with settings and a way to tell progress."""
        return self._opened(create=True)

    @cached_property
    def existing(self) -> Context:
        """As `context`, for commands about batches that are there already: where no ledger is, none is made."""
        return self._opened(create=False)

    @cached_property
    def unopened(self) -> Context:
        """As `existing`, with an empty ledger in memory: for a command that looks at the real one by itself."""
        from batchflow.ledger import Ledger
        from batchflow.steps.base.context import Context

        ledger = Ledger.empty()
        self._on_close.callback(ledger.close)
        return Context(ledger, self.settings, say=self.say)

    def _opened(self, *, create: bool) -> Context:
        from batchflow.steps.base.context import Context

        return Context(self.open_ledger(create=create), self.settings, say=self.say)

    def say(self, text: str) -> None:
        """Tell a person what is going on."""
        self._tell(self.speak(text))

    @contextmanager
    def telling(self, tell: Callable[[str], None]) -> Iterator[None]:
        """Give progress to somebody else for a while: a view that has the whole screen."""
        before, self._tell = self._tell, tell
        try:
            yield
        finally:
            self._tell = before

    def about(self, targets: Iterable[str]) -> Context:
        """`existing`, or `context` where a target is a file, whose rows come into the ledger."""
        return self.context if any(Path(target).is_file() for target in targets) else self.existing

    def open_ledger(self, *, migrate: bool = True, create: bool = True) -> Ledger:
        """The project's ledger; `close` closes it."""
        from batchflow.ledger import Ledger

        ledger = Ledger.open(self.settings.database_url, migrate=migrate, create=create)
        self._on_close.callback(ledger.close)
        return ledger

    def explained(self, error: Exception) -> Exception:
        """The error; as a damaged ledger where nobody expected it and the ledger holds values that explain it."""
        from batchflow.errors import BatchflowError, DamagedLedger

        if isinstance(error, (BatchflowError, OSError)) or not vars(self).keys() & {"context", "existing"}:
            return error
        try:
            state = (vars(self).get("context") or self.existing).ledger.check()
        except Exception:  # noqa: BLE001 - the first error is the one to tell
            return error
        if state.revision is None or not state.problems:
            return error
        text = f"the ledger is damaged: {state.problems[0]} (met as {type(error).__name__}: {error})"
        return DamagedLedger(text, hint="batchflow ledger check lists all damage; put a backup in the ledger's place")

    def close(self) -> None:
        """Give back what was opened."""
        self._on_close.close()


def progress(text: str) -> None:
    """Tell a person what is going on; stdout stays the document's."""
    sys.stderr.write(f"{clean(text)}\n")  # a live view takes the stream over, and shows this above itself
    sys.stderr.flush()


def shows(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json to a command whose function takes the App first and returns a report, or (report, exit code).

    Errors end here as well: one text on stderr, with --json a document on stdout, and the exit code of their class.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @click.pass_context
    def wrapped(ctx: click.Context, /, *args: Any, as_json: bool, **kwargs: Any) -> int:
        speak = typed.of(ctx)
        app = App(ctx.obj, as_json=as_json, speak=speak)
        verbose = bool(kwargs.pop("verbose", True))  # a command without --verbose folds nothing
        try:
            result = function(app, *args, **kwargs)
            report, code = result if isinstance(result, tuple) else (result, 0)
            emit(report, app, verbose=verbose)
        except click.ClickException:
            raise
        except Exception as error:  # noqa: BLE001 - the last place that knows the project and the wish for JSON
            from batchflow.cli import errors

            return errors.report(app.explained(error), ctx.obj, as_json=as_json, speak=speak)
        finally:
            app.close()
        return int(code)

    return update_wrapper(wrapped, function)


def emit(report: Any, app: App, *, verbose: bool = True) -> None:
    """Print a report: JSON, a rich card on a terminal, plain lines elsewhere."""
    if isinstance(report, Streamed | Sentences):
        report.write(sys.stdout, app.speak, as_json=app.as_json)
        return
    rehearsed = _is_rehearsed(report) and not app.settings.rehearsal
    if app.as_json:
        body = app.speak.document(document(report), rehearsed=rehearsed)
        sys.stdout.write(files.dumps(body).decode() + "\n")
        return
    output = as_typed(card(report), app.speak, rehearsed=rehearsed)
    output = unfolded(output) if verbose else folded(output)
    if sys.stdout.isatty():
        from batchflow.cli.cards.base.terminal import paint

        paint(output)
    else:
        sys.stdout.write(plain(output))


def _is_rehearsed(report: Any) -> bool:
    """Tells whether a report is about made-up answers."""
    several = report if isinstance(report, list) else getattr(report, "batches", ())
    return bool(getattr(report, "rehearsal", False)) or any(getattr(one, "rehearsal", False) for one in several)


def as_typed(card: Card, speak: Typed, *, rehearsed: bool) -> Card:
    """The card with the commands in it as they have to be typed here."""
    return replace(
        card,
        next=speak.follow(card.next, rehearsed=rehearsed),
        rows=tuple((key, speak(value)) for key, value in card.rows),
        notes=tuple(map(speak, card.notes)),
    )


def plain(card: Card) -> str:
    """A card as plain lines, its table in columns; the last line is the next command."""
    width = max((len(key) for key, _ in card.rows), default=0)
    out = [f"== {card.title} =="] + [f"{key + ':':<{width + 1}} {value}" for key, value in card.rows]
    for table in filter(None, (card.table, card.below)):
        out += ["", *columns.lines(table, max(columns.LEAST, shutil.get_terminal_size().columns))]
    out += [f"note: {note}" for note in card.notes]
    return "\n".join([*out, *(f"next: {command}" for command in card.next.split("\n"))]) + "\n"
