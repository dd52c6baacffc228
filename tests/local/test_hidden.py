import json

from batchflow.local.hidden import Hidden


def test_keys_are_hidden_the_longest_first():
    hidden = Hidden(["sk-abcdef", None, "sk-abcdef-and-more", ""])
    assert hidden.text("no sk-abcdef-and-more, no sk-abcdef") == "no ***, no ***"
    assert hidden.data(b'{"error":"sk-abcdef-and-more"}') == b'{"error":"***"}'


def test_what_is_too_short_to_be_a_key_spoils_no_row():
    line = json.dumps({"id": "local-1", "custom_id": "1-abc"}).encode()
    assert Hidden(["1", "id", "EMPTY"]).data(line) == line
    assert Hidden(["x"]).text("next") == "next"
