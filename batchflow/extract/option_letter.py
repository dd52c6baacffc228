"""Extractor `option_letter`: the letter of the option that a text chooses.

Three kinds of places are read, the first that says anything decides: the whole text; a sentence that states an answer
(`The answer is (B).`, `Answer: B`, `B is correct`, a box); lines that begin with a lettered option. A letter beyond the
item's options, or two different letters, is no choice. So is a sentence that denies, asks or supposes.
"""

from __future__ import annotations

import re

from batchflow.extract.base import plain
from batchflow.records import Item

NAME = "option_letter"
ARGUMENT = ""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OPEN, _CLOSE = r"[(\[{*_\"'`$“‘]{0,6}", r"[)\]}*_\"'`$”’]{0,6}"
_WHOLE = re.compile(
    rf"\s*(?:(?:the\s+)?(?:(?:correct|right|best|final)\s+)?(?:answer|option|choice)\s{{0,3}}(?:is\s|[:=])?\s{{0,3}})?"
    rf"{_OPEN}([A-Za-z]){_CLOSE}[.:;]?{_CLOSE}\s*",
    re.IGNORECASE,
)
_NOUN = r"(?:answer|option|choice)"
_STATED = re.compile(
    rf"\b{_NOUN}\b{_CLOSE}\s{{0,3}}(?:\s(?:is|was|must\s+be|should\s+be|would\s+be)\b\s{{0,3}}:?|[:=]){_CLOSE}\s{{0,3}}"
    rf"(?:{_NOUN}\s{{1,3}})?{_OPEN}(?:\\boxed\{{)?(?:\\text\{{)?([A-Za-z])(?![A-Za-z0-9'’])"
    rf"|\\boxed\{{\s{{0,3}}(?:\\text\{{)?\s{{0,3}}\(?([A-Za-z])\)?\s{{0,3}}\}}"
    r"|\[\[([A-Za-z])\]\]"
    r"|<answer>\s{0,9}\(?([A-Za-z])\)?\s{0,9}</answer>"
    rf"|(?<![A-Za-z0-9'’]){_OPEN}([A-Z]){_CLOSE}\s{{1,3}}is\s{{1,3}}(?:the\s{{1,3}})?(?:correct|right|best)\b",
    re.IGNORECASE,
)
_LINE = re.compile(r"^\s{0,9}[*_]{0,3}(?:\(([A-Z])\)|([A-Z])[.):])[*_]{0,3}(?=\s|$)([^\n]*)", re.MULTILINE)
_CLAUSE = re.compile(r"[.;,!?\n]")
_UNSURE = re.compile(
    r"\b(?:not|never|no|cannot|neither|nor|if|unless|could|might|may|perhaps|maybe|whether|wrong|incorrect|suppose)\b|n['’]t\b",
    re.IGNORECASE,
)
_ALSO = re.compile(
    r"\W{0,4}\s{0,3}(?:and|or|&|/|,)\s{0,3}(?:option\s)?[(\[{*_]{0,4}([A-Z])(?![A-Za-z0-9'’])", re.IGNORECASE
)
_ARTICLE = re.compile(r"[ \t]+(?!because\b|since\b|as\b|and\b|or\b|for\b)[a-z]", re.IGNORECASE)
_QUESTION = re.compile(r"[^.!\n]{0,80}\?")


def extract(text: str, item: Item) -> str | None:
    """The letter, in capitals; None for an item without options, and where no single option is chosen."""
    options = [_bare(option) for option in item.options]
    letters = _LETTERS[: len(options)]
    if not letters:
        return None
    same = [letter for letter, option in zip(letters, options, strict=False) if option and option == _bare(text)]
    if len(same) == 1:
        return same[0]
    whole = _WHOLE.fullmatch(text)
    claims = {whole[1].upper()} if whole else _stated(text) or _listed(text, dict(zip(letters, options, strict=False)))
    return claims.pop() if len(claims) == 1 and claims.issubset(letters) else None


def _stated(text: str) -> set[str]:
    """Letters that sentences state as the answer. Both, where one sentence names two."""
    claims: set[str] = set()
    for match in _STATED.finditer(text):
        letter = next(filter(None, match.groups()))
        before = _CLAUSE.split(text[max(match.start() - 120, 0) : match.start()])[-1]
        if _UNSURE.search(before) or (match[1] and _is_article(letter, text, match.end())):
            continue
        if _QUESTION.match(text, match.end()):
            continue
        claims.add(letter.upper())
        also = _ALSO.match(text, match.end())
        if also and not _is_article(also[1], text, also.end()):
            claims.add(also[1].upper())
    return claims


def _is_article(letter: str, text: str, end: int) -> bool:
    """Tells whether `a` or `I` is a word of the sentence: another word follows it."""
    return letter in "aAiI" and _ARTICLE.match(text, end) is not None


def _listed(text: str, options: dict[str, str]) -> set[str]:
    """Letters that begin a line. A line whose words are those of another option says two things."""
    claims: set[str] = set()
    for match in _LINE.finditer(text):
        letter, words = match[1] or match[2], _bare(match[3])
        claims.add(letter)
        claims.update(other for other, option in options.items() if option and option == words)
    return claims


def _bare(text: str) -> str:
    """Words for comparison: lower case, single spaces, without marks around them."""
    return " ".join(text.split()).strip("*_`\"' .").casefold()


bind = plain(NAME, extract)
