"""What the benches of `scripts/bench` share: a data set, answers to it, and fresh processes that are measured.

Times are CPU seconds, because other programs disturb a clock more; memory is VmHWM of the process.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

PYTHON = sys.executable
ROOT = Path(__file__).resolve().parents[1]
INSIDE = "BENCH_INSIDE"  # set in what `bench start` runs inside `batchflow rehearse`
MODELS = {"openai": "gpt-6-luna", "anthropic": "claude-opus-4-5"}
BLANK = "Think about it. " * 12
RULES = "rule:exact,rule:normalised,rule:numeric"
TEXT = json.dumps({"justification": "Adding two to the number gives the sum that is asked for. " * 3, "answer": "2"})

# -- what is measured, each in a fresh interpreter that prints CPU seconds ---------------------------------------------

_CONTEXT = """
import sys, time
from pathlib import Path
from batchflow import files, settings
from batchflow.ledger import Ledger, batches, jobs
from batchflow.steps.base.context import Context
from batchflow.vendors import registry
made = settings.load(Path.cwd())
context = Context(Ledger.open(made.database_url), made)
vendor = registry.get(sys.argv[1])
"""
_END = "\nprint(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
PREPARE = f"""{_CONTEXT}
from batchflow.steps.verbs.submission.prepare import PrepareOptions, prepare
options = PrepareOptions(
    provider=sys.argv[1], model=sys.argv[2], task="riddles", dataset=Path("data.jsonl"), name="b"
)
start = time.process_time()
prepare(context, options)
print(time.process_time() - start){_END}"""
READ = f"""{_CONTEXT}
from batchflow.steps.base.digests import remember
from batchflow.steps.base.vendor_calls import VendorSession
from batchflow.steps.collecting import fetch
with context.ledger.read() as tx:
    batch = batches.get(tx, "b")
    found = jobs.of_batch(tx, batch.id)
brought = []
for job in found:  # as they were when their download ended
    raw = Path(job.path).with_suffix(".output.raw").resolve()
    file = dict(kind="output", path=str(raw), bytes=raw.stat().st_size, sha256=files.sha256(raw))
    remember(raw, file["sha256"])
    brought.append(fetch.Brought([file]))
session = VendorSession(context, vendor, None, batch)
start = time.process_time()
for job, download in zip(found, brought):
    fetch.decode(session, job, download)
middle = time.process_time()
fetch.write_results(context, batch)
print(middle - start, time.process_time() - middle){_END}"""

PREPARE_FLOOR = """
import hashlib, json, orjson, sqlite3, sys, time
from pathlib import Path
shape = json.loads(sys.argv[1])
start = time.process_time()
database = sqlite3.connect("floor.db")
database.execute("create table requests (id integer primary key, custom_id text, item_id text)")
rows, digest = [], hashlib.sha256()
with open("data.jsonl", "rb") as source, open("floor.jsonl", "wb") as out:
    for seq, line in enumerate(source):
        row = orjson.loads(line)
        custom_id, text = f"{seq}-0badcafe-{row['id']}", f"Question: {row['description']}"
        turn = {"role": "user", "content": [{"type": "text", "text": text}]}
        key = "body" if "body" in shape else "params"
        inside = {**shape[key], "messages": [*shape[key]["messages"][:-1], turn]}
        data = orjson.dumps({**shape, "custom_id": custom_id, key: inside}) + b"\\n"
        digest.update(data)
        out.write(data)
        rows.append((seq, custom_id, row["id"]))
        if len(rows) == 5000:
            database.executemany("insert into requests values (?, ?, ?)", rows)
            rows.clear()
database.executemany("insert into requests values (?, ?, ?)", rows)
database.commit()
print(time.process_time() - start)
"""
READ_FLOOR = """
import orjson, sqlite3, sys, time
from pathlib import Path
start = time.process_time()
database = sqlite3.connect("floor.db")
database.execute("create table answers (id integer primary key, custom_id text, text text, given integer)")
writes = sys.argv[1] == "file"
asked = open("data.jsonl", "rb")
with open("floor.jsonl", "wb") as out:
    for path in sorted(Path("processed_files").glob("*.output.raw")):
        rows = []
        with path.open("rb") as source:
            for line in source:
                row = orjson.loads(line)
                if "response" in row:
                    body = row["response"]["body"]
                    text, given = body["choices"][0]["message"]["content"], body["usage"]["completion_tokens"]
                else:
                    body = row["result"]["message"]
                    text, given = body["content"][0]["text"], body["usage"]["output_tokens"]
                custom_id = row["custom_id"]
                shown = None
                if writes:
                    made = {"custom_id": custom_id, "answer": text, "model": body["model"], "original": row}
                    shown = orjson.dumps(made)[:-1]
                rows.append((int(custom_id.partition("-")[0]), custom_id, text, given, shown))
        rows.sort()
        database.executemany("insert into answers values (?, ?, ?, ?)", [row[:4] for row in rows])
        if writes:
            for (*_, shown), line in zip(rows, asked):
                item = orjson.loads(line)
                pair = {"question": item["description"], "reference": item["answer"]}
                out.write(shown + b"," + orjson.dumps(pair)[1:] + b"\\n")
database.commit()
print(time.process_time() - start)
"""
_MEASURE = """
import os, sys
out = os.open(os.devnull, os.O_WRONLY)
own = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
_, status, used = os.wait4(own, 0)
print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss)
"""

# -- runs --------------------------------------------------------------------------------------------------------------


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without keys, plus what a run needs; unless it is a rehearsal's, all of it."""
    if INSIDE in os.environ:
        return {**os.environ, "PYTHONPATH": str(ROOT), **more}
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY") and not k.startswith("BATCHFLOW")}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def child(folder: Path, code: str, *words: str, python: str = PYTHON) -> list[float]:
    """Run code in a fresh interpreter; returns the numbers that it prints."""
    command = [python, "-c", code, *words]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return [float(word) for word in done.stdout.split()]


def process(folder: Path, command: Sequence[str], **more: str) -> tuple[float, float]:
    """CPU seconds of a whole process, and its peak RSS in MiB.

    A small process starts and measures it: Linux counts the peak of a parent as its child's.
    """
    measured = [PYTHON, "-I", "-S", "-c", _MEASURE, *command]
    done = subprocess.run(measured, cwd=folder, env=environment(**more), capture_output=True, text=True, check=False)
    code, seconds, kilobytes = (float(word) for word in done.stdout.split())
    if code not in {0, 7}:  # 7: not ready, which is what `get` says of an unsent batch
        sys.exit(f"{' '.join(command)}: exit {code:.0f}\n{done.stderr}")
    return seconds, kilobytes / 1024


def batchflow(folder: Path, *words: str) -> tuple[float, float]:
    """`process` of a command of ours."""
    return process(folder, [PYTHON, "-m", "batchflow", *words])


@contextmanager
def project(n: int) -> Iterator[Path]:
    """A project folder with a data set of n arithmetic riddles."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with (folder / "data.jsonl").open("wb") as out:
            for i in range(n):
                row = {"id": f"q{i}", "description": f"What is {i} plus 2? {BLANK}", "answer": str(i + 2)}
                row |= {"category": "arithmetic", "justification": "addition", "split": "llm"}
                out.write(orjson.dumps(row) + b"\n")
        yield folder


def answer(vendor: str) -> dict[str, object]:
    """A row of a vendor's output as it was recorded."""
    if vendor == "anthropic":
        usage = {
            "input_tokens": 300, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 60,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "service_tier": "batch",
        }  # fmt: skip
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-5", "usage": usage,
            "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "stop_sequence": None,
        }  # fmt: skip
        return {"custom_id": "", "result": {"type": "succeeded", "message": message}}
    details = {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0}
    usage = {
        "prompt_tokens": 300, "completion_tokens": 60, "total_tokens": 360, "completion_tokens_details": details,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    }  # fmt: skip
    message = {"role": "assistant", "content": TEXT, "refusal": None, "annotations": []}
    body = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1760000000, "model": "gpt-6-luna", "usage": usage,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "service_tier": "default", "system_fingerprint": None,
    }  # fmt: skip
    response = {"status_code": 200, "request_id": "req_1", "body": body}
    return {"id": "batch_req_1", "custom_id": "", "response": response, "error": None}


def answer_all(folder: Path, vendor: str) -> None:
    """Write an answer to each prepared request, in reverse order, and mark the jobs as ended."""
    row: Any = answer(vendor)
    message = row["result"]["message"] if vendor == "anthropic" else row["response"]["body"]
    usage = message["usage"]
    read, written = (
        ("input_tokens", "output_tokens") if vendor == "anthropic" else ("prompt_tokens", "completion_tokens")
    )
    for path in sorted((folder / "processed_files").glob("b*.jsonl")):
        with path.with_suffix(".output.raw").open("wb") as out:
            for number, line in enumerate(reversed(path.read_bytes().splitlines())):
                row["custom_id"] = line[14 : line.index(b'"', 14)].decode()
                usage.update({read: 250 + number % 97, written: 40 + number % 61})  # no two rows are to be alike
                out.write(orjson.dumps(row) + b"\n")
    with sqlite3.connect(folder / "batchflow.db") as database:
        database.execute("update jobs set state = 'ended', remote_id = 'batch_' || id, word = 'completed'")
    database.close()


def read_back(folder: Path, vendor: str) -> list[float]:
    """Outcomes, results file and peak of `results`, from the ledger as it was before."""
    saved = folder / "saved.db"
    if not saved.exists():
        shutil.copy(folder / "batchflow.db", saved)
    for suffix in ("-wal", "-shm"):
        (folder / f"batchflow.db{suffix}").unlink(missing_ok=True)
    shutil.copy(saved, folder / "batchflow.db")
    return child(folder, READ, vendor)


def floor(folder: Path, code: str, *words: str) -> float:
    """CPU seconds of a bare loop."""
    (folder / "floor.db").unlink(missing_ok=True)
    return child(folder, code, *words)[0]


# -- tables ------------------------------------------------------------------------------------------------------------


def spread(values: Sequence[float], per: float = 1.0, form: str = ".1f") -> str:
    """Median, and the least and the most."""
    low, middle, high = (x * per for x in (min(values), statistics.median(values), max(values)))
    return f"{middle:{form}} ({low:{form}}–{high:{form}})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def ratio(floors: Sequence[float], ours: Sequence[float]) -> str:
    """Median of the rounds' ratios: 1 is as fast as the bare loop."""
    return spread([a / b for a, b in zip(floors, ours, strict=True)], form=".2f")
