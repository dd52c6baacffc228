"""The process that keeps replicas for a worker; Ray is imported in here, and nowhere else on the worker's side.

    python -m batchflow.local.cluster.child     < one JSON line: what is wanted
                                                > JSON lines: joined, left, note, failed

It ends when its standard input closes. Keys go through the pipe only.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from batchflow import files
from batchflow.errors import BatchflowError
from batchflow.local.cluster.placement import Joined, Left, Note, Placement
from batchflow.local.cluster.ray_cluster import Needs, RayCluster
from batchflow.local.cluster.replica import Wish
from batchflow.records import Json


def events(config: Json, over: threading.Event) -> Iterator[Json]:
    """Events of the replicas, until it is over. The last event is `failed` where they cannot be kept."""
    try:
        cluster = RayCluster(Needs(**config["needs"]), Wish(**config["wish"]))
        try:
            cluster.refuse_too_small()
            placement = Placement(cluster, (config["fewest"], config["most"]), config["patience_s"], time.monotonic)
            while not over.is_set():
                yield from map(_event, placement.step())
        finally:
            cluster.close()
    except BatchflowError as error:
        yield {"failed": str(error), "hint": error.hint}
    except Exception as error:  # noqa: BLE001 - whatever Ray raises, the worker has to hear it
        yield {"failed": f"Ray: {type(error).__name__}: {error}", "hint": "see worker.log"}


def _event(news: Joined | Left | Note) -> Json:
    match news:
        case Joined(served):
            return {"joined": asdict(served)}
        case Left(url, why):
            return {"left": url, "why": why}
        case Note(text):
            return {"note": text}


def _wait_for_end(over: threading.Event) -> None:
    with suppress(OSError):
        while os.read(0, 1 << 16):  # not `sys.stdin`, whose lock would be held when this process ends
            continue
    over.set()


def main() -> None:
    """Tell the events until standard input closes."""
    out: Any = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # Ray prints what actors say
    config = files.loads(sys.stdin.buffer.readline())
    over = threading.Event()
    threading.Thread(target=_wait_for_end, args=(over,), daemon=True).start()
    with suppress(BrokenPipeError):
        for event in events(config, over):
            out.write(files.dumps(event) + b"\n")


if __name__ == "__main__":
    main()
