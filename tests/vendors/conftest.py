"""A bench: one vendor's module and real SDK client, one prepared file, one rehearsal server on loopback."""

from __future__ import annotations

import contextlib
import dataclasses
import time

import pytest
from helpers.gateway import GATEWAY

from batchflow import files
from batchflow.records import Capabilities, Params, Phase, Request, Schema
from batchflow.records import Job as JobRecord
from batchflow.rehearsal import server
from batchflow.rehearsal.faults import Faults
from batchflow.settings import STAND_IN, VENDORS, Settings
from batchflow.vendors import registry

CAN = Capabilities(known=True, levels=("low", "high"))
SCHEMA = Schema(
    "riddle_answer",
    {
        "type": "object",
        "properties": {"justification": {"type": "string"}, "answer": {"type": "string"}},
        "required": ["justification", "answer"],
        "additionalProperties": False,
    },
)
ROWS = 6


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Loopback stays loopback, whatever the machine's environment says."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def line_of(vendor, index, *, model="some-model", endpoint=None, params=None, nonce="nonce"):
    params = params or Params()
    request = Request(f"{nonce}-{index}", model, "Answer.", (f"Question: riddle {index}?",), SCHEMA, params)
    return files.dumps(vendor.encode(request, CAN, endpoint or vendor.ENDPOINTS[0])) + b"\n"


class VendorBench:
    def __init__(self, name, up, folder, stack):
        self.name, self.up, self.site, self.folder = name, up, up.site, folder
        self.vendor = registry.get(name, self.settings())
        self.host = name if name in VENDORS else STAND_IN  # who answers at the site
        self._stack = stack
        self.client = self.connect()

    def settings(self, **environment):
        known, is_gateway = {**self.up.environment, **environment}, self.name == GATEWAY
        file = {"gateways": {GATEWAY: {"base_url": "http://127.0.0.1:9/v1"}}} if is_gateway else {}
        return Settings(self.folder, self.folder, "sqlite://", environment=known, file=file, rehearsal=is_gateway)

    def connect(self, **environment):
        client = self.vendor.connect(self.settings(**environment))
        closable = client.http if hasattr(client, "http") else client
        self._stack.enter_context(closable if hasattr(closable, "__exit__") else contextlib.closing(closable))
        return client

    def prepared(self, nonce="nonce", rows=ROWS, **options):
        path = self.folder / f"{self.vendor.NAME}-{nonce}.jsonl"
        path.write_bytes(b"".join(line_of(self.vendor, i, nonce=nonce, **options) for i in range(rows)))
        endpoint = options.get("endpoint") or self.vendor.ENDPOINTS[0]
        job = JobRecord(
            nonce, path, files.sha256(path), rows, "some-model", endpoint, f"token-{nonce}", nonce, time.time()
        )
        has_clock = hasattr(self.vendor, "clock")  # `start` notes the vendor's own time before a create
        return dataclasses.replace(job, vendor_time=self.vendor.clock(self.client)) if has_clock else job

    def uploaded(self, job=None):
        """The job with what is noted of it before a create: the file at the vendor, and the vendor's own time."""
        job = job or self.prepared()
        noted = self.vendor.clock(self.client)
        return dataclasses.replace(job, remote_file=self.vendor.upload(self.client, job), vendor_time=noted)

    def started(self, job=None):
        job = self.uploaded(job)
        return dataclasses.replace(job, remote_id=self.vendor.create(self.client, job))

    def ended(self, job=None):
        job = self.started(job)
        for _ in range(6):
            progress = self.vendor.poll(self.client, job)
            if progress.phase is Phase.ENDED:
                return job, progress
        raise AssertionError(progress)

    def raw(self, job):
        """Every downloaded byte, by kind; a length that was told is the length that came."""
        found = {}
        for download in self.vendor.fetch(self.client, job):
            found[download.kind] = b"".join(download.chunks)
            assert download.size in {None, len(found[download.kind])}
        return found

    def responses(self, job):
        lines = [line for body in self.raw(job).values() for line in body.split(b"\n") if line.strip()]
        return [self.vendor.decode(files.loads(line)) for line in lines]

    def trouble(self, call):
        with pytest.raises(Exception) as caught:
            call()
        return self.vendor.explain(caught.value)

    def calls(self, verb):
        return [call for vendor, call in self.site.calls if vendor == self.host and call == verb]


@pytest.fixture
def at_bench(tmp_path):
    """Opens a bench for a vendor with a script of faults and other options of the server."""
    with contextlib.ExitStack() as stack:

        def sit(name, *faults, **options):
            up = stack.enter_context(server.running(tmp_path / "site", faults=Faults(faults), **options))
            return VendorBench(name, up, tmp_path, stack)

        yield sit
