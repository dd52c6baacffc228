"""Prompt templates for completion mode: how a conversation becomes one text, and where generation stops.

The built-in names are those of the InternBootcamp runner. A user's own template is a TOML file:

    prompt = "<|user|>{input}<|assistant|>"      # {system} may stand in it too
    system = "You are helpful."                  # used where the request has no system text
    stop = ["<|end|>"]
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from batchflow.errors import UsageError

_IM = "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{input}<|im_end|>\n<|im_start|>assistant\n"
_IM_STOPS = ("<|im_end|>", "<|endoftext|>")
_REASONER = (
    "You are an expert reasoner. Explore the problem step by step, check each step, and go back where one fails. "
    "Put this work between <think> and </think>, then give the final answer after it."
)


@dataclass(frozen=True, slots=True)
class Template:
    """prompt: text with `{input}` and, where it takes one, `{system}`. stop: words that end generation."""

    prompt: str
    stop: tuple[str, ...] = ()
    system: str = ""

    def render(self, system: str, text: str) -> str:
        """The prompt of one request. A system text without a place goes in front of the input."""
        if "{system}" not in self.prompt:
            return _fill(self.prompt, "", f"{system}\n\n{text}" if system else text)
        return _fill(self.prompt, system or self.system, text)


TEMPLATES: dict[str, Template] = {
    "chatml": Template("<|im_start|>user\n{input}<|im_end|>\n<|im_start|>assistant\n", _IM_STOPS),
    "qwen": Template(_IM, _IM_STOPS, "You are a helpful assistant."),
    "internthinker": Template(_IM, _IM_STOPS, _REASONER),
    "r1": Template("<｜begin▁of▁sentence｜><｜User｜>{input}<｜Assistant｜><think>\n", ("<｜end▁of▁sentence｜>",)),
}


def load(name: str) -> Template:
    """A built-in template by name, or one from a TOML file by path. Raises UsageError."""
    if name in TEMPLATES:
        return TEMPLATES[name]
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"local: no template is called {name!r}", hint=f"templates: {', '.join(TEMPLATES)}, or a file")
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        template = Template(str(table["prompt"]), tuple(map(str, table.get("stop", ()))), str(table.get("system", "")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not a template ({error})", hint="it needs `prompt`, and may have `stop`") from None
    if "{input}" not in template.prompt:
        raise UsageError(f"{path}: `prompt` has no {{input}}")
    return template


def _fill(prompt: str, system: str, text: str) -> str:
    """Replace the two places only; braces in the texts are theirs."""
    before, _, after = prompt.partition("{input}")
    return before.replace("{system}", system) + text + after.replace("{system}", system)
