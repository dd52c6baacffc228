"""A gateway of OpenAI's protocol on loopback that answers each batch at once, with the faults that it is given."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

GATEWAY = "cluster"
"""A gateway of batchflow.toml; in a rehearsal, the rehearsed OpenAI stands in for it."""


class Gateway(BaseHTTPRequestHandler):
    """A server that answers each batch at once, with the faults that its `manner` names."""

    def log_message(self, *_: object) -> None:
        return None

    def do_POST(self) -> None:
        manner, held = self.server.manner, self.server.held
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/files":
            file_id = f"file-{uuid.uuid4().hex}"
            held[file_id] = body.split(b"\r\n\r\n", 2)[2].rpartition(b"\r\n--")[0]
            return self._send(200, {"id": file_id})
        if self.path.endswith("/cancel"):
            batch = held[self.path.split("/")[3]]
            if "forgets" in manner:
                batch["status"] = "cancelling"
            return self._send(500 if "no cancel" in manner else 200, batch)
        asked = json.loads(body)
        if "echo" in manner:
            return self._send(400, {"error": f"refused {self.headers['Authorization']}"})
        batch = self._batch(asked, manner, held)
        held[batch["id"]] = batch
        return self._send(200, batch)

    def _batch(self, asked, manner, held):
        lines = held[asked["input_file_id"]].splitlines()
        batch = {"id": f"batch-{uuid.uuid4().hex}", "input_file_id": asked["input_file_id"], "status": "completed"}
        batch |= {"metadata": None if "no tags" in manner else asked["metadata"], "expires_at": None, "errors": None}
        try:
            rows = [self._row(json.loads(line), manner) for line in lines]
        except ValueError:
            return batch | {
                "status": "failed",
                "error_file_id": "file-gone",
                "errors": {"data": [{"message": "no JSON"}]},
            }
        if "forgets" in manner:
            return batch | {"status": "in_progress", "request_counts": {"total": 4, "completed": 1, "failed": 0}}
        rows = rows[::-1] if "backward" in manner else rows
        output = f"file-{uuid.uuid4().hex}"
        held[output] = b"".join(json.dumps(row).encode() + b"\n" for row in (rows[:3] if "short" in manner else rows))
        counts = {"total": 0, "completed": 0, "failed": 0} if "no counts" in manner else {}
        counts = counts or {"total": len(rows), "completed": len(rows), "failed": 0}
        return batch | {"output_file_id": output, "request_counts": counts}

    def _row(self, line, manner):
        if "errors" in manner or ("some errors" in manner and line["custom_id"].startswith("c0")):
            error = {"code": "x", "message": "no engine \x1b[31mis\nup"}
            return {"custom_id": line["custom_id"], "response": None, "error": error}
        if "dry run" in manner:
            return {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": line["body"]}}
        body = {"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
        if "no usage" in manner:
            del body["usage"]
        custom_id = line["custom_id"][:32] if "cut ids" in manner else line["custom_id"]
        body = json.dumps(body) if "text" in manner else body
        return {"custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}

    def do_GET(self) -> None:
        manner, held = self.server.manner, self.server.held
        if self.path.startswith("/v1/batches?"):
            return self._list(dict(parse_qsl(self.path.partition("?")[2])), manner, held)
        thing = held.get(self.path.removesuffix("/content").rpartition("/")[2])
        if isinstance(thing, dict) and "scheduling" in manner and thing["id"] not in self.server.looked_at:
            self.server.looked_at.add(thing["id"])
            return self._send(200, {**thing, "status": "scheduling"})
        return self._send(404, {"error": "no such thing"}) if thing is None else self._send(200, thing)

    def _list(self, asked, manner, held):
        listed = [] if "no list" in manner else [each for each in held.values() if isinstance(each, dict)][::-1]
        after, limit = asked.get("after", ""), int(asked["limit"])
        if "offsets" in manner and after and not after.isdigit():
            return self._send(400, {"error": {"message": "after has to be an integer"}})
        if "offsets" in manner:
            start = int(after or 0)
        else:
            start = next((place + 1 for place, each in enumerate(listed) if each["id"] == after), 0)
        listed = [] if "one page" in manner and after else listed[start:]
        return self._send(200, {"data": listed[:limit], "has_more": len(listed) > limit})

    def _send(self, status: int, value: object) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # the create that nobody waits for
            self.wfile.write(body)


@contextmanager
def gateway(*manner: str):
    """The base URL of a server, and what it holds by id: batches (objects) and files (bytes)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.manner, server.held, server.looked_at = set(manner), {}, set()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", server.held
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
