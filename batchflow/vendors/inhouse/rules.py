"""The provider `rule`: deterministic judges that cost nothing and need no key.

It has the same verbs as a vendor, so that a rule's votes travel the same way as a model's: `create` compares each
answer with the reference and writes the verdicts beside the file that was "sent".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError, Trouble, UsageError, VendorError
from batchflow.judges import verifiers
from batchflow.judges.base import Known, Verifier
from batchflow.judges.scripts.sandbox import SCRIPT, Sandbox, Script, VerifierError, sandbox
from batchflow.judges.systems.internbootcamp import GROUND_TRUTH, SOURCE
from batchflow.records import Capabilities, Download, Job, Json, Outcome, Progress, Request, Response
from batchflow.vendors.base import BY_RULE, ELSEWHERE, RowForm, cannot_resume, no_clock, no_facts
from batchflow.vendors.inhouse import no_vendor

NAME = "rule"
LIMITS = no_vendor.LIMITS
ENDPOINTS = ("compare",)
TRAITS = BY_RULE
STATUSES = no_vendor.STATUSES
_VERDICT, _EXTRACTED = "verdict", "extracted"

LINE = RowForm(id="custom_id", asked="answer", source="batchflow", urls={})

connect, upload, find, cancel = no_vendor.connect, no_vendor.upload, no_vendor.find, no_vendor.cancel
clock, resume, facts = no_clock, cannot_resume, no_facts


def check(request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
    """Refuse unknown rules, and anything that has no reference to compare with."""
    if SCRIPT not in (request.data or {}):
        verifiers.get(request.model)
    if request.data is None:
        raise UsageError(
            "rule: rules judge answers, they do not give any", hint="use them with: batchflow jury --judges"
        )


def encode(request: Request, can: Capabilities, endpoint: str) -> Json:
    """The two texts to compare; all references where there is not just one; columns for a rule that wants them."""
    data = request.data or {}
    more: Json = {name: data[name] for name in ("references", "columns", SCRIPT) if name in data}
    return {
        "custom_id": request.custom_id,
        "rule": request.model,
        "reference": str(data["reference"]),
        "answer": str(data["answer"]),
        **more,
    }


def decode(line: Json) -> Response:
    """A verdict row; null means that the rule does not apply. One with an error is no answer."""
    if line.get("error"):
        return Response(line.get("custom_id"), Outcome.ERROR, error=str(line["error"]), row_id=line.get("custom_id"))
    verdict = line.get(_VERDICT, _older(line))
    more = {_VERDICT: verdict, _EXTRACTED: line[_EXTRACTED]} if _EXTRACTED in line else verdict
    return Response(
        custom_id=line.get("custom_id"),
        outcome=Outcome.OK,
        text=files.dumps(more).decode(),
        model=f"rule:{line.get('rule')}",
        row_id=line.get("custom_id"),
    )


def _older(line: Json) -> Any:
    """The verdict of a row that an earlier version wrote, under the name of the field that it voted on."""
    return next((value for name, value in line.items() if name not in {"custom_id", "rule"}), None)


def verdict_of(response: Response) -> bool | float | None:
    """Verdict of a rule: right, wrong, a number, or None where it does not apply."""
    verdict = files.loads(response.text or "null")
    verdict = verdict.get(_VERDICT) if isinstance(verdict, dict) else verdict
    return verdict if isinstance(verdict, bool | int | float) else None


def extracted_of(response: Response) -> Any:
    """Output that a verifier extracted of the answer, any JSON value; None where it says nothing of it."""
    verdict = files.loads(response.text or "null")
    return verdict.get(_EXTRACTED) if isinstance(verdict, dict) else None


def create(client: Any, job: Job) -> str:
    """Judge every line; the verdicts appear at once, by a rename. Raises DataError for a broken file."""
    with files.replacing(_verdicts(job)) as out, sandbox() as scripts:
        out.writelines(_judged(job.path, scripts))
    return f"rule-{job.token}"


def _judged(path: Path, scripts: Sandbox) -> Iterator[bytes]:
    """The verdicts on a file's lines, as lines."""
    from batchflow.vendors.shared import row_shapes

    named: dict[str, Verifier] = {}
    for number, row in files.objects_or(path, row_shapes.compared()):
        if row.__class__ is tuple:
            custom_id, rule, reference, answer = row
            verifier = named.get(rule) or named.setdefault(rule, verifiers.get(rule))
            verdict = _verdict(verifier, rule, answer, Known((reference,)))
            yield files.dump_line({"custom_id": custom_id, "rule": rule, **verdict})
            continue
        try:
            reference = row["reference"]
            known = Known(tuple(row["references"]) if "references" in row else (reference,), row.get("columns", {}))
            rule, answer, custom_id = str(row["rule"]), str(row["answer"]), row["custom_id"]
            script = Script.recorded(row[SCRIPT]) if SCRIPT in row else None
        except (KeyError, TypeError) as error:
            raise DataError(f"{path}, line {number}: not a line for a rule ({error})") from None
        if script is not None:
            verdict = _scripted(scripts, script, answer, known)
        else:
            verifier = named.get(rule) or named.setdefault(rule, verifiers.get(rule))
            verdict = _verdict(verifier, rule, answer, known)
        yield files.dump_line({"custom_id": custom_id, "rule": rule, **verdict})


def _verdict(verifier: Verifier, rule: str, answer: str, known: Known) -> Json:
    """A rule's verdict on one answer; an error of somebody else's rule is no verdict, and stops no other."""
    try:
        value = verifier.verify(answer, known)
        return {_VERDICT: value if value is None or isinstance(value, bool) else float(value)}
    except UsageError:  # it is not installed here
        raise
    except Exception as error:  # noqa: BLE001 - somebody else's module
        return {_VERDICT: None, "error": f"rule {rule} failed: {type(error).__name__}: {error}"[:400]}


def _scripted(scripts: Sandbox, script: Script, answer: str, known: Known) -> Json:
    """A script's verdict on one answer; its failure is no verdict, and never a wrong answer."""
    row = {"answer": answer, "data_source": str(known.columns.get(SOURCE, "")), GROUND_TRUTH: _truth(known)}
    try:
        ruling = scripts.ask(script, row)
        return {_VERDICT: ruling.value} | ({} if ruling.extracted is None else {_EXTRACTED: ruling.extracted})
    except VerifierError as error:
        return {_VERDICT: None, "error": f"verifier_error: {error}"}


def _truth(known: Known) -> Any:
    """The ground truth of an item as its row gave it; the reference's text, or all of them, of another task."""
    if GROUND_TRUTH not in known.columns:
        return known.references[0] if len(known.references) == 1 else list(known.references)
    text = str(known.columns[GROUND_TRUTH])
    try:
        return files.loads(text)
    except ValueError:
        return text


def poll(client: Any, job: Job) -> Progress:
    """Done as soon as created. Raises VendorError where the verdicts are not to be seen."""
    _standing(job)
    return no_vendor.done(job)


def fetch(client: Any, job: Job) -> Iterator[Download]:
    """The verdict file."""
    path = _standing(job)
    yield Download("output", files.chunks(path), path.stat().st_size)


def remove(client: Any, job: Job) -> None:
    """Delete the verdicts."""
    _verdicts(job).unlink(missing_ok=True)


def explain(error: Exception) -> VendorError:
    """Only the disk can fail."""
    return VendorError(f"rule: {error}", trouble=Trouble.REFUSED)


def _standing(job: Job) -> Path:
    """The verdict file. Raises VendorError where it is not to be seen: it may lie in another project folder."""
    path = _verdicts(job)
    if not path.is_file():
        raise VendorError(f"rule: {path} is not here", trouble=Trouble.NOT_FOUND, hint=ELSEWHERE)
    return path


def _verdicts(job: Job) -> Path:
    return job.path.with_suffix(".verdicts")
