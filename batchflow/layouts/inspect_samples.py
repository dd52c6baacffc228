"""Inspect's logs (`.eval`, version 2), read only: a ZIP archive with one file for each sample.

`batchflow export NAME --to inspect` writes one (docs/report.md).
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.layouts import layton
from batchflow.layouts.base import Brought
from batchflow.records import Json, Outcome

_LARGEST = 256 << 20  # bytes of one sample; a bomb holds more
_SUFFIX, _SAMPLES = ".eval", "samples/"


def recognises(path: Path) -> bool:
    """A ZIP archive of that ending."""
    return path.suffix == _SUFFIX and path.is_file() and zipfile.is_zipfile(path)


def read(path: Path) -> Iterator[Brought]:
    """The answers of all samples; an epoch is a sample of its item. Raises DataError with file, sample and field."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.startswith(_SAMPLES) and name.endswith(".json")]
            if not names:
                raise DataError(f"{path}: it holds no samples", hint="a log without samples has scores only")
            for name in names:
                where = f"{path}, {name}"
                yield layton.brought(_row(_sample(archive, name, where), where), where)
    except (zipfile.BadZipFile, NotImplementedError, OSError, zlib.error) as error:
        raise DataError(f"{path}: it cannot be read as a ZIP archive ({error})") from None


def _sample(archive: zipfile.ZipFile, name: str, where: str) -> Json:
    if archive.getinfo(name).file_size > _LARGEST:
        raise DataError(f"{where}: it is larger than {_LARGEST >> 20} MiB")
    try:
        sample = files.loads(archive.read(name))
    except ValueError as error:
        raise DataError(f"{where}: it is not JSON ({error})") from None
    if not isinstance(sample, dict):
        raise DataError(f"{where}: it is not an object")
    return sample


def _row(sample: Json, where: str) -> Json:
    """A sample as a row that somebody brings; one that ended in an error has no answer."""
    output = sample.get("output")
    if not isinstance(output, dict):
        raise DataError(f"{where}, field output: an object is expected")
    epoch = sample.get("epoch", 1)
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 1:
        raise DataError(f"{where}, field epoch: {epoch!r:.60} is no number from 1")
    metadata = sample.get("metadata")
    own = metadata.get("item") if isinstance(metadata, dict) and "batch" in metadata else None  # written here
    row: Json = {"custom_id": own or sample.get("id"), "sample": epoch - 1, "model": output.get("model") or None}
    if error := sample.get("error"):
        why = error.get("message") if isinstance(error, dict) else error
        return {**row, "answer": None, "outcome": Outcome.ERROR.value, "error": str(why)}
    return {**row, "answer": _text(output)}


def _text(output: Json) -> str | None:
    """The completion, else the text of the first choice; None where there is neither."""
    if isinstance(output.get("completion"), str) and output["completion"]:
        return str(output["completion"])
    choices: Any = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(text for text in texts if isinstance(text, str)) or None
    return content if isinstance(content, str) and content else None
