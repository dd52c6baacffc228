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
from batchflow.errors import EngineError
from batchflow.local.offline import continuous_batching, device_placement, hf
from batchflow.local.offline.base import Config
from batchflow.local.worker.worker import work_off

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


MIXED = [(30, 4), (1, 90), (12, 17), (7, 1), (25, 33), (2, 60), (18, 8), (18, 8), (3, 90), (44, 2), (9, 40), (9, 5)]


def mixed(**more):
    """Rows whose prompts and answers differ in length."""
    return [ask(f"{n} " + "word " * words, max_tokens=most, **more) for n, (words, most) in enumerate(MIXED)]


def test_rows_leave_and_join_and_each_answer_is_that_of_the_row_alone(llama):
    made = engine(llama, batch_tokens=1200)
    for index, body in enumerate(mixed()):
        made.add(index, body)
    sizes = []
    answers = {}
    while made.busy:
        answers |= {answer.index: answer for answer in made.step()}
        sizes.append(len(made._live.rows) if made._live else 0)
    assert made.rolls
    assert len(sizes) > 3
    assert texts(answers) == [bare(llama, body) for body in mixed()]
    assert all(answers[n].body["usage"]["completion_tokens"] <= most for n, (_, most) in enumerate(MIXED))


def test_short_rows_come_and_go_while_a_long_one_is_under_way(llama):
    made = engine(llama, batch_tokens=2000, batch_rows=4)
    made.add(0, ask("x" * 100, max_tokens=120))
    for index in range(1, 31):
        made.add(index, ask(f"x{index}", max_tokens=3))
    order = []
    while made.busy:
        order += [answer.index for answer in made.step()]
    assert sorted(order) == list(range(31))
    assert order[-1] == 0


def test_drawn_answers_do_not_change_when_rows_leave_and_join(llama):
    drawn = mixed(temperature=1.2, seed=5)
    made = engine(llama, batch_tokens=1200)
    for index, body in enumerate(drawn):
        made.add(index, body)
    together = texts(all_of(made))
    alone = []
    for body in drawn:
        made.add(0, body)
        alone += texts(all_of(made))
    assert together == alone


def test_a_model_that_forgets_goes_in_static_batches(tmp_path):
    path = str(models.write_mistral(tmp_path / "mistral"))
    made = engine(path, batch_tokens=1200)
    for index, body in enumerate(mixed()):
        made.add(index, body)
    answers = all_of(made)
    assert not made.rolls
    assert texts(answers) == [bare(path, body) for body in mixed()]


def test_samples_of_one_prompt_go_together_without_padding(llama):
    made = engine(llama)
    for index in range(40):
        made.add(index, ask("the same for all", temperature=1.0, seed=index))
    batch = made._take()
    assert [row.index for row in batch] == list(range(40))
    assert {row.length for row in batch} == {batch[0].length}
    made._pool += batch
    assert len(set(texts(all_of(made)))) > 20


def short_of_memory(path, spare_mib, rows):
    """What an engine says in a process that may take so many MiB more; 0: as much as it likes."""
    command = [sys.executable, str(Path(__file__).with_name("short_of_memory.py")), path, str(spare_mib)]
    done = subprocess.run(
        [*command, json.dumps(rows)], capture_output=True, text=True, check=False, timeout=300,
        env={"PYTHONPATH": str(Path(hf.__file__).parents[3]), "PATH": os.defpath},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("spare_mib", "row"),
    [pytest.param(40, [300, 8], id="while prompts are read"), pytest.param(48, [5, 300], id="while answers grow")],
)
def test_where_memory_does_not_suffice_the_budget_is_halved_and_no_row_is_lost(llama, spare_mib, row):
    rows = [row] * 200
    plenty, little = short_of_memory(llama, 0, rows), short_of_memory(llama, spare_mib, rows)
    assert (plenty["halvings"], plenty["budget"]) == (0, 1_000_000)
    assert little["halvings"] >= 1
    assert little["budget"] < 200 * sum(row)
    assert len(little["answers"]) == 200
    assert sorted(little["answers"]) == sorted(plenty["answers"])
    assert {status for _, status, _ in little["answers"]} == {200}


def test_a_row_that_is_too_large_alone_is_an_error_row_and_the_rest_go_on(llama):
    said = short_of_memory(llama, 4, [[1900, 8], *[[20, 8]] * 5])
    outcomes = {index: status for index, status, _ in said["answers"]}
    assert len(said["answers"]) == 6
    assert outcomes == {0: 413, **dict.fromkeys(range(1, 6), 200)}
    assert "out of memory with this row alone" in next(text for index, _, text in said["answers"] if index == 0)


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
    rows = [continuous_batching.Waiting(0, "", [], [], 1, 1, 0.5, seed, ()) for seed in range(3000)]
    counts = [0, 0, 0]
    for row in rows:
        counts[
            int(continuous_batching.Noise([continuous_batching.Started.of(row)])(None, logits.clone()).argmax())
        ] += 1
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


@pytest.mark.parametrize("prompt", ["Q: a\nA:", "<s>Q: a\nA:"])
def test_a_prompt_begins_as_the_model_wants_it_but_once(tmp_path, prompt):
    made = engine(str(models.write_llama(tmp_path / "base", chat=None, begins=True)))
    made.add(0, {"prompt": prompt, "max_tokens": 4})
    assert made._pool[0].ids.count(made.tokenizer.bos_token_id) == 1
    assert made._pool[0].ids[0] == made.tokenizer.bos_token_id


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
    with pytest.raises(Exception, match="this machine has no GPU"):
        hf.load(Config("hf", llama, {}, 5 << 30, 512))


def test_a_model_larger_than_the_gpus_share_has_the_machines_memory_too():
    gib = 1 << 30
    device, placed = device_placement.placement(2, 5 * gib, None, 40 * gib, mps=False)
    assert device == "cuda"
    assert placed == {"device_map": "auto", "max_memory": {0: 5 * gib, 1: 5 * gib, "cpu": 40 * gib}}


@pytest.mark.parametrize(
    ("cards", "asked", "mps", "wanted"),
    [
        (0, None, False, ("cpu", {})),
        (0, None, True, ("mps", {})),
        (1, None, False, ("cuda", {})),
        (3, None, False, ("cuda", {"device_map": "auto"})),
        (3, "cuda:1", False, ("cuda:1", {})),
        (1, "cpu", False, ("cpu", {})),
    ],
)
def test_a_model_goes_where_it_is_fastest_or_where_the_user_says(cards, asked, mps, wanted):
    assert device_placement.placement(cards, None, asked, 1 << 30, mps=mps) == wanted


def test_a_device_and_a_share_of_the_gpus_contradict():
    with pytest.raises(EngineError, match="by itself"):
        device_placement.placement(1, 1 << 30, "cpu", 1 << 30, mps=False)


def test_memory_is_read_from_the_kernel(tmp_path):
    told = tmp_path / "meminfo"
    told.write_text("MemTotal:       24 kB\nMemAvailable:   20 kB\n")
    assert device_placement.available(told) == 20 * 1024
    assert device_placement.available(tmp_path / "none") > 1 << 20


def test_half_precision_becomes_single_on_a_cpu_unless_the_user_says(tmp_path):
    path = tmp_path / "half"
    models.write_llama(path)
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).save_pretrained(path)
    units = torch.cpu.get_capabilities().get("amx_bf16")
    usual = "torch.bfloat16" if units or torch.cuda.is_available() else "torch.float32"
    assert engine(str(path)).facts["dtype"] == usual
    assert engine(str(path), dtype="bfloat16").facts["dtype"] == "torch.bfloat16"


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


FEW_SHOT = """
prompt = '''
Q: What is two plus two?
A: four

Q: {input}
A:'''
stop = ["Q:", "b>"]
"""


def test_a_base_model_is_asked_with_examples_in_front(place, tmp_path):
    path = str(models.write_llama(tmp_path / "base", chat=None))
    (tmp_path / "few.toml").write_text(FEW_SHOT)
    folder = job(place, path, 5, mode="completion", template=str(tmp_path / "few.toml"))
    assert work_off(folder, settings.load(place.project)) == "completed"
    rows = sorted(place.output(folder), key=lambda row: row["custom_id"])
    bodies = [row["response"]["body"] for row in rows]
    said = [body["choices"][0] for body in bodies]
    assert not any(stop in choice["message"]["content"] for choice in said for stop in ("Q:", "b>"))
    assert {choice["finish_reason"] for choice in said} <= {"stop", "length"}
    whole = len("Q: What is two plus two?\nA: four\n\nQ: \nA:")
    assert all(body["usage"]["prompt_tokens"] > whole for body in bodies)  # one token a byte: the examples are in it


def test_an_engine_that_is_killed_stops_the_job_and_the_rest_can_follow(place, llama):
    folder = job(place, llama, 300, concurrency=32, engine_args={"batch_rows": "4"})
    log = (folder / "worker.log").open("ab")
    worker = subprocess.Popen(
        [sys.executable, "-m", "batchflow.local.worker.worker", str(folder)], stdout=log, stderr=log
    )
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


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("/nowhere/model", "no such model folder"),
        ("./nowhere", "no such model folder"),
        ("no/such-model", "did not load"),
    ],
)
def test_a_model_that_is_not_there_is_told(place, monkeypatch, model, words):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = job(place, model, 2)
    assert work_off(folder, settings.load(place.project)) == "stopped"
    assert words in place.progress(folder)["error"]
