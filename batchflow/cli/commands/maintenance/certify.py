"""`batchflow rehearse --certify URL`."""

from __future__ import annotations

from typing import Any

from batchflow.cli.app import App, shows
from batchflow.errors import UsageError


@shows
def certified(app: App, url: str, model: str | None, key: str | None, paid: bool) -> Any:
    """Check a server of /v1/batches. key: the variable that holds its key. Exit code 1 if something is a fault."""
    from batchflow.steps.sending.in_doubt import FIND_GRACE_S
    from batchflow.steps.workers.certifying.batch_server import BatchServer
    from batchflow.steps.workers.certifying.certify import certify, refuse_paid

    secret = app.settings.environment.get(key, "").strip() if key else "none"
    if not secret:
        raise UsageError(f"--certify-key {key}: that variable is not set", hint="set it in the environment or in .env")
    server = BatchServer(url, secret)
    if not paid:
        refuse_paid(url, server.host)
    if not model:
        raise UsageError("--certify needs a model", hint="--certify-model NAME, as the server knows it")
    listed_s = app.settings.tuned("find_grace_s", FIND_GRACE_S)
    report = certify(server, model, say=app.say, listed_s=listed_s)
    return report, 0 if report.usable else 1
