"""Raw bytes to outcomes: every line is accounted for, nothing raises, nothing is guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from batchflow import files
from batchflow.records import CUT_SHORT, Json, Outcome, Parsed, Response, Schema
from batchflow.texts import objects, thoughts

_BOM = b"\xef\xbb\xbf"
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]')
MOST_MENDED = 1 << 18  # characters of a text that is not strict JSON; what is longer is a model that ran away

_FLAT = re.compile(r"\{[^{}]*+\}?")
_LEAD = re.compile(r"\s*+(?:```[\w-]*+\s*+)?\[?\s*+")
_OWN_FENCE = re.compile(r"(?:\A|\n)[ \t]*+(?:```|~~~)[\w-]*+[ \t]*+\n?\s*+\Z")
_FENCE = re.compile(r"^[ \t]*+(?:```|~~~)", re.MULTILINE)
_OPENING, _CLOSING = "“«„", "”»"
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


class _Read(Protocol):
    def __call__(self, text: str, schema: Json, *, is_cut: bool) -> Answer: ...


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
    return decoded(value, decode) if isinstance(value, dict) else None


def decoded(row: Json, decode: Callable[[Json], Response]) -> Response:
    """A raw row as its vendor reads it, without what the model thought aloud."""
    response = decode(row)
    if response.text is None or (answer := thoughts.behind(response.text)) is response.text:
        return response
    if answer:
        return replace(response, text=answer)
    stop = response.finish or "the vendor does not say why it stopped"
    why = f"no text after the thought ({stop})"
    if answer is None:
        why = f"{Unread.THOUGHT.value} ({stop}): retry it, with a higher --max-tokens where the limit was reached"
    return replace(response, outcome=Outcome.ERROR, text=None, error=why)


def _loads(line: bytes) -> Any:
    try:
        return files.loads(line)
    except ValueError:
        pass
    try:  # what the fast parser refuses and vendors send all the same: lone surrogates, NaN, huge integers
        return _scrubbed(json.loads(line))
    except ValueError:
        return None
    except RecursionError:
        pass
    try:
        return _scrubbed(json.loads(_pruned(line)))
    except (ValueError, RecursionError):
        return None


def _pruned(line: bytes) -> bytes:
    """JSON with null in place of what is nested too deeply to be read; an answer stands higher up."""
    kept, depth, start = list[bytes](), 0, 0
    for token in _BRACKET.finditer(line):
        if token[0] in {b"{", b"["}:
            depth += 1
            if depth == files.SHALLOW:
                kept += [line[start : token.start()], b"null"]
        elif token[0] in {b"}", b"]"}:
            depth -= 1
            start = token.end() if depth == files.SHALLOW - 1 else start
    return b"".join([*kept, line[start:]])


def _scrubbed(value: Any) -> Any:
    """The value with whole characters only."""
    if isinstance(value, str):
        return objects.whole_characters(value)
    if isinstance(value, list):
        return [_scrubbed(member) for member in value]
    if isinstance(value, dict):
        return {_scrubbed(name): _scrubbed(member) for name, member in value.items()}
    return value


class Unread(StrEnum):
    """Reasons why a text holds no answer, or no vote."""

    EMPTY = "no text"
    THOUGHT = "thought cut off"
    CUT_OFF = "cut off"
    NO_OBJECT = "no JSON object"
    OTHER_FIELDS = "a JSON object without the fields that were asked for"
    CONTRADICTED = "contradicts itself"
    QUOTED = "a verdict that is quoted, or amid other text"
    UNCLOSED = "a verdict that is not closed"
    TOO_LONG = "no JSON, and too long to be mended"


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of parsing a text against a schema. value None: unparsed, and then `why` gives the reason."""

    parsed: Parsed
    value: Json | None
    why: str | None = None  # an Unread, or which extractor found nothing


def parse_response(response: Response, schema: Schema) -> Answer:
    """`parse` for the text of an `ok` row."""
    return parse(response.text, schema, response.finish)


def parse(text: str | None, schema: Schema, finish: str | None = None) -> Answer:
    """Strict JSON, else mended and flagged, else unparsed with the reason. Never raises, and takes linear time.

    finish: the vendor's word for why the text ended. A text that was cut off is read only where it begins with a
    complete object: behind that, nothing that was lost could change it.
    """
    flags = _are_flags(schema.schema)
    return _parsed(text, schema, finish, _verdict if flags else _answer, flags=flags)


def parse_verdict(text: str | None, schema: Schema, finish: str | None = None) -> Answer:
    """`parse` for a judge's reply, which may hold texts besides its flags and numbers. Only these are the verdict."""
    read = _verdict if _are_flags(schema.schema) else _worded_verdict
    return _parsed(text, schema, finish, read, flags=True)


def _parsed(text: str | None, schema: Schema, finish: str | None, read: _Read, *, flags: bool) -> Answer:
    if text is None or not text.strip():
        return _unread(Unread.EMPTY)
    source = objects.with_commands(text) if "\\" in text else text
    value = _strict(source)
    if value is None:
        is_cut = (finish or "").lower() in CUT_SHORT
        is_long = len(source) > MOST_MENDED
        return _unread(Unread.TOO_LONG) if is_long else read(source, schema.schema, is_cut=is_cut)
    is_as_asked = _conforms(value, schema.schema)
    is_plain = is_as_asked and _names_each_once(source, schema.schema)
    if not is_plain and _may_contradict(source, schema.schema, flags=flags) and _contradicts(source):
        return _unread(Unread.CONTRADICTED)
    if is_as_asked:
        return Answer(Parsed.STRICT if source is text else Parsed.REPAIRED, value)
    return _mended(_coerced(_as_written(source), schema.schema), Unread.OTHER_FIELDS)


def _unread(why: Unread) -> Answer:
    return Answer(Parsed.UNPARSED, None, why)


def _mended(value: Json | None, otherwise: Unread) -> Answer:
    return _unread(otherwise) if value is None else Answer(Parsed.REPAIRED, value)


def _strict(text: str) -> Json | None:
    try:
        value = files.loads(text)
    except ValueError:
        value = _loads(text.encode("utf-8", "surrogatepass"))
    return value if isinstance(value, dict) else None


def _as_written(text: str) -> Any:
    """Strict JSON whose numbers keep their digits."""
    number = objects.Written
    try:
        return _scrubbed(json.loads(text, parse_float=number, parse_int=number, parse_constant=number))
    except (ValueError, RecursionError):
        return None


def _answer(text: str, schema: Json, *, is_cut: bool) -> Answer:
    """Reads a text that is not strict JSON. Two objects that differ in their answer are no answer."""
    names = schema["properties"].keys()
    seen = objects.scan(text)
    about = [each for each in seen.objects if names & each.value.keys()]
    if any(each.twice for each in about):
        return _unread(Unread.CONTRADICTED)
    good = [(each, value) for each in about if (value := _coerced(each.value, schema)) is not None]
    if any(value != good[0][1] for _, value in good):
        return _unread(Unread.CONTRADICTED)
    if is_cut:
        good = [(each, value) for each, value in good[:1] if each.closed and _LEAD.fullmatch(text, 0, each.start)]
    if good and not names & seen.cut:
        return Answer(Parsed.REPAIRED, good[0][1])
    if is_cut or names & seen.cut:
        return _unread(Unread.CUT_OFF)
    return _unread(Unread.OTHER_FIELDS if seen.objects else Unread.NO_OBJECT)


def _verdict(text: str, schema: Json, *, is_cut: bool) -> Answer:
    """Reads a judge's verdict in a reply that is not JSON alone. Verdicts are flags only, so their objects are flat.

    The last object that names a field of the verdict counts, where the judge itself speaks: at the end of the reply, on
    lines of its own, with nothing but a fence around it. What it quotes from the candidate would be a vote else. Any
    other complete verdict has to be the same, and none may be left open.
    """
    pieces = [each for each in _FLAT.finditer(text) if any(name in each[0] for name in schema["properties"])]
    if not pieces:
        return _unread(Unread.CUT_OFF if is_cut else Unread.NO_OBJECT)
    if any(not each[0].endswith("}") for each in pieces):
        return _unread(Unread.CUT_OFF if is_cut else Unread.UNCLOSED)
    return _closed_verdict(text, schema, pieces, is_cut=is_cut)


def _closed_verdict(text: str, schema: Json, pieces: list[re.Match[str]], *, is_cut: bool) -> Answer:
    read = [objects.scan(each[0]).objects for each in pieces]
    if any(candidate.twice for each in read for candidate in each):
        return _unread(Unread.CONTRADICTED)
    values = [_coerced(each[0].value, schema) if each else None for each in read]
    if values[-1] is None:
        return _unread(Unread.OTHER_FIELDS)
    if any(each is not None and each != values[-1] for each in values):
        return _unread(Unread.CONTRADICTED)
    start, end = pieces[-1].span()
    if is_cut and (not _LEAD.fullmatch(text, 0, start) or text[end:].strip(" \n\r\t`")):
        return _unread(Unread.CUT_OFF)
    return Answer(Parsed.REPAIRED, values[-1]) if _stands_alone(text, start, end) else _unread(Unread.QUOTED)


def _worded_verdict(text: str, schema: Json, *, is_cut: bool) -> Answer:
    """`_verdict` for objects that hold texts too, whose braces and quotes may be anything.

    A field of the verdict may be named nowhere but in the judge's own object, and in others that say the same.
    """
    names = [name for name, member in schema["properties"].items() if member["type"] != "string" or "enum" in member]
    seen = objects.scan(text)
    about = [each for each in seen.objects if any(name in each.value for name in names)]
    if any(name in seen.cut for name in names) or any(not each.closed for each in about):
        return _unread(Unread.CUT_OFF if is_cut else Unread.UNCLOSED)
    if _is_named_elsewhere(text, tuple(names), about):
        return _unread(Unread.CUT_OFF if is_cut else Unread.QUOTED)
    if not about:
        return _unread(Unread.CUT_OFF if is_cut else Unread.OTHER_FIELDS if seen.objects else Unread.NO_OBJECT)
    return _last_verdict(text, schema, names, about, is_cut=is_cut)


def _last_verdict(text: str, schema: Json, names: list[str], about: list[objects.Found], *, is_cut: bool) -> Answer:
    last = about[-1]
    verdict = _coerced(last.value, schema)
    if verdict is None:
        return _unread(Unread.OTHER_FIELDS)
    own = {name: last.value[name] for name in names}
    if any(each.twice or any(each.value.get(name, own[name]) != own[name] for name in names) for each in about):
        return _unread(Unread.CONTRADICTED)
    if is_cut and (not _LEAD.fullmatch(text, 0, last.start) or text[last.end :].strip(" \n\r\t`")):
        return _unread(Unread.CUT_OFF)
    return Answer(Parsed.REPAIRED, verdict) if _stands_alone(text, last.start, last.end) else _unread(Unread.QUOTED)


def _is_named_elsewhere(text: str, names: tuple[str, ...], about: list[objects.Found]) -> bool:
    """Tells whether a text names a field, with a colon behind it, outside of these objects, which are in order."""
    at = 0
    for named in _naming(names).finditer(text):
        while at < len(about) and about[at].end <= named.start():
            at += 1
        if at == len(about) or named.start() < about[at].start:
            return True
    return False


@lru_cache(maxsize=16)
def _naming(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)[\"']?(?:{'|'.join(map(re.escape, names))})[\"']?\s*+:")


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Tells whether an object ends a reply, on lines of its own, in no quotation and in no fence but its own."""
    before, after = text[:start], text[end:].strip()
    if before.count('"') % 2 or sum(map(before.count, _OPENING)) > sum(map(before.count, _CLOSING)):
        return False
    if before.strip() == "[":
        return after == "]"
    in_fence = len(_FENCE.findall(before)) % 2 == 1
    if in_fence:
        return after in {"", "```", "~~~"} and _OWN_FENCE.search(before) is not None
    return not after and not before.rpartition("\n")[2].strip()


def _are_flags(schema: Json) -> bool:
    for member in schema["properties"].values():  # noqa: SIM110 - once per answer, and all() costs twice as much
        if member["type"] != "boolean":
            return False
    return True


def _names_each_once(text: str, schema: Json) -> bool:
    """Tells whether an object that conforms can name nothing twice: no escape hides a name, and each is there once."""
    if "\\" in text:
        return False
    for name in schema["properties"]:  # noqa: SIM110 - as above
        if text.count(f'"{name}"') > 1:
            return False
    return True


def _may_contradict(text: str, schema: Json, *, flags: bool) -> bool:
    """Tells whether to look closer: a name is there twice. Verdicts are always asked, since names can be escaped."""
    if flags:
        return True
    for name in schema["properties"]:  # noqa: SIM110 - as above
        if text.count(f'"{name}"') > 1:
            return True
    return False


def _contradicts(text: str) -> bool:
    """Tells whether a JSON object gives one name two values; parsers silently keep the last."""
    pairs_of: list[list[tuple[str, Any]]] = []
    try:
        json.loads(text, object_pairs_hook=pairs_of.append)
    except (ValueError, RecursionError):
        return False
    return any(dict(pairs)[name] != value for pairs in pairs_of for name, value in pairs)


def _conforms(value: Json, schema: Json) -> bool:
    """Tells whether an object matches our own flat schemas: known keys, all required, each of its scalar type."""
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
    if not isinstance(value, dict):
        return None
    properties: Mapping[str, Json] = schema["properties"]
    values = {name: _scalar(value.get(name), properties[name]["type"]) for name in properties}
    missing = [name for name in schema.get("required", properties) if values.get(name) is None]
    return None if missing else {name: scalar for name, scalar in values.items() if scalar is not None}


def _scalar(value: Any, kind: str) -> Any:
    if isinstance(value, objects.Written):
        return _number(value, kind)
    if _is_a(value, kind):
        return value
    if kind == "boolean" and isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    return None


def _number(digits: objects.Written, kind: str) -> Any:
    """A number as a text with its digits as they were written, or as the number that was asked for."""
    if kind == "string":
        return str(digits)
    try:
        number = json.loads(digits)
    except ValueError:  # more digits than Python reads
        return None
    return number if _is_a(number, kind) and abs(number) < 2**63 else None


def better(new: Outcome, old: Outcome | None) -> bool:
    """Tells whether a second row for the same request replaces the first: only an answer replaces a failure."""
    return old is None or (new is Outcome.OK and old is not Outcome.OK)
