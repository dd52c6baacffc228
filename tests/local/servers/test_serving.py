"""Servers that outlive their command: real llama.cpp with a tiny model, through the command line."""

import os
import signal
import socket
import stat
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from helpers.commands import Project

from batchflow.local.servers import serving


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "project", {"BATCHFLOW_HOME": str(tmp_path / "home")})
    yield made
    for server in serving.servers(tmp_path / "home"):
        if server.runs:
            os.kill(server.pid, signal.SIGKILL)


def asked(url, key=None):
    request = urllib.request.Request(
        f"{url}/chat/completions", b'{"messages":[{"role":"user","content":"q"}],"max_tokens":2}'
    )
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def listening(port):
    """Local addresses on which some process listens at this port (Linux: /proc/net/tcp, addresses in hex)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:] + Path("/proc/net/tcp6").read_text().splitlines()[1:]
    return {
        words[1].split(":")[0]
        for words in map(str.split, lines)
        if words[3] == "0A" and int(words[1].split(":")[1], 16) == port
    }


@pytest.mark.parametrize("engine", ["xllamacpp", "lmdeploy"])
def test_a_port_that_another_server_has_is_refused_before_anything_is_started(tmp_path, tiny_gguf, engine):
    """The other one would answer in place of ours, and be taken for it."""
    command = tmp_path / "lmdeploy"
    command.write_text("#!/bin/sh\nsleep 60\n")
    command.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    project = Project(tmp_path / "project", {"BATCHFLOW_HOME": str(tmp_path / "home"), "PATH": path})
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = project.refused(2, "engine", "serve", "--engine", engine, "--model", tiny_gguf, "--port", port)
    assert f"cannot listen on port {port} of 127.0.0.1: Address already in use" in said
    assert not list((tmp_path / "home").rglob("*.json"))


def test_a_host_that_is_not_this_machines_is_refused(project, tiny_gguf):
    said = project.refused(2, "engine", "serve", "--model", tiny_gguf, "--host", "203.0.113.7")
    assert "cannot listen on 203.0.113.7" in said


def test_a_server_from_serve_to_stop(project, tiny_gguf):
    made = project.ok("engine", "serve", "--model", tiny_gguf, "--name", "tiny", "--engine-arg", "context=1024")
    key_file = Path(made["key_file"])
    key = key_file.read_text().strip()
    assert len(key) >= 32
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file.parent.stat().st_mode) == 0o700
    assert (asked(made["url"]), asked(made["url"], "wrong"), asked(made["url"], key)) == (401, 401, 200)
    assert listening(int(made["url"].split(":")[2].split("/")[0])) == {"0100007F"}
    assert key not in Path(f"/proc/{made['pid']}/cmdline").read_text()
    assert key not in Path(made["log"]).read_text()
    listed = {row["name"]: row for row in project.ok("engine", "list")["engines"]}
    assert (listed["tiny"]["installed"], listed["tiny"]["path"]) == (True, made["url"])
    assert "already served" in project.refused(2, "engine", "serve", "--model", tiny_gguf, "--name", "tiny")

    batch = (
        "--provider",
        "local",
        "--base-url",
        made["url"],
        "--model",
        made["model"],
        "--limit",
        2,
        "--max-tokens",
        4,
    )
    name = project.ok("prepare", *batch)["name"]  # no key is set anywhere: the worker finds it
    project.ok("start", name)
    project.ok("get", name, "--wait", "--refresh-after", 0)
    assert sum(project.ok("results", name)["outcomes"].values()) == 2
    kept = [path for path in project.folder.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    assert kept == []
    rows = project.rows(f"results/{name}.jsonl")
    assert not any("401" in str(row["error"]) for row in rows)

    assert project.ok("engine", "stop", "tiny")["stopped"] == ["tiny"]
    assert not key_file.exists()
    assert serving._began(made["pid"]) == ""
    assert "no server is called 'tiny'" in project.refused(2, "engine", "stop", "tiny")


def test_a_server_that_was_killed_is_forgotten_and_its_name_is_free(project, tiny_gguf):
    made = project.ok("engine", "serve", "--model", tiny_gguf, "--name", "tiny")
    os.kill(made["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while serving._began(made["pid"]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert serving.key_for(Path(project.environment["BATCHFLOW_HOME"]), made["url"]) is None
    again = project.ok("engine", "serve", "--model", tiny_gguf, "--name", "tiny")
    assert again["pid"] != made["pid"]
    assert project.ok("engine", "stop")["stopped"] == ["tiny"]


def test_a_model_that_cannot_be_loaded_is_told_and_nothing_stays(project, tmp_path):
    (tmp_path / "bad.gguf").write_bytes(b"GGUF but not really")
    said = project.refused(8, "engine", "serve", "--model", tmp_path / "bad.gguf", "--name", "bad")
    assert "bad ended" in said
    home = Path(project.environment["BATCHFLOW_HOME"])
    assert [path.name for path in (home / "engines").iterdir()] == ["bad.log"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--engine", "vllm"), 2, "needs --model"),
        (("--engine", "lmdeploy", "--model", "m"), 8, "lmdeploy is not on the PATH"),
        (("--engine-arg", "colour=red"), 2, "no argument colour"),
        (("--model", "/nowhere.gguf"), 8, "no such model file"),
        (("--ready-within", "soon"), 2, "is not a duration"),
    ],
)
def test_what_cannot_be_served_is_refused(project, words, code, said):
    assert said in project.refused(code, "engine", "serve", *words)


def test_a_name_stays_inside_the_folder(project, tiny_gguf):
    assert "cannot be a file name" in project.refused(2, "engine", "serve", "--model", tiny_gguf, "--name", "../x")


def test_the_servers_that_are_not_here_get_flags_of_their_own_form():
    wish = serving.Wish(engine="vllm", model="org/m", arguments={"max_model_len": "1024", "enforce_eager": "true"})
    command = serving._command(wish, "org/m", "org/m", 8000, "the-key")
    assert command[-3:] == ["--max-model-len", "1024", "--enforce-eager"]
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert "the-key" not in command
