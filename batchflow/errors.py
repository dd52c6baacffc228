"""Every error a user can meet, and the exit code that it carries.

    BatchflowError                  1   a failure without a class of its own
    |-- UsageError                  2   the command line or a setting makes no sense
    |   `-- WrongWorld              2   the batch is rehearsed and the command is not, or the other way round
    |-- DataError                   3   a data set, answer or result file is broken
    |   `-- ArgumentError           3   a function of batchflow.score got values that it cannot take; a ValueError
    |-- LedgerError                 4   the ledger cannot be opened, is newer, or disagrees with the disk
    |   |-- DamagedLedger         4   a value that no batchflow writes
    |   |-- StaleState              4   another process moved the job first
    |   |-- StoreError              4   the store of payloads (BATCHFLOW_STORE) cannot be reached, or refuses
    |   `-- UnknownBatch            4   no batch of that name
    |-- VendorError                 5   a vendor refused, or could not be reached
    |-- NeedsYou                    6   a person has to decide; nothing was sent again
    |-- NotReady                    7   still running: the same command works later
    `-- EngineError                 8   a local engine cannot be started or answers wrongly

Exit code 0 means done; 130 means interrupted. A text says what happened, to which batch or row, and what to
do next. `hint` holds that last part, so that `--json` can carry it on its own.
"""

from __future__ import annotations

from enum import StrEnum


class BatchflowError(Exception):
    """Base of all errors meant for the user; caught once, in `cli.app`."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(BatchflowError):
    """The command line or a setting makes no sense."""

    exit_code = 2


class WrongWorld(UsageError):
    """The batch is rehearsed and the command is not, or the other way round. inside: where the command belongs."""

    def __init__(self, message: str, *, inside: bool, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.inside = inside


class DataError(BatchflowError):
    """A data set, answer or result file is broken; the text names file, line and field."""

    exit_code = 3


class ArgumentError(DataError, ValueError):
    """A function of the statistics library got values that it cannot take; the text names the argument."""


class LedgerError(BatchflowError):
    """The ledger cannot be opened, is newer than the program, or disagrees with the disk."""

    exit_code = 4


class DamagedLedger(LedgerError):
    """A value in the ledger is none that this program writes."""


class StaleState(LedgerError):
    """Another process moved the job first; nothing was changed here."""


class StoreError(LedgerError):
    """The store of payloads cannot be reached, or refuses; the ledger says nothing that it does not hold."""


class UnknownBatch(LedgerError):
    """The ledger has no batch of that name."""


class Trouble(StrEnum):
    """Kind of a vendor's failure; it alone decides the next step."""

    TRANSIENT = "transient"  # certainly without effect: 429 without a queue word, connection refused; ask again later
    UNCERTAIN = "uncertain"  # 5xx, a reset, a timeout: it may have taken effect; only `find` may follow a create
    UNPUBLISHED = "unpublished"  # a batch that is done and names no file yet
    QUEUE_FULL = "queue_full"  # enqueued tokens, concurrent jobs or create rate: wait for room
    AUTH = "auth"  # 401, 403, a bad key
    BILLING = "billing"  # quota, budget or payment: waiting does not help
    NOT_FOUND = "not_found"  # 404, 410: the job or file is gone, or the model does not exist
    TOO_LARGE = "too_large"  # 413, or a 400 that says so
    REFUSED = "refused"  # any other 4xx: the request is wrong
    REDIRECTED = "redirected"  # 3xx, which is not followed: a create may have taken effect before it
    GARBLED = "garbled"  # a success that is not JSON, an upload or download that was cut; as uncertain


class VendorError(BatchflowError):
    """A vendor refused or could not be reached. `trouble` decides, `retry_after_s` is the vendor's wish."""

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        trouble: Trouble,
        status: int | None = None,
        retry_after_s: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.trouble = trouble
        self.status = status
        self.retry_after_s = retry_after_s


class NeedsYou(BatchflowError):
    """A person has to decide; nothing was sent again by itself."""

    exit_code = 6


class NotReady(BatchflowError):
    """Still running: the same command works later."""

    exit_code = 7


class EngineError(BatchflowError):
    """A local engine cannot be started, is not installed, or answers wrongly."""

    exit_code = 8


DISTRIBUTION = "batchflow-eval"
"""The name that pip knows this project by: PyPI's `batchflow` is a stranger's. `pyproject.toml` says the same."""


def install_extra(extra: str) -> str:
    """The hint that brings an optional dependency in."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
