"""A batch gateway as a vendor: OpenAI's protocol at a base URL of the project's own.

Seen in gateways (2026-11: OGX 1.5, AIBrix 0.8, llm-d-batch-gateway 0.3, vLLM production stack): a row's
`response.body` may be JSON text; `metadata` may be dropped, so that a lost create is found by its upload; a failed
batch may have an output file with the rows that ran; the list may go on by number instead of by id, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchflow.errors import Trouble, VendorError
from batchflow.gateways import Gateway
from batchflow.records import Capabilities, Json, Limits, Phase, Request
from batchflow.vendors.base import PAID, RowForm, Traits, cannot_resume, no_clock, no_facts, option_refused
from batchflow.vendors.shared import chat_completions, error_mapping, openai_like, row_forms


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayVendor(openai_like.Batches):
    """The vendor protocol for one gateway. limits: of one job, as batchflow.toml states them."""

    limits: Limits

    @property
    def NAME(self) -> str:  # noqa: N802 - the protocol's name
        """Name of the gateway in batchflow.toml."""
        return self.name

    @property
    def LIMITS(self) -> Limits:  # noqa: N802
        """Limits of one job."""
        return self.limits

    @property
    def ENDPOINTS(self) -> tuple[str, ...]:  # noqa: N802
        """Accepted `--endpoint` values."""
        return self.endpoints

    @property
    def STATUSES(self) -> Mapping[str, Phase]:  # noqa: N802
        """OpenAI's words."""
        return self.statuses

    @property
    def TRAITS(self) -> Traits:  # noqa: N802
        """A gateway counts as paid: nothing is sent to it twice."""
        return PAID

    @property
    def LINE(self) -> RowForm:  # noqa: N802
        """OpenAI's line."""
        return row_forms.posted(f"[gateways.{self.name}] in batchflow.toml")

    def check(self, request: Request, can: Capabilities, endpoint: str, window: str | None) -> None:
        """Raise UsageError for anything that `encode` or `create` could not send."""
        openai_like.Batches.check(self, request, can, endpoint, window)
        if not endpoint.endswith("/chat/completions"):
            why = f"requests are written for {chat_completions.CHAT}, and {endpoint} takes others"
            hint = f"--endpoint {chat_completions.CHAT}; batchflow import requests sends a file of your own as it is"
            raise option_refused(self.name, "--endpoint", why, hint)

    encode = staticmethod(chat_completions.line)
    decode = staticmethod(chat_completions.decode)
    clock = staticmethod(no_clock)
    resume = staticmethod(cannot_resume)
    facts = staticmethod(no_facts)


def page(vendor: str, client: Any, cursor: str) -> tuple[list[Json], str | None]:
    """A page of the gateway's batches, and the next cursor: how many batches stand before it, and the last one's id.

    llm-d-batch-gateway takes the number in `after`, and refuses an id. vLLM's production stack says that more follows
    and shows nothing: such a list proves no absence. Raises VendorError GARBLED for that.
    """
    number, _, after = cursor.partition(" ")
    try:
        rows, last = openai_like.after_the_last(vendor, client, after)
    except Exception as error:
        if not after or error_mapping.explain(vendor, error).status not in {400, 422}:
            raise
        rows, last = openai_like.after_the_last(vendor, client, number)
    if after and not rows:
        text = f"{vendor}: the list of batches says that more than {number} follow, and shows none"
        raise VendorError(text, trouble=Trouble.GARBLED)
    return rows, f"{int(number or 0) + len(rows)} {last}" if last else last


def vendor_of(gateway: Gateway) -> GatewayVendor:
    """The vendor of a gateway."""
    return GatewayVendor(
        name=gateway.name,
        base_url=gateway.base_url,
        window=gateway.windows[0],
        windows=gateway.windows,
        endpoints=gateway.endpoints,
        page=page,
        limits=Limits(gateway.requests, gateway.file_bytes, source=f"[gateways.{gateway.name}] in batchflow.toml"),
    )
