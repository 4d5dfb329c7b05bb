"""Arrow and Parquet, loaded when first used: what the kit needs of pyarrow, which comes without types."""

from __future__ import annotations

from typing import Any

from eventsourcing_kit.errors import InputError


def _loaded() -> tuple[Any, Any, Any]:
    try:
        import pyarrow
        import pyarrow.fs
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            "a mirror needs pyarrow, which is not installed: pip install pyarrow, and restart the kernel; to replay "
            "on other machines it needs dask and distributed, too: pip install 'eventsourcing_kit[distributed]'"
        ) from error
    return pyarrow, pyarrow.parquet, pyarrow.fs


pa, pq, fs = _loaded()
