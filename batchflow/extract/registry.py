"""The extractors by name. mypy checks each module against the protocol at the line that names it.

A package of somebody else's adds one with an entry point of the group `batchflow.extractors`.
"""

from __future__ import annotations

from batchflow.extract import (
    base_model_cut,
    boxed,
    code_fence,
    json_field,
    last_number,
    option_letter,
    regex,
    strip_thoughts,
)
from batchflow.extract.base import Extractor
from batchflow.registries import Registry

EXTRACTORS: dict[str, Extractor] = {
    "base_model_cut": base_model_cut,
    "boxed": boxed,
    "code_fence": code_fence,
    "json_field": json_field,
    "last_number": last_number,
    "option_letter": option_letter,
    "regex": regex,
    "strip_thoughts": strip_thoughts,
}
REGISTRY = Registry("batchflow.extractors", "extractor", EXTRACTORS, Extractor, "extractors")
names, get = REGISTRY.names, REGISTRY.get
