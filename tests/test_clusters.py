"""Templates of docs/clusters.md: Slurm's script with a stand-in for `srun`, the commands of Kubernetes' Job."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import click
import pytest
import yaml
from helpers.until import until

from batchflow.cli.main import cli

CLUSTERS = Path(__file__).parents[1] / "docs" / "clusters"
BATCHFLOW = """#!/bin/sh
echo "$@" >>"$CALLS"
[ "$1 $2" != "engine serve" ] || echo '{"name":"n","url":"http://0.0.0.0:4711/v1","pid":'"$SERVER"'}'
"""


@pytest.fixture
def allocation(tmp_path):
    """The script as one task of an allocation, its server, and the folder with batchflow's calls."""
    for name, text in {"srun": '#!/bin/sh\nshift\nexec "$@"\n', "batchflow": BATCHFLOW}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    server = subprocess.Popen(["sleep", "60"])
    environment = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "CALLS": str(tmp_path / "calls"),
        "SERVER": str(server.pid), "SLURM_JOB_ID": "7", "SLURM_PROCID": "2", "BATCHFLOW_PROJECT": "/p",
        "BATCHFLOW_LOCAL_API_KEY": "k", "MODEL": "m", "ENGINE_ARGS": "--engine-arg max-model-len=8192",
    }  # fmt: skip
    script = subprocess.Popen(["bash", CLUSTERS / "engines.sbatch"], env=environment, stderr=subprocess.PIPE)
    until(lambda: any(call.startswith("pool add") for call in calls(tmp_path)))
    yield script, server, tmp_path
    for process in (script, server):
        process.kill()
        process.wait()
    script.stderr.close()


def calls(folder):
    path = folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_a_task_of_slurm_joins_the_pool_and_leaves_it_at_the_end(allocation):
    script, _, folder = allocation
    host = subprocess.run(["hostname", "-f"], capture_output=True, text=True, check=True).stdout.strip()
    serve = (
        "engine serve --engine vllm --model m --name slurm-7-2 --host 0.0.0.0 --engine-arg max-model-len=8192 --json"
    )
    url = f"http://{host}:4711/v1"
    assert calls(folder) == [serve, f"pool add {url}"]
    script.send_signal(signal.SIGTERM)
    assert script.wait(10) == 0
    assert calls(folder)[2:] == [f"pool remove {url}", "engine stop slurm-7-2"]


def test_a_task_whose_server_has_ended_leaves_the_pool_and_fails(allocation):
    script, server, folder = allocation
    server.terminate()
    server.wait()
    assert script.wait(10) == 1
    assert b"the server ended" in script.stderr.read()
    assert [call.split()[1] for call in calls(folder)[2:]] == ["list", "remove", "stop"]


def test_the_job_of_kubernetes_runs_commands_that_exist():
    documents = {one["kind"]: one for one in yaml.safe_load_all((CLUSTERS / "kubernetes.yaml").read_text())}
    container = documents["Job"]["spec"]["template"]["spec"]["containers"][0]
    text = container["args"][0].replace("\\\n", " ")
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)
    typed = [shlex.split(one) for one in re.findall(r"batchflow ([^;\n]*)", text)]
    assert [words[0] for words in typed] == ["prepare", "pool", "start", "get", "results"]
    for words in typed:
        command = cli.get_command(click.Context(cli), words[0])
        if isinstance(command, click.Group):
            command = command.commands[words[1]]
        flags = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= flags, words
