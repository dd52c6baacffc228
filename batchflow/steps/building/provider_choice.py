"""Choice of the provider: the one that was named, or the only one available; and the vendor of a model."""

from __future__ import annotations

import re

from batchflow.errors import UsageError
from batchflow.settings import ACCESS, LOCAL, VENDORS, Settings
from batchflow.steps.base.context import Context
from batchflow.vendors import registry as vendors

REHEARSED = VENDORS[0]  # in a rehearsal that names none
WITH_PICTURES = "vlm"  # the split whose items have pictures
_CLOSED = re.compile(r"claude-|gemini-|chatgpt-|gpt-\d|o[134](?:-|$)")  # models that their makers alone serve


def provider_named(settings: Settings, name: str) -> str:
    """The provider of a name that a user wrote, in whatever spelling. Raises UsageError for one that does not exist."""
    word, names = vendors.spelled(name), vendors.names(settings)
    if word not in names:
        able = [one for one in names if vendors.traits_of(one).asks_models]
        raise UsageError(f"no provider is called {name!r}", hint=f"use one of {', '.join(able)}")
    return word


def only_provider(context: Context, split: str | None, model: str | None) -> tuple[str, tuple[str, ...]]:
    """The provider of a user who named none, and a note that says why: the only vendor whose key is set.

    In a rehearsal, where every vendor has a key, it is one of them. Without any key it is the embedded engine, for
    items that it can read. Raises UsageError where several vendors could be meant, or nobody could answer.
    """
    settings, pictures = context.settings, split == WITH_PICTURES
    if settings.rehearsal:
        return REHEARSED, (f"{REHEARSED} was taken because this is a rehearsal; --provider chooses",)
    keyed = settings.vendors_with_key()
    able = [name for name in keyed if not pictures or _takes_pictures(settings, name, model)]
    if len(able) == 1:
        which = "the only vendor whose key is set" if len(keyed) == 1 else "the only one whose default takes pictures"
        return able[0], (f"{able[0]} was taken because it is {which}",)
    if keyed:
        raise _several(settings, able or list(keyed))
    if pictures and not settings.base_url(LOCAL) and not _takes_pictures(settings, LOCAL, model):
        raise _nobody_sees(settings)
    note = "the embedded local engine was taken because no vendor's key is set"
    return LOCAL, (f"{note}; --provider chooses, BATCHFLOW_PROVIDER in .env for good",)


def _takes_pictures(settings: Settings, provider: str, model: str | None) -> bool:
    return settings.capabilities(provider, model or settings.default_model(provider) or "").images is not False


def _several(settings: Settings, able: list[str]) -> UsageError:
    keys = ", ".join(settings.key_name(name) or name for name in able)
    first = able[0]
    return UsageError(
        f"keys of several vendors are set ({keys}), and no provider is chosen",
        hint=f"choose one of {', '.join(able)}: --provider {first} on the command line, BATCHFLOW_PROVIDER={first} in"
        f' the environment or .env, or provider = "{first}" under [prepare] in batchflow.toml',
    )


def _nobody_sees(settings: Settings) -> UsageError:
    names = [name for name in VENDORS if _takes_pictures(settings, name, None)]
    keys = ", ".join(ACCESS[name].keys[0] for name in names)
    return UsageError(
        f"split {WITH_PICTURES} has pictures, no vendor's key is set, and the embedded model reads text only",
        hint=f"set one of {keys} (or choose with --provider), or name a server of your own: --base-url URL",
    )


def refuse_anothers_model(settings: Settings, provider: str, model: str, *, as_named: bool = False) -> None:
    """Raise UsageError for a model that clearly belongs to another vendor, such as claude-… at openai.

    It passes where it was said twice (--as-named, or a row of its own in batchflow.toml), and where the vendor's base
    URL points elsewhere: a gateway may serve anything.
    """
    maker = vendors.maker_of(model)
    if as_named or "/" in model or maker in {None, provider} or provider in vendors.HERE:
        return
    if provider not in vendors.FAMILIES and not _CLOSED.match(model.lower()):
        return
    elsewhere = settings.base_url(provider) is not None and not settings.rehearsal
    if elsewhere or model in settings.models.get("models", {}).get(provider, {}):
        return
    raise UsageError(
        f"{model} looks like a model of {maker}, and {provider} would be asked for it",
        hint=f"--provider {maker}; if {provider} does serve it: --as-named with prepare, or a row"
        f' [models.{provider}."{model}"] in batchflow.toml',
    )
