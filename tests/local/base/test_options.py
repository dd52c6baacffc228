import pytest

from batchflow.errors import UsageError
from batchflow.local.base import options


def test_nothing_given_is_the_embedded_engine():
    read = options.read({})
    assert (read.engine, read.window) == ("embedded", 2)


def test_the_embedded_engine_has_its_makers_name_too():
    assert options.read({"engine": "llama"}).engine == "embedded"


@pytest.mark.parametrize("given", ["http://a/v1,http://b:9", ["http://a/v1", "http://b:9"]])
def test_base_urls_are_one_or_several_and_get_the_usual_prefix(given):
    read = options.read({"base_url": given})
    assert read.base_urls == ("http://a/v1", "http://b:9/v1")
    assert (read.engine, read.window) == ("server", options.SERVER_CONCURRENCY)


def test_numbers_and_durations_are_read():
    read = options.read({"base_url": "h:1", "concurrency": "8", "timeout_s": "10m", "rps": "2.5", "wait_for_s": None})
    assert (read.concurrency, read.timeout_s, read.rps, read.wait_for_s) == (8, 600.0, 2.5, 0.0)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"colour": 1}, "colour"),
        ({"engine": "warp"}, "warp"),
        ({"engine": "server"}, "base URL"),
        ({"engine": "embedded", "base_url": "http://a"}, "base URL"),
        ({"base_url": "a", "mode": "telepathy"}, "telepathy"),
        ({"base_url": "a", "template": "r1"}, "completion mode"),
        ({"base_url": "a", "mode": "completion", "template": "none-such"}, "none-such"),
        ({"base_url": "a", "concurrency": -1}, "concurrency"),
        ({"base_url": "a", "concurrency": "many"}, "concurrency"),
        ({"base_url": "a", "timeout_s": "0"}, "timeout_s"),
        ({"base_url": "a", "timeout_s": "soon"}, "timeout_s"),
        ({"base_url": "a", "rps": 0}, "rps"),
        ({"base_url": "a", "rps": "nan"}, "rps"),
        ({"gguf": "/nowhere.gguf"}, "nowhere"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(given, word):
    with pytest.raises(UsageError) as caught:
        options.read(given)
    assert word in f"{caught.value} {caught.value.hint}"
