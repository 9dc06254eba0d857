"""Changes the type of a source column that triggers and views of dbt read.

PostgreSQL refuses the change while they exist, so they are dropped and recreated with
the same owners, privileges, options, comments and trigger modes. An index of names gets
the key for the new type.
"""

from dataclasses import dataclass

import psycopg2
from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from bootstrap import name_indexes
from saas_analytics import database
from saas_analytics.errors import UserError
from saas_analytics.settings import Settings

# In seconds: how long the change waits for a lock, while other sessions queue.
LOCK_SECONDS = 10

# The statement's keyword for each trigger mode of pg_trigger.tgenabled.
_ENABLE = {"O": "enable", "D": "disable", "A": "enable always", "R": "enable replica"}

_VIEWS = """
with recursive found (oid, depth) as (
    select pg_rewrite.ev_class, 1
    from pg_depend
    inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid
    where pg_depend.classid = 'pg_rewrite'::regclass
        and pg_depend.refclassid = 'pg_class'::regclass
        and pg_depend.refobjid = %(table)s::regclass
        and pg_depend.refobjsubid in (0, %(number)s)
    union
    select pg_rewrite.ev_class, found.depth + 1
    from found
    inner join pg_depend
        on pg_depend.refclassid = 'pg_class'::regclass
        and pg_depend.refobjid = found.oid
    inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid
    where pg_depend.classid = 'pg_rewrite'::regclass
        and pg_rewrite.ev_class != found.oid
)

select
    views.oid::regclass::text, quote_ident(pg_get_userbyid(views.relowner)),
    views.relkind = 'v' and not exists (
        select from pg_rewrite
        where ev_class = views.oid and rulename != '_RETURN'
    ) and not exists (select from pg_trigger where tgrelid = views.oid),
    format(
        'create view %%s %%s as %%s', views.oid::regclass,
        'with (' || nullif(array_to_string(views.reloptions, ', '), '') || ')',
        pg_get_viewdef(views.oid)
    ),
    array(
        select format(
            'grant %%s%%s on %%s to %%s%%s', granted.privilege_type,
            ' (' || quote_ident(acls.column_name) || ')', views.oid::regclass,
            case granted.grantee when 0 then 'public'
                else granted.grantee::regrole::text end,
            case when granted.is_grantable then ' with grant option' end
        )
        from (
            select views.relacl as acl, null::name as column_name
            union all
            select attacl, attname from pg_attribute where attrelid = views.oid
        ) as acls
        cross join aclexplode(acls.acl) as granted
        where granted.grantee != views.relowner
    ) || array(
        select case objsubid
            when 0 then format(
                'comment on view %%s is %%L', views.oid::regclass, description
            )
            else format(
                'comment on column %%s.%%I is %%L', views.oid::regclass, attname,
                description
            ) end
        from pg_description
        left join pg_attribute on attrelid = objoid and attnum = objsubid
        where objoid = views.oid and classoid = 'pg_class'::regclass
    )
from (select oid, max(depth) as depth from found group by oid) as each_view
inner join pg_class as views on each_view.oid = views.oid
order by each_view.depth, views.oid
"""

_TRIGGERS = """
select distinct quote_ident(tgname), pg_get_triggerdef(pg_trigger.oid), tgenabled::text
from pg_depend
inner join pg_trigger on pg_depend.objid = pg_trigger.oid
where pg_depend.classid = 'pg_trigger'::regclass
    and pg_depend.refclassid = 'pg_class'::regclass
    and pg_depend.refobjid = %(table)s::regclass
    and pg_depend.refobjsubid = %(number)s
    and pg_trigger.tgrelid = %(table)s::regclass
    and not tgisinternal
order by 1
"""


@dataclass(frozen=True)
class Retyped:
    """The recreated objects."""

    views: list[str]
    triggers: list[str]
    indexes: list[str]


def retype(
    connection: Connection, settings: Settings, table: str, column: str, data_type: str
) -> Retyped:
    """Change a column's type in one transaction.

    Raises:
        UserError: the column or type does not exist, or an object depends on the column
            that can't be recreated.
    """
    name = sql.Identifier(settings.source_schema, table).as_string(connection)
    with connection, connection.cursor() as cursor:
        cursor.execute("set local lock_timeout = %s", (f"{LOCK_SECONDS}s",))
        key = {"table": name, "number": _number(cursor, name, table, column)}
        qualified_type, is_text = _type(cursor, data_type, settings.source_schema)
        names = {"table": sql.SQL(name), "column": sql.Identifier(column)}
        names["type"] = sql.SQL(qualified_type)

        def run(statement: str, **more: str) -> None:
            quoted = {key: sql.SQL(text) for key, text in more.items()}
            cursor.execute(sql.SQL(statement).format(**names, **quoted))

        # The lock keeps other sessions from creating a view on the table. The empty
        # search_path makes definitions name every schema.
        run("lock table {table} in access exclusive mode")
        run("set local search_path = pg_catalog, pg_temp")
        cursor.execute(_VIEWS, key)
        views = cursor.fetchall()
        cursor.execute(_TRIGGERS, key)
        triggers = cursor.fetchall()
        for view, _, is_plain, _, _ in views:
            if not is_plain:
                raise UserError(
                    f"{view} reads {table}.{column}, and is a materialized view or has "
                    "rules or triggers: drop it first, and recreate it afterwards"
                )
        for view, *_ in reversed(views):
            run("drop view {view}", view=view)
        for trigger, *_ in triggers:
            run("drop trigger {trigger} on {table}", trigger=trigger)
        indexes = name_indexes.others(cursor, key, is_text=is_text)
        for index in indexes:
            run("drop index {index}", index=index.name)
        try:
            run("alter table {table} alter {column} type {type} using {column}::{type}")
        except (
            psycopg2.DataError,
            psycopg2.ProgrammingError,
            psycopg2.NotSupportedError,
        ) as error:
            raise UserError(
                f"{table}.{column} can't become {data_type}: {database.explain(error)}"
            ) from None
        for index in indexes:
            cursor.execute(index.definition)
        for trigger, definition, state in triggers:
            cursor.execute(definition)
            enable = "alter table {table} {enable} trigger {trigger}"
            run(enable, enable=_ENABLE[state], trigger=trigger)
        for _, owner, _, definition, others in views:
            run("set local role {owner}", owner=owner)
            for statement in (definition, *others):
                cursor.execute(statement)
            run("reset role")
    return Retyped(
        [view for view, *_ in views],
        [trigger for trigger, *_ in triggers],
        [index.name for index in indexes],
    )


def _number(cursor: Cursor, name: str, table: str, column: str) -> int:
    cursor.execute(
        "select attnum from pg_catalog.pg_attribute "
        "where attrelid = pg_catalog.to_regclass(%s) and attname = %s "
        "and attnum > 0 and not attisdropped",
        (name, column),
    )
    found = cursor.fetchone()
    if found is None:
        raise UserError(
            f"there is no column {table}.{column}: give the present names of table and "
            "column, or set DB_SCHEMA to its schema"
        )
    return int(found[0])


def _type(cursor: Cursor, data_type: str, schema: str) -> tuple[str, bool]:
    """The qualified name of a type, and whether it is a text.

    PostgreSQL's own types have no schema. A name without a schema is also resolved in
    the source's schema.
    """
    cursor.execute("savepoint type_check")
    try:
        # This function parses the text only as a type.
        cursor.execute(
            "select case when nspname = 'pg_catalog' or %(type)s like '%%(%%' "
            "then %(type)s else format('%%I.%%I', nspname, typname) end, "
            "typcategory = 'S' from pg_catalog.pg_type "
            "inner join pg_catalog.pg_namespace on typnamespace = pg_namespace.oid "
            "where pg_type.oid = coalesce(pg_catalog.to_regtype(%(type)s), "
            "pg_catalog.to_regtype(format('%%I.%%s', %(schema)s, %(type)s)))",
            {"type": data_type, "schema": schema},
        )
        found = cursor.fetchone()
    except (errors.SyntaxError, errors.DataError):
        found = None
    cursor.execute("rollback to savepoint type_check")
    if found is None:
        raise UserError(
            f'there is no type "{data_type}": name one such as text or bigint'
        )
    return str(found[0]), bool(found[1])
