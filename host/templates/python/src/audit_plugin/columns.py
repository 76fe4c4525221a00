"""Columns of a batch.

They cross the boundary in Arrow's layout, as a few large arrays; here they are lists with `None` for
null. Times are microseconds since 1970-01-01T00:00:00Z.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from .errors import Fault


@dataclass
class Column:
    """A column in Arrow's layout."""

    #: utf8, int32, int64, float64, boolean or timestamp-us.
    type: str
    #: A list of numbers, bytes for booleans, or the bytes of all texts.
    values: Any
    #: Rows + 1 positions in the bytes of texts.
    offsets: Sequence[int] | None = None
    #: One bit a row, least significant first, 1 for a value. None: no row is null.
    validity: bytes | None = None


class Batch:
    """The columns that the plugin asked for."""

    def __init__(self, rows: int, columns: dict[str, Column]) -> None:
        self.rows = rows
        self._columns = columns

    def text(self, name: str) -> list[str | None]:
        """A column of text."""
        column = self._column(name, "utf8")
        whole, offsets = column.values.decode(), column.offsets
        if len(whole) == len(column.values):
            # All is ASCII: positions of bytes are positions of characters.
            texts = [whole[begin:end] for begin, end in zip(offsets, offsets[1:])]
        else:
            values = column.values
            texts = [values[begin:end].decode() for begin, end in zip(offsets, offsets[1:])]
        return _with_nulls(texts, column.validity)

    def int32(self, name: str) -> list[int | None]:
        """A column of 32-bit integers."""
        return self._fixed(name, "int32")

    def int64(self, name: str) -> list[int | None]:
        """A column of 64-bit integers."""
        return self._fixed(name, "int64")

    def float64(self, name: str) -> list[float | None]:
        """A column of numbers."""
        return self._fixed(name, "float64")

    def boolean(self, name: str) -> list[bool | None]:
        """A column of booleans."""
        column = self._column(name, "boolean")
        return _with_nulls([value != 0 for value in column.values], column.validity)

    def timestamp(self, name: str) -> list[int | None]:
        """A column of microseconds since 1970-01-01T00:00:00Z."""
        return self._fixed(name, "timestamp-us")

    def _fixed(self, name: str, type_: str) -> list[Any]:
        column = self._column(name, type_)
        return _with_nulls(column.values, column.validity)

    def _column(self, name: str, type_: str) -> Column:
        column = self._columns.get(name)
        if column is None:
            raise Fault("bad-input", f"no column {name} in the batch")
        if column.type != type_:
            raise Fault("bad-input", f"column {name} is {column.type}, not {type_}")
        return column


def _with_nulls(values: list[Any], validity: bytes | None) -> list[Any]:
    if validity is None:
        return values
    return [
        value if validity[row >> 3] >> (row & 7) & 1 else None for row, value in enumerate(values)
    ]


def _validity(values: Sequence[Any]) -> bytes | None:
    """The bitmap of values that are not None; none if all are."""
    if None not in values:
        return None
    bits = bytearray((len(values) + 7) // 8)
    for row, value in enumerate(values):
        if value is not None:
            bits[row >> 3] |= 1 << (row & 7)
    return bytes(bits)


def utf8(values: Iterable[str | None]) -> Column:
    """A column of text to return, one value a row."""
    values = list(values)
    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = list(accumulate(map(len, encoded), initial=0))
    return Column("utf8", b"".join(encoded), offsets, _validity(values))


def _fixed(type_: str, values: Iterable[Any], null: Any) -> Column:
    values = list(values)
    filled = [null if value is None else value for value in values]
    return Column(type_, filled, None, _validity(values))


def int32(values: Iterable[int | None]) -> Column:
    """A column of 32-bit integers to return."""
    return _fixed("int32", values, 0)


def int64(values: Iterable[int | None]) -> Column:
    """A column of 64-bit integers to return."""
    return _fixed("int64", values, 0)


def float64(values: Iterable[float | None]) -> Column:
    """A column of numbers to return."""
    return _fixed("float64", values, 0.0)


def boolean(values: Iterable[bool | None]) -> Column:
    """A column of booleans to return."""
    values = list(values)
    return Column("boolean", bytes(value is True for value in values), None, _validity(values))


def timestamp(values: Iterable[int | None]) -> Column:
    """A column of microseconds since 1970-01-01T00:00:00Z to return."""
    return _fixed("timestamp-us", values, 0)
