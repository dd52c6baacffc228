"""A store of payloads outside the project folder: a bucket, or a folder that every host mounts.

Objects are named by a path and by the SHA-256 of their bytes, so none is ever changed: writing one twice is writing it
once, whatever was cut in between. obstore speaks to S3, Google Cloud Storage, Azure and the file system; it is imported
with the first object.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batchflow import files
from batchflow.errors import DataError, StoreError, UsageError, install_extra
from batchflow.settings import STORE_SECRETS, hideable

SCHEMES: Mapping[str, str] = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_", "file": ""}
"""Schemes of a store's URL, and how the variables of its credentials begin."""

SETTABLE = (
    *STORE_SECRETS, "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ENDPOINT",
    "AZURE_STORAGE_CLIENT_ID", "AZURE_STORAGE_TENANT_ID",
)  # fmt: skip
"""Variables that are handed to the store's client: a project's `.env` may hold them, which the client does not read."""

CHANGED = "changed"
"""State of an object whose bytes are not those that it is named by."""

WHOLE_BYTES = 5 << 20  # an object up to this size is written by one conditional call
RETRY_S = 30.0
_FORMS = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER"
_HINT = "nothing was lost: run the same command again once the store can be reached; doctor looks at it"


def checked_url(url: str) -> str:
    """The URL of a store. Raises UsageError for a scheme that is none, a relative folder, and a key in the URL."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise UsageError(f"BATCHFLOW_STORE: {parts.scheme or url[:20]!r} is no kind of store", hint=f"use {_FORMS}")
    if "@" in parts.netloc or parts.query or parts.fragment:
        text = "BATCHFLOW_STORE holds more than a place: keys do not belong in it"
        raise UsageError(text, hint="set the variables of the credentials instead (docs/team.md)")
    if (parts.scheme == "file") == bool(parts.netloc):
        raise UsageError(f"BATCHFLOW_STORE={url}: not the URL of a store", hint=f"use {_FORMS}")
    return url.rstrip("/")


class Store:
    """Objects under one URL; connected when the first one is asked for. All methods raise StoreError."""

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        self.url, self._environment = checked_url(url), environment

    @cached_property
    def _client(self) -> Any:
        """The client of this URL. Raises StoreError for credentials that make no sense."""
        from obstore import store

        scheme = urlsplit(self.url).scheme
        if scheme == "file":
            return store.LocalStore(prefix=self._mounted())
        given = {name: self._environment[name] for name in SETTABLE if self._environment.get(name, "").strip()}
        config: Any = {name.lower(): text for name, text in given.items() if name.startswith(SCHEMES[scheme])}
        is_plain = any(text.startswith("http://") for name, text in config.items() if "endpoint" in name)
        patience: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=RETRY_S)}
        limits: Any = {"connect_timeout": "5s", "timeout": "120s", "allow_http": is_plain}
        with self._explained("connecting"):
            return store.from_url(self.url, config=config, client_options=limits, retry_config=patience)

    def _mounted(self) -> Path:
        """The folder of a `file://` store. Raises StoreError where it is away: it must not become an empty store."""
        folder = Path(urlsplit(self.url).path)
        if not folder.is_dir():
            raise StoreError(f"{self.url}: there is no such folder", hint=f"mount it, or: mkdir -p {folder}")
        return folder

    def put(self, key: str, source: Path) -> None:
        """Write an object of a file's bytes, unless it is there. The key names the bytes, so it is there whole."""
        size, there = source.stat().st_size, self.size(key)
        if there == size:
            return
        with self._explained(f"writing {key}"):
            import obstore

            try:
                if size > WHOLE_BYTES or there is not None:  # in parts, which appear together; or over a damaged one
                    obstore.put(self._client, key, source)
                else:
                    obstore.put(self._client, key, source, mode="create", use_multipart=False)
            except obstore.exceptions.AlreadyExistsError:  # another host wrote the same bytes meanwhile
                pass

    def publish(self, key: str, source: Path) -> None:
        """Write an object in place of an older one of the name."""
        with self._explained(f"writing {key}"):
            import obstore

            obstore.put(self._client, key, source)

    def get(self, key: str, target: Path, sha256: str) -> bool:
        """Bring an object aside and rename it; False where there is none. Raises DataError for one of other bytes."""
        with self._explained(f"reading {key}"):
            chunks = self._chunks(key)
            if chunks is None:
                return False
            digest = hashlib.sha256()
            with files.replacing(target) as handle:
                for chunk in chunks:
                    digest.update(chunk)
                    handle.write(chunk)
                self._hold(key, digest.hexdigest(), sha256)
        return True

    def read(self, key: str, sha256: str) -> bytes:
        """The bytes of a small object; none where there is none. Raises DataError for one of other bytes."""
        with self._explained(f"reading {key}"):
            data = b"".join(self._chunks(key) or ())
        if data:
            self._hold(key, files.digest(data), sha256)
        return data

    def state(self, key: str, sha256: str) -> str:
        """Describes the damage of an object; empty where its bytes are those that it is named by."""
        digest = hashlib.sha256()
        with self._explained(f"reading {key}"):
            chunks = self._chunks(key)
            for chunk in chunks or ():
                digest.update(chunk)
        return "absent" if chunks is None else "" if digest.hexdigest() == sha256 else CHANGED

    def _chunks(self, key: str) -> Iterator[bytes] | None:
        """The bytes of an object, a piece at a time; None where there is none."""
        import obstore

        try:
            stream = obstore.get(self._client, key).stream(min_chunk_size=files.CHUNK)
        except FileNotFoundError:
            return None
        return map(bytes, stream)

    def _hold(self, key: str, seen: str, sha256: str) -> None:
        if seen != sha256:
            text = f"{self.url}/{key} does not hold the bytes that it is named by"
            raise DataError(text, hint="remove it there, and run batchflow results where the file still lies")

    def size(self, key: str) -> int | None:
        """Bytes of an object, None where there is none."""
        with self._explained(f"looking at {key}"):
            import obstore

            try:
                return int(obstore.head(self._client, key)["size"])
            except FileNotFoundError:
                return None

    def folders(self, folder: str) -> list[str]:
        """Names right below a folder under which objects lie."""
        with self._explained(f"listing {folder}"):
            import obstore

            prefixes = obstore.list_with_delimiter(self._client, folder)["common_prefixes"]
        return [prefix.rpartition("/")[2] for prefix in prefixes]

    def objects(self, folder: str) -> list[tuple[str, int]]:
        """Key and size of every object below a folder."""
        with self._explained(f"listing {folder}"):
            import obstore

            return [(each["path"], int(each["size"])) for some in obstore.list(self._client, folder) for each in some]

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects, those that are gone already among them."""
        for key in keys:
            with self._explained(f"removing {key}"):
                import obstore

                try:
                    obstore.delete(self._client, key)
                except FileNotFoundError:
                    continue

    def ping(self) -> str:
        """Write, read and remove an object of its own; says what can be relied on."""
        import tempfile

        key, data = f"ping/{secrets.token_hex(8)}", b"batchflow\n"
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "ping"
            source.write_bytes(data)
            self.put(key, source)
        seen = self.read(key, files.digest(data))
        self.remove([key])
        if seen != data:
            raise StoreError(f"the store {self.url} does not show what was written a moment ago", hint=_HINT)
        return "written, read and removed"

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Turn what the client raises into a StoreError, without any key in its text."""
        try:
            from obstore.exceptions import BaseError
        except ImportError:
            raise UsageError("BATCHFLOW_STORE needs obstore", hint=install_extra("store")) from None
        if self.url.startswith("file:"):
            self._mounted()
        try:
            yield
        except FileNotFoundError:  # of a write: a missing object is no error to a read
            text = f"the store {self.url}, {doing}: there is no such bucket or container"
            raise StoreError(text, hint="make it, or correct BATCHFLOW_STORE") from None
        except (BaseError, OSError, ValueError) as error:
            raise StoreError(f"the store {self.url}, {doing}: {self._text(error)}", hint=_HINT) from None

    def _text(self, error: Exception) -> str:
        """First line of an error: the client's later lines quote requests, whose URLs may be signed."""
        text = re.sub(r"\?\S+", "?…", str(error).partition("\n")[0].partition(": <?xml")[0]).strip()
        for secret in hideable(self._environment.get(name, "").strip() for name in STORE_SECRETS):
            text = text.replace(secret, "***")
        return text[:300] or type(error).__name__
