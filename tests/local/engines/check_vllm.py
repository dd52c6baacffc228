"""vLLM for real, on a CPU, with a tiny random checkpoint. Run by scripts/test-engines --vllm."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchflow import settings
from batchflow.local.worker.worker import work_off

_spec = importlib.util.spec_from_file_location("models", Path(__file__).with_name("models.py"))
models = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(models)
SMALL = {"max_model_len": "512", "max_num_seqs": "32", "enforce_eager": "true", "dtype": "bfloat16"}
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green"]}, "many": {"enum": [1, 22]}},
    "required": ["colour", "many"],
    "additionalProperties": False,
}
WORKER = """
import pathlib, sys
from batchflow import settings
from batchflow.local.worker.worker import work_off
work_off(pathlib.Path(sys.argv[1]), settings.load(pathlib.Path(sys.argv[2])))
"""


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    return str(models.write_llama(tmp_path_factory.mktemp("llama")))


@pytest.fixture
def job(place, llama, monkeypatch):
    """Make the folder of a job of n rows."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def make(n, arguments=SMALL, body=None, **chosen):
        source = place.rows(n, **{"max_tokens": 8, "temperature": 0, **(body or {})})
        source.write_text(source.read_text().replace('"model": "m"', f'"model": {json.dumps(llama)}'))
        folder = place.folder(n, source, engine="vllm", engine_args=arguments, max_gpu_memory="1GiB", **chosen)
        spec = json.loads((folder / "spec.json").read_text())
        (folder / "spec.json").write_text(json.dumps(spec | {"model": llama}))
        return folder

    return make


@pytest.fixture(autouse=True)
def nothing_stays():
    """After each check every process of vLLM that was not there before it has ended."""
    before = engines()
    yield
    until(lambda: not engines() - before, 30)


def engines():
    """Ids of vLLM's processes; its inner ones have no command line but the title `VLLM::...`."""
    found = set()
    for path in Path("/proc").iterdir():
        try:
            words = (path / "cmdline").read_bytes() if path.name.isdigit() else b""
        except OSError:
            continue
        if words.startswith(b"VLLM::") or b"vllm.entrypoints" in words:
            found.add(path.name)
    return found


def until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def rows_of(folder):
    path = folder / "output.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_job_is_worked_off_by_a_schema_and_the_server_ends_with_it(place, job):
    form = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}
    folder = job(60, body={"max_tokens": 64, "response_format": form, "seed": 3, "temperature": 1.0})
    assert work_off(folder, settings.load(place.project)) == "completed", place.progress(folder)
    rows = place.output(folder)
    assert len({row["custom_id"] for row in rows if row["response"]["status_code"] == 200}) == 60
    told = json.loads((folder / "engine.json").read_text())
    assert (told["engine"], told["arguments"], told["max_gpu_memory"]) == ("vllm", SMALL, "1GiB")
    answers = [json.loads(row["response"]["body"]["choices"][0]["message"]["content"]) for row in rows]
    assert all(answer["colour"] in {"red", "green"} and answer["many"] in {1, 22} for answer in answers)


def test_completion_mode_asks_with_a_template(place, job):
    folder = job(8, mode="completion", template="chatml")
    assert work_off(folder, settings.load(place.project)) == "completed", place.progress(folder)
    bodies = [row["response"]["body"] for row in place.output(folder)]
    assert {body["object"] for body in bodies} == {"text_completion"}


def test_a_killed_worker_takes_vllm_along_and_another_one_goes_on(place, job):
    folder = job(200, SMALL | {"max_num_seqs": "2"}, {"max_tokens": 64, "ignore_eos": True})
    before = engines()
    with subprocess.Popen([sys.executable, "-c", WORKER, folder, place.project]) as worker:
        until(lambda: rows_of(folder) >= 3, 300)
        worker.kill()
    until(lambda: not engines() - before, 10)
    done = rows_of(folder)
    assert done < 200
    assert work_off(folder, settings.load(place.project)) == "completed", place.progress(folder)
    assert len({row["custom_id"] for row in place.output(folder)}) == len(place.output(folder)) == 200


def test_an_argument_that_vllm_has_not_is_told_in_its_words(place, job):
    folder = job(2, {"max_modellen": "3"})
    assert work_off(folder, settings.load(place.project)) == "stopped"
    assert "unrecognized arguments: --max-modellen" in place.progress(folder)["error"]
    assert rows_of(folder) == 0


def test_a_value_that_does_not_fit_is_told_in_its_words(place, job):
    folder = job(2, SMALL | {"max_model_len": "500000"})
    assert work_off(folder, settings.load(place.project)) == "stopped"
    assert "max_model_len (500000) is greater than" in place.progress(folder)["error"]
