"""The file of a suite: its data sets, each with what is particular to it, and the groups of its table of scores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchflow import documents
from batchflow.documents import Table
from batchflow.errors import UsageError
from batchflow.ledger.suites import Group
from batchflow.registries import nearest

MACRO, MICRO, WEIGHTED = "macro", "micro", "weighted"
MEANS = (MACRO, MICRO, WEIGHTED)
DEFAULT_GROUPS = ((MACRO, MACRO), (MICRO, MICRO))
"""Name and mean of the groups of a suite that names none; each is over all members."""

_KINDS: dict[str, type[Any]] = {
    "task": str, "hints": int, "limit": int, "samples": int, "seed": int, "max_tokens": int, "temperature": float,
    "thinking_level": str, "thinking_budget": int, "system_prompt": str,
}  # fmt: skip
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_PATHS = ("dataset", "template", "ids")
_LISTS = ("map", "extract")


@dataclass(frozen=True, slots=True)
class Data:
    """One data set. options: of `prepare`, those that the file gives."""

    label: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SuiteFile:
    """A suite as a file declares it."""

    path: Path
    name: str
    data: tuple[Data, ...]
    groups: tuple[Group, ...]


def read(path: Path) -> SuiteFile:
    """The suite of a TOML or YAML file; its paths are relative to its folder. Raises UsageError with the line."""
    top = documents.read(path)
    top.known("name", "data", "groups")
    data = tuple(each for entry in _entries(top, "data") for each in _data(entry))
    if not data:
        raise UsageError(
            f"{path}: it names no data set", hint="[[data]] with dataset = ..., or task = ..., for each one"
        )
    labels = [each.label for each in data]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise UsageError(f"{path}: two data sets are called {twice!r}", hint="name them: [[data]] name = ...")
    groups = tuple(_group(entry, tuple(labels)) for entry in _entries(top, "groups"))
    return SuiteFile(path, str(top.get("name", str, path.stem)), data, groups or default_groups(labels))


def default_groups(labels: list[str]) -> tuple[Group, ...]:
    """The groups of a suite that names none."""
    return tuple(Group(name, how, tuple(labels)) for name, how in DEFAULT_GROUPS)


def _entries(top: Table, key: str) -> list[Table]:
    """The tables of a list of tables."""
    entries = top.get(key, list, [])
    for entry in entries:
        if not isinstance(entry, dict):
            raise UsageError(f"{top.where(key)}: tables are expected, not {entry!r:.60}")
    return [Table(top.path, top.text, entry, (key,)) for entry in entries]


def _data(entry: Table) -> list[Data]:
    """The data sets of one table: one for each file that its `dataset` matches, and for each of its splits."""
    entry.known("name", "split", *_KINDS, *_PATHS, *_LISTS)
    options = {key: value for key, kind in _KINDS.items() if (value := entry.get(key, kind)) is not None}
    options |= {key: texts for key in _LISTS if (texts := entry.texts(key))}
    options |= {key: path for key in _PATHS[1:] if (path := _file(entry, key))}
    named, files, splits = entry.get("name", str), _datasets(entry), entry.texts("split") or (None,)
    if not (files or options.get("task")):
        raise UsageError(f"{entry.where()}: a data set needs dataset, or a task that has its own")
    out = []
    datasets: Sequence[Path | None] = files or [None]
    for dataset in datasets:
        for split in splits:
            several = [dataset.stem if dataset and len(files) > 1 else "", split if split and len(splits) > 1 else ""]
            start = named or (dataset.stem if dataset else str(options["task"]))
            tail = [part for part in several if part and not (not named and part == start)]
            own = {"dataset": dataset, "split": split}
            out.append(
                Data(
                    _UNSAFE.sub("-", "_".join([start, *tail])),
                    options | {k: v for k, v in own.items() if v is not None},
                )
            )
    return out


def _datasets(entry: Table) -> list[Path]:
    """The files, or the folder, that `dataset` names; a pattern with * names every file that matches."""
    text = entry.get("dataset", str)
    if text is None:
        return []
    folder = entry.path.parent
    if any(mark in text for mark in "*?["):
        pattern = Path(text)
        root = Path(pattern.anchor) if pattern.is_absolute() else folder
        paths = sorted(root.glob(str(pattern.relative_to(pattern.anchor))))
    else:
        paths = [path] if (path := folder / text).exists() else []
    if not paths:
        raise UsageError(
            f"{entry.where('dataset')}: there is no file {folder / text}",
            hint="paths are relative to that file's folder",
        )
    return paths


def _file(entry: Table, key: str) -> Path | None:
    text = entry.get(key, str)
    if text is None:
        return None
    path = entry.path.parent / str(text)
    if not path.is_file():
        raise UsageError(f"{entry.where(key)}: there is no file {path}")
    return path


def _group(entry: Table, labels: tuple[str, ...]) -> Group:
    """One group of the table of scores."""
    entry.known("name", "mean", "members", "weights")
    name, how = entry.needed("name"), entry.get("mean", str, MACRO)
    if how not in MEANS:
        raise UsageError(f"{entry.where('mean')}: {how!r} is unknown", hint=nearest(how, MEANS, "means"))
    members = entry.texts("members") or labels
    for member in members:
        if member not in labels:
            hint = nearest(member, labels, "data sets")
            raise UsageError(f"{entry.where('members')}: no data set is called {member!r}", hint=hint)
    weights = entry.get("weights", list, [])
    if (how == WEIGHTED) != bool(weights) or (weights and len(weights) != len(members)):
        raise UsageError(f"{entry.where('weights')}: mean = 'weighted' takes one weight for each member, others none")
    if weights and (not all(_is_weight(weight) for weight in weights) or not any(weights)):
        raise UsageError(f"{entry.where('weights')}: a weight is a number, 0 or more, and one is above 0")
    return Group(name, how, members, tuple(float(weight) for weight in weights))


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
