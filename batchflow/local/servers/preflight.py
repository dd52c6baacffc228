"""Checks before a worker is started that this machine has the engine, and the model where it is a path.

A model is one of three things: the name of the small default model, a path, or an id that a hub or a server knows. Only
a path can be looked for here. For the embedded engine and OpenVINO, which know no hub, every other name is a path;
for hf and vllm only what no hub id can look like is certainly one.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from batchflow.errors import EngineError, UsageError
from batchflow.local.base.options import OFFLINE, Options
from batchflow.local.offline import base as offline
from batchflow.local.servers import engine_room, engines, ray_package, vllm
from batchflow.settings import Settings


def check(settings: Settings, model: str, options: Options) -> None:
    """Raise EngineError where a worker on this machine would find no such engine or model.

    Relative paths count from the project folder, in which workers run. Raises UsageError for a faulty
    BATCHFLOW_ENGINES.
    """
    if options.engine == "server":
        return
    engine_room.at_once(settings.environment)
    if options.engine == "ray" and _ray_elsewhere(settings, options):
        return
    _check_engine(options.works)
    if options.works == "embedded" or (options.engine == "openvino" and _is_gguf(model)):
        _check_kind(engines.find_model(settings, model, options.gguf, base=settings.project))
    elif options.engine == "openvino" and not (settings.project / model).is_dir():
        raise EngineError(f"{model}: no such model folder", hint="a GGUF file, or the folder of a converted model")
    else:
        vllm.check_model(model, base=settings.project)


def _ray_elsewhere(settings: Settings, options: Options) -> bool:
    """Tells whether engines run on a cluster, whose nodes look for themselves. Raises EngineError without Ray."""
    ray_package.version()
    address = ray_package.address(options.ray_address, settings.environment)
    return address != ray_package.OWN and options.works != "embedded"


def _check_engine(engine: str) -> None:
    if engine == "embedded":
        engines.engine_version()
    elif engine in OFFLINE:
        offline.version(engine)
    else:
        vllm.version()


def _check_kind(path: Path) -> None:
    """Raise EngineError for a file that is none of llama.cpp's (GGUF specification, "File Structure": magic)."""
    try:
        with path.open("rb") as handle:
            magic = handle.read(4)
    except OSError as error:
        raise EngineError(f"{path}: {error.strerror}", hint="let this user read the model file") from None
    if magic != b"GGUF":
        hint = "download it again: a web page or a Git LFS pointer may have been saved in its place"
        raise EngineError(f"{path}: not a GGUF file", hint=hint)


def _is_gguf(model: str) -> bool:
    return model == engines.MODEL or model.endswith(".gguf")


def refuse_unknown(settings: Settings, model: str, options: Options) -> None:
    """Raise UsageError for a name that the embedded engine knows on no machine."""
    if options.works == "embedded" and not (options.gguf or _is_gguf(model) or model == engines.own_model(settings)):
        raise UsageError(f"local: the embedded engine knows no model {model!r}", hint=engines.KNOWN)


def found_from(project: Path, model: str, options: Options) -> str:
    """The model's name as a worker finds it, whose folder is the project: `~` is written out, and a path that is right
    only where the command was called is made absolute. Every other name stays as it is.
    """
    if options.engine == "server":
        return model
    path = Path(model)
    if model.startswith("~"):
        return str(engines.at_home(model))
    if options.works == "embedded" and path.suffix != ".gguf":
        return model
    with suppress(OSError):  # longer than any file's name
        return model if (project / path).exists() or not path.exists() else str(path.resolve())
    return model
