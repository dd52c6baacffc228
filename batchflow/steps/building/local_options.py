"""Options of the local engines, and how a request is shaped before any vendor sees it: from flags to a batch's options.

Everything is checked here, before a file or a ledger row is written, by the same reader that the worker uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from batchflow.errors import DataError, UsageError
from batchflow.local.base import options as local
from batchflow.local.base import pictures, rate_limits, templates
from batchflow.records import Image, Part
from batchflow.steps.base.context import Context, choose, decimal, whole
from batchflow.steps.building.asks import Ask

WAIT_S = "60m"  # how long --wait-for-model waits when nothing else is said, as the InternBootcamp runner does


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFlags:
    """The flags that concern `--provider local`; None or empty where not given. Durations and sizes as typed."""

    base_url: tuple[str, ...] = ()
    engine: str | None = None
    engine_arg: tuple[str, ...] = ()
    max_gpu_memory: str | None = None
    concurrency: int | None = None
    per_endpoint: int | None = None
    rps: float | None = None
    tpm: float | None = None
    timeout: str | None = None
    retries: int | None = None
    max_retry_delay: str | None = None
    wait_for_model: bool = False
    wait_timeout: str | None = None
    wait_interval: str | None = None
    mode: str | None = None
    prompt_template: str | None = None
    serve: str | None = None
    replicas: str | None = None
    gpus: float | None = None
    ray_address: str | None = None
    no_cache: bool = False

    @classmethod
    def taken(cls, flags: dict[str, Any]) -> Self:
        """Take these flags out of a command's flags."""
        return cls(**{field.name: flags.pop(field.name) for field in fields(cls) if field.name in flags})

    @property
    def given(self) -> tuple[str, ...]:
        """The flags that the user typed, as typed."""
        return tuple(f"--{name.replace('_', '-')}" for name, value in asdict(self).items() if _is_set(value))


def _is_set(value: Any) -> bool:
    return value is not None and value is not False and value != ()


def local_options(context: Context, flags: LocalFlags, judge: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The options of a local job, checked. judge: set for a judge, with the engine options of its row in the pool.

    A prediction's options come from flag > environment > [prepare]; a judge's from flag > its row > [judges], so that
    what was meant for the model does not reach its judge. Raises UsageError for what the engine could not do.
    """

    def typed(name: str) -> Any:
        return getattr(flags, name.replace("-", "_"), None)  # some options have no flag

    given = {"base_url": list(flags.base_url), "engine_args": engine_arguments(flags.engine_arg), **_waiting(flags)}
    given = {name: value for name, value in given.items() if value}
    if judge is None:
        given = _values(lambda name: choose(context, name, typed(name))) | given
    else:
        section = context.settings.section("judges")
        given = {**_values(lambda name: section.get(name.replace("-", "_"))), **judge, **given, **_values(typed)}
    if flags.no_cache:
        given["cache"] = False
    if given.get("engine", "server") == "server" and not given.get("base_url"):
        given |= _pointed_at(context, is_judge=judge is not None)
    refuse_without_effect(local.read(given), given)
    if given.get("template"):
        given["template"] = templates.settled(str(given["template"]))
    return given


def refuse_unnamed_model(options: Mapping[str, Any], chosen: Any) -> None:
    """Raise UsageError where nobody named the model, and the engine is none that could run the embedded one.

    Servers often answer whatever name they are asked for: the ledger would tell the embedded model's answers.
    """
    engine = local.read(options).works
    if chosen or engine not in {"server", "hf", "vllm"}:
        return
    how = "the id that the server lists in /v1/models" if engine == "server" else "a path or a hub id"
    raise UsageError(
        f"local: name a model; the engine {engine} has no default", hint=f"--model ID (a judge: local:ID), {how}"
    )


OPTIONS_WITHOUT_FLAG = (
    *("timeout_s", "backoff_cap_s", "backoff_s", "outage_s"),  # the first two have a flag of another name
    *("wait_for_s", "wait_interval_s", "cache"),
)
"""Options that environment, batchflow.toml and the judge pool may hold under the names that the worker reads."""

TRIES = {  # options of a call over HTTP, by the flags that set them
    "timeout_s": "timeout",
    "retries": "retries",
    "backoff_cap_s": "max-retry-delay",
    "per_endpoint": "per-endpoint",
}


def refuse_without_effect(options: local.Options, given: Mapping[str, Any]) -> None:
    """Raise UsageError for an option about tries that was asked for, and an engine that makes no calls.

    It is not `local.read` that refuses: a job that was prepared with one goes on.
    """
    idle = [flag for name, flag in TRIES.items() if name in given]
    if options.engine not in local.OFFLINE or not idle:
        return
    elsewhere = ", ".join(f"BATCHFLOW_{flag.replace('-', '_').upper()}" for flag in idle)
    raise UsageError(
        f"local: the engine {options.engine} has no {', '.join(f'--{flag}' for flag in idle)}: it answers each row "
        "once, in its own process, without a call that could be late or be repeated",
        hint=f"leave it out (and {elsewhere}, batchflow.toml), or use an engine with calls: server, embedded, vllm",
    )


def _values(chosen: Callable[[str], Any]) -> dict[str, Any]:
    """The options that `chosen` knows by their flags' names, under the names that the worker reads."""
    values = {
        "engine": chosen("engine"),
        "max_gpu_memory": chosen("max-gpu-memory"),
        **{name.replace("-", "_"): whole(name, chosen(name)) for name in ("concurrency", "retries", "per-endpoint")},
        **{name: decimal(name, chosen(name)) for name in ("rps", "tpm", "gpus")},
        **{name: chosen(name.replace("_", "-")) for name in OPTIONS_WITHOUT_FLAG},
        **{name: chosen(name.replace("_", "-")) for name in ("mode", "serve", "replicas", "ray_address")},
        "template": chosen("prompt-template"),
    }
    named = {"timeout_s": chosen("timeout"), "backoff_cap_s": chosen("max-retry-delay")}
    values |= {name: value for name, value in named.items() if value is not None}
    return {name: value for name, value in values.items() if value is not None}


def _pointed_at(context: Context, *, is_judge: bool) -> dict[str, Any]:
    """The base URL of the settings: [judges] base_url for a judge, else the environment's or [vendors.local]'s."""
    own = context.settings.section("judges").get("base_url") if is_judge else None
    url = own or context.settings.base_url("local")
    return {"base_url": [url] if isinstance(url, str) else list(url)} if url else {}


def _waiting(flags: LocalFlags) -> dict[str, Any]:
    if not flags.wait_for_model:
        if flags.wait_timeout or flags.wait_interval:
            raise UsageError("--wait-timeout and --wait-interval need --wait-for-model")
        return {}
    if flags.wait_timeout is not None and not rate_limits.seconds(flags.wait_timeout, "--wait-timeout"):
        raise UsageError("--wait-timeout has to be above 0", hint="leave it out for 60m")
    return {"wait_for_s": flags.wait_timeout or WAIT_S, "wait_interval_s": flags.wait_interval}


def engine_arguments(texts: tuple[str, ...]) -> dict[str, str]:
    """`k=v` texts as a mapping; a bare `k` is switched on. Raises UsageError for one without a name, or named twice."""
    arguments: dict[str, str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        if not name or name in arguments:
            raise UsageError(f"--engine-arg {text}: {'named twice' if name else 'which one?'}", hint="write NAME=VALUE")
        arguments[name] = value if "=" in text else "true"
    return arguments


def refuse_elsewhere(flags: LocalFlags, provider: str) -> None:
    """Raise UsageError when a flag of the local engines is given with another provider."""
    if flags.given:
        raise UsageError(
            f"{', '.join(flags.given)}: for --provider local, not for {provider}",
            hint=f"point {provider} elsewhere with its base URL variable (docs/vendors.md)",
        )


# ---- requests


@dataclass(frozen=True, slots=True)
class Shaping:
    """Changes to every request of a batch: a system text of the user's, smaller pictures, no pictures at all.

    It stands in the batch's options, so that a retry asks the same again.
    """

    system_prompt: str = ""
    max_image_pixels: int = 0
    text_only: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """The shaping that a batch's options hold."""
        completion = options.get("mode") == "completion"
        return cls(options.get("system_prompt") or "", options.get("max_image_pixels") or 0, completion)

    def ask(self, ask: Ask) -> Ask:
        """The request, shaped. Raises UsageError for a picture in completion mode, DataError for a broken one."""
        if self == _AS_IT_IS:
            return ask
        system = "\n\n".join(filter(None, (self.system_prompt, ask.system)))
        return ask._replace(system=system, parts=tuple(self._part(ask, part) for part in ask.parts))

    def _part(self, ask: Ask, part: Part) -> Part:
        if not isinstance(part, Image):
            return part
        if self.text_only:
            raise UsageError(
                f"item {ask.item_id} has a picture, and completion mode takes text only", hint="use --mode chat"
            )
        if not self.max_image_pixels:
            return part
        try:
            return pictures.shrunk(part, self.max_image_pixels)
        except ValueError as error:
            raise DataError(f"item {ask.item_id}: its picture {error}") from None


_AS_IT_IS = Shaping()


def refuse_mixed_modes(options: Mapping[str, Any]) -> None:
    """A system prompt belongs to chat mode, a prompt template to completion mode (`local.read` refuses that one)."""
    if options.get("mode") == "completion" and options.get("system_prompt"):
        raise UsageError(
            "--system-prompt belongs to chat mode: in completion mode the template holds the system text",
            hint="use --mode chat, or a --prompt-template file with your own `system`",
        )
