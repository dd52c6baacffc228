"""Ray behind the protocol of `placement`: the only module that knows its API besides the replica itself.

Actors belong to this process (they are not detached), so Ray ends them with it, even after `kill -9`. A cluster of our
own ends too: its processes are in the group of this one.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchflow.errors import EngineError
from batchflow.local.cluster.placement import News
from batchflow.local.cluster.replica import Replica, Served, Wish
from batchflow.local.servers.ray_package import OWN

STORE_BYTES = 100_000_000  # of a cluster of our own, which keeps nothing in it; Ray takes a third of the memory
REACH_S = 10.0
FOLDER = "batchflow-ray-"
SHORT = Path("/tmp")  # noqa: S108 - paths of sockets have 107 bytes at most, and Ray's own parts take 70


@dataclass(frozen=True, slots=True)
class Needs:
    """Resources of a replica, and the cluster. address: of a cluster, or `local` for one of our own."""

    address: str
    gpus: float
    cpus: float


class RayCluster:
    """Replicas as actors of Ray's."""

    def __init__(self, needs: Needs, wish: Wish) -> None:
        """Join the cluster, or start one. Raises EngineError."""
        import ray

        self._ray: Any = ray
        self._needs, self._wish = needs, wish.plain()
        self._folder: Path | None = None
        self._actors: dict[Hashable, Any] = {}
        self._waited: dict[Any, tuple[Hashable, str]] = {}  # calls under way: whose, and which one
        try:
            self._connect()
        except Exception as error:
            self.close()
            raise EngineError(f"no connection to Ray at {needs.address}: {_line(error)}", hint=_hint(needs)) from error
        self._actor = ray.remote(Replica).options(
            num_gpus=needs.gpus, num_cpus=needs.cpus, max_restarts=0, max_task_retries=0
        )

    def _connect(self) -> None:
        _reach(self._needs.address)
        options: dict[str, Any] = {"address": self._needs.address, "log_to_driver": True, "logging_level": "warning"}
        if self._needs.address == OWN:
            _sweep()
            where = SHORT if SHORT.is_dir() else None
            self._folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-", dir=where))
            options |= {"_temp_dir": str(self._folder), "object_store_memory": STORE_BYTES, "include_dashboard": False}
        self._ray.init(**options)

    def launch(self) -> Hashable:
        """Ask for an actor."""
        actor = self._actor.remote()
        handle = str(actor._actor_id.hex())  # noqa: SLF001 - handles are compared by identity, and have no other name
        self._actors[handle] = actor
        self._waited[actor.node.remote()] = (handle, "node")
        return handle

    def news(self, timeout_s: float) -> list[News]:
        """Replies of actors, and their ends."""
        if not self._waited:
            time.sleep(timeout_s)
            return []
        self._ray.wait(list(self._waited), timeout=timeout_s)
        over, _ = self._ray.wait(list(self._waited), num_returns=len(self._waited), timeout=0)
        return [self._reply(call) for call in over]

    def _reply(self, call: Any) -> News:
        handle, name = self._waited.pop(call)
        actor = self._actors[handle]
        try:
            reply = self._ray.get(call)
        except self._ray.exceptions.RayError as error:
            return News(handle, why=_line(error))
        if name == "node":
            self._waited[actor.start.remote(self._wish)] = (handle, "start")
            return News(handle, node=reply)
        if name == "ended":
            return News(handle, why=reply)
        if "error" in reply:
            return News(handle, why=reply["error"], hint=reply["hint"])
        self._waited[actor.ended.remote()] = (handle, "ended")
        return News(handle, served=Served(**reply))

    def end(self, handle: Hashable) -> None:
        """Kill an actor; its engine ends with it."""
        actor = self._actors.pop(handle)
        self._waited = {call: waited for call, waited in self._waited.items() if waited[0] != handle}
        with suppress(Exception):  # it is dead already, or Ray is
            self._ray.kill(actor)

    def shortage(self) -> str:
        """Resources that a replica needs, and those that the cluster has."""
        there, free = self._ray.cluster_resources(), self._ray.available_resources()
        have = ", ".join(f"{free.get(name, 0):g} of {there.get(name, 0):g} {name}s free" for name in ("GPU", "CPU"))
        return f"a replica needs {self._needs.gpus:g} GPUs and {self._needs.cpus:g} CPUs; the cluster has {have}"

    def refuse_too_small(self) -> None:
        """Raise EngineError where a cluster of our own can never hold a replica: nobody adds nodes to it."""
        there = self._ray.cluster_resources()
        if self._needs.address == OWN and any(
            there.get(name, 0) < need for name, need in (("GPU", self._needs.gpus), ("CPU", self._needs.cpus))
        ):
            hint = "--gpus 0 for an engine that works on CPUs, or --ray-address of a cluster that has them"
            raise EngineError(f"this machine is too small: {self.shortage()}", hint=hint)

    def close(self) -> None:
        """End every actor, and the cluster where it is ours."""
        for handle in list(self._actors):
            self.end(handle)
        with suppress(Exception):
            self._ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _reach(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT: Ray would try for minutes, and then end this process."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()


def _line(error: Exception) -> str:
    """One line of what Ray says: the cause at the end of a remote traceback, else the first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return (lines[-1] if "Traceback" in str(error) else lines[0])[:500]


def _hint(needs: Needs) -> str:
    if needs.address == OWN:
        return "see worker.log"
    return "this host has to be a node of the cluster (ray start --address=HOST:6379): check --ray-address"


def _sweep() -> None:
    """Remove the folders of clusters of ours whose process was killed."""
    for path in SHORT.glob(f"{FOLDER}*"):
        pid = path.name.removeprefix(FOLDER).split("-")[0]
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except (ValueError, OSError):  # not our naming, or another user's
            continue
