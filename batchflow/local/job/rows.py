"""Rows on their way: from a line of the processed file to the bytes of a call, and from a reply to an output line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.local.base import rate_limits
from batchflow.local.base.templates import Template
from batchflow.local.base.transport import Reply
from batchflow.local.job import prefix_affinity
from batchflow.local.job.job_dir import ROW, Rows
from batchflow.local.job.replies import finish_reason, has_answer, lack
from batchflow.records import Json
from batchflow.texts.thoughts import THINK, THINK_END
from batchflow.vocabulary import CANCELLED_ROW

COMPLETION_TOKENS = 1024  # vLLM's /v1/completions stops after 16 tokens when nothing is said
TEXT_CAP = 2000

_TRY_AGAIN = frozenset({408, 409, 425, 429, 499})  # 499: LMDeploy's word for a request that it dropped
_DENIED = frozenset({401, 402, 403})  # key, money or permission: never a row's fault
_FORBIDDEN = frozenset({404, 405})  # model or path: the same for every row
_BROKEN_OFF = frozenset({"abort", "error"})  # SGLang's and LMDeploy's finish_reason when the engine gave a row up


@dataclass(slots=True)
class Row:
    """One request. index: its place in the input, from 0. tokens: estimate of what it uses, for the token limit.

    fixed: asked twice, the same answer is meant (it has a seed, or temperature 0). marks: of its prompt's beginnings.
    thinks: its prompt ends with the opened thought, so that the reply begins in the middle of one. waits: how often it
    found no room. refused: the endpoints that denied it, as `Pool.mark` says.
    """

    index: int
    custom_id: str
    body: bytes
    tokens: int
    fixed: bool = False
    marks: tuple[int, ...] = ()
    thinks: bool = False
    tries: int = 0
    waits: int = 0
    refused: int = 0


class Fate(Enum):
    """Meaning of one try for the row and its endpoint."""

    ANSWERED = "answered"
    TRY_AGAIN = "try again"  # the endpoint's fault: later, here or elsewhere
    BUSY = "busy"  # no fault: the endpoint asks for patience
    REFUSED = "refused"  # this row is wrong: no try can help
    DENIED = "denied"  # key, money or permission: no row's fault, another endpoint may take it
    FORBIDDEN = "forbidden"  # model or path: wrong for every row, unless others were answered here


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one try. body: the reply's JSON. wait_s: the server's wish. why: for people, on failures."""

    fate: Fate
    status: int | None = None
    body: Any = None
    why: str = ""
    wait_s: float | None = None

    @property
    def tokens(self) -> int:
        """Generated tokens, as the server counts them."""
        usage = self.body.get("usage") if isinstance(self.body, dict) else None
        count = usage.get("completion_tokens") if isinstance(usage, dict) else None
        return count if isinstance(count, int) and count > 0 else 0

    @property
    def has_answer(self) -> bool:
        """Tells whether the reply holds a text that is worth keeping; a retry has to ask again where it does not."""
        return self.fate is Fate.ANSWERED and has_answer(self.body)

    @property
    def trouble(self) -> str:
        """Message for progress: why the row failed, or that its reply holds no answer."""
        return self.why or ("" if self.has_answer else lack(self.body))

    @property
    def all_tokens(self) -> int | None:
        """Tokens read and generated; None when the server does not count."""
        usage = self.body.get("usage") if isinstance(self.body, dict) else None
        count = usage.get("total_tokens") if isinstance(usage, dict) else None
        return count if isinstance(count, int) and count > 0 else None


def unfinished(path: Path, rows: Rows, template: Template | None, *, marked: bool = False) -> Iterator[Row]:
    """The rows still to do, in the file's order, read one by one. Raises DataError naming the line.

    marked: note what their prompts begin with (2 us a row), which tells several endpoints apart.
    """
    index, thinks = -1, template is not None and template.opens_thought
    for _, _, line in files.lines(path):
        if not line.strip():
            continue
        index += 1
        try:
            if index in rows:
                continue
            data = files.loads(line)
            custom_id, body = data["custom_id"], data["body"]
            sent = body if template is None else completion(body, template)
            yield Row(index, custom_id, *_call(sent), marks=_marks(sent) if marked else (), thinks=thinks)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise DataError(f"{path}, row {index + 1}: not a request ({error!r})") from None


def longest(path: Path, cap: int) -> int:
    """Tokens that the longest row may need, prompt and answer, rounded up; at most cap.

    Two bytes a token is a safe guess for text in Latin script (English has about four).
    """
    need = 0
    for _, _, line in files.lines(path):
        body = files.loads(line)["body"] if line.strip() else {}
        need = max(need, len(files.dumps(body.get("messages"))) // 2 + int(body.get("max_tokens") or 512))
    return min(cap, -(-need // 256) * 256 + 256)


def _call(body: Json) -> tuple[bytes, int, bool]:
    data = files.dumps(body)
    fixed = body.get("seed") is not None or body.get("temperature") == 0
    return data, len(data) // 4 + int(body.get("max_tokens") or 0), fixed


def _marks(body: Json) -> tuple[int, ...]:
    return prefix_affinity.marks(files.dumps(body.get("messages") or body.get("prompt")))


def completion(body: Json, template: Template) -> Json:
    """A chat body as a body of /v1/completions. Raises TypeError for a picture, which that endpoint cannot take."""
    built = {key: value for key, value in body.items() if key != "messages"}
    texts = {"system": "", "user": ""}
    for message in body["messages"]:
        role = "system" if message["role"] == "system" else "user"
        texts[role] += ("\n\n" if texts[role] else "") + _text(message["content"])
    built["prompt"] = template.render(texts["system"], texts["user"])
    built.setdefault("max_tokens", COMPLETION_TOKENS)
    if template.thinks:  # servers enforce it from the first token on; the prompt tells the schema in words
        built.pop("response_format", None)
    if template.stop:
        built["stop"] = list(template.stop)
    return built


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if any(part.get("type") != "text" for part in content):
        raise TypeError("completion mode takes text only; use chat mode for pictures")
    return "\n\n".join(part["text"] for part in content)


def judge(reply: Reply, *, thinks: bool = False) -> Verdict:
    """Classifies a reply. Servers differ in the shape of their errors, so only the status decides.

    Some gateways answer 200 whatever happens, and put the status into the error; it counts as if they had sent it.
    thinks: of the row. Its text gets the tag back that its prompt ends with, so that the thought can be told apart.
    """
    status, body = reply.status, _json(reply.body)
    if 200 <= status < 300:
        if (choice := _chat_choice(body)) is None:
            if (inside := _status_inside(body)) is not None:
                return _failure(inside, reply, body)
            return Verdict(Fate.TRY_AGAIN, why=f"HTTP {status} without an answer: {said(body, reply.body)}")
        if (finish := finish_reason(choice)) in _BROKEN_OFF:
            return Verdict(Fate.TRY_AGAIN, why=f"the server broke off: {finish}")
        if thinks:
            _reopen(choice)
        return Verdict(Fate.ANSWERED, status, body)
    return _failure(status, reply, body)


def _reopen(choice: Json) -> None:
    """Give a text the tag back that its prompt ended with.

    Not to a text that came to its end without closing the thought: a model that does not think leaves the tag alone,
    and what it says is its answer.
    """
    text = choice["message"].get("content")
    if isinstance(text, str) and (THINK_END in text or choice.get("finish_reason") != "stop"):
        choice["message"]["content"] = f"{THINK}\n{text}"


def _failure(status: int, reply: Reply, body: Any) -> Verdict:
    why = f"HTTP {status}: {said(body, reply.body)}"
    wish = rate_limits.retry_after(reply.header("retry-after"))
    if status == 429 or (status == 503 and wish is not None):
        return Verdict(Fate.BUSY, status, body, why, wish)
    if status in _TRY_AGAIN or (status >= 500 and status != 501):
        return Verdict(Fate.TRY_AGAIN, status, body, why, wish)
    if status in _DENIED:
        return Verdict(Fate.DENIED, status, body, why)
    if status in _FORBIDDEN or status < 400:
        return Verdict(Fate.FORBIDDEN, status, body, why)
    return Verdict(Fate.REFUSED, status, body, why)


def _chat_choice(body: Any) -> Json | None:
    """The first choice, all of them in the shape of chat completions, so that one decoder reads both; None for none."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices:
        return None
    for choice in choices:
        if isinstance(choice, dict) and "message" not in choice and isinstance(choice.get("text"), str):
            choice["message"] = {"role": "assistant", "content": choice.pop("text")}
    first = choices[0]
    return first if isinstance(first, dict) and isinstance(first.get("message"), dict) else None


def _status_inside(body: Any) -> int | None:
    """The HTTP status in an error object's `code`: {"error": {"code": 429}}, {"object": "error", "code": 400}."""
    if not isinstance(body, dict):
        return None
    error = body["error"] if isinstance(body.get("error"), dict) else body
    code = error.get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else None


def _json(data: bytes) -> Any:
    """The value, or None for what is no JSON, or nested so deeply that it could be read but not written again."""
    try:
        value = files.loads(data)
    except ValueError:
        return None
    return None if files.is_deep(data, value) else value


def said(body: Any, raw: bytes) -> str:
    """The server's own words: {"error": {"message"}}, {"error": "..."}, {"message"}, {"detail"}, or plain text."""
    value = body
    for _ in range(3):
        if not isinstance(value, dict):
            break
        value = next((value[key] for key in ("error", "message", "detail") if value.get(key)), None)
    text = value if isinstance(value, str) else files.dumps(value).decode() if value else raw.decode("utf-8", "replace")
    return " ".join(text.split())[:TEXT_CAP] or "no text"


def finished_line(row: Row, verdict: Verdict) -> bytes:
    """The output line of a finished row, in the shape of OpenAI's batch output."""
    if verdict.status is None:
        return _line(row, None, {"code": "no_reply", "message": verdict.why})
    body = verdict.body if isinstance(verdict.body, dict) else {"error": {"message": verdict.why}}
    failed = verdict.fate is not Fate.ANSWERED
    return _line(row, {"status_code": verdict.status if not failed else max(verdict.status, 400), "body": body}, None)


def cancelled_line(row: Row) -> bytes:
    """The output line of a row that the user cancelled before it was answered."""
    return _line(row, None, {"code": CANCELLED_ROW, "message": "cancelled before it was answered"})


def _line(row: Row, response: Json | None, error: Json | None) -> bytes:
    return files.dumps({"id": f"{ROW}{row.index}", "custom_id": row.custom_id, "response": response, "error": error})
