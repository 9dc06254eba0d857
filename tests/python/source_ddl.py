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

from tests.python.torture import REFERENCES

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
            self.cursor.execute("select %s::regclass::oid::int", (table,))
            ((self.tables[table],),) = self.cursor.fetchall()
            self.cursor.execute(
                "select attname, attnum from pg_attribute "
                "where attrelid = %s and attnum > 0 and not attisdropped",
                (self.tables[table],),
            )
            self.columns[table] = dict(self.cursor.fetchall())

    def name(self, table: str) -> sql.Composable:
        """A table by its present name."""
        self.cursor.execute("select %s::regclass::text", (self.tables[table],))
        ((name,),) = self.cursor.fetchall()
        return sql.SQL(name)

    def column(self, table: str, column: str) -> str:
        """The present name of a column."""
        self.cursor.execute(
            "select attname from pg_attribute where attrelid = %s and attnum = %s",
            (self.tables[table], self.columns[table][column]),
        )
        ((name,),) = self.cursor.fetchall()
        return str(name)

    def as_it_was(self) -> sql.Composable:
        """CTEs that show the present rows under the names of the beginning."""
        parts = []
        for table, columns in self.columns.items():
            self.cursor.execute(
                "select attnum, attname from pg_attribute "
                "where attrelid = %s and attnum > 0 and not attisdropped",
                (self.tables[table],),
            )
            present = dict(self.cursor.fetchall())
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

    def disagreements(self) -> dict[str, int]:
        """Rows by which marts differ from the source, read by the administrator."""
        found = {}
        for mart, query in REFERENCES.items():
            reference = sql.SQL("with {} select * from ({}) as reference").format(
                self.as_it_was(), sql.SQL(query.replace("%", "%%"))
            )
            self.cursor.execute(
                sql.SQL("select * from ({}) as reference limit 0").format(reference)
            )
            names = sql.SQL(", ").join(
                sql.Identifier(column.name) for column in self.cursor.description
            )
            self.cursor.execute(
                sql.SQL(
                    "select count(*) from (select from (select {names}, 1 as sign "
                    "from ({reference}) as reference union all "
                    "select {names}, -1 from {mart}) as both_sides "
                    "group by {names} having sum(sign) <> 0) as different"
                ).format(
                    names=names,
                    reference=reference,
                    mart=sql.Identifier("analytics", mart),
                )
            )
            ((rows,),) = self.cursor.fetchall()
            if rows:
                found[mart] = rows
        return found

    def write(self, generator: random.Random) -> None:
        """Insert, update and delete some rows of a table drawn at random."""
        table = generator.choice(TABLES)
        some = sql.SQL(
            "{key} in (select {key} from {table} order by random() limit {n})"
        ).format(
            key=sql.Identifier(self.column(table, "id")),
            table=self.name(table),
            n=sql.Literal(generator.randint(1, 6)),
        )
        column = generator.choice(
            [name for name in COLUMNS[table] if name not in ("license_id", "status")]
        )
        copied = [
            sql.Identifier(self.column(table, name))
            for name in self.columns[table]
            if name not in ("id", "change_xid", "license_key")
        ]
        key = (
            sql.Identifier(self.column(table, "license_key"))
            if (table == "licenses")
            else None
        )
        statements = [
            sql.SQL("delete from {} where {}").format(self.name(table), some),
            sql.SQL("update {} set {} = {} where {}").format(
                self.name(table),
                sql.Identifier(self.column(table, column)),
                sql.SQL(self._another(table, column)).format(
                    sql.Identifier(self.column(table, column))
                ),
                some,
            ),
            sql.SQL("insert into {0} ({1}{2}) select {1}{3} from {0} where {4}").format(
                self.name(table),
                sql.SQL(", ").join(copied),
                sql.SQL("") if key is None else sql.SQL(", {}").format(key),
                sql.SQL("" if key is None else ", gen_random_uuid()::text"),
                some,
            ),
        ]
        generator.shuffle(statements)
        for statement in statements[: generator.randint(1, 3)]:
            self.cursor.execute(statement)

    @staticmethod
    def _another(table: str, column: str) -> str:
        if column.endswith("_at"):
            return "{} - interval '20 days'"
        if column == "amount_cents":
            return "{} + 1"
        if column == "user_id" and table == "usage_events":
            return "nullif({0}, {0})"
        if column.endswith("_id"):
            return "{}"
        if column == "plan_type":
            return "(array['free', 'starter', 'pro'])[1 + floor(random() * 3)::int]"
        if column == "event_category":
            return "'feature'"
        return "left(concat({}, 'x'), 50)"


def rename_column(source: Source, generator: random.Random) -> None:
    """Another name, and the former one for another column, at times."""
    table = generator.choice(TABLES)
    column = generator.choice(COLUMNS[table])
    former = source.column(table, column)
    other = f"{column}_{generator.randint(1, 99)}"
    source.cursor.execute(
        sql.SQL("alter table {} rename column {} to {}").format(
            source.name(table), sql.Identifier(former), sql.Identifier(other)
        )
    )
    if generator.random() < 0.5:
        source.cursor.execute(
            sql.SQL("alter table {} add column {} {}").format(
                source.name(table),
                sql.Identifier(former),
                sql.SQL("uuid" if column.endswith("_id") else "text"),
            )
        )


def swap_columns(source: Source, generator: random.Random) -> None:
    """Two columns of one type change their names with each other."""
    for first, second, name in (
        ("event_type", "event_name", "swapped_for_a_moment"),
        ("event_name", "event_type", "swapped_for_a_moment"),
    )[: generator.randint(1, 2)]:
        a, b = (source.column("usage_events", each) for each in (first, second))
        for old, new in ((a, name), (b, a), (name, b)):
            source.cursor.execute(
                sql.SQL("alter table {} rename column {} to {}").format(
                    source.name("usage_events"),
                    sql.Identifier(old),
                    sql.Identifier(new),
                )
            )


def rename_table(source: Source, generator: random.Random) -> None:
    """Another name for a table; most times its first one again, in the same step."""
    table = generator.choice(TABLES)
    names = [f"{table}_{generator.randint(1, 99)}"]
    if generator.random() < 0.7:
        names.append(table)
    for name in names:
        source.cursor.execute(
            sql.SQL("alter table {} rename to {}").format(
                source.name(table), sql.Identifier(name)
            )
        )


def add_and_drop_columns(source: Source, generator: random.Random) -> None:
    """A column more, with a default, and one less."""
    table = source.name(generator.choice(TABLES))
    name = sql.Identifier(f"added_{generator.randint(1, 10**6)}")
    source.cursor.execute(
        sql.SQL("alter table {} add column {} text default 'x'").format(table, name)
    )
    if generator.random() < 0.5:
        source.cursor.execute(
            sql.SQL("alter table {} drop column {}").format(table, name)
        )


def secure_rows(source: Source, generator: random.Random) -> None:
    """Row-level security on or off, forced or with a policy for some rows, or all."""
    table = source.name(generator.choice(TABLES))
    action = generator.choice(("enable", "enable", "force", "disable"))
    source.cursor.execute(
        sql.SQL("alter table {} {} row level security").format(table, sql.SQL(action))
    )
    if action == "enable" and generator.random() < 0.5:
        source.cursor.execute(
            sql.SQL("create policy {} on {} using ({})").format(
                sql.Identifier(f"policy_{generator.randint(1, 10**6)}"),
                table,
                sql.SQL(generator.choice(("true", "id::text < '8'"))),
            )
        )


def reshape_partitions(source: Source, generator: random.Random) -> None:
    """A partition of another name; one that goes, and may come back."""
    events = source.name("usage_events")
    source.cursor.execute(
        "select inhrelid::regclass::text, pg_get_expr(relpartbound, inhrelid) "
        "from pg_inherits inner join pg_class on pg_class.oid = inhrelid "
        "where inhparent = %s and pg_get_expr(relpartbound, inhrelid) <> 'DEFAULT' "
        "order by 1",
        (source.tables["usage_events"],),
    )
    partition, bounds = generator.choice(source.cursor.fetchall())
    other = f"events_of_{generator.randint(1, 10**6)}"
    source.cursor.execute(f"alter table {partition} rename to {other}")
    if generator.random() < 0.5:
        detach = sql.SQL("alter table {} detach partition {}")
        attach = sql.SQL("alter table {} attach partition {} {}")
        names = (events, sql.Identifier(other))
        source.cursor.execute(detach.format(*names))
        source.cursor.execute(f"delete from {other} where random() < 0.2")
        if generator.random() < 0.8:
            source.cursor.execute(attach.format(*names, sql.SQL(bounds)))


def publish(source: Source, generator: random.Random) -> None:
    """A publication for all tables, and another replica identity."""
    source.cursor.execute("drop publication if exists everything")
    if generator.random() < 0.7:
        source.cursor.execute("create publication everything for all tables")
    source.cursor.execute(
        sql.SQL("alter table {} replica identity {}").format(
            source.name(generator.choice(TABLES)),
            sql.SQL(generator.choice(("full", "default"))),
        )
    )


def change_privileges(source: Source, generator: random.Random) -> None:
    """Rights of the transformer that are taken away."""
    table = generator.choice(TABLES)
    what = generator.choice(
        (
            sql.SQL("select on {}").format(source.name(table)),
            sql.SQL("select ({}) on {}").format(
                sql.Identifier(source.column(table, generator.choice(COLUMNS[table]))),
                source.name(table),
            ),
            sql.SQL("usage on schema public"),
            sql.SQL("select on public.change_tombstones"),
        )
    )
    source.cursor.execute(
        sql.SQL("revoke {} from {}, public").format(
            what, sql.Identifier(source.transformer)
        )
    )


def change_triggers(source: Source, generator: random.Random) -> None:
    """A trigger of capture that is dropped, or disabled for a while."""
    table = generator.choice(TABLES)
    source.cursor.execute(
        "select tgname from pg_trigger where tgrelid = %s and tgname ~ "
        "'_(stamped|moved|deleted|copied)$' order by 1",
        (source.tables[table],),
    )
    triggers = source.cursor.fetchall()
    if triggers:
        (trigger,) = generator.choice(triggers)
        action = generator.choice(("drop", "alter"))
        names = (source.name(table), sql.Identifier(trigger))
        if action == "drop":
            statement = sql.SQL("drop trigger {1} on {0}")
        else:
            statement = sql.SQL("alter table {} disable trigger {}")
        source.cursor.execute(statement.format(*names))


def inherit(source: Source, generator: random.Random) -> None:
    """A table that inherits rows into another, and loses some."""
    table = "affiliate_payouts"
    child = sql.Identifier(f"more_{generator.randint(1, 10**6)}")
    names = {"child": child, "table": source.name(table)}
    for statement in (
        "create table {child} (like {table} including defaults) inherits ({table})",
        "insert into {child} select * from only {table} limit 2",
        "delete from {child} where random() < 0.5",
    ):
        source.cursor.execute(sql.SQL(statement).format(**names))


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
