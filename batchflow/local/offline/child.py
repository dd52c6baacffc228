"""The child process that hosts an offline engine: `python -m batchflow.local.offline.child`.

    < one JSON line: engine, model, arguments, gpu_bytes, seats, parent; then {"i", "body"} per request
    > {"facts"} or {"error"}; then {"i", "status", "body"} per answer, in the order of completion

It ends when its standard input closes, and the kernel kills it when the worker dies. What libraries print on standard
output goes to standard error, which is the worker's log.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO

from batchflow import files
from batchflow.errors import BatchflowError
from batchflow.local.offline.base import Answer, Config, Engine, refusal, refuse_unfit
from batchflow.local.process.llama import die_with

LULL_S = 0.02  # so long without a new request, and those that are here are worked on


class Closed(Exception):
    """The worker has hung up."""


def load(config: Config) -> Engine:
    """The engine of a configuration. Raises EngineError, or whatever its library says."""
    module: Any = import_module(f"batchflow.local.offline.{config.engine}")
    engine: Engine = module.load(config)
    return engine


def work(engine: Engine, inbox: SimpleQueue[bytes], out: BinaryIO) -> None:
    """Answer what comes. Raises Closed when the worker hangs up."""
    while True:
        take(engine, inbox, out)
        if engine.busy:
            for answer in engine.step():
                send(out, answer)
            out.flush()


def take(engine: Engine, inbox: SimpleQueue[bytes], out: BinaryIO) -> None:
    """Hand everything that has come to the engine; wait for the first while it is idle, then for a lull."""
    line = inbox.get() if not engine.busy else _next(inbox, 0.0)
    wait = LULL_S if not engine.busy else 0.0
    while line is not None:
        if not line:
            raise Closed
        data = files.loads(line)
        try:
            engine.add(data["i"], data["body"])
        except ValueError as error:
            send(out, refusal(data["i"], 400, str(error)))
        line = _next(inbox, wait)
    out.flush()


def _next(inbox: SimpleQueue[bytes], wait_s: float) -> bytes | None:
    try:
        return inbox.get(timeout=wait_s) if wait_s else inbox.get_nowait()
    except Empty:
        return None


def send(out: BinaryIO, answer: Answer) -> None:
    """Write one answer."""
    out.write(files.dumps({"i": answer.index, "status": answer.status, "body": answer.body}) + b"\n")


def main() -> None:
    """Load the engine and work until standard input closes."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    config = files.loads(sys.stdin.buffer.readline())
    die_with(config.pop("parent"))
    try:
        wanted = Config(**config)
        engine = load(wanted)
        refuse_unfit(engine, wanted)
    except Exception as error:  # noqa: BLE001 - whatever it is, the worker has to hear it
        message = str(error) if isinstance(error, BatchflowError) else f"{type(error).__name__}: {error}"
        out.write(files.dumps({"error": message, "hint": getattr(error, "hint", "")}) + b"\n")
        out.flush()
        os._exit(1)
    out.write(files.dumps({"facts": engine.facts}) + b"\n")
    out.flush()
    inbox: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(inbox,), daemon=True).start()
    try:
        work(engine, inbox, out)
    except Closed:
        os._exit(0)  # libraries may hold threads that nobody waits for any more


def _listen(inbox: SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        inbox.put(line)
    inbox.put(b"")


if __name__ == "__main__":
    main()
