"""Pictures as Pillow writes them, whole and cut at every byte, against the walk that knows no decoder."""

from __future__ import annotations

import io
import itertools
import time

import pytest
from PIL import Image

from batchflow.tasks.datasets import image_integrity

THUMBNAIL = b"Exif\0\0" + b"\xff\xd8\xff\xda\x00\x02\xff\xd9" * 20  # a picture within the picture, with ends of its own


def made(kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), **how: object) -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 90).convert(mode).save(out, kind, **how)
    return out.getvalue()


def animation() -> bytes:
    more = [Image.effect_noise((20, 20), 50 + n).convert("P") for n in range(3)]
    return made("GIF", "P", (20, 20), save_all=True, append_images=more, comment=b";!," * 200)


PICTURES = {
    "png": ("image/png", made("PNG")),
    "png-palette": ("image/png", made("PNG", "P", (1, 1))),
    "jpeg": ("image/jpeg", made("JPEG")),
    "jpeg-progressive": ("image/jpeg", made("JPEG", progressive=True)),
    "jpeg-restarts": ("image/jpeg", made("JPEG", "L", restart_marker_blocks=1)),
    "jpeg-thumbnail": ("image/jpeg", made("JPEG", exif=THUMBNAIL)),
    "gif": ("image/gif", made("GIF", "L")),
    "gif-animation": ("image/gif", animation()),
    "webp": ("image/webp", made("WEBP")),
    "webp-lossless": ("image/webp", made("WEBP", "RGBA", lossless=True)),
}
every_picture = pytest.mark.parametrize(("mime", "raw"), PICTURES.values(), ids=PICTURES)


@every_picture
@pytest.mark.parametrize("tail", [b"", bytes(50), b"\xff\xd9", b"a note", b"\x89PNG\r\n\x1a\n"])
def test_whole_pictures_have_their_end_whatever_follows_it(mime: str, raw: bytes, tail: bytes) -> None:
    assert image_integrity.missing(raw + tail, mime) is None


@every_picture
def test_a_picture_that_is_cut_anywhere_has_not(mime: str, raw: bytes) -> None:
    told = {image_integrity.missing(raw[:size], mime) for size in range(12, len(raw))}
    assert len(told) == 1
    assert None not in told


def test_fill_bytes_and_garbage_before_a_marker_are_passed() -> None:
    raw = made("JPEG")
    scan = raw.index(b"\xff\xda")
    assert image_integrity.missing(raw[:scan] + b"junk" + b"\xff" * 9 + raw[scan:], "image/jpeg") is None


def test_stray_bytes_between_the_blocks_of_a_gif_are_passed() -> None:
    raw = made("GIF", "L")
    assert image_integrity.missing(raw[:-1] + b"\0\0;", "image/gif") is None


@pytest.mark.parametrize(
    ("mime", "head", "more"),
    [
        ("image/jpeg", b"\xff\xd8", b"\xff"),
        ("image/jpeg", b"\xff\xd8", b"\xff\xd0"),
        ("image/gif", b"GIF89a" + bytes(7), b"\0"),
        ("image/gif", b"GIF89a" + bytes(7) + b"!\xfe", b"\1a"),
        ("image/png", b"\x89PNG\r\n\x1a\n", b"\0"),
    ],
)
def test_hostile_bytes_take_time_in_proportion(mime: str, head: bytes, more: bytes) -> None:
    def cost(size: int) -> float:
        raw = head + more * (size // len(more))
        began = time.process_time()
        assert image_integrity.missing(raw, mime)
        return time.process_time() - began

    small = min(cost(50_000) for _ in range(3))
    assert min(cost(800_000) for _ in range(3)) < 64 * small + 0.05  # quadratic: 256 times


def test_what_is_missing_is_told_for_each_format() -> None:
    cut = [(mime, raw[:-1]) for mime, raw in PICTURES.values()]
    told = {
        mime: {image_integrity.missing(raw, mime) for _, raw in rest}
        for mime, rest in itertools.groupby(cut, lambda c: c[0])
    }
    assert told == {
        "image/png": {"its closing IEND chunk"},
        "image/jpeg": {"its end marker (EOI)"},
        "image/gif": {"its trailer"},
        "image/webp": {"bytes that its header announces"},
    }
