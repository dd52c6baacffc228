import json

from hypothesis import given
from hypothesis import strategies as st

from batchflow.texts.redaction import Hidden

KEY = "sk-abcdef/ghi"


def test_keys_are_hidden_the_longest_first():
    hidden = Hidden(["sk-abcdef", None, "sk-abcdef-and-more", ""])
    assert hidden.text("no sk-abcdef-and-more, no sk-abcdef") == "no ***, no ***"
    assert hidden.data(b'{"error":"sk-abcdef-and-more"}') == b'{"error":"***"}'


def test_what_is_too_short_to_be_a_key_spoils_no_row():
    line = json.dumps({"id": "local-1", "custom_id": "1-abc"}).encode()
    assert Hidden(["1", "id", "EMPTY"]).data(line) == line
    assert Hidden(["x"]).text("next") == "next"


@given(st.lists(st.sampled_from([KEY, KEY[:5], KEY[3:], "x\n", KEY.replace("/", "\\/")]), max_size=12), st.data())
def test_a_stream_hides_a_key_that_its_pieces_cut(parts, data):
    whole, pieces = "".join(parts).encode(), []
    while sum(map(len, pieces)) < len(whole):
        start = sum(map(len, pieces))
        pieces.append(whole[start : start + data.draw(st.integers(1, 9))])
    hidden = Hidden([KEY])
    assert b"".join(hidden.stream(pieces)) == hidden.data(whole)
    assert KEY.encode() not in hidden.data(whole)


def test_a_stream_without_keys_is_handed_on_as_it_is():
    assert list(Hidden([None, "", "short"]).stream([b"a", b"", b"b"])) == [b"a", b"", b"b"]
