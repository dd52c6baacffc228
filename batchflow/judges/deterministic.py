"""Deterministic comparisons: rules that compare an answer with the reference, and say nothing about a justification.

A rule answers True, False, or None where it cannot tell: it abstains, it does not guess. docs/jury.md states which
texts are the same for each rule; what a rule has not read to the last character is never evidence.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import NamedTuple

_MAGNITUDE = 1_000  # powers of ten on either side of one; no riddle's answer lies beyond, hostile input may
_DEEPEST = 8  # pairs of marks around a text that are taken off
_FEW_DIGITS = 15
_LONGEST = 500  # characters of a text that may be one number or one letter
_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen twenty"
)
_WORDS = {word: str(number) for number, word in enumerate(_TO_TWENTY.split(" "))}

_MINUSES = "\u2010\u2011\u2012\u2013\u2212\ufe63"  # hyphens, figure dash, en dash, minus; an em dash is no sign
_SPACES = "\u00a0\u2007\u2008\u2009\u200a\u202f"
_SPELLINGS = str.maketrans(
    {
        **dict.fromkeys(_MINUSES, "-"),
        **dict.fromkeys(_SPACES, " "),
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("“”", '"'),
        **{chr(wide): chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F)},
    }
)
"""Characters with two spellings: signs, spaces inside numbers, quotes, and the wide forms of ASCII."""

_PAIRS = (
    ("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("```", "```"), ("`", "`"), ("$$", "$$"), ("$", "$"),
    ("\\(", "\\)"), ("\\[", "\\]"), ('"', '"'), ("'", "'"), ("«", "»"),
)  # fmt: skip
_OPENERS = frozenset(opening[0] for opening, _ in _PAIRS)
_ENDS = frozenset(")]}*_`$\"'»")  # what a full stop behind a marked text follows
_COMMAND = re.compile(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf|mathit|mathsf)\s*\{")
_NOUN = r"(?:the\s+|my\s+)?(?:final\s+|correct\s+)?(?:answer|option|choice)\s*(?:is\s*:?|:)?"
_LEAD = re.compile(rf"(?:(\*\*|__){_NOUN}\1\s*:?|{_NOUN})\s*(?=\W|(?<=\W)\w)", re.IGNORECASE)
_IT_IS = re.compile(r"(?:it\s+is|it's)\s+", re.IGNORECASE)

_GROUPED = r"[1-9][0-9]{0,2}(?P<by>[, ])[0-9]{3}(?:(?P=by)[0-9]{3})*"  # one separator throughout
_PLAIN = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)(?:(?P<grouped>{_GROUPED}(?:\.[0-9]+)?)"
    rf"|(?P<top>{_PLAIN})\s*/\s*(?P<bottom>[0-9]+)|(?P<plain>{_PLAIN}(?:[eE][-+]?[0-9]+)?))(?![0-9]|[.,/][0-9])"
)
_AMBIGUOUS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")  # a thousand in one country, a decimal in another
_UNIT = re.compile(r"\s?(?:%|[$€£¥]|[^\W\d_]+(?:\s[^\W\d_]+)*)")
_CERTAIN_UNITS = frozenset({"", "%", "$", "€", "£", "¥"})  # other numbers of these are other amounts
_LETTER = re.compile(r"\(([A-Z])\)|\[([A-Z])\]|([A-Z])[.):]?", re.IGNORECASE | re.ASCII)

_OPENING, _CLOSING = "(\\[«\"'", ")\\]».,;:!?…\"'"
_OPENS, _CLOSES = re.compile(rf"[{_OPENING}]+"), re.compile(rf"[{_CLOSING}]+")
_TOKEN = re.compile(
    rf"(?P<number>(?<![0-9.,]){_GROUPED}(?:\.[0-9]+)?(?![0-9]|[.,][0-9])"
    r"|(?<![0-9.,])[0-9]+\.[0-9]+(?![0-9]|[.,][0-9])|[0-9]+)"
    r"|(?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)"
    rf"|(?P<mark>[{_OPENING}{_CLOSING}]+|\S)"
)


class Quantity(NamedTuple):
    """A text that is one number and at most a unit. places: its decimals, None for a fraction. other: the number that
    the same characters are in another country.
    """

    value: Fraction
    unit: str
    places: int | None
    other: Fraction | None = None


def exact(answer: str, reference: str) -> bool | None:
    """Equal after trimming white space at both ends."""
    return answer.strip() == reference.strip()


def bare(text: str) -> str:
    """The text in one spelling, without the markup and quotes around the whole of it."""
    plain = (text if text.isascii() else unicodedata.normalize("NFC", text).translate(_SPELLINGS)).strip()
    for _ in range(_DEEPEST):
        inner = _unwrapped(plain) if plain[:1] in _OPENERS else None
        if inner is None:
            break
        plain = inner
    return plain


def _unwrapped(text: str) -> str | None:
    """Returns the text inside one pair of marks around the whole text; None without such a pair."""
    stem = text[:-1] if text.endswith(".") and text[-2:-1] in _ENDS else text
    for opening, closing in _PAIRS:
        inner = stem[len(opening) : -len(closing)]
        framed = len(stem) > len(opening) + len(closing) and stem.startswith(opening) and stem.endswith(closing)
        if framed and inner == inner.strip() and opening not in inner and closing not in inner:
            return inner
    command = _COMMAND.match(stem)
    if command is None or not stem.endswith("}"):
        return None
    inner = stem[command.end() : -1]
    return inner.strip() if _balanced(inner) and inner.strip() else None


def _balanced(text: str) -> bool:
    depth = 0
    for char in text:
        depth += (char == "{") - (char == "}")
        if depth < 0:
            return False
    return depth == 0


def _said(text: str, *lead_ins: re.Pattern[str]) -> str:
    """The answer itself: without markup around it and without words such as `The answer is` in front of it."""
    plain = bare(text)
    if len(plain) > _LONGEST:
        return plain
    for lead_in in lead_ins:
        if match := lead_in.match(plain):
            plain = bare(plain[match.end() :])
    return plain


def normalise(text: str) -> str:
    """A normal form of the text that keeps every sign, operator, digit and word; docs/jury.md says what it leaves out.

    Case, articles and accents are left out of prose only: in a text with a sign, `M` and `m` are two names.
    """
    return " ".join(_tokens(bare(text))[0])


def _tokens(plain: str) -> tuple[list[str], bool]:
    """(the tokens of the normal form, whether the text is prose: words and numbers and nothing else)."""
    matches = [match for match in _TOKEN.finditer(plain) if not _dropped(match, plain)]
    prose = all(match["mark"] is None for match in matches)
    tokens: list[str] = []
    for index, match in enumerate(matches):
        text = match.group()
        if match["number"]:
            tokens.append(text.replace(",", "").replace(" ", ""))
        elif match["mark"]:
            tokens.extend(text)
        elif not prose:
            tokens.append(text)
        elif not _is_article(matches, index):
            tokens.append(_word(matches, index))
    return tokens, prose


def _dropped(match: re.Match[str], plain: str) -> bool:
    """Tells whether marks belong to the sentence: a word on one side of them, white space or an end on the other.

    Beside a digit or a single letter they may be operators, as in `5!`, `f(x)` or `3:5`, save the last full stop.
    """
    mark, start, end = match["mark"], match.start(), match.end()
    if mark is None:
        return False
    before, after = plain[max(start - 2, 0) : start], plain[end : end + 2]
    if mark == "." and not after and before[-1:].isdecimal():
        return True
    closes = _CLOSES.fullmatch(mark) and len(before) == 2 and before.isalpha() and not after[:1].strip()
    opens = _OPENS.fullmatch(mark) and len(after) == 2 and after.isalpha() and not before[-1:].strip()
    return bool(closes or opens)


def _is_article(matches: list[re.Match[str]], index: int) -> bool:
    """Tells whether a word is an article: a further word follows, and `a` stands first (elsewhere it names things)."""
    word = matches[index].group().casefold()
    follows = index + 1 < len(matches) and len(matches[index + 1]["word"] or "") > 1
    return follows and (word in {"an", "the"} or (word == "a" and index == 0))


def _word(matches: list[re.Match[str]], index: int) -> str:
    """A word of prose in lower case and without accents; a unit behind a number keeps its case, `MW` is not `mW`."""
    match = matches[index]
    text = match.group()
    before = matches[index - 1] if index else None
    after = matches[index + 1] if index + 1 < len(matches) else None
    unit = before is not None and before["number"] and (len(text) <= 3 or before.end() == match.start())
    if unit or (after is not None and after["number"] and after.start() == match.end()):
        return text
    text = text.casefold()
    if len(text) > 1:
        text = _without_accents(text)
    return _WORDS.get(text, text)


def _without_accents(word: str) -> str:
    """Latin letters without their accents; in other scripts a mark makes another letter."""
    letters: list[str] = []
    for char in unicodedata.normalize("NFD", word):
        if not (unicodedata.combining(char) and letters and letters[-1].isascii()):
            letters.append(char)
    return unicodedata.normalize("NFC", "".join(letters))


def normalised(answer: str, reference: str) -> bool | None:
    """Equal after `normalise`. Abstains without a reference, and where texts with signs in them differ."""
    if _is_count(answer) and _is_count(reference):  # one token each
        return answer == reference
    (given, read), (wanted, readable) = _tokens(bare(answer)), _tokens(bare(reference))
    if not wanted:
        return None
    if given == wanted:
        return True
    return False if read and readable else None


def quantity(text: str) -> Quantity | None:
    """The number that the whole text is, with its unit; None for any other text."""
    plain = _said(text, _LEAD, _IT_IS)
    if len(plain) > _LONGEST:
        return None
    plain = plain.removesuffix(".") if plain[-2:-1].isalnum() or plain[-2:-1] == "%" else plain
    first, _, rest = plain.partition(" ")
    if (spoken := _WORDS.get(first.casefold())) is not None:
        plain = f"{spoken} {rest}".strip()
    symbol = plain[:1] if plain[:1] in "$€£¥" else ""
    match = _NUMBER.match(plain, len(symbol))
    if match is None:
        return None
    unit = plain[match.end() :]
    if unit and (symbol or not _UNIT.fullmatch(unit) or _holds_number_word(unit)):
        return None
    value = _value(match)
    if value is None:
        return None
    return Quantity(value, symbol or " ".join(unit.split()), _places(match), _other_reading(match))


def _holds_number_word(unit: str) -> bool:
    return any(word in _WORDS for word in unit.casefold().split())


def _value(match: re.Match[str]) -> Fraction | None:
    top = (match["grouped"] or match["top"] or match["plain"]).replace(",", "").replace(" ", "")
    try:
        number = Decimal(top)
        if abs(number.adjusted()) > _MAGNITUDE:  # 1e999999999 would be written out digit by digit
            return None
        value = Fraction(number) / int(match["bottom"] or 1)
    except (InvalidOperation, ZeroDivisionError, ValueError, OverflowError):
        return None
    return -value if match["sign"] == "-" else value


def _places(match: re.Match[str]) -> int | None:
    """Counts the decimals of a number as written; None where it is not rounded."""
    if match["bottom"]:
        return None
    mantissa, _, exponent = (match["grouped"] or match["plain"]).lower().partition("e")
    return len(mantissa.partition(".")[2]) - int(exponent or 0)


def _other_reading(match: re.Match[str]) -> Fraction | None:
    text = match["grouped"] or match["plain"] or ""
    if not _AMBIGUOUS.fullmatch(text):
        return None
    value = Fraction(text.replace(",", ".") if "," in text else text.replace(".", ""))
    return -value if match["sign"] == "-" else value


def _is_count(text: str) -> bool:
    """Tells whether a text is a few digits and nothing else."""
    return text.isdigit() and text.isascii() and len(text) <= _FEW_DIGITS


def numeric(answer: str, reference: str) -> bool | None:
    """The same number of the same unit. Abstains unless each text is one number with at most a unit.

    Other numbers are wrong where nothing else can be meant: not where one is the other one rounded, where another
    country reads the same number, or where a word such as `squared` could make them equal.
    """
    if _is_count(answer) and _is_count(reference):  # without a second reading, and never each other rounded
        return int(answer) == int(reference)
    given, wanted = quantity(answer), quantity(reference)
    if given is None or wanted is None or given.unit != wanted.unit:
        return None
    if given.value == wanted.value:
        return True
    certain = given.unit in _CERTAIN_UNITS and not _maybe_equal(given, wanted)
    return False if certain else None


def _maybe_equal(one: Quantity, two: Quantity) -> bool:
    readings = {one.value, one.other} & {two.value, two.other} - {None}
    rounded = [number.places for number in (one, two) if number.places is not None]
    return bool(readings) or (bool(rounded) and abs(one.value - two.value) <= Fraction(10) ** -min(rounded) / 2)


def _letter(text: str) -> str | None:
    """The option's letter that the whole text is, in upper case; None for any other text."""
    match = _LETTER.fullmatch(_said(text, _LEAD))
    return next(letter for letter in match.groups() if letter).upper() if match else None


def choice(answer: str, reference: str) -> bool | None:
    """Same option letter: `B`, `(b)`, `**B**`, `Answer: B.`. Abstains unless each text is a letter and no more."""
    given, wanted = _letter(answer), _letter(reference)
    return None if given is None or wanted is None else given == wanted
