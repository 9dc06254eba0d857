"""Statements that erase a person from event tables that are not the contract's.

The registry of event tables names them, and their columns determine the statement. An
event stays, without its user. Columns that bootstrap/columns.py lists as personal are
emptied.
"""

from collections.abc import Collection

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from bootstrap import columns, partitions
from saas_analytics.errors import UserError

# Each column that leads to a person, and the ids of that person.
OWNERS = {
    "license_id": "(array(select own_licenses.id from own_licenses))",
    "team_id": "(array(select own_teams.id from own_teams))",
}


def conditions(cursor: Cursor, schema: str) -> dict[str, str]:
    """The event tables that the SQL files don't know, and that lead to persons.

    Returns:
        By table, the condition of all rows without a person.
    """
    found = {}
    for table in partitions.event_tables(cursor, schema):
        present = _columns(cursor, schema, table).keys()
        if table not in columns.contract() and {"user_id", *OWNERS} & present:
            found[table] = "user_id is null" if "user_id" in present else "true"
    return found


def statement(cursor: Cursor, schema: str, table: str) -> str:
    """What erases the person from a table, written as in activity.sql.

    Raises:
        UserError: a column that leads to a person can't be emptied, or the table's
            changes are not captured.
    """
    present = _columns(cursor, schema, table)
    if "change_xid" not in present:
        raise UserError(
            f"changes of event table {table} are not captured: `saas capture {table} "
            "COLUMN` with the columns that marts group by, then erase the person"
        )
    owners = {column: ids for column, ids in OWNERS.items() if column in present}
    values = {
        "occurred_at": "other_moment(occurred_at)",
        "created_at": "end_of_quarter(created_at)",
    }
    conditions = []
    if "user_id" in present:
        values["user_id"] = _empty(table, "user_id", present)
        conditions.append("user_id = (select given.user_id from given)")
    is_nobodys = "user_id is null and " if conditions else ""
    for column, ids in owners.items():
        _empty(table, column, present)
        values[column] = f"case when {column} <> all{ids} then {column} end"
        conditions.append(f"({is_nobodys}{column} = any{ids})")
    for column in sorted(columns.personal(table) & present.keys()):
        values[column] = _empty(table, column, present)
    quoted = sql.Identifier(table).as_string(cursor)
    assignments = "".join(
        f"    {sql.Identifier(column).as_string(cursor)} = {value},\n"
        for column, value in values.items()
    )
    # other_moment() and end_of_quarter() are read up to a comma.
    return (
        f"update this_schema.{quoted}\nset\n{assignments}    id = id\n"
        f"where {' or '.join(conditions)}"
    )


def _columns(cursor: Cursor, schema: str, table: str) -> dict[str, Collection[bool]]:
    """Of each column: whether it refuses null, and whether it has a default."""
    cursor.execute(
        "select attname::text, attnotnull, atthasdef from pg_attribute "
        "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
        (sql.Identifier(schema, table).as_string(cursor),),
    )
    return {name: (never_null, default) for name, never_null, default in cursor}


def _empty(table: str, column: str, present: dict[str, Collection[bool]]) -> str:
    """The value that leads to no person."""
    never_null, has_default = present[column]
    if not never_null:
        return "null"
    if has_default and column not in ("user_id", *OWNERS):
        return "default"
    raise UserError(
        f"{table}.{column} leads to a person and takes no null: `alter table {table} "
        f"alter {column} drop not null` in a migration, then erase the person"
    )
