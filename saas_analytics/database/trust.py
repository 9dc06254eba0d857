"""Roles that could plant code in a schema, which its users would run.

PostgreSQL calls the function or operator whose argument types match best, from any
schema of the search_path. A role that may create there can plant one. In the schemas of
the marts it can plant a table with the name of a mart: dbt writes to that table, and
runs its triggers. Superusers, the owner of the schema, the user and their members are
trusted.
"""

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from saas_analytics.errors import UserError
from saas_analytics.settings import Settings

# A role without a login, such as PostgreSQL's own roles, can't run statements.
_LESSER = sql.SQL("""
with home as (
    select oid, nspowner from pg_namespace where nspname = %(schema)s
),

lesser as (
    select roles.oid, roles.rolname, roles.rolcanlogin
    from pg_roles as roles, home
    where not rolsuper and rolname !~ '^pg_'
        and not pg_has_role(roles.oid, current_user, 'member')
        and not pg_has_role(roles.oid, nspowner, 'member')
)
""")

_CREATORS = _LESSER + sql.SQL("""
select lesser.rolname
from lesser, home
where rolcanlogin and exists (
    select from pg_roles as rights
    where pg_has_role(lesser.oid, rights.oid, 'member')
        and has_schema_privilege(rights.oid, home.oid, 'create')
)
order by 1
""")

_PLANTED = _LESSER + sql.SQL(""",

things as (
    select 'function ' || oid::regprocedure as name, proowner as owner
    from pg_proc where pronamespace = (select oid from home)
    union all
    select 'operator ' || oid::regoperator, oprowner
    from pg_operator where oprnamespace = (select oid from home)
    union all
    select 'relation ' || oid::regclass, relowner
    from pg_class
    where %(with_relations)s and relnamespace = (select oid from home)
        and relkind in ('r', 'p', 'v', 'm', 'f')
)

select things.name, rolname
from things
inner join lesser on things.owner = lesser.oid
order by 1
""")


def creators(cursor: Cursor, schema: str) -> list[str]:
    """The roles with a login that may create in a schema and are not trusted."""
    cursor.execute(_CREATORS, {"schema": schema})
    return [name for (name,) in cursor.fetchall()]


def complaint(cursor: Cursor, schema: str, *, setting: str = "DB_SCHEMA") -> str | None:
    """An error message if a schema is unsafe in a search_path; None otherwise.

    Args:
        cursor: of the role that uses the schema, or of a member of it.
        schema: its name; a missing schema is safe.
        setting: the setting that names it. An application may have its own tables in
            the source's schema; in the marts' schemas all tables belong to dbt.
    """
    quoted = sql.Identifier(schema).as_string(cursor)
    if found := creators(cursor, schema):
        others = f" and {len(found) - 1} more" if found[1:] else ""
        return (
            f'role "{found[0]}"{others} may create in schema "{schema}", and so plant '
            "code that users of the schema run: run "
            f"`revoke create on schema {quoted} from public` (or from that role) as "
            f"the schema's owner, or name another schema in {setting}"
        )
    with_relations = setting != "DB_SCHEMA"
    cursor.execute(_PLANTED, {"schema": schema, "with_relations": with_relations})
    if planted := cursor.fetchone():
        name, owner = planted
        return (
            f'schema "{schema}" holds {name} of role "{owner}", which can replace '
            "a trusted object: drop it, or change its owner to a trusted role"
        )
    return None


def complaints(cursor: Cursor, settings: Settings) -> list[str]:
    """The messages for unsafe schemas among the source's and the marts'."""
    found = [complaint(cursor, settings.source_schema)]
    for schema in settings.dbt_schemas():
        found.append(complaint(cursor, schema, setting="DBT_SCHEMA"))
    return [each for each in found if each is not None]


def refuse(cursor: Cursor, schema: str, *, setting: str = "DB_SCHEMA") -> None:
    """Refuse a schema that is unsafe in a search_path.

    Raises:
        UserError: a role that is not trusted may create there, or owns objects there.
    """
    if found := complaint(cursor, schema, setting=setting):
        raise UserError(found)
