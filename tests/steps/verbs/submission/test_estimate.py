"""Estimates against the vendors' bill."""

from __future__ import annotations

import pytest
from crash.spending import price
from helpers.commands import dataset
from helpers.rehearsed import rehearsed

from batchflow.settings import VENDORS


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_bill_is_inside_the_range_before_and_after_experience(tmp_path, vendor):
    with rehearsed(tmp_path, name=vendor) as up:
        project, billed = up.project, 0.0
        for name, count in (("a", 8), ("b", 20)):
            up.prepare(name, count=count)
            told = project.ok("estimate", name, "--no-jury")
            up.project.ok("start", name)
            project.run("get", name, "--refresh-after", 0)
            cost = project.ok("results", name)["cost"]
            spent = sum(map(price, up.site.bill())) - billed
            billed += spent
            assert told["low_usd"] <= spent <= told["high_usd"]
            assert cost["usd"] == pytest.approx(spent)
            assert (cost["estimate_low_usd"], cost["estimate_high_usd"]) == (told["low_usd"], told["high_usd"])
        assert told["high_usd"] < 12 * told["low_usd"]  # the second one knows the model
        assert told["batches"][0]["estimate"]["likely_usd"] is not None


def test_the_jury_is_in_the_estimate_and_nothing_is_kept(tmp_path):
    with rehearsed(tmp_path) as up:
        project = up.project
        dataset(project.folder / "d.jsonl")
        flags = ("--dataset", "d.jsonl", "--provider", "openai", "--model", "gpt-6-luna")
        told = project.ok("estimate", *flags, "--judges", "openai:gpt-6.1-sol,rule:exact", "--judge-samples", 3)
        assert [(row["role"], row["estimate"]["requests"], row["estimate"]["is_free"]) for row in told["batches"]] == [
            ("answers", 4, False), ("judge", 12, False), ("judge", 4, True),
        ]  # fmt: skip
        assert project.files() == {"d.jsonl"}
        assert not (project.folder / "batchflow.db").exists()
        up.prepare("b")
        alone = project.ok("estimate", "b", "--judges", "openai:gpt-6.1-sol")
        assert alone["high_usd"] > project.ok("estimate", "b", "--no-jury")["high_usd"]
        assert "prepared already" in project.refused(2, "estimate", "b", "--model", "gpt-6-luna")
        shown = project.run("estimate", "b", "--no-jury").out
        assert "128,000 tokens an answer, for no limit is sent" in shown
        up.project.ok("start", "b")
        project.run("get", "b", "--refresh-after", 0)
        project.ok("results", "b")
        made = project.ok("jury", "b", "--judges", "openai:gpt-6-luna")["batches"][0]
        standing = project.ok("estimate", "b")
        assert standing["batches"][1]["made"]
        assert standing["batches"][1]["estimate"]["high_usd"] == made["estimate"]["high_usd"]
        assert standing["spent"]["total"]["usd"] > 0


LONG = "You solve riddles. " + "Remember that words may mislead, and that a trap is often in one of them. " * 320
"""A system text of some 6,000 tokens, longer than any model's shortest prefix."""


def long_template(folder):
    path = folder / "long.txt"
    path.write_text(f"{LONG}\n\n=== user turn ===\nQuestion: {{description}}\n")
    return path.name


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_bill_with_a_cached_beginning_is_inside_the_range(tmp_path, vendor):
    """Twice in a row: Anthropic is asked and billed for its writes, the others keep what they like by themselves."""
    with rehearsed(tmp_path, name=vendor) as up:
        project, billed = up.project, 0.0
        template = long_template(project.folder)
        for name in ("a", "b"):
            up.prepare(name, "--template", template, count=12)
            told = project.ok("estimate", name, "--no-jury")
            project.ok("start", name)
            assert project.run("get", name, "--refresh-after", 0, "--wait").code == 0
            cost = project.ok("results", name)["cost"]
            spent = sum(map(price, up.site.bill())) - billed
            billed += spent
            assert told["low_usd"] <= spent <= told["high_usd"]
            assert cost["usd"] == pytest.approx(spent)
        rows = up.site.bill()
        assert (sum(row["cached_tokens"] for row in rows) > 0) == (vendor not in {"mistral", "together"})
        assert (sum(row["written_1h_tokens"] for row in rows) > 0) == (vendor == "anthropic")
        shown = told["batches"][0]["estimate"]
        if vendor == "anthropic":
            assert shown["saved_low_usd"] < 0 < cost["saved_usd"] == pytest.approx(shown["saved_high_usd"], rel=0.35)
            assert shown["cache_tokens"] > 4_096
        else:
            assert (shown["cache_tokens"], shown["saved_low_usd"]) == (0, None)
