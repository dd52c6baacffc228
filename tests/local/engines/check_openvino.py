"""OpenVINO for real, with the small default model. Run by scripts/test-engines."""

import json

import pytest

from batchflow import settings
from batchflow.local.offline import openvino
from batchflow.local.offline.base import Config
from batchflow.local.worker.worker import work_off


@pytest.fixture(scope="session")
def engine(model):
    return openvino.load(Config("openvino", model, {"cache_size": "1"}, None, 64))


def ask(text, **more):
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 16, **more}


def all_of(made):
    answers = {}
    while made.busy:
        answers |= {answer.index: answer for answer in made.step()}
    return answers


def text(answer):
    return answer.body["choices"][0]["message"]["content"]


def test_every_request_is_answered_and_counted(engine):
    for index in range(20):
        engine.add(index, ask(f"What is {index} and one?"))
    answers = all_of(engine)
    assert {answer.status for answer in answers.values()} == {200}
    assert sorted(answers) == list(range(20))
    assert all(0 < answer.body["usage"]["completion_tokens"] <= 16 for answer in answers.values())


def test_a_seed_fixes_a_drawn_answer(engine):
    for index, seed in enumerate([3, 3, 4]):
        engine.add(index, ask("Tell me a story", temperature=1.2, seed=seed))
    answers = all_of(engine)
    assert text(answers[0]) == text(answers[1]) != text(answers[2])


def test_without_a_seed_samples_differ(engine):
    for index in range(6):
        engine.add(index, ask("Tell me a story", temperature=1.2))
    assert len({text(answer) for answer in all_of(engine).values()}) > 1


def test_a_schema_is_enforced(engine):
    properties = {"answer": {"type": "boolean"}}
    schema = {"type": "object", "properties": properties, "required": ["answer"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": schema}}
    engine.add(0, ask("Is it so?", max_tokens=60, response_format=form))
    assert isinstance(json.loads(text(all_of(engine)[0]))["answer"], bool)


def test_a_job_is_worked_off(place, model):
    folder = place.folder(40, place.rows(40, max_tokens=8), engine="openvino", engine_args={"cache_size": "1"})
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps(spec | {"model": model}))
    assert work_off(folder, settings.load(place.project)) == "completed"
    rows = place.output(folder)
    assert len({row["custom_id"] for row in rows if row["response"]["status_code"] == 200}) == 40
    assert json.loads((folder / "engine.json").read_text())["engine"] == "openvino"
