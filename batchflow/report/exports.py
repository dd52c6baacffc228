"""Items in other tools' files: CSV, Parquet, OpenAI's evaluation rows and layton-eval's requests.

`inspect_log` writes Inspect's.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from batchflow import files
from batchflow.errors import UsageError, install_extra
from batchflow.records import Image, Json, Part
from batchflow.report.cells import write_csv

Document = Mapping[str, Any]
"""An item as `show --items --json` has it."""

_CHUNK = 1_000
_TEXTS = ("batch", "item", "request", "question", "context", "outcome", "error", "answer", "model", "finish")
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


def csv(out: BinaryIO, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write a table; returns how many rows it has."""
    text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
    count = 0

    def counted() -> Iterable[Sequence[Any]]:
        nonlocal count
        for count, row in enumerate(rows, start=1):  # noqa: B007 - the last number is the count
            yield row

    write_csv(text, [head])
    write_csv(text, counted())
    text.detach()
    return count


def openai(out: BinaryIO, items: Iterable[Document]) -> int:
    """Write rows `{"item": ..., "sample": ...}`, as OpenAI's Evals API takes them; returns their number."""
    count = 0
    for item in items:
        usage = item["usage"] or {}
        own = {
            "id": item["item"], "question": item["question"], "context": item["context"], "options": item["options"],
            "references": item["references"], "columns": item["columns"], "verdict": item["verdict"],
            "judges": item["judges"], "human": item["human"], "outcome": item["outcome"], "error": item["error"],
        }  # fmt: skip
        sample = {
            "model": item["model"], "output_text": item["answer"], "finish_reason": item["finish"],
            "choices": [{"index": 0, "message": {"role": "assistant", "content": item["answer"]},
                         "finish_reason": item["finish"]}] if item["answer"] is not None else [],
            "usage": {"prompt_tokens": usage.get("input_tokens"), "completion_tokens": usage.get("output_tokens")},
        }  # fmt: skip
        out.write(files.dumps({"item": own, "sample": sample}) + b"\n")
        count += 1
    return count


def parquet(out: BinaryIO, items: Iterable[Document]) -> int:
    """Write a Parquet file; returns how many rows it has. Raises UsageError where pyarrow is not installed."""
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    except ImportError:
        raise UsageError("Parquet files need pyarrow", hint=install_extra("parquet")) from None
    judge = pa.struct([
        ("judge", pa.string()), ("kind", pa.string()), ("status", pa.string()), ("verdict", pa.float64()),
        ("values", pa.map_(pa.string(), pa.float64())), ("reasons", pa.string()), ("why", pa.string()),
    ])  # fmt: skip
    schema = pa.schema([
        *((name, pa.string()) for name in _TEXTS), ("sample", pa.int64()), ("row", pa.int64()),
        ("options", pa.list_(pa.string())), ("references", pa.list_(pa.string())), ("columns", pa.string()),
        ("extracted", pa.string()), ("verdict", pa.float64()), ("disagree", pa.bool_()), ("human", pa.string()),
        ("flags", pa.list_(pa.string())), ("retried", pa.bool_()), ("judges", pa.list_(judge)),
        ("pictures", pa.list_(pa.string())), *((name, pa.int64()) for name in _TOKENS),
    ])  # fmt: skip
    left, count = iter(items), 0
    with ParquetWriter(out, schema, compression="zstd") as writer:
        while chunk := list(islice(left, _CHUNK)):
            writer.write_table(pa.Table.from_pylist([_flat(item) for item in chunk], schema=schema))
            count += len(chunk)
    return count


def _flat(item: Document) -> dict[str, Any]:
    """An item as a row: objects whose keys differ from row to row become JSON text."""
    return {
        **item,
        "columns": files.dumps(item["columns"]).decode(),
        "extracted": None if item["extracted"] is None else files.dumps(item["extracted"]).decode(),
        "human": files.dumps(item["human"]).decode(),
        "judges": [{**judge, "values": list(judge["values"].items())} for judge in item["judges"]],
        "pictures": [picture["path"] for picture in item["pictures"]],
        **(item["usage"] or {}),
    }


class RawRequest(NamedTuple):
    """Question to a model about one item, in no vendor's format. max_tokens None: the row names no limit."""

    item: str
    system: str
    parts: tuple[Part, ...]
    max_tokens: int | None


def raw(out: BinaryIO, requests: Iterable[RawRequest]) -> int:
    """Write rows `{"id", "system_prompt", "messages", "max_tokens"}`, as layton-eval has them; returns their number."""
    count = 0
    for request in requests:
        content = [_content(part) for part in request.parts]
        row: Json = {
            "id": request.item, "system_prompt": request.system, "messages": [{"role": "user", "content": content}],
        }  # fmt: skip
        out.write(files.dump_line(row | ({"max_tokens": request.max_tokens} if request.max_tokens else {})))
        count += 1
    return count


def _content(part: Part) -> Json:
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": part.url}}
    return {"type": "text", "text": part}
