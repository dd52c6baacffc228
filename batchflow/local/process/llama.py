"""The child process that hosts llama.cpp's server (the `xllamacpp` wheel) on a free loopback port.

    python -m batchflow.local.process.llama     < one JSON line: model, alias, slots, context, threads, key
                                        > one JSON line: url, version

It ends when its standard input closes, and the kernel kills it when its parent dies, even by `kill -9`. The key comes
by the pipe, never by the command line, which other users of the machine can read.

    python -m batchflow.local.process.llama '{"model": ..., "host": ..., "port": ...}'      (`engine serve`)

stays until it is told to end; the key comes by the environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

from batchflow import files

_PR_SET_PDEATHSIG = 1  # prctl(2), Linux


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends. Where there is no prctl, the pipe has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request was heard
        os._exit(0)


def serve(config: dict[str, Any]) -> tuple[Any, str]:
    """Start the server; its object, which has to stay alive, and its URL."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = config["model"]
    params.model_alias = {config["alias"]}  # else answers would name the file's path as their model
    params.hostnames = [config.get("host", "127.0.0.1")]
    params.port = config.get("port", 0)  # 0: the kernel picks a free one
    params.api_keys = [config["key"]]
    params.n_parallel = config["slots"]
    params.n_ctx = config["slots"] * config["context"]  # llama.cpp divides it among the slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config["threads"]
    params.ctx_shift = False  # a request that does not fit is an error, never a silently shortened prompt
    params.offline = True
    params.use_jinja = True
    params.ui = False
    params.verbosity = -1
    server = xllamacpp.Server(params)
    return server, server.listening_address


def stay(config: dict[str, Any]) -> None:
    """Host the server until a signal ends this process."""
    server, url = serve(config)
    print(f"listening at {url}", file=sys.stderr, flush=True)  # noqa: T201 - stderr is the log file
    while server:
        signal.pause()


def main() -> None:
    """Host the server until standard input closes."""
    if len(sys.argv) > 1:
        stay(files.loads(sys.argv[1]) | {"key": os.environ.pop("BATCHFLOW_SERVE_KEY")})
    os.set_inheritable(0, False)
    config = files.loads(sys.stdin.buffer.readline())
    die_with(config["parent"])
    import xllamacpp

    try:
        server, url = serve(config)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to hear it
        sys.stdout.buffer.write(files.dumps({"error": f"{type(error).__name__}: {error}"}) + b"\n")
        sys.stdout.buffer.flush()
        os._exit(1)
    sys.stdout.buffer.write(files.dumps({"url": url, "version": xllamacpp.__version__}) + b"\n")
    sys.stdout.buffer.flush()
    sys.stdin.buffer.read()
    del server
    os._exit(0)  # the server's threads may be in the middle of a token: nobody waits for it any more


if __name__ == "__main__":
    main()
