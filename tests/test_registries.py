"""One package of somebody else's adds a member to each registry, and a batch uses them together."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.commands import Project

from batchflow.errors import UsageError
from batchflow.extract import registry as extractors
from batchflow.judges import registry as kinds
from batchflow.judges import verifiers
from batchflow.layouts import registry as layouts
from batchflow.score import metrics
from batchflow.tasks import registry as tasks

PACKAGES = Path(__file__).parent / "packages"
ADDED = {
    tasks: "sums", kinds: "stars", extractors: "last_word", verifiers: "close", metrics: "worst", layouts: "tree",
}  # fmt: skip
ROWS = "id,question,reference,within\na,1 and 1?,2,0\nb,2 and 2?,4,1\nc,3 and 3?,6,?\nd,4 and 4?,8,0\n"
ANSWERS = "custom_id,sample,answer,model\na,0,It is 2,m\na,1,It is 3,m\nb,0,5,m\nb,1,4,m\nc,0,6,m\nc,1,six,m\nd,0,8,m\n"


@pytest.fixture
def installed(monkeypatch):
    """Two packages that stand beside batchflow, as far as an interpreter can tell."""
    for name in ("acme_eval", "stars_judge"):
        monkeypatch.syspath_prepend(str(PACKAGES / name))


@pytest.mark.parametrize("registry", ADDED, ids=lambda registry: registry.__name__)
def test_a_package_adds_a_member_to_each_registry(registry, installed):
    name = ADDED[registry]
    assert name in registry.REGISTRY.names()
    assert name == registry.REGISTRY.get(name).NAME
    assert all(known == member.NAME for known, member in registry.REGISTRY.members.items())
    with pytest.raises(UsageError, match=f"is called '{name}x'") as caught:
        registry.REGISTRY.get(f"{name}x")
    assert f"{name} is the nearest" in caught.value.hint


def test_a_member_that_cannot_be_used_says_why(installed):
    with pytest.raises(UsageError, match=r"task broken \(nowhere\) cannot be loaded: No module named 'nowhere'"):
        tasks.get("broken")
    with pytest.raises(UsageError, match=r"extractor half \(json\) has no NAME, ARGUMENT, bind"):
        extractors.get("half")


def test_a_batch_uses_task_rule_and_metric_of_a_package(installed, tmp_path):
    project = Project(tmp_path / "project")
    (project.folder / "rows.csv").write_text(ROWS)
    (project.folder / "mine.csv").write_text(ANSWERS)
    project.ok("import", "predictions", "mine.csv", "--dataset", "rows.csv", "--task", "sums")
    project.ok("jury", "mine", "--judges", "rule:close", "--wait")
    sent = project.rows("processed_files/judge_mine_by_rule_close.jsonl")
    assert [(row["answer"], row["columns"]["within"]) for row in sent[:3]] == [("2", "0"), ("3", "0"), ("5", "1")]
    votes = project.rows("results/judge_mine_by_rule_close.jsonl")
    assert [row["outcome"] for row in votes] == ["ok", "ok", "ok", "ok", "error", "ok", "ok"]
    assert "rule close failed: ValueError" in votes[4]["error"]  # it is never a vote
    scored = project.ok("score", "mine")
    assert (scored["metric"], scored["score"], scored["votes_missing"]) == ("worst", 2 / 3, 1)
    assert project.ok("score", "mine", "--metric", "mean")["score"] == 0.8
    scored = project.ok("score", "mine", "--metric", "pass@2")
    assert (scored["score"], scored["interval"]["n"], scored["bounds_low"]) == (1.0, 2, None)
    card = project.run("score", "mine", "--metric", "all@2", "-v").out
    assert "all@2 of each item" in card
    assert "1 items have too few judged answers for all@2 and are excluded" in card
    assert "needs a number of answers" in project.refused(2, "score", "mine", "--metric", "pass")
    assert "no item has 3 judged answers" in project.refused(3, "score", "mine", "--metric", "pass@3")
    assert "worst" in project.refused(2, "score", "mine", "--metric", "wrost")
