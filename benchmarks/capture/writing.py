"""The cost of writing an event, in time and in work of the server."""

import io
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import connection as Connection

from benchmarks.ingest.designs import Design, Rows, in_turn
from benchmarks.ingest.writing import copy_rows

# Of a column that marts group by, and of one that no mart reads.
CHANGES = {
    "update, grouped": "update usage_events set event_name = 'Renamed'",
    "update, other": "update usage_events set metadata = '{\"seen\": true}'",
    "delete": "delete from usage_events",
}

Work = Callable[[Design], int]
"""Writes rows, and returns how many."""


@dataclass(frozen=True)
class Cost:
    """Of one row, in seconds."""

    elapsed: float
    processor: float | None
    """Processor seconds of the server's process; None if it is not accessible."""


def copy_in_turns(
    designs: Sequence[Design], rows: Rows, table: str, start: int, batch_rows: int
) -> Iterator[dict[str, Cost]]:
    """Add events batch by batch."""
    columns = rows.columns(table)

    def works() -> Iterator[Work]:
        for first in range(start, rows.count(table), batch_rows):
            count = min(batch_rows, rows.count(table) - first)
            lines = rows.as_copy(table, first, first + count)

            def work(design: Design, lines: str = lines, count: int = count) -> int:
                copy_rows(design, table, columns, io.StringIO(lines))
                return count

            yield work

    return _take_turns(designs, works())


def insert_in_turns(
    designs: Sequence[Design], rows: Rows, *, rounds: int, count: int
) -> Iterator[dict[str, Cost]]:
    """Add events of now one by one, a commit each."""
    columns, prepared = rows.for_single_inserts(count)
    parameters = ", ".join(f"${number + 1}" for number in range(len(columns)))
    _prepare(
        designs,
        f"insert into usage_events ({', '.join(columns)}, occurred_at) "
        f"values ({parameters}, now())",
    )
    return _take_turns(designs, [lambda design: _execute(design, prepared)] * rounds)


def change_in_turns(
    designs: Sequence[Design], change: str, *, rounds: int, count: int
) -> Iterator[dict[str, Cost]]:
    """Change drawn events of the last 60 days one by one, a commit each."""
    drawn = {design.name: _draw(design, rounds * count) for design in designs}
    _prepare(designs, f"{CHANGES[change]} where occurred_at = $1 and id = $2::uuid")

    def work(design: Design) -> int:
        return _execute(design, [drawn[design.name].pop() for _ in range(count)])

    return _take_turns(designs, [work] * rounds)


def _take_turns(
    designs: Sequence[Design], works: Iterable[Work]
) -> Iterator[dict[str, Cost]]:
    """Each work on every design. Yields the costs by design."""
    for turn, work in enumerate(works):
        costs = {}
        for design in in_turn(designs, turn):
            used = _processor_seconds(design.connection)
            began = time.perf_counter()
            count = work(design)
            elapsed = time.perf_counter() - began
            now_used = _processor_seconds(design.connection)
            costs[design.name] = Cost(
                elapsed / count,
                None if used is None or now_used is None else (now_used - used) / count,
            )
        yield costs


def _processor_seconds(connection: Connection) -> float | None:
    """The processor seconds of the connection's server process so far."""
    if not connection.info.host.startswith("/"):
        return None
    statistics = Path(f"/proc/{connection.info.backend_pid}/schedstat")
    try:
        nanoseconds, *_ = statistics.read_text(encoding="ascii").split()
    except OSError:
        return None
    return int(nanoseconds) / 1e9


def _prepare(designs: Sequence[Design], statement: str) -> None:
    for design in designs:
        with design.connection.cursor() as cursor:
            cursor.execute("deallocate all")
            cursor.execute(f"prepare one_row as {statement}")


def _execute(design: Design, rows: Sequence[tuple[object, ...]]) -> int:
    placeholders = ", ".join(["%s"] * len(rows[0]))
    with design.connection.cursor() as cursor:
        for row in rows:
            cursor.execute(f"execute one_row ({placeholders})", row)
    return len(rows)


def _draw(design: Design, count: int) -> list[tuple[object, ...]]:
    with design.connection.cursor() as cursor:
        cursor.execute(
            "select occurred_at, id::text from usage_events "
            "where occurred_at >= now() - interval '60 days' "
            "order by md5(id::text) limit %s",
            (count,),
        )
        found = cursor.fetchall()
    assert len(found) == count, "there are too few events: give a longer --history"
    return found
