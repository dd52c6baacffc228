"""A data set of one's own, from the command line on: its columns, its prompt, its answers."""

from __future__ import annotations

import base64
import json
import subprocess
import sys

import pytest

from batchflow.settings import VENDORS

OPENAI = ("--provider", "openai", "--model", "gpt-6-luna", "--name", "b")
MAP = ("--map", "question=frage,reference=antwort")
ROWS = "nr;frage;antwort;fach\n" + "".join(f'{n};"What is {n} and one?";{n + 1};{"ab"[n % 2]}\n' for n in range(1, 5))


@pytest.fixture
def own(vendor):
    """The rehearsed vendor's project as a stranger has it: no task is set anywhere."""
    del vendor.project.environment["BATCHFLOW_TASK"]
    (vendor.project.folder / "mine.csv").write_text(ROWS)
    return vendor


def asked(project, name="b"):
    return project.rows(f"processed_files/{name}.jsonl")


def results(own, *flags):
    own.project.ok("prepare", *OPENAI, "--dataset", "mine.csv", *MAP, *flags)
    own.project.ok("start", "b")
    own.project.ok("get", "b", "--refresh-after", 0)
    return own.project.ok("results", "b"), own.project.rows("results/b.jsonl")


def test_a_data_set_without_a_task_is_asked_as_plain_questions(own):
    report = own.project.ok("prepare", *OPENAI, "--dataset", "mine.csv", *MAP)
    assert (report["task"], report["template"], report["extract"]) == ("qa", "builtin:answer_qa.txt", [])
    body = asked(own.project)[0]["body"]
    assert "riddle" not in json.dumps(body)
    assert not {"response_format", "text"} & body.keys()
    assert body["messages"][1]["content"] == [{"type": "text", "text": "Question: What is 1 and one?"}]
    assert (
        "Prompt:         builtin:answer_qa.txt"
        in own.project.run("prepare", *OPENAI, "--dataset", "mine.csv", *MAP).out
    )


def test_a_batch_is_named_after_its_data_set(own):
    given = ("--provider", "openai", "--model", "gpt-6-luna", "--dataset", "mine.csv", *MAP)
    assert own.project.ok("prepare", *given)["name"] == "openai_gpt-6-luna_mine"


def test_a_wrong_column_is_refused_before_anything_is_written(own):
    said = own.project.refused(3, "prepare", *OPENAI, "--dataset", "mine.csv")
    assert "columns: nr, frage, antwort, fach" in said
    assert own.project.files() == {"mine.csv"}
    assert "name its file with --dataset" in own.project.refused(2, "prepare", *OPENAI, "--map", "answer=gold")


def test_a_mapping_is_part_of_what_the_batch_is(own):
    own.project.ok("prepare", *OPENAI, "--dataset", "mine.csv", *MAP)
    said = own.project.refused(2, "prepare", *OPENAI, "--dataset", "mine.csv", "--map", "question=fach")
    assert "map: question=frage,reference=antwort there, question=fach here" in said


def test_plain_answers_are_what_the_chain_leaves_and_their_columns_are_kept(own):
    report, rows = results(own, "--extract", "last_number")
    assert report["parsed"] == {"strict": 4}
    assert [row["answer"] for row in rows] == ["2", "3", "4", "5"]
    with own.project.ledger() as ledger, ledger.read() as tx:
        from batchflow.ledger import request_rows

        kept = [json.loads(request.columns) for request in request_rows.stream(tx, 1)]
    assert kept[0] == {"nr": "1", "fach": "b"}


def test_a_chain_that_finds_nothing_says_so_in_the_row(own):
    report, rows = results(own, "--extract", "boxed")
    assert report["parsed"] == {"unparsed": 4}
    assert {row["error"] for row in rows} == {"boxed found nothing"}
    assert [row["answer"] for row in rows] == ["2", "3", "4", "5"]  # the text as it came


def test_retry_reads_the_same_columns_and_extracts_the_same(own):
    results(own, "--extract", "boxed")
    retried = own.project.ok("retry", "b", "--also", "unparsed")
    first, again = asked(own.project), asked(own.project, retried["name"])
    assert [line["body"] for line in again] == [line["body"] for line in first]
    own.project.ok("start", retried["name"])
    own.project.ok("get", retried["name"], "--refresh-after", 0)
    assert own.project.ok("results", retried["name"])["parsed"] == {"unparsed": 4}


def test_the_letter_of_a_choice_is_one_of_its_options(own):
    lines = [{"question": f"What is {n} and one?", "options": ["x"] * (n + 1), "reference": "B"} for n in range(1, 4)]
    (own.project.folder / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    brought = [{"custom_id": str(n), "answer": "The answer is C.", "model": "m"} for n in range(1, 4)]
    (own.project.folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in brought))
    own.project.ok("import", "predictions", "p.jsonl", "--task", "choice", "--dataset", "c.jsonl")
    rows = own.project.rows("results/p.jsonl")
    assert [(row["answer"], row["parsed"]) for row in rows] == [
        ("The answer is C.", "unparsed"),
        ("C", "strict"),
        ("C", "strict"),
    ]


def test_extractors_are_for_plain_text(own):
    said = own.project.refused(2, "prepare", *OPENAI, "--extract", "boxed")
    assert "nothing is extracted" in said
    said = own.project.refused(2, "prepare", *OPENAI, "--dataset", "mine.csv", *MAP, "--extract", "boxd")
    assert "boxed is the nearest" in said


def test_a_picture_beside_the_file_is_sent(own):
    png = b"\x89PNG\r\n\x1a\n" + (0).to_bytes(4) + b"IEND" + b"\xae\x42\x60\x82"
    (own.project.folder / "a.png").write_bytes(png)
    (own.project.folder / "v.json").write_text(json.dumps([{"question": "Which?", "image": "a.png"}]))
    own.project.ok("prepare", *OPENAI, "--dataset", "v.json")
    content = asked(own.project)[0]["body"]["messages"][1]["content"]
    assert content[0]["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(png).decode()}"


@pytest.mark.parametrize("provider", [*VENDORS[1:], "local"])
def test_no_vendor_is_told_a_schema_for_plain_text(own, provider):
    flags = ("--provider", provider, "--model", "m", "--name", "b", "--dataset", "mine.csv", *MAP)
    own.project.ok("prepare", *flags, *(("--base-url", "http://127.0.0.1:9/v1") if provider == "local" else ()))
    text = json.dumps(asked(own.project)).lower()
    for word in ("schema", "json_object", "response_format", "application/json", "output_config"):
        assert word not in text


def test_a_package_adds_an_extractor(tmp_path):
    """A package that is installed beside batchflow, as far as an interpreter can tell: a module and its entry point."""
    (tmp_path / "last_line.py").write_text(
        "NAME, ARGUMENT = 'last_line', ''\n"
        "def bind(argument):\n"
        "    return lambda text, item: text.splitlines()[-1] if text != 'boom' else 1 / 0\n"
    )
    info = tmp_path / "lines-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lines\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[batchflow.extractors]\nlast_line = last_line\nbroken = nowhere\n")
    program = (
        "from batchflow.errors import UsageError\n"
        "from batchflow.extract.chain import chain\n"
        "from batchflow.records import Item\n"
        "read = chain(['last_line']).read\n"
        "print(read('a\\nb', Item('', '', {})).value, '|', read('boom', Item('', '', {})).reason)\n"
        "try: chain(['broken'])\n"
        "except UsageError as error: print(error)\n"
    )
    path = f"{tmp_path}:{':'.join(sys.path)}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        "b | last_line failed: ZeroDivisionError",
        "extractor broken (nowhere) cannot be loaded: No module named 'nowhere'",
    ]
