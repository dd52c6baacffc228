from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from batchflow import files
from batchflow.errors import UsageError
from batchflow.settings import load
from batchflow.tasks import registry, riddles

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path):
    return load(tmp_path, {"BATCHFLOW_HOME": str(tmp_path / "home")})


def shipped(settings, split):
    return list(riddles.items(riddles.source(settings, split, None), split))


def test_the_source_is_built_in_and_hashed(settings) -> None:
    source = riddles.source(settings, "llm", None)
    assert source.location == "builtin:riddles"
    assert source.sha256 == files.sha256(source.path)


@pytest.mark.parametrize(("split", "least"), [("llm", 80), ("vlm", 40)])
def test_there_are_enough_and_they_differ(settings, split, least) -> None:
    items = shipped(settings, split)
    assert len(items) >= least
    assert [item.id for item in items] == [f"{split}-{number:03d}" for number in range(1, len(items) + 1)]
    assert len({item.fields["description"] + str(item.image) for item in items}) == len(items)
    categories = Counter(item.fields["category"] for item in items)
    assert len(categories) >= 5
    assert max(categories.values()) < len(items) / 2


@pytest.mark.parametrize("split", riddles.SPLITS)
def test_every_riddle_is_whole(settings, split) -> None:
    items = shipped(settings, split)
    for item in items:
        assert 10 <= item.fields["picarats"] <= 70
        assert len(item.fields["answer"]) <= 80
        assert len(item.fields["justification"]) >= 20
        assert (item.image is not None) == (split == "vlm")
        for name in ("description", "answer", "justification", "solution"):
            text = item.fields[name]
            assert text is None or text == " ".join(text.split())
    hinted = sum(riddles.hints_available(item) >= 1 for item in items)
    assert hinted > 0.8 * len(items)
    assert any(item.fields["solution"] is None for item in items)


def test_hints_are_of_all_numbers_and_may_have_gaps(settings) -> None:
    items = [item for split in riddles.SPLITS for item in shipped(settings, split)]
    assert {riddles.hints_available(item) for item in items} >= {1, 2, 3}
    assert any(item.fields["third_hint"] is None and item.fields["special_hint"] is not None for item in items)


def test_hints_do_not_give_the_answer_away_early(settings) -> None:
    """The first hint never holds the whole answer; a number alone would often appear by chance."""
    for item in shipped(settings, "llm"):
        answer, hint = item.fields["answer"].lower(), (item.fields["first_hint"] or "").lower()
        assert len(answer) < 4 or not re.search(rf"\b{re.escape(answer)}\b", hint), item.id


def test_pictures_are_small_legible_and_of_two_kinds(settings) -> None:
    kinds = Counter()
    for item in shipped(settings, "vlm"):
        raw = base64.b64decode(item.image.data)
        image = Image.open(io.BytesIO(raw))
        assert len(raw) <= 12_288
        assert 80 <= min(image.size) <= max(image.size) <= 512
        assert Image.MIME[image.format] == item.image.mime
        kinds[item.image.mime] += 1
    assert set(kinds) == {"image/png", "image/jpeg"}


def test_the_data_are_what_the_script_makes() -> None:
    done = subprocess.run(
        [sys.executable, "-B", ROOT / "scripts" / "make_riddles", "--check"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "as generated", "")


def test_the_check_sees_a_changed_text_a_changed_picture_and_a_lost_row(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from riddlemaker import build

    rows = [json.loads(line) for line in (riddles.DATA / "riddles_vlm.jsonl").read_text("utf-8").splitlines()]
    rows[0]["answer"] = "1 degree"
    rows[1]["img"] = rows[3]["img"]
    path = tmp_path / "riddles_vlm.jsonl"
    path.write_text("".join(map(build.line, rows[:-1])), "utf-8")
    found = build.differences(path, "vlm")
    assert [text.split(": ", 1)[1] for text in found] == [
        f"{len(rows) - 1} riddles, {len(rows)} are generated",
        "vlm-001: answer differs",
        "vlm-002: img differs",
    ]


def test_a_file_of_ones_own(settings, tmp_path, make, write) -> None:
    path = write(tmp_path / "mine.jsonl", make(1))
    source = riddles.source(settings, "llm", path)
    assert source.location == str(path)
    assert [item.id for item in riddles.items(source, "llm")] == ["001-1"]


def test_a_split_that_riddles_do_not_have(settings) -> None:
    for task in map(registry.get, ("riddles", "layton")):
        with pytest.raises(UsageError, match="no split 'audio'"):
            task.source(settings, "audio", None)


def test_tasks_are_found_by_name() -> None:
    assert registry.get("riddles") is riddles
    assert {name: task.NAME for name, task in registry.TASKS.items()} == {name: name for name in registry.TASKS}
    with pytest.raises(UsageError, match="no task is called 'sudoku'") as caught:
        registry.get("sudoku")
    assert "riddles, layton" in caught.value.hint
