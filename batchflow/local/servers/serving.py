"""Servers that `batchflow engine serve` starts and `engine stop` ends: they outlive the command and serve many batches.

Each has a state file and a key file in `<home>/engines/`, readable by their owner only. The key is never on a command
line where the engine allows it; a worker whose base URL is one of these servers reads the key file by itself.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import util
from ipaddress import ip_address
from pathlib import Path

from batchflow import files
from batchflow.errors import EngineError, UsageError
from batchflow.local.base import options
from batchflow.local.base.transport import Client, TransportError
from batchflow.local.process import llama
from batchflow.local.servers import engines, vllm
from batchflow.settings import Settings

KEY_VARIABLE = "BATCHFLOW_SERVE_KEY"
READY_S = 1800.0  # a large model from a slow disk, compiled on its first start
STOP_S = 15.0
LOOK_S = 0.1
LOG_END = 64 << 10  # bytes of a log to find the cause of its end in
KINDS = ("xllamacpp", "vllm", "lmdeploy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Server to start. port 0: any free one. arguments: further flags of the engine, by name without dashes."""

    engine: str = "xllamacpp"
    model: str = ""
    name: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    arguments: Mapping[str, str] = field(default_factory=dict)
    ready_s: float = READY_S


@dataclass(frozen=True, slots=True)
class Server:
    """One managed server. began: what the kernel says about its start, so that a reused pid is not taken for it."""

    name: str
    engine: str
    model: str
    url: str
    pid: int
    began: str
    log: str

    @property
    def runs(self) -> bool:
        """True while its process lives."""
        return bool(self.began) and _began(self.pid) == self.began


def folder(home: Path) -> Path:
    """Folder of the state files, readable by its owner only."""
    path = home / "engines"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def servers(home: Path) -> Iterator[Server]:
    """Every server that was started and not stopped, whether it still lives or not."""
    for path in sorted((home / "engines").glob("*.json")):
        with suppress(OSError, ValueError, TypeError):
            yield Server(**files.loads(path.read_bytes()))


def key_file(home: Path, name: str) -> Path:
    """Path of a server's key."""
    return home / "engines" / f"{name}.key"


def key_for(home: Path, url: str) -> str | None:
    """The key of the living managed server behind a base URL, or None."""
    for server in servers(home):
        if server.url == url.rstrip("/") and server.runs:
            with suppress(OSError):
                return key_file(home, server.name).read_text("utf-8").strip()
    return None


def serve(settings: Settings, wish: Wish, say: Callable[[str], None]) -> Server:
    """Start a server and wait until it answers. Raises UsageError, and EngineError with the last words of its log."""
    _check(wish)
    model = _model(settings, wish)
    name = wish.name or f"{wish.engine}-{Path(model).stem.lower()}"
    if not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise UsageError(f"the name {name!r} cannot be a file name", hint="letters, digits, - _ . with --name")
    home = settings.home
    _make_room(home, name)
    port = _port(wish)
    served = Path(model).stem if wish.engine == "xllamacpp" else model
    key = _make_key(settings, home, name)
    log = folder(home) / f"{name}.log"
    command = _command(wish, model, served, port, key)
    pid = _detach(command, log, _environment(wish.engine, settings, key))
    server = Server(name, wish.engine, served, f"http://{_url_host(wish.host)}:{port}/v1", pid, _began(pid), str(log))
    with files.replacing(folder(home) / f"{name}.json") as out:
        os.fchmod(out.fileno(), 0o600)
        out.write(files.dumps(asdict(server)))
    try:
        asyncio.run(_ready(server, wish, port, key, say))
    except BaseException:
        stop(settings, name)
        raise
    return server


def stop(settings: Settings, name: str) -> bool:
    """End a server and forget it; False when it had ended by itself. Raises UsageError for an unknown name."""
    home = settings.home
    matches = [server for server in servers(home) if server.name == name]
    if not matches:
        there = ", ".join(server.name for server in servers(home)) or "none"
        raise UsageError(f"no server is called {name!r}", hint=f"servers: {there}")
    ran = matches[0].runs
    if ran:
        _end(matches[0])
    for path in (folder(home) / f"{name}.json", key_file(home, name)):
        path.unlink(missing_ok=True)
    return ran


# ---- starting


def _check(wish: Wish) -> None:
    if wish.engine not in KINDS:
        raise UsageError(f"engine serve: {wish.engine!r} is no server", hint=f"use {', '.join(KINDS)}")
    if wish.engine != "xllamacpp" and not wish.model:
        raise UsageError(f"engine serve: {wish.engine} needs --model", hint="a path or a hub id")
    if wish.engine == "vllm":
        options.check_ours(wish.arguments)
        vllm.check_model(wish.model)
        if util.find_spec("vllm") is None:
            raise EngineError("vllm is not installed in this environment", hint="pip install vllm")
    if wish.engine == "lmdeploy" and shutil.which("lmdeploy") is None:
        raise EngineError("lmdeploy is not on the PATH", hint="pip install lmdeploy")
    unknown = sorted(set(wish.arguments) - {"slots", "context", "threads"}) if wish.engine == "xllamacpp" else ()
    if unknown:
        raise UsageError(f"xllamacpp has no argument {', '.join(unknown)}", hint="it takes slots, context, threads")


def _port(wish: Wish) -> int:
    """The port to listen on, which is free now. Raises UsageError where one cannot listen.

    Asked before the engine is: whoever has the port would be taken for our server that is ready.
    """
    try:
        return vllm.free_port(wish.host, wish.port)
    except OSError as error:
        where = f"port {wish.port} of {wish.host}" if wish.port else wish.host
        taken = error.errno == errno.EADDRINUSE
        hint = "another --port, or none for a free one" if taken else "--host is an address of this machine"
        raise UsageError(f"engine serve: cannot listen on {where}: {error.strerror}", hint=hint) from None


def _model(settings: Settings, wish: Wish) -> str:
    if wish.engine != "xllamacpp":
        return wish.model
    engines.engine_version()
    return str(engines.find_model(settings, wish.model or engines.MODEL).resolve())


def _make_room(home: Path, name: str) -> None:
    """Refuse a name that is served already; forget one whose server has ended."""
    for server in servers(home):
        if server.name == name and server.runs:
            raise UsageError(f"{name} is already served at {server.url}", hint=f"batchflow engine stop {name}")
    key_file(home, name).unlink(missing_ok=True)


def _make_key(settings: Settings, home: Path, name: str) -> str:
    """The user's own key for local servers where one is set, else a random one; in a file of its owner's only."""
    own = settings.key("local")
    key = own.reveal() if own else secrets.token_urlsafe(32)
    folder(home)
    handle = os.open(key_file(home, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(key + "\n")
    return key


def _url_host(host: str) -> str:
    """The host that a client on this machine calls."""
    with suppress(ValueError):
        address = ip_address(host)
        if address.is_unspecified:
            return "127.0.0.1" if address.version == 4 else "[::1]"
        return host if address.version == 4 else f"[{host}]"
    return host


def _command(wish: Wish, model: str, served: str, port: int, key: str) -> list[str]:
    if wish.engine == "xllamacpp":
        numbers = {name: _whole(name, text) for name, text in wish.arguments.items()}
        config = {"model": model, "alias": served, "host": wish.host, "port": port, "slots": 2, "context": 4096}
        config["threads"] = engines.threads(numbers.get("threads", 0))
        return [sys.executable, "-m", llama.__name__, files.dumps(config | numbers).decode()]
    if wish.engine == "vllm":
        return vllm.held(0, vllm.command(model, wish.host, port, wish.arguments))
    start = ["lmdeploy", "serve", "api_server", model, "--model-name", served, "--server-name", wish.host]
    secret = ["--server-port", str(port), "--api-keys", key]  # it knows no other way for the key
    return vllm.held(0, [*start, *secret, *vllm.flags(wish.arguments)])


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not int(text):
        raise UsageError(f"--engine-arg {name}={text}: a whole number above 0 is needed")
    return int(text)


def _environment(engine: str, settings: Settings, key: str) -> dict[str, str]:
    """Environment of the server: no vendor's key, and its own where it reads one from there."""
    hidden = set(settings.secrets())
    clean = {name: value for name, value in os.environ.items() if value not in hidden}
    return {**clean, KEY_VARIABLE: key} if engine == "xllamacpp" else vllm.environment(clean, key)


def _detach(command: list[str], log: Path, environment: Mapping[str, str]) -> int:
    """Start a process that outlives this one, in a session of its own; its pid."""
    with log.open("wb") as out:
        log.chmod(0o600)
        done = subprocess.run(
            ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=out,
            env=dict(environment),
            start_new_session=True,
            check=False,
        )
    if done.returncode or not done.stdout.strip().isdigit():
        raise EngineError(f"{command[0]} cannot be started", hint=f"see {log}")
    return int(done.stdout)


async def _ready(server: Server, wish: Wish, port: int, key: str, say: Callable[[str], None]) -> None:
    """Until it answers: llama.cpp's /health is 503 while it loads, the others listen only when they are ready."""
    client = Client(f"http://{_url_host(wish.host)}:{port}/v1", key)
    deadline = time.monotonic() + wish.ready_s
    path = "/health" if wish.engine == "xllamacpp" else f"{client.root}/models"
    say(f"waiting for {server.name} at {server.url}")
    try:
        while True:
            if not server.runs:
                raise EngineError(f"{server.name} ended: {_last_words(server)}", hint=f"see {server.log}")
            with suppress(TransportError):
                if (await client.get(path, 10.0)).status == 200:
                    return
            if time.monotonic() > deadline:
                raise EngineError(f"{server.name} is not ready after {wish.ready_s:g} s", hint=f"see {server.log}")
            await asyncio.sleep(LOOK_S)
    finally:
        client.close()


def _last_words(server: Server) -> str:
    """Finds the cause in its log, else returns the last line."""
    with suppress(OSError):
        lines = files.end(Path(server.log), LOG_END).decode("utf-8", "replace").split("\n")
        last = next((line.strip()[:500] for line in reversed(lines) if line.strip()), "without a word")
        return vllm.complaint(lines) or last
    return "without a word"


# ---- stopping


def _end(server: Server) -> None:
    """Ask the server's process group to end, then make it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(os.getpgid(server.pid), number)  # the session that it was started in: its helpers too
        deadline = time.monotonic() + STOP_S
        while server.runs and time.monotonic() < deadline:
            time.sleep(0.05)
        if not server.runs:
            return
    raise EngineError(f"{server.name} (process {server.pid}) does not end", hint=f"kill -9 {server.pid}")


def _began(pid: int) -> str:
    """Start time of a process, by the kernel; empty for a process that has ended (a zombie too)."""
    try:  # proc(5): after the name in parentheses, the state is the first field and the start time the 20th
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if words[0] in {"Z", "X"} else words[19]
    except FileNotFoundError:
        return _began_by_ps(pid)
    except (OSError, IndexError):
        return ""


def _began_by_ps(pid: int) -> str:
    """The same where there is no /proc; empty where the process is gone."""
    if Path("/proc/self/stat").exists():
        return ""
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.strip()
