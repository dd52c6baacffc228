"""How a failure leaves the program: one text on stderr, a JSON document where asked for, the class's exit code."""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path

from batchflow import __version__, files, settings
from batchflow.cli.text import clean
from batchflow.cli.typed import Typed
from batchflow.errors import BatchflowError, WrongWorld


def report(error: Exception, project: Path, *, as_json: bool, speak: Typed = Typed()) -> int:  # noqa: B008 - frozen
    """Tell the user, and return the exit code. What nobody expected leaves a log file that can be sent in.

    project: the folder whose `.env` may hold keys that no text may show. speak: how commands are typed here.
    """
    if isinstance(error, BatchflowError):
        message, hint, code = speak(str(error)), _hint(error, speak), error.exit_code
    elif isinstance(error, BrokenPipeError):
        _give_up_stdout()  # the reader left; nothing more can be said
        return 0
    elif isinstance(error, OSError):
        message, hint, code = (
            f"{error.strerror or error}: {error.filename or ''}".strip(": "),
            _way_out(error, project),
            1,
        )
    else:
        message, hint, code = (
            f"unexpected {type(error).__name__}: {error}",
            f"please report it with {_log(error, project)}",
            1,
        )
    message, hint = _without_keys(clean(message), project), _without_keys(clean(hint), project)
    if as_json:
        told = {"error": {"class": type(error).__name__, "message": message, "hint": hint, "exit_code": code}}
        _say_document(files.dumps(told).decode() + "\n")
    sys.stderr.write(f"batchflow: {message}\n" + (f"  what to do: {hint}\n" if hint else ""))
    return code


def _hint(error: BatchflowError, speak: Typed) -> str:
    if not isinstance(error, WrongWorld):
        return speak(error.hint)
    command = speak.again(inside=error.inside)
    where = "" if error.inside else "outside of `batchflow rehearse`: "
    return f"{where}{command}" + (f"; {speak(error.hint)}" if error.hint else "")


def _say_document(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:  # it may be stdout that failed; stderr tells it
        _give_up_stdout()


def _give_up_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _way_out(error: OSError, project: Path) -> str:
    """What the user can do about what the system refused; empty where nothing is known to help."""
    elsewhere = "or name another folder with --project"
    return {
        errno.ENOSPC: f"make room on the disk (of {project}, or of what you write the output to), then type the command again: it goes on where it was",
        errno.EDQUOT: f"your quota on the disk of {project} is used up: make room, then type the command again",
        errno.EFBIG: "this shell limits the size of files (ulimit -f): raise it, then type the command again",
        errno.EACCES: f"get the right to read and write there (ls -ld shows whose it is), {elsewhere}",
        errno.EPERM: f"get the right to read and write there (ls -ld shows whose it is), {elsewhere}",
        errno.ENOTDIR: f"a file stands where a folder belongs: move it away, {elsewhere}",
        errno.EEXIST: f"something else stands where a folder belongs: move it away, {elsewhere}",
        errno.EISDIR: f"a folder stands where a file belongs: move it away, {elsewhere}",
        errno.EROFS: f"make that disk writable, {elsewhere}",
        errno.EMFILE: "this shell limits the number of open files: ulimit -n 4096, then type the command again",
    }.get(error.errno or 0, "")


def _without_keys(text: str, project: Path) -> str:
    """Replace any API key that got into a text; vendors echo keys in their own errors."""
    try:
        return settings.load(project).hide(text)
    except BatchflowError:  # settings that cannot be read gave no key to anybody
        return text


def _log(error: Exception, project: Path) -> str:
    trace = "".join(traceback.format_exception(error))
    head = f"batchflow {__version__}, Python {platform.python_version()}, {platform.platform()}\n\n"
    with tempfile.NamedTemporaryFile("w", prefix="batchflow-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(_without_keys(head + trace, project))
    return log.name
