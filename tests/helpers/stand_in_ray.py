"""As much of Ray's API as `local.cluster` calls, for tests: actors are processes of this machine, in no cluster.

`written(folder)` puts it there as a package `ray` with the version 0.0. What a test sets in STAND_IN_RAY_RESOURCES
({"CPU": 2}) is the cluster; an actor that finds no room waits. scripts/check-ray runs the same tests with Ray itself.
"""

from __future__ import annotations

from pathlib import Path

SOURCE = """
import concurrent.futures, json, multiprocessing, os, sys, threading, types

exceptions = types.SimpleNamespace(RayError=type("RayError", (Exception,), {}))
util = types.SimpleNamespace(get_node_ip_address=lambda: "127.0.0.1")
_spawned = multiprocessing.get_context("spawn")
_actors, _room = [], threading.Condition()


def _there():
    return json.loads(os.environ["STAND_IN_RAY_RESOURCES"])


def init(address, **options):
    if address != "local":
        raise ConnectionError("no such cluster\\nand more words")
    if os.environ.get("RAY_USAGE_STATS_ENABLED") != "0" or not os.environ.get("RAY_AUTH_TOKEN"):
        raise RuntimeError("reports, or an open door")


def shutdown():
    for actor in _actors:
        actor._end()


def cluster_resources():
    return {name: float(count) for name, count in _there().items()}


def available_resources():
    used = [actor._needs for actor in _actors if actor._placed and not actor._dead]
    return {name: count - sum(one.get(name, 0) for one in used) for name, count in cluster_resources().items()}


def remote(cls):
    return types.SimpleNamespace(options=lambda **needs: types.SimpleNamespace(remote=lambda: _Actor(cls, needs)))


def get(call):
    return call.result(0)


def wait(calls, num_returns=1, timeout=None):
    over, left = concurrent.futures.wait(calls, timeout, "FIRST_COMPLETED" if num_returns == 1 else "ALL_COMPLETED")
    return list(over), list(left)


def kill(actor):
    actor._end()


class _Actor:
    def __init__(self, cls, needs):
        self._actor_id = types.SimpleNamespace(hex=lambda: f"{id(self):x}")
        self._needs = {"CPU": needs["num_cpus"], "GPU": needs["num_gpus"]}
        self._placed = self._dead = False
        self._calls, self._process = [], None
        self._own, self._its = _spawned.Pipe()
        self._host = (cls, self._its)
        _actors.append(self)
        threading.Thread(target=self._live, daemon=True).start()

    def __getattr__(self, name):
        def call(*arguments):
            future = concurrent.futures.Future()
            with _room:
                if self._dead:
                    future.set_exception(exceptions.RayError("The actor is dead."))
                else:
                    self._calls.append(future)
                    self._own.send((name, arguments))
            return future
        return types.SimpleNamespace(remote=call)

    def _fits(self):
        free = available_resources()
        return all(free.get(name, 0) >= count for name, count in self._needs.items())

    def _live(self):
        with _room:
            _room.wait_for(lambda: self._dead or self._fits())
            if self._dead:
                return
            self._placed = True
            self._process = _spawned.Process(target=_serve, args=self._host, daemon=True)
            self._process.start()
            self._its.close()
        while not self._dead:
            try:
                reply = self._own.recv()
            except (EOFError, OSError):
                self._end()
            else:
                self._calls.pop(0).set_result(reply)

    def _end(self):
        with _room:
            self._dead = True
            if self._process is not None:
                self._process.kill()
            for call in self._calls:
                if not call.done():
                    call.set_exception(exceptions.RayError("The actor died unexpectedly.\\nWorker exit type: x"))
            _room.notify_all()


def _serve(cls, pipe):
    actor = cls()
    while True:
        name, arguments = pipe.recv()
        pipe.send(getattr(actor, name)(*arguments))
"""


def written(folder: Path) -> Path:
    """The folder, with the package in it."""
    (folder / "ray").mkdir(parents=True)
    (folder / "ray" / "__init__.py").write_text(SOURCE)
    info = folder / "ray-0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ray\nVersion: 0.0\n")
    return folder
