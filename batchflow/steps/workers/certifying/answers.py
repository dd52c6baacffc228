"""The batch of `rehearse --certify` whose answers are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batchflow import files
from batchflow.records import Outcome
from batchflow.steps.workers.certifying.run import ROWS, STATUSES, Certified, Run, Verdict, in_words, row_of
from batchflow.vendors.shared import chat_completions

LONG_ID = 64

ERRORS, LONGEST_ERROR = 3, 120
"""Different errors of rows that the table shows, and the characters of each."""


def answers(run: Run) -> Iterator[Certified]:
    """Send it, and look at its list, its status, its counts and its files."""
    ids = [f"c{number}-{run.mark}" for number in range(ROWS - 1)]
    ids.append(f"{run.mark}-".ljust(LONG_ID, "x"))
    upload, reply, tag = run.sent("main", b"".join(map(run.line, ids)))
    batch_id = reply.get("id") if reply is not None else None
    good = isinstance(batch_id, str)
    yield row_of(
        "create", good=good, seen=str(batch_id) if good else in_words(reply if upload.is_good else upload),
        fine="batches can be sent", otherwise="nothing can be sent",
    )  # fmt: skip
    if not isinstance(batch_id, str):
        return
    yield _tags(run, batch_id, tag)
    document, seen = run.ended(batch_id)
    words = list(dict.fromkeys(str(each.get("status")) for each in seen))
    unknown = [word for word in words if word not in STATUSES]
    yield row_of(
        "status words", good=not unknown, seen=" → ".join(words), fine="all are known",
        otherwise="unknown words count as running", bad=Verdict.COPED,
    )  # fmt: skip
    yield row_of(
        "expiry", good=isinstance(document.get("expires_at"), int), seen=f"expires_at {document.get('expires_at')}",
        fine="its window is known", otherwise="nobody knows when it expires; `get` shows it as running until then",
        bad=Verdict.COPED,
    )  # fmt: skip
    yield _counts(document, seen)
    yield from _output(run, document, ids)


def _tags(run: Run, batch_id: str, tag: str) -> Certified:
    listed = run.server.batches().get("data")
    ours = [each for each in listed or [] if isinstance(each, dict) and each.get("id") == batch_id]
    kept = bool(ours) and isinstance(tags := ours[0].get("metadata"), dict) and tags.get("batchflow") == tag
    if not ours:
        return Certified(
            "list and tags", Verdict.FAULT, "the list does not show the batch",
            "a lost create is not found: the job becomes `unsure`, and a person decides",
        )  # fmt: skip
    return row_of(
        "list and tags", good=kept, seen="listed with its metadata" if kept else "listed without its metadata",
        fine="a lost create is found by its tag", otherwise="a lost create is found by its uploaded file",
        bad=Verdict.COPED,
    )  # fmt: skip


def _counts(document: dict[str, Any], seen: list[dict[str, Any]]) -> Certified:
    counts = document.get("request_counts")
    counted = counts if isinstance(counts, dict) else {}
    total, over = counted.get("total"), [counted.get("completed"), counted.get("failed")]
    good = total == ROWS and all(isinstance(one, int) for one in over) and sum(map(int, over)) == ROWS  # type: ignore[arg-type]
    return row_of(
        "counts", good=good, seen=f"total {total}, completed {over[0]}, failed {over[1]} after {len(seen)} looks",
        fine="progress can be believed", otherwise="counts stand still or are wrong, and so is progress",
        bad=Verdict.COPED,
    )  # fmt: skip


def _output(run: Run, document: dict[str, Any], ids: list[str]) -> Iterator[Certified]:
    rows, where = [], []
    for name in ("output_file_id", "error_file_id"):
        if isinstance(file_id := document.get(name), str) and file_id:
            reply = run.server.content(file_id)
            where.append(f"{name.removesuffix('_file_id')} {reply.status}")
            rows += [row for line in reply.body.splitlines() if reply.is_good and (row := _row(line)) is not None]
    answered = [str(row.get("custom_id")) for row in rows]
    yield row_of(
        "output and error files", good=sorted(answered) == sorted(ids),
        seen=f"{', '.join(where) or 'no file'}; {len(set(answered) & set(ids))} of {ROWS} rows",
        fine="every request has its row", otherwise="requests without a row become `missing`; `retry` asks them again",
        bad=Verdict.COPED if set(answered) & set(ids) else Verdict.FAULT,
    )  # fmt: skip
    yield _answered(rows, ids)
    yield row_of(
        "long custom_id", good=ids[-1] in answered,
        seen=f"{LONG_ID} characters, {'back' if ids[-1] in answered else 'lost'}",
        fine="ids fit", otherwise="answers under another id belong to nobody",
    )  # fmt: skip
    yield row_of(
        "order of rows", good=answered == ids, seen="as sent" if answered == ids else "another than as sent",
        fine="rows are read in one pass", otherwise="rows are found by custom_id", bad=Verdict.COPED,
    )  # fmt: skip
    bodies = [row["response"].get("body") for row in rows if isinstance(row.get("response"), dict)]
    as_text = sum(isinstance(body, str) for body in bodies)
    yield row_of(
        "response.body", good=bool(bodies) and not as_text, seen=f"{as_text} of {len(bodies)} are JSON text",
        fine="an object, as in OpenAI's files", otherwise="JSON text is read as well",
        bad=Verdict.COPED if bodies else Verdict.UNSEEN,
    )  # fmt: skip
    failed = sum(isinstance(row.get("response"), dict) and row["response"].get("status_code") != 200 for row in rows)
    usage = sum(isinstance(_plain(body).get("usage"), dict) for body in bodies)
    yield row_of(
        "usage", good=bool(bodies) and usage == len(bodies) - failed,
        seen=f"{usage} of {len(bodies)} rows count tokens", fine="cost can be counted",
        otherwise="cost and tokens of these rows are unknown", bad=Verdict.COPED,
    )  # fmt: skip


def _answered(rows: list[dict[str, Any]], ids: list[str]) -> Certified:
    """Reads the rows as `results` does; the first errors stand in the table."""
    responses = {row.custom_id: row for row in map(chat_completions.decode, rows) if row.custom_id in ids}
    good = sum(row.outcome is Outcome.OK for row in responses.values())
    errors = dict.fromkeys(_short(row.error) for row in responses.values() if row.outcome is not Outcome.OK)
    seen = f"{good} of {ROWS}"
    return row_of(
        "rows were answered", good=good == ROWS, seen="; ".join((seen, *list(errors)[:ERRORS])),
        fine="its model answers", bad=Verdict.COPED if good else Verdict.FAULT,
        otherwise="the other rows are errors; `retry` asks them again" if good
        else "no request has an answer: is this the model's name there, and is its engine up?",
    )  # fmt: skip


def _short(error: str | None) -> str:
    return " ".join((error or "no text").split())[:LONGEST_ERROR]


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = files.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _plain(body: Any) -> dict[str, Any]:
    """A row's body as an object, read where it is text."""
    if isinstance(body, str):
        body = _row(body.encode())
    return body if isinstance(body, dict) else {}
