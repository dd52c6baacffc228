"""engine: what can answer on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from batchflow.local import engines
from batchflow.settings import Settings


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine or model file."""

    name: str
    installed: bool
    version: str | None
    path: str | None
    note: str


@dataclass(frozen=True, slots=True)
class EngineListReport:
    """The engines and models of this machine."""

    engines: tuple[EngineRow, ...]
    next: str


@dataclass(frozen=True, slots=True)
class EngineInstallReport:
    """What `engine install` did."""

    engine: str
    version: str
    model: str
    path: str
    sha256: str
    downloaded: bool
    next: str


def install(settings: Settings, say: Callable[[str], None]) -> EngineInstallReport:
    """Install what is missing. Raises EngineError naming the step that failed."""
    made = engines.install(settings, say)
    follow = "batchflow prepare --split llm"
    return EngineInstallReport(
        made.engine, made.version, made.model, str(made.path), made.sha256, made.downloaded, follow
    )


def listing(settings: Settings) -> EngineListReport:
    """What is here and what is not."""
    found = engines.listing(settings)
    rows = tuple(
        EngineRow(info.name, info.installed, info.version, str(info.path) if info.path else None, info.note)
        for info in found
    )
    ready = all(row.installed for row in rows)
    return EngineListReport(rows, "batchflow prepare --split llm" if ready else "batchflow engine install")
