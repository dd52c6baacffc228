"""Rule `answer_line`: the letter behind the last `ANSWER:` of a text, as GPQA and MMLU-Pro ask for it.

OpenCompass takes the first such place (`match_answer_pattern`); a text that goes on and corrects itself means the last
one. Any other text may still name the right option, so that the rule abstains and a cascade asks a judge.
"""

from __future__ import annotations

import re

_LINE = re.compile(
    r"(?:\*\*|__)?\bANSWER\b(?:\*\*|__)?\s{0,3}:\s{0,3}[*_$(\[{]{0,4}(?:\\boxed\{)?\s?([A-Z])(?![A-Za-z0-9'’])",
    re.IGNORECASE,
)


def answer_line(answer: str, reference: str) -> bool | None:
    r"""Right for the same letter; abstains where the text has no such line, or the reference is no letter.

    >>> answer_line("It cannot be A.\nANSWER: B", "B"), answer_line("ANSWER: A or B", "A"), answer_line("B", "B")
    (True, None, None)
    """
    letter = reference.strip().upper()
    places = list(_LINE.finditer(answer))
    if len(letter) != 1 or not places:
        return None
    rest = answer[places[-1].end() :].strip(" \t*_$)]}.`").partition("\n")[0]
    return None if rest else places[-1][1].upper() == letter
