"""vLLM for real, on a CPU, with a tiny random checkpoint. Run by scripts/test-engines --vllm."""

import importlib.util
import json
import os
import time
from pathlib import Path

import pytest

from batchflow import settings
from batchflow.local.worker import work_off

_spec = importlib.util.spec_from_file_location("models", Path(__file__).with_name("models.py"))
models = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(models)
SMALL = {"max_model_len": "512", "max_num_seqs": "32", "enforce_eager": "true", "dtype": "bfloat16"}


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    return str(models.write_llama(tmp_path_factory.mktemp("llama")))


def test_a_job_is_worked_off_and_the_server_ends_with_it(place, llama, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    source = place.rows(60, max_tokens=8, temperature=0)
    source.write_text(source.read_text().replace('"model": "m"', f'"model": {json.dumps(llama)}'))
    folder = place.folder(60, source, engine="vllm", engine_args=SMALL, max_gpu_memory="1GiB")
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps(spec | {"model": llama}))
    assert work_off(folder, settings.load(place.project)) == "completed", place.progress(folder)
    rows = place.output(folder)
    assert len({row["custom_id"] for row in rows if row["response"]["status_code"] == 200}) == 60
    told = json.loads((folder / "engine.json").read_text())
    assert (told["engine"], told["arguments"], told["max_gpu_memory"]) == ("vllm", SMALL, "1GiB")
    deadline = time.monotonic() + 20
    while left := [path.name for path in Path("/proc").iterdir() if path.name.isdigit() and _runs(path.name, llama)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def _runs(pid, model):
    try:
        return pid != str(os.getpid()) and model.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
