from __future__ import annotations

import json
import re

import pytest
from helpers.jsonl import write

GPT, GEMINI, CLAUDE = "gpt-5.1-2025-11-13", "gemini-3-pro-preview", "claude-opus-4-5-20251101"
ITEMS = [f"{n:03d}" for n in range(20)]


def verdict(answer, justification=None):
    return json.dumps(
        {"is_answer_correct": answer, "is_justification_correct": answer if justification is None else justification}
    )


def rows(model, right=15, items=ITEMS):
    """Rows in layton-eval's form: the first `right` items are right."""
    return [
        {"id": f"r-{n}", "custom_id": item, "answer": verdict(n < right), "model": model, "original": {"x": [1]}}
        for n, item in enumerate(items)
    ]


@pytest.fixture
def files(project):
    """Three judges that see 15, 15 and 12 of 20 right."""
    folder = project.folder / "brought"
    folder.mkdir()
    return [
        write(folder / f"judge_openai_x_y_{name}.jsonl", rows(model, right))
        for name, model, right in (("a", GPT, 15), ("b", GEMINI, 15), ("c", CLAUDE, 12))
    ]


def test_three_files_are_one_jury(project, files):
    score = project.ok("score", *files)
    assert score["score"] == pytest.approx((12 + 3 * 2 / 3) / 20)
    assert [judge["judge"] for judge in score["judges"]] == [GPT, GEMINI, CLAUDE]
    assert score["field"] == "both_correct"
    assert (score["n_items"], score["n_judged"], score["votes_missing"]) == (20, 20, 0)
    assert score["provider"] == ""  # never from an underscore in a path
    assert project.ok("score", *files, "--provider", "openai")["provider"] == "openai"
    assert not (project.folder / "scores").exists()


def test_votes_written_as_1_and_0_are_read(project, files, tmp_path):
    plain = project.ok("score", *files)
    numbers = []
    for path in files:
        text = path.read_text().replace("true", "1").replace("false", "0")
        numbers.append(tmp_path / path.name)
        numbers[-1].write_text(text)
    found = project.ok("score", *numbers)
    assert (found["score"], found["votes_unparsed"], found["alpha"]) == (plain["score"], 0, plain["alpha"])


def test_the_order_of_files_changes_only_the_order_of_judges(project, files):
    one, other = (project.ok("score", *order, "--seed", 3) for order in (files, files[::-1]))
    for key in ("score", "ci_low", "ci_high", "alpha", "intervals", "bounds_low", "bounds_high"):
        assert one[key] == other[key]


def test_a_pattern_that_the_shell_left_alone_is_expanded(project, files):
    pattern = files[0].parent / "judge_*.jsonl"
    assert project.run("score", pattern, "--json").out == project.run("score", *files, "--json").out
    assert "no file matches" in project.refused(2, "score", files[0].parent / "nobody_*.jsonl")


def test_one_file_may_hold_all_judges(project, files, tmp_path):
    whole = tmp_path / "all.jsonl"
    whole.write_text("".join(path.read_text() for path in files))
    assert project.ok("score", whole)["score"] == project.ok("score", *files)["score"]


def test_another_number_of_judges_is_an_error_that_says_what_to_do(project, files):
    said = project.refused(3, "score", *files[:2])
    assert "2 judges" in said
    assert GEMINI in said
    assert "--n-judges 2" in said
    assert project.ok("score", *files[:2], "--n-judges", 2)["n_judged"] == 20


def test_the_same_judge_twice_is_an_error_even_under_another_name(project, files):
    copy = files[0].with_name("judge_someone_else.jsonl")
    copy.write_text(files[0].read_text())
    said = project.refused(3, "score", files[0], files[1], copy)
    assert f"judge {GPT} votes twice on 000" in said
    assert "judge_someone_else.jsonl, line 1" in said


def test_differing_item_sets_are_an_error(project, files):
    write(files[2], rows(CLAUDE)[:17])
    said = project.refused(3, "score", *files)
    assert f"judge {CLAUDE} has no row for 3 of 20 answers" in said
    assert "017, 018, 019" in said
    assert '"answer": null' in said


def test_missing_unparsed_and_repaired_votes_are_counted_and_bounded(project, files):
    changed = rows(CLAUDE, 12)
    changed[0]["answer"] = None
    changed[1]["answer"] = "null"
    changed[2]["answer"] = '{"is_answer_correct": null, "is_justification_correct": true}'
    changed[3]["answer"] = f"```json\n{verdict(True)}\n```"
    changed[4]["answer"] = '{"is_answer_correct": "true", "is_justification_correct": "True"}'
    changed[5]["answer"] = '{"is_answer_correct": true, "is_justification_correct": true'
    changed[6]["answer"] = {"is_answer_correct": True, "is_justification_correct": True}
    changed[7] |= {"outcome": "expired", "model": None}
    write(files[2], changed)
    score = project.ok("score", *files)
    assert (score["votes_missing"], score["votes_unparsed"], score["repaired"]) == (5, 3, 2)
    assert not score["complete"]
    assert score["score"] == pytest.approx(14 / 20)  # the other two judges of those items still count
    assert score["bounds_low"] == pytest.approx((14 - 5 / 3) / 20)
    assert score["bounds_high"] == pytest.approx(14 / 20)
    assert "2 votes could be read only after a repair" in " ".join(score["footnotes"])


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"answer": "x", "model": "m"}, "field custom_id"),
        ({"custom_id": "1", "model": "m"}, "field answer"),
        ({"custom_id": "1", "answer": "x"}, "field model"),
        ({"custom_id": "1", "answer": "x", "model": 7}, "field model"),
        ({"custom_id": True, "answer": "x", "model": "m"}, "field custom_id"),
    ],
)
def test_a_broken_row_is_named_by_file_line_and_field(project, tmp_path, row, says):
    said = project.refused(3, "score", write(tmp_path / "judge.jsonl", [row]))
    assert "judge.jsonl, line 1" in said
    assert says in said


def test_columns_that_people_bring_can_group_and_cluster(project, files):
    for path, model, right in zip(files, (GPT, GEMINI, CLAUDE), (15, 15, 12), strict=True):
        write(path, [{**row, "page": f"p{n // 4}"} for n, row in enumerate(rows(model, right))])
    score = project.ok("score", *files, "--cluster", "page", "--by", "page")
    assert score["interval"]["n_clusters"] == 5
    assert len(score["groups"]["page"]) == 5
    assert "columns: page" in project.refused(2, "score", *files, "--by", "colour")


def test_repeated_answers_are_told_apart_by_their_sample(project, files):
    for path, model in zip(files, (GPT, GEMINI, CLAUDE), strict=True):
        write(path, [{**row, "sample": n} for n in range(3) for row in rows(model)])
    score = project.ok("score", *files)
    assert (score["n_items"], score["interval"]["n_clusters"]) == (60, 20)


def test_gold_labels_in_the_predecessors_form_calibrate_judge_files(project, files, tmp_path):
    short = {"gpt": True, "gemini": True, "claude": True}
    pool = [
        {
            "riddle_id": f"{vendor}-{votes}-{n}", "provider": vendor, "model": "m", "human_answer_correct": None,
            "human_justification_correct": None, "human_both_correct": vendor == "mistral" and votes > 1,
            **{f"both_correct_{judge}": k < votes for k, judge in enumerate(short)},
            **{f"is_answer_correct_{judge}": None for judge in short},
        }
        for vendor in ("openai", "mistral") for votes in range(4) for n in range(5)
    ]  # fmt: skip
    gold = write(tmp_path / "ppi.jsonl", pool)
    said = project.refused(2, "score", *files, "--gold", gold, "--method", "layton")
    assert "--provider openai" in said
    words = ("score", *files, "--gold", gold, "--method", "layton", "--provider")
    assert project.ok(*words, "openai")["score"] == pytest.approx(0.75)  # 15 of 20 have two votes or more
    assert project.ok(*words, "mistral")["score"] == 0
    assert project.ok(*words, "OpenAI")["score"] == pytest.approx(0.75)  # as the predecessor's guide writes it
    assert "did you mean openai" in project.refused(2, *words, "opnai")  # else openai's own labels would come in


def test_results_files_of_this_project_stand_for_their_batch(judged, tmp_path):
    project = judged
    by_batch = project.ok("score", project.results / "judge_*.jsonl")
    assert by_batch["name"] == "p"
    elsewhere = []
    for path in sorted(project.results.glob("judge_*.jsonl")):
        elsewhere.append(tmp_path / f"copy-{path.name}")
        elsewhere[-1].write_text(path.read_text())
    by_files = project.ok("score", *elsewhere)
    assert by_files["score"] == by_batch["score"]
    assert by_files["alpha"] == by_batch["alpha"]


def test_columns_may_stand_in_any_of_the_files(project, tmp_path):
    brought = [write(tmp_path / f"{name}.jsonl", rows(name)) for name in ("x", "y")]
    brought.append(write(tmp_path / "z.jsonl", [{**row, "kind": "k"} for row in rows("z")]))
    (group,) = project.ok("score", *brought, "--by", "kind")["groups"]["kind"]
    assert (group["group"], group["n_items"]) == ("k", 20)


def notes_of(project, *words):
    return " ".join(project.ok("score", *words)["footnotes"])


def test_a_judge_that_is_of_the_judged_models_house_is_pointed_out_by_its_name(project, files):
    assert f"{GPT} seems to be of openai, as the model that it judges" in notes_of(
        project, *files, "--provider", "openai"
    )
    assert "gemini" in notes_of(project, *files, "--provider", "groq", "--model", "google/gemma-4-27b")
    assert "seems to be of" not in notes_of(project, *files, "--provider", "mistral", "--model", "mistral-large")
    assert "seems to be of" not in notes_of(project, *files)


def test_judges_that_never_differ_are_pointed_out_where_that_tells_something(project, files, tmp_path):
    assert f"these never differ: {GPT} and {GEMINI} (n 20); if" in notes_of(project, *files)
    everything_right = [write(tmp_path / f"{name}.jsonl", rows(name, 20)) for name in ("x", "y", "z")]
    assert "never differ" not in notes_of(project, *everything_right)  # easy items are no sign of a twin
    few = [write(tmp_path / f"few-{name}.jsonl", rows(name, 7, ITEMS[:10])) for name in ("x", "y", "z")]
    assert "never differ" not in notes_of(project, *few)


def test_labels_of_this_model_are_its_own_without_its_vendors_name(project, files, tmp_path):
    labels = [
        {"custom_id": item, "provider": "openai", "model": "m", "human_both_correct": n < 14, "both_correct_x": n < 15}
        for n, item in enumerate(ITEMS)
    ]
    words = (*files, "--gold", write(tmp_path / "gold.jsonl", labels), "--method", "ppi", "--model", "m")
    score = project.ok("score", *words)
    assert score["agreement"]["gold_basis"] == "own"
    assert score["interval"]["method"] == "ppi++ adjusted"
    assert (score["bounds_low"], score["bounds_high"]) == (None, None)
    card = project.run("score", *words).out
    assert "before the labels correct it" in card
    assert "not judge error" not in card
    assert "not judge error" in project.run("score", *files).out


def test_the_card_names_every_kind_of_interval_that_it_shows(project, tmp_path):
    def grouped(name):
        made = rows(name, 30, [f"{n:03d}" for n in range(60)])
        return [{**row, "half": "few" if n % 10 == 0 else "many"} for n, row in enumerate(made)]

    brought = [write(tmp_path / f"{name}.jsonl", grouped(name)) for name in ("x", "y", "z")]
    card = project.run("score", *brought).out
    assert "mean, wilson interval, seed 0" in card
    assert re.search(r"Bootstrap: +\d+\.\d – \d+\.\d \(--ci percentile: 9,999 resamples\)", card)
    plain = project.run("score", *brought, "--by", "half", "--ci", "percentile").out
    assert "mean, percentile interval, seed 0" in plain
    assert "Bootstrap:" not in plain


RUBRIC = """
[[criteria]]
name = "clarity"
description = "It is clear."
[[criteria]]
name = "brevity"
description = "It is short."
"""


def test_judge_files_may_be_of_any_judge_kind(project, tmp_path):
    kind = tmp_path / "rubric.toml"
    kind.write_text(RUBRIC)
    said = {"reasons": "", "clarity": 0.8, "brevity": 0.4}
    cast = [
        {"custom_id": item, "answer": said | {"clarity": 7} if item == "003" else said, "model": GPT} for item in ITEMS
    ]
    (project.folder / "data.csv").write_text("id,question\n" + "".join(f"{item},What?\n" for item in ITEMS))
    answers = [{"custom_id": item, "answer": "So.", "model": "m"} for item in ITEMS]
    judge, mine = write(tmp_path / "j.jsonl", cast), write(tmp_path / "mine.jsonl", answers)
    files_only = ("score", judge, "--kind", kind, "--n-judges", 1)
    own = (*files_only, "--predictions", mine, "--dataset", project.folder / "data.csv", "--task", "qa")
    for words in (files_only, own, (*files_only, "--field-name", "clarity")):
        scored = project.ok(*words)
        assert (scored["judge_kind"], scored["votes_missing"], scored["scale"]["name"]) == ("rubric", 1, "unit")
        assert scored["unparsed_reasons"] == {"clarity is not on its scale (unit)": 1}
        assert scored["score"] == pytest.approx(0.8 if "--field-name" in words else 0.6)
    assert "clarity" in project.refused(2, *files_only, "--field-name", "clarty")
    assert project.ok("list")["batches"][-1]["name"].endswith("_as_rubric")
