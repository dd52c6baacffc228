from __future__ import annotations

from pathlib import Path

import pytest

from batchflow.errors import UsageError
from batchflow.judges import registry, riddle
from batchflow.judges.base import Evidence, field_names, parts_of, scale_of
from batchflow.records import VoteStatus

PACKAGES = Path(__file__).parents[1] / "packages"


@pytest.fixture
def stars(monkeypatch):
    """A package that is installed beside batchflow, as far as an interpreter can tell."""
    monkeypatch.syspath_prepend(str(PACKAGES / "stars_judge"))
    return registry.get("stars")


def test_a_package_adds_a_judge_kind(stars) -> None:
    assert (stars.NAME, field_names(stars), scale_of(stars, "stars").high) == ("stars", ("stars",), 5)
    assert registry.names()[-1] == "stars"
    said = stars.read("[[4]], I say [[4]]", Evidence())
    assert (said.status, said.values, said.labels) == (VoteStatus.VALID, {"stars": 4.0}, {"stars": "4"})


@pytest.mark.parametrize(
    ("text", "why"),
    [("[[4]] or [[5]]", "contradicts itself"), ("[[6]]", "not one to five stars"), ("four", "no stars")],
)
def test_a_grammar_never_guesses(stars, text, why) -> None:
    said = stars.read(text, Evidence())
    assert (said.status, said.reason) == (VoteStatus.UNPARSED, why)


def test_a_kind_that_is_not_there_is_refused(stars) -> None:
    with pytest.raises(UsageError, match="broken \\(nowhere\\) cannot be loaded: No module named 'nowhere'"):
        registry.get("broken")
    with pytest.raises(UsageError, match=r"half \(json\) has no NAME, FIELDS"):
        registry.get("half")
    with pytest.raises(UsageError, match="no judge kind is called 'corectness'") as caught:
        registry.get("corectness")
    assert "correctness is the nearest" in caught.value.hint


def test_older_judge_batches_are_riddles_and_record_nothing() -> None:
    assert registry.of_spec({"judges": "b"}) is riddle
    assert registry.recorded(riddle) == {}
    assert parts_of(riddle, "both_correct") == ("is_answer_correct", "is_justification_correct")
    assert registry.of_spec(registry.recorded(registry.get("correctness"))).NAME == "correctness"
