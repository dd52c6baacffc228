from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest
from pyarrow import parquet

from batchflow import settings as the_settings
from batchflow.errors import DataError, UsageError
from batchflow.tasks import choice, qa
from batchflow.tasks.datasets import columns


def rows_of(path, mapping="", task=qa, split="all"):
    settings = the_settings.load(path.parent, {})
    source = replace(
        task.source(settings, split, path), mapping=columns.parsed([mapping] if mapping else [], task.FIELDS)
    )
    return list(task.items(source, split))


@pytest.fixture
def data(tmp_path):
    def write(*rows, name="data.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return path

    return write


def refusal(path, mapping="", task=qa, split="all"):
    with pytest.raises(DataError) as caught:
        rows_of(path, mapping, task, split)
    return f"{caught.value} | {caught.value.hint}"


def test_a_question_is_enough(data) -> None:
    first, second = rows_of(data({"question": "Who?"}, {"question": "What?"}))
    assert (first.id, second.id) == ("1", "2")
    assert (first.question, first.context, first.references, first.pictures) == ("Who?", None, (), ())


def test_columns_are_mapped_and_all_others_kept(data) -> None:
    row = {
        "nr": 7,
        "options": "its own",  # a field of `choice` only
        "prompt": "Who?",
        "gold": ["me", "I"],
        "text": "A story.",
        "topic": "x",
        "level": 2,
        "tags": ["a"],
        "q": None,
    }
    (item,) = rows_of(data(row), "id=nr,question=prompt,reference=gold,context=text")
    assert (item.id, item.question, item.context, item.references) == ("7", "Who?", "A story.", ("me", "I"))
    own = {"options": "its own", "topic": "x", "level": 2, "tags": '["a"]', "q": None}
    assert qa.columns(item) == {**own, "context": "A story."}


def test_a_long_value_is_kept_short_and_stays_itself(data) -> None:
    rows = [{"question": "?", "story": "x" * 5_000 + end} for end in ("a", "b", "a")]
    one, two, three = (qa.columns(item)["story"] for item in rows_of(data(*rows)))
    assert len(one) < 250
    assert one == three != two


def test_a_missing_column_lists_what_is_there_and_the_nearest(data) -> None:
    path = data({"prompt": "Who?", "gold": "me"})
    said = refusal(path)
    assert "there is no column 'question'; columns: prompt, gold" in said
    assert "--map question=prompt" in said
    said = refusal(path, "question=promt")
    assert "--map question=promt: there is no column 'promt'" in said
    assert "columns: prompt, gold; name the right one with --map question=prompt" in said
    table = path.with_suffix(".csv")
    table.write_text("quetsion,gold\nWho?,me\n")
    assert "--map question=quetsion" in refusal(table)


def test_riddles_are_not_taken_for_questions(data) -> None:
    said = refusal(data({"id": 1, "description": "Who?", "answer": "me"}))
    assert "--map question=description" in said
    assert "--task riddles" in said


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("quesion=a", "question is the nearest"),
        ("question", "not field=column"),
        ("question=a,question=b", "twice"),
        ("options=a", "no field 'options'"),
    ],
)
def test_a_mapping_that_makes_no_sense(spec, why) -> None:
    with pytest.raises(UsageError) as caught:
        columns.parsed([spec], qa.FIELDS)
    assert why in f"{caught.value} {caught.value.hint}"


def test_a_mapping_is_recorded_and_read_again() -> None:
    mapping = columns.parsed(["question=a b, reference=c", "picture="], qa.FIELDS)
    assert mapping == (("question", "a b"), ("reference", "c"), ("picture", ""))
    assert columns.recorded(columns.text(mapping)) == mapping


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"question": 7}, "field question: text is expected, not 7 (a number)"),
        ({"question": " "}, "field question: missing or empty"),
        ({"question": "?", "context": ["a"]}, "field context: text is expected, not a list"),
        ({"question": "?", "reference": {"a": 1}}, "field reference: "),
        ({"question": "?", "id": "x"}, "field id: the first row has none"),
    ],
)
def test_a_bad_field_is_refused_with_its_place(data, row, why) -> None:
    assert f"line 2, {why}" in refusal(data({"question": "Who?"}, row))


def test_an_id_is_used_once(data) -> None:
    path = data({"id": 1, "question": "a"}, {"id": " 1", "question": "b"})
    assert "line 2, field id: '1' is already the id of line 1" in refusal(path)


def test_references_are_texts_numbers_or_nothing(data) -> None:
    given = ["x", 2, 2.5, True, None, "", [1, "y"], float("nan")]
    path = data(*({"question": "?", "reference": one} for one in given[:-1]))
    assert [item.references for item in rows_of(path)] == [("x",), ("2",), ("2.5",), ("true",), (), (), ("1", "y")]


def test_a_split_is_the_rows_that_say_so(data) -> None:
    path = data({"question": "a", "split": "train"}, {"question": "b", "split": "test"})
    assert [item.id for item in rows_of(path)] == ["1", "2"]
    (item,) = rows_of(path, split="test")
    assert (item.id, item.fields["split"]) == ("2", "test")
    assert "holds: test, train" in refusal(path, split="valid")
    assert "it has no column split; --split all" in refusal(data({"question": "a"}), split="llm")


def test_parquet_brings_dates_decimals_and_pictures_as_others_store_them(tmp_path, png) -> None:
    raw = base64.b64decode(png)
    path = tmp_path / "data.parquet"
    table = [
        {"question": "?", "day": date(2026, 11, 28), "share": float("nan"), "image": {"bytes": raw, "path": "a.png"}}
    ]
    parquet.write_table(pa.Table.from_pylist(table), path)
    (item,) = rows_of(path)
    assert item.image.data == png
    assert qa.columns(item) == {"day": "2026-11-28", "share": None}


class TestPictures:
    def test_come_as_base64_data_url_path_or_several_of_them(self, data, tmp_path, png) -> None:
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures/a b.png").write_bytes(base64.b64decode(png))
        forms = [
            png,
            f"data:image/png;base64,{png}",
            "pictures/a b.png",
            ["pictures/a b.png", png],
            json.dumps([png, png]),
            None,
        ]
        items = rows_of(data(*({"question": "?", "image": form} for form in forms)))
        assert [len(item.pictures) for item in items] == [1, 1, 1, 2, 2, 0]
        assert {picture.data for item in items for picture in item.pictures} == {png}

    def test_of_several_columns_are_chosen(self, data, png) -> None:
        path = data({"question": "?", "image": png, "img": png})
        assert "--map picture=image" in refusal(path)
        (item,) = rows_of(path, "picture=image+img")
        assert len(item.pictures) == 2
        (item,) = rows_of(path, "picture=")
        assert item.pictures == ()

    def test_never_leave_the_folder_and_are_never_fetched(self, data, tmp_path, png) -> None:
        outside = tmp_path.parent / f"{tmp_path.name}-outside.png"
        outside.write_bytes(base64.b64decode(png))
        (tmp_path / "link.png").symlink_to(outside)
        (tmp_path / "loop.png").symlink_to("loop.png")
        for form, why in (
            (f"../{outside.name}", "leaves the folder"),
            (str(outside), "leaves the folder"),
            ("link.png", "leaves the folder"),
            ("loop.png", "loop.png"),
            ("nowhere.png", "no such file"),
            ("https://example.com/a.png", "is a URL: download the picture"),
            ("file:///etc/passwd", "is a URL"),
            (7, "a picture is base64 text"),
            ("x" * 40, "not a PNG"),
            ("[oops", "begins as a list"),
        ):
            said = refusal(data({"question": "?", "image": form}))
            assert "line 1, field picture: " in said
            assert why in said, said

    def test_are_parts_of_the_prompt_in_their_order(self, data, png) -> None:
        (item,) = rows_of(data({"question": "Which?", "image": [png, png], "context": "Look."}))
        prompt = qa.prompt(item, 0, qa.template("all", None))
        assert prompt.parts == ("Context: Look.", item.image, item.image, "Question: Which?")


class TestChoice:
    def test_has_options_and_a_letter(self, data) -> None:
        rows = [
            {"question": "?", "options": ["x", "y", "z"], "reference": "b"},
            {"question": "?", "options": '["x", "y"]', "reference": "y"},
            {"question": "?", "options": {"A": "x", "B": "y"}, "reference": "(B)"},
            {"question": "?", "options": ["x", "y", "", None]},
        ]
        items = rows_of(data(*rows), task=choice)
        assert [item.references for item in items] == [("B",), ("B",), ("B",), ()]
        assert [len(item.options) for item in items] == [3, 2, 2, 2]
        prompt = choice.prompt(items[0], 0, choice.template("all", None))
        assert prompt.parts == ("Question: ?", "Options:", "A. x\nB. y\nC. z")

    def test_takes_its_options_from_columns(self, tmp_path) -> None:
        path = tmp_path / "data.csv"
        path.write_text("question,A,B,C,gold\n?,x,y,,A\n")
        assert "--map options=A+B+C takes these columns" in refusal(path, task=choice)
        (item,) = rows_of(path, "options=A+B+C,reference=gold", choice)
        assert (item.options, item.references, item.fields) == (("x", "y"), ("A",), {})

    @pytest.mark.parametrize(
        ("row", "why"),
        [
            ({"options": ["x"]}, "2 to 26 options"),
            ({"options": ["x", "", "y"]}, "none of them empty"),
            ({"options": "x, y"}, "--map options=A+B+C+D"),
            ({"options": ["x", "y"], "reference": "C"}, "no option's letter"),
            ({"options": ["x", "y"], "reference": 1}, "no option's letter"),
            ({"options": ["B", "A"], "reference": "A"}, "means two options"),
        ],
    )
    def test_refuses_what_is_not_certain(self, data, row, why) -> None:
        assert why in refusal(data({"question": "?", **row}), task=choice)


class TestTemplates:
    def test_may_name_any_column(self, data, tmp_path) -> None:
        mine = tmp_path / "mine.txt"
        mine.write_text("Be brief.\n\n=== user turn ===\nSubject: {My topic}\n{question}\n")
        (item,) = rows_of(data({"question": "Why {question}?", "My topic": "x"}))
        assert qa.prompt(item, 0, qa.template("all", mine)).parts == ("Subject: x", "Why {question}?")
        (item,) = rows_of(data({"question": "?"}))
        with pytest.raises(UsageError, match=r"has no field \{My topic\}"):
            qa.prompt(item, 0, qa.template("all", mine))

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("a\n=== user turn ===\nb", "has to hold {question}"),
            ("a\n=== user turn ===\n{question} {reference}", "would tell the model the answer"),
            ("a\n=== user turn ===\n{question}\nsee {picture}", "has to be alone"),
            ("\n=== user turn ===\n{question}", "no system text"),
            ("{question}", "is missing"),
        ],
    )
    def test_are_checked(self, tmp_path, text, why) -> None:
        (tmp_path / "t.txt").write_text(text)
        with pytest.raises(UsageError, match=why):
            qa.template("all", tmp_path / "t.txt")
