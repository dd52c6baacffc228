"""init-config: a configuration for `run`, with the settings that LMDeploy's gen_config.py writes."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import UsageError
from batchflow.settings import LOCAL, Settings
from batchflow.steps.compass.config import known, mode_of, with_scheme
from batchflow.steps.compass.data_sets import ALL, KNOWN
from batchflow.steps.compass.models import first_model


@dataclass(frozen=True, slots=True, kw_only=True)
class InitConfigOptions:
    """The flags of `init-config`."""

    task_name: str
    mode: str = ALL
    api_server: str | None = None
    judger_server: str | None = None
    provider: str | None = None
    model: str | None = None
    judge_provider: str | None = None
    judge_model: str | None = None
    data_sets: tuple[str, ...] = ()
    repeats: int | None = None
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class InitConfigReport:
    """Report of `init-config`. model, judge: None where a run finds them out, or nobody is asked."""

    name: str
    file: str
    mode: str
    model: str | None
    judge: str | None
    datasets: tuple[str, ...]
    notes: tuple[str, ...]
    next: str


def init_config(settings: Settings, options: InitConfigOptions) -> InitConfigReport:
    """Write the file. Raises UsageError for a file that exists, and for a server that the mode needs."""
    mode = mode_of(options.mode)
    asks, judges = mode in {ALL, "infer"}, mode in {ALL, "eval"}
    _refuse_missing(options, asks=asks, judges=judges)
    chosen = options.data_sets or (ALL,)
    names = list(KNOWN) if ALL in chosen else [known(name, "--datasets").name for name in chosen]
    output = options.output or Path(f"{options.task_name}.yaml")
    if output.exists():
        raise UsageError(f"{output} exists", hint="name another file with -o")
    model, why = _named(settings, options.model, options.api_server if asks else None)
    judge, judge_why = _named(settings, options.judge_model, options.judger_server if judges else None)
    blocks = [f"task_name: {_text(options.task_name)}   # the model's name in files and tables", f"mode: {mode}"]
    if asks:
        own = _server("api_server", options.api_server, options.provider, model)
        pace = {"query_per_second": 10, "batch_size": 8, "retry": 10} if options.api_server else {}
        blocks.append(_table("model", own | {"temperature": 0.6, "max_out_len": 32768} | pace))
    if judges:
        own = _server("judger_server", options.judger_server, options.judge_provider, judge)
        pace = {"query_per_second": 8, "batch_size": 8, "retry": 10} if options.judger_server else {}
        blocks.append(
            _table("judge", own | {"kind": "compass-verifier", "temperature": 0.001, "max_out_len": 8192} | pace)
        )
    blocks.append("datasets:\n" + "".join(f"- {_entry(name, options.repeats)}\n" for name in names))
    with files.replacing(output) as out:
        out.write("\n".join(blocks).encode())
    return InitConfigReport(
        options.task_name, str(output), mode, model if asks else None, judge if judges else None, tuple(names),
        tuple(f"{text}; `run` looks again, or name the model in the file" for text in (why, judge_why) if text),
        f"batchflow run {shlex.quote(str(output))}",
    )  # fmt: skip


def _refuse_missing(options: InitConfigOptions, *, asks: bool, judges: bool) -> None:
    if asks and not (options.api_server or options.provider):
        raise UsageError(
            f"--mode {options.mode} asks a model: --api-server is missing", hint="or --provider, for a vendor"
        )
    if judges and not (options.judger_server or options.judge_provider):
        hint = "or --judge-provider, for a vendor"
        raise UsageError(f"--mode {options.mode} asks a judge: --judger-server is missing", hint=hint)


def _named(settings: Settings, name: str | None, url: str | None) -> tuple[str | None, str | None]:
    """The model that is named, else the first of a server's list; None and why for a server that tells none."""
    if name or not url:
        return name, None
    return first_model(settings, with_scheme(url))


def _server(key: str, url: str | None, provider: str | None, name: str | None) -> dict[str, Any]:
    values: dict[str, Any] = {key: url} if url else {"provider": provider or LOCAL}
    return values | ({"name": name} if name else {})


def _table(name: str, values: dict[str, Any]) -> str:
    return f"{name}:\n" + "".join(f"  {key}: {_text(value)}\n" for key, value in values.items()).rstrip("\n")


def _text(value: Any) -> str:
    """A value in YAML; texts in the quotes of JSON, which YAML reads."""
    return json.dumps(value, ensure_ascii=False)


def _entry(name: str, repeats: int | None) -> str:
    return name if repeats is None else f"{{name: {name}, repeats: {repeats}}}"
