"""OpenAI-compatible batch gateways that a project names in batchflow.toml.

    [gateways.cluster]
    base_url = "https://batch.example/v1"
    key = "CLUSTER_API_KEY"        # variable of its key; leave it out where it needs none

A gateway is a provider like any vendor: `prepare --provider cluster --model MODEL`, `jury --judges cluster:MODEL`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from batchflow.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A table `[gateways.NAME]`.

    base_url: up to and with `/v1`. key: environment variable of its key. windows, endpoints: accepted values, the first
    is the default. requests, file_bytes: limits of one job.
    """

    name: str
    base_url: str
    key: str = ""
    windows: tuple[str, ...] = ("24h",)
    endpoints: tuple[str, ...] = ("/v1/chat/completions",)
    requests: int = 50_000
    file_bytes: int = 100_000_000


def gateways(section: Mapping[str, Any], taken: Collection[str]) -> dict[str, Gateway]:
    """The gateways of a `[gateways]` table, by name. taken: names that mean another provider.

    Raises UsageError for a name that is taken or hard to type, and for a missing, unknown or mistyped key.
    """
    by_name = {}
    for name, table in section.items():
        where = f"batchflow.toml: [gateways.{name}]"
        if name in taken:
            raise UsageError(f"{where}: {name} is a provider's name already", hint="give the gateway another name")
        if not _NAME.fullmatch(name):
            raise UsageError(f"{where}: not a name", hint="use lower-case letters, digits, - and _")
        if not isinstance(table, Mapping):
            raise UsageError(f"{where} has to be a table", hint='base_url = "https://gateway.example/v1"')
        by_name[name] = _gateway(where, name, table)
    return by_name


def _gateway(where: str, name: str, table: Mapping[str, Any]) -> Gateway:
    defaults = {spec.name: spec.default for spec in fields(Gateway) if spec.name != "name"}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in defaults:
            raise UsageError(f"{where}: unknown key {key!r}", hint=f"known: {', '.join(defaults)}")
        values[key] = _checked(f"{where}: {key}", defaults[key], value)
    url = values.get("base_url", "")
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{where}: base_url has to be an http(s) URL", hint='base_url = "https://gateway.example/v1"')
    return Gateway(name=name, **values | {"base_url": url.rstrip("/")})


def _checked(where: str, default: Any, value: Any) -> Any:
    """The value, in the type of its default. Raises UsageError for another type, and for nothing at all."""
    if isinstance(default, tuple):
        if isinstance(value, list) and value and all(isinstance(one, str) and one for one in value):
            return tuple(value)
        raise UsageError(f"{where} has to be a list of texts", hint='for example: ["24h"]')
    if isinstance(default, int):
        if type(value) is int and value > 0:
            return value
        raise UsageError(f"{where} has to be a whole number above 0")
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise UsageError(f"{where} has to be a text")
