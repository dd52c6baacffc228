"""Words that a shell may complete: names of batches, providers, models, tasks, judges, columns.

A shell waits for them at every key: nothing is imported here that a word does not need, no vendor is asked, no ledger
is made or migrated, and whatever cannot be read gives no word.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from batchflow.cli.program import project_above

if TYPE_CHECKING:
    from batchflow.settings import Settings

Items = list[CompletionItem]
Words = Iterable[tuple[str, str]]
"""Words with a line of help for the shells that show one."""
Completer = Callable[[click.Context, click.Parameter, str], Items]

_NEWEST = "SELECT id, name, provider, model FROM batches ORDER BY id DESC LIMIT 10000"
_TASKS = (
    "riddles",
    "layton",
    "qa",
    "choice",
    "mixeval",
    "mixeval-hard",
    "internbootcamp",
    "aime2025",
    "gpqa",
    "mmlu_pro",
    "hle",
    "ifeval",
    "livecodebench",
    "arena",
    "battles",
)
_FIELDS = ("id", "question", "context", "picture", "reference", "options")
"""Of the tasks about a user's own data. These and the tasks stand here too, as the tasks' modules are slow to import."""


def _completer(words: Callable[[click.Context], Words]) -> Completer:
    """Completes one word."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
        return list(_items(words, ctx, incomplete, ""))

    return complete


def _of_a_list(words: Callable[[click.Context], Words]) -> Completer:
    """Completes the last word of several that commas separate."""

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
        done, comma, last = incomplete.rpartition(",")
        return list(_items(words, ctx, last, done + comma))

    return complete


def _items(
    words: Callable[[click.Context], Words], ctx: click.Context, beginning: str, before: str
) -> Iterator[CompletionItem]:
    with suppress(Exception):  # a shell shows no error; the command itself tells it
        for word, help_text in words(ctx):
            if word.startswith(beginning):
                yield CompletionItem(before + word, help=help_text or None)


def _settings(ctx: click.Context) -> Settings:
    from batchflow import settings

    given = ctx.obj or ctx.find_root().params.get("project")
    return settings.load(Path(given) if given else project_above(Path.cwd()))


def _rows(ctx: click.Context, query: str) -> list[tuple[Any, ...]]:
    """Rows of the ledger, which is only read; none where there is no ledger."""
    url = _settings(ctx).database_url
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///")).resolve()
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1.0)) as connection:
            return connection.execute(query).fetchall()
    from batchflow.ledger import Ledger

    with closing(Ledger.open(url, migrate=False, create=False, patience_s=1.0)) as ledger, ledger.read() as tx:
        return [tuple(row) for row in tx.exec_driver_sql(query)]


def _batches(ctx: click.Context) -> Words:
    named = set(ctx.params.get("names") or ctx.params.get("targets") or ())
    rows = [row for row in _rows(ctx, _NEWEST) if row[1] not in named]
    return [
        *((name, f"@{number} {provider}:{model}") for number, name, provider, model in rows),
        *((f"@{number}", name) for number, name, _, _ in rows),
        *([("@last", "the batch of questions that was made last")] if rows else []),
        *((name, "suite") for name in _suites(ctx)),
    ]


def _suites(ctx: click.Context) -> list[str]:
    """Names of suites; none in a ledger that is older than they are."""
    with suppress(Exception):
        return [str(name) for (name,) in _rows(ctx, "SELECT name FROM suites ORDER BY id DESC")]
    return []


def _providers(ctx: click.Context) -> Words:
    from batchflow.settings import ACCESS

    gateways = ((name, "gateway") for name in _settings(ctx).gateways)
    return [*((name, "your own engine" if name == "local" else "") for name in ACCESS), *gateways]


def _models(ctx: click.Context) -> Words:
    """Models of the table and of this ledger; of the named provider where one is named."""
    config = _settings(ctx)
    wanted = ctx.params.get("provider")
    rows = {(provider, model) for provider, table in config.models["models"].items() for model in table}
    rows |= {(provider, model) for provider in config.models["default"] if (model := config.default_model(provider))}
    with suppress(sqlite3.Error):
        rows |= {(provider, model) for provider, model in _rows(ctx, "SELECT DISTINCT provider, model FROM batches")}
    return sorted(
        (model, provider)
        for provider, model in rows
        if wanted in {None, provider} and not model.endswith("*") and provider not in {"checked_on", "rule", "import"}
    )


def _tasks(_ctx: click.Context) -> Words:
    return [(name, "") for name in _TASKS]


def _judges(ctx: click.Context) -> Words:
    """The pool's judges, every model with its provider, and the rules."""
    pool = [(f"{row['provider']}:{row['model']}", "judge pool") for row in _settings(ctx).panel()]
    models = [(f"{provider}:{model}", "") for model, provider in _models(ctx)]
    return dict([*models, *pool, *((f"rule:{name}", help_text) for name, help_text in _rules(ctx))]).items()


def _kinds(_ctx: click.Context) -> Words:
    from batchflow.judges import registry

    return [(name, "") for name in registry.names()]


def _rules(_ctx: click.Context) -> Words:
    from batchflow.judges import verifiers

    return [(name, "costs nothing") for name in verifiers.names()]


def _columns(ctx: click.Context) -> Words:
    """Columns that the first request of each batch has."""
    query = "SELECT columns FROM requests WHERE id IN (SELECT id * 4294967296 FROM batches)"
    texts = dict.fromkeys(row[0] for row in _rows(ctx, query))
    return sorted({(str(name), "") for text in texts for name in json.loads(text)})


def _mapped(ctx: click.Context) -> Words:
    """`FIELD=COLUMN` for the columns of the named data set."""
    names = _head(Path(str(ctx.params["dataset"])))
    return [(f"{field}={name}", "") for field in _FIELDS for name in names]


def _head(path: Path) -> list[str]:
    """Names of the columns of a data set, as far as its first line tells them."""
    with path.open(encoding="utf-8-sig") as lines:
        first = lines.readline(1_000_000)
    if path.suffix == ".jsonl":
        return list(json.loads(first))
    import csv

    return next(csv.reader([first], delimiter="\t" if path.suffix == ".tsv" else ","))


batches = _completer(_batches)
provider = _completer(_providers)
model = _completer(_models)
task = _completer(_tasks)
kind = _completer(_kinds)
rule = _completer(_rules)
column = _completer(_columns)
judges = _of_a_list(_judges)
mapping = _of_a_list(_mapped)


def results_or_batches(ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Completes names of batches, else paths."""
    return batches(ctx, _param, incomplete) or [CompletionItem(incomplete, type="file")]
