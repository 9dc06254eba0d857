"""What an application's migrations and administrators do to the source tables.

Columns and tables are found by number, as PostgreSQL finds them: whatever they are
called at present, a write reaches the same column, and the marts are compared with the
same values.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from psycopg2 import sql

from tests.python.references import OF_ANY_VALUES, mismatch, reference

TABLES = ("usage_events", "licenses", "affiliate_commissions", "affiliate_payouts")

# Columns that marts read; renaming any of them must not matter.
COLUMNS = {
    "usage_events": (
        *("user_id", "license_id", "event_type", "event_name", "event_category"),
        *("session_id", "occurred_at"),
    ),
    "licenses": ("user_id", "plan_type", "started_at", "cancelled_at", "expires_at"),
    "affiliate_commissions": ("affiliate_id", "status", "amount_cents", "created_at"),
    "affiliate_payouts": ("affiliate_id", "status", "amount_cents", "created_at"),
}


@dataclass
class Source:
    """The source tables of a database by the names that they had at first."""

    cursor: Any
    transformer: str
    tables: dict[str, int] = field(default_factory=dict)
    columns: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for table in TABLES:
            ((self.tables[table],),) = self.do(f"select '{table}'::regclass::oid::int")
            self.columns[table] = {
                name: number for number, name in self._columns(table)
            }

    def do(self, statement: str, **names: Any) -> list[Any]:
        """Run a statement, its names quoted; its rows, if it gives any."""
        self.cursor.execute(
            sql.SQL(statement).format(
                **{
                    key: sql.Identifier(name) if isinstance(name, str) else name
                    for key, name in names.items()
                }
            )
        )
        return list(self.cursor.fetchall()) if self.cursor.description else []

    def name(self, table: str) -> sql.Composable:
        """A table by its present name."""
        ((name,),) = self.do(f"select {self.tables[table]}::regclass::text")
        return sql.SQL(name)

    def column(self, table: str, column: str) -> str:
        """The present name of a column."""
        return str(dict(self._columns(table))[self.columns[table][column]])

    def _columns(self, table: str) -> list[Any]:
        return self.do(
            "select attnum, attname from pg_attribute "
            f"where attrelid = {self.tables[table]} and attnum > 0 and not attisdropped"
        )

    def as_it_was(self) -> sql.Composable:
        """CTEs that show the present rows under the names of the beginning."""
        parts = []
        for table, columns in self.columns.items():
            present = dict(self._columns(table))
            selected = sql.SQL(", ").join(
                sql.SQL("{} as {}").format(
                    sql.Identifier(present[number]), sql.Identifier(column)
                )
                for column, number in columns.items()
                if number in present
            )
            parts.append(
                sql.SQL("{} as (select {} from {})").format(
                    sql.Identifier(table), selected, self.name(table)
                )
            )
        return sql.SQL(", ").join(parts)

    def disagreements(self) -> dict[str, list[str]]:
        """What marts have otherwise than the source, read by the administrator."""
        found = {}
        for mart in OF_ANY_VALUES:
            query = sql.SQL("with {} select * from ({}) as reference").format(
                self.as_it_was(), sql.SQL(reference(mart))
            )
            if rows := mismatch(self.cursor, mart, query):
                found[mart] = rows
        return found

    def write(self, generator: random.Random) -> None:
        """Insert, update and delete some rows of a table drawn at random."""
        table = generator.choice(TABLES)
        column = generator.choice(
            [name for name in COLUMNS[table] if name not in ("license_id", "status")]
        )
        is_keyed = table == "licenses"
        copied = [
            sql.Identifier(self.column(table, name))
            for name in self.columns[table]
            if name not in ("id", "change_xid", "license_key")
        ]
        names = {
            "table": self.name(table),
            "id": self.column(table, "id"),
            "column": self.column(table, column),
            "key": self.column(table, "license_key") if is_keyed else "none",
            "copied": sql.SQL(", ").join(copied),
        }
        number = generator.randint(1, 6)
        chosen = f"select {{id}} from {{table}} order by random() limit {number}"
        some = f"{{id}} in ({chosen})"
        another = self._another(table, column)
        key, value = (", {key}", ", gen_random_uuid()::text") if is_keyed else ("", "")
        statements = [
            f"delete from {{table}} where {some}",
            f"update {{table}} set {{column}} = {another} where {some}",
            f"insert into {{table}} ({{copied}}{key}) "
            f"select {{copied}}{value} from {{table}} where {some}",
        ]
        generator.shuffle(statements)
        for statement in statements[: generator.randint(1, 3)]:
            self.do(statement, **names)

    @staticmethod
    def _another(table: str, column: str) -> str:
        if column.endswith("_at"):
            return "{column} - interval '20 days'"
        if column == "amount_cents":
            return "{column} + 1"
        if column == "user_id" and table == "usage_events":
            return "nullif({column}, {column})"
        if column.endswith("_id"):
            return "{column}"
        if column == "plan_type":
            return "(array['free', 'starter', 'pro'])[1 + floor(random() * 3)::int]"
        if column == "event_category":
            return "'feature'"
        return "left(concat({column}, 'x'), 50)"


def rename_column(source: Source, generator: random.Random) -> None:
    """Another name, and the former one for another column, at times."""
    table = generator.choice(TABLES)
    column = generator.choice(COLUMNS[table])
    former = source.column(table, column)
    names = {"table": source.name(table), "former": former}
    other = f"{column}_{generator.randint(1, 99)}"
    source.do(
        "alter table {table} rename column {former} to {other}", **names, other=other
    )
    if generator.random() < 0.5:
        kind = sql.SQL("uuid" if column.endswith("_id") else "text")
        source.do("alter table {table} add column {former} {kind}", **names, kind=kind)


def swap_columns(source: Source, generator: random.Random) -> None:
    """Two columns of one type change their names with each other, or back."""
    for _ in range(generator.randint(1, 2)):
        a, b = (
            source.column("usage_events", name) for name in ("event_type", "event_name")
        )
        for old, new in ((a, "swapped"), (b, a), ("swapped", b)):
            events = source.name("usage_events")
            rename = "alter table {events} rename column {old} to {new}"
            source.do(rename, events=events, old=old, new=new)


def rename_table(source: Source, generator: random.Random) -> None:
    """Another name for a table; most times its first one again, in the same step."""
    table = generator.choice(TABLES)
    names = [f"{table}_{generator.randint(1, 99)}"]
    if generator.random() < 0.7:
        names.append(table)
    for name in names:
        source.do(
            "alter table {table} rename to {name}", table=source.name(table), name=name
        )


def add_and_drop_columns(source: Source, generator: random.Random) -> None:
    """A column more, with a default, and one less."""
    names = {
        "table": source.name(generator.choice(TABLES)),
        "name": f"added_{generator.randint(1, 10**6)}",
    }
    source.do("alter table {table} add column {name} text default 'x'", **names)
    if generator.random() < 0.5:
        source.do("alter table {table} drop column {name}", **names)


def secure_rows(source: Source, generator: random.Random) -> None:
    """Row-level security on or off, forced or with a policy for some rows, or all."""
    table = source.name(generator.choice(TABLES))
    action = generator.choice(("enable", "enable", "force", "disable"))
    source.do(f"alter table {{table}} {action} row level security", table=table)
    if action == "enable" and generator.random() < 0.5:
        seen = generator.choice(("true", "id::text < '8'"))
        policy = f"policy_{generator.randint(1, 10**6)}"
        source.do(
            f"create policy {{policy}} on {{table}} using ({seen})",
            policy=policy,
            table=table,
        )


def reshape_partitions(source: Source, generator: random.Random) -> None:
    """A partition of another name; one that goes, and may come back."""
    partitions = source.do(
        "select inhrelid::regclass::text, pg_get_expr(relpartbound, inhrelid) "
        "from pg_inherits inner join pg_class on pg_class.oid = inhrelid "
        "where inhparent = {events} and pg_get_expr(relpartbound, inhrelid) "
        "<> 'DEFAULT' order by 1",
        events=sql.Literal(source.tables["usage_events"]),
    )
    partition, bounds = generator.choice(partitions)
    names = {
        "events": source.name("usage_events"),
        "other": f"events_of_{generator.randint(1, 10**6)}",
    }
    source.do(f"alter table {partition} rename to {{other}}", **names)
    if generator.random() < 0.5:
        source.do("alter table {events} detach partition {other}", **names)
        source.do("delete from {other} where random() < 0.2", **names)
        if generator.random() < 0.8:
            source.do(
                f"alter table {{events}} attach partition {{other}} {bounds}", **names
            )


def publish(source: Source, generator: random.Random) -> None:
    """A publication for all tables, and another replica identity."""
    source.do("drop publication if exists everything")
    if generator.random() < 0.7:
        source.do("create publication everything for all tables")
    identity = generator.choice(("full", "default"))
    table = source.name(generator.choice(TABLES))
    source.do(f"alter table {{table}} replica identity {identity}", table=table)


def change_privileges(source: Source, generator: random.Random) -> None:
    """Rights of the transformer that are taken away."""
    table = generator.choice(TABLES)
    what = generator.choice(
        (
            "select on {table}",
            "select ({column}) on {table}",
            "usage on schema public",
            "select on public.change_tombstones",
        )
    )
    source.do(
        f"revoke {what} from {{transformer}}, public",
        table=source.name(table),
        column=source.column(table, generator.choice(COLUMNS[table])),
        transformer=source.transformer,
    )


def change_triggers(source: Source, generator: random.Random) -> None:
    """A trigger of capture that is dropped, or disabled for a while."""
    table = generator.choice(TABLES)
    triggers = source.do(
        "select tgname from pg_trigger where tgrelid = {table} and tgname ~ "
        "'_(stamped|moved|deleted|copied)$' order by 1",
        table=sql.Literal(source.tables[table]),
    )
    if triggers:
        (trigger,) = generator.choice(triggers)
        statement = generator.choice(
            (
                "drop trigger {trigger} on {table}",
                "alter table {table} disable trigger {trigger}",
            )
        )
        source.do(statement, table=source.name(table), trigger=trigger)


def inherit(source: Source, generator: random.Random) -> None:
    """A table that inherits rows into another, and loses some."""
    names = {
        "child": f"more_{generator.randint(1, 10**6)}",
        "table": source.name("affiliate_payouts"),
    }
    for statement in (
        "create table {child} (like {table} including defaults) inherits ({table})",
        "insert into {child} select * from only {table} limit 2",
        "delete from {child} where random() < 0.5",
    ):
        source.do(statement, **names)


OPERATIONS: tuple[Callable[[Source, random.Random], None], ...] = (
    rename_column,
    swap_columns,
    rename_table,
    add_and_drop_columns,
    secure_rows,
    reshape_partitions,
    publish,
    change_privileges,
    change_triggers,
    inherit,
)
