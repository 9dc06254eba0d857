"""Which roles could have their code run by those who look names up in a schema.

PostgreSQL takes the function or operator whose argument types fit exactly, in any
schema of the search_path. A role that may create there plants one, and others run it.
In the schemas of the marts it plants a table under the name of one: dbt writes to it,
and runs its triggers.
Superusers, the owner of the schema, and the user itself are trusted, with members.
"""

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from saas_analytics.errors import UserError
from saas_analytics.settings import Settings

# A role without a login does nothing by itself, as those of PostgreSQL's own.
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
    """What is not safe about looking names up in a schema, and what to do.

    Args:
        cursor: of the role that uses the schema, or of a member of it.
        schema: its name; one that is not there is safe.
        setting: the one that names it. An application may have tables of its own in
            that of the source; all tables in those of the marts are dbt's.
    """
    quoted = sql.Identifier(schema).as_string(cursor)
    if found := creators(cursor, schema):
        others = f" and {len(found) - 1} more" if found[1:] else ""
        return (
            f'role "{found[0]}"{others} may create in schema "{schema}", and so have '
            "its code run by those who use the schema: run "
            f"`revoke create on schema {quoted} from public` (or from that role) as "
            f"the schema's owner, or name another schema in {setting}"
        )
    with_relations = setting != "DB_SCHEMA"
    cursor.execute(_PLANTED, {"schema": schema, "with_relations": with_relations})
    if planted := cursor.fetchone():
        name, owner = planted
        return (
            f'schema "{schema}" holds {name} of role "{owner}", which may run in place '
            "of what is meant: drop it, or hand it over to a role that you trust"
        )
    return None


def complaints(cursor: Cursor, settings: Settings) -> list[str]:
    """The same of the source's schema and those of the marts; one line each."""
    found = [complaint(cursor, settings.source_schema)]
    for schema in settings.dbt_schemas():
        found.append(complaint(cursor, schema, setting="DBT_SCHEMA"))
    return [each for each in found if each is not None]


def refuse(cursor: Cursor, schema: str, *, setting: str = "DB_SCHEMA") -> None:
    """Stop where names can't be looked up in a schema safely.

    Raises:
        UserError: a role that is not trusted may create there, or has.
    """
    if found := complaint(cursor, schema, setting=setting):
        raise UserError(found)
