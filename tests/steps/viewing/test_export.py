from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
from helpers.viewed import ROWS


def test_an_inspect_log_has_samples_scores_and_usage(viewed_project):
    """The shape that Inspect 0.3 writes; scripts/check-inspect opens one with Inspect's own reader."""
    report = viewed_project.ok("export", "a", "--to", "inspect")
    assert (report["items"], report["path"]) == (ROWS, str(viewed_project.folder / "results/a.eval"))
    with zipfile.ZipFile(report["path"]) as archive:
        assert archive.testzip() is None
        read = {name: json.loads(archive.read(name)) for name in archive.namelist()}
    header, summaries = read["header.json"], read["summaries.json"]
    assert (header["version"], header["status"], header["eval"]["model"]) == (2, "success", "openai/gpt-6-luna")
    numbers = viewed_project.ok("score", "a")
    jury = next(score for score in header["results"]["scores"] if score["name"] == "jury")
    assert jury["metrics"]["mean"]["value"] == numbers["score"]
    assert [one["id"] for one in summaries] == [f"q{n}" for n in range(1, ROWS + 1)]
    sample = read["samples/q9_epoch_1.json"]
    assert sample["input"][0]["content"][1]["image"].startswith("data:image/png;base64,")
    assert set(sample["scores"]) == {"jury", "openai:gpt-5.4-mini", "openai:gpt-5.4", "openai:gpt-5.4-nano"}
    assert sample["model_usage"]["gpt-6-luna"]["total_tokens"] > 0
    assert "error 77" in read["samples/q10_epoch_1.json"]["error"]["message"]
    assert header["stats"]["model_usage"]["gpt-6-luna"]["output_tokens"] == sum(
        one["model_usage"]["gpt-6-luna"]["output_tokens"] for one in summaries if one["model_usage"]
    )


def test_the_other_forms_hold_every_item(viewed_project):
    def path(form):
        report = viewed_project.ok("export", "b", "--to", form)
        assert report["items"] == ROWS
        return report["path"]

    items = viewed_project.ok("show", "b", "--items", "--limit", 0)["items"]
    table = pq.read_table(path("parquet")).to_pylist()
    for name in ("item", "question", "references", "answer", "outcome", "error", "verdict", "disagree"):
        assert [row[name] for row in table] == [item[name] for item in items], name
    assert [len(row["judges"]) for row in table] == [len(item["judges"]) for item in items]
    rows = [json.loads(line) for line in Path(path("openai")).read_text("utf-8").splitlines()]
    assert [row["sample"]["output_text"] for row in rows] == [item["answer"] for item in items]
    assert {"question", "references", "columns"} <= rows[0]["item"].keys()
    with Path(path("csv")).open(newline="", encoding="utf-8") as handle:
        assert [row["item"] for row in csv.DictReader(handle)] == [item["item"] for item in items]
    printed = viewed_project.run("show", "b", "--csv", "--limit", 0).out
    assert len(list(csv.reader(io.StringIO(printed)))) == ROWS + 1


def test_reports_in_other_formats(viewed_project):
    for form, begins in {
        "md": b"# 2 batches", "csv": b"batch,provider", "tex": b"% needs", "json": b'{"title"', "xlsx": b"PK",
        "svg": b"<svg", "png": b"\x89PNG",
    }.items():  # fmt: skip
        report = viewed_project.ok("report", "--format", form)
        for path in report["files"]:
            assert Path(path).read_bytes().startswith(begins), path
    assert [path.rpartition("/")[2] for path in report["files"]] == [
        "report-scores.png", "report-differences.png", "report-groups-1.png"
    ]  # fmt: skip
