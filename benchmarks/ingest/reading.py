"""Milliseconds per look-up, and per account that is erased."""

import datetime
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from benchmarks.ingest.designs import SHARES, Design, Rows

SAMPLES = 15

# The columns by which the application searches, in addition to the time. Values of the
# first columns are drawn by event; of the others, the most frequent and the rarest.
MANY_VALUES = {
    "usage_events": ("user_id", "license_id", "team_id", "session_id"),
    "api_usage": ("user_id", "license_id"),
    "error_logs": ("user_id", "license_id"),
    "audit_logs": ("user_id", "team_id", "resource_id"),
}
FEW_VALUES = {
    "usage_events": ("event_type", "event_category"),
    "api_usage": ("endpoint", "status_code"),
    "error_logs": ("error_type", "severity", "source"),
    "audit_logs": ("action", "resource_type", "status"),
}


@dataclass(frozen=True)
class Shape:
    """A way to read the matching rows."""

    name: str
    selected: str
    ending: str
    is_recent: bool = False


NEWEST = "order by occurred_at desc limit 50"
SHAPES = (
    Shape("newest 50", "*", NEWEST),
    Shape("newest 50 of 30 days", "*", NEWEST, is_recent=True),
    Shape("every row", "max(created_at)", ""),
    Shape("every row of 30 days", "max(created_at)", "", is_recent=True),
)


@dataclass(frozen=True)
class Timing:
    """Median seconds of one look-up, by shape and design."""

    name: str
    seconds: dict[str, dict[str, float]]


def time_lookups(designs: Sequence[Design], rows: Rows) -> Iterator[Timing]:
    """Every look-up by the value of a column, in each shape."""
    for table in SHARES:
        for column in MANY_VALUES[table]:
            values = _drawn_values(rows, table, column)
            yield _time_equality(designs, rows, table, column, column, values)
        for column in FEW_VALUES[table]:
            frequent, rare = _extreme_values(rows, table, column)
            for word, value in (("frequent", frequent), ("rare", rare)):
                name = f"{column}, {word}"
                yield _time_equality(designs, rows, table, column, name, [value])


def time_other_lookups(designs: Sequence[Design], rows: Rows) -> Iterator[Timing]:
    """Look-ups by time and by id, with their one shape each."""
    table = sql.Identifier("usage_events")
    newest = sql.SQL(f"select * from {{}} {NEWEST}").format(table)
    yield Timing("newest 50 events", {"": _medians(designs, [newest])})
    hours = []
    for number in range(SAMPLES):
        begin = rows.until - datetime.timedelta(days=5 + 20 * number)
        hours.append(
            sql.SQL(
                "select max(created_at) from {} "
                "where occurred_at >= {} and occurred_at < {}"
            ).format(
                table,
                sql.Literal(begin),
                sql.Literal(begin + datetime.timedelta(hours=1)),
            )
        )
    yield Timing("every event of an hour", {"": _medians(designs, hours)})
    ids = {design.name: _drawn_ids(design) for design in designs}
    by_id = sql.SQL("select * from {} where id = {}")
    seconds: dict[str, float] = {}
    for design in designs:
        queries = [by_id.format(table, sql.Literal(i)) for i in ids[design.name]]
        seconds |= _medians([design], queries)
    yield Timing("the event of an id", {"": seconds})


def _time_equality(
    designs: Sequence[Design],
    rows: Rows,
    table: str,
    column: str,
    name: str,
    values: list[object],
) -> Timing:
    seconds = {}
    for shape in SHAPES:
        since: sql.Composable = sql.SQL("")
        if shape.is_recent:
            since = sql.SQL("and occurred_at >= {}").format(
                sql.Literal(rows.until - datetime.timedelta(days=30))
            )
        queries = [
            sql.SQL("select {} from {} where {} = {} {} {}").format(
                sql.SQL(shape.selected),
                sql.Identifier(table),
                sql.Identifier(column),
                sql.Literal(value),
                since,
                sql.SQL(shape.ending),
            )
            for value in values
        ]
        seconds[shape.name] = _medians(designs, queries)
    return Timing(f"{table}: {name}", seconds)


def _medians(
    designs: Sequence[Design], queries: Sequence[sql.Composed]
) -> dict[str, float]:
    """Median seconds over the queries, planning included; each once to warm up."""
    times: dict[str, list[float]] = {design.name: [] for design in designs}
    for query in queries:
        for design in designs:
            time_query(design.connection, query)
            tries = [time_query(design.connection, query) for _ in range(3)]
            times[design.name].append(statistics.median(tries))
    return {name: statistics.median(values) for name, values in times.items()}


def time_query(connection: Connection, query: sql.Composed) -> float:
    with connection.cursor() as cursor:
        began = time.perf_counter()
        cursor.execute(query)
        cursor.fetchall()
        return time.perf_counter() - began


def _drawn_values(rows: Rows, table: str, column: str) -> list[object]:
    """Values of events that are spread over the year: the busy ones come more often."""
    total = rows.count(table)
    values: list[object] = []
    for number in range(SAMPLES):
        start = total * (2 * number + 1) // (2 * SAMPLES)
        found = [v for v in rows.values(table, column, start, start + 50) if v]
        values.append(found[0])
    return values


def _extreme_values(rows: Rows, table: str, column: str) -> tuple[object, object]:
    """The most frequent value and the rarest of a column."""
    sample = rows.values(table, column, 0, min(rows.count(table), 100_000))
    ordered = statistics.multimode(sample)[0], min(set(sample), key=sample.count)
    return ordered


def _drawn_ids(design: Design) -> list[object]:
    with design.connection.cursor() as cursor:
        cursor.execute(
            "select id from usage_events tablesample system (0.1) "
            "order by md5(id::text) limit %s",
            (SAMPLES,),
        )
        return [found for (found,) in cursor.fetchall()]


def time_erasing(designs: Sequence[Design]) -> Iterator[Timing]:
    """Deleting accounts, which searches all event tables for them; rolled back."""
    for name, table, prefix in (
        ("a user", "users", "user"),
        ("a team", "teams", "team"),
    ):
        times: dict[str, list[float]] = {design.name: [] for design in designs}
        for number in range(SAMPLES):
            # Every license of these numbers has a team; the first are the busy ones.
            account = 2 * (number + 1) ** 3 // 10 * 10 + 1
            statement = sql.SQL("delete from {} where id = md5({})::uuid").format(
                sql.Identifier(table), sql.Literal(f"{prefix}{account}")
            )
            for design in designs:
                times[design.name].append(_seconds_rolled_back(design, statement))
        yield Timing(
            name,
            {"": {design: statistics.median(t) for design, t in times.items()}},
        )


def _seconds_rolled_back(design: Design, statement: sql.Composed) -> float:
    with design.connection.cursor() as cursor:
        cursor.execute("begin")
        began = time.perf_counter()
        cursor.execute(statement)
        elapsed = time.perf_counter() - began
        cursor.execute("rollback")
        return elapsed
