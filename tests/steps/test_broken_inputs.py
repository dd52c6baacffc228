"""Files of the other systems that are broken: the error names the file, the line, and the key or field."""

from __future__ import annotations

import json

import pytest
from helpers import compass
from helpers.commands import Project

ASK = "prepare --provider openai --model gpt-6-luna --name x"
ARENA = """\
question_file: question.jsonl
answers_gen:
  one: {model_id_or_path: m, output_file: one.jsonl}
  two: {model_id_or_path: m, output_file: two.jsonl}
reviews_gen: {prompt_file: prompts.jsonl, reference_file: refs.jsonl, reviewer: {args: {model: m, provider: local}}}
"""
QUESTION = '{"question_id": 1, "text": "Why?"}\n'
ANSWER = '{"question_id": 1, "answer": "so"}\n'
PROMPT = {"type": "pairwise", "system_prompt": "s", "prompt_template": "{question} {answer_a} {answer_b}"}
CHOICE = {"problem_type": "multiple-choice", "context": None, "prompt": "2 + 2?", "benchmark_name": "MMLU"}
ROW = {"data_source": "Sum", "prompt": "1?", "ground_truth": {"a": 1}}
COMPASS = "task_name: t\nmodel: {api_server: 'http://127.0.0.1:9'}\njudge: {judger_server: 'http://127.0.0.1:9'}\n"
HARD = "d/mixeval-2024-08-11/mixeval-hard/"
MIX = f"{ASK} --task mixeval-hard --data d/mixeval-2024-08-11"
BOOT = f"{ASK} --task internbootcamp --test-dir d"
OWN = (
    "prepare --provider local --model m --name x --base-url http://127.0.0.1:9 --mode completion"
    " --prompt-template t.toml --task qa --dataset q.csv"
)
WHOLE = {
    "a.yaml": ARENA, "question.jsonl": QUESTION, "one.jsonl": ANSWER, "two.jsonl": ANSWER,
    "prompts.jsonl": json.dumps(PROMPT), "refs.jsonl": QUESTION.replace("}", ', "answer": "so"}'),
    HARD + "free-form.json": json.dumps({"0": {**CHOICE, "problem_type": "free-form", "target": ["4"]}}),
    HARD + "multiple-choice.json": json.dumps({"0": {**CHOICE, "options": ["3", "4"], "target": [1]}}),
    "d/sum.jsonl": json.dumps(ROW), "c.yaml": COMPASS + "datasets: [aime2025]\n",
}  # fmt: skip
DATA = "compass/data/"

BROKEN = [
    # EvalScope's arena: YAML, questions, answers, prompts, references
    ("arena prepare -c a.yaml", "a.yaml", "question_file: [\n  x: y", ("a.yaml, line 2", "not YAML")),
    (
        "arena prepare -c a.yaml",
        "a.yaml",
        ARENA.replace("model_id_or_path", "model_path", 1),
        ("line 3", "answers_gen.one.model_path", "model_id_or_path is the nearest"),
    ),
    (
        "arena prepare -c a.yaml",
        "a.yaml",
        ARENA.replace("model: m", "max_tokens: many"),
        ("line 5", "reviews_gen.reviewer.args.max_tokens", "a whole number"),
    ),
    ("arena prepare -c a.yaml", "question.jsonl", QUESTION + "{", ("question.jsonl, line 2", "not JSON")),
    (
        "arena prepare -c a.yaml",
        "question.jsonl",
        QUESTION + '{"question_id": 2}',
        ("question.jsonl, line 2, field text",),
    ),
    ("arena jury -c a.yaml", "two.jsonl", ANSWER + '{"answer": "x"}', ("two.jsonl, line 2, field question_id",)),
    (
        "arena jury -c a.yaml",
        "prompts.jsonl",
        json.dumps({**PROMPT, "system_prompt": 1}),
        ("prompts.jsonl, line 1, field system_prompt",),
    ),
    (
        "arena jury -c a.yaml",
        "prompts.jsonl",
        json.dumps({**PROMPT, "prompt_template": "{question} {answer_a} {answer_b} {x}"}),
        ("prompts.jsonl, line 1, field prompt_template", "{x}"),
    ),
    (
        "arena jury -c a.yaml",
        "prompts.jsonl",
        json.dumps({**PROMPT, "output_format": "[[X]]"}),
        ("line 1, field output_format",),
    ),
    ("arena jury -c a.yaml", "refs.jsonl", '{"question_id": 1}', ("refs.jsonl, line 1, field answer",)),
    # MixEval
    (MIX, HARD + "free-form.json", '{"0": {,', ("free-form.json", "line 1")),
    (
        MIX,
        HARD + "multiple-choice.json",
        json.dumps({"7": {**CHOICE, "options": ["3"], "target": [0]}}),
        ("multiple-choice.json, row 7, field options",),
    ),
    # InternBootcamp
    (BOOT, "d/sum.jsonl", json.dumps(ROW) + '\n{"prompt": ', ("sum.jsonl, line 2", "not JSON")),
    (BOOT, "d/sum.jsonl", json.dumps({**ROW, "prompt": 3}), ("sum.jsonl, line 1, field prompt",)),
    (
        BOOT,
        "d/sum.jsonl",
        json.dumps({key: ROW[key] for key in ("prompt", "ground_truth")}),
        ("sum.jsonl, line 1, field data_source",),
    ),
    # a template of one's own for completions
    (OWN, "t.toml", 'prompt = "{input}"\nstop = = 1', ("t.toml", "line 2")),
    (OWN, "t.toml", 'prompt = "nothing"\n', ("t.toml", "prompt")),
    # LMDeploy and OpenCompass
    ("run c.yaml --mode all", "c.yaml", COMPASS + "datasets: [aime2025", ("c.yaml, line", "not YAML")),
    (
        "run c.yaml --mode all",
        "c.yaml",
        COMPASS.replace("task_name", "taskname") + "datasets: [aime2025]\n",
        ("line 1", "taskname", "task_name is the nearest"),
    ),
    (
        "run c.yaml --mode all",
        "c.yaml",
        COMPASS.replace("api_server", "apiserver") + "datasets: [aime2025]\n",
        ("line 2", "model.apiserver", "api_server is the nearest"),
    ),
    (
        f"{ASK} --task aime2025",
        DATA + "aime2025/aime2025.jsonl",
        '{"question": "?", "answer": "1"}\n{"question": ',
        ("aime2025.jsonl, line 2", "not JSON"),
    ),
    (
        f"{ASK} --task aime2025",
        DATA + "aime2025/aime2025.jsonl",
        '{"question": "?"}',
        ("aime2025.jsonl, line 1, field answer",),
    ),
    (
        f"{ASK} --task gpqa",
        DATA + "gpqa/gpqa_diamond.csv",
        "Question,Correct Answer\nWhy?,so\n",
        ("gpqa_diamond.csv", "Incorrect Answer 1"),
    ),
    (
        f"{ASK} --task ifeval",
        DATA + "ifeval/input_data.jsonl",
        '{"key": 1, "prompt": "p", "instruction_id_list": "x", "kwargs": []}',
        ("input_data.jsonl, line 1, field instruction_id_list",),
    ),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder in which every command of the table gets past the file that is not broken."""
    folder = tmp_path_factory.mktemp("broken")
    environment = compass.caches(folder)
    return Project(folder, {**environment, "OPENAI_API_KEY": "k" * 20, "BATCHFLOW_TASK": "qa"})


@pytest.mark.parametrize(("command", "name", "text", "parts"), BROKEN)
def test_the_error_names_file_line_and_key(whole, command, name, text, parts):
    for path, content in {**WHOLE, "q.csv": "question,reference\n1?,1\n", name: text}.items():
        place = whole.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if name == path or not path.startswith("d/") or name.startswith("d/"):
            place.write_text(content)
    before = (whole.folder / name).read_text()
    ran = whole.run(*command.split())
    assert ran.code in {2, 3}, ran
    assert "Traceback" not in ran.err
    for part in parts:
        assert part in ran.err
    assert not (whole.folder / "processed_files/x.jsonl").exists()
    assert (whole.folder / name).read_text() == before
