"""Deterministic verdicts: rules that compare an answer with the reference, and say nothing about a justification.

A rule answers True, False, or None where it does not apply to the item: it abstains, it does not guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from batchflow.errors import UsageError

_ARTICLES = frozenset({"a", "an", "the"})
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*/\s*\d+)?(?:[eE][-+]?\d+)?")
_CHOICE = re.compile(
    r"^\s*(?:(?:the\s+)?(?:answer|option|choice)\s*(?:is|:)?\s*)?\(?([A-Z])\)?(?:[.):]|\s*$)", re.IGNORECASE
)
_MAGNITUDE = 1_000  # powers of ten on either side of one; no riddle's answer lies beyond, hostile input may
_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    " seventeen eighteen nineteen twenty"
)
_WORDS = {word: str(number) for number, word in enumerate(_TO_TWENTY.split(" "))}


def exact(answer: str, reference: str) -> bool | None:
    """Equal after trimming white space at both ends."""
    return answer.strip() == reference.strip()


def normalise(text: str) -> str:
    """Lower case without accents, punctuation, articles and extra space; number words up to twenty as digits."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", plain)
    words = re.sub(r"[^\w.]+|\.(?!\d)|_", " ", plain).split()
    return " ".join(_WORDS.get(word, word) for word in words if word not in _ARTICLES)


def normalised(answer: str, reference: str) -> bool | None:
    """Equal after `normalise`; a reference that has nothing left is not judged."""
    wanted = normalise(reference)
    return normalise(answer) == wanted if wanted else None


def numbers(text: str) -> tuple[Fraction, ...]:
    """The numbers of a text in order: separators, decimals, fractions, exponents; words up to twenty."""
    spoken = re.sub(r"[A-Za-z]+", lambda match: _WORDS.get(match.group().lower(), match.group()), text)
    return tuple(value for match in _NUMBER.finditer(spoken) if (value := _number(match.group())) is not None)


def _number(text: str) -> Fraction | None:
    top, _, bottom = text.replace(",", "").replace(" ", "").partition("/")
    try:
        number = Decimal(top)
        if abs(number.adjusted()) > _MAGNITUDE:  # 1e999999999 would be written out digit by digit
            return None
        value = Fraction(number)
        return value / int(bottom) if bottom else value
    except (InvalidOperation, ZeroDivisionError, ValueError, OverflowError):
        return None


def numeric(answer: str, reference: str) -> bool | None:
    """Same number, where the reference holds exactly one; an answer with several distinct numbers is wrong."""
    wanted = set(numbers(reference))
    if len(wanted) != 1:
        return None
    return set(numbers(answer)) == wanted


def choice(answer: str, reference: str) -> bool | None:
    """Same option letter, where the reference is one: `B`, `(b)`, `Answer: B.`."""
    wanted = _CHOICE.match(reference)
    if wanted is None or len(normalise(reference)) > 1:
        return None
    given = _CHOICE.match(answer)
    return given is not None and given.group(1).upper() == wanted.group(1).upper()


RULES: dict[str, Callable[[str, str], bool | None]] = {
    "exact": exact,
    "normalised": normalised,
    "numeric": numeric,
    "choice": choice,
}
"""Rules by the name that `--judges rule:NAME` and `--cascade NAME` take; each maps (answer, reference)."""


def settled(rule: str, answer: str, reference: str) -> bool | None:
    """What a rule can prove about an answer, None where a judge has to be asked.

    A match is right. Another number, or another option's letter, is wrong where the answer is nothing but that; a text
    that differs may still mean the same. Raises UsageError for an unknown rule.
    """
    if rule not in RULES:
        raise UsageError(f"there is no rule {rule!r}", hint=f"rules: {', '.join(RULES)}")
    verdict = RULES[rule](answer, reference)
    if verdict is not False:
        return verdict
    bare = {
        "numeric": bool(numbers(answer)) and not re.search(r"[^\d. ]", normalise(answer)),
        "choice": _CHOICE.match(answer) is not None,
    }
    return False if bare.get(rule) else None
