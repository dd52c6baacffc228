"""The one place that wraps a vendor's verbs: a batch's session with its vendor, whose errors become ours.

What may be repeated is repeated.
"""

from __future__ import annotations

import errno
import logging
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TextIO, TypeVar

from batchflow.errors import BatchflowError, Trouble, VendorError
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.records import Job
from batchflow.steps.base.context import Context
from batchflow.vendors import registry
from batchflow.vendors.base import Vendor

T = TypeVar("T")

TRIES = 5
BASE_S = 1.0
CAP_S = 60.0
LONGEST_WARNING = 500  # characters
_PASSING = frozenset({Trouble.TRANSIENT, Trouble.UNCERTAIN, Trouble.GARBLED, Trouble.UNPUBLISHED})


class _Overheard(logging.Handler):
    """Redirects an SDK's warnings and logs to the progress: they may quote a vendor's text, or a key."""

    def __init__(self, context: Context) -> None:
        super().__init__(logging.WARNING)
        self._context = context

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one line of a logger that nobody set up."""
        self.tell(record.getMessage())

    def showwarning(  # the signature is that of `warnings`
        self,
        message: Warning | str,
        category: type[Warning],  # noqa: ARG002
        filename: str,  # noqa: ARG002
        lineno: int,  # noqa: ARG002
        file: TextIO | None = None,  # noqa: ARG002
        line: str | None = None,  # noqa: ARG002
    ) -> None:
        """Tell a warning that `warnings` would print."""
        self.tell(str(message))

    def tell(self, text: str) -> None:
        """Tell a text without its keys and line breaks."""
        self._context.say(self._context.settings.hide(" ".join(text.split())[:LONGEST_WARNING]))


@contextmanager
def _overhearing(context: Context) -> Iterator[None]:
    """Take SDKs' warnings, and log lines that would reach stderr for want of a handler."""
    ears, warn, last = _Overheard(context), warnings.showwarning, logging.lastResort
    warnings.showwarning, logging.lastResort = ears.showwarning, ears
    try:
        yield
    finally:
        warnings.showwarning, logging.lastResort = warn, last


@dataclass(frozen=True, slots=True)
class VendorSession:
    """A batch and its vendor, connected: all that is needed to call a verb about one of its jobs."""

    context: Context
    vendor: Vendor
    client: Any
    batch: BatchRecord

    def job(self, job: JobRecord, known_ids: frozenset[str] = frozenset()) -> Job:
        """A job of the batch as a vendor file sees it."""
        return vendor_job(self.context, self.batch, job, known_ids)

    def once(self, verb: Callable[[Any, Job], T], job: Job) -> T:
        """Call a verb once. Raises VendorError."""
        return once(self.context, self.vendor, lambda: verb(self.client, job))

    def patiently(self, verb: Callable[[Any, Job], T], job: Job) -> T:
        """Call an idempotent verb, repeating it through passing trouble. Raises VendorError."""
        return patiently(self.context, self.vendor, lambda: verb(self.client, job))


@contextmanager
def connected(context: Context, batch: BatchRecord) -> Iterator[VendorSession]:
    """A batch's session with its vendor, closed at the end."""
    vendor = registry.get(batch.provider, context.settings)
    with client_of(context, vendor) as client:
        yield VendorSession(context, vendor, client, batch)


@contextmanager
def client_of(context: Context, vendor: Vendor) -> Iterator[Any]:
    """A vendor's client; what it holds open is closed at the end. What its SDK warns of is told as progress."""
    with ExitStack() as stack:
        stack.enter_context(_overhearing(context))
        client = vendor.connect(context.settings)
        if hasattr(client, "__exit__"):
            stack.enter_context(client)
        elif close := getattr(client, "close", None):
            stack.callback(close)
        yield client


_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM})


def once(context: Context, vendor: Vendor, do: Callable[[], T]) -> T:
    """Call a verb once. Raises VendorError for whatever its SDK raised, without any key in its text.

    What this machine's disk refused is no word of the vendor's, and is raised as it is.
    """
    try:
        return do()
    except VendorError as error:  # our own words, with a vendor's in them
        raise _hidden(context, error) from error.__cause__
    except BatchflowError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            raise
        raise _hidden(context, vendor.explain(error)) from error


def _hidden(context: Context, error: VendorError) -> VendorError:
    """The error, without any key in its texts."""
    error.args, error.hint = (context.settings.hide(str(error)),), context.settings.hide(error.hint)
    return error


def patiently(context: Context, vendor: Vendor, do: Callable[[], T]) -> T:
    """Call an idempotent verb, repeating it through passing trouble: exponential, full jitter, Retry-After first.

    Raises VendorError when it does not pass, and at once for trouble that waiting cannot mend.
    """
    tries = max(1, int(context.tuned("tries", TRIES)))
    for attempt in range(tries):
        try:
            return once(context, vendor, do)
        except VendorError as error:
            if error.trouble not in _PASSING or attempt + 1 >= tries:
                raise
            wait_s = pause(context, attempt, error.retry_after_s)
            context.say(f"{error}; trying again in {wait_s:.0f} s")
            context.sleep(wait_s)
    raise AssertionError("unreachable: the last try raises")


def pause(context: Context, attempt: int, retry_after_s: float | None = None) -> float:
    """Seconds until the next try: exponential with full jitter, or as long as a vendor wishes."""
    cap = context.tuned("cap_s", CAP_S)
    jitter = random.uniform(0, min(cap, context.tuned("base_s", BASE_S) * 2**attempt))  # noqa: S311 - not a secret
    return min(max(retry_after_s or 0.0, jitter), max(cap, 0.0)) if cap else 0.0


def vendor_job(context: Context, batch: BatchRecord, job: JobRecord, known_ids: frozenset[str] = frozenset()) -> Job:
    """A job as a vendor file sees it."""
    return Job(
        name=batch.name,
        path=context.settings.project / job.path,
        sha256=job.sha256,
        requests=job.n_requests,
        model=batch.model,
        endpoint=batch.endpoint,
        token=job.token or "",
        nonce=batch.nonce,
        sending_at=job.sending_at.timestamp() if job.sending_at else 0.0,
        window=batch.options.get("window"),
        remote_file=job.remote_file,
        remote_id=job.remote_id,
        options=batch.options,
        known_ids=known_ids,
    )
