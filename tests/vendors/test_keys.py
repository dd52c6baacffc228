"""A vendor's key goes to its base URL only, whatever an answer says: another host, another port, another scheme."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from helpers.between import between
from helpers.commands import Project, dataset
from helpers.crossed import crossed

from batchflow.rehearsal import server
from batchflow.rehearsal.fake_state import Pace
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.settings import VENDORS

CALLS = ("upload", "create", "poll", "list", "download", "cancel", "delete")
# what Gemini's SDK leaves open
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class _Stranger(BaseHTTPRequestHandler):
    heard: list

    def do_GET(self):
        self.heard.append(f"{self.command} {self.path} {self.headers}")
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815 - as the base class wants it

    def log_message(self, *_):
        pass


ADDRESSES = ("302 http 127.0.0.1", "307 http localhost", "308 http 127.0.0.2", "307 https 127.0.0.1")


@pytest.fixture
def elsewhere(request):
    """(status, address of another server, what it heard): another port, name, host, and TLS, which it cannot speak."""
    status, scheme, host = request.param.split()
    handler = type("Handler", (_Stranger,), {"heard": []})
    with ThreadingHTTPServer((host, 0), handler) as up:
        threading.Thread(target=up.serve_forever, args=(0.01,), daemon=True).start()
        yield int(status), f"{scheme}://{host}:{up.server_port}/elsewhere", handler.heard
        up.shutdown()


@pytest.mark.parametrize(("name", "elsewhere"), crossed(VENDORS, ADDRESSES, each=2), indirect=["elsewhere"])
def test_no_redirect_takes_the_key_to_another_host_port_or_scheme(name, elsewhere, tmp_path):
    status, address, heard = elsewhere
    faults = Faults([Fault("redirect", call=call, status=status, message=address, nth=2, times=0) for call in CALLS])
    with server.running(tmp_path / "vendor", faults=faults, pace=Pace(polls=1)) as up:
        project = Project(tmp_path / "project", server.environment(up.base))
        path = dataset(project.folder / "d.jsonl")
        # with a temperature Anthropic is spoken to by its older protocol, whose key has a header of its own
        for batch in ("a", "b"):
            flags = ("--provider", name, "--name", batch, "--dataset", path.name, "--temperature", "0.5")
            ran = project.run("prepare", *flags)
            if ran.code:
                project.ok("prepare", *flags[:-2])
        words = (("start", "a"), ("start", "b"), ("get", "a", "--refresh-after", 0), ("results", "a"), ("cancel", "a"))
        said = [project.run(*one) for one in words]
    assert any(ran.code for ran in said)
    assert server.KEY not in "".join(heard)
    assert server.KEY not in "".join(ran.out + ran.err for ran in said)


@pytest.mark.parametrize("name", VENDORS)
def test_a_key_in_a_row_reaches_no_file_ledger_or_text(name, tmp_path):
    """Plain, and spelled with an escape, which no byte search finds before it is decoded."""
    echo = f"you sent {server.KEY} and {server.KEY[:4]}\\u{ord(server.KEY[4]):04x}{server.KEY[5:]}".encode()
    with contextlib.ExitStack() as stack:
        faults = Faults([Fault("errors", call="job", fraction=0.5)])
        up = stack.enter_context(server.running(tmp_path / "vendor", faults=faults, pace=Pace(polls=1)))
        way = stack.enter_context(between(up.base))
        project = Project(tmp_path / "project", server.environment(way.base))
        path = dataset(project.folder / "d.jsonl")
        project.ok("prepare", "--provider", name, "--name", "b", "--dataset", path.name)
        project.ok("start", "b")
        way.every = True
        way.rewrite = lambda _, body: body.replace(b"Rehearsed row error.", echo)
        project.run("get", "b", "--wait", "--refresh-after", 0)
        said = [project.run("results", "b"), project.run("show", "b", "--json"), project.run("results", "b", "--json")]
    assert said[-1].json["outcomes"] == {"error": 2, "ok": 2}
    found = {path.name: path.read_bytes() for path in project.folder.rglob("*") if path.is_file()}
    assert [name for name, data in found.items() if server.KEY.encode() in data] == []
    assert server.KEY not in "".join(ran.out + ran.err for ran in said)
    errors = [row["error"] for row in project.rows("results/b.jsonl") if row["outcome"] == "error"]
    assert len(errors) == 2
    assert all("***" in error for error in errors)
