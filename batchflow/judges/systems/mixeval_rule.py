"""Rule `mixeval`: MixEval's offline parsers, `--multi_choice_parser rule` and `--free_form_parser rule`.

An option is the first letter that stands alone in the answer, else the first option whose text the answer holds
(github.com/Psycoy/MixEval, mix_eval/utils/metric_utils.py). Of a free answer, what follows words such as `is` and
`answer` is compared with each right answer: numbers to two decimals, words as whole words.

Three things differ from MixEval: an answer without an option is no random one, the article `A` is no option, and `art`
is not held by `party`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from batchflow.judges.base import Known
from batchflow.judges.systems.mixeval import GOLD

OPTIONS = "options"
_EDGES = ",.!?;:'"
_WORDS = 5  # MixEval looks for an option's text in answers of more words than this
_LETTER = re.compile(r"(?:(?<=[ \n])|(?<=\*\*))([A-Z])(?=\.?(?:[ \n]|\*\*))|\(([A-Z])\)")
_PROSE = re.compile(r" [a-z]")  # behind an article
_CUES = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_NUMBER = re.compile(r"-?(?:[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_LONGEST = 100_000
_DIGITS = 40


@dataclass(frozen=True, slots=True)
class MixEvalRule:
    """The rule for both halves: a row with options is a choice."""

    NAME: str = "mixeval"
    PROVES_WRONG: bool = False
    COLUMNS: bool = True

    def verify(self, answer: str, known: Known) -> bool | None:
        """Right, wrong, or None where the answer holds no option, or no word."""
        options, gold = known.columns.get(OPTIONS), known.columns.get(GOLD)
        if options and gold:
            letter = option_of(answer[:_LONGEST], [str(option) for option in options])
            return None if letter is None else letter == gold
        if not known.references or not any(char.isalnum() for char in answer):
            return None
        return any(_holds(part, reference) for part in said(answer[:_LONGEST]) for reference in known.references)


RULE = MixEvalRule()


def option_of(answer: str, options: Sequence[str]) -> str | None:
    """The letter of the option that an answer names first; None where it names none."""
    text = f" {answer.strip(_EDGES)} "
    letters = ascii_uppercase[: len(options)]
    for match in _LETTER.finditer(text):
        letter = match[1] or match[2]
        is_article = letter in "AI" and match[1] and _PROSE.match(text, match.end())
        if letter in letters and not is_article:
            return letter
    if len(text.split()) <= _WORDS:
        return None
    low = text.lower()
    pairs = ((low.find(option.lower()), letter) for letter, option in zip(letters, options, strict=False) if option)
    places = sorted(pair for pair in pairs if pair[0] >= 0)
    return places[0][1] if places else None


def said(answer: str) -> list[str]:
    """Parts of an answer that may be its result: behind the last cue of each line, or the whole without any."""
    lines = answer.strip().strip(".").lower().split("\n")
    parts = []
    for number, line in enumerate(lines, start=1):
        cues = (*_CUES, "=") if number == len(lines) else _CUES
        ends = [line.rpartition(cue)[2].strip() for cue in cues if cue in line]
        if ends and (shortest := min(ends, key=len)) and any(char.isalnum() for char in shortest):
            parts.append(shortest)
    return parts or ["\n".join(lines)]


def _holds(part: str, reference: str) -> bool:
    """Tells whether a part holds a right answer: the same number, or its words as whole words."""
    wanted = reference.strip().lower()
    numbers = list(_numbers(wanted))
    if numbers and _NUMBER.fullmatch(wanted):
        return numbers[0] in _numbers(part)
    if not wanted:
        return False
    start = -1
    while (start := part.find(wanted, start + 1)) >= 0:
        before, after = part[start - 1 : start], part[start + len(wanted) : start + len(wanted) + 1]
        if not (before.isalnum() and wanted[0].isalnum()) and not (after.isalnum() and wanted[-1].isalnum()):
            return True
    return False


def _numbers(text: str) -> Iterator[float]:
    """The numbers of a text, to two decimals."""
    for match in _NUMBER.finditer(text):
        if len(match[0]) <= _DIGITS and math.isfinite(value := float(match[0].replace(",", ""))):
            yield round(value, 2)
