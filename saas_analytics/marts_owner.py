"""Connections that act as the role that owns the marts' schemas.

The owner of a schema can plant code in it: a trigger, a view that calls a function, a
default, or the select that the refresh engine stores as text. That code must not run
with the rights of a greater role. `set role` alone doesn't prevent that, because the
code can undo it (`reset role`). So a greater role is refused, unless no other role can
act as the owner. On the embedded server, which trusts its own user, the connection
logs in as the owner.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from saas_analytics import database
from saas_analytics.errors import UserError
from saas_analytics.settings import Settings

# macros/adapter/marts_owner.sql applies the same rule. pg_shdepend lists the objects
# and privileges of a role.
_OWNERS = """
select
    owner.rolname::text,
    owner.rolcanlogin,
    pg_has_role(me.oid, owner.oid, 'member'),
    not owner.rolsuper and (
        me.rolsuper or me.rolcreaterole or me.rolcreatedb or me.rolreplication
        or me.rolbypassrls
        or exists (
            select from pg_shdepend
            where refclassid = 'pg_authid'::regclass and refobjid = me.oid
                and deptype in ('o', 'a')
        )
        or exists (
            select from pg_roles as other
            where other.oid not in (me.oid, owner.oid)
                and pg_has_role(me.oid, other.oid, 'member')
                and not pg_has_role(owner.oid, other.oid, 'member')
        )
    ),
    not owner.rolcanlogin and not exists (
        select from pg_auth_members
        inner join pg_roles as other on pg_auth_members.member = other.oid
        where pg_auth_members.roleid = owner.oid
            and other.oid != me.oid and not other.rolsuper
    )
from pg_roles as owner
cross join pg_roles as me
where me.rolname = session_user
    and owner.oid in (
        select nspowner from pg_namespace where nspname = any (%(schemas)s)
    )
    and owner.oid != me.oid
order by 1
"""

# Only a relation's owner can replace it. The schema of staging views may also hold
# views of other projects, so only names of this project are compared there.
_BUILT_BY_ANOTHER = r"""
select
    format('%%I.%%I', nspname, relname),
    pg_get_userbyid(relowner)::text
from pg_class
inner join pg_namespace on relnamespace = pg_namespace.oid
where relkind in ('r', 'v')
    and (
        nspname = %(marts)s || '_refresh'
        or (nspname = %(marts)s || '_staging' and relname like 'stg\_saas\_\_%%')
    )
    and not pg_has_role(coalesce(%(role)s, session_user), relowner, 'usage')
order by 1
limit 1
"""


@dataclass(frozen=True)
class Identity:
    """The user to connect as and the role to set; None for the configured user."""

    user: str | None = None
    role: str | None = None


def identify(connection: Connection, settings: Settings) -> Identity:
    """The identity under which this user may use the marts' schemas.

    Raises:
        UserError: the user has rights that the owner lacks, or may not act as it.
    """
    schemas = {"schemas": settings.dbt_schemas()}
    with connection, connection.cursor() as cursor:
        cursor.execute(_OWNERS, schemas)
        owners = cursor.fetchall()
        cursor.execute("select session_user")
        (user,) = cursor.fetchone() or ("",)
    if not owners:
        return Identity()
    if len(owners) > 1:
        names = " and ".join(f'"{name}"' for name, *_ in owners)
        raise UserError(
            f"the marts' schemas belong to {names}: run `saas roles`, "
            "which gives all of them one owner"
        )
    ((owner, may_log_in, may_become, is_greater, is_closed),) = owners
    if settings.database_url is None and may_log_in:
        return Identity(user=owner)
    if may_become and (is_closed or not is_greater):
        return Identity(role=owner)
    refusal = (
        f'the marts belong to "{owner}", and "{user}" '
        f"{'has more rights' if may_become else 'is not a member of it'}: connect as "
        f'"{owner}", with its URL in DATABASE_URL '
        "(`alter role … login password …` gives it one)"
    )
    if not may_become:
        refusal += ", or run `saas roles` as the source's owner to transfer the marts"
    raise UserError(refusal)


def _refuse_what_another_built(
    connection: Connection, identity: Identity, settings: Settings
) -> None:
    role = identity.user or identity.role
    with connection, connection.cursor() as cursor:
        cursor.execute(
            _BUILT_BY_ANOTHER, {"marts": settings.marts_schema, "role": role}
        )
        found = cursor.fetchone()
    if found:
        raise UserError(
            f'{found[0]} belongs to "{found[1]}", and '
            f'"{role or connection.info.user}" builds the marts: run `saas roles` '
            "as the source's owner, which transfers the marts"
        )


@contextlib.contextmanager
def connected(settings: Settings) -> Iterator[Connection]:
    """A connection that acts as the owner of the marts, closed at the end.

    Raises:
        UserError: this user may not act as the owner, or has rights that it lacks.
    """
    with database.connected(settings) as connection:
        identity = identify(connection, settings)
        if identity.user is None:
            database.act_as(connection, identity.role)
            yield connection
            return
    with database.connected(settings, user=identity.user) as connection:
        yield connection


def dbt_variables(settings: Settings, options: str) -> dict[str, str]:
    """The environment variables with which dbt acts as the owner of the marts.

    The role is an option of the connection, because dbt loses its own `set role` when
    it rolls back its first transaction. Some poolers pass no options on. There dbt sets
    the role itself, and stops if the role was reset.

    Args:
        settings: they name the database.
        options: those of dbt's connection; without a search_path dbt sets its own.

    Raises:
        UserError: this user may not act as the owner, has rights that the owner lacks,
            or can't replace relations that another role has built.
    """
    database.url_in_use(settings)
    try:
        connection = database.connect(settings)
    except UserError:
        # dbt makes the same attempt, and its message names the connection.
        return {}
    with contextlib.closing(connection):
        identity = identify(connection, settings)
        _refuse_what_another_built(connection, identity, settings)
        quoted = sql.Identifier(identity.role or "").as_string(connection)
    if identity.user is not None:
        return {"DBT_USER": identity.user, "DBT_ROLE": ""}
    if identity.role is None:
        return {"DBT_ROLE": ""}
    if "search_path" not in options:
        return {"DBT_ROLE": quoted}
    escaped = re.sub(r"([\\\s])", r"\\\1", identity.role)
    return {"DBT_ROLE": "", "PGOPTIONS": f"{options} -c role={escaped}"}
