"""Offline engines without the heavy libraries: the child with a toy engine, and the worker's side of the pipe."""

import asyncio
import io
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from queue import SimpleQueue

import pytest

from batchflow import settings
from batchflow.errors import EngineError
from batchflow.local.job.rows import Fate, Row
from batchflow.local.offline import base, child
from batchflow.local.offline.base import Answer, completion
from batchflow.local.worker.engine_client import Feed
from batchflow.local.worker.worker import work_off


@dataclass
class Toy:
    """Answers two requests a step, the longest first, and refuses those that are empty."""

    pool: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    facts = {"engine": "toy"}  # noqa: RUF012

    @property
    def busy(self):
        return bool(self.pool)

    def prompt(self, body):
        if not body["prompt"]:
            raise ValueError("an empty prompt")

    def add(self, index, body):
        self.prompt(body)
        self.pool.append((len(body["prompt"]), index, body["prompt"]))

    def step(self):
        self.pool.sort()
        self.steps.append(len(self.pool))
        for _ in range(min(2, len(self.pool))):
            _, index, text = self.pool.pop()
            yield Answer(index, 200, completion(text.upper(), model="toy", finish="stop", read=1, generated=2))


def test_an_engine_that_can_be_asked_no_row_of_a_batch_refuses_when_it_is_loaded():
    """A row of which the first ones are not the like is an error row later; a whole batch of these is none."""
    for prompts in ([""], ["", "", ""]):
        config = base.Config("toy", "toy", {}, None, 1, [{"prompt": text} for text in prompts])
        with pytest.raises(EngineError, match="the model can take no request of this batch: an empty prompt"):
            base.refuse_unfit(Toy(), config)
    for prompts in ([], ["a"], ["", "a"]):
        base.refuse_unfit(Toy(), base.Config("toy", "toy", {}, None, 1, [{"prompt": text} for text in prompts]))


def test_the_child_answers_everything_and_refuses_what_it_must():
    inbox, out, toy = SimpleQueue(), io.BytesIO(), Toy()
    for index, text in enumerate(["aa", "", "bbbb", "c", "ddd"]):
        inbox.put(json.dumps({"i": index, "body": {"prompt": text}}).encode())
    running = threading.Thread(target=lambda: _until_closed(toy, inbox, out))
    running.start()
    deadline = time.monotonic() + 60
    while out.getvalue().count(b"\n") < 5:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    inbox.put(b"")
    running.join(10)
    said = {row["i"]: row for row in map(json.loads, out.getvalue().splitlines())}
    assert {i: row["body"]["choices"][0]["message"]["content"] for i, row in said.items() if i != 1} == {
        0: "AA", 2: "BBBB", 3: "C", 4: "DDD"
    }  # fmt: skip
    assert said[1] == {"i": 1, "status": 400, "body": {"error": {"message": "an empty prompt"}}}


def test_the_child_gathers_what_has_come_before_it_works():
    inbox, out, toy = SimpleQueue(), io.BytesIO(), Toy()
    for index in range(6):
        inbox.put(json.dumps({"i": index, "body": {"prompt": "x" * (index + 1)}}).encode())
    child.take(toy, inbox, out)
    assert len(toy.pool) == 6
    while toy.busy:
        for answer in toy.step():
            child.send(out, answer)
    assert [json.loads(line)["i"] for line in out.getvalue().splitlines()] == [5, 4, 3, 2, 1, 0]


def _until_closed(toy, inbox, out):
    with pytest.raises(child.Closed):
        child.work(toy, inbox, out)


ECHO = """
import json, sys
for line in sys.stdin:
    row = json.loads(line)
    text = row["body"]["prompt"]
    if text == "die": sys.exit(3)
    if text == "bad": body, status = {"error": {"message": "no"}}, 400
    else: body, status = {"choices": [{"message": {"content": text}}], "usage": {"completion_tokens": 2}}, 200
    print(json.dumps({"i": row["i"], "status": status, "body": body}), flush=True)
"""


def fed(texts, seats=3):
    """Verdicts by row, and the feed, of texts sent to a process that echoes them."""
    verdicts = {}

    async def main():
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", ECHO, **pipes)
        source = (Row(i, f"{i}-a", json.dumps({"prompt": text}).encode(), 1) for i, text in enumerate(texts))
        feed = Feed(source, process, seats, lambda row, verdict: verdicts.setdefault(row.index, verdict))
        try:
            await feed.run()
        finally:
            process.stdin.close()
            if process.returncode is None:
                process.kill()
            await process.wait()
        return feed

    return verdicts, asyncio.run(main())


def test_every_row_is_finished_once_with_more_rows_than_seats():
    verdicts, feed = fed([f"t{i}" for i in range(200)])
    assert sorted(verdicts) == list(range(200))
    assert (feed.tally.rows, feed.tally.tokens, feed.tally.in_flight) == (200, 400, 0)


def test_a_refused_row_is_an_error_row_and_the_rest_go_on():
    verdicts, feed = fed(["a", "bad", "b"])
    assert [verdicts[i].fate for i in range(3)] == [Fate.ANSWERED, Fate.REFUSED, Fate.ANSWERED]
    assert "no" in feed.last_error


def test_no_rows_at_all():
    assert fed([])[0] == {}


def test_an_engine_that_dies_is_told():
    with pytest.raises(EngineError, match="ended in the middle"):
        fed(["a", "die", *["b"] * 50])


@pytest.mark.parametrize("engine", ["hf", "openvino", "vllm"])
def test_a_job_whose_engine_is_not_installed_says_what_to_install(place, engine):
    folder = place.folder(2, engine=engine)
    assert work_off(folder, settings.load(place.project)) == "stopped"
    said = place.progress(folder)["error"]
    assert "is not installed" in said
    assert "pip install" in said


def test_messages_and_stops():
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "u"}]}]
    assert base.flat(turns)[1] == {"role": "user", "content": "u"}
    assert base.without_system(base.flat(turns)) == [{"role": "user", "content": "s\n\nu"}]
    assert base.without_system(turns)[0]["content"][0] == {"type": "text", "text": "s"}
    assert base.cut("abcXdefY", ["Y", "X"]) == ("abc", True)
    assert base.cut("abc", ["Y"]) == ("abc", False)
    with pytest.raises(ValueError, match="text only"):
        base.flat([{"role": "user", "content": [{"type": "image_url"}]}])


def test_a_models_identity_changes_with_its_files(tmp_path):
    (tmp_path / "w").write_text("1")
    before = base.identity(str(tmp_path))
    (tmp_path / "w").write_text("22")
    assert base.identity(str(tmp_path)) != before
    assert base.identity("org/model") == "org/model"
