import pytest

from batchflow.errors import UsageError
from batchflow.local.base import replicas


def test_one_number_begins_with_the_first_and_two_with_the_fewest():
    assert [replicas.bounds(text) for text in ("", "4", "2-4", " 3-3 ")] == [(1, 1), (1, 4), (2, 4), (3, 3)]


@pytest.mark.parametrize("text", ["0", "0-2", "3-2", "-1", "two", "1-", "1.5", "99999"])
def test_any_other_text_is_refused(text):
    with pytest.raises(UsageError, match="not a number of replicas"):
        replicas.check(text, None)


@pytest.mark.parametrize("gpus", [-1.0, 1.5])
def test_gpus_are_whole_or_a_part_of_one(gpus):
    with pytest.raises(UsageError, match="part of one GPU"):
        replicas.check("1", gpus)


def test_gpus_of_a_replica():
    split = {"tensor_parallel_size": "4", "pipeline_parallel_size": "2"}
    assert replicas.gpus_of("vllm", None, split) == 8
    assert replicas.gpus_of("vllm", None, {}) == 1
    assert replicas.gpus_of("vllm", 0.5, split) == 0.5
    assert replicas.gpus_of("embedded", None, {}) == 0
