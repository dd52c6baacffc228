"""A loopback server that misbehaves on demand, and a tiny random model that real llama.cpp loads."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from helpers import mortal_server


@dataclass
class Act:
    """What the server does with one call."""

    status: int = 200
    body: object = None  # None: an ordinary answer
    headers: dict[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    how: str = "plain"  # plain | chunked | until_close | reset | garbage | hang | trickle | drip | cut


Behaviour = Callable[[str, int], Act]  # (last message's text, how often it was asked before) -> Act


class Gate:
    """Lets an answer leave only while `width` calls are inside; after `calls` calls it stands open for good.

    A client that sends nothing more before others have ended never gets on, however fast or slow the machine is. The
    oldest `slow` ones of a full window stay inside until the gate opens: they must hold up nobody. A call that waits in
    vain for the window to fill is counted in `starved`.
    """

    PATIENCE_S = 30.0

    def __init__(self, width: int, calls: int, slow: int = 0) -> None:
        self.width = width
        self.calls = calls
        self.slow = slow
        self.starved = 0
        self.filled_at = self.opened_at = 0.0
        self._came = 0
        self._inside: list[tuple[asyncio.AbstractEventLoop, asyncio.Future]] = []
        self._lock = threading.Lock()  # the servers that share a gate have a thread each

    async def leave(self) -> None:
        loop = asyncio.get_running_loop()
        word = loop.create_future()
        with self._lock:
            self._came += 1
            self._inside.append((loop, word))
            self._let_go()
        try:
            async with asyncio.timeout(self.PATIENCE_S):
                await word
        except TimeoutError:
            self.starved += 1
        finally:
            with self._lock:  # still there when its time was up, or its server went away
                self._inside = [other for other in self._inside if other[1] is not word]

    def _let_go(self) -> None:
        if self._came > self.calls:
            self.opened_at = self.opened_at or time.monotonic()
            going, self._inside = self._inside, []
        elif len(self._inside) == self.width:
            self.filled_at = self.filled_at or time.monotonic()
            going = [self._inside.pop(self.slow)]
        else:
            going = []
        for loop, word in going:
            loop.call_soon_threadsafe(_tell, word)


def _tell(word: asyncio.Future) -> None:
    if not word.done():  # its connection may have ended
        word.set_result(None)


class FaultServer:
    """OpenAI-shaped endpoint in a thread. Every call is counted by its text; the in-flight curve is kept."""

    def __init__(self, behave: Behaviour, key: str | None = None, gate: Gate | None = None) -> None:
        self.behave = behave
        self.key = key
        self.gate = gate
        self.models = ["m"]
        self.card: dict = {}  # what /models says of each besides its id
        self.extra: dict[str, dict] = {}  # what other paths say
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict] = []
        self.in_flight = 0
        self.curve: list[tuple[float, int]] = []
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task] = set()
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._do(self._start())

    def stop(self) -> None:
        """Stop listening and break every connection, as a server that dies does."""
        self._do(self._stop())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader, writer) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _exchange(self, reader, writer) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split("\r\n", 1)[0].split(" ")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head.split("\r\n")[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        if self.key and headers.get("authorization") != f"Bearer {self.key}":
            return await self._send(writer, Act(401, {"error": f"Unauthorized: {headers.get('authorization')}"}))
        if path.endswith("/models"):
            listed = {"object": "list", "data": [{"id": name, **self.card} for name in self.models]}
            return await self._send(writer, Act(body=listed))
        if path in self.extra:
            return await self._send(writer, Act(body=self.extra[path]))
        if method != "POST":
            return await self._send(writer, Act(404, {"error": {"message": "no such path"}}))
        return await self._answer(writer, path, json.loads(raw))

    async def _answer(self, writer, path: str, body: dict) -> bool:
        text = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
        before = self.asked[text]
        self.asked[text] += 1
        self.bodies.append(body)
        self._count(1)
        try:
            act = self.behave(text, before)
            if self.gate:
                await self.gate.leave()
            await asyncio.sleep(act.after_s)
            if act.body is None:
                act = Act(act.status, answer(text, text_only="prompt" in body), act.headers, how=act.how)
            return await self._send(writer, act)
        finally:
            self._count(-1)

    def mean_in_flight(self) -> float:
        """By time, from the moment when the gate was first full until it opened for good."""
        area = span = 0.0
        for (at, count), (until, _) in pairwise(self.curve):
            if self.gate.filled_at <= at < self.gate.opened_at:
                area += count * (until - at)
                span += until - at
        return area / span

    def _count(self, change: int) -> None:
        self.in_flight += change
        self.curve.append((time.monotonic(), self.in_flight))

    async def _send(self, writer, act: Act) -> bool:
        if act.how == "hang":
            await asyncio.sleep(3600)
        if act.how == "reset":
            return False
        if act.how == "garbage":
            writer.write(b"\x00\xffnot http at all\r\n\r\n")
            return False
        body = json.dumps(act.body).encode()
        extra = "".join(f"{k}: {v}\r\n" for k, v in act.headers.items())
        head = f"HTTP/1.1 {act.status} Word\r\nContent-Type: application/json\r\n{extra}"
        if act.how == "chunked":
            parts = [body[i : i + 7] for i in range(0, len(body), 7)]
            framed = b"".join(b"%x;x=1\r\n%b\r\n" % (len(part), part) for part in parts)
            writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + framed + b"0\r\nTrailer: x\r\n\r\n")
        elif act.how == "until_close":
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
            writer.close()
            return False
        elif act.how in {"trickle", "drip"}:  # slow, and too slow for any patience
            whole = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            size, pause_s = (40, 0.001) if act.how == "trickle" else (1, 0.02)
            for i in range(0, len(whole), size):
                writer.write(whole[i : i + size])
                await writer.drain()
                await asyncio.sleep(pause_s)
        elif act.how == "cut":
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[: len(body) // 2])
            await writer.drain()
            writer.close()
            return False
        else:
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True


def answer(text: str, *, text_only: bool = False) -> dict:
    said = {"text": f"re: {text}"} if text_only else {"message": {"role": "assistant", "content": f"re: {text}"}}
    usage = {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}
    return {"id": "c", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", **said}], "usage": usage}


@pytest.fixture
def act():
    return Act


@pytest.fixture
def gate():
    return Gate


@pytest.fixture
def fault_server() -> Iterator[Callable[..., FaultServer]]:
    servers: list[FaultServer] = []

    def make(
        behave: Behaviour = lambda text, before: Act(), key: str | None = None, gate: Gate | None = None
    ) -> FaultServer:
        servers.append(FaultServer(behave, key, gate))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


class MortalServer:
    """A server in a process of its own, on one port for all of its lives."""

    def __init__(self, calls: Path) -> None:
        self.port = 0
        self._calls = calls
        self.may_answer(0)
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def may_answer(self, number: int) -> None:
        """Give it leave for so many answers from now on; other calls wait."""
        told = self._calls.with_suffix(".new")
        told.write_text(f"{number} {time.monotonic_ns()}")
        told.replace(f"{self._calls}.leave")

    @property
    def asked(self) -> Counter[str]:
        """How often each text was asked, in all lives."""
        return Counter(self._calls.read_text().split())

    def start(self) -> None:
        command = [sys.executable, mortal_server.__file__, str(self.port), str(self._calls)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        assert self._process.wait(60) == -signal.SIGKILL
        self._process.stdout.close()


@pytest.fixture
def mortal(tmp_path) -> Iterator[MortalServer]:
    server = MortalServer(tmp_path / "calls")
    yield server
    server.kill()


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory) -> Path:
    """A random-weight llama model of 0.5 MB with one token per byte."""
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    write_tiny_gguf(path)
    return path


def write_tiny_gguf(path: Path, *, width=64, inner=128, layers=2, heads=2) -> None:
    import gguf
    import numpy as np

    special = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = {byte: chr(byte) for byte in plain}
    names |= {byte: chr(256 + n) for n, byte in enumerate(b for b in range(256) if b not in names)}
    tokens = special + [names[byte] for byte in range(256)]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([2, 3, 3, 3, 3] + [1] * 256)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(4)
    writer.add_unk_token_id(0)
    writer.add_chat_template(
        "{% for m in messages %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    rng = np.random.default_rng(0)

    def tensor(name: str, *shape: int) -> None:
        writer.add_tensor(name, (rng.standard_normal(shape) * 0.05).astype(np.float32))

    tensor("token_embd.weight", len(tokens), width)
    tensor("output.weight", len(tokens), width)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for layer in range(layers):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(width, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"blk.{layer}.{name}.weight", width, width)
        tensor(f"blk.{layer}.ffn_gate.weight", inner, width)
        tensor(f"blk.{layer}.ffn_up.weight", inner, width)
        tensor(f"blk.{layer}.ffn_down.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@dataclass
class Place:
    """A project folder with local jobs in it."""

    project: Path

    def rows(self, n: int, **body: object) -> Path:
        return self.asking([f"q{i}" for i in range(n)], **body)

    def asking(self, texts: list[str], **body: object) -> Path:
        path = self.project / "in.jsonl"
        with path.open("w") as out:
            for i, text in enumerate(texts):
                messages = [{"role": "user", "content": text}]
                line = {"custom_id": f"{i}-abc", "method": "POST", "url": "/v1/chat/completions"}
                out.write(json.dumps({**line, "body": {"model": "m", "messages": messages, **body}}) + "\n")
        return path

    def folder(self, n: int, source: Path | None = None, token: str = "t", **options: object) -> Path:
        import hashlib

        source = source or self.rows(n)
        folder = self.project / "processed_files" / ".local" / token
        folder.mkdir(parents=True, exist_ok=True)
        fast = {"backoff_s": "5ms", "backoff_cap_s": "50ms"}
        spec = {
            "version": 1,
            "input": str(source),
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            "requests": n,
            "model": "m",
            "options": {**fast, **options},
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        return folder

    def output(self, folder: Path) -> list[dict]:
        return [json.loads(line) for line in (folder / "output.jsonl").read_text("utf-8").splitlines()]

    def progress(self, folder: Path) -> dict:
        return json.loads((folder / "progress.json").read_text())


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)
