"""From OpenCompass's caches to its output tree: in one go, and step by step with one server at a time."""

from __future__ import annotations

import csv
import json

import jsonschema
import pytest
from helpers import compass, schemas
from helpers.commands import Project
from helpers.engine import serving

FEW = "aime2025"
DATA = "aime2025,gpqa,ifeval,mmlu_pro"
SCORES = {
    "aime2025_repeat_2": 200 / 3, "GPQA_diamond_repeat_2": 100.0, "mmlu_pro_math_repeat_2": 100.0,
    "mmlu_pro_history_repeat_2": 0.0, "IFEval_repeat_2": 50.0, "mmlu_pro": 50.0,
    "core_average": (200 / 3 + 100 + 50 + 50) / 4,
}  # fmt: skip


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path / "project", compass.caches(tmp_path))
    project.environment.pop("BATCHFLOW_TASK")
    return project


def fits(name, document):
    jsonschema.validate(document, schemas.closed(schemas.schemas()[name]))
    return document


def config(project, name, *flags, data=DATA):
    return fits("init-config", project.ok("init-config", "my_run", "-d", data, "--repeats", 2, "-o", name, *flags))


def run(project, *words):
    return fits("run-config", project.ok("run", *words, "--refresh-after", 0))


def test_both_routes_give_the_tree_and_the_same_score(project):
    with serving("internlm3-8b") as model, serving("CompassVerifier-32B") as judge:
        model.text, judge.text = compass.reply, compass.verdict
        made = config(project, "all.yaml", "--api-server", model.url.removesuffix("/v1"), "--judger-server", judge.url)
        assert (made["model"], made["judge"]) == ("internlm3-8b", "CompassVerifier-32B")
        whole = run(project, "all.yaml", "-w", "outputs")
        asked = len(model.calls)
        assert asked == 2 * (3 + 2 + 2 + 3)
        assert {(body["temperature"], body["max_tokens"]) for _, body in model.calls} == {(0.6, 32768)}
        assert {(body["temperature"], body["max_tokens"]) for _, body in judge.calls} == {(0.001, 8192)}
        assert len(judge.calls) == asked - 2 - 4, "no judge is asked about what rules can prove: ANSWER lines, IFEval"
        again = run(project, "all.yaml", "-w", "outputs", "--reuse")
        assert (len(model.calls), again["run"], again["rows"]) == (asked, whole["run"], whole["rows"])
    tree(project, whole)

    with serving("internlm3-8b") as model:  # on the first day
        model.text = compass.reply
        config(project, "infer.yaml", "--mode", "infer", "--api-server", model.url, data=FEW)
        first = run(project, "infer.yaml", "--mode", "infer", "-w", "outputs")
        assert first["run"] != whole["run"]
        assert first["rows"] == []
        assert run(project, "infer.yaml", "--mode", "infer", "-w", "outputs")["run"] == first["run"], "it goes on"
    with serving("CompassVerifier-32B") as judge:  # on a later one: the model's server is gone
        judge.text = compass.verdict
        config(project, "eval.yaml", "--mode", "eval", "--judger-server", judge.url, data=FEW)
        second = run(project, "eval.yaml", "--mode", "eval", "-w", "outputs", "-r", first["run"])
    third = run(project, "eval.yaml", "--mode", "viz", "-w", "outputs", "-r", "latest")
    assert second["run"] == third["run"] == first["run"]
    assert second["rows"] == third["rows"]
    assert second["rows"] == whole["rows"][:1], "both routes score the same"
    told = project.refused(2, "run", "eval.yaml", "--mode", "eval", "-w", "outputs", "-r", "20000101_000000")
    assert first["run"] in told
    assert "no run of my_run" in project.refused(2, "run", "eval.yaml", "--mode", "viz", "-w", "elsewhere")


def tree(project, report):
    """The folder of a run, as OpenCompass's users know it."""
    rows = {row["dataset"]: row for row in report["rows"] if row["metric"] != "-"}
    assert {name: row["score"] for name, row in rows.items()} == pytest.approx(SCORES)
    assert all(row["low"] <= row["score"] <= row["high"] for row in rows.values())
    folder = project.folder / "outputs" / report["run"]
    assert {path.name for path in folder.iterdir()} == {"configs", "predictions", "results", "summary"}
    for kind in ("predictions", "results"):
        assert {path.stem for path in (folder / kind / "my_run").iterdir()} == {
            name for name in SCORES if "repeat" in name
        }
    predictions = json.loads((folder / "predictions/my_run/aime2025_repeat_2.json").read_text())
    assert set(predictions) == {str(n) for n in range(6)}
    for n in (1, 4):  # repeat after repeat
        prompt = compass.AIME[1][0] + "\nRemember to put your final answer within \\boxed{}."
        asked = [{"role": "HUMAN", "prompt": prompt}]
        entry = {"origin_prompt": asked, "prediction": "So it is \\boxed{1024}.", "gold": "1024"}
        assert predictions[str(n)] == {**entry, "id": "1", "sample": n // 3}
    results = json.loads((folder / "results/my_run/aime2025_repeat_2.json").read_text())
    assert results["accuracy (2 runs average)"] == pytest.approx(200 / 3)
    assert results["details"]["5"] == {
        "pred": "So it is \\boxed{6}.", "ref": "10", "origin_grade_response": "C", "grade_letter": "C", "correct": False
    }  # fmt: skip
    counts = [results[f"{name}_count (2 runs average)"] for name in ("correct", "incorrect", "not_attempted")]
    assert counts == [2, 0, 1], "INVALID is never read as A"
    stem = folder / f"summary/summary_{report['run']}"
    table = list(csv.reader(stem.with_suffix(".csv").read_text().splitlines()))
    assert table[0][:5] == ["dataset", "version", "metric", "mode", "my_run"]
    assert table[1][0] == "aime2025_repeat_2"
    assert table[1][2:5] == ["accuracy (2 runs average)", "gen", "66.67"]
    assert ["core_average", "-", "naive_average", "gen", "66.67"] in [row[:5] for row in table]
    assert stem.with_suffix(".md").read_text().startswith("| dataset | version | metric | mode | my_run |")
    assert stem.with_suffix(".txt").read_text().count("^" * 128) == 4


FAULTS = {
    "task_name: x\ndatsets: [gpqa]": "line 2, key datsets: there is no such key",
    "task_name: x\ndatasets: [gpqq]": "line 2, key datasets: no data set is called 'gpqq'",
    "task_name: x\ndatasets: [gpqa, gpqa]": "GPQA_diamond_repeat_4 is there twice",
    "task_name: x\ndatasets: []": "a list of data sets is expected",
    "task_name: x\nmodel: {api_sever: y}\ndatasets: [gpqa]": "line 2, key model.api_sever: there is no such key",
    "task_name: x\nmode: infr\ndatasets: [gpqa]": "line 2, key mode: 'infr' is no mode",
    "task_name: x\ndatasets:\n- {name: mine, path: no.csv}": "there is no file",
    "task_name: x\ndatasets:\n- {name: mine}": "no data set is called 'mine'",
    "task_name: x\ndatasets:\n- {name: gpqa, repeats: 0}": "a number from 1 is expected, not 0",
    "task_name: x\ndatasets:\n- {name: gpqa, k: [a]}": "numbers from 1 are expected",
    "task_name: x\ndatasets: [gpqa]\nsummary_groups: [{name: g, subsets: [gpqa]}]": "no data set is called 'gpqa'",
    "task_name: ../x\ndatasets: [gpqa]": "cannot be a folder's name",
    "task_name: x\ndatasets: [gpqa]": "model.api_server is missing",
    "task_name: x\nmodel: {api_server: 'a:1'}\ndatasets: [gpqa]": "judge.judger_server is missing",
    "task_name: x\nmode: [": "line 3: not YAML",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_faulty_configuration_is_refused_with_its_line(project, text):
    (project.folder / "cfg.yaml").write_text(text + "\n")
    assert FAULTS[text] in project.refused(2, "run", "cfg.yaml")
    assert not (project.folder / "outputs").exists()


def test_flags_and_files_that_do_not_go_together(project):
    (project.folder / "cfg.yaml").write_text("task_name: x\ndatasets: [gpqa]\n")
    (project.folder / "eval.toml").write_text('models = ["openai"]\n')
    assert "--limit does not go with a configuration" in project.refused(2, "run", "cfg.yaml", "--limit", 3)
    assert "--reuse goes with a configuration" in project.refused(2, "run", "eval.toml", "--reuse")
    assert "--mode all asks a model" in project.refused(2, "init-config", "x")
    assert "--mode eval asks a judge" in project.refused(2, "init-config", "x", "--mode", "eval")
    assert "no data set is called 'gpq'" in project.refused(2, "init-config", "x", "-a", "y", "-j", "z", "-d", "gpq")
    away = project.ok("init-config", "x", "-a", "127.0.0.1:9", "--mode", "infer", "-d", "gpqa")
    assert (away["file"], away["model"]) == ("x.yaml", None)
    assert "127.0.0.1:9/v1/models" in away["notes"][0]
    assert "exists" in project.refused(2, "init-config", "x", "-a", "127.0.0.1:9", "--mode", "infer")


def test_a_file_of_ones_own_with_repeats_at_a_vendor_and_a_data_set_that_is_missing(vendor):
    project = vendor.project
    project.environment.pop("BATCHFLOW_TASK", None)
    (project.folder / "mine.csv").write_text("question,reference\n1 + 1?,2\n2 + 2?,4\n")
    (project.folder / "cfg.yaml").write_text(
        "task_name: luna\nmodel: {provider: openai, name: gpt-6-luna}\n"
        "datasets:\n- {name: mine, path: mine.csv, task: qa, repeats: 4, k: [2], judge_kind: 'rule:exact'}\n"
    )
    done = run(project, "cfg.yaml")
    metrics = [row["metric"] for row in done["rows"]]
    assert metrics == [
        "accuracy (4 runs average)", "pass@2", "G-Pass@2_0.0", "G-Pass@2_0.25", "G-Pass@2_0.5", "G-Pass@2_0.75",
        "G-Pass@2_1.0", "mG-Pass@2",
    ]  # fmt: skip
    assert done["folder"].startswith("outputs/default/")
    (project.folder / "cfg.yaml").write_text(
        "task_name: luna\nmode: infer\nmodel: {provider: openai}\ndatasets: [aime2025]\n"
    )
    project.environment["COMPASS_DATA_CACHE"] = str(project.folder / "empty")
    told = project.refused(2, "run", "cfg.yaml")
    assert "empty/data/aime2025/aime2025.jsonl" in told
    assert "COMPASS_DATA_CACHE" in told
