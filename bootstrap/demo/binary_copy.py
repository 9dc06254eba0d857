"""Columns of NumPy arrays into COPY's binary format, without a loop over rows.

A field is a matrix of bytes, one line per row: four bytes of length, then the value,
padded to the widest. A second matrix marks the bytes that are not padding. The joined
matrices without padding are the byte stream that PostgreSQL reads. This costs about
2 µs per row, a tenth of the server's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.integer]
Micros = npt.NDArray[np.int64]

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970: the start of PostgreSQL's timestamps."""

_LENGTH = 4
_NULL = 255
"""A null field is only the length -1: four bytes of 255."""

_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a batch; a mask of None means that there is no padding."""

    cells: Bytes
    mask: Mask | None = None


class Dictionary:
    """The distinct values of a column, encoded once; the code -1 is null."""

    def __init__(self, values: Sequence[bytes]) -> None:
        width = _LENGTH + max((len(value) for value in values), default=0)
        self._cells = np.zeros((len(values) + 1, width), dtype=np.uint8)
        self._mask = np.zeros((len(values) + 1, width), dtype=np.bool_)
        for line, value in enumerate(values):
            end = _LENGTH + len(value)
            prefix = len(value).to_bytes(_LENGTH, "big")
            self._cells[line, :end] = np.frombuffer(prefix + value, dtype=np.uint8)
            self._mask[line, :end] = True
        self._cells[-1, :_LENGTH] = _NULL
        self._mask[-1, :_LENGTH] = True

    @classmethod
    def of_text(cls, values: Sequence[str]) -> Dictionary:
        """Encode values of text and varchar columns."""
        return cls([value.encode() for value in values])

    @classmethod
    def of_json(cls, values: Sequence[str]) -> Dictionary:
        """Encode values of jsonb columns: version 1, then the text."""
        return cls([b"\x01" + value.encode() for value in values])

    def field(self, codes: Integers) -> Field:
        """Return the column with the values of these codes."""
        return Field(self._cells[codes], self._mask[codes])


def fixed(values: Bytes) -> Field:
    """Return a column whose values have equal lengths and no nulls."""
    rows, width = values.shape
    cells = np.empty((rows, _LENGTH + width), dtype=np.uint8)
    cells[:, :_LENGTH] = (0, 0, 0, width)
    cells[:, _LENGTH:] = values
    return Field(cells)


def nullable(values: Bytes, is_null: Mask) -> Field:
    """Return a column whose values have equal lengths, with nulls by a mask."""
    field = fixed(values)
    mask = np.ones(field.cells.shape, dtype=np.bool_)
    field.cells[is_null, :_LENGTH] = _NULL
    mask[is_null, _LENGTH:] = False
    return Field(field.cells, mask)


def timestamps(moments: Micros) -> Field:
    """Return a timestamptz column from microseconds since 1970."""
    return fixed(_big_endian(moments - _POSTGRES_EPOCH, 8))


def integers(values: Integers, width: int, is_null: Mask | None = None) -> Field:
    """Return an integer column of `width` bytes: 2, 4 or 8, as in the table."""
    encoded = _big_endian(values, width)
    return fixed(encoded) if is_null is None else nullable(encoded, is_null)


def hexadecimal(values: Bytes) -> Bytes:
    """Return the bytes as text of two hexadecimal digits each."""
    digits = np.empty((len(values), values.shape[1] * 2), dtype=np.uint8)
    digits[:, 0::2] = _HEX[values >> 4]
    digits[:, 1::2] = _HEX[values & 15]
    return digits


def time_ordered_ids(generator: np.random.Generator, moments: Micros) -> Bytes:
    """Return a UUID of version 7 for each moment."""
    ids = generator.integers(0, 256, size=(len(moments), 16), dtype=np.uint8)
    ids[:, :6] = _big_endian(moments // 1000, 8)[:, 2:]
    ids[:, 6] = (ids[:, 6] & 0x0F) | 0x70
    ids[:, 8] = (ids[:, 8] & 0x3F) | 0x80
    return ids


def batch(fields: Sequence[Field]) -> bytes:
    """Return the columns as the input of one COPY … (format binary)."""
    rows = len(fields[0].cells)
    width = 2 + sum(field.cells.shape[1] for field in fields)
    cells = np.empty((rows, width), dtype=np.uint8)
    mask = np.ones((rows, width), dtype=np.bool_)
    cells[:, :2] = (0, len(fields))
    start = 2
    for field in fields:
        end = start + field.cells.shape[1]
        cells[:, start:end] = field.cells
        if field.mask is not None:
            mask[:, start:end] = field.mask
        start = end
    return _HEADER + cells[mask].tobytes() + _TRAILER


def _big_endian(values: Integers, width: int) -> Bytes:
    return values.astype(f">i{width}").view(np.uint8).reshape(-1, width)
