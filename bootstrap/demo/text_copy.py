"""Rows into COPY's text format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields

from bootstrap.demo.rows import Row

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def column_names(row_type: type[Row]) -> list[str]:
    """Return the columns that a row class fills, in order."""
    return [column.name for column in fields(row_type)]


def copy_text(rows: Iterable[Row], row_type: type[Row]) -> Iterator[str]:
    """Yield the rows as lines of COPY's text format."""
    columns = column_names(row_type)
    for row in rows:
        yield "\t".join([_cell(getattr(row, column)) for column in columns]) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return "\\N"
    if value is True or value is False:
        return "t" if value else "f"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True).translate(_ESCAPES)
    return str(value)
