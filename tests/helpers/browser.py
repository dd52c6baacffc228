"""A headless Chromium that tests drive through its own pipe (Chrome DevTools Protocol): no driver and no network."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SHORT = "/tmp"  # a folder with a short path
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-default-apps", "--no-default-browser-check", "--remote-debugging-pipe", "--force-color-profile=srgb",
)  # fmt: skip


class NoBrowser(RuntimeError):
    """No Chromium is installed: these tests fail and say so, they never skip."""


class Failed(AssertionError):
    """A command of the protocol, or a script in the page, failed."""


class Browser:
    """One page. console: its messages and exceptions. requests: addresses that it asked for."""

    def __init__(self, process: subprocess.Popen[bytes], to: int, back: int) -> None:
        self._process, self._to, self._back = process, to, back
        self._ids, self._buffer = itertools.count(1), b""
        self._session: str | None = None
        self.console: list[str] = []
        self.requests: list[str] = []
        self.loaded = 0
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """One command and its result. Raises Failed."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while True:
            said = self._receive()
            if said.get("id") == number:
                if "error" in said:
                    raise Failed(f"{method}: {said['error']}")
                return said["result"]
            self._note(said)

    def _receive(self, seconds: float = 60) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._back], [], [], seconds)[0]:
                raise Failed("the browser says nothing any more")
            if not (piece := os.read(self._back, 1 << 20)):
                raise Failed("the browser has gone")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def _note(self, said: dict[str, Any]) -> None:
        method, params = said.get("method"), said.get("params", {})
        if method == "Runtime.consoleAPICalled":
            self.console.append(str([one.get("value", one.get("description")) for one in params["args"]]))
        elif method == "Runtime.exceptionThrown":
            self.console.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.console.append(f"{params['entry']['level']}: {params['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loaded += 1

    def open(self, address: str) -> None:
        """Go to an address and wait until it is loaded."""
        self.console.clear()
        self.requests.clear()
        before = self.loaded
        self.send("Page.navigate", url="about:blank")
        while self.loaded == before:
            self._note(self._receive())
        before = self.loaded
        self.send("Page.navigate", url=address)
        while self.loaded == before:
            self._note(self._receive())

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for. Raises Failed."""
        said = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in said:
            raise Failed(json.dumps(said["exceptionDetails"])[:2_000])
        return said["result"].get("value")

    def until(self, script: str, seconds: float = 20) -> Any:
        """The first value of an expression that is true."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            if time.monotonic() > end:
                raise Failed(f"never true: {script}")
            time.sleep(0.01)
        return value

    def key(self, key: str, text: str = "") -> None:
        """Press a key."""
        codes = {"ArrowDown": 40, "ArrowUp": 38, "Escape": 27, "Enter": 13, "End": 35, "Home": 36}
        params = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper()))}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text or (key if len(key) == 1 else ""), **params)
        self.send("Input.dispatchKeyEvent", type="keyUp", **params)

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.send("Input.insertText", text=text)

    def look(self, *, width: int = 1280, height: int = 900, dark: bool = False, phone: bool = False) -> None:
        """Set the size of the window and the theme that the reader prefers."""
        scale = 2 if phone else 1
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        """A screenshot of the window."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


def program() -> str:
    """Path of a Chromium. Raises NoBrowser."""
    named = os.environ.get("BATCHFLOW_TEST_BROWSER")
    path = named or next((path for name in NAMES if (path := shutil.which(name))), None)
    if path is None:
        raise NoBrowser(
            "no Chromium: the report's browser tests need one. Debian: apt-get install chromium; elsewhere set "
            "BATCHFLOW_TEST_BROWSER to its path"
        )
    return path


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """Start a Chromium with a profile of its own, and stop it at the end. Raises NoBrowser."""
    chromium = program()
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    # the browser makes a socket in TMPDIR, and its path may have 107 bytes: pytest's folder is too deep
    with tempfile.TemporaryDirectory(prefix="bf-browser-", dir=SHORT, ignore_cleanup_errors=True) as profile:
        # the protocol's pipe is 3 (read) and 4 (write) in the browser
        command = 'exec 3<&"$0" 4>&"$1"; shift; exec "$@"'
        words = ["bash", "-c", command, str(theirs_in), str(theirs_out), chromium, *FLAGS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [*words, "about:blank"], pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": SHORT},
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(process, ours_out, ours_in)
        finally:
            os.close(ours_out)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(ours_in)
