"""The providers by name. Importing this module imports no vendor and no SDK; `get` does, one vendor at a time.

A vendor is known by its line in `settings.ACCESS`: its module bears that name. A new one is also named in the two lines
below by which mypy checks it against the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, cast

from batchflow.errors import UsageError
from batchflow.records import Schema
from batchflow.settings import IMPORT, LOCAL, RULE, VENDORS, Settings
from batchflow.vendors.base import ANTHROPICS, BY_RULE, IMPORTED, OWN_ENGINE, PAID, Traits, Vendor

if TYPE_CHECKING:  # a module that lacks a verb, or has another signature, fails here
    from batchflow.vendors import anthropic, gemini, groq, mistral, openai, together
    from batchflow.vendors.inhouse import imported, local, rules
    from batchflow.vendors.shared.gateway import GatewayVendor
    from batchflow.vendors.shared.row_shapes import Read

    _CHECKED: tuple[Vendor, ...] = (openai, anthropic, gemini, mistral, together, groq, local, rules, imported)

    def _checked(gateway: GatewayVendor) -> Vendor:
        return gateway


MODULES: dict[str, str] = {
    **{name: f"batchflow.vendors.{name}" for name in VENDORS},
    LOCAL: "batchflow.vendors.inhouse.local",
    RULE: "batchflow.vendors.inhouse.rules",
    IMPORT: "batchflow.vendors.inhouse.imported",
}

TRAITS: dict[str, Traits] = {
    **dict.fromkeys(VENDORS, PAID),
    "anthropic": ANTHROPICS,
    LOCAL: OWN_ENGINE,
    RULE: BY_RULE,
    IMPORT: IMPORTED,
}
"""The modules' own `TRAITS`, for who wants to know them of a provider without importing it; a test compares both."""

HERE = frozenset(name for name, traits in TRAITS.items() if not traits.pays)
"""Providers with no vendor behind them: the work is done on this machine, and nobody is paid for it."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "openai": ("gpt-", "chatgpt-", "o1", "o3", "o4"),
    "anthropic": ("claude-",),
    "gemini": ("gemini-", "gemma-"),
    "mistral": ("mistral-", "ministral-", "magistral-", "mixtral-", "codestral-", "pixtral-"),
}
"""Beginnings of the model names of each house, whoever serves them."""


_SPELLED = {
    "google": "gemini", "googleai": "gemini", "googlegemini": "gemini", "geminiapi": "gemini", "mistralai": "mistral",
    "togetherai": "together", "groqcloud": "groq",
}  # fmt: skip
"""Vendors' spellings of their own names, in lower case and without blanks and marks."""


def spelled(name: str) -> str:
    """A provider's name as it is written here, whatever its case, or the vendor's own way to write it.

    >>> spelled("OpenAI"), spelled("Together AI"), spelled("Mistral AI"), spelled("my-gateway ")
    ('openai', 'together', 'mistral', 'my-gateway')
    """
    word = name.strip().lower()
    bare = "".join(char for char in word if char.isalnum())
    return _SPELLED.get(bare, bare if bare in MODULES else word)


def maker_of(model: str) -> str | None:
    """The provider whose house a model seems to be of, by its name alone; None where the name does not tell.

    >>> maker_of("groq:openai/gpt-oss-20b"), maker_of("claude-opus-4-5"), maker_of("qwen3")
    ('openai', 'anthropic', None)
    """
    name = model.rpartition(":")[2].rpartition("/")[2].lower()
    return next((house for house, starts in FAMILIES.items() if name.startswith(starts)), None)


def traits_of(name: str) -> Traits:
    """The traits of a batch's provider; those of any vendor for a name that is not known here."""
    return TRAITS.get(name, PAID)


def names(settings: Settings | None = None) -> tuple[str, ...]:
    """The providers that `--provider` takes, in the order in which they are shown. settings: with its gateways."""
    return (*MODULES, *(settings.gateways if settings is not None else ()))


def vendor_word(name: str) -> str:
    """Whose model gave answers that were brought: any vendor, in lower case.

    Raises UsageError for a word so close to a provider's name that it must be a typo: labels and judges of the model's
    own vendor are left out by this word, and a typo would silently let them in.
    """
    from difflib import get_close_matches

    word = spelled(name)
    near = get_close_matches(word, MODULES, n=1, cutoff=0.8)  # grok is not groq
    if not word or (near and word not in MODULES):
        raise UsageError(
            f"--provider {name}: whose model is that?", hint=f"did you mean {near[0] if near else 'openai'}?"
        )
    return word


def get(name: str, settings: Settings | None = None) -> Vendor:
    """The provider's module, or its gateway in the settings. Raises UsageError that lists the names for any other."""
    if name in MODULES:
        return cast("Vendor", import_module(MODULES[name]))
    if settings is not None and name in settings.gateways:
        from batchflow.vendors.shared.gateway import vendor_of

        return vendor_of(settings.gateways[name])
    raise UsageError(
        f"no provider is called {name!r}",
        hint=f"use one of {', '.join(names(settings))}, or describe it as [gateways.{name}] in batchflow.toml",
    )


def plain_reader(name: str) -> Read | None:
    """The fast reader of a provider's usual rows; None where `decode` reads them all."""
    from batchflow.vendors.shared import row_shapes

    return row_shapes.reader(name)


def whole_reader(name: str) -> Read | None:
    """`plain_reader`, which takes a line only if it is JSON throughout."""
    from batchflow.vendors.shared import whole_rows

    return whole_rows.reader(name)


def strict_answers(schema: Schema) -> Callable[[str], bool] | None:
    """The fast check of answers that are strict JSON, see `row_shapes.strict_answers`."""
    from batchflow.vendors.shared import row_shapes

    return row_shapes.strict_answers(schema)
