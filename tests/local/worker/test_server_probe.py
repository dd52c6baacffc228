import asyncio
import json
import threading

import pytest
from helpers.until import until

from batchflow import settings
from batchflow.errors import EngineError
from batchflow.local.base.transport import Client
from batchflow.local.worker.server_probe import served, wait_for_model
from batchflow.local.worker.worker import work_off


def wait(server, model, *, key=None, wait_s=0.2, said=None):
    async def run():
        client = Client(server.url, key)
        try:
            say = (lambda _: None) if said is None else said.append
            await wait_for_model((client,), model, wait_s=wait_s, interval_s=0.02, say=say)
        finally:
            client.close()

    asyncio.run(run())


def test_a_listed_model_is_ready(fault_server):
    wait(fault_server(), "m")


def test_a_model_that_comes_later_is_waited_for(fault_server):
    server, said = fault_server(), []
    server.models = ["other"]

    class Patience(list):
        def append(self, text):
            super().append(text)
            server.models = ["other", "late"]

    said = Patience()
    wait(server, "late", said=said, wait_s=10)
    assert "other" in said[0]


def test_at_the_deadline_it_says_what_is_there(fault_server):
    server = fault_server()
    server.models = ["a", "b"]
    with pytest.raises(EngineError, match="has a, b"):
        wait(server, "m")


def test_a_server_that_is_not_up_yet_is_waited_for(fault_server):
    server = fault_server()
    server.stop()

    class Patience(list):
        def append(self, text):
            super().append(text)
            if len(self) == 2:
                server.start()

    wait(server, "m", said=Patience(), wait_s=10)


def test_a_wrong_key_stops_at_once(fault_server):
    with pytest.raises(EngineError, match="401") as caught:
        wait(fault_server(key="right"), "m", key="wrong", wait_s=60)
    assert "BATCHFLOW_LOCAL_API_KEY" in caught.value.hint


def test_the_worker_waits_for_the_model_when_asked(place, fault_server):
    server = fault_server()
    server.models = ["another"]
    folder = place.folder(2, base_url=server.url, wait_for_s="50ms", wait_interval_s="10ms")
    assert work_off(folder, settings.load(place.project, {})) == "stopped"
    assert "has another" in place.progress(folder)["error"]


def test_what_is_waited_for_stands_in_the_progress(place, fault_server):
    """An hour of `loading` without a word would be taken for a hang."""
    server, seen = fault_server(), []
    server.models = ["another"]
    folder = place.folder(2, base_url=server.url, wait_for_s="20s", wait_interval_s="10ms")

    def watch():
        seen.append(until(lambda: (told := standing(folder)).get("error") and told, 15))
        server.models = ["m"]

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert work_off(folder, settings.load(place.project, {})) == "completed"
    watcher.join()
    assert seen[0]["word"] == "loading"
    assert "waiting for m: " in seen[0]["error"]
    assert standing(folder)["error"] is None


def standing(folder) -> dict:
    path = folder / "progress.json"
    return json.loads(path.read_text()) if path.exists() else {}


def test_a_refused_connection_is_told_in_plain_words(fault_server):
    server = fault_server()
    server.stop()
    with pytest.raises(EngineError, match="Connection refused"):
        wait(server, "m", wait_s=0.01)


def ask(server, model="m"):
    async def run():
        client = Client(server.url, None)
        try:
            return await served(client, model)
        finally:
            client.close()

    return asyncio.run(run())


def test_what_stands_behind_a_name_is_told_without_what_changes_or_is_too_much(fault_server):
    server = fault_server()
    server.models = ["other", "m"]
    server.card = {
        "root": "r" * 5000,
        "created": 1,
        "owned_by": "llamacpp",
        "parent": None,
        "max_model_len": 4096,
        "permission": [{"id": "modelperm-1"}],
        "meta": {"n_params": 134515008, "deep": {"a": [1]}} | {f"n{i}": i for i in range(100)},
    }
    server.extra["/props"] = {"build_info": "b1-abc", "model_path": "/m/a.gguf", "chat_template": "long"}
    told = ask(server)
    assert told.pop("meta").keys() < server.card["meta"].keys() - {"deep"}
    assert told == {
        "id": "m",
        "root": "r" * 500,
        "max_model_len": 4096,
        "owned_by": "llamacpp",
        "build_info": "b1-abc",
        "model_path": "/m/a.gguf",
    }


@pytest.mark.parametrize("card", [{"owned_by": ["vllm"]}, {"owned_by": "vllm", "meta": [1]}, {"id": [1]}])
def test_a_listing_of_any_shape_is_read(fault_server, card):
    server = fault_server()
    server.card = card
    assert ask(server) in ({}, {"id": "m"}, {"id": "m", "owned_by": "vllm"})


def test_a_name_that_is_not_listed_is_the_only_model_there_is_or_unknown(fault_server):
    server = fault_server()
    assert ask(server, "alias") == {"id": "m"}
    server.models = ["a", "b"]
    assert ask(server, "alias") == {}
    server.stop()
    assert ask(server) is None
