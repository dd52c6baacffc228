import base64
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from batchflow.local.base import pictures
from batchflow.records import Image


def picture(width, height, kind="PNG"):
    out = io.BytesIO()
    Pillow.new("RGB", (width, height), (200, 30, 30)).save(out, kind)
    return Image(f"image/{kind.lower()}", base64.b64encode(out.getvalue()).decode())


def size(image):
    with Pillow.open(io.BytesIO(base64.b64decode(image.data))) as opened:
        opened.load()
        return opened.size, f"image/{opened.format.lower()}"


def test_a_small_picture_stays_byte_for_byte():
    given_ = picture(20, 10)
    assert pictures.shrunk(given_, 200) is given_


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_large_one_keeps_its_shape_and_kind(kind):
    made = pictures.shrunk(picture(400, 200, kind), 5000)
    assert size(made) == ((100, 50), made.mime)
    assert made.mime == f"image/{kind.lower()}"


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 5000))
def test_it_is_never_larger_than_asked(width, height, most):
    (w, h), _ = size(pictures.shrunk(picture(width, height), most))
    assert 1 <= w * h <= max(most, 1) or (w, h) == (width, height)
    assert w * h <= most


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\nnothing", b"", b"GIF89a"])
def test_a_broken_one_is_told(data):
    with pytest.raises(ValueError, match="cannot be read"):
        pictures.shrunk(Image("image/png", base64.b64encode(data).decode()), 100)


def test_a_cut_one_is_told():
    whole = base64.b64decode(picture(300, 300, "JPEG").data)
    with pytest.raises(ValueError, match="cannot be read"):
        pictures.shrunk(Image("image/jpeg", base64.b64encode(whole[: len(whole) // 2]).decode()), 100)
