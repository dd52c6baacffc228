r"""Search with a regular expression in time that grows with the text and no faster, whatever the text.

Python's own engine tries one way after the other, and a text made for it keeps it busy for years; model output can be
such a text. This one follows all ways at once (Pike's machine) and finds what `re` finds, for the part of its
language without look-around, back-references, conditions, atomic groups and possessive repeats.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

_ROOM = 2_000  # instructions of a program; {m,n} writes its body n times
_QUICK = 1_000_000  # steps that Python's own engine, a hundred times faster, may take at worst
_FLAGS = re.compile(r"\(\?([ims]+)\)")
_GROUP = re.compile(r"\((?:\?:|\?P<([A-Za-z_]\w*)>)?(?!\?)")
_TIMES = re.compile(r"\{(\d{0,4})(?:(,)(\d{0,4}))?\}")
_SET = re.compile(r"\[\^?\]?(?:\\.|[^\\\]])*\]", re.DOTALL)
_ESCAPED = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[dDwWsSnrtfv]|[^A-Za-z0-9])", re.DOTALL)
_PLACES = {"^": "^", "$": "$", "\\b": r"\b", "\\B": r"\B", "\\A": r"\A", "\\Z": r"\Z"}


class _Char(NamedTuple):
    fits: Callable[[str], bool]


class _Place(NamedTuple):
    pattern: re.Pattern[str]


class _Split(NamedTuple):
    first: int
    second: int


class _Save(NamedTuple):
    slot: int


class _Jump(NamedTuple):
    to: int


_Step = _Char | _Place | _Split | _Save | _Jump
_Node = Callable[["_Program"], None]


@dataclass(slots=True)
class _Program:
    """loops: repeats without an end; turns: other places with two ways; depth: loops that are open just now."""

    steps: list[_Step] = field(default_factory=list)
    loops: int = 0
    turns: int = 0
    depth: int = 0
    is_nested: bool = False  # a loop holds a repeat or a choice

    @property
    def quick_length(self) -> int:
        """The longest text on which backtracking cannot take more than `_QUICK` steps."""
        if self.is_nested or self.turns > 16:
            return 0
        return int((_QUICK / 2**self.turns) ** (1 / (self.loops + 1)))

    def add(self, step: _Step) -> int:
        if len(self.steps) >= _ROOM:
            raise ValueError("it is too long, or repeats too much")
        self.steps.append(step)
        return len(self.steps) - 1


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. group: which group is the answer, 0 for the whole match. Short texts are left to `quick`."""

    steps: tuple[_Step, ...]
    group: int
    quick: re.Pattern[str]
    quick_length: int

    def search(self, text: str) -> str | None:
        """Returns the text of the group in the leftmost match; None without a match or without the group."""
        if len(text) <= self.quick_length:
            match = self.quick.search(text)
            return None if match is None else match[self.group]
        saved = _run(self.steps, text)
        span = None if saved is None else (saved.get(2 * self.group), saved.get(2 * self.group + 1))
        return None if span is None or span[0] is None or span[1] is None else text[span[0] : span[1]]


def compiled(pattern: str) -> Pattern:
    """A pattern ready to search; its answer is the group `answer`, else group 1, else the whole match.

    Raises ValueError, in words, for what Python would not compile either, and for what this search cannot do.
    """
    try:
        expression = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    try:
        node = (reader := _Reader(pattern)).read()
    except RecursionError:
        raise ValueError("its groups are nested too deep") from None
    if reader.groups != expression.groups:  # the two readings of the pattern have to be one
        raise ValueError("it uses syntax that this search does not support")
    program = _Program()
    program.add(_Save(0))
    node(program)
    program.add(_Save(1))
    group = expression.groupindex.get("answer", min(expression.groups, 1))
    return Pattern(tuple(program.steps), group, expression, program.quick_length)


class _Reader:
    """Reads a pattern from left to right into nodes that write its program."""

    def __init__(self, pattern: str) -> None:
        flags = _FLAGS.match(pattern)
        self._flags = re.compile(flags[0]).flags if flags else 0
        self._text, self._at = pattern, flags.end() if flags else 0
        self.groups = 0

    def read(self) -> _Node:
        node = self._choice()
        if self._at < len(self._text):
            raise ValueError(f"it cannot be parsed from {self._text[self._at :][:20]!r} on")
        return node

    def _choice(self) -> _Node:
        ways = [self._sequence()]
        while self._text.startswith("|", self._at):
            self._at += 1
            ways.append(self._sequence())
        return ways[0] if len(ways) == 1 else lambda program: _either(program, ways)

    def _sequence(self) -> _Node:
        nodes: list[_Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            nodes.append(self._repeated(self._atom()))
        return lambda program: _each(program, nodes)

    def _atom(self) -> _Node:
        text, at = self._text, self._at
        if text[at] == "(":
            return self._grouped()
        for word, place in _PLACES.items():
            if text.startswith(word, at):
                self._at += len(word)
                anchor = re.compile(place, self._flags)
                return lambda program: _put(program, _Place(anchor))
        kind = {"[": _SET, "\\": _ESCAPED}.get(text[at])
        match = kind.match(text, at) if kind else None
        if (kind and match is None) or text[at] in "*+?":
            raise ValueError(f"{text[at : at + 3]!r} cannot be used here")
        source = match[0] if match else text[at]
        self._at += len(source)
        char = _Char(_fitting(re.compile(source if source == "." or match else re.escape(source), self._flags)))
        return lambda program: _put(program, char)

    def _grouped(self) -> _Node:
        match = _GROUP.match(self._text, self._at)
        if match is None:
            raise ValueError(
                f"{self._text[self._at : self._at + 4]!r}: look-around and similar constructs are not supported"
            )
        number = 0
        if match[0] != "(?:":
            self.groups += 1
            number = self.groups
        self._at = match.end()
        inner = self._choice()
        self._at += 1  # the closing bracket, which Python's compiler has seen
        return (lambda program: _saved(program, inner, number)) if number else inner

    def _repeated(self, node: _Node) -> _Node:
        mark = self._text[self._at : self._at + 1]
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(mark, (1, 1))
        length = 1 if mark and mark in "*+?" else 0
        times = _TIMES.match(self._text, self._at) if mark == "{" else None
        if times and (times[1] or times[2]):
            least = int(times[1] or 0)
            most = least if not times[2] else int(times[3]) if times[3] else None
            length = len(times[0])
        if not length:
            return node
        self._at += length
        lazy = self._text.startswith("?", self._at)
        if self._text.startswith("+", self._at):
            raise ValueError("possessive repeats are not supported")
        self._at += lazy
        return lambda program: _repeat(program, node, least, most, lazy=lazy)


def _fitting(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    """Tells whether one character matches, remembered: texts use few."""
    memo: dict[str, bool] = {}

    def fits(char: str) -> bool:
        if (answer := memo.get(char)) is None:
            answer = memo[char] = pattern.fullmatch(char) is not None
        return answer

    return fits


def _put(program: _Program, step: _Step) -> None:
    program.add(step)


def _each(program: _Program, nodes: list[_Node]) -> None:
    for node in nodes:
        node(program)


def _saved(program: _Program, inner: _Node, number: int) -> None:
    program.add(_Save(2 * number))
    inner(program)
    program.add(_Save(2 * number + 1))


def _either(program: _Program, ways: list[_Node]) -> None:
    jumps = []
    program.turns += len(ways) - 1
    program.is_nested |= program.depth > 0
    for way in ways[:-1]:
        split = program.add(_Jump(0))
        way(program)
        jumps.append(program.add(_Jump(0)))
        program.steps[split] = _Split(split + 1, len(program.steps))
    ways[-1](program)
    for jump in jumps:
        program.steps[jump] = _Jump(len(program.steps))


def _repeat(program: _Program, node: _Node, least: int, most: int | None, *, lazy: bool) -> None:
    program.is_nested |= program.depth > 0
    for _ in range(least):
        node(program)
    splits = []
    if most is None:
        program.loops += 1
        program.depth += 1
        splits.append(program.add(_Jump(0)))
        node(program)
        program.add(_Jump(splits[0]))
        program.depth -= 1
    for _ in range(0 if most is None else most - least):
        program.turns += 1
        splits.append(program.add(_Jump(0)))
        node(program)
    for split in splits:
        inside, after = split + 1, len(program.steps)
        program.steps[split] = _Split(after, inside) if lazy else _Split(inside, after)


_Saved = dict[int, int]
_Thread = tuple[int, _Saved]
_Waiting = tuple[Callable[[str], bool], int, _Saved]


def _run(steps: tuple[_Step, ...], text: str) -> _Saved | None:
    """Returns the bounds of the groups of the leftmost match, by slot; None without a match."""
    best: _Saved | None = None
    threads: list[_Thread] = []
    for at in range(len(text) + 1):
        starts = threads if best is not None else [*threads, (0, {})]
        ready: list[_Waiting] = []
        seen = bytearray(len(steps))
        for thread in starts:
            if (ended := _follow(steps, text, at, thread, seen, ready)) is not None:
                best = ended
                break
        if at == len(text) or (best is not None and not ready):
            return best
        char = text[at]
        threads = [(after, saved) for fits, after, saved in ready if fits(char)]
    return best


def _follow(
    steps: tuple[_Step, ...], text: str, at: int, thread: _Thread, seen: bytearray, ready: list[_Waiting]
) -> _Saved | None:
    """Bring a thread to the characters it waits for, preferred way first; returns its groups where it has matched."""
    stack = [thread]
    while stack:
        pc, saved = stack.pop()
        if pc == len(steps):
            return saved
        if seen[pc]:
            continue
        seen[pc] = 1
        match steps[pc]:
            case _Char(fits):
                ready.append((fits, pc + 1, saved))
            case _Jump(to):
                stack.append((to, saved))
            case _Split(first, second):
                stack += [(second, saved), (first, saved)]
            case _Save(slot):
                stack.append((pc + 1, {**saved, slot: at}))
            case _Place(pattern):
                if pattern.match(text, at):
                    stack.append((pc + 1, saved))
    return None
