"""Items as a log of Inspect (`.eval`, version 2): a ZIP archive of a header, a journal and one file for each sample.

Checked against `inspect_ai` 0.3 by scripts/check-inspect.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO
from urllib.parse import quote

from batchflow import files
from batchflow.records import Image
from batchflow.report.data import BatchPart, ReportData

JURY = "jury"
"""Name of the score that is the mean of the judges."""

_SHORT = 1_000  # characters of a text in the summaries, which readers load as a whole
_IN_MEMORY = 8 << 20
_STOPS = {"length": "max_tokens", "max_tokens": "max_tokens", "content_filter": "content_filter"}

Json = dict[str, Any]
PageItem = tuple[Mapping[str, Any], tuple[Image, ...]]


def write(out: BinaryIO, report: ReportData, items: Iterable[PageItem], *, images: bool = True) -> int:
    """Write the log of a report's one batch; returns how many samples it holds."""
    batch = report.batches[0]
    start = {"version": 2, "eval": _spec(report, batch), "plan": {"name": "plan", "steps": [], "config": {}}}
    count = 0
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        tempfile.SpooledTemporaryFile(_IN_MEMORY) as summaries,
    ):
        _put(archive, "_journal/start.json", start)
        for item, pictures in items:
            sample = _sample(item, pictures if images else (), batch)
            _put(archive, f"samples/{sample['id']}_epoch_{sample['epoch']}.json", sample)
            summaries.write(b"," if count else b"[")
            summaries.write(files.dumps(_summary(sample)))
            count += 1
        summaries.write(b"]" if count else b"[]")
        for name in ("_journal/summaries/1.json", "summaries.json"):
            summaries.seek(0)
            with archive.open(name, "w", force_zip64=True) as entry:
                shutil.copyfileobj(summaries, entry)
        _put(archive, "header.json", {**start, "status": "success", **_ends(report, batch, count)})
    return count


def _put(archive: zipfile.ZipFile, name: str, value: Json) -> None:
    archive.writestr(name, files.dumps(value))


def _id(*texts: str) -> str:
    return files.digest("\n".join(texts).encode("utf-8", "replace"))[:22]


def _spec(report: ReportData, batch: BatchPart) -> Json:
    facts = dict(batch.made)
    return {
        "eval_id": _id("eval", batch.name, report.made_at),
        "run_id": _id("run", batch.name),
        "created": report.made_at,
        "task": batch.task,
        "task_id": _id("task", batch.task, facts.get("Data set sha256", ""), facts.get("Template sha256", "")),
        "task_version": 0,
        "task_attribs": {},
        "task_args": {},
        "dataset": {"name": facts.get("Data set", batch.task), "samples": batch.requests, "shuffled": False},
        "model": f"{batch.provider}/{batch.model}",
        "model_generate_config": {},
        "model_args": {},
        "config": {},
        "packages": {"batchflow": dict(report.versions).get("batchflow", "")},
        "metadata": {"batch": batch.name, "rehearsal": batch.rehearsal, **facts},
    }


def _ends(report: ReportData, batch: BatchPart, count: int) -> Json:
    """Results and statistics of the header."""
    scores = []
    if s := batch.summary:
        numbers = {"mean": s["score"], "ci_low": s["ci_low"], "ci_high": s["ci_high"]}
        numbers |= {"alpha": s["alpha"]} if s["alpha"] is not None else {}
        scores = [_score(JURY, numbers, s["n_judged"], s["n_items"])]
        scores += [
            _score(judge["judge"], {"mean": judge["mean"]}, judge["votes"], s["n_items"])
            for judge in s["judges"]
            if judge["mean"] is not None
        ]
    return {
        "results": {"total_samples": batch.requests, "completed_samples": batch.answered, "scores": scores},
        "stats": {
            "started_at": report.made_at,
            "completed_at": report.made_at,
            "model_usage": {batch.model: _usage(batch.tokens)} if count else {},
        },
    }


def _score(name: str, numbers: Mapping[str, float], scored: int, items: int) -> Json:
    metrics = {key: {"name": key, "value": value, "params": {}} for key, value in numbers.items()}
    counts = {"scored_samples": scored, "unscored_samples": max(items - scored, 0)}
    return {"name": name, "scorer": name, "params": {}, "metrics": metrics, **counts}


def _usage(tokens: Mapping[str, int]) -> Json:
    return {
        "input_tokens": tokens["input_tokens"],
        "output_tokens": tokens["output_tokens"],
        "total_tokens": tokens["input_tokens"] + tokens["output_tokens"],
        "input_tokens_cache_read": tokens["cached_tokens"],
        "reasoning_tokens": tokens["reasoning_tokens"],
    }


def _sample(item: Mapping[str, Any], pictures: Sequence[Image], batch: BatchPart) -> Json:
    model = item["model"] or batch.model
    question = "\n\n".join(text for text in (item["context"], item["question"]) if text)
    content: Any = question
    if pictures:
        content = [{"type": "text", "text": question}]
        content += [{"type": "image", "image": picture.url, "detail": "auto"} for picture in pictures]
    user_turn = {"role": "user", "content": content}
    answer = item["answer"]
    model_turn = {"role": "assistant", "content": answer or "", "source": "generate", "model": model}
    usage = _usage(item["usage"]) if item["usage"] else None
    stop = _STOPS.get(item["finish"] or "", "stop")
    output: Json = {"model": model, "choices": [], "completion": answer or ""}
    if answer is not None:
        output["choices"] = [{"message": model_turn, "stop_reason": stop}]
    if usage:
        output["usage"] = usage
    error = item["error"]
    return {
        "id": _name(item["item"]),
        "epoch": item["sample"] + 1,
        "input": [user_turn] if pictures else question,
        **({"choices": item["options"]} if item["options"] else {}),
        "target": item["references"][0] if len(item["references"]) == 1 else item["references"],
        "messages": [user_turn, model_turn] if answer is not None else [user_turn],
        "output": output,
        "scores": _scores(item),
        "metadata": {
            **item["columns"], "item": item["item"], "batch": item["batch"], "outcome": item["outcome"],
            "human": item["human"], "flags": item["flags"], "disagree": item["disagree"],
        },
        "store": {},
        "events": [],
        "model_usage": {model: usage} if usage else {},
        **({"error": {"message": error, "traceback": "", "traceback_ansi": ""}} if error else {}),
    }  # fmt: skip


def _scores(item: Mapping[str, Any]) -> Json:
    """The jury's mean and each judge's verdict, with its reasons."""
    answer = None if item["extracted"] is None else files.dumps(item["extracted"]).decode()
    if item["extracted"] is not None and "answer" in item["extracted"]:
        answer = str(item["extracted"]["answer"])
    scores: Json = {}
    if item["verdict"] is not None:
        scores[JURY] = {"value": item["verdict"], "answer": answer}
    for judge in item["judges"]:
        if judge["verdict"] is not None:
            score = {"value": judge["verdict"], "answer": answer, "explanation": judge["reasons"]}
            scores[judge["judge"]] = {**score, "metadata": {"values": judge["values"], "kind": judge["kind"]}}
    return scores


def _name(item: str) -> str:
    """An item's id as a part of a file's name: one that holds a path is quoted."""
    return quote(item, safe="") if "/" in item or "\\" in item else item


def _summary(sample: Json) -> Json:
    """Summary of a sample, for Inspect's list."""
    names = ("id", "epoch", "target", "scores", "model_usage")
    question = sample["input"] if isinstance(sample["input"], str) else sample["input"][0]["content"][0]["text"]
    short: Json = {name: sample[name] for name in names} | {"input": question[:_SHORT], "metadata": {}}
    short |= {"completed": "error" not in sample, "message_count": len(sample["messages"])}
    return short | ({"error": sample["error"]["message"][:_SHORT]} if "error" in sample else {})
