"""`arena report`: a page of battles, in which everything from outside is text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers import browser as chromium
from helpers.commands import Project
from helpers.jsonl import write

HOSTILE = "</p><script>document.title='owned'</script><img src=x onerror=alert(1)>\u202e"
YAML = """\
question_file: question.jsonl
answers_gen:
  one: {model_id_or_path: org/one, output_file: one.jsonl}
  two: {model_id_or_path: org/two, output_file: two.jsonl}
reviews_gen: {cache_file: kept.jsonl, review_file: written.jsonl}
rating_gen: {metrics: [bt]}
"""


@pytest.fixture
def arena(tmp_path):
    project = Project(tmp_path / "project")
    (project.folder / "a.yaml").write_text(YAML)
    rows = [{"question_id": n, "text": f"Question {n}? {HOSTILE}", "category": "ab"[n % 2]} for n in range(4)]
    write(project.folder / "question.jsonl", rows)
    for name in ("one", "two"):
        write(project.folder / f"{name}.jsonl", [{"question_id": n, "answer": f"{name} {HOSTILE}"} for n in range(4)])
    names = {"model_1": "one", "model_2": "two", "judge": [HOSTILE, "x"]}
    verdicts = [("model_1", "model_1"), ("model_2", "model_2"), ("model_1", "model_2"), ("error", "error")]
    games = [
        {**names, "question_id": n, "g1_winner": first, "g2_winner": second, "g1_judgment": HOSTILE, "g2_judgment": "B"}
        for n, (first, second) in enumerate(verdicts)
    ]
    write(project.folder / "kept.jsonl", games)
    return project


def test_battles_are_looked_at_side_by_side_and_chosen(arena):
    report = arena.ok("arena", "report", "-c", "a.yaml")
    assert (report["battles"], report["path"][-22:]) == (4, "results/a.battles.html")
    page = Path(report["path"])
    assert not (arena.folder / "batchflow.db").exists()
    with chromium.running() as browser:
        browser.open(page.as_uri())
        count = "document.getElementById('status').textContent"
        assert browser.run(count) == "4 of 4 battles"
        choose = "(n => {{const s=document.getElementById(n[0]); s.value=n[1]; s.dispatchEvent(new Event('change'))}})"
        choose = choose.replace("{{", "{").replace("}}", "}")
        browser.run(f"{choose}(['category', 'a'])")
        assert browser.run(count) == "2 of 4 battles"
        browser.run(f"{choose}(['verdict', 'the orders disagree'])")
        assert browser.run(count) == "1 of 4 battles"
        shown = browser.run("[...document.querySelectorAll('details:not([hidden]) h4')].map(n => n.textContent)")
        assert shown[1:3] == ["one", "two"]
        assert [re.sub(r"\s+", " ", text).strip() for text in shown[3:]] == [
            "Review with one first: one", "Review with two first: two",
        ]  # fmt: skip
        texts = browser.run("document.querySelector('details:not([hidden])').textContent")
        assert texts.count(HOSTILE) == 4  # the question, both answers, one review
        assert browser.run("document.title") == "a · batchflow arena"
        assert browser.run("document.querySelectorAll('img').length") == 0


def test_single_answers_and_texts_that_are_not_here_are_shown_as_that(arena):
    rows = [
        {"question_id": 1, "model": "one", "score": 8, "review_text": "Fine [[8]]"},
        {"question_id": 1, "model": "elsewhere", "score": -1, "turn": 2},
    ]
    write(arena.folder / "kept.jsonl", rows)
    report = arena.ok("arena", "report", "-c", "a.yaml", "--method", "score", "-o", "page.html")
    text = (arena.folder / report["path"]).read_text()
    assert 'Review: <span class="badge">8</span>' in text
    assert "the answer is not at hand" in text
    assert "1, turn 2" in text
    assert "no verdict: no verdict in the file" in text
