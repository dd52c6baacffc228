"""Engines that Ray places: real llama.cpp with a tiny model on a small stand-in for Ray (helpers/stand_in_ray.py).

scripts/check-ray runs the same tests on Ray itself, with BATCHFLOW_TEST_RAY=1.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from helpers import stand_in_ray
from helpers.commands import Project
from helpers.until import until

from batchflow import settings
from batchflow.errors import EngineError
from batchflow.local.base.options import read
from batchflow.local.base.transport import TransportError
from batchflow.local.servers import ray_package
from batchflow.local.worker.endpoints import Pool
from batchflow.local.worker.lease import Unleased
from batchflow.local.worker.placed_engines import PlacedEngines
from batchflow.local.worker.server_endpoints import ServerEndpoints
from batchflow.local.worker.worker import work_off

VLLM = '''
"""vLLM's command, as far as a worker sees it: it answers with the question, and dies of the question `die` once."""
import http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.say({"data": [{"id": sys.argv[sys.argv.index("--served-model-name") + 1]}]})

    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]["content"]
        grave = os.path.join(os.environ["TEST_MARK"], "grave")
        if text == "die" and not os.path.exists(grave):
            open(grave, "w").close()
            print("torch.OutOfMemoryError: CUDA out of memory", flush=True)
            os._exit(1)
        message = {"role": "assistant", "content": "re: " + text}
        self.say({"model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]})

    def say(self, body):
        right = self.headers["authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
        data = json.dumps(body).encode()
        self.send_response(200 if right else 401)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(
    (sys.argv[sys.argv.index("--host") + 1], int(sys.argv[sys.argv.index("--port") + 1])), Handler
).serve_forever()
'''

REAL = os.environ.get("BATCHFLOW_TEST_RAY") == "1"  # read before the suite's conftest empties the environment
ROWS = 90
PATIENCE_S = 120.0
RAY = ("--engine", "ray", "--serve", "embedded", "--replicas", "2-2", "--rps", 25)


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """What only processes of this test have in their environment; and Ray, or what stands in for it."""
    if not REAL:
        path = str(stand_in_ray.written(tmp_path / "packages"))
        monkeypatch.syspath_prepend(path)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([path, str(Path.cwd())]))
        monkeypatch.setenv("STAND_IN_RAY_RESOURCES", '{"CPU": 2}')
    monkeypatch.setenv("TEST_MARK", str(tmp_path))
    yield f"TEST_MARK={tmp_path}".encode()
    until(lambda: not processes(f"TEST_MARK={tmp_path}".encode()), PATIENCE_S)


@pytest.fixture
def project(tmp_path, mark):
    made = Project(tmp_path / "project", {"BATCHFLOW_HOME": str(tmp_path / "home"), **environment(tmp_path)})
    with (made.folder / "d.jsonl").open("w") as out:
        for n in range(ROWS):
            out.write(json.dumps({"id": f"r{n}", "question": f"Say {n}.", "answer": "x"}) + "\n")
    return made


def environment(tmp_path):
    names = ("PYTHONPATH", "STAND_IN_RAY_RESOURCES")
    return {"TEST_MARK": str(tmp_path), **{name: os.environ[name] for name in names if name in os.environ}}


def processes(mark, words=b""):
    """Ids of this test's processes, this one left out; words: in the command line."""
    seen = set()
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            try:
                alive = (path / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
                ours = mark in (path / "environ").read_bytes().split(b"\0")
                if alive and ours and words in (path / "cmdline").read_bytes():
                    seen.add(int(path.name))
            except OSError:
                continue
    return seen


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def actors(mark):
    return {parent(pid) for pid in processes(mark, b"local.process.llama")}


def job(project):
    (folder,) = [path.parent for path in project.folder.glob("processed_files/.local/*/engine.json") if ray_made(path)]
    return folder


def ray_made(path):
    return json.loads(path.read_text())["engine"] == "ray"


def lines(project):
    try:
        return (job(project) / "output.jsonl").read_bytes().count(b"\n")
    except (ValueError, OSError):
        return 0


def answers(project, name):
    project.ok("get", name, "--wait")
    project.ok("results", name)
    rows = [json.loads(line) for line in (project.folder / "results" / f"{name}.jsonl").read_text().splitlines()]
    return {row["id"]: (row["outcome"], row["original"]["response"]["body"]["choices"]) for row in rows}


def test_rows_are_those_of_one_host_though_actors_and_the_worker_are_killed(project, mark, tiny_gguf):
    """Both actors are killed, so the rest is answered by replacements; then the worker, and another one goes on."""
    same = ("prepare", "--provider", "local", "--task", "qa", "--dataset", "d.jsonl", "--model", tiny_gguf,
            "--temperature", 0, "--max-tokens", 8, "--no-cache", "--engine-arg", "threads=1")  # fmt: skip
    project.ok(*same, "--engine", "embedded", "--concurrency", 1, "--name", "single")
    project.ok(*same, *RAY, "--concurrency", 2, "--name", "many")
    project.ok("start", "single")
    alone = answers(project, "single")
    project.ok("start", "many")
    until(lambda: lines(project) >= 10, PATIENCE_S)
    first = actors(mark)
    assert len(first) == 2
    listed = project.ok("pool", "list")["endpoints"]
    assert {row["state"] for row in listed} <= {"own"}
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    so_far = lines(project)
    until(lambda: lines(project) >= so_far + 20, PATIENCE_S)
    assert len(first | actors(mark)) > 2
    folder = job(project)
    os.kill(json.loads((folder / "progress.json").read_text())["pid"], signal.SIGKILL)
    until(lambda: not processes(mark), PATIENCE_S)  # engines, actors and the cluster of the worker's own end with it
    assert 0 < lines(project) < ROWS
    project.ok("start", "many")
    assert answers(project, "many") == alone
    assert {outcome for outcome, _ in alone.values()} == {"ok"}
    assert lines(project) == ROWS
    log = (folder / "worker.log").read_text()
    assert log.count("has ended: The actor died") >= 2
    assert "has joined the pool" in log
    engine = json.loads((folder / "engine.json").read_text())
    assert (engine["serve"], engine["served"][0]["model_file"], "before" in engine) == (
        "embedded",
        str(tiny_gguf),
        False,
    )
    until(lambda: not processes(mark), PATIENCE_S)


def test_an_engine_that_no_node_has_stops_the_job_with_the_nodes_reason(place, mark):
    folder = place.folder(2, engine="ray", gpus=0)
    assert work_off(folder, settings.load(place.project)) == "stopped"
    said = place.progress(folder)["error"]
    assert said.startswith("no replica could be started: the engine vllm is not installed")
    assert "pip install vllm" in said


def test_a_server_that_ends_by_itself_is_replaced_with_its_cause_told(place, mark, tmp_path, monkeypatch):
    packages = tmp_path / "more"
    module = packages / "vllm" / "entrypoints" / "cli" / "main.py"
    module.parent.mkdir(parents=True)
    module.write_text(VLLM)
    (packages / "vllm-9.dist-info").mkdir()
    (packages / "vllm-9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 9\n")
    paths = [str(packages), *os.environ.get("PYTHONPATH", str(Path.cwd())).split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    texts = [f"q{n}" for n in range(20)]
    texts.insert(5, "die")
    folder = place.folder(21, place.asking(texts), engine="ray", gpus=0, concurrency=2, engine_args={"seed": "1"})
    with (folder / "worker.log").open("wb") as log:
        command = [sys.executable, "-m", "batchflow.local.worker.worker", str(folder)]
        subprocess.run(command, stdout=log, stderr=log, check=True, timeout=PATIENCE_S)
    rows = [row["response"]["body"]["choices"][0]["message"]["content"] for row in place.output(folder)]
    assert sorted(rows) == sorted(f"re: {text}" for text in texts)
    assert (
        "has ended: vLLM ended by itself: torch.OutOfMemoryError: CUDA out of memory"
        in (folder / "worker.log").read_text()
    )
    engine = json.loads((folder / "engine.json").read_text())
    assert engine["served"] == [{"version": "9", "arguments": {"seed": "1"}, "max_gpu_memory": None}]


@pytest.mark.parametrize(
    ("options", "why", "hint"),
    [
        ({"gpus": 64}, "this machine is too small: a replica needs 64 GPUs and 1 CPUs", "--gpus 0"),
        ({"ray_address": "127.0.0.1:1"}, "no connection to Ray at 127.0.0.1:1: ", "ray start --address"),
        ({"ray_address": "auto"}, "no connection to Ray at auto: ", "ray start --address"),
    ],
)
def test_a_cluster_that_cannot_do_it_stops_the_job_before_anything_is_placed(place, mark, options, why, hint):
    folder = place.folder(2, engine="ray", **options)
    assert work_off(folder, settings.load(place.project)) == "stopped"
    said = place.progress(folder)["error"]
    assert said.startswith(why)
    assert hint in said
    assert "\n" not in said


def test_the_key_of_a_replica_reaches_no_file(place, mark, tiny_gguf, tmp_path):
    source = place.rows(4, max_tokens=4, temperature=0)
    folder = place.folder(4, source, engine="ray", serve="embedded", gguf=str(tiny_gguf), concurrency=1)
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps(spec | {"model": str(tiny_gguf)}))
    keys = []
    heard = PlacedEngines.hear

    def listening(self, event):
        heard(self, event)
        keys.extend(self.keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlacedEngines, "hear", listening)
        patch.setenv("OPENAI_API_KEY", "sk-of-a-vendor-0123456789")
        assert work_off(folder, settings.load(place.project)) == "completed", place.progress(folder)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert keys
    assert not [key for key in [*keys, "sk-of-a-vendor"] if key.encode() in written]
    again = place.folder(4, source, "u", engine="embedded", gguf=str(tiny_gguf), concurrency=1)
    (again / "spec.json").write_text((again / "spec.json").read_text().replace('"m"', json.dumps(str(tiny_gguf))))
    assert work_off(again, settings.load(place.project)) == "completed"
    assert place.progress(again)["cached"] == 4  # the same engine and model: what Ray's replicas answered is kept


def test_without_ray_it_is_told_what_to_install(place, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(ray_package.metadata, "version", missing)
    with pytest.raises(EngineError, match="the engine ray is not installed") as caught:
        ray_package.version()
    assert caught.value.hint == "pip install 'batchflow-eval[ray]'"


async def joined(server, servers, key):
    event = {"url": server.url, "key": key, "model": "m", "node": "n", "identity": ["e"], "facts": {"version": "1"}}
    servers.placed.hear({"joined": event})


def test_a_replica_at_the_address_of_a_dead_one_is_asked_with_its_own_key(tmp_path, mark, fault_server, act):
    """And nobody waits for what the dead one was asked, though its host has vanished without a word."""
    server = fault_server(lambda text, before: act(how="hang"))
    context = settings.load(tmp_path, {"BATCHFLOW_HOME": str(tmp_path / "home")})
    said = []
    servers = ServerEndpoints(read({"engine": "ray"}), "m", context, Unleased(), said.append, tmp_path / "pool.json")

    async def life():
        server.key = "first"
        await joined(server, servers, "first")
        servers.open_own()
        pool = Pool(servers.all, 60, asyncio.get_running_loop().time)
        body = b'{"messages": [{"content": "q"}]}'
        call = asyncio.create_task(servers.clients[0].post("/v1/chat/completions", body, PATIENCE_S))
        await asyncio.to_thread(until, lambda: server.bodies)
        server.key = "second"
        servers.placed.hear({"left": server.url, "why": "it died"})
        with pytest.raises(TransportError, match="has ended: it died"):
            await call
        await joined(server, servers, "second")
        assert await servers._adjust(pool, servers.asked())
        assert [(one.client.key, one.closed is None) for one in pool.endpoints] == [("first", False), ("second", True)]
        assert [key for key in servers.secrets() if key] == ["first", "second"]
        facts, known = await servers.identify()
        assert (facts["serve"], facts["served"], known) == ("vllm", [{"version": "1"}], frozenset({'["e"]'}))
        servers.close()

    asyncio.run(life())
    assert said[0].endswith("has ended: it died")
