"""Context of every step: the ledger, the settings, a clock, and a way to tell the user what is going on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batchflow.errors import UsageError
from batchflow.ledger import Ledger
from batchflow.settings import Settings


def _now() -> datetime:
    return datetime.now(UTC)


def _quiet(_: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """Made once by the command line. say: progress for a person, silent by default."""

    ledger: Ledger
    settings: Settings
    say: Callable[[str], None] = _quiet
    clock: Callable[[], datetime] = _now
    sleep: Callable[[float], None] = time.sleep

    def tuned(self, name: str, default: float) -> float:
        """A number of seconds or tries from batchflow.toml's [calls]. Raises UsageError."""
        return self.settings.tuned(name, default)


def choose(context: Context, option: str, flag: Any) -> Any:
    """An option's value: flag > environment (BATCHFLOW_<OPTION>) > batchflow.toml [prepare] > None."""
    if flag is not None:
        return flag
    name = option.replace("-", "_")
    environment: Mapping[str, str] = context.settings.environment
    if text := environment.get(f"BATCHFLOW_{name.upper()}", "").strip():
        return text
    return context.settings.section("prepare").get(name)


def _origin(option: str) -> str:
    """Sources of a value other than the command line."""
    name = option.replace("-", "_")
    return f"it may also come from BATCHFLOW_{name.upper()} (environment, .env) or batchflow.toml"


def whole(option: str, value: Any) -> int | None:
    """An option that has to be a whole number >= 0 of at most 63 bits, or None. Raises UsageError."""
    if value is None:
        return None
    try:
        number = int(str(value))
    except ValueError:
        raise UsageError(f"--{option}: {value!r} is not a whole number", hint=_origin(option)) from None
    if number < 0:
        raise UsageError(f"--{option}: {number} is below 0")
    if number >= 1 << 63:  # neither JSON readers nor the ledger hold more
        raise UsageError(f"--{option}: {number} is too large")
    return number


def decimal(option: str, value: Any) -> float | None:
    """An option that has to be a number >= 0, or None. Raises UsageError."""
    if value is None:
        return None
    try:
        number = float(str(value))
    except ValueError:
        raise UsageError(f"--{option}: {value!r} is not a number", hint=_origin(option)) from None
    if not 0 <= number < float("inf"):
        raise UsageError(f"--{option}: {value} is out of range")
    return number
