"""Reviews and answers of EvalScope and FastChat that exist: rated without asking, written, and read again."""

from __future__ import annotations

import json

import pytest
from helpers.commands import Project
from helpers.engine import serving
from helpers.jsonl import write

QUESTIONS = [
    {"question_id": 81, "category": "writing", "turns": ["Write a line.", "And another."]},
    {"question_id": 82, "category": "math", "turns": ["2 + 2?", "And 3?"], "reference": ["4", "5"]},
    {"question_id": 83, "category": "math", "text": "3 + 3?"},
]
YAML = """\
question_file: question.jsonl
answers_gen:
  one: {{model_id_or_path: org/one, output_file: answers/one.jsonl, base_url: {url}}}
  two: {{model_id_or_path: org/two, output_file: answers/two.jsonl, base_url: {url}}}
  out: {{model_id_or_path: org/out, enable: false}}
reviews_gen:
  reviewer:
    args: {{model: judge, provider: local, base_url: {url}, mode: {mode}, position_bias_mitigation: {order}}}
  target_answers: {targets}
  cache_file: {cache}
  review_file: written.jsonl
rating_gen: {{metrics: [winrate]}}
"""
PAIR = {"question_id": 81, "model_1": "one", "model_2": "two", "judge": ["gpt-4", "pair-v2"], "turn": 1, "tstamp": 1.0}
NOBODY = "http://127.0.0.1:9"


def pair(question, g1, g2, turn=1, **more):
    """FastChat's judgment of a pair in both orders."""
    return {**PAIR, "question_id": question, "g1_winner": g1, "g2_winner": g2, "turn": turn, **more}


def evalscope(question, win, **more):
    names = {"model_a": "org/one", "model_b": "org/two", "question_id": question}
    return {**names, "category": "x", "question": "?", "win": win, **more}


@pytest.fixture
def arena(tmp_path):
    project = Project(tmp_path / "project")
    write(project.folder / "question.jsonl", QUESTIONS)

    def config(cache="NULL", url=NOBODY, mode="pairwise", order="swap_position", targets="NULL"):
        text = YAML.format(cache=cache, url=url, mode=mode, order=order, targets=targets)
        (project.folder / "a.yaml").write_text(text)
        return "-c", "a.yaml"

    project.config = config
    return project


def rated(arena, rows, *words, **config):
    write(arena.folder / "kept.jsonl", rows)
    return arena.ok("arena", "rate", *arena.config("kept.jsonl", **config), *words)


def record(report):
    return {row["model"]: (row["wins"], row["losses"], row["ties"]) for row in report["rows"]}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_judgments_of_fastchat_are_rated_with_both_orders_and_turns(arena):
    rows = [
        pair(81, "model_1", "model_1"),
        pair(81, "model_1", "model_2", turn=2),  # the orders disagree
        pair(82, "error", "model_2", g1_judgment="Both fail.", g2_judgment="So: [[A]]"),  # A of the second is two
        pair(83, "model_1", "model_1", g1_judgment="[[A]]? No: [[B]]", g2_judgment="[[A]]"),  # the text ends otherwise
        pair(99, "model_1", "model_1"),
        {**pair(81, "tie", "tie"), "model_2": "out"},
    ]
    report = rated(arena, rows)
    assert record(report) == {"one": (1, 2, 1), "two": (2, 1, 1)}
    assert (report["battles"], report["imported"], report["conflicts"]) == (8, 8, 2)
    assert report["unread"] == {"no verdict in the file": 1}
    assert (report["twice"], report["agreement"]) == (3, pytest.approx(2 / 3))
    assert any("4 reviews of cache_file are left out" in note for note in report["notes"])
    assert not (arena.folder / "batchflow.db").exists()
    again = rated(arena, rows, "--fastchat", "tree", "--method", "bt")
    judgments = lines(arena.folder / "tree/model_judgment/gpt-4_pair.jsonl")
    assert [(row["question_id"], row["turn"], row["g1_winner"], row["g2_winner"]) for row in judgments] == [
        (81, 1, "model_1", "model_1"), (81, 2, "model_1", "model_2"), (82, 1, "error", "model_2"),
        (83, 1, "model_2", "model_2"),
    ]  # fmt: skip
    assert {row["model"]: row["wins"] for row in again["rows"]} == {"one": 3, "two": 4}  # each order by itself
    for name in ("tree/model_judgment/gpt-4_pair.jsonl", "written.jsonl"):  # ours are read like theirs
        path = arena.folder / name
        assert record(rated(arena, lines(path))) == record(report)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([evalscope(81, "model_a"), evalscope(82, "unknown"), evalscope(83, "tie")], (1, 0, 1)),
        ([evalscope(81, "unknown", review_text="[[A]] is my verdict")], (1, 0, 0)),
        ([evalscope(81, None, scores=[9, 3], review_text="9 3"), evalscope(82, "tie", scores=[-1, -1])], (1, 0, 0)),
        ([evalscope(81, None, scores=[9, 3], review_text="See below.\nBoth have merits.")], (1, 0, 0)),  # by hand
        ([{**evalscope(81, None), "win_1": "model_a", "win_2": "model_b"}], (0, 0, 1)),
        ([{**evalscope(81, None), "win_1": "model_b", "win_2": "model_b", "review_text_2": "[[A]]"}], (0, 1, 0)),
        ([{"question_id": 82, "model_a": "one", "model_b": "two", "winner": "tie (bothbad)"}], (0, 0, 1)),
        ([evalscope(81, "model_b"), evalscope(81, "model_a")], (1, 0, 0)),  # the last one
    ],
)
def test_reviews_of_evalscope_and_battles_of_arenas_are_rated(arena, rows, expected):
    assert record(rated(arena, rows))["one"] == expected


def test_single_reviews_of_both_are_rated_and_a_failed_one_is_no_score(arena):
    rows = [
        {"question_id": 81, "model": "org/one", "score": 8, "review_text": "[[8]]"},
        {"question_id": 82, "model": "org/one", "score": -1, "review_text": "Sorry."},
        {"question_id": 81, "model": "two", "judge": ["gpt-4", "single-v1"], "judgment": "Rating: [[4]]", "score": 4},
        {"question_id": 81, "model": "two", "judge": ["gpt-4", "single-v1-multi-turn"], "score": 6, "turn": 2},
    ]
    report = rated(arena, rows, "--fastchat", "tree", mode="single")
    assert {row["model"]: row["rating"] for row in report["rows"]} == {"one": 8.0, "two": 5.0}
    assert report["unread"] == {"no verdict in the file": 1}
    singles = lines(arena.folder / "tree/model_judgment/gpt-4_single.jsonl")
    assert [(row["model"], row["score"], row["turn"]) for row in singles] == [("two", 4.0, 1), ("two", 6.0, 2)]
    others = lines(arena.folder / "tree/model_judgment/unknown_single.jsonl")
    assert [row["score"] for row in others] == [8.0, -1]


def test_early_reviews_of_fastchat_name_answers_by_id(arena):
    for name, answer in (("one", "x1"), ("two", "y1")):
        rows = [{"answer_id": answer, "question_id": 82, "model_id": f"{name}:20230322", "text": "four"}]
        write(arena.folder / f"{name}.jsonl", rows)
    early = {
        "review_id": "r",
        "question_id": 82,
        "answer1_id": "x1",
        "answer2_id": "y1",
        "text": "7 9\nWell",
        "score": [7, 9],
    }
    report = rated(arena, [early], targets="[one.jsonl, two.jsonl]")
    assert {row["model"]: row["wins"] for row in report["rows"]} == {"one:20230322": 0, "two:20230322": 1}
    error = arena.refused(3, "arena", "rate", *arena.config("kept.jsonl"))
    assert "kept.jsonl, line 1, field answer1_id: no answer 'x1' is known" in error


def test_battles_with_a_review_are_not_asked_again_unless_it_judged_other_answers(arena):
    (arena.folder / "answers").mkdir()
    for name in ("one", "two"):
        turns = [
            {"question_id": each["question_id"], "choices": [{"index": 0, "turns": [f"{name} says", "x"]}]}
            for each in QUESTIONS
        ]
        write(arena.folder / f"answers/{name}.jsonl", turns)
    seen, old = "[A] one says [B] two says", "[A] one says [B] something else"
    rows = [
        pair(81, "model_1", "model_1", g1_user_prompt=seen, g2_user_prompt=seen),
        pair(82, "model_1", "model_1", g1_user_prompt=old, g2_user_prompt=seen),
    ]
    write(arena.folder / "kept.jsonl", rows)
    with serving("judge") as engine:
        engine.text = lambda _: "[[B]]"
        config = arena.config("kept.jsonl", url=engine.url)
        report = arena.ok("arena", "jury", *config)
        assert report["requests"] == 3  # 82 in the first order, and 83 in both
        assert any("1 reviews of cache_file judged other answers" in note for note in report["notes"])
        arena.ok("arena", "jury", *config, "--start")
        arena.ok("get", "a_reviews", "--wait")
        done = arena.ok("arena", "rate", *config)
        assert (done["battles"], done["imported"], len(engine.calls)) == (6, 3, 3)
        own = [row for row in lines(arena.folder / "written.jsonl") if row.get("batch")]
        assert len(own) == 2
        config = arena.config("[kept.jsonl, written.jsonl]", url=engine.url)  # EvalScope names one file for both
        assert arena.ok("arena", "rate", *config)["imported"] == 3
        assert arena.ok("arena", "jury", *config)["new"] is False
    write(arena.folder / "kept.jsonl", [pair(key, "tie", "tie") for key in (81, 82, 83)])
    (arena.folder / "b.yaml").write_text((arena.folder / "a.yaml").read_text())
    assert arena.ok("arena", "jury", "-c", "b.yaml", "--start")["imported"] == 6  # nothing to ask: the ratings


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"question_id": 81}, "line 2: this is no review that can be read"),
        ({"model_a": "a", "model_b": "b"}, "line 2, field question_id: None is no id"),
        (pair(81, "model_3", "tie"), "line 2, field g1_winner: 'model_3' is no verdict"),
        (pair(81, "tie", 1), "line 2, field g2_winner: 1 is no verdict"),
        (evalscope(81, "model_a", review_text=3), "line 2, field review_text: a text is expected, not 3"),
        (evalscope(81, None, scores=["9", 1]), "line 2, field scores: numbers are expected"),
        ({"question_id": 81, "model": "", "score": 3}, "line 2, field model: a model's name is expected, not ''"),
        ({"question_id": 81, "model_a": "org/one", "model_b": "one", "win": "tie"}, "a model does not fight itself"),
        ({"question_id": 81, "model_a": "a", "model_b": "b"}, "line 2, field win: a verdict is expected"),
        ("{", "line 2: not JSON"),
    ],
)
def test_a_broken_review_is_refused_with_line_and_field(arena, row, problem):
    good = json.dumps(pair(81, "tie", "tie"))
    text = row if isinstance(row, str) else json.dumps(row)
    (arena.folder / "kept.jsonl").write_text(f"{good}\n{text}\n")
    assert f"kept.jsonl, {problem}" in (error := arena.refused(3, "arena", "rate", *arena.config("kept.jsonl"))) or (
        problem in error and "kept.jsonl, line 2" in error
    )


def test_a_cache_that_is_not_there_is_an_error_and_no_reviews_at_all_too(arena):
    assert "none.jsonl: there is no such file" in arena.refused(3, "arena", "rate", *arena.config("none.jsonl"))
    assert "there are no reviews" in arena.refused(3, "arena", "rate", *arena.config("written.jsonl"))
    write(arena.folder / "answers.jsonl", [{"question_id": 81, "choices": [{"turns": []}]}])
    error = arena.refused(3, "arena", "jury", *arena.config(targets="[answers.jsonl, answers.jsonl]"))
    assert "answers.jsonl, line 1, field choices: a choice with turns is expected" in error
