"""Task files: TOML or YAML that declares a task (docs/tasks.md). Every error names file, line and key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from batchflow import documents
from batchflow.documents import Table
from batchflow.errors import UsageError
from batchflow.judges import registry as kinds
from batchflow.records import Json
from batchflow.registries import nearest
from batchflow.tasks import declared, registry
from batchflow.tasks.datasets import columns, tables
from batchflow.texts import templates

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_TYPES = ("string", "number", "integer", "boolean")


def of_file(path: Path) -> declared.Declared:
    """The task that a file declares. Raises UsageError."""
    whole = documents.read(path)
    whole.known("name", "data", "prompt", "answer", "judge", "score")
    answer = whole.table("answer")
    form = _form(answer)
    facts: Json = {
        "name": _name(whole, path),
        "form": form,
        "fields": _fields(answer) if form == "json" else {},
        "prompt": _prompt(whole.table("prompt")),
        "judge": _judge(whole.table("judge")),
        **_data(whole.table("data"), form),
        **_score(whole.table("score")),
    }
    if "extract" in answer.values:
        if form == "json":
            raise UsageError(f"{answer.where('extract')}: nothing is extracted from an answer of the form json")
        facts["extract"] = answer.texts("extract")
    facts = documents.merged(facts) | ({"extract": list(facts["extract"])} if "extract" in facts else {})
    if form == "json" and "prompt" not in facts:
        raise UsageError(f"{path}, key prompt: it is missing", hint="with the form json the prompt has to ask for JSON")
    task = declared.of_facts(facts, _path(whole.table("data")))
    _told(whole.table("prompt"), "user", lambda: task.template("", None))
    return task


def _told(table: Table, key: str, check: Any) -> None:
    """Run a check whose errors know nothing of the file. Raises UsageError with the place of the key."""
    try:
        check()
    except UsageError as error:
        raise UsageError(f"{table.where(key)}: {error}", hint=error.hint) from None


def _name(whole: Table, path: Path) -> str:
    name = str(whole.get("name", str, path.stem))
    if not _NAME.fullmatch(name):
        raise UsageError(f"{whole.where('name')}: {name!r:.60} cannot be a task's name", hint="letters, digits, . _ -")
    if name in registry.names():
        raise UsageError(f"{whole.where('name')}: {name} is a task already", hint="choose another name")
    return name


def _form(answer: Table) -> str:
    answer.known("form", "fields", "extract")
    form = str(answer.get("form", str, "text"))
    if form not in declared.FORMS:
        raise UsageError(
            f"{answer.where('form')}: there is no form {form!r}", hint=nearest(form, tuple(declared.FORMS), "forms")
        )
    if form != "json" and "fields" in answer.values:
        raise UsageError(f"{answer.where('fields')}: only answers of the form json have fields")
    return form


def _fields(answer: Table) -> Json:
    fields = answer.table("fields")
    for name in fields.values:
        kind = fields.get(name, str)
        if kind not in _TYPES:
            raise UsageError(
                f"{fields.where(name)}: there is no type {kind!r}", hint=nearest(str(kind), _TYPES, "types")
            )
    if fields.values.get("answer") is None:
        raise UsageError(
            f"{fields.where()}: the field answer is missing", hint='it is what is judged: answer = "string"'
        )
    return dict(fields.values)


def _data(data: Table, form: str) -> Json:
    data.known("path", "format", "columns")
    named = data.table("columns")
    pairs = {}
    for field in named.values:
        if field not in declared.FORMS[form].FIELDS:
            allowed = declared.FORMS[form].FIELDS
            raise UsageError(f"{named.where(field)}: there is no such field", hint=nearest(field, allowed, "fields"))
        pairs[field] = "+".join(named.texts(field))
    columns.parsed([",".join(f"{field}={column}" for field, column in pairs.items())] if pairs else (), pairs)
    kind = str(data.get("format", str, "")).removeprefix(".").lower()
    if kind and f".{kind}" not in tables.ENDINGS:
        allowed = tuple(ending[1:] for ending in tables.ENDINGS)
        raise UsageError(f"{data.where('format')}: there is no format {kind!r}", hint=nearest(kind, allowed, "formats"))
    return {"format": kind, "columns": pairs}


def _path(data: Table) -> Path | None:
    """The data set's file, relative to the task's."""
    name = data.get("path", str)
    if not name:
        return None
    path = data.path.parent / str(name)
    if not path.is_file():
        raise UsageError(f"{data.where('path')}: there is no file {path}", hint="it is relative to the task's file")
    return path


def _prompt(prompt: Table) -> str | None:
    prompt.known("system", "user", "template")
    if not prompt.values:
        return None
    if "template" in prompt.values:
        if len(prompt.values) > 1:
            raise UsageError(
                f"{prompt.where('template')}: it stands beside system and user", hint="take one of the two"
            )
        file = prompt.path.parent / prompt.needed("template")
        chosen: list[templates.Template] = []
        _told(prompt, "template", lambda: chosen.append(templates.read(file, file)))
        return chosen[0].text
    system, user = prompt.needed("system"), prompt.needed("user")
    if templates.SEPARATOR in system + user:
        raise UsageError(f"{prompt.where('user')}: it holds the line {templates.SEPARATOR!r}")
    return f"{system.strip()}\n{templates.SEPARATOR}\n{user.strip()}\n"


def _judge(judge: Table) -> Json:
    judge.known("kind")
    kind = judge.get("kind", str)
    if not kind:
        return {}
    name = str(judge.path.parent / kind) if documents.is_document(kind) else str(kind)
    entries: list[Json] = []
    _told(judge, "kind", lambda: entries.append(kinds.recorded(kinds.named(name)) or {"judge_kind": name}))
    return entries[0]


def _score(score: Table) -> Json:
    score.known("by", "cluster", "metric")
    return {
        "by": list(score.texts("by")),
        "cluster": score.get("cluster", str),
        "metric": score.get("metric", str),
    }
