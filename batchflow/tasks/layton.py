"""Task `layton`: the public data set rvienne/layton-eval on the Hugging Face hub, pinned and cached.

Cache, under `<home>/datasets/layton/`:
    pin-<revision>.json           which commit a branch or tag stood for when it was first used
    <commit>/<file>               the data, byte for byte
    <commit>/<file>.json          its sha256, size, and where and when it came from

A branch such as `main` is resolved once and then stays what it was: two scores of the same project are of the same
data. `[tasks.layton] revision` in batchflow.toml names another one; deleting the pin asks the hub again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.records import Json
from batchflow.settings import Settings
from batchflow.tasks.base import Source
from batchflow.tasks.datasets import hub
from batchflow.tasks.datasets import riddle_rows as rows
from batchflow.tasks.prompts import riddle_prompts

NAME = "layton"
FIELDS = rows.FIELDS
EXTRACT: tuple[str, ...] = ()
SPLITS = riddle_prompts.SPLITS
MAX_HINTS = riddle_prompts.MAX_HINTS
ANSWER = riddle_prompts.ANSWER
JUDGED_BY = "riddle"
JUDGE_FACTS: Json = {}
METRIC = "mean"
BY: tuple[str, ...] = ()
CLUSTER: str | None = None
REPO = "rvienne/layton-eval"
REVISION = "main"
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")

items = rows.items
template = riddle_prompts.template
prompt = riddle_prompts.prompt
hints_available = riddle_prompts.hints_available
hint_places = riddle_prompts.hint_places
columns = riddle_prompts.columns
asked = riddle_prompts.asked
known = rows.known
reference = riddle_prompts.reference


def source(settings: Settings, split: str, dataset: Path | None) -> Source:
    """The cached file of a split (downloaded when it is not there yet), or the user's own file.

    Raises UsageError for a bad setting, DataError when the hub does not give the file or the cache was changed.
    """
    riddle_prompts.check_split(NAME, split)
    if dataset is not None:
        return rows.local(dataset)
    folder = settings.home / "datasets" / NAME
    revision = _revision(settings)
    file = f"layton_eval_{split}.jsonl"
    commit = _pinned(folder, revision)
    if commit is None or not _sidecar(folder / commit / file).is_file():
        commit = _fetch(hub.connect(settings.environment), folder, revision, commit, file)
    return _verified(folder, commit, file)


def _revision(settings: Settings) -> str:
    table = settings.section("tasks").get(NAME, {})
    revision = table.get("revision", REVISION) if isinstance(table, dict) else None
    if not isinstance(revision, str) or not _REVISION.fullmatch(revision):
        raise UsageError(
            f"batchflow.toml: [tasks.{NAME}] revision has to be a branch, a tag or a commit of {REPO}",
            hint=f'for example revision = "{REVISION}"',
        )
    return revision


def _pinned(folder: Path, revision: str) -> str | None:
    """The commit that a revision stands for here: itself, or what was pinned at its first use."""
    if hub.COMMIT.fullmatch(revision):
        return revision
    pin = _pin(folder, revision)
    if not pin.is_file():
        return None
    commit = _note(pin).get("commit")
    if not isinstance(commit, str) or not hub.COMMIT.fullmatch(commit):
        raise DataError(f"{pin}: it names no commit", hint="delete this file to ask the hub again")
    return commit


def _fetch(source: hub.Hub, folder: Path, revision: str, commit: str | None, file: str) -> str:
    """Download a file, note what it is, pin the revision. Gives the commit. Raises DataError."""
    if source.offline:
        raise DataError(
            f"{REPO}@{commit or revision}/{file} is not in {folder}, and HF_HUB_OFFLINE forbids asking the hub",
            hint="unset HF_HUB_OFFLINE once, or read a copy of the file with --dataset PATH",
        )
    with hub.download(source, REPO, commit or revision, file) as reply:
        pinned = _agreed(reply, commit)
        target = folder / pinned / file
        digest = hashlib.sha256()
        with files.replacing(target) as handle:
            for chunk in _json_lines(reply):
                digest.update(chunk)
                handle.write(chunk)
            size = handle.tell()
    facts: Json = {"repo": REPO, "revision": revision, "commit": pinned, "host": source.host, "at": _now()}
    _write(_sidecar(target), facts | {"file": file, "sha256": digest.hexdigest(), "bytes": size})
    if revision != pinned and commit is None:
        _write(_pin(folder, revision), facts)
    return pinned


def _agreed(reply: hub.Reply, commit: str | None) -> str:
    """The commit that a download is of. Raises DataError when it is unknown, or not the one that was asked for."""
    if commit is not None and reply.commit not in {None, commit}:
        raise DataError(f"{reply.host} sent commit {reply.commit} of {REPO}, but {commit} was asked for")
    revision = commit or reply.commit
    if revision is None:
        raise DataError(
            f"{reply.host} does not say which commit of {REPO} it sends",
            hint=f'pin one in batchflow.toml: [tasks.{NAME}] revision = "<40 hex digits>"',
        )
    return revision


def _json_lines(reply: hub.Reply) -> Iterator[bytes]:
    """The chunks of a download whose first byte is that of a JSON object: no login page, no pointer file."""
    for number, chunk in enumerate(reply.chunks()):
        if number == 0 and not chunk.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            raise DataError(
                f"{reply.host} sent something other than JSON Lines",
                hint="check HF_ENDPOINT, or read a copy of the file with --dataset PATH",
            )
        yield chunk


def _verified(folder: Path, commit: str, file: str) -> Source:
    """The cached file as a source. Raises DataError when its bytes are not those that were downloaded."""
    path = folder / commit / file
    note = _note(_sidecar(path))
    actual = files.sha256(path) if path.is_file() else None
    if actual is None or actual != note.get("sha256"):
        raise DataError(
            f"{path}: the cached data set is {'gone' if actual is None else 'not what was downloaded'}",
            hint=f"delete {path.parent} to download it again; to use changed data, copy it and name it with --dataset",
        )
    return Source(f"hub:{REPO}@{commit}/{file}", path, actual)


def _pin(folder: Path, revision: str) -> Path:
    return folder / f"pin-{quote(revision, safe='')}.json"


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _note(path: Path) -> Json:
    """One of the small JSON files in the cache. Raises DataError when it cannot be read."""
    try:
        note = files.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})", hint="delete this file to ask the hub again") from None
    if not isinstance(note, dict):
        raise DataError(f"{path}: not a JSON object", hint="delete this file to ask the hub again")
    return note


def _write(path: Path, note: Json) -> None:
    with files.replacing(path) as handle:
        handle.write(files.dumps(note) + b"\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
