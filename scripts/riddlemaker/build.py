"""The two data files, line by line, and how committed ones are compared with them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

from PIL import Image, ImageChops

from riddlemaker import visuals_logic, visuals_shapes
from riddlemaker.texts import TEXTS
from riddlemaker.visuals_shapes import Visual

PICTURE_BYTES = 12_288  # upper bound of one picture
CLOSE = 48  # of 255: what edges of letters and JPEG may differ by under another Pillow
FAR_SHARE = 0.01  # share of pixels that may differ by more

Row = dict[str, object]


def rows(split: str) -> Iterator[Row]:
    """The rows of a data file in the order of their ids."""
    if split == "llm":
        yield from (text.row(number, split) for number, text in enumerate(TEXTS, start=1))
        return
    for number, make in enumerate(_makers(), start=1):
        visual = make()
        if len(visual.picture) > PICTURE_BYTES:
            raise ValueError(f"vlm-{number:03d}: the picture has {len(visual.picture)} bytes")
        yield visual.riddle.row(number, split, base64.b64encode(visual.picture).decode("ascii"))


def _makers() -> Iterator[Callable[[], Visual]]:
    """Seeing and thinking in turns. New riddles go to the end of the longer list, so that no id moves."""
    for pair in zip_longest(visuals_shapes.makers(), visuals_logic.makers()):
        yield from (make for make in pair if make is not None)


def line(row: Row) -> str:
    """One line of a data file."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def differences(path: Path, split: str) -> list[str]:
    """Lists the differences of a committed file from the generated one: texts exactly, pictures by their pixels."""
    committed = [json.loads(text) for text in path.read_text("utf-8").splitlines()] if path.is_file() else []
    generated = list(rows(split))
    found = [f"{path}: {len(committed)} riddles, {len(generated)} are generated"] * (len(committed) != len(generated))
    for old, new in zip(committed, generated, strict=False):
        fields = [name for name in new if name != "img" and old.get(name) != new[name]]
        if not alike(old.get("img"), new["img"]):
            fields.append("img")
        found += [f"{path}: {new['id']}: {name} differs" for name in fields]
    return found


def alike(old: object, new: object) -> bool:
    """Tells whether two pictures (base64 text or None) look the same: all but a few pixels are close."""
    if not isinstance(old, str) or not isinstance(new, str):
        return old is new
    one, other = (Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in (old, new))
    if one.size != other.size:
        return False
    far = ImageChops.difference(one, other).convert("L").histogram()[CLOSE:]
    return sum(far) <= FAR_SHARE * one.width * one.height
