"""Scripts of faults: a TOML or JSON file with a list, each fault for a vendor, a call and an occurrence.

    [[fault]]
    vendor = "openai"      # "*" (the default): any vendor
    call = "create"        # upload stat create list poll download cancel delete; "job": the life of a batch
    kind = "status"        # see CALL_KINDS and JOB_KINDS
    nth = 1                # the first matching call that is hit, from 1
    times = 1              # how many in a row; 0: all from there on
    when = "after"         # before (the default) or after the call took effect
    status = 500
    retry_after = "2"      # sent as it stands; without it no header is sent

Each fault counts the calls that match it by itself, so two faults never shift each other.
"""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import UsageError
from batchflow.rehearsal import registry

CALLS = ("upload", "stat", "create", "list", "poll", "download", "cancel", "delete", "job", "*")

VENDORS = (*registry.MODULES, "*")

CALL_KINDS = {
    "status": "an HTTP error with the vendor's own body",
    "reset": "the connection is reset",
    "html": "a web page with status 200",
    "redirect": "a redirect: `status` (307, say) with the address in `message`",
    "garbled": "JSON that breaks off, with status 200",
    "cut": "the body ends early; length = false: without a Content-Length that would show it",
    "trickle": "the body comes in small pieces over `seconds`",
    "hang": "nothing for `seconds`, then the answer",
    "kill": "the client's processes are killed (only in tests that pass kill=)",
}
JOB_KINDS = {
    "fail": "validation fails: nothing ran",
    "queue_full": "validation fails because too much is enqueued already",
    "expire": "the window closes when `fraction` of the rows have run",
    "cancel": "somebody else cancels it when `fraction` of the rows have run",
    "late_list": "it is missing from the first `polls` lists",
    "late_file": "it says that it succeeded before its files are named, for `polls` looks",
    "late_output": "its error file is named at once, its output file `polls` looks later",
    "late_rows": "its files lack the last `fraction` of their rows, for `polls` looks",
    "errors": "`fraction` of the rows fail with `status` and `message`; 1.0: an error file only",
    "refusals": "the model declines `fraction` of the rows",
    "missing": "`fraction` of the rows are in no file",
    "wrong_counts": "the counts do not add up",
    "still_counts": "the counts stay 0, also when it has ended",
    "no_counts": "no counts are sent (openai, and so gateways)",
    "dirty": "duplicates, unknown ids, garbage, blank lines, a BOM and U+2028 between the good rows",
}


@dataclass(slots=True)
class Fault:
    """One entry of the script; `seen` counts the calls that matched it."""

    kind: str
    vendor: str = "*"
    call: str = "*"
    nth: int = 1
    times: int = 1
    when: str = "before"
    status: int = 500
    retry_after: str | None = None
    fraction: float = 0.5
    seconds: float = 0.5
    polls: int = 2
    length: bool = True
    message: str = ""
    code: str | None = None
    seen: int = field(default=0, repr=False)

    def hits(self, vendor: str, call: str) -> bool:
        """Tells whether this call is the one; counts it."""
        if self.vendor not in {"*", vendor} or self.call not in {"*", call}:
            return False
        if (call == "job") != (self.kind in JOB_KINDS):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times == 0 or self.seen < self.nth + self.times)


class Faults:
    """A script of faults in its order. Safe to use from several threads."""

    def __init__(self, script: Iterable[Fault] = ()) -> None:
        self._script = list(script)
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        """Put faults at the end of the script."""
        with self._lock:
            self._script.extend(faults)

    def take(self, vendor: str, call: str) -> list[Fault]:
        """The faults that this call meets."""
        with self._lock:
            return [fault for fault in self._script if fault.hits(vendor, call)]


def load(path: Path) -> Faults:
    """Read a script. Raises UsageError that names the entry and the key that make no sense."""
    try:
        text = path.read_text("utf-8")
        data: Any = tomllib.loads(text) if path.suffix == ".toml" else files.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}", hint="give a TOML or JSON file with a list of faults") from None
    entries = data.get("fault", []) if isinstance(data, Mapping) else data
    if not isinstance(entries, list):
        raise UsageError(f"{path}: `fault` has to be a list", hint="write [[fault]] tables")
    return Faults(_fault(path, number, entry) for number, entry in enumerate(entries, start=1))


def _fault(path: Path, number: int, entry: Any) -> Fault:
    names = {spec.name for spec in fields(Fault)} - {"seen"}
    wrong = sorted(set(entry) - names) if isinstance(entry, dict) else ["(not a table)"]
    if wrong:
        raise UsageError(f"{path}, fault {number}: unknown {', '.join(wrong)}", hint=f"known: {sorted(names)}")
    kinds = {**CALL_KINDS, **JOB_KINDS}
    if str(entry.get("kind")) not in kinds:
        raise UsageError(
            f"{path}, fault {number}: no kind {entry.get('kind')!r}", hint=f"use one of {', '.join(kinds)}"
        )
    if entry.get("call", "*") not in CALLS or entry.get("when", "before") not in {"before", "after"}:
        raise UsageError(f"{path}, fault {number}: no such call or when", hint=f"calls: {', '.join(CALLS)}")
    if "call" not in entry and entry["kind"] in JOB_KINDS:
        entry = {**entry, "call": "job"}
    if why := _idle(entry):
        raise UsageError(f"{path}, fault {number}: {why}", hint="it would never strike; see docs/rehearsal.md")
    return Fault(**entry)


def _idle(entry: Mapping[str, Any]) -> str | None:
    """Returns why an entry could never take effect: a drill that passes because nothing happened proves nothing."""
    for spec in fields(Fault)[1:]:  # behind `kind`, which has no default and has been looked at
        default = "" if spec.default is None else spec.default
        value = entry.get(spec.name, default)
        wanted: tuple[type, ...] = (int, float) if isinstance(default, float) else (type(default),)
        if type(value) not in wanted and value is not spec.default:
            return f"{spec.name} has to be of type {wanted[-1].__name__}, and is {value!r}"
    fault = Fault(**entry)
    if fault.vendor not in VENDORS:
        return f"no vendor {fault.vendor!r}: use one of {', '.join(VENDORS)}"
    if fault.call != "*" and (fault.call == "job") != (fault.kind in JOB_KINDS):
        return f"{fault.kind} does not apply to the call {fault.call!r}"
    if fault.vendor == "anthropic" and fault.kind in {"fail", "queue_full"}:
        return f"anthropic validates rows, not batches: no batch of its ends as {fault.kind}; use errors"
    if fault.kind == "no_counts" and fault.vendor not in {"*", "openai"}:
        return f"only the rehearsed openai can leave the counts out, and not {fault.vendor}; use still_counts"
    within = fault.nth >= 1 and fault.times >= 0 and 0 <= fault.fraction <= 1 and fault.seconds >= 0
    return None if within and 300 <= fault.status <= 599 else "nth, times, fraction, seconds or status is out of range"
