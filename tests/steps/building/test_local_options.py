"""The flags of local engines: what they become, and what is refused before anything is written."""

from __future__ import annotations

import base64
import io
import json

import pytest
from helpers.commands import Project
from helpers.engine import serving
from PIL import Image

from batchflow.ledger import batches
from batchflow.local.base import options as local

LOCAL = ("prepare", "--provider", "local", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--limit", 2)


def options(project, name):
    with project.ledger() as ledger, ledger.read() as tx:
        return dict(batches.get(tx, name).options)


def bodies(project, report):
    return [json.loads(line)["body"] for line in (project.folder / report["files"][0]).read_text("utf-8").splitlines()]


def nothing_was_made(project):
    return not [path for path in project.folder.rglob("processed_files/*") if path.is_file()]


def test_every_flag_reaches_the_job(project):
    made = project.ok(
        *(*LOCAL, "--concurrency", 8, "--per-endpoint", 4, "--rps", 2.5, "--tpm", 9000, "--timeout", "6000ms"),
        *("--retries", 3, "--max-retry-delay", "2m", "--wait-for-model", "--wait-timeout", "5m", "--wait-interval", 7),
        *("--mode", "completion", "--prompt-template", "r1", "--no-cache"),
    )
    assert options(project, made["name"]) == {
        "base_url": ["http://127.0.0.1:9/v1"],
        "concurrency": 8,
        "per_endpoint": 4,
        "rps": 2.5,
        "tpm": 9000.0,
        "timeout_s": "6000ms",
        "retries": 3,
        "backoff_cap_s": "2m",
        "wait_for_s": "5m",
        "wait_interval_s": "7",
        "mode": "completion",
        "template": "r1",
        "cache": False,
    }
    assert made["base_url"] == "http://127.0.0.1:9/v1"


def test_the_health_check_waits_an_hour_unless_told(project):
    made = project.ok(*LOCAL, "--wait-for-model")
    assert options(project, made["name"])["wait_for_s"] == "60m"


def test_engine_arguments_and_memory_reach_the_job(project):
    given = ("--engine", "vllm", "--engine-arg", "max-model-len=1024", "--engine-arg", "enforce_eager")
    made = project.ok("prepare", "--model", "org/m", "--provider", "local", *given, "--max-gpu-memory", "5GiB")
    kept = options(project, made["name"])
    assert kept["engine_args"] == {"max_model_len": "1024", "enforce_eager": "true"}
    assert kept["max_gpu_memory"] == "5GiB"
    assert "base_url" not in kept


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (("--timeout", "soon"), "timeout_s (--timeout): 'soon' is not a duration"),
        (("--timeout", "0"), "timeout_s (--timeout) has to be above 0"),
        (("--wait-for-model", "--wait-timeout", "0"), "--wait-timeout has to be above 0"),
        (("--wait-for-model", "--wait-interval", "0ms"), "--wait-interval) has to be above 0"),
        (("--mode", "telepathy"), "telepathy"),
        (("--prompt-template", "r1"), "completion mode"),
        (("--mode", "completion", "--prompt-template", "none-such"), "none-such"),
        (("--mode", "completion", "--system-prompt", "Be kind."), "belongs to chat mode"),
        (("--engine", "embedded"), "base URL"),
        (("--engine", "warp"), "warp"),
        (("--engine-arg", "threads=2"), "no argument threads"),
        (("--engine-arg", "=2"), "which one"),
        (("--max-gpu-memory", "5GiB"), "max-gpu-memory"),
        (("--wait-timeout", "5m"), "--wait-for-model"),
        (("--base-url", "http://user:pw@h/v1"), "user name or key"),
        (("--base-url", "http://h:8000/v1/chat/completions"), "is the URL of one call"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(project, flags, word):
    assert word in project.refused(2, *LOCAL, *flags)
    assert nothing_was_made(project)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (("--base-url", "http://127.0.0.1:9/v1"), "/v1/models"),
        (("--engine", "vllm"), "hub id"),
        (("--engine", "hf"), "hub id"),
    ],
)
def test_a_model_that_nobody_named_is_asked_of_no_server(project, flags, word):
    """Many servers answer whatever name they are asked for; the embedded model's would then stand in the ledger."""
    said = project.refused(2, "prepare", "--provider", "local", "--limit", 2, *flags)
    assert "name a model" in said
    assert word in said
    assert nothing_was_made(project)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (("--engine", "ray", "--serve", "hf"), "Ray places no engine 'hf'"),
        (("--engine", "ray", "--replicas", "4-2"), "--replicas 4-2: not a number of replicas"),
        (("--engine", "ray", "--gpus", "1.5"), "--gpus 1.5: a whole number, or a part of one GPU"),
        (("--engine", "ray", "--serve", "embedded", "--engine-arg", "max-model-len=9"), "embedded has no argument"),
        (("--engine", "vllm", "--replicas", "2", "--gpus", "1"), "--replicas, --gpus: for --engine ray, not for vllm"),
    ],
)
def test_what_ray_cannot_place_is_refused_before_anything_is_written(project, flags, word):
    assert word in project.refused(2, "prepare", "--provider", "local", "--model", "m.gguf", "--limit", 2, *flags)
    assert nothing_was_made(project)


def test_ray_takes_its_options_by_flag_and_by_variable_and_start_may_change_them(project):
    flags = ("--engine", "ray", "--serve", "llama", "--gpus", "0.5", "--engine-arg", "threads=3")
    project = Project(project.folder, {**project.environment, "BATCHFLOW_REPLICAS": "2-4"})
    made = project.ok("prepare", "--provider", "local", "--model", "m.gguf", "--limit", 2, *flags)
    kept = options(project, made["name"])
    assert {name: kept[name] for name in ("engine", "serve", "replicas", "gpus")} == {
        "engine": "ray",
        "serve": "llama",
        "replicas": "2-4",
        "gpus": 0.5,
    }
    read = local.read(kept)
    assert (read.works, read.window, read.endpoint_window, read.threads) == ("embedded", 8, 2, 3)
    said = project.run("start", made["name"], "--replicas", "8").err
    assert "replicas: 2-4 -> 8" in said


@pytest.mark.parametrize(
    ("engine", "argument", "word"),
    [
        ("hf", "dtype=half", "one of auto, float32, bfloat16, float16"),
        ("hf", "dtype", "one of auto"),
        ("hf", "batch_tokens=many", "a whole number above 0"),
        ("hf", "batch-rows=0", "batch_rows=0: a whole number above 0"),
        ("openvino", "prefix_caching=maybe", "one of true, false"),
        ("openvino", "cache_size=1.5", "a whole number above 0"),
    ],
)
def test_a_value_that_the_engine_would_choke_on_is_refused(project, engine, argument, word):
    given = ("prepare", "--provider", "local", "--model", "m", "--engine", engine, "--engine-arg", argument)
    assert word in project.refused(2, *given)
    assert nothing_was_made(project)


def test_a_template_file_is_kept_with_the_batch(project):
    """It may be changed or moved before a worker reads it: half of the rows would be asked otherwise."""
    path = project.folder / "few.toml"
    path.write_text('prompt = "Q: {input} A:"\nstop = ["Q:"]\n')
    project.ok(*LOCAL, "--name", "b", "--mode", "completion", "--prompt-template", path)
    path.unlink()
    assert json.loads(options(project, "b")["template"]) == {"prompt": "Q: {input} A:", "stop": ["Q:"], "system": ""}
    made = project.ok("show", "b")["made"]
    assert made["prompt_template"] == options(project, "b")["template"]
    assert made["template"] == "builtin:answer_llm.txt"  # the task's, which nothing hides


@pytest.mark.parametrize("size", ["5", "five GiB", "0GiB", "-1GiB"])
def test_a_size_needs_its_unit(project, size):
    given = ("prepare", "--provider", "local", "--model", "m", "--engine", "hf", f"--max-gpu-memory={size}")
    assert "is not a size" in project.refused(2, *given)


def test_other_vendors_take_none_of_them(project):
    said = project.refused(2, "prepare", "--provider", "openai", "--rps", 3, "--no-cache")
    assert "--rps, --no-cache: for --provider local, not for openai" in said


def test_environment_and_file_say_it_too(tmp_path):
    project = Project(tmp_path, {"BATCHFLOW_TIMEOUT": "9s"}, toml='[prepare]\ntimeout = "8s"\nrps = 4\n')
    made = project.ok(*LOCAL, "--rps", 5)
    assert (options(project, made["name"])["timeout_s"], options(project, made["name"])["rps"]) == ("9s", 5.0)


class TestAnEngineWithoutCalls:
    """Hf and openvino answer in their own process: a limit of a call would have nothing to act on."""

    @pytest.mark.parametrize("engine", ["hf", "openvino"])
    @pytest.mark.parametrize(
        "given", [("--timeout", "5m"), ("--retries", 0), ("--max-retry-delay", "9s"), ("--per-endpoint", 3)]
    )
    def test_refuses_what_is_about_tries(self, project, engine, given):
        said = project.refused(2, "prepare", "--provider", "local", "--engine", engine, "--model", "m", *given)
        assert f"the engine {engine} has no {given[0]}" in said
        assert "server, embedded, vllm" in said
        assert nothing_was_made(project)

    def test_refuses_it_from_the_environment_and_the_file(self, tmp_path):
        project = Project(tmp_path, {"BATCHFLOW_TIMEOUT": "9s"}, toml="[prepare]\nretries = 3\n")
        said = project.refused(2, "prepare", "--provider", "local", "--engine", "hf", "--model", "m")
        assert "has no --timeout, --retries" in said
        assert "BATCHFLOW_TIMEOUT, BATCHFLOW_RETRIES" in said

    def test_works_with_the_defaults(self, project):
        made = project.ok("prepare", "--provider", "local", "--engine", "hf", "--model", "m", "--limit", 2)
        assert options(project, made["name"])["engine"] == "hf"

    def test_other_engines_take_them(self, project):
        made = project.ok(*LOCAL, "--timeout", "5m", "--retries", 0)
        assert options(project, made["name"])["retries"] == 0


def test_a_system_prompt_stands_in_front_of_the_tasks_own(project):
    plain = bodies(project, project.ok(*LOCAL))[0]["messages"][0]["content"]
    mine = bodies(project, project.ok(*LOCAL, "--system-prompt", "Be kind.", "--name", "kind"))
    assert mine[0]["messages"][0]["content"] == f"Be kind.\n\n{plain}"


class TestPictures:
    def test_large_ones_are_resized(self, project):
        made = project.ok(*LOCAL, "--split", "vlm", "--max-image-pixels", 900)
        sizes = [
            Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2]))).size
            for body in bodies(project, made)
            for part in body["messages"][-1]["content"]
            if part["type"] == "image_url"
        ]
        assert len(sizes) == 2
        assert all(width * height <= 900 for width, height in sizes)

    def test_completion_mode_has_no_place_for_one(self, project):
        assert "text only" in project.refused(2, *LOCAL, "--split", "vlm", "--mode", "completion")
        assert nothing_was_made(project)


def test_a_jury_without_a_judge_of_ones_own_takes_none_of_them(project):
    made = project.ok(*LOCAL)
    assert project.run("jury", made["name"], "--judges", "rule:exact", "--rps", 3).code != 0


class TestJudges:
    TOML = """
[judges]
concurrency = 3
timeout = "5m"

[prepare]
rps = 99

[[panel]]
provider = "local"
model = "pooled"
base_url = "http://127.0.0.1:9/pool/v1"
concurrency = 7
temperature = 0.0
"""

    @pytest.fixture
    def answered(self, tmp_path):
        """A project with the results of two riddles."""
        project = Project(tmp_path / "project", toml=self.TOML)
        with serving("m") as server:
            name = project.ok("prepare", "--provider", "local", "--base-url", server.url, "--model", "m", "--limit", 2)
            project.ok("start", name["name"])
            project.ok("get", name["name"], "--wait", "--refresh-after", 0)
            project.ok("results", name["name"])
        return project, name["name"]

    def judged(self, answered, *flags):
        project, name = answered
        (made,) = project.ok("jury", name, *flags)["batches"]
        return options(project, made["name"])

    def test_flags_win(self, answered):
        given = ("--judges", "local:j", "--base-url", "http://127.0.0.1:9/v1", "--rps", 2, "--concurrency", 5)
        wanted = {"base_url": ["http://127.0.0.1:9/v1"], "rps": 2.0, "concurrency": 5, "timeout_s": "5m"}
        assert self.judged(answered, *given) == wanted

    def test_a_row_of_the_pool_wins_over_the_section(self, answered):
        kept = self.judged(answered, "--judges", "local:pooled")
        assert kept == {"base_url": "http://127.0.0.1:9/pool/v1", "concurrency": 7, "timeout_s": "5m"}

    def test_wrong_ones_are_refused(self, answered):
        project, name = answered
        assert "is not a duration" in project.refused(2, "jury", name, "--judges", "local:j", "--timeout", "soon")
        assert "judges of your own" in project.refused(2, "jury", name, "--judges", "rule:exact", "--rps", 3)
