"""Reports a failure: one text on stderr, a JSON document where asked for, the class's exit code."""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

from batchflow import __version__, files, settings
from batchflow.cli.cards.base.text import clean
from batchflow.cli.typed import Typed
from batchflow.errors import BatchflowError, WrongWorld


def report(error: Exception, project: Path, *, as_json: bool, speak: Typed = Typed()) -> int:  # noqa: B008 - frozen
    """Tell the user, and return the exit code. What nobody expected leaves a log file that can be sent in.

    project: the folder whose `.env` may hold keys that no text may show. speak: how commands are typed here.
    """
    if isinstance(error, BrokenPipeError):
        _give_up_stdout()  # the reader left; nothing more can be said
        return 0
    try:
        message, hint, code = _worded(error, project, speak)
        message, hint = settings.hide(clean(message), project), settings.hide(clean(hint), project)
    except Exception as second:  # noqa: BLE001 - Python would print both, and what a vendor said with them
        kinds = f"{type(error).__name__}, and telling it failed with {type(second).__name__}"
        message, hint, code = f"unexpected {kinds}", "please report it with the command that you typed", 1
    if as_json:
        failure = {"class": type(error).__name__, "message": message, "hint": hint, "exit_code": code}
        _say_document(files.dumps({"error": failure}).decode() + "\n")
    with suppress(OSError):  # stderr is full or gone; the exit code still tells it
        sys.stderr.write(f"batchflow: {message}\n" + (f"  what to do: {hint}\n" if hint else ""))
    return code


def _worded(error: Exception, project: Path, speak: Typed) -> tuple[str, str, int]:
    """Message, hint and exit code of a failure."""
    if isinstance(error, BatchflowError):
        return speak(str(error)), _hint(error, speak), error.exit_code
    if isinstance(error, OSError):
        message = f"{error.strerror or error}: {error.filename or ''}".strip(": ")
        return message, _way_out(error, project), 1
    log = _log(error, project)
    hint = f"please report it with {log}" if log else "please report it; its log could not be written"
    return f"unexpected {type(error).__name__}: {error}", hint, 1


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
    """Returns the hint for an error of the operating system; empty where none is known."""
    elsewhere = "or name another folder with --project"
    return {
        errno.ENOSPC: f"make room on the disk (of {project}, or of what you write the output to), then type the command again: it goes on where it was",
        errno.EDQUOT: f"your quota on the disk of {project} is used up: make room, then type the command again",
        errno.EFBIG: "this shell limits the size of files (ulimit -f): raise it, then type the command again",
        errno.EACCES: f"get read and write permission there (ls -ld shows the owner), {elsewhere}",
        errno.EPERM: f"get read and write permission there (ls -ld shows the owner), {elsewhere}",
        errno.ENOTDIR: f"a file is in the place of a folder: move it away, {elsewhere}",
        errno.EEXIST: f"something else is in the place of a folder: move it away, {elsewhere}",
        errno.EISDIR: f"a folder is in the place of a file: move it away, {elsewhere}",
        errno.EROFS: f"make that disk writable, {elsewhere}",
        errno.EMFILE: "this shell limits the number of open files: ulimit -n 4096, then type the command again",
    }.get(error.errno or 0, "")


def _log(error: Exception, project: Path) -> Path | None:
    """Write the traceback, without keys, to a log; None where no folder takes it.

    A failure that comes again overwrites its own log: `watch batchflow get` would leave thousands.
    """
    trace = "".join(traceback.format_exception(error))
    head = f"batchflow {__version__}, Python {platform.python_version()}, {platform.platform()}\n\n"
    text = settings.hide(head + trace, project)
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    name = f"failure-{files.digest(repr((type(error).__name__, places)).encode())[:8]}.log"
    for folder_of in (_home_logs, _temporary_logs):
        with suppress(OSError, BatchflowError):
            folder = folder_of(project)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue  # another user of this machine may have made it, and would choose what is overwritten
            with files.replacing(folder / name) as log:
                log.write(text.encode("utf-8", "replace"))
            return folder / name
    return None


def _home_logs(project: Path) -> Path:
    return settings.load(project).home / "logs"


def _temporary_logs(_project: Path) -> Path:
    return Path(tempfile.gettempdir()) / f"batchflow-{os.getuid()}"
