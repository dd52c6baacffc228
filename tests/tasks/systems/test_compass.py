"""OpenCompass's data sets as its caches hold them: on files of the same shape, and where they are not there."""

from __future__ import annotations

import dataclasses

import pytest
from helpers import compass as small

from batchflow import settings
from batchflow.errors import DataError, UsageError
from batchflow.tasks.registry import get


@pytest.fixture
def known(tmp_path):
    """Settings whose environment names the small caches."""
    loaded = settings.load(tmp_path)
    return dataclasses.replace(loaded, environment={**loaded.environment, **small.caches(tmp_path)})


def read(known, name, split=None, path=None):
    task = get(name)
    split = split or task.SPLITS[0]
    source = task.source(known, split, path)
    items = list(task.items(source, split))
    template = task.template(split, None)
    return items, [task.prompt(item, 0, template).parts[0] for item in items]


def test_aime(known):
    items, prompts = read(known, "aime2025")
    assert [(item.id, item.references) for item in items] == [("0", ("42",)), ("1", ("1024",)), ("2", ("10",))]
    assert prompts[0] == "What is 6 times 7?\nRemember to put your final answer within \\boxed{}."


def test_gpqa_turns_its_options_as_opencompass_does(known):
    items, prompts = read(known, "gpqa")
    assert [item.references for item in items] == [("D",), ("C",)]  # BCDA, then CDAB
    assert items[0].options == ("wrong one", "wrong two", "wrong three", "right")
    assert prompts[0].endswith("ABCD.\n\nWhich is a metal?\n\nA) wrong one\nB) wrong two\nC) wrong three\nD) right")


def test_mmlu_pro_is_a_data_set_for_each_category(known):
    whole, _ = read(known, "mmlu_pro")
    part, prompts = read(known, "mmlu_pro", "math")
    assert [item.question for item in part] == ["1 + 1?", "2 + 2?"]
    assert len(whole) == 3
    assert (part[0].options, part[0].references) == (("left", "right"), ("B",))
    assert prompts[0].endswith("Question:\n\n1 + 1?\n\nOptions:\n\nA. left\nB. right")
    assert get("mmlu_pro").columns(part[0])["category"] == "math"


def test_hle_leaves_pictures_out(known):
    items, _ = read(known, "hle")
    assert [(item.id, item.question) for item in items] == [("0", "Hard 1?"), ("1", "Hard 3?")]


def test_ifeval_keeps_what_the_rule_reads(known, tmp_path):
    items, prompts = read(known, "ifeval")
    assert prompts[0] == "Write it without commas."
    assert items[0].fields["instruction_id_list"] == '["punctuation:no_comma"]'


@pytest.mark.parametrize(
    ("name", "place", "variable"),
    [
        ("aime2025", "data/aime2025/aime2025.jsonl", "COMPASS_DATA_CACHE"),
        ("gpqa", "data/gpqa/gpqa_diamond.csv", "COMPASS_DATA_CACHE"),
        ("mmlu_pro", "data/mmlu_pro", "COMPASS_DATA_CACHE"),
        ("ifeval", "data/ifeval/input_data.jsonl", "COMPASS_DATA_CACHE"),
        ("hle", "cais___hle", "HF_DATASETS_CACHE"),
    ],
)
def test_a_missing_file_is_named_with_its_place(known, tmp_path, name, place, variable):
    empty = dataclasses.replace(known, environment={variable: str(tmp_path / "empty")})
    with pytest.raises(UsageError) as missing:
        read(empty, name)
    assert str(tmp_path / "empty" / place) in str(missing.value)
    assert variable in missing.value.hint


def test_faulty_rows_name_file_row_and_field(known, tmp_path):
    for name, text, told in (
        ("aime2025", '{"question": "x?"}\n', "line 1, field answer: a text is expected"),
        ("ifeval", '{"prompt": "x", "instruction_id_list": [], "kwargs": []}\n', "field instruction_id_list: a list"),
        ("mmlu_pro", '{"question": "x?", "options": ["a"], "answer": "A"}\n', "field options: a list of options"),
        ("mmlu_pro", '{"question": "x?", "options": ["a", "b"], "answer": "C"}\n', "field answer: a list of options"),
    ):
        path = tmp_path / "faulty.jsonl"
        path.write_text(text)
        with pytest.raises(DataError, match=told):
            read(known, name, path=path)
    with pytest.raises(UsageError, match="no split 'chemestry'"):
        read(known, "mmlu_pro", "chemestry")
    (tmp_path / "broken.arrow").write_bytes(b"not arrow")
    with pytest.raises(DataError, match="not an Arrow stream"):
        read(known, "hle", path=tmp_path / "broken.arrow")
