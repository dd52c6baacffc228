"""Settings, read once by the command line and passed down frozen: flag > environment > batchflow.toml > default.

The environment includes the project's `.env`. Keys live in `Secret`, whose text never shows by accident.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from batchflow import vendor_limits
from batchflow.errors import UsageError
from batchflow.gateways import Gateway, gateways
from batchflow.records import Capabilities
from batchflow.vendor_limits import QueueLimits

MODELS_FILE = Path(__file__).with_name("models.toml")


@dataclass(frozen=True, slots=True)
class Access:
    """Variables of a vendor's key and base URL; the first one that is set wins.

    account: what else its SDK reads that decides whose batches are made and seen: project, organisation, headers.
    speaks: the vendor whose protocol it speaks, where it has none of its own.
    """

    keys: tuple[str, ...]
    base_urls: tuple[str, ...]
    account: tuple[str, ...] = ()
    speaks: str = ""


# The vendors' own variables first, then the names that an existing `.env` of a replaced system may hold.
ACCESS: dict[str, Access] = {
    "openai": Access(
        ("OPENAI_API_KEY", "k_oai", "MODEL_PARSER_API", "AZURE_OPENAI_API_KEY"),
        ("OPENAI_BASE_URL",),
        ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS"),
    ),
    "anthropic": Access(("ANTHROPIC_API_KEY", "k_ant"), ("ANTHROPIC_BASE_URL",), ("ANTHROPIC_CUSTOM_HEADERS",)),
    "gemini": Access(("GOOGLE_API_KEY", "GEMINI_API_KEY", "k_g"), ("GOOGLE_GEMINI_BASE_URL",)),
    "mistral": Access(("MISTRAL_API_KEY", "k_mis"), ("MISTRAL_BASE_URL",)),
    "together": Access(
        ("TOGETHER_API_KEY",), ("TOGETHER_BASE_URL",), ("TOGETHER_PROJECT_ID", "TOGETHER_CUSTOM_HEADERS")
    ),
    "groq": Access(("GROQ_API_KEY",), ("GROQ_BASE_URL",), ("GROQ_CUSTOM_HEADERS",)),
    "local": Access(("BATCHFLOW_LOCAL_API_KEY",), ("BATCHFLOW_LOCAL_BASE_URL",)),
}

LOCAL = "local"
"""The provider that is the user's own engine; it needs no key."""

VENDORS = tuple(name for name in ACCESS if name != LOCAL)
"""The providers whom somebody pays, in the order in which they are shown."""

RULE, IMPORT = "rule", "import"
"""The providers of verdicts by rule, and of answers that were imported."""

AZURE_STANDS_FOR = "openai"
"""The provider whose place Azure takes where OPENAI_API_TYPE is `azure`: it speaks the same protocol."""

STAND_IN = "openai"
"""Vendor whose rehearsal stands in for gateways: they speak its protocol."""

STORE_SECRETS = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_SERVICE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_CLIENT_SECRET",
)  # fmt: skip
"""Variables that hold keys of a store of payloads."""

SHORTEST_SECRET = 6
"""Characters below which a key is not hidden: stars in place of every `x` would spoil all texts and protect nothing."""

_RELATIVE_SQLITE = re.compile(r"^(sqlite(?:\+\w+)?:///)(?=[^/:])(?!file:)")


class Secret:
    """A key. Shows as stars everywhere; `reveal()` is for the call that hands it to an SDK."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The key itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__


@dataclass(frozen=True)
class Settings:
    """Everything that is set outside a command's own flags.

    project: the folder that holds ledger, processed_files/ and results/. home: engines, models and caches.
    rehearsal: True under `batchflow rehearse`; everything made then is marked. worker: the command that works a local
    job off, in front of the job's folder; whoever knows one hands it in.
    """

    project: Path
    home: Path
    database_url: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    file: Mapping[str, Any] = field(default_factory=dict, repr=False)
    rehearsal: bool = False
    worker: tuple[str, ...] = ()

    @property
    def processed(self) -> Path:
        """Folder of what is sent, and of the raw bytes that come back."""
        return self.project / "processed_files"

    @property
    def results(self) -> Path:
        """Folder of the result files."""
        return self.project / "results"

    @property
    def ledger_url(self) -> str:
        """The ledger's URL for a process that starts in another folder: a relative SQLite path is made absolute."""
        return _RELATIVE_SQLITE.sub(lambda match: f"{match[1]}{Path.cwd()}/", self.database_url)

    @property
    def store_url(self) -> str:
        """URL of the store of payloads; empty where they lie in the project folder alone."""
        given = self.environment.get("BATCHFLOW_STORE")
        return (given if given is not None else _text(self.file.get("store")) or "").strip()

    @cached_property
    def gateways(self) -> Mapping[str, Gateway]:
        """The gateways of batchflow.toml by name. Raises UsageError for a faulty table."""
        return gateways(self.section("gateways"), {*ACCESS, RULE, IMPORT})

    def access(self, vendor: str) -> Access | None:
        """Variables of a provider's key and base URL; None for a provider that has none."""
        gateway = self.gateways.get(vendor)
        if gateway is None:
            return ACCESS.get(vendor)
        return ACCESS[STAND_IN] if self.rehearsal else Access((gateway.key,) if gateway.key else (), ())

    def key(self, vendor: str) -> Secret | None:
        """The vendor's key, or None."""
        access = self.access(vendor)
        for name in access.keys if access else ():
            if value := self.environment.get(name, "").strip():
                return Secret(value)
        return None

    def key_name(self, vendor: str) -> str | None:
        """The variable that holds the vendor's key, or None."""
        access = self.access(vendor)
        return next((name for name in (access.keys if access else ()) if self.environment.get(name, "").strip()), None)

    def need_key(self, vendor: str) -> Secret:
        """The vendor's key. Raises UsageError that names the variables."""
        key, access = self.key(vendor), self.access(vendor)
        if key is None and access is not None and not access.keys:
            return Secret("none")  # a gateway without keys: SDKs insist on one, servers ignore it
        if key is None:
            first, *others = access.keys if access is not None else ("its key",)
            also = f" (also read: {', '.join(others)})" if others else ""
            raise UsageError(f"{vendor}: no API key", hint=f"set {first} in the environment or in .env{also}")
        return key

    def key_mark(self, vendor: str, salt: str) -> str:
        """Eight hex digits that tell one account of a vendor from another and nothing else of either; "" without a key.

        32 bits of a salted SHA-256 of the key and of what else decides whose batches it sees: a key has far more, so
        none is found by its mark.
        """
        key = self.key(vendor)
        if key is None:
            return ""
        access = self.access(vendor)
        given = ((name, self.environment.get(name, "").strip()) for name in (access.account if access else ()))
        also = "".join(f":{name}={value}" for name, value in given if value)
        return hashlib.sha256(f"{salt}:{key.reveal()}{also}".encode()).hexdigest()[:8]

    def base_url(self, vendor: str) -> str | None:
        """The vendor's base URL where the user points it elsewhere, else None (the SDK's own default).

        Raises UsageError for one that holds a password.
        """
        access = self.access(vendor)
        for name in access.base_urls if access else ():
            if value := self.environment.get(name, "").strip():
                return _without_password(name, value)
        if vendor in self.gateways:
            return _without_password(f"batchflow.toml: [gateways.{vendor}] base_url", self.gateways[vendor].base_url)
        if vendor == AZURE_STANDS_FOR and self.environment.get("OPENAI_API_TYPE", "").strip().lower() == "azure":
            return _azure(self.environment)
        section = self._of_vendors("vendors").get(vendor)
        given = str(section["base_url"]) if isinstance(section, dict) and section.get("base_url") else None
        return given and _without_password(f"batchflow.toml: [vendors.{vendor}] base_url", given)

    def vendors_with_key(self) -> tuple[str, ...]:
        """Vendors whose key is set, in the table's order; `local` needs none and is left out."""
        return tuple(name for name in VENDORS if self.key(name) is not None)

    def secrets(self, vendor: str | None = None) -> tuple[str, ...]:
        """Texts that may appear in no file, log or message, the longest first: one may be part of another.

        vendor: only the keys of this one, which is all that it can echo.
        """
        names = [*ACCESS, *self.gateways] if vendor is None else [vendor]
        accesses = [access for name in names if (access := self.access(name)) is not None]
        variables = [name for access in accesses for name in access.keys] + [*STORE_SECRETS] * (vendor is None)
        return hideable(self.environment.get(name, "").strip() for name in variables)

    def hide(self, text: str) -> str:
        """The text with stars for every key; vendors echo keys in their own errors."""
        for secret in self.secrets():
            text = text.replace(secret, "***")
        return text

    def section(self, name: str) -> Mapping[str, Any]:
        """One table of batchflow.toml, empty when absent. Raises UsageError when it is not a table."""
        value = self.file.get(name, {})
        if not isinstance(value, dict):
            raise UsageError(f"batchflow.toml: [{name}] has to be a table")
        return value

    def tuned(self, name: str, default: float) -> float:
        """A number of seconds or tries: BATCHFLOW_CALLS_<NAME>, else [calls] of batchflow.toml, else the default.

        Raises UsageError unless it is finite and >= 0.
        """
        variable = f"BATCHFLOW_CALLS_{name.upper()}"
        if text := self.environment.get(variable, "").strip():
            with suppress(ValueError):
                if 0 <= (number := float(text)) < math.inf:
                    return number
            raise UsageError(f"{variable} has to be a number >= 0")
        value = self.section("calls").get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise UsageError(f"batchflow.toml: [calls] {name} has to be a number >= 0")
        return float(value)

    def _of_vendors(self, name: str) -> Mapping[str, Any]:
        """A table of batchflow.toml with a table per vendor in it. Raises UsageError for an unknown vendor."""
        section: Mapping[str, Any] = _lower(self.section(name))
        names = [*ACCESS, *self.gateways]
        if unknown := sorted(set(section) - set(names)):
            keys = ", ".join(f"[{name}.{one}]" for one in unknown)
            raise UsageError(f"batchflow.toml: {keys}: unknown", hint=f"vendors: {', '.join(names)}")
        return section

    def limits(self, vendor: str) -> tuple[int | None, int | None]:
        """(requests, file_bytes) by which batchflow.toml `[limits.<vendor>]` lowers a vendor's limits of one job.

        Raises UsageError for anything but whole numbers above 0, and for a vendor or key that nothing reads: a typo
        would let a batch grow larger than intended.
        """
        section = vendor_limits.checked(vendor, self._of_vendors("limits").get(vendor, {}))
        return section.get("requests"), section.get("file_bytes")

    def queue_limits(self, vendor: str, model: str, documented_jobs: int | None = None) -> QueueLimits:
        """The most that may be out at a vendor at once. documented_jobs: as on the vendor's page. Raises UsageError."""
        section = vendor_limits.checked(vendor, self._of_vendors("limits").get(vendor, {}))
        return vendor_limits.of_the_queue(section, model, documented_jobs)

    @cached_property
    def models(self) -> Mapping[str, Any]:
        """The dated model table of the package, with batchflow.toml laid over it, table by table."""
        with MODELS_FILE.open("rb") as handle:
            shipped = tomllib.load(handle)
        return _overlay(shipped, {key: _lower(self.file[key]) for key in shipped if key in self.file})

    def default_model(self, vendor: str) -> str | None:
        """The model that `prepare` takes for a vendor when none is named."""
        return _text(self.models.get("default", {}).get(vendor))

    def panel(self) -> list[Mapping[str, Any]]:
        """The judge pool in order: tables with provider, model and their thinking settings."""
        rows = self.models.get("panel", [])
        return [{key: value for key, value in row.items() if key != "checked_on"} for row in rows]

    def capabilities(self, vendor: str, model: str) -> Capabilities:
        """Capabilities of a model: exact id first, then the longest `prefix*` row; unknown models the safest row."""
        rows: Mapping[str, Any] = self.models.get("models", {}).get(vendor, {})
        row = rows.get(model)
        if row is None:
            prefixes = [name for name in rows if name.endswith("*") and model.startswith(name[:-1])]
            row = rows[max(prefixes, key=len)] if prefixes else None
        return Capabilities() if row is None else _capabilities(f"[models.{vendor}.{model!r}]", row)


def _capabilities(where: str, row: Any) -> Capabilities:
    """A row of the model table. Raises UsageError for one with an unknown key, or with a value of another type."""
    if not isinstance(row, dict):
        raise UsageError(f"batchflow.toml: {where} has to be a table", hint="for example: images = true")
    defaults = {spec.name: spec.default for spec in fields(Capabilities) if spec.name != "known"}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    for name, value in values.items():
        if name not in defaults:
            raise UsageError(f"batchflow.toml: {where}: unknown key {name!r}", hint=f"known: {', '.join(defaults)}")
        wanted = bool if defaults[name] is None else type(defaults[name])
        if type(value) is not wanted:
            kind = {tuple: "a list", str: "text", int: "a whole number", bool: "true or false"}[wanted]
            raise UsageError(f"batchflow.toml: {where}: {name} has to be {kind}")
    return Capabilities(known=True, **values)


def _lower(section: Any) -> Any:
    """A table with a key per vendor, whose names are read in any case; other values as they are."""
    return {str(name).lower(): value for name, value in section.items()} if isinstance(section, dict) else section


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _overlay(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def hideable(keys: Iterable[str | None]) -> tuple[str, ...]:
    """Keys to put stars for, the longest first: one may be part of another. Stars for each `1` would spoil all."""
    return tuple(sorted({key for key in keys if key and len(key) >= SHORTEST_SECRET}, key=len, reverse=True))


def _azure(environment: Mapping[str, str]) -> str:
    """Azure's base URL, from the variables that MixEval reads too. Raises UsageError without one."""
    for name in ("OPENAI_API_BASE", "AZURE_OPENAI_ENDPOINT"):
        if url := environment.get(name, "").strip().rstrip("/"):
            return _without_password(name, url if url.endswith("/openai/v1") else f"{url}/openai/v1")
    raise UsageError(
        "OPENAI_API_TYPE is azure, and no address is set",
        hint="OPENAI_API_BASE=https://RESOURCE.openai.azure.com in the environment or .env",
    )


def _without_password(where: str, url: str) -> str:
    """The URL. Raises UsageError for `https://user:password@host`: cards and the ledger show where a batch went."""
    if "@" in url.partition("://")[2].partition("/")[0]:
        text = f"{where} holds a user name or a password"
        raise UsageError(text, hint="leave it out of the URL: HTTP clients send it in place of the vendor's key")
    return url


def _dotenv(path: Path) -> dict[str, str]:
    """The variables of a `.env` file, none where there is no such file. Raises UsageError."""
    if not path.is_file():
        return {}
    from dotenv import dotenv_values  # only where there is a file to read

    try:
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path}: {error}", hint="write it as UTF-8 text, one NAME=value a line") from None


def _in_url(path: Path) -> str:
    """A path as a database URL holds it: `?` would begin the query, and `%` what SQLAlchemy decodes."""
    return str(path).replace("%", "%25").replace("?", "%3F")


def _home(environment: Mapping[str, str], project: Path) -> Path:
    """The folder of engines, models and caches. Raises UsageError for a `~` that stands for nobody's home.

    Without HOME, a user that the system does not know (`docker run --user 54321`) has no home but the project.
    """
    given = environment.get("BATCHFLOW_HOME")
    try:
        return Path(given).expanduser() if given else Path.home() / ".batchflow"
    except RuntimeError:
        if not given:
            return project / ".batchflow"
        raise UsageError(
            f"BATCHFLOW_HOME={given}: ~ cannot be expanded here", hint="write the whole path, or set HOME"
        ) from None


def hide(text: str, project: Path) -> str:
    """The text with stars for every key of the environment and of the project's `.env`.

    For a failure: it needs none of the settings, which may be what failed.
    """
    try:
        environment = _dotenv(project / ".env") | os.environ
    except UsageError:
        environment = dict(os.environ)
    return Settings(project, project, "", environment).hide(text)


def load(project: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Read `.env` and `batchflow.toml` of the project folder. Raises UsageError for a file that cannot be read."""
    environment = dict(os.environ if environ is None else environ)
    environment = _dotenv(project / ".env") | environment
    config = project / "batchflow.toml"
    try:
        data = tomllib.loads(config.read_text("utf-8")) if config.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{config}: {error}") from None
    return Settings(
        project=project,
        home=_home(environment, project),
        database_url=environment.get("BATCHFLOW_DATABASE_URL")
        or data.get("database_url")
        or f"sqlite:///{_in_url(project / 'batchflow.db')}",
        environment=environment,
        file=data,
        rehearsal=environment.get("BATCHFLOW_REHEARSAL") == "1",
    )
