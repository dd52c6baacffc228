"""Prompt templates for completion mode: how a conversation becomes one text, and where generation stops.

The built-in names are those of the InternBootcamp runner. A user's own template is a TOML file:

    prompt = "<|user|>{input}<|assistant|>"      # {system} may stand in it too
    system = "You are helpful."                  # in front of the task's own system text
    stop = ["<|end|>"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import UsageError
from batchflow.texts.thoughts import THINK

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

    @property
    def opens_thought(self) -> bool:
        """Tells whether the reply begins in the middle of a thought."""
        return self.prompt.rstrip().endswith(THINK)

    @property
    def thinks(self) -> bool:
        """Tells whether it wants thoughts in front of the answer, which no schema of the answer may forbid."""
        return self.opens_thought or THINK in self.system

    def render(self, system: str, text: str) -> str:
        """The prompt of one request. A system text without a place goes in front of the input."""
        system = "\n\n".join(filter(None, (self.system, system)))
        if "{system}" not in self.prompt:
            return _fill(self.prompt, "", f"{system}\n\n{text}" if system else text)
        return _fill(self.prompt, system, text)


TEMPLATES: dict[str, Template] = {
    "chatml": Template("<|im_start|>user\n{input}<|im_end|>\n<|im_start|>assistant\n", _IM_STOPS),
    "qwen": Template(_IM, _IM_STOPS, "You are a helpful assistant."),
    "internthinker": Template(_IM, _IM_STOPS, _REASONER),
    "r1": Template("<｜begin▁of▁sentence｜><｜User｜>{input}<｜Assistant｜><think>\n", ("<｜end▁of▁sentence｜>",)),
}


def load(name: str) -> Template:
    """A built-in template by name, one from a TOML file by path, or what `settled` made of one. Raises UsageError."""
    if name in TEMPLATES:
        return TEMPLATES[name]
    if name.startswith("{"):
        return _read("the batch's template", _table(name))
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"local: no template is called {name!r}", hint=f"templates: {', '.join(TEMPLATES)}, or a file")
    try:
        return _read(name, tomllib.loads(path.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a template ({error})", hint="it needs `prompt`, and may have `stop`") from None


def settled(name: str) -> str:
    """Returns what a batch records of a template: a built-in one's name, else its file's content, as JSON.

    The file may change or go before a worker reads it, and is looked for in another folder then. Raises UsageError.
    """
    template = load(name)
    return name if name in TEMPLATES else files.dumps(asdict(template)).decode()


def _table(text: str) -> Mapping[str, Any]:
    try:
        return dict(files.loads(text))
    except (ValueError, TypeError):
        raise UsageError(f"local: no template is called {text!r}", hint=f"templates: {', '.join(TEMPLATES)}") from None


def _read(name: str, table: Mapping[str, Any]) -> Template:
    """A template from a table. Raises UsageError naming what is wrong in it."""
    prompt, stop, system = table.get("prompt"), table.get("stop", []), table.get("system", "")
    words = [stop] if isinstance(stop, str) else stop
    if not isinstance(prompt, str) or not isinstance(system, str):
        raise UsageError(f"{name}: `prompt` has to be a text, and so has `system` where there is one")
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise UsageError(f"{name}: `stop` has to be a list of texts")
    if "{input}" not in prompt:
        raise UsageError(f"{name}: `prompt` has no {{input}}")
    return Template(prompt, tuple(words), system)


def _fill(prompt: str, system: str, text: str) -> str:
    """Replace the two places only; braces in the texts are theirs."""
    before, _, after = prompt.partition("{input}")
    return before.replace("{system}", system) + text + after.replace("{system}", system)
