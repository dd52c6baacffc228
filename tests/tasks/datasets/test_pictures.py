from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.tasks.datasets import pictures

WHOLE = {  # the least that has a beginning and an end; what follows the end is of no concern
    "image/png": b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xae\x42\x60\x82",
    "image/jpeg": b"\xff\xd8\xff\xda\0\2\xff\xd9",
    "image/gif": b"GIF89a\1\0\1\0\0\0\0;",
    "image/webp": b"RIFF\x04\x00\x00\x00WEBP",
}


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@given(mime=st.sampled_from(sorted(WHOLE)), tail=st.binary(max_size=300), width=st.integers(1, 100))
def test_any_known_picture_comes_through_whole_and_without_line_breaks(mime: str, tail: bytes, width: int) -> None:
    raw = WHOLE[mime] + tail
    text = encoded(raw)
    broken = "\r\n".join(text[i : i + width] for i in range(0, len(text), width))
    image = pictures.from_text(broken)
    assert (image.mime, image.data) == (mime, text)
    assert pictures.from_text(image.url) == image


@given(st.binary(max_size=60).filter(lambda raw: pictures.sniff(raw) is None))
def test_other_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not a PNG"):
        pictures.from_text(encoded(raw))


@pytest.mark.parametrize("text", ["abc", "ab!d", "QUJD=", "QUJD====", "=QUJ", "QQ=A", "дата", "QU-_"])
def test_broken_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="broken base64"):
        pictures.from_text(text)


def test_a_data_url_may_not_lie_about_its_type() -> None:
    with pytest.raises(ValueError, match="says image/png, but the bytes are image/gif"):
        pictures.from_text("data:image/png;base64," + encoded(WHOLE["image/gif"]))


@pytest.mark.parametrize("prefix", ["data:image/jpg;base64,", "DATA:image/JPEG;base64,", "data:image/jpeg;x=1;base64,"])
def test_spellings_of_a_data_url(prefix: str) -> None:
    assert pictures.from_text(prefix + encoded(WHOLE["image/jpeg"])).mime == "image/jpeg"


@pytest.mark.parametrize("text", ["data:image/png,QUJD", "data:", "data:image/png;base64"])
def test_a_data_url_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="data URL"):
        pictures.from_text(text)
