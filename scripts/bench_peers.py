"""Other systems on the work of `scripts/bench`: a batch file from a data set, and the answers read back.

Each is pinned and has an environment of its own in ~/.cache/batchflow/peers, made by `scripts/bench --install peers`.
A peer's own code makes lines and reads answers; nothing is sent: in the place of its HTTP client stands one that keeps
what is uploaded and answers it. Its time does not count.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "batchflow/peers"

_BEGIN = """
import json, re, sys, time
from pathlib import Path
from types import SimpleNamespace as Some
from itertools import islice
shape, row = json.loads(Path("shape.json").read_text()), Path("answer.json").read_text()
system, schema = shape["body"]["messages"][0]["content"], shape["body"]["response_format"]
apart, sent, ends = 0.0, [], []

def answered(payload):  # in reverse order, as the vendor would hand it over
    ids = re.findall(rb'"custom_id": ?"([^"]*)"', payload)
    return "".join(row.replace("ID", one.decode(), 1) + "\\n" for one in reversed(ids))

def answering(payload):
    global apart
    ends.append(time.process_time() - apart)
    start = time.process_time()
    sent.append(answered(payload))
    apart += time.process_time() - start

def rows():
    with open("data.jsonl", encoding="utf-8") as lines:
        yield from map(json.loads, islice(lines, int(sys.argv[1])))

def finish(start):
    print(ends[-1] - start, time.process_time() - apart - ends[-1])
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""

_LOOM = f"""{_BEGIN}
import os
os.environ["LOOM_HOME"] = str(Path.cwd() / "loom")
from loom.core import orchestrator
from loom.core.models import GenerationParams
from loom.providers.openai import OpenAIBatchProvider
files = Some(
    create=lambda file, purpose: (Path("peer.jsonl").write_bytes(file[1]), answering(file[1]), Some(id="f"))[-1],
    content=lambda _: Some(read=lambda: sent[0].encode()),
)
batches = Some(create=lambda **_: Some(id="b"), retrieve=lambda _: Some(status="completed", output_file_id="o"))
provider = OpenAIBatchProvider("none")
provider.client = Some(files=files, batches=batches)
orchestrator.get_provider = lambda *_: provider
params = GenerationParams(system=system, extra={{"response_format": schema}})
start = time.process_time()
made = orchestrator.run_batch(
    Path("prompts.json"), "openai", "gpt-6-luna", api_key="none", use_cache=False, params=params, force=True
)
orchestrator.fetch_batch(made.batch_id, api_key="none", use_cache=False, force=True)
finish(start)
"""

_BATCHLANE = f"""{_BEGIN}
from batchlane.adapters import openai_shaped
from batchlane.handle import BatchLine
from batchlane.runner import answer_text

def request(method, url, *, files=None, **_):
    if files:
        payload = files["file"][1]
        Path("peer.jsonl").write_bytes(payload)
        answering(payload)
    made = {{"id": str(len(sent) - 1), "output_file_id": url.rpartition("/")[2]}}
    text = sent[int(url.split("/")[-2])] if url.endswith("/content") else ""
    return Some(json=lambda: made, text=text)

openai_shaped.request = request
adapter = openai_shaped.OpenAIShapedAdapter(openai_shaped.ROWS["openai"])
warm = BatchLine("x", "gpt-6-luna", [{{"role": "user", "content": "x"}}], {{"response_format": schema}})
adapter.build_jsonl([warm], endpoint="chat.completions")  # litellm's imports

def line(row):
    turns = [{{"role": "system", "content": system}}, {{"role": "user", "content": "Question: " + row["description"]}}]
    return BatchLine(row["id"], "gpt-6-luna", turns, {{"response_format": schema}})

start = time.process_time()
lines = list(map(line, rows()))
handles = [
    adapter.submit(lines[at : at + 50_000], endpoint="chat.completions", window=None, api_key="none")
    for at in range(0, len(lines), 50_000)
]
answers = {{one.custom_id: answer_text(one) for handle in handles for one in adapter.results(handle, api_key="none")}}
finish(start)
assert len(answers) == len(lines)
"""

_STEADYBATCH = f"""{_BEGIN}
from steadybatch.models import Request
from steadybatch.providers.openai_batch import OpenAIBatch
from steadybatch.runner import Runner

def create(file, purpose):
    Path("peer.jsonl").write_bytes(file[1])
    answering(file[1])
    return Some(id=str(len(sent) - 1))

def retrieve(name):
    counts = Some(total=0, completed=0, failed=0)
    return Some(status="completed", request_counts=counts, errors=None, output_file_id=name, error_file_id=None)

files = Some(create=create, content=lambda name: Some(text=sent[int(name)]))
batches = Some(create=lambda input_file_id, **_: Some(id=input_file_id), retrieve=retrieve)
Path("checkpoint.db").unlink(missing_ok=True)
start = time.process_time()
runner = Runner(
    OpenAIBatch(Some(files=files, batches=batches)), "gpt-6-luna", checkpoint="checkpoint.db",
    response_schema=schema["json_schema"]["schema"],
)
asked = [
    Request(row["id"], [{{"role": "user", "content": "Question: " + row["description"]}}], system) for row in rows()
]
report = runner.run(asked)
finish(start)
assert report.ok == len(asked)
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A system, its pinned version, and the program that drives it. differs: in what it does.

    at_most: requests that it is given, where it takes milliseconds for each.
    """

    name: str
    version: str
    code: str
    differs: str
    at_most: int = 1_000_000

    def label(self, n: int) -> str:
        """Its name in the table, with the number of requests where it is given fewer."""
        return f"{self.name} {self.version}" + (f", {self.at_most:,} requests" if self.at_most < n else "")

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return CACHE / f"{self.name}-{self.version}/bin/python"

    def install(self) -> None:
        """Makes its environment where there is none."""
        if not self.python.exists():
            folder = self.python.parents[1]
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            subprocess.run([str(self.python), "-m", "pip", "install", "-q", f"{self.name}=={self.version}"], check=True)


PEERS = (
    Peer("loom-batch", "0.7.0", _LOOM, "no ledger, no schema; all in memory; its cache of answers is off"),
    Peer(
        "batchlane", "0.2.0", _BATCHLANE, "no ledger, no schema, no results file; lines by litellm, made twice", 2_000
    ),
    Peer(
        "steadybatch", "0.2.1", _STEADYBATCH, "SQLite checkpoint, schema checked, no results file; all in memory", 2_000
    ),
)


def inputs(folder: Path, first_line: str, answer: dict[str, object]) -> None:
    """Writes what the peers read beside data.jsonl: the same prompts, the shape of a line, and an answer."""
    (folder / "shape.json").write_text(first_line)
    (folder / "answer.json").write_bytes(orjson.dumps(answer | {"custom_id": "ID"}))
    prompts = []
    with (folder / "data.jsonl").open("rb") as lines:
        for line in lines:
            row = orjson.loads(line)
            prompts.append({"id": row["id"], "prompt": f"Question: {row['description']}"})
    (folder / "prompts.json").write_bytes(orjson.dumps(prompts))
