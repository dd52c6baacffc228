from __future__ import annotations

import html
import json
import re

from helpers.viewed import HOSTILE, ROWS

from batchflow.ledger import batches, jobs


def test_the_page_holds_all_batches_and_says_how_they_were_made(viewed_project):
    report = viewed_project.ok("report")
    assert report["files"] == [str(viewed_project.folder / "results/report.html")]
    assert (report["names"], report["items"]) == (["a", "b"], 2 * ROWS)
    page = (viewed_project.folder / "results/report.html").read_text()
    assert len(page.encode()) == report["bytes"]
    for heading in ("Scores", "Paired differences", "Judges", "Score by column", "Outcomes and cost", "Human labels"):
        assert f">{heading}</h2>" in page
    assert "upstream &lt;b&gt;server&lt;/b&gt; error 77" in page
    with viewed_project.ledger() as ledger, ledger.read() as tx:
        digest = tx.exec_driver_sql("SELECT dataset_sha256 FROM batches LIMIT 1").scalar()
    assert page.count(digest) >= 2
    assert "Models as served" in page
    assert HOSTILE not in page
    assert "rehearsed answers" not in page
    assert "These answers are made up" in page
    numbers = viewed_project.ok("score", "a")
    assert f"<strong>{100 * numbers['score']:.1f}</strong>" in page


def test_a_page_of_one_batch_without_pictures(viewed_project):
    out = viewed_project.folder / "one.html"
    assert viewed_project.ok("report", "b", "-o", out, "--no-images", "--by", "topic")["items"] == ROWS
    page = out.read_text()
    assert "data:image" not in page
    assert ">Paired differences</h2>" not in page
    with_pictures = viewed_project.ok("report", "b", "-o", out)["bytes"]
    assert with_pictures > len(page.encode())
    assert len(re.findall('id="picture-', out.read_text())) == 1  # the same picture four times


def test_a_batch_that_nobody_judged_has_a_page_too(viewed_project):
    for judge in [row["name"] for row in viewed_project.ok("list")["batches"] if row["kind"] == "judge"]:
        viewed_project.ok("delete", judge)
    report = viewed_project.ok("report", "a")
    page = (viewed_project.folder / "results/a.html").read_text()
    assert report["items"] == ROWS
    assert "a has not been judged" in page
    assert viewed_project.refused(4, "report", "nobody")


def test_the_cost_of_all_batches_is_a_figure_and_what_has_no_price_is_named(viewed_project):
    project, page = viewed_project, viewed_project.folder / "results/report.html"
    project.ok("report")
    (cost, about) = _tile(page.read_text(), "Cost")
    whole = sum(row["run_cost"]["total"]["usd"] for row in (project.ok("show", "a"), project.ok("show", "b")))
    assert cost == f"${whole:.4f}"
    assert about == "answers, retries and jury"
    with project.ledger() as ledger, ledger.write() as tx:
        (job,) = jobs.of_batch(tx, batches.get(tx, "b").id)
        jobs.note(tx, job.id, cost={**job.cost, "high": None, "unknown": 5})
    project.ok("report")
    cost, about = _tile(page.read_text(), "Cost")
    assert cost.startswith("at least $")
    assert re.search(r"; price unknown: \w+:[\w.-]+, 5 requests$", about)


def _tile(page, title):
    tile = re.search(rf"<dt>{title}</dt><dd><strong>(.*?)</strong><span>(.*?)</span>", page)
    return html.unescape(tile[1]), html.unescape(tile[2])


def test_biases_of_the_judges_stand_in_page_and_tables_once_they_are_asked_for(viewed_project):
    project, page = viewed_project, viewed_project.folder / "results/report.html"
    project.ok("report")
    assert "Biases of the judges" not in page.read_text()
    project.ok("report", "--bias")
    tests = project.ok("score", "a", "b", "--bias")
    section = page.read_text().partition(">Biases of the judges</h2>")[2].partition("</section>")[0]
    assert tests["biases"]
    for bias in tests["biases"]:
        assert f"{100 * bias['size']:+.1f}".replace("-", "−") in section
    assert all(html.escape(note) in section for note in tests["notes"] if "is not tested" in note)
    out = project.folder / "report.json"
    project.ok("report", "--bias", "--format", "json", "-o", out)
    document = json.loads(out.read_text())
    assert document["biases"] == tests["biases"]
    project.ok("report", "--bias", "--format", "md", "-o", out)
    assert "## Biases of the judges" in out.read_text()
