r"""JSON objects in a model's text: where they stand and what they say, in linear time, with nothing invented.

Read beyond strict JSON: text and fences around an object, single quotes, bare names, Python's True, False and None,
commas too many, raw line breaks and unescaped quotes inside strings, unknown escapes (`\(` stays `\(`). A bracket that
is missing at the end of the text is closed behind a complete value only; a value that the text ends in is none.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

DEPTH = 8  # objects in objects; what is nested deeper is no answer
EFFORT = 4  # how often, at most, a text's length is read over, however it is built

_START = re.compile(r"\{\s*+(?:[\"'}]|[A-Za-z_]\w*+\s*+:)")
_SPACE = re.compile(r"\s*+")
_NAME = re.compile(
    r"""(?:"((?:[^"\\\n]|\\.){0,100})"|'((?:[^'\\\n]|\\.){0,100})'|([A-Za-z_]\w{0,99}))\s*+:""", re.DOTALL
)
_NAME_BEGUN = re.compile(r"""["'A-Za-z_][^"'\n{}:]{0,100}["']?\s*+\Z""")
# a quote ends a string where the object goes on behind it; any other one is part of the text
_TEXTS = {
    quote: re.compile(rf"{quote}((?>[^{quote}\\]+|\\.|{quote}(?!\s*+(?:[,}}\]]|```|\Z)))*+){quote}", re.DOTALL)
    for quote in "\"'"
}
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_WORD = re.compile(r"(?:true|True|false|False|null|None)\b")
_NUMBER = re.compile(r"-?\d++(?:\.\d++)?(?:[eE][+-]?\d++)?(?=\s*+[,}\]])")
_NUMBER_BEGUN = re.compile(r"[-+.\deE]++\s*+\Z|[a-zA-Z]{1,5}\Z")
_CLOSING_FENCE = re.compile(r"\s*+```\s*+\Z")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/", "'": "'"}


class Written(str):
    """A number as it was written: 1.10 stays 1.10."""

    __slots__ = ()


class Found(NamedTuple):
    """An object of a text. closed: False where the text ends behind a complete value, without the bracket.

    twice: a name has two values that differ.
    """

    value: dict[str, Any]
    start: int
    end: int
    closed: bool
    twice: bool


class Scan(NamedTuple):
    """The objects of a text in their order. cut: the names in the objects inside which the text ended."""

    objects: tuple[Found, ...]
    cut: frozenset[str]


class _BrokenOff(Exception):
    """No object stands here. cut: since the text ended inside it."""

    def __init__(self, at: int, *, cut: bool = False, deep: bool = False) -> None:
        super().__init__()
        self.at, self.cut, self.deep = at, cut, deep


def scan(text: str) -> Scan:
    """The outermost objects of a text. Never raises; a text that is built to be slow is given up."""
    objects: list[Found] = []
    cut: set[str] = set()
    at, effort = 0, EFFORT * len(text) + 1000
    while effort > 0 and (start := _START.search(text, at)) is not None:
        names: list[str] = []
        try:
            span = _object(text, start.start(), names)
        except _BrokenOff as end:
            if end.cut:
                cut.update(names)
            effort -= end.at - start.start()
            at = end.at if end.deep else start.start() + 1
        else:
            objects.append(span)
            at = span.end
    return Scan(tuple(objects), frozenset(cut))


class Finder:
    """Tells which object of a text a place stands inside of; as bounded in its effort as `scan`."""

    def __init__(self, text: str) -> None:
        self._text, self._effort = text, EFFORT * len(text) + 1000

    def around(self, place: int, since: int) -> int | None:
        """Finds the end of the closed object that begins at `since` or later and goes past `place`, else None."""
        at = since
        while self._effort > 0 and (start := _START.search(self._text, at, place)) is not None:
            try:
                span = _object(self._text, start.start(), [])
            except _BrokenOff as end:
                reached, at = end.at, start.start() + 1
            else:
                reached = at = span.end
                if span.closed and span.end > place:
                    return span.end
            self._effort -= reached - start.start()
        return None


def _object(text: str, start: int, names: list[str], depth: int = 0) -> Found:
    """The object whose bracket stands at `start`. names: filled with its names as they are read."""
    if depth > DEPTH:
        raise _BrokenOff(start, deep=True)
    value: dict[str, Any] = {}
    twice, at = False, start + 1
    while True:
        at = _behind_space(text, at)
        if at < len(text) and text[at] == "}":
            return Found(value, start, at + 1, closed=True, twice=twice)
        if value and depth == 0 and _is_over(text, at):
            return Found(value, start, len(text), closed=False, twice=twice)
        name, at = _name(text, at)
        names.append(name)
        member, at, inner_twice = _value(text, at, depth)
        twice = twice or inner_twice or (name in value and value[name] != member)
        value[name] = member
        at = _behind_space(text, at)
        if at < len(text) and text[at] == ",":
            at += 1
        elif at >= len(text) and depth:
            raise _BrokenOff(at, cut=True)
        elif at < len(text) and text[at] != "}" and not (depth == 0 and _is_over(text, at)):
            raise _BrokenOff(at)


def _is_over(text: str, at: int) -> bool:
    return at >= len(text) or _CLOSING_FENCE.match(text, at) is not None


def _behind_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _name(text: str, at: int) -> tuple[str, int]:
    name = _NAME.match(text, at)
    if name is None:
        raise _BrokenOff(at, cut=at >= len(text) or _NAME_BEGUN.match(text, at) is not None)
    return _plain(name[1] or name[2] or name[3] or ""), name.end()


def _value(text: str, at: int, depth: int) -> tuple[Any, int, bool]:
    """A value, where it ends, and whether it holds an object that contradicts itself."""
    at = _behind_space(text, at)
    first = text[at : at + 1]
    if first in {'"', "'"}:
        match = _TEXTS[first].match(text, at)
        if match is None:
            raise _BrokenOff(len(text), cut=True)
        return _plain(match[1]), match.end(), False
    if first == "{":
        inner = _object(text, at, [], depth + 1)
        return inner.value, inner.end, inner.twice
    if first == "[":
        return _list(text, at, depth + 1)
    if (word := _WORD.match(text, at)) is not None:
        return _WORDS[word[0]], word.end(), False
    if (number := _NUMBER.match(text, at)) is not None:
        return Written(number[0]), number.end(), False
    raise _BrokenOff(at, cut=at >= len(text) or _NUMBER_BEGUN.match(text, at) is not None)


def _list(text: str, start: int, depth: int) -> tuple[list[Any], int, bool]:
    if depth > DEPTH:
        raise _BrokenOff(start, deep=True)
    members: list[Any] = []
    twice, at = False, _behind_space(text, start + 1)
    while text[at : at + 1] != "]":
        member, at, inner_twice = _value(text, at, depth)
        members.append(member)
        twice, at = twice or inner_twice, _behind_space(text, at)
        if text[at : at + 1] == ",":
            at = _behind_space(text, at + 1)
        elif text[at : at + 1] != "]":
            raise _BrokenOff(at, cut=at >= len(text))
    return members, at + 1, twice


def _plain(body: str) -> str:
    """A string's text out of what stands between its quotes."""
    if "\\" not in body:
        return whole_characters(body)
    return whole_characters(_ESCAPE.sub(_character, body))


def _character(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return _ESCAPED.get(escape[2], escape[0])


def whole_characters(text: str) -> str:
    """The text with U+FFFD for each lone surrogate: half a character can be written to no file and no ledger."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# ---- LaTeX in JSON

# What follows the letter in commands that JSON reads as a line break, a return or a tab. `_UNSURE`: ordinary text may
# begin a line so; they count right behind a sign of mathematics only.
_SURE = {
    "n": "abla|atural|cong|earrow|eq|eqq|ewcommand|ewline|geq|geqslant|gtr|leftarrow|leq|leqslant|ot|otin|rightarrow"
    "|simeq|subseteq|succ|supset|supseteq|vdash|warrow",
    "r": "angle|brace|brack|ceil|floor|ho|ight|ightarrow|ightleftharpoons|m|oot|vert",
    "t": "anh|binom|ext|extbf|extit|extrm|extsf|extstyle|exttt|frac|herefore|heta|hinspace|ilde|imes|riangle|riangleq",
}
_UNSURE = {"n": "e|eg|exists|i|less|mid|parallel|prec|sim|subset|u", "t": "an|ag|au|o|op"}
_COMMANDS = {letter: frozenset(rest.split("|")) for letter, rest in _SURE.items()}
_MATHS_COMMANDS = {letter: frozenset(rest.split("|")) for letter, rest in _UNSURE.items()}
_SUSPECT = re.compile(
    r"\\(?:[bf][A-Za-z]|"
    + "|".join(rf"{letter}(?:{table[letter]})(?![A-Za-z])" for table in (_SURE, _UNSURE) for letter in table)
    + ")"
)
_ESCAPE_OR_COMMAND = re.compile(r"\\(?:([bfnrt])([A-Za-z]++)|.)", re.DOTALL)
_BEHIND_MATHS = re.compile(r"(?:(?<!\$)\$|[\^_]\{?|\\[(\[])\Z")


def with_commands(source: str) -> str:
    r"""JSON text in which LaTeX that was escaped once too little keeps its letters; the text itself where none was.

    A model writes `"\frac{1}{2}"`, which is a form feed and `rac{1}{2}` to JSON. `\f` and `\b` before a letter begin a
    command, since no answer holds a form feed; `\n`, `\r` and `\t` do where the letters behind them are the rest of one
    and of no ordinary word.
    """
    if _SUSPECT.search(source) is None:
        return source
    kept = _ESCAPE_OR_COMMAND.sub(_kept, source)
    return source if kept == source else kept


def _kept(escape: re.Match[str]) -> str:
    letter, rest = escape[1], escape[2]
    if letter is None:
        return escape[0]
    start = escape.start()
    behind_maths = _BEHIND_MATHS.search(escape.string[max(start - 3, 0) : start])
    is_command = letter in "bf" or rest in _COMMANDS[letter]
    is_command = is_command or (behind_maths is not None and rest in _MATHS_COMMANDS.get(letter, ()))
    return f"\\{escape[0]}" if is_command else escape[0]
