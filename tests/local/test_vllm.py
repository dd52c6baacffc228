import pytest

from batchflow.errors import UsageError
from batchflow.local import vllm


def test_arguments_become_flags():
    words = vllm.command("org/m", "127.0.0.1", 81, {"max_model_len": "1024", "enforce_eager": "true"})
    assert words[-4:] == ["--enable-prefix-caching", "--max-model-len", "1024", "--enforce-eager"]
    assert words[words.index("--served-model-name") + 1] == "org/m"
    assert "--enable-prefix-caching" not in vllm.command("m", "h", 1, {"no_enable_prefix_caching": "true"})


def test_a_size_is_a_share_of_the_smallest_gpu_or_the_cpus_cache():
    assert vllm.bounded("", []) == ({}, {})
    assert vllm.bounded("20GiB", [81920, 40960]) == ({"gpu_memory_utilization": "0.500"}, {})
    assert vllm.bounded("900GiB", [81920]) == ({"gpu_memory_utilization": "0.990"}, {})
    assert vllm.bounded("5GiB", []) == ({}, {"VLLM_CPU_KVCACHE_SPACE": "5"})
    with pytest.raises(UsageError):
        vllm.bounded("much", [1])
