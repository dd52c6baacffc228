from __future__ import annotations

import base64
import csv
import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.records import Item
from batchflow.tasks.datasets import riddle_rows


def read(path: Path, split: str = "llm") -> list[Item]:
    return list(riddle_rows.items(riddle_rows.local(path), split))


def as_csv(path: Path, *rows: dict[str, object]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        out = csv.DictWriter(handle, fieldnames=list(rows[0]))
        out.writeheader()
        out.writerows(rows)
    return path


def as_parquet(path: Path, *rows: dict[str, object]) -> Path:
    parquet.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def refusal(path: Path, split: str = "llm") -> str:
    with pytest.raises(DataError) as caught:
        read(path, split)
    return str(caught.value)


@pytest.fixture
def second_row(tmp_path, make, write):
    """A file whose second row is changed."""
    return lambda **changes: write(tmp_path / "data.jsonl", make(1), make(2, **changes))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_the_three_kinds_of_file_give_the_same_items(tmp_path, make, write, png, kind) -> None:
    rows = [
        make(1),
        make(2, picarats=None, description='two\nlines, a comma and a "quote"'),
        make(3, split="vlm", img=png, solution="Because é."),
    ]
    writer = {"jsonl": write, "csv": as_csv, "parquet": as_parquet}[kind]
    path = writer(tmp_path / f"data.{kind}", *rows)
    first, second = read(path)
    assert first.id == "001-1"
    assert first.fields["picarats"] == 30
    assert first.fields["second_hint"] is None
    assert first.fields["special_hint"] == "It is even."
    assert first.image is None
    assert second.fields["picarats"] is None
    assert second.fields["description"] == 'two\nlines, a comma and a "quote"'
    (third,) = read(path, "vlm")
    assert third.fields["solution"] == "Because é."
    assert third.image is not None
    assert (third.image.mime, third.image.data) == ("image/png", png)


def test_the_source_is_the_path_and_the_hash_of_the_bytes(tmp_path, make, write) -> None:
    path = write(tmp_path / "data.jsonl", make())
    source = riddle_rows.local(path)
    assert (source.location, source.path, source.sha256) == (str(path), path, files.sha256(path))


@pytest.mark.parametrize(
    ("changes", "field", "why"),
    [
        ({"id": ...}, "id", "missing or empty"),
        ({"id": None}, "id", "missing or empty"),
        ({"id": "  "}, "id", "missing or empty"),
        ({"id": True}, "id", "text is expected, not true or false"),
        ({"id": 1.5}, "id", "text is expected, not 1.5 (a number)"),
        ({"picarats": "1e300"}, "picarats", "whole number"),
        ({"id": "a\x00b"}, "id", "cannot be printed"),
        ({"description": ...}, "description", "missing or empty"),
        ({"answer": "\n"}, "answer", "missing or empty"),
        ({"answer": 12}, "answer", "text is expected, not 12 (a number)"),
        ({"solution": ["a"]}, "solution", "text is expected, not a list"),
        ({"first_hint": {"a": 1}}, "first_hint", "text is expected, not an object"),
        ({"picarats": "many"}, "picarats", "whole number is expected, not 'many'"),
        ({"picarats": 2.5}, "picarats", "whole number"),
        ({"picarats": True}, "picarats", "whole number"),
        ({"split": 1}, "split", "text is expected"),
    ],
)
def test_a_bad_field_is_refused_with_its_place(second_row, changes, field, why) -> None:
    path = second_row(**changes)
    text = refusal(path)
    assert text.startswith(f"{path}, line 2, field {field}: ")
    assert why in text


@pytest.mark.parametrize(
    ("img", "why"),
    [
        (None, "needs its picture"),
        ("", "needs its picture"),
        ("%%%", "broken base64"),
        (base64.b64encode(b"%PDF-1.7").decode(), "not a PNG"),
        (base64.b64encode(b"\x89PNG\r\n\x1a\n").decode(), "cut short: its closing IEND chunk is missing"),
        (7, "base64 text is expected, not 7 (a number)"),
        ([1, 2], "base64 text is expected, not a list"),
        ({"url": "https://example.com/a.png"}, "base64 text is expected, not an object"),
        ("data:image/jpeg;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n").decode(), "says image/jpeg"),
    ],
)
def test_a_bad_picture_is_refused_with_its_place(tmp_path, make, write, img, why) -> None:
    path = write(tmp_path / "data.jsonl", make(1, split="vlm", img=img))
    text = refusal(path, "vlm")
    assert text.startswith(f"{path}, line 1, field img: ")
    assert why in text


def test_a_picture_of_the_hub_may_lack_its_end(tmp_path, make, write) -> None:
    cut = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    mine = riddle_rows.local(write(tmp_path / "data.jsonl", make(1, split="vlm", img=cut)))
    (item,) = riddle_rows.items(replace(mine, location="hub:them/theirs@1f/data.jsonl"), "vlm")
    assert item.image.data == cut


def test_text_riddles_do_not_look_at_pictures(tmp_path, make, write) -> None:
    (item,) = read(write(tmp_path / "data.jsonl", make(img="%%%")))
    assert item.image is None


def test_a_second_use_of_an_id_names_both_lines(tmp_path, make, write) -> None:
    path = write(tmp_path / "data.jsonl", make(1), make(2), make(3, id=" 001-1"))
    assert refusal(path) == f"{path}, line 3, field id: '001-1' is already the id of line 1"


def test_numbers_are_ids_too(tmp_path, make, write) -> None:
    assert [item.id for item in read(write(tmp_path / "a.jsonl", make(id=7)))] == ["7"]
    assert [item.id for item in read(as_csv(tmp_path / "a.csv", make(id=7)))] == ["7"]
    assert [item.id for item in read(as_parquet(tmp_path / "a.parquet", make(id=7)))] == ["7"]


def test_a_split_that_is_not_there(tmp_path, make, write) -> None:
    path = write(tmp_path / "data.jsonl", make(1), make(2, split="extra"))
    with pytest.raises(DataError, match="holds no split 'vlm'") as caught:
        read(path, "vlm")
    assert "extra, llm" in caught.value.hint


def test_rows_without_a_split_belong_to_the_one_asked_for(tmp_path, make, write, png) -> None:
    path = write(tmp_path / "data.jsonl", make(split=..., img=png))
    assert len(read(path)) == 1
    assert read(path, "vlm")[0].split == "vlm"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_an_empty_file(tmp_path, content, kind) -> None:
    path = tmp_path / f"data.{kind}"
    path.write_bytes(content)
    assert str(path) in refusal(path)


def test_a_header_alone_is_an_empty_file(tmp_path, make) -> None:
    path = tmp_path / "data.csv"
    path.write_text(",".join(make()) + "\n")
    assert refusal(path) == f"{path}: the file has no rows"
    table = tmp_path / "data.parquet"
    parquet.write_table(pa.table({"id": pa.array([], pa.string())}), table)
    assert refusal(table) == f"{table}: the file has no rows"


@pytest.mark.parametrize("line", ["{", "[1]", "null", '{"a": NaN}', '{"a": 1} {"b": 2}', "id,answer"])
def test_what_is_not_a_json_object(tmp_path, make, line) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps(make()) + "\n" + line + "\n")
    assert f"{path}, line 2: " in refusal(path)


def test_byte_order_mark_and_windows_line_ends(tmp_path, make) -> None:
    lines = json.dumps(make(1)) + "\r\n" + json.dumps(make(2)) + "\r\n"
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert [item.id for item in read(path)] == ["001-1", "002-1"]
    table = as_csv(tmp_path / "data.csv", make(1), make(2))
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    assert b"\r\n" in table.read_bytes()
    assert [item.id for item in read(table)] == ["001-1", "002-1"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("id,answer\n1,2\n", "line 1, field description: the header has no such column"),
        ("id,answer,description,id\n", "line 1, field id: the header names this column twice"),
        ("id,answer,description\n1,2,3\n4,5\n", "line 3: 2 cells, but the header names 3 columns"),
        ('id,answer,description\n1,"a\nb",3\n,5,6\n', "line 4, field id: missing or empty"),
        ('id,answer,description\n1,"a"b,3\n', "line 2: not CSV"),
        ('id,answer,description\n1,2,"open\n', "line 2: not CSV"),
    ],
)
def test_broken_csv(tmp_path, text, why) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    assert refusal(path).startswith(f"{path}, {why}")


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_bytes_that_are_not_utf8(tmp_path, make, write, kind) -> None:
    path = {"jsonl": write, "csv": as_csv}[kind](tmp_path / f"data.{kind}", make(1), make(2, category="XX"))
    path.write_bytes(path.read_bytes().replace(b"XX", b"\xff\xfe"))
    lines = path.read_bytes().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if b"\xff" in line)
    assert f"{path}, line {number}: not " in refusal(path)


def test_csv_cells_may_be_as_large_as_pictures(tmp_path, make, large_png) -> None:
    (item,) = read(as_csv(tmp_path / "data.csv", make(split="vlm", img=large_png)), "vlm")
    assert item.image is not None
    assert item.image.data == large_png


def test_parquet_with_pictures_as_bytes_and_as_stored_by_the_datasets_library(tmp_path, make, png) -> None:
    raw = base64.b64decode(png)
    path = as_parquet(tmp_path / "a.parquet", make(1, split="vlm", img=raw), make(2, split="vlm", img=raw))
    stored = as_parquet(tmp_path / "b.parquet", make(1, split="vlm", img={"bytes": raw, "path": "a.png"}))
    assert [item.image.data for item in [*read(path, "vlm"), *read(stored, "vlm")]] == [png] * 3


def test_parquet_names_the_row(tmp_path, make) -> None:
    rows = [make(n) for n in range(1, 100)] + [make(100, answer="")]
    path = as_parquet(tmp_path / "data.parquet", *rows)
    assert refusal(path) == f"{path}, row 100, field answer: missing or empty"


def test_parquet_that_is_none(tmp_path) -> None:
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1 not really PAR1")
    assert refusal(path).startswith(f"{path}: not Parquet")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, make) -> None:
    path = as_parquet(tmp_path / "data.parquet", make())
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\n"
        "from batchflow.errors import UsageError\n"
        "from batchflow.tasks.datasets import riddle_rows as dataset\n"
        "try: list(dataset.items(dataset.local(Path(sys.argv[1])), 'llm'))\n"
        "except UsageError as error: print(error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "pip install 'batchflow-eval[parquet]'"


def test_reading_json_lines_does_not_import_pyarrow() -> None:
    program = "import sys, batchflow.tasks.registry; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["data.xlsx", "data.txt", "data"])
def test_an_unknown_ending(tmp_path, name) -> None:
    path = tmp_path / name
    path.write_text("{}")
    with pytest.raises(UsageError, match="ending") as caught:
        riddle_rows.local(path)
    assert ".jsonl" in caught.value.hint


def test_no_such_file(tmp_path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        riddle_rows.local(tmp_path / "data.jsonl")


def test_memory_stays_flat(tmp_path, make, write) -> None:
    large = make(description="x" * 20_000)
    path = write(tmp_path / "data.jsonl", *(large | {"id": str(n)} for n in range(1_000)))
    source = riddle_rows.local(path)
    tracemalloc.start()
    count = sum(1 for _ in riddle_rows.items(source, "llm"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1_000
    assert peak < 2_000_000  # the file has 20 MB


@given(
    st.dictionaries(
        st.sampled_from(["id", "description", "answer", "picarats", "img", "split", "first_hint"]),
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False)
        | st.text(max_size=5)
        | st.lists(st.none())
        | st.dictionaries(st.sampled_from(["bytes", "url"]), st.none()),
    ),
    st.sampled_from(["llm", "vlm"]),
)
def test_any_row_is_an_item_or_a_named_refusal(tmp_path_factory, row, split) -> None:
    path = tmp_path_factory.mktemp("rows") / "data.jsonl"
    path.write_bytes(files.dumps(row) + b"\n")
    outcome: list[Item] | str
    try:
        outcome = read(path, split)
    except DataError as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert outcome.startswith(str(path))
    else:
        assert (outcome[0].id, outcome[0].fields["answer"]) == (str(row["id"]).strip(), row["answer"])
