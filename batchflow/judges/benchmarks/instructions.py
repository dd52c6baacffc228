"""Rule `ifeval`: whether a text follows instructions that can be checked, as IFEval's strict accuracy counts them.

A row names instructions in `instruction_id_list` and their arguments in `kwargs` (Zhou et al. 2023, arXiv 2311.07911;
github.com/google-research/google-research, instruction_following_eval). All of them followed is right, one broken is
wrong. Which language a text is in, and where its sentences end, is judged with models there; here the rule abstains
where that decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchflow import files
from batchflow.judges.base import Known

Arguments = Mapping[str, Any]
Check = Callable[[str, Arguments], bool | None]
IDS, ARGUMENTS = "instruction_id_list", "kwargs"
_LEAST, _BELOW = "at least", "less than"
_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_FLAGS = re.IGNORECASE


def _compared(count: int, wanted: Any, relation: Any) -> bool:
    return count < int(wanted) if relation == _BELOW else count >= int(wanted)


def _agreed(verdicts: Sequence[bool]) -> bool | None:
    """The verdict of several ways to count; None where they differ."""
    return verdicts[0] if len(set(verdicts)) == 1 else None


def _existence(text: str, args: Arguments) -> bool:
    return all(re.search(re.escape(str(word)), text, _FLAGS) for word in args["keywords"])


def _frequency(text: str, args: Arguments) -> bool:
    count = len(re.findall(re.escape(str(args["keyword"]).strip()), text, _FLAGS))
    return _compared(count, args["frequency"], args["relation"])


def _forbidden(text: str, args: Arguments) -> bool:
    return not any(re.search(rf"\b{re.escape(str(word))}\b", text, _FLAGS) for word in args["forbidden_words"])


def _letters(text: str, args: Arguments) -> bool:
    return _compared(text.lower().count(str(args["letter"]).lower()), args["let_frequency"], args["let_relation"])


def _language(text: str, args: Arguments) -> bool | None:  # noqa: ARG001 - a check's signature
    return None


def _sentences(text: str, args: Arguments) -> bool | None:
    few = len(re.findall(r"[.!?][\"')\]]*(?=\s+[A-Z0-9\"'(\[]|\s*$)", text)) or 1
    many = len(re.findall(r"[.!?:;]+|\n+", text)) + 1
    return _agreed([_compared(count, args["num_sentences"], args["relation"]) for count in (few, many)])


def _paragraphs(text: str, args: Arguments) -> bool:
    parts = re.split(r"\s?\*\*\*\s?", text)
    inner = parts[1:-1]
    if not all(part.strip() for part in inner):
        return False
    return sum(bool(part.strip()) for part in parts) == int(args["num_paragraphs"])


def _words(text: str, args: Arguments) -> bool:
    return _compared(len(re.findall(r"\w+", text)), args["num_words"], args["relation"])


def _first_word(text: str, args: Arguments) -> bool:
    parts = text.split("\n\n")
    count, place = sum(bool(part.strip()) for part in parts), int(args["nth_paragraph"])
    if place > count or not parts[place - 1].strip():
        return False
    word = re.split(r"[.,?!'\"]", parts[place - 1].split()[0].lstrip("'").lstrip('"'))[0].lower()
    return count == int(args["num_paragraphs"]) and word == str(args["first_word"]).lower()


def _placeholders(text: str, args: Arguments) -> bool:
    return len(re.findall(r"\[[^\]\n]*\]", text)) >= int(args["num_placeholders"])


def _postscript(text: str, args: Arguments) -> bool:
    marker = str(args["postscript_marker"])
    patterns = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return bool(re.search(patterns.get(marker, re.escape(marker.lower())), text.lower()))


def _bullets(text: str, args: Arguments) -> bool:
    stars = re.findall(r"^\s*\*[^*].*$", text, re.MULTILINE)
    dashes = re.findall(r"^\s*-.*$", text, re.MULTILINE)
    return len(stars) + len(dashes) == int(args["num_bullets"])


def _constrained(text: str, args: Arguments) -> bool:  # noqa: ARG001 - a check's signature
    return any(answer in text for answer in _ANSWERS)


def _highlights(text: str, args: Arguments) -> bool:
    single = [each for each in re.findall(r"\*[^\n*]*\*", text) if each.strip("*").strip()]
    double = [each for each in re.findall(r"\*\*[^\n*]*\*\*", text) if each[2:-2].strip()]
    return len(single) + len(double) >= int(args["num_highlights"])


def _sections(text: str, args: Arguments) -> bool:
    splitter = re.escape(str(args["section_spliter"]).strip())
    return len(re.findall(rf"{splitter}\s?\d+", text)) >= int(args["num_sections"])


def _json(text: str, args: Arguments) -> bool:  # noqa: ARG001 - a check's signature
    plain = re.sub(r"^```(?:json)?|```$", "", text.strip(), flags=_FLAGS).strip()
    try:
        json.loads(plain)
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, args: Arguments) -> bool:  # noqa: ARG001 - a check's signature
    return any(each.strip("<>").strip() for each in re.findall(r"<<[^\n]+>>", text))


def _two(text: str, args: Arguments) -> bool:  # noqa: ARG001 - a check's signature
    parts = text.split("******")
    replies = [part.strip() for part in parts if part.strip()]
    return all(part.strip() for part in parts[1:-1]) and len(replies) == 2 and replies[0] != replies[1]


def _repeated(text: str, args: Arguments) -> bool:
    return text.strip().lower().startswith(str(args["prompt_to_repeat"]).strip().lower())


def _ending(text: str, args: Arguments) -> bool:
    return text.strip().strip('"').lower().endswith(str(args["end_phrase"]).strip().lower())


def _capital_words(text: str, args: Arguments) -> bool | None:
    tokens = re.findall(r"[\w'’-]+", text), re.findall(r"\w+", text)
    counts = [sum(token.isupper() for token in ways) for ways in tokens]
    return _agreed([_compared(count, args["capital_frequency"], args["capital_relation"]) for count in counts])


def _english(is_cased: bool, text: str) -> bool | None:
    """Wrong where the case is; else right only for a text of ASCII letters, which may be taken for English."""
    return text.isascii() or None if is_cased else False


def _upper(text: str, args: Arguments) -> bool | None:  # noqa: ARG001 - a check's signature
    return _english(text.isupper(), text)


def _lower(text: str, args: Arguments) -> bool | None:  # noqa: ARG001 - a check's signature
    return _english(text.islower(), text)


def _no_comma(text: str, args: Arguments) -> bool:  # noqa: ARG001 - a check's signature
    return "," not in text


def _quoted(text: str, args: Arguments) -> bool:  # noqa: ARG001 - a check's signature
    plain = text.strip()
    return len(plain) > 1 and plain[0] == plain[-1] == '"'


CHECKS: dict[str, Check] = {
    "keywords:existence": _existence,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letters,
    "language:response_language": _language,
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_words": _words,
    "length_constraints:nth_paragraph_first_word": _first_word,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _constrained,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "detectable_format:title": _title,
    "combination:two_responses": _two,
    "combination:repeat_prompt": _repeated,
    "startend:end_checker": _ending,
    "startend:quotation": _quoted,
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": _upper,
    "change_case:english_lowercase": _lower,
    "punctuation:no_comma": _no_comma,
}
"""The instructions by their ids."""


@dataclass(frozen=True, slots=True)
class Instructions:
    """The rule. It reads the row's columns, and no reference."""

    NAME: str = "ifeval"
    PROVES_WRONG: bool = True
    COLUMNS: bool = True

    def verify(self, answer: str, known: Known) -> bool | None:
        """Right where all instructions are followed, wrong where one is not; else it abstains."""
        ids, arguments = _listed(known.columns.get(IDS)), _listed(known.columns.get(ARGUMENTS))
        if not ids or len(ids) != len(arguments) or not answer.strip():
            return False if ids and not answer.strip() else None
        verdicts = [_followed(str(name), args, answer) for name, args in zip(ids, arguments, strict=True)]
        return False if False in verdicts else None if None in verdicts else True


def _followed(name: str, args: Any, answer: str) -> bool | None:
    """One instruction; None for one that is unknown, or whose arguments are not as they have to be."""
    check = CHECKS.get(name)
    if check is None or not isinstance(args, dict):
        return None
    try:
        return check(answer, {key: value for key, value in args.items() if value is not None})
    except (KeyError, TypeError, ValueError):
        return None


def _listed(value: Any) -> list[Any]:
    """A list, or its JSON text, as a column keeps it."""
    if isinstance(value, str):
        try:
            value = files.loads(value)
        except ValueError:
            return []
    return value if isinstance(value, list) else []
