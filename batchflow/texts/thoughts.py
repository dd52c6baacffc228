"""Separates a model's thoughts from its answer: one rule for every provider, and for judges.

A finished thought is left out. A text that ended inside a thought holds no answer, whatever draft stands in it.
"""

from __future__ import annotations

import re

from batchflow.texts import objects

THINK, THINK_END = "<think>", "</think>"

# Opening mark -> closing mark, in small letters; the models that write them.
MARKS = {
    THINK: THINK_END,  # DeepSeek R1 and V3, Qwen3 and QwQ, GLM, MiniMax, Nemotron, Phi-4, Hunyuan, Magistral 2506
    "<thinking>": "</thinking>",  # Reflection, models tuned on Claude's prompts
    "<thought>": "</thought>",  # EXAONE Deep, Gemini's and Gemma's prompts
    "<reasoning>": "</reasoning>",  # models tuned by GRPO recipes
    "<reflection>": "</reflection>",  # Reflection, outside of its <thinking>
    "<seed:think>": "</seed:think>",  # Seed-OSS
    "[think]": "[/think]",  # Magistral from 2507 on
    "◁think▷": "◁/think▷",  # Kimi
    "<|begin_of_thought|>": "<|end_of_thought|>",  # Sky-T1, OpenThinker
    "<|start_thinking|>": "<|end_thinking|>",  # Command A Reasoning
    "<|channel>thought": "<channel|>",  # Gemma 4
}
# What encloses an answer behind a thought: Hunyuan and GRPO recipes, Reflection, Sky-T1, Command A.
_WRAPS = {
    "<answer>": "</answer>",
    "<output>": "</output>",
    "<|begin_of_solution|>": "<|end_of_solution|>",
    "<|start_response|>": "<|end_response|>",
}
_CLOSINGS = {closing: opening for opening, closing in MARKS.items()}
_MARK = re.compile("|".join(map(re.escape, (*MARKS, *_CLOSINGS))), re.IGNORECASE)
_QUOTES = "\"'`“”‘’«»"

# The channels of gpt-oss: <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>answer
_CHANNEL = re.compile(r"<\|channel\|>")
_FINAL = re.compile(r"<\|channel\|>\s*final[^<\n]{0,40}(?:<\|constrain\|>[^<\n]{0,40})?<\|message\|>")
_TURN_END = re.compile(r"<\|(?:return|end|call|start)\|>")
_BARE = re.compile(r"analysis(?=[A-Z])")  # the same from servers that leave the marks out: "analysisWe need ..."
_BARE_FINAL = "assistantfinal"


def behind(text: str) -> str | None:
    """The text without its thoughts; None for one that ended inside a thought. Never raises.

    Marks inside a JSON object, and marks in quotes of their own, are spoken of and not meant. Where only the closing
    mark stands, the chat template wrote the opening one, so all before it is thought.
    """
    if "<" not in text and "[" not in text and "◁" not in text and not text.startswith("analysis"):
        return text  # nearly all
    if _CHANNEL.search(text) and (channel := _channel(text)) is not text:
        return channel
    if _BARE.match(text):
        _, final, answer = text.rpartition(_BARE_FINAL)
        return answer.strip() if final else None
    rest = _without_marks(text)
    return None if rest is None else _unwrapped(rest)


def _channel(text: str) -> str | None:
    """The final channel of gpt-oss; the text itself where its first mark stands inside a JSON object."""
    first = _CHANNEL.search(text)
    if first is None or objects.Finder(text).around(first.start(), 0) is not None:
        return text
    finals = list(_FINAL.finditer(text))
    if not finals:
        return None
    answer = text[finals[-1].end() :]
    end = _TURN_END.search(answer)
    return (answer[: end.start()] if end else answer).strip()


def _without_marks(text: str) -> str | None:
    kept, finder = list[str](), objects.Finder(text)
    at = start = 0  # of what is looked at, and of what is kept
    while (mark := _next(text, at)) is not None:
        if (end := finder.around(mark.start(), at)) is not None:
            at = end
            continue
        word = mark[0].lower()
        if word in _CLOSINGS:  # of a thought that the template opened
            kept, at = [], mark.end()
        else:
            closing = _closing(text, mark.end(), MARKS[word])
            if closing is None:
                return None
            kept.append(text[start : mark.start()])
            at = closing
        start = at
    return text if start == 0 else "".join([*kept, text[start:]]).strip()


def _next(text: str, at: int) -> re.Match[str] | None:
    """The next mark that is meant as one."""
    for mark in _MARK.finditer(text, at):
        if not _is_quoted(text, mark.start(), mark.end()):
            return mark
    return None


def _closing(text: str, at: int, word: str) -> int | None:
    """Finds the end of the thought that was opened before `at`."""
    for mark in _MARK.finditer(text, at):
        if mark[0].lower() == word and not _is_quoted(text, mark.start(), mark.end()):
            return mark.end()
    return None


def _is_quoted(text: str, start: int, end: int) -> bool:
    return start > 0 and end < len(text) and text[start - 1] in _QUOTES and text[end] in _QUOTES


def _unwrapped(text: str) -> str:
    """The text without the tags that enclose all of it."""
    bare = text.strip()
    for opening, closing in _WRAPS.items():
        if bare[: len(opening)].lower() == opening and bare[-len(closing) :].lower() == closing:
            return bare[len(opening) : -len(closing)].strip()
    return text
