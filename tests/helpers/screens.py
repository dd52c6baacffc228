"""Pictures of screens of textual, held against kept ones: SVG files in a folder `screens` beside the test.

`KEEP_SCREENS=1 python -m pytest …` keeps those of today instead: look at them before you commit them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)  # from a server: a picture that is kept asks nobody
ALIKE = 5
"""Looks that see the same, one after the other, before a picture is taken."""
SWITCH = "KEEP_SCREENS"
_ALTERS = ("NO_COLOR", "COLORTERM", "FORCE_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS", "TEXTUAL_COLOR_SYSTEM")
"""What else alters a picture; the clock's zone does so too."""


@pytest.fixture
def plain(monkeypatch):
    """The same surroundings on every machine."""
    for name in _ALTERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def picture(app: Any, *, size: tuple[int, int], keys: Sequence[str] = ()) -> str:
    """SVG of what an app shows after these keys, once it stays as it is. Nothing may blink in it."""
    async with app.run_test(size=size) as pilot:
        await pilot.press(*keys)
        alike, svg = 0, ""
        while alike < ALIKE:
            await pilot.pause(0.02)
            before, svg = svg, str(app.export_screenshot())
            alike = alike + 1 if svg == before else 0
        return _FONTS.sub("", svg)


def hold(svg: str, kept: Path, scratch: Path) -> None:
    """Fails where a picture is not the kept one."""
    if os.environ.get(SWITCH):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(svg, "utf-8")
    if not kept.exists() or kept.read_text("utf-8") != svg:
        fresh = scratch / kept.name
        fresh.write_text(svg, "utf-8")
        pytest.fail(f"{fresh} differs from {kept}: look at both; {SWITCH}=1 keeps the new one", pytrace=False)
