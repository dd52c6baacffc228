"""The seeded rule that answers in place of a model: predictions right with a given probability, judges that compare.

It reads the prompt as a model would: the question and the labelled parts ("Reference answer: ...", "Candidate's
answer, between two fence lines: ..."), and fills whatever JSON schema was sent. The same request gets the same
answer in every run with the same seed, in whatever order the rows come.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from batchflow.records import Json
from batchflow.rehearsal import reviews
from batchflow.rehearsal.prompt_parts import sections
from batchflow.texts import tokens

Oracle = Callable[[tuple[str, ...]], str | None]
"""Text parts of a prompt → the right answer, or None where it is not known."""

_REFERENCE = re.compile(
    r"\b(?:reference|standard|riddle|correct|expected|gold(?:en)?|true)\b.*\banswers?\b", re.IGNORECASE
)
_CANDIDATE = re.compile(r"\b(?:candidate|participant|submitted|proposed|model|assistant)\b.*\banswer\b", re.IGNORECASE)
_NUMBERED = re.compile(r";?\s*<answer \d+>")
_REASONING = re.compile(r"justif|reason|explan|rationale|think", re.IGNORECASE)
_FIELD = re.compile(
    r"^- (\w+): .*\((?:one of ([^()]+)|a number from (\S+) to ([^()\s]+)|true or false)\)$", re.MULTILINE
)
_IMAGE_TOKENS = 1_100
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Beginning:
    """The beginning of a prompt that a cache may hold. key: the same for the same beginning and model.

    least: tokens of the shortest that is kept. keeps_s: how long after its last use. step: tokens that are read in one
    go. written: "" where a write costs nothing, else how long it is billed for: `5m` or `1h`.
    """

    key: str
    text_tokens: int
    images: int = 0
    least: int = 1_024
    keeps_s: float = 300.0
    step: int = 1
    written: str = ""

    @property
    def tokens(self) -> int:
        """Its tokens as they are counted in a prompt; 0 where it is too short to be kept."""
        tokens = self.text_tokens + _IMAGE_TOKENS * self.images
        return tokens // self.step * self.step if tokens >= self.least else 0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as every protocol tells it.

    thinks: the request asks for thinking, so usage shows some. wrong: why the vendor ends this row with an error,
    where its parameters are looked at when it runs; "" where nothing is wrong. beginning: None where nothing is kept.
    """

    custom_id: str
    model: str
    system: str
    texts: tuple[str, ...]
    images: int = 0
    schema: Json | None = None
    thinks: bool = False
    wrong: str = ""
    beginning: Beginning | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """One rehearsed answer: its text and plausible usage, counted as in `records.Usage`."""

    text: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    written_tokens: int = 0
    written_1h_tokens: int = 0

    def kept(self, beginning: Beginning | None, *, is_there: bool) -> Answered:
        """The same with its beginning read from a cache that holds it, or written to one."""
        tokens = min(beginning.tokens, self.input_tokens) if beginning else 0
        if beginning is None or is_there:
            return replace(self, cached_tokens=tokens)
        written = tokens if beginning.written else 0
        return replace(self, written_tokens=written, written_1h_tokens=written if beginning.written == "1h" else 0)


def counted(model: str, *texts: str) -> int:
    """Tokens of texts, by the model's tokenizer where it is at hand, else by a stated ratio."""
    count = tokens.counter(model)
    return sum(map(count, texts)) if count else sum(map(len, texts)) // _CHARS_PER_TOKEN


def no_oracle(_texts: tuple[str, ...]) -> str | None:
    """The oracle that knows nothing."""
    return None


def oracle(pairs: Iterable[tuple[str, str]]) -> Oracle:
    """An oracle from (question, right answer) pairs; a question is found as a labelled part or anywhere in the text."""
    answers = {_plain(question): answer for question, answer in pairs if _plain(question)}

    def look(texts: tuple[str, ...]) -> str | None:
        for value in [*sections(texts).values(), *texts]:
            if (answer := answers.get(_plain(value))) is not None:
                return answer
        whole = _plain(" ".join(texts))
        return next((answer for question, answer in answers.items() if question in whole), None)

    return look


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule itself. right: probability of a right prediction; judge_error: probability of a wrong verdict.

    rambling: probability of an answer with up to 2,000 tokens of thoughts, asked for or not.
    """

    seed: int = 0
    right: float = 0.7
    judge_error: float = 0.05
    oracle: Oracle = field(default=no_oracle)
    rambling: float = 0.0

    def reply(self, request: Asked) -> Answered:
        """Answer one request."""
        schema = request.schema or _schema_in(request.system)
        properties = schema.get("properties") if schema else None
        fields = _FIELD.findall("\n".join(request.texts))
        if not isinstance(properties, dict):
            bracketed = self._bracketed(request, fields) if fields else None
            return self._counted(request, bracketed or self._said(request) or self._prediction(request))
        is_judge = any(_kind(spec) in {"boolean", "number"} for spec in properties.values())
        verdict = self._verdict(request) if is_judge else False
        prediction = "" if is_judge else self._prediction(request)
        listed = {name: self._on_scale(request, name, *scale) for name, *scale in fields if name in properties}
        filled = {name: self._value(request, name, spec, verdict, prediction) for name, spec in properties.items()}
        filled |= {name: value for name, value in listed.items() if _kind(properties[name]) != "boolean"}
        return self._counted(request, json.dumps(filled, ensure_ascii=False))

    def _bracketed(self, request: Asked, fields: Iterable[tuple[str, str, str, str]]) -> str:
        """A verdict in double brackets on each field that the prompt lists."""
        brackets = "".join(f"\n[[{name}: {self._on_scale(request, name, *scale)}]]" for name, *scale in fields)
        return f"A rehearsed line of reasoning.{brackets}"

    def _on_scale(self, request: Asked, name: str, labels: str, low: str, high: str) -> str | float:
        """A value near the good end of a scale for a right answer; labels stand in falling order."""
        draw = self._draw("value", name, request.model, *request.texts)
        verdict = self._verdict(request) != (draw < self.judge_error)
        if labels:
            ordered = labels.split(", ")
            return ordered[0] if verdict else ordered[-1]
        if not low:
            return "true" if verdict else "false"
        bottom, top = float(low), float(high)
        return round(bottom + (top - bottom) * (0.5 + draw / 2 if verdict else draw / 2), 2)

    def _prediction(self, request: Asked) -> str:
        truth = self.oracle(request.texts)
        mark = _digest(self.seed, *request.texts)[:8]
        if truth is None:
            return f"rehearsed answer {mark}"
        is_right = self._draw("prediction", request.model, *request.texts) < self.right
        return truth if is_right else f"rehearsed wrong answer {mark}"

    def _said(self, request: Asked) -> str:
        """The verdict of a judge that is to reply in words, in the form that its prompt asks for; "" for others."""
        if (battle := reviews.battle_in(request.texts)) is not None:
            strengths = [self._strength(question, answer) for question, answer in battle.answers]
            is_mistaken = self._draw("review", request.model, *request.texts) < self.judge_error
            return reviews.verdict(battle.form, strengths, is_mistaken=is_mistaken)
        draw = self._draw("value", request.model, *request.texts)
        if "double brackets" in request.system and (letters := _letters(sections(request.texts).get("Options", ""))):
            chosen = self._candidate(request).strip("(). ")[:1]
            letter = chosen if chosen in letters else letters[int(draw * len(letters))]
            return f"The option chosen by the model: [[{letter}]]"
        is_right = self._verdict(request) != (draw < self.judge_error)
        if "double brackets" in request.system:
            return f"The correctness score: [[{float(is_right)}]]"
        if "Final Judgment" in request.system:
            return "Final Judgment: \\boxed{A} - CORRECT" if is_right else "Final Judgment: \\boxed{B} - INCORRECT"
        return ("A" if is_right else "B") if "one letter, A, B or C" in request.system else ""

    def _strength(self, question: str, answer: str) -> float:
        """Worth of an answer, 0 to 1, in whatever place it is shown: a right one is worth more than any other."""
        draw = self._draw("strength", question, answer) / 2
        return draw + 0.5 * (_plain(answer) == _plain(self.oracle((question,)) or ""))

    def _candidate(self, request: Asked) -> str:
        parts = sections(request.texts)
        return next((text for label, text in parts.items() if _CANDIDATE.search(label)), "")

    def _verdict(self, request: Asked) -> bool:
        """Tells whether the candidate's answer is the reference answer, as far as the prompt tells."""
        parts = sections(request.texts)
        reference = next((text for label, text in parts.items() if _REFERENCE.search(label)), None)
        candidate = next((text for label, text in parts.items() if _CANDIDATE.search(label)), None)
        if reference is None or candidate is None:
            return False
        several = [*reference.splitlines(), *_NUMBERED.split(reference)]
        return _plain(candidate) in {_plain(reference), *map(_plain, several)}

    def _value(self, request: Asked, name: str, spec: Any, verdict: bool, prediction: str) -> Any:
        kind, draw = _kind(spec), self._draw("value", name, request.model, *request.texts)
        choices = spec.get("enum") if isinstance(spec, dict) else None
        if isinstance(choices, list) and choices:
            return choices[int(draw * len(choices))]
        if kind == "boolean":
            return verdict != (draw < self.judge_error)
        if kind == "number":  # a judge's: near the top of its range for a right answer, near the bottom for a wrong one
            low, high = float(spec.get("minimum", 0.0)), float(spec.get("maximum", 1.0))
            return round(low + (high - low) * (0.5 + draw / 2 if verdict else draw / 2), 2)
        if kind == "integer":
            return int(draw * 10)
        if kind in {"array", "object"}:
            return [] if kind == "array" else {}
        return "A rehearsed line of reasoning." if _REASONING.search(name) else prediction or "rehearsed"

    def _counted(self, request: Asked, text: str) -> Answered:
        sent = counted(request.model, request.system, *request.texts) + 8
        thought = int(100 + 400 * self._draw("thinking", request.custom_id)) if request.thinks else 0
        if self._draw("rambling", request.custom_id) < self.rambling:
            thought += int(2_000 * self._draw("thoughts", request.custom_id))
        return Answered(
            text,
            input_tokens=sent + _IMAGE_TOKENS * request.images,
            output_tokens=counted(request.model, text) + 1 + thought,
            reasoning_tokens=thought,
        )

    def _draw(self, *words: str) -> float:
        """A number in [0, 1) that depends on the seed and the words only."""
        return int(_digest(self.seed, *words)[:13], 16) / 16**13


def _letters(options: str) -> list[str]:
    """Letters of the options, one at the beginning of each line."""
    return [line[0] for line in options.splitlines() if line[1:3] == ". "]


def _kind(spec: Any) -> str:
    kind = spec.get("type") if isinstance(spec, dict) else None
    if isinstance(kind, list):
        kind = next((word for word in kind if word != "null"), None)
    return str(kind or "string").lower()


def _schema_in(system: str) -> Json | None:
    """The schema that the system text tells in words, for requests that carry none of their own."""
    start = system.find('{"type":"object"')
    if start < 0:
        return None
    try:
        schema, _ = json.JSONDecoder().raw_decode(system, start)
    except ValueError:
        return None
    return schema if isinstance(schema, dict) else None


def _plain(text: str) -> str:
    """Letters and digits only, so that case, spacing and punctuation do not matter."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _digest(seed: int, *words: str) -> str:
    return hashlib.blake2b("\x1f".join((str(seed), *words)).encode("utf-8", "replace"), digest_size=16).hexdigest()
