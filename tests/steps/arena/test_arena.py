"""An arena from EvalScope's YAML to its CSV: battles of two candidates, a reviewer on loopback, ratings."""

from __future__ import annotations

import csv
import json
import re

import pytest
from helpers.commands import Project
from helpers.engine import serving

QUESTIONS = [("1", "How tall is it?", "generic"), ("2", "Why?", "generic"), ("3", "What is 2 + 2?", "math")]
YAML = """\
question_file: data/question.jsonl
answers_gen:
  strong:
    model_id_or_path: own
    enable: true
    precision: torch.float16
    template_type: default-generation
    provider: local
    base_url: {url}
    generation_config: {{max_new_tokens: 64, temperature: 0.3, top_k: 20}}
    output_file: data/answers/strong.jsonl
  weak:
    model_id_or_path: own
    provider: local
    base_url: {url}
    generation_config: {{do_sample: false, max_new_tokens: 32}}
    output_file: data/answers/weak.jsonl
  absent:
    model_id_or_path: somewhere/else
    enable: false
    output_file: data/answers/absent.jsonl
reviews_gen:
  enable: true
  reviewer:
    ref: evalscope.evaluator.reviewer.auto_reviewer:AutoReviewerGpt4
    args:
      model: own
      provider: local
      base_url: {url}
      max_tokens: 256
      temperature: 0.2
      mode: {mode}
      position_bias_mitigation: {order}
      fn_completion_parser: lmsys_parser
  prompt_file: NULL
  target_answers: NULL
  review_file: data/reviews/review.jsonl
rating_gen:
  enable: true
  metrics: ['{metric}']
  report_file: data/reports/report.csv
"""


def replies(body):
    """The strong candidate (64 tokens) answers well; the reviewer sees that, but for one pair."""
    text = json.dumps(body["messages"], ensure_ascii=False)
    if "[Answer A]" in text:
        first = text.index("good") < text.index("poor")
        if "Why?" in text:
            return "Both are fine. [[A]]"  # whatever stands first
        return f"So: [[{'A' if first else 'B'}]]"
    if "[Answer]" in text:
        return "[[9]]" if "good" in text else "I say [[2]], no, [[3]]"
    return (
        "a good answer [End of answer A]"
        if body.get("max_tokens", body.get("max_completion_tokens")) == 64
        else "a poor one"
    )


@pytest.fixture
def arena(tmp_path):
    """A project with questions, and what writes the YAML."""
    project = Project(tmp_path / "project")
    del project.environment["BATCHFLOW_TASK"]
    data = project.folder / "data"
    data.mkdir()
    rows = [{"question_id": key, "text": text, "category": category} for key, text, category in QUESTIONS]
    (data / "question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with serving("own") as engine:
        engine.text = replies

        def write(mode="pairwise", order="swap_position", metric="elo"):
            text = YAML.format(url=engine.url, mode=mode, order=order, metric=metric)
            (project.folder / "cfg_arena.yaml").write_text(text)

        write()
        project.engine, project.write = engine, write
        yield project


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_step_by_step_from_their_yaml_to_their_csv(arena):
    cfg = ("-c", "cfg_arena.yaml")
    assert [each["name"] for each in arena.ok("arena", "prepare", *cfg)["batches"]] == [
        "cfg-arena_strong",
        "cfg-arena_weak",
    ]
    arena.ok("arena", "start", *cfg)
    arena.ok("arena", "get", *cfg, "--wait")
    arena.ok("arena", "results", *cfg)
    first = lines(arena.folder / "data/answers/strong.jsonl")[0]
    assert {name: first[name] for name in ("question_id", "text", "category", "model_id")} == {
        "question_id": "1", "text": "How tall is it?", "category": "generic", "model_id": "strong",
    }  # fmt: skip
    asked = {body["messages"][-1]["content"] for _, body in arena.engine.calls}
    assert asked == {f"Question: {text}\n\nAnswer:" for _, text, _ in QUESTIONS}
    report = arena.ok("arena", "jury", *cfg)
    assert report["requests"] == 6  # three questions, in both orders
    assert any("marks of the template" in note or "hold a mark" in note for note in report["notes"])
    arena.ok("arena", "jury", *cfg, "--start")
    arena.ok("arena", "get", *cfg, "--wait")
    rated = arena.ok("arena", "rate", *cfg)
    assert [row["model"] for row in rated["rows"]] == ["strong", "weak"]
    assert (rated["method"], rated["battles"], rated["twice"]) == ("elo", 6, 3)
    assert rated["agreement"] == pytest.approx(2 / 3)
    rows = list(csv.reader((arena.folder / "data/reports/report.csv").read_text().splitlines()))
    assert rows[0] == ["", "Model", "Elo_Rating", "low", "high"]
    assert [row[1] for row in rows[1:]] == ["strong", "weak"]
    reviews = lines(arena.folder / "data/reviews/review.jsonl")
    assert [(row["win_1"], row["win_2"]) for row in reviews] == [
        ("model_a", "model_a"), ("model_a", "model_b"), ("model_a", "model_a"),
    ]  # fmt: skip
    won = arena.ok("arena", "rate", *cfg, "--method", "winrate")
    assert [(row["wins"], row["losses"], row["ties"]) for row in won["rows"]] == [(2, 0, 1), (0, 2, 1)]
    strong = arena.ok("arena", "rate", *cfg, "--method", "bt")["rows"][0]
    assert strong["low"] < strong["rating"]
    calls = len(arena.engine.calls)
    again = arena.ok("arena", "run", *cfg, "--method", "winrate")
    assert again["rows"] == won["rows"]
    assert len(arena.engine.calls) == calls  # nothing is asked again


def test_single_answers_are_rated_in_one_go(arena):
    arena.write(mode="single", metric="score")
    rated = arena.ok("arena", "run", "-c", "cfg_arena.yaml")
    assert [(row["model"], row["rating"]) for row in rated["rows"]] == [("strong", 9.0), ("weak", 3.0)]
    assert (rated["conflicts"], rated["first_wins"], rated["method"]) == (3, None, "score")
    header = (arena.folder / "data/reports/report.csv").read_text().splitlines()[0]
    assert header == "model,score,low,high"
    assert "answers compare nobody" in arena.refused(3, "arena", "rate", "-c", "cfg_arena.yaml", "--method", "bt")


def test_a_seeded_order_is_the_same_each_time_and_a_baseline_meets_everybody(arena):
    arena.write(order="randomize_order", metric="pairwise")
    rated = arena.ok("arena", "run", "-c", "cfg_arena.yaml")
    assert rated["battles"] == 3
    before = (arena.folder / "processed_files/arena/cfg-arena_reviews.jsonl").read_bytes()
    assert arena.ok("arena", "jury", "-c", "cfg_arena.yaml")["new"] is False
    assert (arena.folder / "processed_files/arena/cfg-arena_reviews.jsonl").read_bytes() == before
    text = (arena.folder / "cfg_arena.yaml").read_text().replace("mode: pairwise", "mode: pairwise_baseline")
    (arena.folder / "with_baseline.yaml").write_text(
        text.replace("  prompt_file: NULL", "  prompt_file: NULL\n  baseline_file: data/answers/weak.jsonl")
    )
    arena.ok("arena", "jury", "-c", "with_baseline.yaml")
    battles = lines(arena.folder / "processed_files/arena/with-baseline_reviews.jsonl")
    assert {frozenset((row["model_a"], row["model_b"])) for row in battles} == {frozenset(("strong", "weak"))}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "    enable: true\n    precision",
            "    enabled: true\n    precision",
            r"line \d+, key answers_gen.strong.enabled.*enable is the nearest",
        ),
        ("mode: pairwise", "mode: pairs", "'pairs' is unknown"),
        ("ref: evalscope", "ref: mine", "no class of somebody else is imported"),
        ("metrics: ['elo']", "metrics: ['glicko']", "no metric is called 'glicko'"),
        ("question_file: data/question.jsonl", "question_file: data/none.jsonl", "there is no such file"),
        ("data/answers/weak.jsonl", "data/answers/strong.jsonl", "two candidates have one output_file"),
    ],
)
def test_a_broken_file_is_refused_with_line_and_key(arena, old, new, said):
    path = arena.folder / "cfg_arena.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    ran = arena.run("arena", "prepare", "-c", "cfg_arena.yaml")
    assert ran.code in {2, 3}
    assert re.search(said, ran.err, re.DOTALL), ran.err
    assert not (arena.folder / "processed_files").exists()


def test_prompt_files_of_theirs_are_used_by_category(arena):
    general = {
        "name": "pair", "type": "pairwise", "system_prompt": "Judge.", "category": "general", "output_format": "[[A]]",
        "prompt_template": "{{Q}} {question} [Answer A] {answer_a} [Answer B] {answer_b} {prompt}",
        "defaults": {"prompt": "Now!"},
    }  # fmt: skip
    mathematical = {
        **general,
        "category": ["math"],
        "prompt_template": general["prompt_template"] + " [Reference] {ref_answer_1}",
    }
    several = {**general, "prompt_template": "{question_1} {question_2}"}
    (arena.folder / "prompts.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in (general, mathematical, several))
    )
    (arena.folder / "references.jsonl").write_text(json.dumps({"text": "What is 2 + 2?", "answer": "four"}) + "\n")
    path = arena.folder / "cfg_arena.yaml"
    path.write_text(
        path.read_text().replace(
            "  prompt_file: NULL", "  prompt_file: prompts.jsonl\n  reference_file: references.jsonl"
        )
    )
    arena.ok("arena", "run", "-c", "cfg_arena.yaml")
    battles = lines(arena.folder / "processed_files/arena/cfg-arena_reviews.jsonl")
    assert battles[0]["prompt"].startswith("{Q} How tall is it? [Answer A] a good answer")
    assert battles[0]["prompt"].endswith("Now!")
    assert battles[-1]["prompt"].endswith("[Reference] four")
