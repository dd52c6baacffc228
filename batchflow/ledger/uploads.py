"""Uploads: the files that a vendor was given for a job. None is sent again for nothing, and all can be removed."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from batchflow.ledger.models import UPLOADS

_U = UPLOADS.c


def use(
    tx: sa.Connection, job_id: int, remote_file: str, *, sha256: str, base_url: str | None, uploaded_at: datetime
) -> None:
    """Note that a batch may be made of a file from here on; one that was known already keeps its age."""
    statement = sa.update(UPLOADS).where(_U.job_id == job_id, _U.remote_file == remote_file)
    if tx.execute(statement.values(spare=False)).rowcount == 0:
        facts = {"sha256": sha256, "base_url": base_url, "uploaded_at": uploaded_at}
        tx.execute(sa.insert(UPLOADS).values(job_id=job_id, remote_file=remote_file, spare=False, **facts))


def release(tx: sa.Connection, job_id: int, remote_file: str) -> None:
    """The vendor certainly made no batch of the file: the next create may take it."""
    tx.execute(sa.update(UPLOADS).where(_U.job_id == job_id, _U.remote_file == remote_file).values(spare=True))


def spare(tx: sa.Connection, job_id: int, *, sha256: str, base_url: str | None, since: datetime) -> str | None:
    """The newest file of which no batch was made, with these bytes, at this vendor, uploaded since then; or None."""
    place = _U.base_url.is_(None) if base_url is None else _U.base_url == base_url
    fits = (_U.job_id == job_id, _U.spare, _U.sha256 == sha256, place, _U.uploaded_at >= since)
    file_id = tx.scalar(sa.select(_U.remote_file).where(*fits).order_by(_U.id.desc()).limit(1))
    return None if file_id is None else str(file_id)


def of_job(tx: sa.Connection, job_id: int) -> tuple[str, ...]:
    """The vendor's ids of all files that were uploaded for a job, oldest first."""
    return tuple(
        str(row[0]) for row in tx.execute(sa.select(_U.remote_file).where(_U.job_id == job_id).order_by(_U.id))
    )
