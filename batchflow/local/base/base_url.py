"""The base URL of an endpoint: its parts, and why a text is none."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from batchflow.errors import UsageError


def parse_base_url(base_url: str) -> SplitResult:
    """The parts of an endpoint's base URL. Raises UsageError for what is none, or carries a password."""
    text = base_url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_ok = urlsplit(""), False
    parts = parts._replace(path=parts.path.rstrip("/"))
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "local: a base URL may not carry a user name or key", hint="put the key into BATCHFLOW_LOCAL_API_KEY"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_ok or parts.query or parts.fragment:
        raise UsageError(f"local: {base_url!r} is not a base URL", hint="write it as http://HOST:PORT/v1")
    return parts
