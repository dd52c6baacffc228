"""Lines that are pasted are those that the vendor's `encode` writes, and none is pasted where it would not be."""

from __future__ import annotations

import pytest
from helpers.crossed import WHOLE
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow import batch_file
from batchflow.judges import registry as kinds
from batchflow.prices.sizes import Sizes
from batchflow.records import Capabilities, Image, Params, Request, strict
from batchflow.steps.building.asks import CHUNK, Ask
from batchflow.steps.building.lines import Lines
from batchflow.vendors import registry
from batchflow.vendors.registry import MODULES

SCHEMAS = [None, strict("a", {"justification": "string", "answer": "string"}), kinds.get("riddle").SCHEMA]
CAN = Capabilities(known=True, sampling=True, seed=True, levels=("low",), level="low", budget=True)


NO_PARAMS = Params()


def lines_of(name, params=NO_PARAMS, endpoint=None, log=None, cached=None):
    vendor = registry.get(name)

    def request_of(custom_id, ask):
        model = "exact" if name == "rule" else "m"
        return Request(custom_id, model, ask.system, ask.parts, ask.schema, params, ask.data, cached)

    def encode(request):
        if log is not None:
            log.append(request.custom_id)
        return vendor.encode(request, CAN, endpoint or vendor.ENDPOINTS[0])

    return Lines(request_of, lambda request: None, encode, None, by_sample=params.seed is not None), request_of, encode


def taken(lines, asks):
    return list(zip(*lines.made([f"{place}-0badcafe-q{place}" for place in range(len(asks))], asks), strict=True))


_TEXT = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "3Za9Qk0x",
        '"\\',
        "\ud800",
        "\u2028\0\x7f",
        "\x1f",
        "\\u001f",
        "😀é",
        "0-0badcafe-q0",
        "A" * 256,
        'say "' + "A" * 300,
        "A" * 300 + "=",
        "A " * 999,
    ]
)
_PART = _TEXT | st.builds(Image, st.sampled_from(["image/png", "image/jpeg"]), st.sampled_from(["AAAA", "qr+/9w=="]))
_DATA = st.none() | st.fixed_dictionaries(
    {"reference": _TEXT, "answer": _TEXT}, optional={"references": st.lists(_TEXT)}
)
_ENDPOINTS = [(name, endpoint) for name in MODULES if name != "import" for endpoint in registry.get(name).ENDPOINTS]


@pytest.mark.parametrize(("name", "endpoint"), _ENDPOINTS)
@settings(max_examples=100 if WHOLE else 40)
@given(
    params=st.builds(Params, st.none() | st.just(9), st.none() | st.just(0.5), st.none() | st.just(7)),
    system=st.sampled_from(["", "Answer.", "é"]),
    schema=st.sampled_from(SCHEMAS),
    rows=st.lists(st.tuples(st.lists(_PART, max_size=3).map(tuple), _DATA), min_size=1, max_size=8),
)
def test_pasted_lines_are_the_vendors(name, endpoint, params, system, schema, rows):
    lines, request_of, encode = lines_of(name, params, endpoint)
    if name == "rule":
        rows = [((), data or {"reference": "a", "answer": "b"}) for _, data in rows]
    asks = [Ask("q", system, parts, schema, data=data) for parts, data in rows]
    sizes = Sizes()
    for place, (line, ask) in enumerate(zip(taken(lines, asks), asks, strict=True)):
        request = request_of(f"{place}-0badcafe-q{place}", ask)
        assert line == batch_file.line(request, encode(request))
        sizes.count(line[1][:-1])
    assert lines.sizes == sizes


@pytest.mark.parametrize("name", [name for name in MODULES if name not in {"import", "rule"}])
def test_most_lines_are_pasted(name):
    log = []
    lines, *_ = lines_of(name, Params(max_tokens=9), log=log)
    asks = [Ask(f"q{place}", "Answer.", (f"What is {place}?", "Why?"), SCHEMAS[1]) for place in range(CHUNK)]
    assert len(taken(lines, asks)) == CHUNK
    assert len(log) < 10


@pytest.mark.parametrize("cached", [0, 1, 2])
def test_lines_that_ask_for_a_cache_are_pasted_too(cached):
    log = []
    lines, request_of, encode = lines_of("anthropic", log=log, cached=cached)
    asks = [Ask(f"q{place}", "Answer.", ("Always.", f"What is {place}?"), SCHEMAS[1]) for place in range(CHUNK)]
    chunk = taken(lines, asks)
    assert len(log) < 10
    request = request_of(f"{CHUNK - 1}-0badcafe-q{CHUNK - 1}", asks[-1])
    assert chunk[-1] == batch_file.line(request, encode(request))
    assert chunk[-1][1].count(b'"cache_control":{"type":"ephemeral","ttl":"1h"}') == 1


def test_a_local_seed_is_of_the_text_so_nothing_is_pasted():
    log = []
    lines, *_ = lines_of("local", Params(seed=7), log=log)
    taken(lines, [Ask("q", "Answer.", (f"What is {place}?",), None) for place in range(9)])
    assert len(log) >= 9


def test_an_encode_that_changes_its_mind_is_found_and_what_was_pasted_is_encoded():
    def encode(request):
        (text,) = request.parts
        return {"custom_id": request.custom_id, "text": text.upper() if text.startswith("odd") else text}

    def request_of(custom_id, ask):
        return Request(custom_id, "m", ask.system, ask.parts)

    lines = Lines(request_of, lambda request: None, encode, None, by_sample=False)
    asks = [Ask("q", "", (f"{'odd' if place > 5 else 'even'} {place}",), None) for place in range(9)]
    for line, ask in zip(taken(lines, asks), asks, strict=True):
        request = request_of(line[0], ask)
        assert line == batch_file.line(request, encode(request))
    assert b"ODD 1" in taken(lines, [Ask("q", "", ("odd 1",), None)])[0][1]
