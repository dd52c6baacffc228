"""init: the files that a new project begins with. A file that is there already is never touched."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from batchflow.settings import ACCESS, LOCAL, VENDORS

QUESTIONS = """\
id,question,answer,topic
1,What is the capital of France?,Paris,geography
2,What is 17 + 25?,42,arithmetic
3,Which planet is known as the Red Planet?,Mars,astronomy
4,How many sides does a hexagon have?,6,geometry
5,What is the chemical symbol of gold?,Au,chemistry
6,In which year did the first human walk on the Moon?,1969,history
7,What is the square root of 144?,12,arithmetic
8,Which ocean is the largest?,Pacific Ocean,geography
"""
CONFIG = """\
# Settings of this project. A flag wins over an environment variable (BATCHFLOW_<OPTION>), which wins over this file.
# Everything here is optional; remove the # in front of a line to set it.

# database_url = "postgresql+psycopg://user@host/batchflow"   # default: batchflow.db in this folder
# store = "s3://bucket/prefix"                                # files for several hosts; default: this folder alone

# [prepare]                     # options of `prepare` and `run`
# provider = "openai"
# model = "gpt-6-luna"
# max_tokens = 2000

# [[panel]]                     # the judges, in order; the evaluated model's own vendor is left out
# provider = "gemini"
# model = "gemini-4-carbon"

# [vendors.openai]
# base_url = "https://proxy.example.com/v1"

# [limits.openai]               # smaller jobs than the vendor allows
# requests = 10000

# [calls]                       # patience with vendors
# tries = 5
"""
EVALUATION = """\
# A whole evaluation: batchflow run eval.toml. Several models, or several values of an option, make a batch each.
dataset = "questions.csv"       # relative to this file
map = "reference=answer"
models = ["openai"]             # provider, or provider:model
judges = ["rule:exact", "rule:normalised"]   # cost nothing; or models: "gemini", "anthropic:claude-sonnet-5-5"
by = ["topic"]
"""


@dataclass(frozen=True, slots=True)
class InitReport:
    """Files of a new project, relative to it: written now, and kept as they were."""

    project: str
    written: tuple[str, ...]
    kept: tuple[str, ...]
    next: str


def init(project: Path) -> InitReport:
    """Write what is not there yet."""
    project.mkdir(parents=True, exist_ok=True)
    texts = {
        "batchflow.toml": CONFIG,
        ".env.example": _keys(),
        "questions.csv": QUESTIONS,
        "eval.toml": EVALUATION,
    }
    written = tuple(name for name, text in texts.items() if _is_written(project / name, text))
    kept = tuple(name for name in texts if name not in written)
    data = "--dataset questions.csv --map question=question,reference=answer"
    return InitReport(str(project), written, kept, f"batchflow rehearse {data} -- batchflow run eval.toml")


def _is_written(path: Path, text: str) -> bool:
    """Write a file that is not there; tells whether it did."""
    with suppress(FileExistsError), path.open("x", encoding="utf-8") as out:
        out.write(text)
        return True
    return False


def _keys() -> str:
    """Names of the vendors' keys, without values."""
    lines = [
        "# Keys of the vendors that you use. Copy this file to .env and fill them in; .env is in no repository.",
        *(f"# {ACCESS[vendor].keys[0]}=" for vendor in VENDORS),
        "",
        "# Your own OpenAI-compatible server",
        f"# {ACCESS[LOCAL].base_urls[0]}=http://127.0.0.1:8000/v1",
        f"# {ACCESS[LOCAL].keys[0]}=",
    ]
    return "\n".join(lines) + "\n"
