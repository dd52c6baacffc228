"""An OpenAI-shaped server to be killed: `python mortal_server.py PORT CALLS`; it writes its port once it listens.

Every call is noted in the file CALLS before it is answered, so that calls are counted over all of its lives. The file
CALLS.leave holds how many answers it may give, and a mark that tells one leave from another: a client gets no further
than it is to be killed, however late the killer is.
"""

import asyncio
import json
import os
import random
import sys
from pathlib import Path


class Leave:
    """How many answers may be given."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read = ""
        self.left = 0

    def take(self) -> bool:
        """One answer of what is left; false when nothing is."""
        told = self.path.read_text()
        if told != self.read:
            self.read, self.left = told, int(told.split()[0])
        self.left -= 1
        return self.left >= 0


class Exchange(asyncio.Protocol):
    """One connection. Answers come after 1 to 20 ms, never two of them at once."""

    def __init__(self, calls: int, leave: Leave) -> None:
        self.calls = calls
        self.leave = leave
        self.buffer = b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, gap, body = self.buffer.partition(b"\r\n\r\n")
        if not gap or len(body) < int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            return
        self.buffer = b""
        text = json.loads(body)["messages"][-1]["content"]
        os.write(self.calls, text.encode() + b"\n")
        self.later(text)

    def later(self, text: str) -> None:
        asyncio.get_running_loop().call_later(random.uniform(0.001, 0.02), self.answer, text)

    def answer(self, text: str) -> None:
        if self.transport.is_closing():  # whoever asked has died
            return
        if self.leave.take():
            self.transport.write(reply(text))
        else:
            self.later(text)


def reply(text: str) -> bytes:
    message = {"role": "assistant", "content": f"re: {text}"}
    usage = {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    body = json.dumps({"id": "c", "model": "m", "choices": [choice], "usage": usage}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def main(port: int, path: str) -> None:
    calls = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    leave = Leave(Path(f"{path}.leave"))
    server = await asyncio.get_running_loop().create_server(lambda: Exchange(calls, leave), "127.0.0.1", port)
    os.write(sys.stdout.fileno(), b"%d\n" % server.sockets[0].getsockname()[1])
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
