"""Files of rows in Arrow's stream format, as the cache of Hugging Face's library `datasets` holds them."""

from __future__ import annotations

from pathlib import Path

from batchflow.errors import DataError, UsageError, install_extra
from batchflow.tasks.datasets.tables import Rows


def rows(path: Path) -> Rows:
    """(number from 1, row) of each row, some rows in memory at a time. Raises UsageError, DataError."""
    try:
        from pyarrow import ArrowException, ipc, memory_map
    except ImportError:
        raise UsageError(f"data set {path}: reading Arrow needs pyarrow", hint=install_extra("parquet")) from None
    try:
        with memory_map(str(path)) as file, ipc.open_stream(file) as stream:
            number = 0
            for batch in stream:
                for start in range(0, batch.num_rows, 64):
                    for row in batch.slice(start, 64).to_pylist():
                        number += 1
                        yield number, row
    except (ArrowException, OSError) as error:
        raise DataError(f"{path}: not an Arrow stream ({error})") from None
