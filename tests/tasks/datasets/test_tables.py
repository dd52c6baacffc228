from __future__ import annotations

import contextlib
import json
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchflow.errors import DataError, UsageError
from batchflow.tasks import choice, qa
from batchflow.tasks.base import Source
from batchflow.tasks.datasets import tables

ROWS = [{"question": "What, now?", "gold": "a;b"}, {"question": "é", "gold": ""}]


def read(path, wanted=()):
    return [dict(row) for _, row in tables.of(path).rows(path, wanted)]


def delimited(mark: str, *, end: str = "\n") -> str:
    quoted = [[f'"{cell}"' for cell in row.values()] for row in ROWS]
    return end.join(mark.join(cells) for cells in [list(ROWS[0]), *quoted]) + end


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_is_read_with_any_delimiter_and_byte_order_mark(tmp_path, mark, encoding, end) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(delimited(mark, end=end).encode(encoding))
    assert read(path, ("question",)) == ROWS


@pytest.mark.parametrize("ending", [".tsv", ".tab"])
def test_a_tsv_has_tabs_whatever_its_header_holds(tmp_path, ending) -> None:
    path = tmp_path / f"data{ending}"
    path.write_text("question\ta,b,c\nx\ty\n")
    assert read(path) == [{"question": "x", "a,b,c": "y"}]


def test_the_columns_that_are_wanted_tell_the_delimiter(tmp_path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('nr;question;"points, at most"\n1;2,5 or 3,5?;4\n')
    assert read(path, ("question",)) == [{"nr": "1", "question": "2,5 or 3,5?", "points, at most": "4"}]
    path.write_text("a,b;c\n1,2;3\n")
    with pytest.raises(DataError, match="a comma and a semicolon split the header equally well") as caught:
        read(path, ("question",))
    assert "sep=;" in caught.value.hint
    path.write_text("sep=;\na,b;c\n1,2;3\n")
    assert read(path, ("question",)) == [{"a,b": "1,2", "c": "3"}]


def test_one_column_needs_no_delimiter(tmp_path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('question\nWho?\n"Who, then?"\n')
    assert read(path) == [{"question": "Who?"}, {"question": "Who, then?"}]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps({"version": 1, "data": ROWS}),
        "\n".join(map(json.dumps, ROWS)),
        "\ufeff" + json.dumps(ROWS, indent=1),
    ],
)
def test_json_is_an_array_an_object_with_one_list_or_json_lines(tmp_path, text) -> None:
    path = tmp_path / "data.json"
    path.write_text(text, "utf-8")
    assert read(path) == ROWS
    path.write_text(text.lstrip("\ufeff"), "utf-16")
    assert read(path) == ROWS


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "not JSON"),
        ("[]", "the file has no rows"),
        ('{"a": [{"x": 1}], "b": [{"x": 1}]}', "several lists, 'a', 'b'"),
        ('{"question": {"0": "x"}, "gold": {"0": "y"}}', "neither a list of objects"),
        ("[1]", "row 1: a JSON object is expected, not int"),
        ("7", "neither a list"),
        ("", "not JSON"),
    ],
)
def test_json_that_holds_no_rows_for_sure(tmp_path, text, why) -> None:
    path = tmp_path / "data.json"
    path.write_text(text)
    with pytest.raises(DataError, match=why) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_json_over_the_limit_names_the_way_out(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tables, "MOST_JSON", 10)
    path = tmp_path / "data.json"
    path.write_text(json.dumps(ROWS))
    with pytest.raises(DataError, match="JSON is read up to 10") as caught:
        read(path)
    assert ".jsonl" in caught.value.hint


@pytest.mark.parametrize(
    ("raw", "number"), [("question\nä\n".encode("latin-1"), 2), ("a\nb".encode("utf-16") + b"\x00", 3)]
)
def test_bytes_of_another_encoding_are_named_with_their_line(tmp_path, raw, number) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(raw)
    with pytest.raises(DataError, match="line") as caught:
        read(path)
    assert caught.value.hint == "save the file as UTF-8"


@pytest.mark.parametrize("name", ["data.xlsx", "data"])
def test_an_unknown_ending_lists_the_known_ones(tmp_path, name) -> None:
    with pytest.raises(UsageError, match="ending") as caught:
        tables.of(tmp_path / name)
    for ending in (".jsonl", ".json", ".csv", ".tsv", ".parquet"):
        assert ending in caught.value.hint


FRAGMENTS = [
    b"question",
    b"id",
    b",",
    b";",
    b"\t",
    b'"',
    b"\n",
    b"\r\n",
    b"[",
    b"]",
    b"{",
    b"}",
    b":",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x00",
    b"1",
    b"sep=;",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".json", ".jsonl", ".parquet"])
@given(content=st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(FRAGMENTS), max_size=30).map(b"".join)))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_it_is_read_or_refused_in_words(tmp_path, ending, content) -> None:
    path = tmp_path / f"data{ending}"
    path.write_bytes(content)
    for task in (qa, choice):
        with contextlib.suppress(DataError):
            items = list(task.items(Source("", path, ""), "all"))
            assert items
            assert all(item.question for item in items)


def test_a_large_table_takes_little_memory(tmp_path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"question;gold\n" + b"x" * 20_000 + b";1\n" + (b"y" * 20_000 + b";1\n") * 999)
    tracemalloc.start()
    count = sum(1 for _ in tables.of(path).rows(path, ("question",)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1_000
    assert peak < 2_000_000  # the file has 20 MB
