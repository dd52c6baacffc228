"""The protocol of an offline engine: one class with two verbs, in a child process of the worker, without HTTP.

`add` takes a request whenever one comes, `step` works for a while and gives what is finished. The child hands requests
on as they come and sends answers as they land, so a batch never waits for its slowest row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from batchflow.errors import EngineError, install_extra
from batchflow.records import Json

PACKAGES = {"hf": "transformers", "openvino": "openvino-genai"}
NO_TEMPLATE = "the model has no chat template; use --mode completion with a --prompt-template"
DEFAULT_TOKENS = 1024  # generated at most, where the request does not say


@dataclass(frozen=True, slots=True)
class Config:
    """model: a path or a hub id. arguments: `--engine-arg`. gpu_bytes: of each GPU at most. seats: rows at once.

    first: bodies of the first rows, by which an engine that can be asked none of them is told before all of them fail.
    """

    engine: str
    model: str
    arguments: Mapping[str, str]
    gpu_bytes: int | None
    seats: int
    first: Sequence[Json] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished request: its index, an HTTP-like status, and a chat completion or {"error": {"message"}}."""

    index: int
    status: int
    body: Json


class Engine(Protocol):
    """An engine with its model loaded."""

    @property
    def facts(self) -> Json:
        """Version, device, dtype and other settings, for engine.json."""

    @property
    def busy(self) -> bool:
        """True while a request is unfinished."""

    def prompt(self, body: Json) -> object:
        """Renders the prompt for the model. Raises ValueError where the model cannot take it."""

    def add(self, index: int, body: Json) -> None:
        """Take a request. Raises ValueError for one that can never be answered."""

    def step(self) -> Iterator[Answer]:
        """Work for a while; what is finished by then."""


def version(engine: str) -> str:
    """The installed version of an engine's package. Raises EngineError without it."""
    try:
        return metadata.version(PACKAGES[engine])
    except metadata.PackageNotFoundError:
        raise EngineError(
            f"the engine {engine} ({PACKAGES[engine]}) is not installed", hint=install_extra(engine)
        ) from None


def identity(model: str) -> str:
    """Identifies a model: its name, and of a path also the size and time of each file."""
    path = Path(model).expanduser()
    if not path.exists():
        return model
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [(file.name, file.stat()) for file in files if file.is_file()]
    return f"{path.resolve()} " + " ".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats)


def completion(text: str, *, model: str, finish: str, read: int, generated: int) -> Json:
    """A chat completion. read, made: tokens of the prompt and of the answer."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": read, "completion_tokens": generated, "total_tokens": read + generated}
    return {"model": model, "choices": [{"index": 0, "finish_reason": finish, "message": message}], "usage": usage}


def refuse_unfit(engine: Engine, config: Config) -> None:
    """Raise EngineError where a model can be asked none of a batch's first rows: no chat template, no eyes."""
    whys = []
    for body in config.first:
        try:
            engine.prompt(body)
        except ValueError as error:
            whys.append(str(error))
        else:
            return
    if whys:
        raise EngineError(
            f"the model can take no request of this batch: {whys[0]}",
            hint="cancel the batch, then prepare it with requests that the model takes, or for another model",
        )


def refusal(index: int, status: int, why: str) -> Answer:
    """An answer that says why there is none."""
    return Answer(index, status, {"error": {"message": why}})


def flat(messages: list[Json]) -> list[Json]:
    """Messages whose contents are plain texts. Raises ValueError for a picture."""
    items = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            if any(part.get("type") != "text" for part in content):
                raise ValueError("this model reads text only, and the request has a picture")
            content = "\n\n".join(part["text"] for part in content)
        items.append({"role": message["role"], "content": content})
    return items


def without_system(messages: list[Json]) -> list[Json]:
    """The system text in front of the first user turn, for chat templates that know no system role."""
    if not messages or messages[0]["role"] != "system":
        return messages
    system, first, *rest = messages
    content = first["content"]
    joined: Any = f"{system['content']}\n\n{content}"
    if not isinstance(content, str):
        joined = [{"type": "text", "text": system["content"]}, *content]
    return [{**first, "content": joined}, *rest]


def cut(text: str, stops: list[str]) -> tuple[str, bool]:
    """The text up to the first stop word, and whether there was one."""
    places = [at for stop in stops if (at := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)
