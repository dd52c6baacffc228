import pytest

from batchflow.errors import UsageError
from batchflow.local.base.base_url import parse_base_url


@pytest.mark.parametrize("url", ["ftp://h/v1", "http://", "http://h:99999/v1", "http://h/v1?key=1", "", "http://h/#x"])
def test_what_is_no_base_url_is_refused(url):
    with pytest.raises(UsageError):
        parse_base_url(url)


def test_a_base_url_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(UsageError) as caught:
        parse_base_url("http://user:hunter22@h/v1")
    assert "hunter22" not in str(caught.value)


def test_a_scheme_may_be_left_out():
    assert parse_base_url("localhost:8000/v1/").geturl() == "http://localhost:8000/v1"
