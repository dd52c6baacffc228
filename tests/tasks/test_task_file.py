"""Task files: what they declare, and errors that name file, line, key and the nearest name."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchflow.errors import UsageError
from batchflow.steps.base.options import declared_task
from batchflow.tasks import registry, task_file

CHOICE = """
name: letters
data:
  path: rows.txt
  format: csv
  columns:
    question: text
    options: [a, b]
    reference: right
answer:
  form: choice
score:
  by: [topic]
  metric: pass@2
"""
ROWS = "text,a,b,right,topic\nWhich?,one,two,B,x\n"


@pytest.fixture
def at(tmp_path):
    """Writes a task file beside a data set; returns its path."""
    (tmp_path / "rows.txt").write_text(ROWS)
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "judge.toml").write_text("[[criteria]]\nname = 'clear'\ndescription = 'It is clear.'\n")

    def write(text, name="t.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_choice_in_yaml(at):
    task = declared_task(at(CHOICE, "t.yaml"))
    assert (task.NAME, task.ANSWER, task.EXTRACT, task.JUDGED_BY) == (
        "letters",
        None,
        ("option_letter",),
        "correctness",
    )
    assert (task.METRIC, task.BY, task.CLUSTER) == ("pass@2", ("topic",), None)
    (item,) = task.items(task.source(None, "all", None), "all")
    assert (item.question, item.options, item.references) == ("Which?", ("one", "two"), ("B",))
    assert dict(item.fields) == {"topic": "x"}
    assert "options (JSON)" in task.columns(item)
    assert task.prompt(item, 0, task.template("all", None)).parts == ("Question: Which?", "Options:", "A. one\nB. two")
    again = registry.of_spec(task.NAME, registry.recorded(task))
    assert (again.FACTS, again.path, again.BY) == (task.FACTS, None, ("topic",))


def test_an_answer_with_fields_and_a_judge_of_ones_own(at):
    task = declared_task(
        at(
            "[data]\npath = 'rows.csv'\ncolumns.question = 'text'\n[judge]\nkind = 'judge.toml'\n"
            "[prompt]\nsystem = 'Reply with JSON.'\nuser = '{question} {topic}'\n"
            "[answer]\nform = 'json'\nfields = {why = 'string', answer = 'string'}\n"
        )
    )
    assert list(task.ANSWER.schema["properties"]) == ["why", "answer"]
    assert (task.NAME, task.JUDGED_BY, task.JUDGE_FACTS) == (
        "t", "rubric", {"criteria": [["clear", "It is clear.", 1.0]]},
    )  # fmt: skip
    template = task.template("all", None)
    assert template.name == "task:t"
    (item,) = task.items(task.source(None, "all", None), "all")
    assert task.prompt(item, 0, template).parts == ("Which? x",)


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("nmae = 'x'", "line 1, key nmae: there is no such key", "name is the nearest"),
        ("name = 'qa'", "line 1, key name: qa is a task already", "another name"),
        ("name = 'a/b'", "key name: 'a/b' cannot be a task's name", "letters"),
        ("name = 3", "key name: a text is expected, not 3", "quotes"),
        ("[data]\n\npth = 'x'", "line 3, key data.pth: there is no such key", "path is the nearest"),
        ("[data]\npath = 'gone.csv'", "line 2, key data.path: there is no file", "relative"),
        (
            "[data]\ncolumns = {qestion = 'x'}",
            "line 2, key data.columns.qestion: there is no such field",
            "question is",
        ),
        ("[data]\nformat = 'cvs'", "line 2, key data.format: there is no format 'cvs'", "csv is the nearest"),
        ("[answer]\nform = 'txt'", "line 2, key answer.form: there is no form 'txt'", "text is the nearest"),
        ("[answer]\nextract = ['boxd']", "key answer.extract: no extractor is called 'boxd'", "boxed is the nearest"),
        ("[answer]\nextract = [3]", "line 2, key answer.extract: texts are expected, not 3", "quotes"),
        (
            "[answer]\nform = 'json'\nfields = {a = 'strin'}",
            "key answer.fields.a: there is no type 'strin'",
            "string is",
        ),
        ("[answer]\nform = 'json'\nfields = {a = 'string'}", "the field answer is missing", "judged"),
        ("[answer]\nform = 'json'\nfields = {answer = 'string'}", "key prompt: it is missing", "ask for JSON"),
        (
            "[judge]\nkind = 'corectness'",
            "line 2, key judge.kind: no judge kind is called",
            "correctness is the nearest",
        ),
        ("[judge]\nkind = 'gone.toml'", "line 2, key judge.kind: ", ""),
        ("[prompt]\nsystem = 'x'", "line 1, key prompt: the key user is missing", ""),
        (
            "[prompt]\nsystem = 's'\nuser = '{reference}'",
            "line 3, key prompt.user: template task:t: {reference} would",
            "",
        ),
        ("[score]\nmetric = 'pas@2'", "key score.metric: no metric is called 'pas'", "pass is the nearest"),
        ("name = 'a'\nname = 'b'", "not TOML (Cannot overwrite a value (at ", ""),
    ],
)
def test_an_error_names_the_place_and_the_nearest_name(at, text, why, hint):
    path = at(text)
    with pytest.raises(UsageError) as caught:
        declared_task(path)
    assert why in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name: a\nname: b\n", "line 2: not YAML (name is there twice)"),
        ("name: [a\n", "line 2: not YAML"),
        ("- a\n", "keys with values are expected, not list"),
        ("name: no\n", "line 1, key name: a text is expected, not False"),
        ("data:\n  paht: x\n", "line 2, key data.paht: there is no such key"),
        ("!!python/object/apply:os.system [ls]\n", "not YAML"),
    ],
)
def test_faulty_yaml_names_the_line(at, text, why):
    with pytest.raises(UsageError) as caught:
        task_file.of_file(at(text, "t.yaml"))
    assert why in str(caught.value)


WORDS = st.sampled_from(["name", "data", "path", "columns", "prompt", "user", "answer", "form", "json", "x", "[", "]"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.sampled_from([".toml", ".yaml"]), st.lists(WORDS | st.sampled_from(["=", ":", "\n", " ", "'", "- ", "3"])))
def test_any_text_is_a_task_or_an_error(at, ending, words):
    path = at("".join(words), f"t{ending}")
    told = ""
    try:
        declared_task(path)
    except UsageError as error:
        told = str(error)
    assert not told or str(path) in told
