from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.prices.sizes import Sizes, measured, together
from batchflow.records import Capabilities, Image, Params, Request
from batchflow.settings import VENDORS
from batchflow.vendors import registry

PICTURE = Image("image/png", base64.b64encode(bytes(range(256)) * 40).decode())
ASK = 'Say {"max_tokens": 7} and "n": 3, please.'


def line(vendor, *parts, limit=None):
    request = Request("0-nonce-a", "some-model", "Be brief.", parts, None, Params(max_tokens=limit))
    made = registry.get(vendor).encode(request, Capabilities(), registry.get(vendor).ENDPOINTS[0])
    return json.dumps(made).encode()


@pytest.mark.parametrize("vendor", VENDORS)
def test_text_pictures_and_limit_of_every_vendors_line(vendor, tmp_path):
    path = tmp_path / "b.jsonl"
    rows = [line(vendor, ASK), line(vendor, ASK, PICTURE, limit=900), line(vendor, PICTURE, PICTURE, ASK, limit=900)]
    path.write_bytes(b"\n".join(rows) + b"\n")
    sizes = measured(path)
    assert (sizes.requests, sizes.pictures) == (3, 3)
    assert 3 * len(ASK) < sizes.text_bytes < 3 * 1_000
    standard = 16_000 if vendor == "anthropic" else 0  # of a vendor whose field is required

    assert {limit for _, _, limit in sizes.rows} == {standard, 900}


def test_several_answers_to_one_request_multiply_its_limit():
    sizes = Sizes()
    sizes.count(b'{"body":{"n":3,"max_tokens":100,"messages":[]}}')
    assert {limit for _, _, limit in sizes.rows} == {300}


@given(st.lists(st.tuples(st.integers(1, 5_000), st.integers(0, 3), st.sampled_from([0, 100])), max_size=20))
def test_files_add_up(rows):
    whole, parts = Sizes(), [Sizes() for _ in range(3)]
    for place, row in enumerate(rows):
        whole.add(*row)
        parts[place % 3].add(*row)
    assert together(parts).rows == whole.rows
    assert whole.requests == len(rows)
    assert whole.text_bytes == sum(text for text, _, _ in rows)
