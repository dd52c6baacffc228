"""What exceptions mean: real ones of both transports against real sockets, and the wording of every vendor."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from email.utils import formatdate

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.errors import Trouble, VendorError
from batchflow.vendors.shared import error_mapping, json_access

transports = pytest.mark.parametrize("client", [httpx, httpx2], ids=["httpx", "httpx2"])


class StatusError(Exception):
    """As the SDKs raise them: a status, a body, a response with headers and the request that carried the key."""

    def __init__(self, status, body=None, headers=(), key="", message="Error code"):
        super().__init__(message)
        self.status_code, self.body, self.message = status, body, message
        request = httpx2.Request("GET", "http://localhost/", headers={"authorization": f"Bearer {key}"} if key else {})
        self.response = httpx2.Response(status, headers=dict(headers), request=request)


class GoogleError(Exception):
    """As google-genai raises them: `code` is the status, `details` the body."""

    def __init__(self, code, body):
        super().__init__("google")
        self.code, self.details, self.status = code, body, body["error"].get("status")


def judged(status, body, **options):
    return error_mapping.explain("somebody", StatusError(status, body, **options))


@contextlib.contextmanager
def answering(raw):
    """A socket that takes one request, sends these bytes and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                if raw is None:
                    threading.Event().wait(0.6)
                else:
                    connection.sendall(raw)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    listener.close()
    thread.join(2)


def raised(call):
    with pytest.raises(Exception) as caught:
        call()
    return error_mapping.explain("somebody", caught.value)


@transports
def test_nobody_listening_has_taken_nothing(client):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = raised(lambda: client.post(f"http://127.0.0.1:{port}/", trust_env=False))
    assert error.trouble is Trouble.TRANSIENT
    assert error.hint


@transports
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        None,
    ],
    ids=["closed", "cut", "cut_chunked", "silent"],
)
def test_a_connection_that_breaks_later_is_uncertain(client, raw):
    with answering(raw) as url:
        error = raised(lambda: client.post(url, content=b"x", timeout=0.3, trust_env=False))
    assert error.trouble is Trouble.UNCERTAIN


@transports
def test_a_request_that_cannot_be_built_does_not_show_its_header(client):
    with answering(b"") as url:
        error = raised(lambda: client.post(url, headers={"x-api-key": b"secret-\x00-key"}, trust_env=False))
    assert error.trouble is Trouble.REFUSED
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"error": {"message": "Unknown parameter", "code": None}}, Trouble.REFUSED),
        (400, {"error": {"message": "File is too large."}}, Trouble.TOO_LARGE),
        (400, {"error": {"message": "thinking_budget is not supported"}}, Trouble.REFUSED),
        (400, {"error": {"message": "max_tokens exceeds the model's maximum"}}, Trouble.REFUSED),
        (400, {"error": {"message": "Cannot find file file-1, or project does not have access"}}, Trouble.TRANSIENT),
        (400, {"error": {"code": "token_limit_exceeded", "message": "Enqueued token limit"}}, Trouble.QUEUE_FULL),
        (
            400,
            {"error": {"type": "invalid_request_error", "message": "Your credit balance is too low"}},
            Trouble.BILLING,
        ),
        (400, {"error": {"code": "model_not_found", "message": "no such model"}}, Trouble.NOT_FOUND),
        (401, None, Trouble.AUTH),
        (402, {"detail": "Payment required"}, Trouble.BILLING),
        (403, {"error": "forbidden"}, Trouble.AUTH),
        (403, {"error": {"code": "not_available_for_plan", "message": "upgrade"}}, Trouble.BILLING),
        (404, "<!doctype html><html>Not here", Trouble.NOT_FOUND),
        (410, None, Trouble.NOT_FOUND),
        (408, None, Trouble.UNCERTAIN),
        (409, None, Trouble.UNCERTAIN),
        (413, "<html>too big", Trouble.TOO_LARGE),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, Trouble.REFUSED),
        (425, None, Trouble.TRANSIENT),
        (429, {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}, Trouble.TRANSIENT),
        (429, {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}, Trouble.BILLING),
        (429, {"error": {"message": "Too many batches in progress"}}, Trouble.QUEUE_FULL),
        (429, {"error": {"message": "You have 200,000 requests in the processing queue"}}, Trouble.QUEUE_FULL),
        (429, {"message": "Requests rate limit exceeded"}, Trouble.TRANSIENT),
        (400, {"error": {"message": "Batch creation failed: model foo is not for batches"}}, Trouble.REFUSED),
        (403, {"error": {"message": "Batch create is not allowed for this project"}}, Trouble.AUTH),
        (400, {"error": {"message": "Limit of 100 concurrent batches reached"}}, Trouble.QUEUE_FULL),
        (422, {"detail": "pending requests exceed 1000000"}, Trouble.QUEUE_FULL),
        (498, {"error": {"message": "Flex tier capacity exceeded"}}, Trouble.TRANSIENT),
        (499, {"error": {"message": "Request cancelled"}}, Trouble.UNCERTAIN),
        (500, {"error": {"message": "billing service is down"}}, Trouble.UNCERTAIN),
        (502, "<html>Bad Gateway", Trouble.UNCERTAIN),
        (503, {"error": {"message": "the queue is full"}}, Trouble.UNCERTAIN),
        (504, None, Trouble.UNCERTAIN),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Trouble.UNCERTAIN),
        (307, None, Trouble.REDIRECTED),
    ],
)
def test_what_a_refusal_means(status, body, expected):
    error = judged(status, body)
    assert error.trouble is expected
    assert error.status == status
    assert str(status) in str(error)
    assert "<html" not in str(error)


@pytest.mark.parametrize("word", ["no such file ", "file exceeds ", "in queue ", "x"])
def test_a_long_text_is_read_through_once(word):
    """CPU time, which does not pass while the machine does something else: a look from every letter takes a minute."""
    before = time.process_time()
    error_mapping.says_queue_full(word * (60_000 // len(word)))
    error_mapping.explain("openai", StatusError(400, message=word * (60_000 // len(word))))
    assert time.process_time() - before < 5


def test_google_says_quota_for_everything():
    def google(*details, message="You exceeded your current quota, please check your plan and billing details."):
        body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": message, "details": list(details)}}
        return error_mapping.explain("gemini", GoogleError(429, body))

    paced = google({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"})
    assert (paced.trouble, paced.retry_after_s) == (Trouble.TRANSIENT, 37.5)
    assert google().trouble is Trouble.QUEUE_FULL
    assert google(message="Your prepayment credits are depleted.").trouble is Trouble.BILLING
    bad_key = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid. Please pass one."}}
    assert error_mapping.explain("gemini", GoogleError(400, bad_key)).trouble is Trouble.AUTH


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": formatdate(1_800_000_060, usegmt=True)}, 60.0),
        ({"retry-after": formatdate(1_700_000_000, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_when_to_come_again(headers, seconds):
    lower = {name.lower(): value for name, value in headers.items()}
    assert error_mapping.retry_after(lower, now=1_800_000_000.0) == seconds


def test_an_error_of_ours_passes_through():
    ours = VendorError("x", trouble=Trouble.GARBLED)
    assert error_mapping.explain("somebody", ours) is ours


@pytest.mark.parametrize(
    "error", [json.JSONDecodeError("no", "<html>", 0), AttributeError("str has no id"), KeyError("id")]
)
def test_a_success_that_cannot_be_read_is_uncertain(error):
    assert error_mapping.explain("somebody", error).trouble is Trouble.UNCERTAIN


def test_a_file_that_is_gone_is_no_matter_of_the_network(tmp_path):
    error = raised(lambda: (tmp_path / "gone").open("rb"))
    assert error.trouble is Trouble.REFUSED


KEYS = [
    "sk-proj-abcDEF123456",
    "sk-ant-api03-abcdef",
    "gsk_abcdef123456",
    "AIzaSyA1234567890",
    "tgp_v1_abcdef123",
    "odd.key!9876",
]


@pytest.mark.parametrize("key", KEYS)
def test_no_key_survives_in_an_error(key):
    echoed = {"error": {"message": f"Incorrect API key provided: {key}. Header was Bearer {key}; see ?key={key}"}}
    assert key not in str(judged(401, echoed, key=key))
    assert key not in str(judged(500, f"upstream said {key}", key=key))


def test_masked_keys_are_masked_whole():
    said = str(judged(401, {"error": {"message": "Incorrect API key provided: sk-pr*****3456."}}))
    assert "3456" not in said


shapes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "code", "detail", "details", "x"]), inner, max_size=3)
    ),
)


@given(
    status=st.integers(300, 599),
    body=shapes,
    headers=st.dictionaries(st.just("retry-after"), st.from_regex(r"[ -~]{0,12}", fullmatch=True)),
)
def test_any_answer_is_explained(status, body, headers):
    error = judged(status, body, headers=headers)
    assert isinstance(error, VendorError)
    assert error.retry_after_s is None or error.retry_after_s >= 0
    assert len(str(error)) < 1000


@given(shapes)
def test_any_error_shape_gives_text_or_none(value):
    said = json_access.error_text(value)
    assert said is None or (isinstance(said, str) and said and len(said) <= json_access.TEXT_CAP)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("plain", "plain"),
        ({"message": "m", "code": "c"}, "c: m"),
        ({"code": "batch_expired"}, "batch_expired"),
        ({"message": {"detail": [{"loc": ["a"], "msg": "field required"}]}}, "field required"),
        ([{"message": "one"}, {"message": "two"}], "one; two"),
        ({}, None),
        ("", None),
        (None, None),
    ],
)
def test_a_vendors_words_are_found_in_any_shape(value, said):
    assert json_access.error_text(value) == said


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (3, 3),
        ("12", 12),
        (4.0, 4),
        (True, None),
        (-1, None),
        ("x", None),
        ("9" * 30, None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_counts_are_read_from_numbers_and_digits(value, count):
    assert json_access.whole(value) == count


def test_a_key_leaves_no_beginning_behind():
    assert error_mapping.redact("the key rehearsal-key-0123456789 is wrong") == "the key *** is wrong"
    assert error_mapping.redact("a" * 5_000 + " sk-0123456789") == "a" * 5_000 + " ***"
