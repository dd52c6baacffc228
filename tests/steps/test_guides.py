"""The commands of the other systems' guides beside batchflow's: the pages' pairs are one translation, and run.

Their programs are not here. A table of their arguments, as their parsers declare them, translates the left column word
for word; the right column, which has to be that translation, runs against rehearsed vendors and a loopback engine.
LMDeploy's and OpenCompass's pairs: tests/steps/compass/test_guide.py.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from helpers.commands import Project
from helpers.engine import serving
from helpers.jsonl import write
from helpers.pipeline import rehearsed

from batchflow.cli.batchling import batchling

DOCS = Path(__file__).parents[2] / "docs"
_ROW = re.compile(r"^\| `([^`]+)` \| (`batchflow .*`) \|$", re.MULTILINE)
_COMMAND = re.compile(r"`([^`]+)`")


def page(name):
    return (DOCS / name).read_text("utf-8")


def pairs(name):
    """(their command, our commands) of each row of a page's last section of pairs."""
    _, _, section = page(name).partition("## The guide, command by command")
    section = section.partition("\n## ")[0]
    return [(theirs, _COMMAND.findall(ours)) for theirs, ours in _ROW.findall(section)]


def given(words, switches=()):
    """Arguments by flag: the words behind each; a switch has none. Anything else is no argument of theirs."""
    arguments, flag = {}, None
    for word in words:
        if word.startswith("--"):
            flag = word
            arguments[flag] = []
        else:
            assert flag not in {None, *switches}, word
            arguments[flag].append(word)
    return arguments


# MixEval: mix_eval/evaluate.py, compute_metrics.py, utils/check_eval_complete.py.
SWITCHES = ("--inference_only", "--verbose", "--extract_base_model_response", "--compute_score_from_judged_file")
PLACES = ("--output_dir", "--model_response_dir", "--out_path", "--data_path")  # the ledger knows where things are
TASKS = {"mixeval": "mixeval", "mixeval_hard": "mixeval-hard"}
JUDGE = "openai:gpt-3.5-turbo-0125"  # the default of --freeform_judge and --multichoice_judge


def of_mixeval(line):
    python, m, module, *words = shlex.split(line)
    assert (python, m) == ("python", "-m")
    flags = given(words, SWITCHES)
    one = {name: flags.pop(name)[0] for name in ("--benchmark", "--version")}
    for name in (*PLACES, "--api_parallel_num", "--verbose"):  # a vendor's batch needs no threads
        flags.pop(name, None)
    if module == "mix_eval.utils.check_eval_complete":
        names = [*flags.pop("--chat_models_to_check"), *flags.pop("--base_models_to_check")]
        assert not flags
        return [f"get {name} --wait" for name in names if name != "none"]
    judges = f"--judges {JUDGE}"
    if module == "mix_eval.evaluate":
        (name,), (rows,) = flags.pop("--model_name"), flags.pop("--batch_size")
        run = f"run --task {TASKS[one['--benchmark']]} --data mix_eval/data/mixeval-{one['--version']} --provider local"
        run += f" --engine hf --model {name} --name {name} --engine-arg batch_rows={rows}"
        if memory := flags.pop("--max_gpu_memory", None):
            run += f" --max-gpu-memory {memory[0]}"
        run += f" {judges} --by source"
        infers = flags.pop("--inference_only", None) is not None
        assert not flags
        return [f"{run} --until results"] if infers else [run, f"results {name} --layout mixeval"]
    assert module == "mix_eval.compute_metrics"
    commands = []
    parsers = {word for name in ("--free_form_parser", "--multi_choice_parser") for word in flags.pop(name, [])}
    base = " --extract-base" if flags.pop("--extract_base_model_response", None) is not None else ""
    is_judged = flags.pop("--compute_score_from_judged_file", None) is not None
    for name in flags.pop("--models_to_eval"):
        if is_judged:
            commands.append(f"score {name} --by source")
            continue
        by = "--judges rule:mixeval" if parsers == {"rule"} else judges
        commands += [f"jury {name}{base} {by} --wait", f"score {name} --by source", f"results {name} --layout mixeval"]
    assert not flags
    return commands


def of_evalscope(line):
    """run_arena.py has two arguments; argparse takes `--c` for `--cfg-file`, or `-c`."""
    python, script, *words = shlex.split(line)
    assert (python, script) == ("python", "evalscope/run_arena.py")
    flags = given(words, ("--dry-run",))
    (path,) = flags.pop("--c")
    dry = " --dry-run" if flags.pop("--dry-run", None) is not None else ""
    assert not flags
    return [f"arena run -c {path}{dry}"]


BOOTCAMP = {  # examples/unittests/run_eval.py
    "--url": "--base-url {}", "--model_name": "--model {}", "--template": "--prompt-template {}",
    "--max_tokens": "--max-tokens {}", "--temperature": "--temperature {}", "--test_dir": "--test-dir {}",
    "--max_concurrent_requests": "--concurrency {}", "--timeout": "--timeout {}s", "--max_retries": "--retries {}",
    "--max_retrying_delay": "--max-retry-delay {}s", "--sys_prompt": "--system-prompt {}",
}  # fmt: skip
MODES = {"completion": "completion", "chat_completion": "chat"}


def of_internbootcamp(line):
    """What `prepare` is given, as a set of flags, and the key."""
    python, script, *words = shlex.split(line.replace("\\\n", " "))
    assert (python, script) == ("python", "examples/unittests/run_eval.py")
    flags = given(words)
    (key,), (mode,) = flags.pop("--api_key"), flags.pop("--api_mode")
    translated = [BOOTCAMP[name].format(*values) for name, values in flags.items()]
    fixed = ["--provider local", "--task internbootcamp", f"--name {flags['--model_name'][0]}"]
    health = ["--wait-for-model", "--wait-timeout 60m", "--wait-interval 60s"]  # always: 60 checks, 60 s apart
    return key, {*translated, *fixed, *health, f"--mode {MODES[mode]}"}


def of_layton(line):
    words = shlex.split(line)
    if words[:3] == ["watch", "-n", "2"]:
        (command,) = of_layton(shlex.join(words[3:]))
        return [f"{command} --wait"]
    if words[0] == "batchling":
        return [shlex.join(command) for command in batchling.main(words[1:], standalone_mode=False)]
    if words[0] == "./scripts/prepare_benchmark_batch.sh":
        flags = {name: value for name, (value,) in given(words[1:]).items()}
        model = re.sub(r"[^A-Za-z0-9-]", "-", flags["--model"])
        name = f"{flags['--provider']}_{model}_{flags['--split']}_hints_{flags['--hints']}"
        return [f"prepare {shlex.join(words[1:])} --name {name}"]
    if words[0] == "./scripts/prepare_jury_batches.sh":
        ((flag, (path,)),) = given(words[1:]).items()
        assert flag == "--results-file-path"
        return [f"jury {path}"]
    assert words[:3] == ["python", "scripts/get_model_performance.py", "--judge-files"]
    return [f"score {' '.join(words[3:])} --plus-minus"]


PAGES = {
    "howto/from-mixeval.md": (of_mixeval, 7),
    "howto/from-evalscope.md": (of_evalscope, 2),
    "howto/from-layton-eval.md": (of_layton, 12),
}


@pytest.mark.parametrize("name", PAGES)
def test_the_right_column_is_the_translation_of_the_left_one(name):
    translate, count = PAGES[name]
    rows = pairs(name)
    assert len(rows) == count
    for theirs, ours in rows:
        assert [f"batchflow {command}" for command in translate(theirs)] == ours, theirs


def test_internbootcamps_command_is_translated_flag_by_flag():
    text = page("howto/from-internbootcamp.md")
    (theirs,) = re.findall(r"```text\n(python .*?)```", text, re.DOTALL)
    export, prepare, *_ = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)[0].splitlines()
    key, flags = of_internbootcamp(theirs)
    assert export == f"export BATCHFLOW_LOCAL_API_KEY={key}"
    written = re.split(r" (?=--)", prepare.removeprefix("batchflow prepare "))
    assert set(written) == flags
    assert len(written) == len(flags)


def test_laytons_guide_runs_in_our_words(tmp_path):
    with rehearsed(tmp_path / "vendors") as vendors:
        project = Project(tmp_path / "project", dict(vendors.environment))
        lines = [
            command.removeprefix("batchflow ") for _, ours in pairs("howto/from-layton-eval.md") for command in ours
        ]
        begin = lines.index(next(line for line in lines if line.startswith("jury ")))
        quick = {"get": " --refresh-after 0"}
        lines = [line + quick.get(line.split()[0], "") for line in lines]
        lines[0] += " --limit 6"
        *_, jury = project.outside(*lines[: begin + 1], within=True)
        judges = [batch["name"] for batch in jury["batches"]]
        assert len(judges) == 3
        rest = [
            one for line in lines[begin + 1 :]
            for one in ([line.replace("JUDGE", judge) for judge in judges] if "JUDGE" in line else [line])
        ]  # fmt: skip
        documents = dict(zip(rest, project.outside(*rest, within=True), strict=True))
    scored = next(document for line, document in documents.items() if line.startswith("score "))
    assert (scored["field"], scored["n_items"]) == ("both_correct", 6)


HF = "--engine hf"
FREE = {"problem_type": "free-form", "context": None, "prompt": "Who wrote Emma?", "benchmark_name": "TriviaQA"}
CHOICE = {"problem_type": "multiple-choice", "context": None, "prompt": "2 + 2?", "benchmark_name": "MMLU"}


def test_mixevals_guide_runs_in_our_words(tmp_path):
    """The engine stands in for the weights: `--base-url` in the place of the flags about them, as the page says."""
    with rehearsed(tmp_path / "vendors", judge_error=0.0) as vendors, serving("gemma_11_7b_instruct") as engine:
        engine.text = lambda body: "B" if "2 + 2" in json.dumps(body) else "Austen\n\n\nQuestion: And Dune?\nHerbert"
        project = Project(tmp_path / "project", dict(vendors.environment))
        folder = project.folder / "mix_eval/data/mixeval-2024-06-01/mixeval-hard"
        folder.mkdir(parents=True)
        (folder / "free-form.json").write_text(json.dumps({"0": {**FREE, "target": ["Jane Austen", "Austen"]}}))
        (folder / "multiple-choice.json").write_text(
            json.dumps({"0": {**CHOICE, "options": ["3", "4"], "target": [1]}})
        )
        weights = "--engine hf ", "--engine-arg batch_rows=20 --max-gpu-memory 5GiB "
        commands = []
        for _, ours in pairs("howto/from-mixeval.md"):
            for command in ours:
                line = command.removeprefix("batchflow ").replace(weights[0], f"--base-url {engine.url} ")
                commands.append(
                    line.replace(weights[1], "") + (" --refresh-after 0" if line.startswith("run ") else "")
                )
        documents = project.outside(*commands, within=True)
    scores = [
        document["score"] for line, document in zip(commands, documents, strict=True) if line.startswith("score ")
    ]
    # The judge compares the whole answer, which goes on with a question; the rule, one judge more, takes its start;
    # without the question the answer is right.
    assert scores == [0.5, 0.5, 0.75, 1.0]
    assert len(engine.calls) == 2
    tree = project.results / "mixeval/gemma_11_7b_instruct/mixeval_hard/2024-06-01"
    assert (tree / "score.json").exists()


def test_evalscopes_guide_runs_in_our_words(tmp_path):
    project = Project(tmp_path / "project")
    write(project.folder / "question.jsonl", [{"question_id": 1, "text": "Why?"}])
    with serving("own") as engine:
        engine.text = lambda body: "[[B]]" if "Answer A" in json.dumps(body) else "because"
        model = "{{model_id_or_path: own, base_url: '{0}', output_file: {1}.jsonl}}"
        models = "\n".join(f"  {name}: {model.format(engine.url, name)}" for name in "ab")
        reviewer = f"{{args: {{model: own, provider: local, base_url: '{engine.url}'}}}}"
        text = f"question_file: question.jsonl\nanswers_gen:\n{models}\nreviews_gen: {{reviewer: {reviewer}}}\n"
        (project.folder / "cfg_arena.yaml").write_text(text)
        done = [
            project.ok(*shlex.split(command)[1:]) for _, ours in pairs("howto/from-evalscope.md") for command in ours
        ]
    assert [row["estimate"]["requests"] for row in done[0]["batches"]] == [1, 1, 1]
    assert done[1]["battles"] == 1
    assert {row["model"]: row["wins"] for row in done[1]["rows"]} == {"a": 0, "b": 1}


def test_every_flag_of_the_pages_exists(tmp_path):
    project, helps = Project(tmp_path / "project"), {}
    for name in PAGES:
        for _, ours in pairs(name):
            for command in ours:
                words = shlex.split(command)[1:]
                verb = tuple(words[: 2 if words[0] == "arena" else 1])
                text = helps.setdefault(verb, project.run(*verb, "--help").out)
                assert all(word in text for word in words if word.startswith("-")), command
