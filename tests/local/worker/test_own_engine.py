import os

import pytest

from batchflow import settings
from batchflow.errors import EngineError
from batchflow.local.base.options import Options
from batchflow.local.job.job_dir import Spec
from batchflow.local.worker import own_engine


@pytest.fixture
def here(tmp_path):
    return settings.load(tmp_path, {"BATCHFLOW_HOME": str(tmp_path)})


def spec(model):
    return Spec(model, "", str(model), 1, Options(engine="embedded"))


def test_another_file_or_another_state_of_it_is_another_model(here, tmp_path):
    one, two = tmp_path / "one.gguf", tmp_path / "two.gguf"
    for path in (one, two):
        path.write_bytes(b"GGUF")
        os.utime(path, (1000, 1000))
    first = own_engine.scope_of(spec(one), here)
    assert first == own_engine.scope_of(spec(one), here) != own_engine.scope_of(spec(two), here)
    os.utime(one, (2000, 2000))
    assert own_engine.scope_of(spec(one), here) != first


def test_a_model_that_is_missing_has_no_identity(here, tmp_path):
    with pytest.raises(EngineError, match="no such model file"):
        own_engine.scope_of(spec(tmp_path / "gone.gguf"), here)
