"""The walk of resolution.py finds what is planted, and nothing in what we set up."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from saas_analytics import settings
from tests.python.resolution import walk
from tests.python.roles import Stage, set_stage

# A function of the analyst's, in a schema of the analyst's.
TOOLS = """
create schema tools authorization {analyst};
set local role {analyst};
create function tools.truth() returns boolean language sql immutable as 'select true';
create function tools.fire() returns trigger language plpgsql
    as 'begin return new; end';
create function tools.on_event() returns event_trigger language plpgsql
    as 'begin end';
create type tools.pair as (one integer, other integer);
create function tools.convert(tools.pair) returns text language sql immutable
    as 'select ''''';
create domain tools.code as text check (tools.truth());
create function tools.differ(text, text) returns boolean language sql immutable
    as 'select true';
create function tools.differ_in_case(varchar, varchar) returns boolean
    language sql immutable as 'select true';
create operator tools.<> (leftarg = text, rightarg = text, function = tools.differ);
create aggregate tools.total(integer) (sfunc = int4pl, stype = integer);
create function tools.compare(text, text) returns integer language sql immutable
    as 'select 0';
create collation tools.alphabet (provider = libc, locale = 'C');
reset role;
"""

# What is planted; it becomes part of what greater roles run.
PLANTS = {
    "an overload": (
        "grant create on schema public to {analyst}; set local role {analyst};"
        "create function public.format(text, name) returns text language sql "
        "as 'select ''planted'''; reset role;"
        "revoke create on schema public from {analyst}",
        "function format(text,name) of role",
    ),
    "an operator in a view": (
        "create view public.odd as "
        "select id from public.users where email operator(tools.<>) ''",
        "rule _RETURN on view odd resolves to operator tools.<>(text,text) of role",
    ),
    "a cast": (
        "set local role {analyst};"
        "create cast (tools.pair as text) with function tools.convert(tools.pair) "
        "as implicit; reset role",
        "resolves to function tools.convert(tools.pair) of role",
    ),
    "a check of a domain": (
        "create domain public.code as text check (tools.truth())",
        "constraint code_check resolves to function tools.truth() of role",
    ),
    "a condition of a trigger": (
        "create trigger odd before insert on public.users for each row "
        "when (tools.truth()) execute function public.stamp_change()",
        "trigger odd on table users resolves to function tools.truth() of role",
    ),
    "a right to triggers": (
        "grant trigger on public.users to {analyst}",
        "may put a trigger on users",
    ),
    "an event trigger": (
        "alter function tools.on_event() owner to current_user;"
        "create event trigger odd on ddl_command_end "
        "execute function tools.on_event();"
        "alter function tools.on_event() owner to {analyst}",
        "event trigger odd resolves to function tools.on_event() of role",
    ),
    "a default": (
        "alter table public.users alter is_active set default tools.truth()",
        "default value for column is_active of table users resolves to "
        "function tools.truth() of role",
    ),
    "an expression of an index": (
        "create index odd on public.users ((tools.truth()))",
        "index odd resolves to function tools.truth() of role",
    ),
    "a policy": (
        "create policy odd on public.users using (tools.truth())",
        "policy odd on table users resolves to function tools.truth() of role",
    ),
    "a function at one remove": (
        "create schema more; create function more.truth() returns boolean "
        "language sql begin atomic select tools.truth(); end;"
        "alter table public.users alter is_active set default more.truth()",
        "function more.truth() resolves to function tools.truth() of role",
    ),
    "a schema": (
        "grant create on schema public to public",
        "may create in schema public",
    ),
    "a search_path": (
        "alter function public.record_change() set search_path = public, pg_temp",
        "function record_change() has the search_path ['search_path=public, pg_temp']",
    ),
    "a name without a schema": (
        "create function public.odd() returns bigint language plpgsql "
        "set search_path = pg_catalog, pg_temp "
        "as 'begin return (select count(*) from users); end'",
        "function odd() looks up users, without a schema",
    ),
    "a call without a schema": (
        "create function public.odd() returns integer language plpgsql "
        "set search_path = pg_catalog, pg_temp "
        "as 'begin return aggregate_stale_usage(); end'",
        "function odd() looks up aggregate_stale_usage(), without a schema",
    ),
}


@pytest.fixture(scope="module", params=["", "second_"], ids=["18", "15"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A migrated source with its roles, on two versions of PostgreSQL."""
    server_url = request.getfixturevalue(f"{request.param}server_url")
    with set_stage(server_url, "createrole") as made:
        made.make_roles().check_returncode()
        made.login(made.analyst)
        yield made


@pytest.fixture
def cursor(stage: Stage) -> Iterator[Cursor]:
    """A cursor of the administrator's; what it does is rolled back."""
    with closing(stage.admin.connect()) as connection, connection.cursor() as cursor:
        # Names are written as short as this allows.
        cursor.execute("set local search_path = pg_catalog, public")
        yield cursor


def runners(stage: Stage) -> dict[str, str]:
    """For each schema the role whose rights its objects run with."""
    ((owner,),) = stage.owner.execute("select current_user::text")
    marts = dict.fromkeys(settings.load({}).dbt_schemas(), stage.transformer)
    return {"public": owner, **marts}


def test_nothing_that_a_greater_role_runs_can_be_changed_by_a_lesser_one(
    stage: Stage, cursor: Cursor
) -> None:
    assert walk(cursor, runners(stage)) == []


@pytest.mark.parametrize("plant", PLANTS)
def test_the_walk_finds(plant: str, stage: Stage, cursor: Cursor) -> None:
    statements, expected = PLANTS[plant]
    for script in (TOOLS, statements):
        cursor.execute(sql.SQL(script).format(analyst=sql.Identifier(stage.analyst)))

    found = walk(cursor, runners(stage))

    assert [line for line in found if expected in line], "\n".join(found)
