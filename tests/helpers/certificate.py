"""A bundle of one certificate: all of the machine's take an SDK client longer to load than its calls to loopback."""

from __future__ import annotations

from pathlib import Path

import certifi

END = "-----END CERTIFICATE-----"


def one_certificate(folder: Path) -> Path:
    """Writes the first certificate of certifi's bundle into a new file; returns its path."""
    text = certifi.contents()
    path = folder / "certificate.pem"
    path.write_text(text[text.index("-----BEGIN") : text.index(END) + len(END)] + "\n")
    return path
