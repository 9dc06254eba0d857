"""Rows per second and bytes per row."""

import contextlib
import io
import multiprocessing
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import psycopg2
import psycopg2.errors
from psycopg2 import sql

from benchmarks import server
from benchmarks.ingest.designs import Design, Rows, in_turn

HISTORY_BATCH = 250_000
SINGLE_ROWS_PREPARED = 2_000


def load_history(
    designs: Sequence[Design], rows: Rows, table: str, stop: int
) -> Iterator[int]:
    """Fill a table in both designs at once; yields the number of rows."""
    columns = rows.columns(table)
    with ThreadPoolExecutor(len(designs)) as pool, unchecked(designs):
        for start in range(0, stop, HISTORY_BATCH):
            lines = rows.as_copy(table, start, min(start + HISTORY_BATCH, stop))
            copies = [
                pool.submit(copy_rows, design, table, columns, io.StringIO(lines))
                for design in designs
            ]
            for copy in copies:
                copy.result()
            yield min(HISTORY_BATCH, stop - start)


@contextlib.contextmanager
def unchecked(designs: Sequence[Design]) -> Iterator[None]:
    """Disable the checks of foreign keys if the user may: the rows match."""
    for design in designs:
        with (
            design.connection.cursor() as cursor,
            contextlib.suppress(psycopg2.errors.InsufficientPrivilege),
        ):
            cursor.execute("set session_replication_role = replica")
    yield
    for design in designs:
        with (
            design.connection.cursor() as cursor,
            contextlib.suppress(psycopg2.errors.InsufficientPrivilege),
        ):
            cursor.execute("set session_replication_role = origin")


def copy_in_turns(
    designs: Sequence[Design], rows: Rows, bounds: Sequence[int]
) -> Iterator[dict[str, float]]:
    """Add the usage events between bounds, another design going first each time.

    Yields:
        The rows per second of each design.
    """
    columns = rows.columns("usage_events")
    for turn, (first, stop) in enumerate(pairwise(bounds)):
        lines = rows.as_copy("usage_events", first, stop)
        rates = {}
        for design in in_turn(designs, turn):
            began = time.perf_counter()
            copy_rows(design, "usage_events", columns, io.StringIO(lines))
            rates[design.name] = (stop - first) / (time.perf_counter() - began)
        yield rates


def copy_rows(
    design: Design, table: str, columns: list[str], lines: io.StringIO
) -> None:
    with design.connection.cursor() as cursor:
        cursor.copy_expert(
            sql.SQL("copy {} ({}) from stdin").format(
                sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
            ),
            lines,
        )


def vacuum(designs: Sequence[Design], tables: Iterable[str]) -> None:
    """Vacuum and analyze both, as autovacuum does."""
    for design in designs:
        with design.connection.cursor() as cursor:
            for table in tables:
                cursor.execute(
                    sql.SQL("vacuum (analyze) {}").format(sql.Identifier(table))
                )
            cursor.execute("checkpoint")


@dataclass(frozen=True)
class Size:
    """Bytes per row of an event table."""

    heap: float
    indexes: dict[str, float]
    """By the columns (or the expression) of the index."""


def size(design: Design, row_count: int, table: str = "usage_events") -> Size:
    """The size of an event table on disk."""
    with design.connection.cursor() as cursor:
        cursor.execute(
            """
            select
                coalesce(index_table.indexrelid, 0) <> 0 as is_index,
                case
                    when index_table.indexrelid is not null then (
                        select
                            access_method.amname || ' ('
                            || string_agg(attname, ', ' order by attnum) || ')'
                        from pg_attribute
                        where attrelid = index_table.indexrelid
                    )
                end as name,
                sum(pg_table_size(coalesce(index_table.indexrelid, leaf.relid)))
            from (
                select relid from pg_partition_tree(%(table)s) where isleaf
                union
                select oid from pg_class
                where oid = %(table)s::regclass and relkind = 'r'
            ) as leaf
            left join lateral (
                select null::oid as indexrelid
                union all
                select indexrelid from pg_index where indrelid = leaf.relid
            ) as index_table on true
            left join pg_class as index_class
                on index_table.indexrelid = index_class.oid
            left join pg_am as access_method
                on index_class.relam = access_method.oid
            group by 1, 2
            order by 1, 3 desc
            """,
            {"table": table},
        )
        sizes = cursor.fetchall()
    return Size(
        heap=float(sum(total for is_index, _, total in sizes if not is_index))
        / row_count,
        indexes={
            name: float(total) / row_count
            for is_index, name, total in sizes
            if is_index
        },
    )


def single_rows_in_turns(
    designs: Sequence[Design], rows: Rows, *, clients: int, rounds: int, seconds: float
) -> Iterator[dict[str, float]]:
    """Rows per second of clients that insert row by row, a commit each; in turns."""
    columns, prepared = rows.for_single_inserts(clients * SINGLE_ROWS_PREPARED)
    context = multiprocessing.get_context("spawn")
    with context.Pool(clients) as pool:
        for turn in range(rounds):
            rates = {}
            for design in in_turn(designs, turn):
                counts = pool.starmap(
                    insert_single_rows,
                    [
                        (design.dsn, columns, prepared[client::clients], seconds)
                        for client in range(clients)
                    ],
                    chunksize=1,
                )
                rates[design.name] = sum(counts)
            yield rates


def insert_single_rows(
    dsn: str, columns: list[str], prepared: list[tuple[object, ...]], seconds: float
) -> float:
    """One client: insert for a while; return its rows per second."""
    late = random.Random(0)
    with (
        contextlib.closing(server.connect(dsn)) as connection,
        connection.cursor() as cursor,
    ):
        # Prepared once, as an application's driver does.
        cursor.execute(
            sql.SQL(
                "prepare one_row as insert into usage_events ({}, occurred_at) "
                "values ({}, now() - {})"
            ).format(
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join(
                    sql.SQL(f"${number + 1}") for number in range(len(columns))
                ),
                sql.SQL(f"${len(columns) + 1}::interval"),
            )
        )
        execute = f"execute one_row ({', '.join(['%s'] * (len(columns) + 1))})"
        count = 0
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            days = 30 * late.random() if late.random() < 0.01 else 0
            cursor.execute(execute, (*prepared[count % len(prepared)], f"{days} days"))
            count += 1
        return count / elapsed
