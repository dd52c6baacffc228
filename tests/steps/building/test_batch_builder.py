"""A batch holds what plain loops over items, prompts and the vendor's `encode` say, however fast it was made."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from batchflow import batch_file, files, settings
from batchflow.ledger import batches
from batchflow.ledger.models import REQUESTS
from batchflow.records import Params, Request
from batchflow.settings import LOCAL, VENDORS
from batchflow.steps.building.asks import CHUNK
from batchflow.tasks import riddles
from batchflow.tasks.datasets import riddle_rows
from batchflow.vendors import registry

WAYS = [(name, endpoint) for name in (*VENDORS, LOCAL) for endpoint in registry.get(name).ENDPOINTS]
TEXTS = ["Why?", "é😀", '"\\ {"max_tokens":7}', "\u2028\0\x7f\t", "A" * 300, 'say "' + "A" * 300, "{description}"]
HINTS = [None, "", " ", "Count.", "1\n2"]


def row(n):
    """The n-th row: of the usual shape, unless something is odd about it."""
    odd = {3: {"id": f" {n} "}, 5: {"id": n}, 7: {"unheard": [n]}, 11: {"id": f"é_{n}"}, 13: {"picarats": float(n)}}
    changes = next((some for every, some in odd.items() if n % (9 * every) == every), {})
    hints = {"first_hint": HINTS[n % 5], "third_hint": HINTS[n % 3]}
    return {
        "id": f"q-{n}", "description": f"{TEXTS[n % 7]} {n}", "answer": str(n), "category": HINTS[n % 4],
        "picarats": n % 6 or None, "extra": n, **hints, **changes,
    }  # fmt: skip


def expected(project, provider, endpoint, batch, samples):
    """Lines and rows, each by a plain loop."""
    vendor, template = registry.get(provider), riddles.template("llm", None)
    can, place = settings.load(project.folder).capabilities(provider, batch.model), 0
    for item in riddles.items(riddle_rows.local(project.folder / "data.jsonl"), "llm"):
        prompt, columns = riddles.prompt(item, 2, template), files.dumps(riddles.columns(item)).decode()
        for sample in range(samples):
            custom_id = batch_file.wire_id(place, batch.nonce, item.id)
            request = Request(
                custom_id, batch.model, prompt.system, prompt.parts, riddles.ANSWER, Params(max_tokens=99)
            )
            line = batch_file.line(request, vendor.encode(request, can, endpoint))
            yield line.data, (custom_id, item.id, sample, line.content, columns, None)
            place += 1


@pytest.mark.parametrize(("provider", "endpoint"), WAYS)
def test_files_and_rows_are_those_of_plain_loops(project, provider, endpoint):
    rows = [row(n) for n in range(CHUNK)]
    (project.folder / "data.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows), "utf-8")
    where = ("--base-url", "http://127.0.0.1:9/v1") if provider == LOCAL else ("--as-named",)
    report = project.ok(
        "prepare", "--provider", provider, "--endpoint", endpoint, "--model", "m", *where, "--task", "riddles",
        "--dataset", "data.jsonl", "--hints", 2, "--samples", 2, "--max-tokens", 99, "--name", "b",
    )  # fmt: skip
    with project.ledger() as ledger, ledger.read() as tx:
        batch, r = batches.get(tx, "b"), REQUESTS.c
        query = sa.select(r.custom_id, r.item_id, r.sample, r.content, r.columns, r.subject_id).order_by(r.id)
        kept = [tuple(one) for one in tx.execute(query)]
    lines = [
        line for path in report["files"] for line in (project.folder / path).read_bytes().splitlines(keepends=True)
    ]
    assert list(zip(lines, kept, strict=True)) == list(expected(project, provider, endpoint, batch, 2))
