"""The only module that talks to DuckDB: connections, transactions, queries as frames, names in quotes."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic_core import from_json

from eventsourcing_kit.errors import InputError, StorageError
from eventsourcing_kit.reading import frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

_READING = ("SELECT", "EXPLAIN", "PRAGMA", "COPY", "MULTI")  # MULTI is a PIVOT
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_LOSSY = ("DECIMAL", "HUGEINT", "UHUGEINT", "UBIGINT")  # numpy has no such numbers, and a float would be another one


def library() -> ModuleType:
    """DuckDB's module, loaded when first used."""
    try:
        import duckdb
    except ImportError as error:
        raise InputError(
            "a reporting database needs DuckDB, which is not installed: pip install duckdb pytz, and restart the kernel"
        ) from error
    return duckdb


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


class Duck:
    """One DuckDB database, in memory (`path=None`) or in a file: one connection writes, each query has its own."""

    def __init__(self, path: str | None) -> None:
        duckdb = library()
        self._error: type[Exception] = duckdb.Error
        config = {"python_enable_replacements": "false", "autoinstall_known_extensions": "false"}
        try:
            self._connection = duckdb.connect(":memory:" if path is None else path, config=config)
            self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        except (duckdb.Error, OSError) as error:
            raise StorageError(
                f"{path!r} cannot be opened as a reporting database: {error}; "
                "one process at a time has it open, so close it there, or give another file"
            ) from error

    def close(self) -> None:
        """Write out what is in memory, and give the file free."""
        self._connection.close()

    # -- writing: one thread at a time -------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Duck]:
        """All that is written within, or nothing; raises `StorageError` for DuckDB's own errors."""
        try:
            self._connection.execute("BEGIN TRANSACTION")
            try:
                yield self
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        except self._error as error:
            raise StorageError(f"DuckDB refused to write: {error}") from error

    def _roll_back(self) -> None:
        try:
            self._connection.execute("ROLLBACK")
        except self._error:
            return  # a commit that failed has been rolled back already

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement with parameters, and its rows."""
        rows: list[tuple[Any, ...]] = self._connection.execute(statement, list(values)).fetchall()
        return rows

    @contextmanager
    def given(self, arrays: Mapping[str, Any]) -> Iterator[None]:
        """Have columns of values readable within as the table `given`."""
        self._connection.register("given", pd.DataFrame(dict(arrays), copy=False))
        yield
        self._connection.unregister("given")  # after a failure the transaction allows it no more: the next replaces it

    # -- reading: any thread, also while another writes --------------------------------------------------------------

    def frame(self, statement: str, values: Sequence[Any] | Mapping[str, Any] | None) -> pd.DataFrame:
        """One statement that only reads, as a DataFrame; raises `InputError` for one that writes or is no SQL."""
        cursor = self._connection.cursor()
        try:
            _check_reading(cursor.extract_statements(statement))
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            cursor.execute(statement, values if values is None or hasattr(values, "keys") else list(values))
            return _frame(cursor)
        except self._error as error:
            raise InputError(f"DuckDB refused the query: {error}") from error
        finally:
            cursor.close()


def _check_reading(statements: list[Any]) -> None:
    if len(statements) != 1:
        raise InputError(f"sql() takes one statement, not {len(statements)}; call it once for each")
    kind = statements[0].type.name
    if kind not in _READING:
        raise InputError(
            f"sql() reads, and this statement is {kind.replace('_', ' ')}: tables are written by their projections "
            "alone, so that they agree with the log; change the projection and call rebuild()"
        )


def _frame(cursor: Any) -> pd.DataFrame:
    """The rows of a query with the kit's types: nullable columns, times in UTC, Decimals as they are, JSON read."""
    names = [column[0] for column in cursor.description]
    types = [str(column[1]) for column in cursor.description]
    if any(one.startswith(_LOSSY) for one in types):
        rows = cursor.fetchall()
        columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in types]
    else:
        columns = list(cursor.fetchnumpy().values())
    read = {i: _column(one, values) for i, (one, values) in enumerate(zip(types, columns, strict=True))}
    frame = pd.DataFrame(read)
    frame.columns = pd.Index(names)
    return frame


def _column(kind: str, values: Any) -> Any:
    if isinstance(values, list):
        return _of_objects(kind, values)
    missing, found = np.ma.getmaskarray(values), np.ma.getdata(values)
    if kind in _INTEGERS:
        return pd.arrays.IntegerArray(found.astype(np.int64), missing)
    if kind in ("FLOAT", "DOUBLE"):
        return pd.arrays.FloatingArray(found.astype(np.float64), missing)
    if kind == "BOOLEAN":
        return pd.arrays.BooleanArray(found.astype(bool), missing)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return frames.times(np.where(missing, frames.NO_TIME, found.astype("datetime64[us]").view(np.int64)))
    if found.dtype.kind in "Mm":
        return pd.Series(np.where(missing, np.array("NaT", dtype=found.dtype), found))
    return _of_objects(kind, [None if gone else one for one, gone in zip(found, missing, strict=True)])


def _of_objects(kind: str, values: list[Any]) -> Any:
    if kind == "JSON":
        return frames.objects([None if one is None else from_json(one) for one in values])
    if kind == "BLOB":
        return frames.objects([None if one is None else bytes(one) for one in values])
    if kind == "VARCHAR":
        return frames.strings(frames.objects([pd.NA if one is None else one for one in values]))
    if kind in _INTEGERS:
        return frames.nullable(values)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return frames.column(values) if any(one is not None for one in values) else frames.times(
            np.full(len(values), frames.NO_TIME, dtype=np.int64)
        )  # fmt: skip
    if kind in ("FLOAT", "DOUBLE"):
        return _floats(values)
    if kind == "BOOLEAN":
        return pd.array(values, dtype="boolean")
    return frames.objects(values)


def _floats(values: list[Any]) -> Any:
    missing = np.array([one is None for one in values], dtype=bool)
    return pd.arrays.FloatingArray(np.array([0.0 if one is None else one for one in values], dtype=float), missing)


def checked_path(path: object) -> str | None:
    """A file's path, its folder made where it is missing; None for memory."""
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise InputError(f"{path!r} is no file; give a path such as 'data/bank.duckdb', or nothing for memory")
    found = os.path.realpath(os.path.expanduser(os.fspath(path)))  # one name for a file that has several
    if os.path.isdir(found):
        raise InputError(f"{path!r} is a folder; a reporting database is one file, such as 'data/bank.duckdb'")
    try:
        os.makedirs(os.path.dirname(found), exist_ok=True)
    except OSError as error:
        raise StorageError(f"the folder of {path!r} cannot be made: {error}; give another path") from error
    return found
