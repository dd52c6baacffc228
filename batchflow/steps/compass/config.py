"""A configuration of OpenCompass's kind: what LMDeploy's gen_config.py writes as Python, as YAML or TOML.

Paths are relative to the file. A key that nobody knows is an error with its line and the nearest known one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batchflow import documents
from batchflow.batch_file import safe
from batchflow.documents import Table
from batchflow.errors import UsageError
from batchflow.ledger.suites import Group
from batchflow.registries import nearest
from batchflow.settings import LOCAL
from batchflow.steps.compass.data_sets import ALL, KNOWN, DataSet
from batchflow.steps.suites.suite_file import MACRO, MICRO, WEIGHTED
from batchflow.vendors.registry import traits_of

MODES = ("all", "infer", "eval", "viz")
MODEL, JUDGE = "model", "judge"
_MARKS = frozenset({"task_name", "datasets"})
_SETTINGS: dict[str, type[Any]] = {
    "provider": str, "name": str, "temperature": float, "max_out_len": int, "query_per_second": float,
    "batch_size": int, "retry": int, "timeout": str,
}  # fmt: skip
_ENTRY: dict[str, type[Any]] = {
    "name": str, "path": str, "task": str, "split": str, "repeats": int, "k": list, "judge_kind": str, "cascade": str,
    "limit": int, "map": list,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Server:
    """A model and where it is. urls: servers of one's own; without one, provider is a vendor. None: not said."""

    provider: str = LOCAL
    urls: tuple[str, ...] = ()
    name: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    rps: float | None = None
    concurrency: int | None = None
    retries: int | None = None
    timeout: str | None = None
    kind: str | None = None

    @property
    def is_known(self) -> bool:
        """Tells whether there is anybody to ask."""
        return bool(self.urls) or not traits_of(self.provider).own_engine


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration. task_name: of the model in files and tables."""

    path: Path
    task_name: str
    mode: str
    model: Server
    judge: Server
    data: tuple[DataSet, ...]
    groups: tuple[Group, ...]
    work_dir: Path | None
    limit: int | None


def is_one(path: Path) -> bool:
    """Tells a configuration from the settings of a run by its keys. Raises UsageError for a file that is neither."""
    return path.suffix.lower() != ".toml" or not _MARKS.isdisjoint(documents.read(path).values)


def read(path: Path) -> Config:
    """The configuration of a file. Raises UsageError with file, line and key."""
    top = documents.read(path)
    top.known("task_name", "mode", MODEL, JUDGE, "datasets", "summary_groups", "work_dir", "limit")
    name = top.needed("task_name")
    if safe(name) != name.replace("_", "-") and safe(name) != name:
        raise UsageError(f"{top.where('task_name')}: {name!r} cannot be a folder's name", hint="letters, digits, - _ .")
    data = _data_sets(top)
    labels = [each.label for each in data]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise UsageError(f"{top.where('datasets')}: {twice} is there twice", hint="name: tells two of them apart")
    work_dir = top.get("work_dir", str)
    return Config(
        path=path,
        task_name=name,
        mode=mode_of(top.get("mode", str, ALL), top.where("mode")),
        model=_server(top.table(MODEL), "api_server"),
        judge=_server(top.table(JUDGE), "judger_server", "kind"),
        data=data,
        groups=tuple(_group(top, entry, labels) for entry in top.get("summary_groups", list, [])),
        work_dir=path.parent / str(work_dir) if work_dir else None,
        limit=top.get("limit", int),
    )


def mode_of(text: str, where: str = "--mode") -> str:
    """A mode, `e2e` meaning all. Raises UsageError."""
    mode = "all" if text == "e2e" else text
    if mode not in MODES:
        raise UsageError(f"{where}: {text!r} is no mode", hint=nearest(text, MODES, "modes"))
    return mode


def _server(table: Table, server: str, *more: str) -> Server:
    table.known(server, *_SETTINGS, *more)
    values = {key: table.get(key, kind) for key, kind in _SETTINGS.items() if key != "timeout"}
    timeout = table.values.get("timeout")
    return Server(
        provider=values["provider"] or LOCAL, urls=tuple(map(with_scheme, table.texts(server))), name=values["name"],
        temperature=values["temperature"], max_tokens=values["max_out_len"], rps=values["query_per_second"],
        concurrency=values["batch_size"], retries=values["retry"], timeout=None if timeout is None else str(timeout),
        kind=table.get("kind", str),
    )  # fmt: skip


def with_scheme(url: str) -> str:
    """A server's URL, which people of OpenCompass write as host and port."""
    return url if "://" in url else f"http://{url}"


def _data_sets(top: Table) -> tuple[DataSet, ...]:
    entries = top.values.get("datasets")
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"{top.where('datasets')}: a list of data sets is expected", hint=f"known: {', '.join(KNOWN)}")
    out: list[DataSet] = []
    for entry in entries:
        if isinstance(entry, dict):
            out.append(_declared(Table(top.path, top.text, entry, ("datasets",))))
        elif entry == ALL:
            out += KNOWN.values()
        else:
            out.append(known(str(entry), top.where("datasets")))
    return tuple(out)


def known(name: str, where: str) -> DataSet:
    """A data set by its name. Raises UsageError naming the nearest one."""
    if name not in KNOWN:
        hint = f"{nearest(name, tuple(KNOWN), 'data sets')}; your own: name and path"
        raise UsageError(f"{where}: no data set is called {name!r}", hint=hint)
    return KNOWN[name]


def _declared(entry: Table) -> DataSet:
    """A data set with settings of its own: a known one changed, or a file of the user's."""
    entry.known(*_ENTRY)
    values: Mapping[str, Any] = {key: entry.get(key, kind) for key, kind in _ENTRY.items() if key not in {"map", "k"}}
    name = entry.needed("name")
    path, task = values["path"], values["task"]
    if name not in KNOWN and not path:
        raise known_error(entry, name)
    start = KNOWN.get(name, DataSet(name=name, start=name))
    if safe(start.start) != start.start.replace("_", "-"):
        raise UsageError(f"{entry.where('name')}: {name!r} cannot be a file's name", hint="letters, digits, - _ .")
    location = entry.path.parent / str(path) if path else None
    if location is not None and not location.exists():
        raise UsageError(f"{entry.where('path')}: there is no file {location}")
    if task and documents.is_document(task):
        task = str(entry.path.parent / task)
    options = {"limit": values["limit"], "map": entry.texts("map")}
    changes = {
        "task": task, "path": location, "split": values["split"], "repeats": _count(entry, "repeats"),
        "k": _ks(entry), "kind": values["judge_kind"], "cascade": values["cascade"],
        "options": {key: value for key, value in options.items() if value},
    }  # fmt: skip
    return replace(start, **{key: value for key, value in changes.items() if value not in (None, ())})


def known_error(entry: Table, name: str) -> UsageError:
    """The error for a data set that is neither known nor a file."""
    hint = f"{nearest(name, tuple(KNOWN), 'data sets')}; path: names a file of your own"
    return UsageError(f"{entry.where('name')}: no data set is called {name!r}", hint=hint)


def _count(entry: Table, key: str) -> int | None:
    value = entry.get(key, int)
    if value is not None and value < 1:
        raise UsageError(f"{entry.where(key)}: a number from 1 is expected, not {value}")
    return None if value is None else int(value)


def _ks(entry: Table) -> tuple[int, ...]:
    listed = entry.values.get("k", [])
    values = listed if isinstance(listed, list) else [listed]
    if not all(type(value) is int and value >= 1 for value in values):
        raise UsageError(f"{entry.where('k')}: numbers from 1 are expected, not {listed!r:.40}")
    return tuple(values)


def _group(top: Table, entry: Any, labels: list[str]) -> Group:
    """One group of the summary, as OpenCompass declares them: name, subsets, weights."""
    if not isinstance(entry, dict):
        raise UsageError(f"{top.where('summary_groups')}: tables with name and subsets are expected")
    table = Table(top.path, top.text, entry, ("summary_groups",))
    table.known("name", "subsets", "weights", "mean")
    subsets = table.texts("subsets") or tuple(labels)
    for subset in subsets:
        if subset not in labels:
            hint = nearest(subset, tuple(labels), "data sets")
            raise UsageError(f"{table.where('subsets')}: no data set is called {subset!r}", hint=hint)
    weights = table.get("weights", dict, {})
    if weights and set(weights) != set(subsets):
        raise UsageError(f"{table.where('weights')}: a weight for each of subsets is expected")
    how = WEIGHTED if weights else table.get("mean", str, MACRO)
    if how not in {MACRO, MICRO, WEIGHTED}:
        raise UsageError(f"{table.where('mean')}: {how!r} is unknown", hint=f"means: {MACRO}, {MICRO}")
    return Group(table.needed("name"), how, subsets, tuple(float(weights[subset]) for subset in subsets if weights))
