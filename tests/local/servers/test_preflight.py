"""What is a path, what is an id, and what is missing on this machine."""

from __future__ import annotations

import pytest

from batchflow import settings
from batchflow.errors import EngineError, UsageError
from batchflow.local.base.options import Options
from batchflow.local.servers import engines, preflight, vllm


@pytest.fixture
def here(tmp_path):
    """A project on a machine without the default model."""
    (tmp_path / "project").mkdir()
    return settings.load(tmp_path / "project", {"BATCHFLOW_HOME": str(tmp_path / "home")})


def test_a_server_knows_names_that_nobody_can_look_up_here(here):
    preflight.check(here, "/models/anything", Options(engine="server", base_urls=("http://127.0.0.1:9/v1",)))


def test_the_embedded_engine_needs_a_file_and_counts_paths_from_the_project(here):
    for model, why in ((engines.MODEL, "the model is not here"), ("m.gguf", "project/m.gguf: no such model file")):
        with pytest.raises(EngineError, match=why):
            preflight.check(here, model, Options(engine="embedded"))
    (here.project / "m.gguf").write_bytes(b"GGUF\3\0\0\0")
    preflight.check(here, "m.gguf", Options(engine="embedded"))


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_file_that_only_has_the_name_is_told_before_the_engine_chokes_on_it(here, content):
    (here.project / "m.gguf").write_bytes(content)
    with pytest.raises(EngineError, match="not a GGUF file") as caught:
        preflight.check(here, "m.gguf", Options(engine="embedded"))
    assert "download it again" in caught.value.hint


def test_a_file_that_may_not_be_read_is_told(here):
    """This process's memory stands in for it, because root may read every file: there is none at 0 (EIO, proc(5))."""
    (here.project / "m.gguf").symlink_to("/proc/self/mem")
    with pytest.raises(EngineError, match=r"m\.gguf: Input/output error"):
        preflight.check(here, "m.gguf", Options(engine="embedded"))


def test_an_engine_that_is_not_installed_is_told_with_its_command(here):
    with pytest.raises(EngineError, match=r"hf \(transformers\) is not installed") as caught:
        preflight.check(here, "org/model", Options(engine="hf"))
    assert caught.value.hint == "pip install 'batchflow-eval[hf]'"


@pytest.mark.parametrize("model", ["/nowhere/m", "./m", "../m", "~/m", "checkpoints/m/"])
def test_what_no_hub_id_looks_like_is_a_path(tmp_path, model):
    with pytest.raises(EngineError, match="no such model folder"):
        vllm.check_model(model, base=tmp_path)


@pytest.mark.parametrize("model", ["org/model", "gpt2", "org/model:Q4_K_M", "org/repo/m.gguf", "s3://bucket/model/"])
def test_what_may_be_an_id_is_left_to_the_engine(tmp_path, model):
    vllm.check_model(model, base=tmp_path)


def test_folders_count_from_the_project(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    vllm.check_model("./checkpoint", base=tmp_path)


def test_the_embedded_engine_knows_no_other_names(here, tmp_path):
    for model in ("gpt-6-luna", "org/model"):
        with pytest.raises(UsageError, match="knows no model"):
            preflight.refuse_unknown(here, model, Options(engine="embedded"))
    for known in (engines.MODEL, "anywhere/else.gguf"):
        preflight.refuse_unknown(here, known, Options(engine="embedded"))
    preflight.refuse_unknown(here, "gpt-6-luna", Options(engine="hf"))
    odd = tmp_path / "weights.bin"
    odd.touch()
    preflight.refuse_unknown(
        settings.load(tmp_path, {"BATCHFLOW_MODEL": str(odd)}), str(odd), Options(engine="embedded")
    )


def test_a_path_that_is_right_only_where_the_command_was_called_becomes_absolute(here, tmp_path, monkeypatch):
    called, options = tmp_path / "called", Options(engine="embedded")
    called.mkdir()
    monkeypatch.chdir(called)
    (called / "m.gguf").touch()
    assert preflight.found_from(here.project, "m.gguf", options) == str(called / "m.gguf")
    (here.project / "m.gguf").touch()  # the worker's own folder comes first
    assert preflight.found_from(here.project, "m.gguf", options) == "m.gguf"
    assert preflight.found_from(here.project, "nowhere.gguf", options) == "nowhere.gguf"
    assert preflight.found_from(here.project, engines.MODEL, options) == engines.MODEL


def test_a_home_that_no_shell_wrote_out_is(here, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert preflight.found_from(here.project, "~/m.gguf", Options(engine="embedded")) == "/home/me/m.gguf"
    assert preflight.found_from(here.project, "~/ckpt", Options(engine="hf")) == "/home/me/ckpt"


def test_the_home_of_somebody_who_is_not_here_is_a_path_that_is_not_there(here):
    model, options = "~nobody-of-that-name/m.gguf", Options(engine="embedded")
    assert preflight.found_from(here.project, model, options) == model
    with pytest.raises(EngineError, match="no such model file"):
        preflight.check(here, model, options)


def test_the_name_of_a_vendors_model_in_the_environment_is_no_file(tmp_path):
    context = settings.load(tmp_path, {"BATCHFLOW_HOME": str(tmp_path), "BATCHFLOW_MODEL": "gpt-6-luna"})
    assert engines.own_model(context) == ""
    with pytest.raises(EngineError, match="the model is not here"):
        engines.find_model(context, engines.MODEL)
