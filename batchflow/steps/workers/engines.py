"""engine: what can answer on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from batchflow.local.servers import engines, serving
from batchflow.settings import Settings

_PREPARE = "batchflow prepare --provider local --split llm"  # a vendor whose key is set would be taken otherwise


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine or model file."""

    name: str
    installed: bool
    version: str | None
    path: str | None
    note: str


@dataclass(frozen=True, slots=True)
class EngineServeReport:
    """A server that runs now. key_file: readable by its owner only; a worker on this machine finds it by itself."""

    name: str
    engine: str
    model: str
    url: str
    key_file: str
    log: str
    pid: int
    notes: tuple[str, ...]
    next: str


@dataclass(frozen=True, slots=True)
class EngineStopReport:
    """Servers that were ended. gone: those that had ended by themselves."""

    stopped: tuple[str, ...]
    gone: tuple[str, ...]
    next: str


@dataclass(frozen=True, slots=True)
class EngineListReport:
    """The engines and models of this machine."""

    engines: tuple[EngineRow, ...]
    next: str


@dataclass(frozen=True, slots=True)
class EngineInstallReport:
    """Report of `engine install`."""

    engine: str
    version: str
    model: str
    path: str
    sha256: str
    downloaded: bool
    next: str


def install(settings: Settings, say: Callable[[str], None]) -> EngineInstallReport:
    """Install what is missing. Raises EngineError naming the step that failed."""
    engine = engines.install(settings, say)
    follow = _PREPARE
    return EngineInstallReport(
        engine.engine, engine.version, engine.model, str(engine.path), engine.sha256, engine.downloaded, follow
    )


def serve(settings: Settings, wish: serving.Wish, say: Callable[[str], None]) -> EngineServeReport:
    """Start a server that stays, and wait until it answers. Raises UsageError, EngineError."""
    server = serving.serve(settings, wish, say)
    notes = () if _is_loopback(wish.host) else (f"it listens on {wish.host}; clients need the key",)
    return EngineServeReport(
        server.name,
        server.engine,
        server.model,
        server.url,
        str(serving.key_file(settings.home, server.name)),
        server.log,
        server.pid,
        notes,
        f"batchflow prepare --provider local --base-url {server.url} --model {server.model}",
    )


def stop(settings: Settings, names: tuple[str, ...]) -> EngineStopReport:
    """End servers by name; without one, all of them. Raises UsageError for an unknown name."""
    chosen = names or tuple(server.name for server in serving.servers(settings.home))
    ran = {name: serving.stop(settings, name) for name in chosen}
    stopped, gone = (tuple(name for name, was in ran.items() if was is wanted) for wanted in (True, False))
    return EngineStopReport(stopped, gone, "batchflow engine list")


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


def listing(settings: Settings) -> EngineListReport:
    """Lists the engines and models that are installed and those that are not."""
    inventory = engines.listing(settings)
    rows = tuple(
        EngineRow(info.name, info.installed, info.version, str(info.path) if info.path else None, info.note)
        for info in inventory
    )
    ready = all(row.installed for row in rows[:2])  # the embedded engine and its model; the others are a choice
    rows += tuple(
        EngineRow(
            server.name, server.runs, None, server.url, f"{server.engine} {'serves' if server.runs else 'served'}"
        )
        for server in serving.servers(settings.home)
    )
    return EngineListReport(rows, _PREPARE if ready else "batchflow engine install")
