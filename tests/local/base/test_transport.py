"""The HTTP client: framing at every cut, hostile bytes, kept connections."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.local.base.transport import Client, TransportError, _Chunks, _Connection

BODY = b'{"a": "' + b"x" * 50 + b'"}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%b\r\n" % (len(BODY[i : i + 9]), BODY[i : i + 9]) for i in range(0, len(BODY), 9))
    + b"0\r\n\r\n"
)
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN


class Pipe(asyncio.Transport):
    """A transport that only remembers."""

    def __init__(self):
        super().__init__()
        self.aborted = False

    def write(self, data):
        pass

    def abort(self):
        self.aborted = True


def receive(pieces, *, closes=False):
    """What a connection makes of bytes that arrive in these pieces."""

    async def run():
        connection = _Connection()
        connection.connection_made(Pipe())
        waiter = connection.ask(b"request", asyncio.get_running_loop())
        for piece in pieces:
            connection.data_received(piece)
        if closes:
            connection.connection_lost(None)
        if not waiter.done():
            waiter.cancel()
            return None, connection.reusable
        return (waiter.exception() or waiter.result()), connection.reusable

    return asyncio.run(run())


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([PLAIN, CHUNKED, CONTINUED]), st.lists(st.integers(1, 200), max_size=12))
def test_a_reply_is_the_same_wherever_it_is_cut(wire, cuts):
    edges = [0, *sorted({min(cut, len(wire)) for cut in cuts}), len(wire)]
    reply, reusable = receive([wire[a:b] for a, b in pairwise(edges) if a < b])
    assert (reply.status, reply.body) == (200, BODY)
    assert reusable


def test_a_reply_byte_by_byte():
    assert receive([bytes([byte]) for byte in CHUNKED])[0].body == BODY


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.booleans())
def test_hostile_bytes_end_in_a_reply_or_a_transport_error(data, framed):
    wire = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" if framed else b"") + data
    outcome, _ = receive([wire], closes=True)
    assert isinstance(outcome, TransportError) or outcome.status >= 200


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        b"x" * 70_000,
    ],
)
def test_broken_framing_is_an_error_and_ends_the_connection(wire):
    outcome, reusable = receive([wire])
    assert isinstance(outcome, TransportError)
    assert not reusable


def test_a_reply_without_length_ends_with_the_connection():
    reply, reusable = receive([b"HTTP/1.1 200 OK\r\n\r\nall", b" of it"], closes=True)
    assert reply.body == b"all of it"
    assert not reusable


def test_bytes_after_the_reply_end_the_connection():
    reply, reusable = receive([PLAIN + b"more"])
    assert reply.body == BODY
    assert not reusable


@pytest.mark.parametrize("word", [b"Connection: close\r\n", b"connection: Close\r\n"])
def test_a_server_that_wants_to_close_is_heard(word):
    _, reusable = receive([PLAIN.replace(b"Content-Type: a\r\n", word)])
    assert not reusable


def test_headers_are_found_by_name():
    reply, _ = receive([PLAIN.replace(b"Content-Type: a", b"Retry-After:  7 ")])
    assert reply.header("retry-after") == "7"
    assert reply.header("content-type") is None


def test_chunks_tell_when_they_are_not_over():
    chunks, buffer = _Chunks(), bytearray(b"5\r\nab")
    assert not chunks.feed(buffer)
    buffer += b"cde\r\n0\r\n"
    assert not chunks.feed(buffer)
    buffer += b"X: y\r\n\r\n"
    assert chunks.feed(buffer)
    assert chunks.body == b"abcde"


def test_connections_are_kept_and_a_late_reply_is_an_error(fault_server, act):
    server = fault_server(lambda text, before: act(how="hang" if text == "slow" else "plain"))

    async def run():
        client = Client(server.url, None)

        async def ask(text, timeout_s):
            body = b'{"messages":[{"role":"user","content":"%b"}]}' % text
            return await client.post("/v1/chat/completions", body, timeout_s)

        for _ in range(5):
            assert (await ask(b"q", 10)).status == 200
        assert server.connections == 1
        with pytest.raises(TransportError, match="no reply within"):
            await ask(b"slow", 0.05)
        assert (await ask(b"q", 10)).status == 200
        assert server.connections == 2
        client.close()

    asyncio.run(run())


def test_a_server_that_is_not_there_surely_did_not_get_it(fault_server):
    server = fault_server()
    server.stop()

    async def run():
        with pytest.raises(TransportError) as caught:
            await Client(server.url, None).get("/v1/models", 5)
        assert not caught.value.sent

    asyncio.run(run())
