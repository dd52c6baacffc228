"""The hub is a loopback server with the headers of the real one; the storage host is a second one."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from batchflow.errors import DataError, UsageError
from batchflow.settings import Settings
from batchflow.tasks import layton

COMMIT = "1f" * 20
OTHER = "2e" * 20
TOKEN = "hf_secret_token_123456"


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # a Content-Length that lies


class Host:
    """One loopback server: replies by path, and the requests that came."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.seen: list[tuple[str, str | None]] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.seen.append((self.path, self.headers.get("Authorization")))
                reply = host.replies.get(self.path.partition("?")[0], Reply(404))
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def serve(self, revision: str, split: str, reply: Reply) -> None:
        self.replies[f"/datasets/rvienne/layton-eval/resolve/{revision}/layton_eval_{split}.jsonl"] = reply


@pytest.fixture
def hub():
    host = Host()
    yield host
    host.close()


@pytest.fixture
def storage():
    host = Host()
    yield host
    host.close()


@pytest.fixture
def settings(tmp_path, hub):
    def made(revision: object = None, **environment: str) -> Settings:
        file = {"tasks": {"layton": {"revision": revision}}} if revision is not None else {}
        variables = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN} | environment
        return Settings(tmp_path, tmp_path / "home", "sqlite://", variables, file)

    return made


@pytest.fixture
def data(make, png) -> dict[str, bytes]:
    rows = {"llm": [make(1), make(2)], "vlm": [make(3, split="vlm", img=png)]}
    return {split: b"".join(json.dumps(row).encode() + b"\n" for row in some) for split, some in rows.items()}


def folder(settings: Settings):
    return settings.home / "datasets" / "layton"


def leftovers(settings: Settings) -> list[str]:
    return sorted(path.name for path in folder(settings).rglob("*") if path.is_file())


def refusal(settings: Settings, split: str = "llm") -> DataError:
    with pytest.raises(DataError) as caught:
        layton.source(settings, split, None)
    assert TOKEN not in str(caught.value) + caught.value.hint
    return caught.value


def test_a_branch_is_resolved_once_and_then_pinned(hub, settings, data) -> None:
    hub.serve("main", "llm", Reply(body=data["llm"], headers={"X-Repo-Commit": COMMIT}))
    source = layton.source(settings(), "llm", None)
    assert source.location == f"hub:rvienne/layton-eval@{COMMIT}/layton_eval_llm.jsonl"
    assert source.sha256 == hashlib.sha256(data["llm"]).hexdigest()
    assert source.path.read_bytes() == data["llm"]
    assert [item.id for item in layton.items(source, "llm")] == ["001-1", "002-1"]

    hub.serve("main", "vlm", Reply(body=b"{}\n", headers={"X-Repo-Commit": OTHER}))  # main has moved on
    hub.serve(COMMIT, "vlm", Reply(body=data["vlm"], headers={"X-Repo-Commit": COMMIT}))
    visual = layton.source(settings(), "vlm", None)
    assert visual.location == f"hub:rvienne/layton-eval@{COMMIT}/layton_eval_vlm.jsonl"
    assert [item.image.mime for item in layton.items(visual, "vlm")] == ["image/png"]


def test_the_second_load_asks_nobody(hub, settings, data) -> None:
    hub.serve("main", "llm", Reply(body=data["llm"], headers={"X-Repo-Commit": COMMIT}))
    first = layton.source(settings(), "llm", None)
    assert layton.source(settings(HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9"), "llm", None) == first
    assert len(hub.seen) == 1


def test_the_sidecar_and_the_pin_record_what_was_fetched(hub, settings, data) -> None:
    hub.serve("main", "llm", Reply(body=data["llm"], headers={"X-Repo-Commit": COMMIT}))
    source = layton.source(settings(), "llm", None)
    sidecar = json.loads(source.path.with_name(source.path.name + ".json").read_text())
    assert (sidecar["sha256"], sidecar["bytes"]) == (source.sha256, len(data["llm"]))
    assert (sidecar["repo"], sidecar["revision"], sidecar["commit"]) == ("rvienne/layton-eval", "main", COMMIT)
    pin = json.loads((folder(settings()) / "pin-main.json").read_text())
    assert pin["commit"] == COMMIT
    assert not any(TOKEN in path.read_text() for path in folder(settings()).rglob("*.json"))


def test_another_revision_is_another_data_set(hub, settings, data) -> None:
    hub.serve("main", "llm", Reply(body=data["llm"], headers={"X-Repo-Commit": COMMIT}))
    hub.serve("refs%2Fpr%2F1", "llm", Reply(body=data["llm"] + b"\n", headers={"X-Repo-Commit": OTHER}))
    hub.serve(OTHER, "llm", Reply(body=data["llm"] + b"\n"))
    assert COMMIT in layton.source(settings(), "llm", None).location
    assert OTHER in layton.source(settings("refs/pr/1"), "llm", None).location
    assert OTHER in layton.source(settings(OTHER), "llm", None).location
    assert len(hub.seen) == 2  # the commit was in the cache already
    assert COMMIT in layton.source(settings("main"), "llm", None).location


def test_a_commit_needs_no_pin_and_no_header(hub, settings, data) -> None:
    hub.serve(COMMIT, "llm", Reply(body=data["llm"]))
    assert COMMIT in layton.source(settings(COMMIT), "llm", None).location
    assert leftovers(settings()) == ["layton_eval_llm.jsonl", "layton_eval_llm.jsonl.json"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_storage_gets_no_token(hub, storage, settings, data, status) -> None:
    """As the hub does for large files: commit and sha256 are on the redirect, the bytes come from elsewhere."""
    digest = hashlib.sha256(data["llm"]).hexdigest()
    told = {
        "X-Repo-Commit": COMMIT,
        "X-Linked-Etag": f'"{digest}"',
        "Location": f"{storage.url}/bucket/abc?signature=very-secret",
    }
    hub.serve("main", "llm", Reply(status, headers=told))
    storage.replies["/bucket/abc"] = Reply(body=data["llm"], headers={"X-Repo-Commit": OTHER})
    assert layton.source(settings(), "llm", None).location.split("@")[1].startswith(COMMIT)
    assert [token for _, token in hub.seen] == [f"Bearer {TOKEN}"]
    assert storage.seen == [("/bucket/abc?signature=very-secret", None)]


def test_a_redirect_within_the_hub_keeps_the_token(hub, settings, data) -> None:
    hub.serve("main", "llm", Reply(307, headers={"Location": "/elsewhere"}))
    hub.replies["/elsewhere"] = Reply(body=data["llm"], headers={"X-Repo-Commit": COMMIT})
    assert COMMIT in layton.source(settings(), "llm", None).location
    assert [token for _, token in hub.seen] == [f"Bearer {TOKEN}"] * 2


def test_without_a_token_none_is_sent(hub, settings, data) -> None:
    hub.serve("main", "llm", Reply(body=data["llm"], headers={"X-Repo-Commit": COMMIT}))
    layton.source(settings(HF_TOKEN=" "), "llm", None)
    assert [token for _, token in hub.seen] == [None]


def test_errors_of_storage_do_not_show_the_signature(hub, storage, settings) -> None:
    hub.serve("main", "llm", Reply(302, headers={"Location": f"{storage.url}/x?signature=very-secret"}))
    error = refusal(settings())
    assert "very-secret" not in str(error) + error.hint
    assert storage.url.removeprefix("http://") in str(error)


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "mailto:x", "http://x:y/", ""])
def test_redirects_that_lead_nowhere(hub, settings, target) -> None:
    hub.serve("main", "llm", Reply(302, headers={"Location": target}))
    assert "cannot be followed" in str(refusal(settings()))


def test_redirects_that_never_end(hub, settings) -> None:
    hub.replies["/round"] = Reply(302, headers={"Location": "/round"})
    hub.serve("main", "llm", Reply(302, headers={"Location": "/round"}))
    assert "more than 5 redirects" in str(refusal(settings()))
    assert len(hub.seen) == 6


@pytest.mark.parametrize(
    ("status", "why", "hint"),
    [
        (401, "refuses ", "HF_TOKEN"),
        (403, "refuses ", "HF_TOKEN"),
        (404, "has no rvienne/layton-eval@main/layton_eval_llm.jsonl", "revision"),
        (429, "answered HTTP 429", "try again later"),
        (500, "answered HTTP 500", "try again later"),
        (206, "answered HTTP 206", "try again later"),
    ],
)
def test_refusals_of_the_hub(hub, settings, status, why, hint) -> None:
    hub.serve("main", "llm", Reply(status, body=b"no"))
    error = refusal(settings())
    assert why in str(error)
    assert hub.url.removeprefix("http://") in str(error)
    assert hint in error.hint
    assert "--dataset PATH" in error.hint
    assert leftovers(settings()) == []


def test_a_hub_that_cannot_be_reached(hub, settings) -> None:
    dead = Host()
    dead.close()
    error = refusal(settings(HF_ENDPOINT=dead.url))
    assert str(error).startswith(f"the hub cannot be reached: {dead.url.removeprefix('http://')}")
    assert "--dataset PATH" in error.hint


def test_a_download_that_is_cut_leaves_nothing_and_is_repeated_whole(hub, settings, data) -> None:
    headers = {"X-Repo-Commit": COMMIT}
    hub.serve("main", "llm", Reply(body=data["llm"][:-5], headers=headers, length=len(data["llm"])))
    assert "is incomplete" in str(refusal(settings()))
    assert leftovers(settings()) == []
    hub.serve("main", "llm", Reply(body=data["llm"], headers=headers))
    assert layton.source(settings(), "llm", None).path.read_bytes() == data["llm"]


def test_bytes_that_are_not_those_the_hub_names(hub, storage, settings, data) -> None:
    told = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": '"' + "0" * 64 + '"', "Location": f"{storage.url}/x"}
    hub.serve("main", "llm", Reply(302, headers=told))
    storage.replies["/x"] = Reply(body=data["llm"])
    assert "sha256" in str(refusal(settings()))
    assert leftovers(settings()) == []


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"version https://git-lfs.github.com/spec/v1\n", b"\n["])
def test_something_else_than_json_lines_is_not_cached(hub, settings, body) -> None:
    hub.serve("main", "llm", Reply(body=body, headers={"X-Repo-Commit": COMMIT}))
    assert "something other than JSON Lines" in str(refusal(settings()))
    assert leftovers(settings()) == []


def test_a_branch_of_an_unknown_commit_is_refused(hub, settings, data) -> None:
    for headers in ({}, {"X-Repo-Commit": "../../etc"}):
        hub.serve("main", "llm", Reply(body=data["llm"], headers=headers))
        error = refusal(settings())
        assert "does not say which commit" in str(error)
        assert "revision" in error.hint


def test_a_commit_that_was_not_asked_for_is_refused(hub, settings, data) -> None:
    hub.serve(COMMIT, "llm", Reply(body=data["llm"], headers={"X-Repo-Commit": OTHER}))
    assert f"sent commit {OTHER}" in str(refusal(settings(COMMIT)))


def test_a_changed_cache_is_refused(hub, settings, data) -> None:
    hub.serve("main", "llm", Reply(body=data["llm"], headers={"X-Repo-Commit": COMMIT}))
    path = layton.source(settings(), "llm", None).path
    path.write_bytes(data["llm"].replace(b"002", b"003"))
    error = refusal(settings())
    assert str(path) in str(error)
    assert "not what was downloaded" in str(error)
    assert "--dataset" in error.hint
    path.unlink()
    assert "gone" in str(refusal(settings()))


def test_data_whose_sidecar_was_never_written_are_fetched_again(hub, settings, data) -> None:
    """A crash between the two renames."""
    hub.serve(COMMIT, "llm", Reply(body=data["llm"]))
    path = folder(settings()) / COMMIT / "layton_eval_llm.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"old")
    assert layton.source(settings(COMMIT), "llm", None).path.read_bytes() == data["llm"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"commit": "../x"}', '{"commit": 7}'])
def test_a_pin_that_cannot_be_read(hub, settings, content) -> None:
    folder(settings()).mkdir(parents=True)
    (folder(settings()) / "pin-main.json").write_text(content)
    error = refusal(settings())
    assert "pin-main.json" in str(error)
    assert "delete this file" in error.hint


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_offline_is_honoured(hub, settings, value) -> None:
    error = refusal(settings(HF_HUB_OFFLINE=value))
    assert "HF_HUB_OFFLINE" in str(error)
    assert "--dataset PATH" in error.hint
    assert hub.seen == []


@pytest.mark.parametrize("revision", ["", "a b", "../main", "x/../y", 7, ["main"], "-x"])
def test_a_revision_that_cannot_be_one(settings, revision) -> None:
    with pytest.raises(UsageError, match="revision has to be"):
        layton.source(settings(revision), "llm", None)


@pytest.mark.parametrize("endpoint", ["huggingface.co", "ftp://huggingface.co", "http://", "http://x:port"])
def test_an_endpoint_that_cannot_be_one(settings, endpoint) -> None:
    with pytest.raises(UsageError, match="HF_ENDPOINT"):
        layton.source(settings(HF_ENDPOINT=endpoint), "llm", None)


def test_a_file_of_ones_own_needs_no_hub(hub, settings, tmp_path, make, write) -> None:
    path = write(tmp_path / "copy.jsonl", make(1))
    source = layton.source(settings(HF_HUB_OFFLINE="1"), "llm", path)
    assert source.location == str(path)
    assert hub.seen == []
