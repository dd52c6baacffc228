"""Layout `opencompass`: the metrics that its GenericLLMEvaluator gives, and predictions taken back."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from batchflow.errors import DataError
from batchflow.layouts import opencompass, registry
from batchflow.layouts.base import About, Said, Settled, Verdicts
from batchflow.records import Item

ABOUT = About(
    "gpqa", "local", "o/m", "qa", "all", 0, False, "d.csv", datetime(2026, 1, 1, tzinfo=UTC), {}, {"samples": 2}, 6
)


class Out:
    """Files in a folder."""

    def __init__(self, folder):
        self.folder = folder

    @contextmanager
    def file(self, name):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as sink:
            yield sink


def row(number, sample, verdicts, answer="text"):
    item = Item(f"i{number}", "all", {}, question=f"{number}?", references=("gold",))
    return Settled(None, item.id, answer, "m", None, "ok", None, None, None, sample, False, "c", item, verdicts)


def said(label):
    return Verdicts(float(label == "A"), (Said("judge", float(label == "A"), label),))


def written(tmp_path, rows):
    opencompass.write(ABOUT, rows, Out(tmp_path))
    read = [tmp_path / kind / "o_m/gpqa.json" for kind in ("predictions", "results")]
    return [json.loads(path.read_text()) if path.exists() else None for path in read]


def test_numbers_as_opencompass_computes_them(tmp_path):
    """By hand from its `get_final_results`: of A, B and C the accuracy is 1/3, of those attempted 1/2."""
    verdicts = [said("A"), said("A"), said("B"), said("A"), said("C"), None]
    predictions, results = written(tmp_path, [row(n // 2, n % 2, verdict) for n, verdict in enumerate(verdicts)])
    assert list(predictions) == ["0", "3", "1", "4", "2", "5"]  # item after item; the keys are repeat after repeat
    assert predictions["4"] == {
        "origin_prompt": [{"role": "HUMAN", "prompt": predictions["4"]["origin_prompt"][0]["prompt"]}],
        "prediction": "text", "gold": "gold", "id": "i1", "sample": 1,
    }  # fmt: skip
    assert "1?" in predictions["4"]["origin_prompt"][0]["prompt"]
    means = {key.removesuffix(" (2 runs average)"): value for key, value in results.items() if key != "details"}
    assert means == pytest.approx({
        "accuracy": (100 / 3 + 200 / 3) / 2, "accuracy_given_attempted": (50 + 100) / 2, "f1": (0.4 + 0.8) / 2,
        "attempted_ratio": 200 / 3, "correct_count": 1.5, "incorrect_count": 0.5, "not_attempted_count": 1,
    })  # fmt: skip
    assert [results["details"][key]["grade_letter"] for key in ("0", "1", "2")] == ["A", "B", "C"]


def test_without_verdicts_there_are_predictions_only_and_they_come_back(tmp_path):
    _, results = written(tmp_path, [row(n, 0, None, None if n else "x") for n in range(3)])
    assert results is None
    path = tmp_path / "predictions/o_m/gpqa.json"
    assert registry.of(path) is opencompass
    assert [(brought.key, brought.text, brought.model) for brought in opencompass.read(path)] == [
        (("i0", 0), "x", "o_m"), (("i1", 0), "", "o_m"), (("i2", 0), "", "o_m"),
    ]  # fmt: skip
    path.write_text('{"7": {"origin_prompt": [], "prediction": "their own"}}')
    assert [brought.key for brought in opencompass.read(path)] == [("7", 0)]
    path.write_text('{"0": {"origin_prompt": [], "prediction": 3}}')
    with pytest.raises(DataError, match="key 0, field prediction"):
        list(opencompass.read(path))
    path.write_text('{"origin_prompt"')
    assert not opencompass.recognises(path)


def test_no_row_at_all(tmp_path):
    assert written(tmp_path, []) == [{}, None]
