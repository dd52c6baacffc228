"""An arena through every vendor's batches under rehearsal, EvalScope's own files word for word, and the dry run."""

from __future__ import annotations

import json

import pytest
from helpers.commands import Project
from helpers.engine import serving
from helpers.jsonl import write
from helpers.pipeline import rehearsed

from batchflow import settings
from batchflow.steps.arena.config import read

VENDORS = ("openai", "anthropic", "gemini", "mistral", "together", "groq")
QUESTIONS = [{"question_id": n, "text": f"What is {n} and one?", "category": "sums"} for n in range(1, 4)]
CANDIDATE = """\
  at_{0}:
    model_id_or_path: '{1}'
    provider: {0}
    output_file: {0}.jsonl
    generation_config: {{max_tokens: 3000}}
"""
SIX = """\
question_file: question.jsonl
answers_gen: {candidates}
reviews_gen:
  reviewer: {{args: {{provider: {judge}, max_tokens: 3000, position_bias_mitigation: swap_position}}}}
  target_answers: [openai.jsonl, groq.jsonl]
  review_file: {judge}.reviews.jsonl
rating_gen: {{metrics: [bt], report_file: {judge}.csv}}
"""


def six(project, judge):
    """An arena with a reviewer at a vendor; the first one asks a candidate at each vendor, the others its answers."""
    known = settings.load(project.folder, {})
    lines = [CANDIDATE.format(vendor, known.default_model(vendor)) for vendor in VENDORS]
    candidates = "\n" + "".join(lines) if judge == VENDORS[0] else "NULL"
    (project.folder / f"{judge}.yaml").write_text(SIX.format(candidates=candidates, judge=judge))
    return f"arena run -c {project.folder / judge}.yaml --refresh-after 0"


def test_all_six_vendors_answer_and_review(tmp_path):
    with rehearsed(tmp_path / "vendors", judge_error=0.0) as vendors:
        project = Project(tmp_path / "project", dict(vendors.environment))
        write(project.folder / "question.jsonl", QUESTIONS)
        reports = project.outside(*(six(project, judge) for judge in VENDORS))
    for judge, report in zip(VENDORS, reports, strict=True):
        assert (report["battles"], report["unread"], report["rehearsal"]) == (6, {}, True), judge
        assert (report["twice"], report["agreement"]) == (3, 1.0), judge
        assert {row["model"] for row in report["rows"]} == {"at_openai", "at_groq"}
        reviews = project.rows(f"{judge}.reviews.jsonl")
        assert [row["question_id"] for row in reviews] == [1, 2, 3]
        assert all(row["win_1"] == row["win_2"] for row in reviews)
    assert {len(project.rows(f"{vendor}.jsonl")) for vendor in VENDORS} == {3}


# EvalScope v0.16.3's registry/config/cfg_single.yaml and cfg_pairwise_baseline.yaml, and the file of the guide, which
# is its cfg_arena.yaml but for `rating_gen.enable`: the keys, their values and NULLs are theirs.
MODEL = """\
    {name}:
        model_id_or_path: {path}
        revision: v1.0.2
        precision: torch.float16
        enable: {enable}
        template_type: default-generation
        generation_config: {{do_sample: true, max_new_tokens: 256, top_k: 20, top_p: 0.75, temperature: 0.3}}
        output_file: registry/data/arena/answers/answer_{name}.jsonl
"""
REVIEWS = """\
reviews_gen:
    enable: true
    reviewer:
        ref: evalscope.evaluator.reviewer.auto_reviewer:AutoReviewerGpt4
        args: {args}
    prompt_file: registry/data/prompt_template/prompt_templates.jsonl
    {more}
    review_file: registry/data/arena/reviews/review_gpt4.jsonl
rating_gen:
    enable: {rates}
    metrics: ['{metric}']
    {baseline}
    report_file: registry/data/arena/reports/report.csv
"""
NAMED = (
    "[registry/data/arena/answers/answer_chatglm3-6b.jsonl, registry/data/arena/answers/answer_Baichuan2-7B-Base.jsonl]"
)
PARSER = "fn_completion_parser: lmsys_parser"
THEIRS = {
    "guide": {
        "args": f"{{max_tokens: 1024, temperature: 0.2, mode: pairwise, position_bias_mitigation: NULL, {PARSER}}}",
        "more": "target_answers: NULL", "rates": "false", "metric": "elo", "baseline": "",
    },
    "cfg_single": {
        "args": f"{{model: gpt-4, max_tokens: 1024, temperature: 0, mode: single, {PARSER}}}",
        "more": f"target_answers: {NAMED}\n    reference_file:\n"
        "    cache_file: registry/data/arena/reviews/review_gpt4.jsonl",
        "rates": "true", "metric": "score", "baseline": "",
    },
    "cfg_pairwise_baseline": {
        "args": "{model: gpt-4, max_tokens: 1024, temperature: 0, mode: pairwise_baseline,"
        f" position_bias_mitigation: swap_position, {PARSER}}}",
        "more": f"target_answers: {NAMED}\n    reference_file:\n"
        "    baseline_file: registry/data/arena/answers/answer_text_davinci_003.jsonl\n"
        "    cache_file: registry/data/arena/reviews/review_gpt4.jsonl",
        "rates": "true", "metric": "pairwise", "baseline": "baseline_model: text_davinci_003",
    },
}  # fmt: skip
ENABLED = {"chatglm3-6b": "true", "Baichuan2-7B-Base": "false", "Qwen-7B": "true"}
SAYS = {"single": "Rating: [[7]]", "pairwise": "[[A]]"}


@pytest.mark.parametrize("name", THEIRS)
def test_their_files_run_as_they_are(tmp_path, name):
    """Their file, with nothing added but where the models are served: their keys name a class and a hub."""
    project = Project(tmp_path / "project")
    facts = THEIRS[name]
    data = project.folder / "registry/data"
    for folder in ("prompt_template", "arena/answers"):
        (data / folder).mkdir(parents=True)
    write(data / "question.jsonl", QUESTIONS)
    kind = "single" if name == "cfg_single" else "pairwise"
    template = "{question} [A] {answer_a} [B] {answer_b}" if kind == "pairwise" else "{question} [A] {answer}"
    prompt = {"name": "p", "type": kind, "system_prompt": "Judge.", "prompt_template": template, "category": "general"}
    prompt["output_format"] = "[[A]]" if kind == "pairwise" else "[[rating]]"
    write(data / "prompt_template/prompt_templates.jsonl", [prompt])
    write(
        data / "arena/answers/answer_text_davinci_003.jsonl",
        [{"question_id": n, "model_id": "text_davinci_003", "answer": "old"} for n in (1, 2, 3)],
    )
    with serving("gpt-4") as engine:
        engine.text = lambda body: SAYS[kind] if "Judge." in json.dumps(body) else "an answer"
        models = "".join(MODEL.format(name=each, path="gpt-4", enable=enable) for each, enable in ENABLED.items())
        text = f"question_file: registry/data/question.jsonl\nanswers_gen:\n{models}{REVIEWS.format(**facts)}"
        (project.folder / "cfg.yaml").write_text(text)
        assert read(project.folder / "cfg.yaml").reviews.provider == "openai"  # as their file stands
        served = text.replace("revision: v1.0.2", f"base_url: {engine.url}")
        served = served.replace("args: {", f"args: {{provider: local, base_url: '{engine.url}', ")
        if "model: gpt-4" not in served:
            served = served.replace("args: {", "args: {model: gpt-4, ")
        (project.folder / "cfg.yaml").write_text(served)
        report = project.ok("arena", "run", "-c", "cfg.yaml")
        again = project.ok("arena", "run", "-c", "cfg.yaml")
    assert again == report
    asked = [body for _, body in engine.calls]
    judging = [body for body in asked if "Judge." in json.dumps(body)]
    assert {body["temperature"] for body in judging} == {float(read(project.folder / "cfg.yaml").reviews.temperature)}
    assert {body.get("max_tokens") for body in judging} == {1024}
    assert {(body["temperature"], body.get("max_tokens")) for body in asked if body not in judging} == {(0.3, 256)}
    rows = {row["model"]: row for row in report["rows"]}
    written = data / "arena/reports/report.csv"
    if name == "guide":
        assert (report["rows"], report["battles"], written.exists()) == ([], 3, False)
        assert "rating_gen.enable is false" in report["how"]
    else:  # the other candidate of target_answers is not enabled
        assert set(rows) == {"chatglm3-6b"} | ({"text_davinci_003"} if kind == "pairwise" else set())
        assert report["battles"] == (6 if kind == "pairwise" else 3)
    assert len(project.rows("registry/data/arena/reviews/review_gpt4.jsonl")) == 3


def test_a_dry_run_tells_all_and_sends_and_keeps_nothing(tmp_path):
    project = Project(tmp_path / "project")
    write(project.folder / "question.jsonl", QUESTIONS)
    text = "".join(
        CANDIDATE.format(vendor, model) for vendor, model in (("openai", "gpt-6-luna"), ("groq", "unpriced"))
    )
    (project.folder / "openai.yaml").write_text(SIX.format(candidates=f"\n{text}", judge="openai"))
    before = project.files()
    report = project.ok("arena", "run", "-c", "openai.yaml", "--dry-run")
    rows = [(row["name"], row["role"], row["estimate"]["requests"]) for row in report["batches"]]
    assert rows == [
        ("openai_at-openai", "answers", 3),
        ("openai_at-groq", "answers", 3),
        ("openai_reviews", "judge", 6),
    ]
    assert report["batches"][2]["estimate"]["input_low"] > 2 * 2_000 * 6  # two answers of up to 3,000 tokens
    assert report["low_usd"] is None  # a price is not known, and not taken for nothing
    assert any("at_groq: its answers are not here yet; each is assumed" in note for note in report["notes"])
    assert project.files() == before
    assert not (project.folder / "batchflow.db").exists()
    write(project.folder / "openai.jsonl", [{"question_id": n, "answer": "2"} for n in (1, 2, 3)])
    write(project.folder / "groq.jsonl", [{"question_id": n, "answer": "3"} for n in (1, 2)])
    shorter = project.ok("arena", "run", "-c", "openai.yaml", "--dry-run")["batches"][2]["estimate"]
    assert (shorter["requests"], shorter["input_high"] < 4_000) == (4, True)
