"""Raw bytes to outcomes: every line is accounted for, nothing raises, nothing is guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from batchflow import files
from batchflow.records import Json, Outcome, Parsed, Response, Schema

_BOM = b"\xef\xbb\xbf"
_OBJECT = re.compile(r"\{[^{}]*\}?")
_NEAR = 200  # characters around an object that tell whether it stands in a sentence
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


class RawRow(NamedTuple):
    """One line of raw output. response None: the line is not a JSON object, or has no usable custom_id."""

    offset: int
    length: int
    response: Response | None


def scan(path: Path, decode: Callable[[Json], Response]) -> Iterator[RawRow]:
    """Decode a raw file line by line; blank lines are skipped, garbage comes out with response None."""
    for offset, length, line in files.lines(path):
        if line and not line.isspace():
            yield RawRow(offset, length, read_row(line, decode))


def read_row(line: bytes, decode: Callable[[Json], Response]) -> Response | None:
    """One raw line decoded, or None."""
    value = _loads(line.removeprefix(_BOM))
    if not isinstance(value, dict):
        return None
    return decode(value)


def _loads(line: bytes) -> Any:
    try:
        return files.loads(line)
    except ValueError:
        pass
    try:  # what the fast parser refuses and vendors send all the same: lone surrogates, NaN, huge integers
        return _scrubbed(json.loads(line))
    except (ValueError, RecursionError):
        return None


def _scrubbed(value: Any) -> Any:
    """The value with U+FFFD for each lone surrogate: half a character can be written to no file and no ledger."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_scrubbed(member) for member in value]
    if isinstance(value, dict):
        return {_scrubbed(name): _scrubbed(member) for name, member in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a text that has to match a schema. value is None when unparsed."""

    parsed: Parsed
    value: Json | None


def parse(text: str | None, schema: Schema) -> Answer:
    """Strict JSON, else repaired by a library and flagged, else unparsed. Never raises."""
    if text is None or not text.strip():
        return Answer(Parsed.UNPARSED, None)
    value = _strict(text)
    if value is not None and _are_flags(schema.schema) and _contradicts(text):
        return Answer(Parsed.UNPARSED, None)
    if value is not None and _conforms(value, schema.schema):
        return Answer(Parsed.STRICT, value)
    said = _verdicts(text, schema.schema) if value is None else []
    if any(each is None or each != said[0] for each in said):
        return Answer(Parsed.UNPARSED, None)
    mended = said[0] if said else _coerced(value if value is not None else _repaired(text), schema.schema)
    return Answer(Parsed.REPAIRED, mended) if mended is not None else Answer(Parsed.UNPARSED, None)


def _strict(text: str) -> Json | None:
    try:
        value = files.loads(text)
    except ValueError:
        value = _loads(text.encode("utf-8", "surrogatepass"))
    return value if isinstance(value, dict) else None


def _repaired(text: str) -> Any:
    import json_repair  # slow to import, and seldom needed

    try:
        return _scrubbed(json_repair.loads(text))
    except (ValueError, RecursionError, IndexError):  # the library promises none of these; model output is hostile
        return None


def _verdicts(text: str, schema: Json) -> list[Json | None]:
    """What each object in the text that names a field of the verdict says; None for one that is no verdict.

    A judge that quotes the candidate, or thinks aloud, may write several; the library would take the last one, which
    can be the one that the candidate made up. Objects of which each stands amid a sentence are quotes: no verdict.
    Empty for schemas that are not flags alone: only these are surely flat.
    """
    properties: Mapping[str, Json] = schema["properties"]
    if not _are_flags(schema):
        return []
    objects = [each for each in _OBJECT.finditer(text) if any(name in each[0] for name in properties)]
    if objects and all(_is_amid_words(text, *each.span()) for each in objects):
        return [None]
    return [None if _contradicts(each[0]) else _coerced(_repaired(each[0]), schema) for each in objects]


def _is_amid_words(text: str, start: int, end: int) -> bool:
    """Whether a line goes on with words on both sides: `the candidate wrote {...}, which is no answer`."""
    before = text[max(start - _NEAR, 0) : start].rpartition("\n")[2]
    after = text[end : end + _NEAR].partition("\n")[0]
    return any(map(str.isalnum, before.replace("```json", ""))) and any(map(str.isalnum, after))


def _are_flags(schema: Json) -> bool:
    return all(member["type"] == "boolean" for member in schema["properties"].values())


def _contradicts(text: str) -> bool:
    """Whether a JSON object gives one name two values; parsers silently keep the last."""
    objects: list[list[tuple[str, Any]]] = []
    try:
        json.loads(text, object_pairs_hook=objects.append)
    except (ValueError, RecursionError):
        return False
    return any(dict(pairs)[name] != value for pairs in objects for name, value in pairs)


def _conforms(value: Json, schema: Json) -> bool:
    """Whether an object matches our own flat schemas: known keys, all required, each of its scalar type."""
    properties: Mapping[str, Json] = schema["properties"]
    if value.keys() != properties.keys() and (
        value.keys() - properties.keys() or set(schema.get("required", properties)) - value.keys()
    ):
        return False
    for name, member in value.items():  # noqa: SIM110 - once per answer, and all() costs twice as much
        if not _is_a(member, properties[name]["type"]):
            return False
    return True


def _is_a(value: Any, kind: str) -> bool:
    return type(value) in _TYPES[kind]  # exactly, since JSON brings no subclasses, and a bool is no number


def _coerced(value: Any, schema: Json) -> Json | None:
    """The schema's keys out of an object, scalars brought to their type where that loses nothing; else None."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return None
    properties: Mapping[str, Json] = schema["properties"]
    made = {name: _scalar(value.get(name), properties[name]["type"]) for name in properties}
    missing = [name for name in schema.get("required", properties) if made.get(name) is None]
    return None if missing else {name: scalar for name, scalar in made.items() if scalar is not None}


def _scalar(value: Any, kind: str) -> Any:
    if _is_a(value, kind):
        return value
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if kind == "boolean" and isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    return None


def better(new: Outcome, old: Outcome | None) -> bool:
    """Whether a second row for the same request replaces the first: only an answer replaces a failure."""
    return old is None or (new is Outcome.OK and old is not Outcome.OK)
