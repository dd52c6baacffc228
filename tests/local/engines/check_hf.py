"""HF transformers for real, on tiny random checkpoints. Run by scripts/test-engines, which installs torch."""

import base64
import importlib.util
import io
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from batchflow import settings
from batchflow.local.offline import hf
from batchflow.local.offline.base import Config
from batchflow.local.worker import work_off

_spec = importlib.util.spec_from_file_location("models", Path(__file__).with_name("models.py"))
models = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(models)


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    return str(models.write_llama(tmp_path_factory.mktemp("llama")))


@pytest.fixture(scope="session")
def llava(tmp_path_factory):
    return str(models.write_llava(tmp_path_factory.mktemp("llava")))


@pytest.fixture(autouse=True)
def _warnings_of_libraries_are_theirs():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def engine(path, **arguments):
    return hf.load(Config("hf", path, {name: str(value) for name, value in arguments.items()}, None, 512))


def ask(text, **more):
    return {
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": text}],
        "max_tokens": 8,
        **more,
    }


def picture(colour, size=(64, 80)):
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def all_of(made):
    answers = {}
    while made.busy:
        answers |= {answer.index: answer for answer in made.step()}
    return answers


def texts(answers):
    return [answers[index].body["choices"][0]["message"]["content"] for index in sorted(answers)]


def bare(path, body):
    """The same with nothing but transformers: one row, greedy."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path)
    text = words.apply_chat_template(body["messages"], add_generation_prompt=True, tokenize=False)
    ids = words(text, add_special_tokens=False, return_tensors="pt")
    made = model.generate(**ids, max_new_tokens=body["max_tokens"], do_sample=False, pad_token_id=6)
    return words.decode(made[0][ids["input_ids"].shape[1] :], skip_special_tokens=True)


def test_each_answer_is_that_of_the_row_alone(llama):
    made = engine(llama, batch_tokens=600)
    bodies = [ask("word " * n) for n in (30, 1, 12, 7, 25, 2, 18)]
    for index, body in enumerate(bodies):
        made.add(index, body)
    answers = all_of(made)
    assert sorted(answers) == list(range(7))
    assert texts(answers) == [bare(llama, body) for body in bodies]
    used = answers[0].body["usage"]
    assert used["completion_tokens"] <= 8
    assert used["prompt_tokens"] > 150


def test_batches_are_sorted_by_length_and_kept_within_the_budget(llama):
    made = engine(llama, batch_tokens=1000)
    lengths = [random.Random(5).randrange(1, 300) for _ in range(60)]
    for index, length in enumerate(lengths):
        made.add(index, ask("x" * length))
    batches = []
    while made.busy:
        batches.append(made._take())
    assert sum(map(len, batches)) == 60
    for batch in batches:
        assert max(r.length for r in batch) + 8 <= 1000
        assert (max(r.length for r in batch) + 8) * len(batch) <= 1000 or len(batch) == 1
    spans = [(min(r.span for r in b), max(r.span for r in b)) for b in batches]
    assert all(before[0] >= after[1] for before, after in itertools.pairwise(spans))  # longest first, no overlap
    padded = sum(max(r.length for r in b) * len(b) for b in batches)
    assert padded < 1.3 * sum(r.length for b in batches for r in b)


def test_out_of_memory_halves_the_budget_and_no_row_is_lost(llama):
    made = engine(llama, batch_tokens=100_000)
    whole, sizes = made.model.generate, []

    def generate(**inputs):
        rows = inputs["input_ids"].shape[0]
        sizes.append(rows)
        if rows > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return whole(**inputs)

    made.model.generate = generate
    for index in range(20):
        made.add(index, ask(f"question {index}"))
    answers = all_of(made)
    assert {answers[index].status for index in range(20)} == {200}
    assert sizes[:2] == [20, 10]
    assert made.halvings == 3
    assert max(sizes[-5:]) <= 3


def test_a_row_that_is_too_large_alone_is_an_error_row_and_the_rest_go_on(llama):
    made = engine(llama, batch_tokens=100_000)
    whole = made.model.generate

    def generate(**inputs):
        if inputs["input_ids"].shape[1] > 200:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return whole(**inputs)

    made.model.generate = generate
    made.add(0, ask("x" * 500))
    made.add(1, ask("x"))
    answers = all_of(made)
    assert (answers[0].status, answers[1].status) == (413, 200)
    assert "out of memory" in answers[0].body["error"]["message"]


def test_a_seed_fixes_a_drawn_answer_whatever_it_sits_with(llama):
    made = engine(llama)
    drawn = ask("tell me", temperature=1.5, seed=7)
    made.add(0, drawn)
    alone = texts(all_of(made))
    for index in range(9):
        made.add(index, drawn if index == 4 else ask("y" * index, temperature=0.9, seed=index))
    assert texts(all_of(made))[4] == alone[0]
    made.add(0, ask("tell me", temperature=1.5, seed=8))
    assert texts(all_of(made)) != alone


def test_the_draws_have_the_right_odds():
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    rows = [hf.Waiting(0, "", [], 1, 1, 0.5, seed, ()) for seed in range(3000)]
    counts = [0, 0, 0]
    for row in rows:
        counts[int(hf._Noise([row])(None, logits.clone()).argmax())] += 1
    wanted = torch.softmax(logits[0] / 0.5, 0)
    assert [n / 3000 for n in counts] == pytest.approx(wanted.tolist(), abs=0.03)


def test_base_models_go_on_from_a_prefix_and_stop_at_a_word(llama, tmp_path):
    path = str(models.write_llama(tmp_path / "base", chat=None))
    made = engine(path)
    with pytest.raises(ValueError, match="--mode completion"):
        made.add(0, ask("q"))
    made.add(0, {"prompt": "Q: a\nA: b\n\nQ: c\nA:", "max_tokens": 40})
    (whole,) = texts(all_of(made))
    stop = whole[5:7]
    made.add(0, {"prompt": "Q: a\nA: b\n\nQ: c\nA:", "max_tokens": 40, "stop": [stop]})
    answers = all_of(made)
    assert texts(answers) == [whole[: whole.find(stop)]]
    assert answers[0].body["choices"][0]["finish_reason"] == "stop"


def test_a_prompt_beyond_the_context_is_refused(llama):
    with pytest.raises(ValueError, match="context 2048"):
        engine(llama).add(0, ask("x" * 3000))


def test_a_text_model_refuses_a_picture(llama):
    with pytest.raises(ValueError, match="text only"):
        engine(llama).add(0, ask([picture("red"), {"type": "text", "text": "what?"}]))


def test_pictures_reach_an_image_text_model(llava):
    made = engine(llava)
    for index, colour in enumerate(["red", "blue", "red"]):
        made.add(index, ask([picture(colour), {"type": "text", "text": "What is this?"}], max_tokens=12))
    made.add(3, ask("no picture"))
    answers = all_of(made)
    assert {answer.status for answer in answers.values()} == {200}
    first, second, third, _ = texts(answers)
    assert first == third
    assert first != second
    assert answers[0].body["usage"]["prompt_tokens"] > answers[3].body["usage"]["prompt_tokens"]


@pytest.mark.parametrize("url", ["http://127.0.0.1/x.png", "data:image/png;base64,AAAA", "data:image/png;base64,!!"])
def test_a_broken_picture_is_refused_by_row(llava, url):
    with pytest.raises(ValueError, match="picture"):
        engine(llava).add(0, ask([{"type": "image_url", "image_url": {"url": url}}]))


def test_gpu_memory_without_a_gpu_is_refused(llama):
    if torch.cuda.is_available():
        made = hf.load(Config("hf", llama, {}, 5 << 30, 512))
        assert made.model.device.type == "cuda"
        return
    with pytest.raises(Exception, match="no GPU is here"):
        hf.load(Config("hf", llama, {}, 5 << 30, 512))


# ---- as a job


def job(place, llama, n, **options):
    folder = place.folder(n, place.rows(n, max_tokens=8), engine="hf", **options)
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps(spec | {"model": llama}))
    return folder


def test_a_job_of_many_rows_is_worked_off(place, llama):
    folder = job(place, llama, 200, concurrency=64)
    assert work_off(folder, settings.load(place.project)) == "completed"
    rows = place.output(folder)
    assert {row["custom_id"] for row in rows} == {f"{i}-abc" for i in range(200)}
    assert all(row["response"]["status_code"] == 200 for row in rows)
    told = json.loads((folder / "engine.json").read_text())
    assert (told["engine"], told["device"], told["concurrency"]) == (
        "hf",
        "cpu" if not torch.cuda.is_available() else "cuda:0",
        64,
    )
    assert told["version"]


def test_an_engine_that_is_killed_stops_the_job_and_the_rest_can_follow(place, llama):
    folder = job(place, llama, 300, concurrency=32, engine_args={"batch_rows": "4"})
    log = (folder / "worker.log").open("ab")
    worker = subprocess.Popen([sys.executable, "-m", "batchflow.local.worker", str(folder)], stdout=log, stderr=log)
    deadline = time.monotonic() + 120
    while not (folder / "output.jsonl").exists() or (folder / "output.jsonl").read_bytes().count(b"\n") < 20:
        assert time.monotonic() < deadline
        assert worker.poll() is None, (folder / "worker.log").read_text()
        time.sleep(0.02)
    os.kill(int(Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()[0]), signal.SIGKILL)
    assert worker.wait(30) == 1
    log.close()
    assert "ended in the middle" in place.progress(folder)["error"]
    assert work_off(folder, settings.load(place.project)) == "completed"
    rows = place.output(folder)
    assert len(rows) == len({row["custom_id"] for row in rows}) == 300


def test_a_model_that_is_not_there_is_told(place):
    folder = job(place, "/nowhere/model", 2)
    assert work_off(folder, settings.load(place.project)) == "stopped"
    assert "did not load" in place.progress(folder)["error"]
