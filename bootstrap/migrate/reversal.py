"""The rows that reverting migrations deletes, and the objects that prevent it."""

import re
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from bootstrap.migrate.files import FOLDER, existing, revisions, statements
from bootstrap.migrate.state import refuse_edited, states
from saas_analytics import database, settings
from saas_analytics.errors import UserError

# Tables with records of this project, not with data of the application.
NOTES = (
    *("change_tombstones", "change_tombstones_cleared"),
    *("usage_aggregate_runs", "usage_aggregate_stale_periods"),
)


@dataclass(frozen=True)
class Reversal:
    """The effect of a downgrade."""

    target: str
    rows: dict[str, int]
    """The number of rows of each dropped table that has any."""


def plan_reversal(revision: str) -> Reversal:
    """The effect of a downgrade, without a change.

    Raises:
        UserError: there is nothing to revert, or another object prevents it.
    """
    target = existing(revision)
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection:
        schema = configuration.source_schema
        database.require_owner(connection, configuration)
        known = states(connection, schema)
        applied = [state.revision for state in known if state.is_applied]
        if not applied:
            raise UserError("there is no migration to revert")
        if target in revisions() and target not in applied:
            raise UserError(
                f"migration {target} is not applied, nor is any after it: there is "
                "nothing to revert"
            )
        refuse_edited(known)
        tables = _tables_dropped(_after(target, applied))
        with connection.cursor() as cursor:
            _refuse_dependents(cursor, configuration, tables)
            rows = {
                table: count
                for table in tables
                if table not in NOTES and (count := _count(cursor, schema, table))
            }
    return Reversal(target=target, rows=rows)


def _after(target: str, applied: list[str]) -> list[str]:
    """The applied revisions to revert for a target."""
    if target == "base":
        return applied
    if target in applied:
        return applied[applied.index(target) + 1 :]
    return applied[int(target) :] if target.startswith("-") else []


def _tables_dropped(taken_back: list[str]) -> list[str]:
    """The tables that the reversals of these migrations drop."""
    texts = [statements(FOLDER / f"{each}.down.sql") for each in taken_back]
    return re.findall(r"^drop table (\w+);$", "\n".join(texts), flags=re.MULTILINE)


def _count(cursor: Any, schema: str, table: str) -> int:
    cursor.execute(
        sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
    )
    return int(cursor.fetchone()[0])


def _refuse_dependents(
    cursor: Any, configuration: settings.Settings, tables: list[str]
) -> None:
    """Refuse to drop tables on which views or foreign keys depend."""
    cursor.execute(
        """
        with doomed as (
            select oid from pg_class
            where
                relnamespace = to_regnamespace(quote_ident(%s))
                and (
                    relname = any (%s) and relkind in ('r', 'p')
                    or pg_partition_root(oid) in (
                        select oid from pg_class
                        where
                            relnamespace = to_regnamespace(quote_ident(%s))
                            and relname = any (%s)
                    )
                )
        ),

        needed as (
            select ev_class as relation, refobjid as needed
            from pg_depend inner join pg_rewrite on pg_rewrite.oid = objid
            where classid = 'pg_rewrite'::regclass and refclassid = 'pg_class'::regclass
            union
            select conrelid, confrelid from pg_constraint where contype = 'f'
        )

        select
            relnamespace::regnamespace::text,
            case relkind when 'v' then 'view' when 'm' then 'materialized view'
                else 'table' end,
            format('%%I.%%I', relnamespace::regnamespace, relname),
            needed::regclass::text
        from needed inner join pg_class on pg_class.oid = relation
        where
            needed in (select oid from doomed)
            and relation not in (select oid from doomed)
        order by 3, 4
        """,
        (configuration.source_schema, tables) * 2,
    )
    found = cursor.fetchall()
    if not found:
        return
    _, kind, name, table = found[0]
    more = len({row[2] for row in found}) - 1
    others = f" (and {more} more depend on such tables)" if more else ""
    schemas = {row[0] for row in found} & set(configuration.dbt_schemas())
    drop = "".join(f", dbt's by `drop schema {each} cascade`" for each in schemas)
    raise UserError(
        f"{kind} {name} depends on table {table}{others}: drop the dependent objects "
        f"first{drop}; nothing was changed"
    )
