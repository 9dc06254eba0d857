"""No role runs what a lesser one has planted where names are looked up.

PostgreSQL takes the function or operator whose argument types fit exactly, in any
schema of the search_path. PostgreSQL 14 lets every role create in the schema public.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from saas_analytics import settings
from tests.python.personal_data import PERSON, plant, rows_of_a_person
from tests.python.roles import Stage, set_stage
from tests.python.support import Database, dbt, refusal, run

# Types of what our SQL gives to functions and operators.
TYPES = (
    *("text", "varchar", "name", "regclass", "date", "timestamp", "timestamptz"),
    *("integer", "bigint", "numeric", "boolean", "uuid", "jsonb", "interval"),
    *("text[]", "uuid[]", "bigint[]", "date[]", "xid8", "pg_snapshot"),
)
OPERATORS = ("=", "<>", "<", "<=", ">", ">=", "||", "->", "->>", "+", "-", "*", "^")
# The server has these for text; dbt compares names by them.
OPERATORS_OF_NAMES = ("~~*", "~~", "~*")

PLANTED = """
create function public.{name}({arguments}) returns text language plpgsql
as $$ begin raise exception 'planted: {name}({arguments})'; end $$
"""


@pytest.fixture(scope="module")
def stage(server_url: str) -> Iterator[Stage]:
    """A source whose owner is a superuser, and whose schema is open to every role."""
    with set_stage(server_url, "superuser") as made:
        plant(made.admin, rows_of_a_person())
        made.make_roles().check_returncode()
        made.admin.execute("grant create on schema public to public")
        yield made


@pytest.fixture(scope="module")
def planted(stage: Stage) -> Stage:
    """The same, after the analyst planted what may fit better than what is meant."""
    analyst = stage.login(stage.analyst)
    bodies = stage.admin.execute(
        "select prosrc from pg_proc where pronamespace = 'public'::regnamespace"
    )
    words = {
        word for (body,) in bodies for word in re.findall(r"(\w+)(?=\()", body.lower())
    }
    with closing(analyst.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("set search_path = pg_catalog")
        cursor.execute(
            "select proname::text, proargtypes::regtype[]::text[] from pg_proc "
            "where pronamespace = 'pg_catalog'::regnamespace and proname = any (%s)",
            (list(words),),
        )
        there = {(name, tuple(types)) for name, types in cursor.fetchall()}
        names = sorted({name for name, _ in there})
        assert {"unnest", "format", "array_agg", "to_jsonb"} <= set(names)
        lists = [(), *((one,) for one in TYPES)]
        lists += [(one, other) for one in TYPES for other in TYPES]
        for name in names:
            for arguments in lists:
                cursor.execute(
                    sql.SQL(PLANTED).format(
                        name=sql.Identifier(name),
                        arguments=sql.SQL(", ").join(map(sql.SQL, arguments)),
                    )
                )
        _plant_operators(cursor)
        connection.commit()
    return stage


def _plant_operators(cursor: Cursor) -> None:
    """Operators that fit exactly where those of the server have to convert."""
    pairs = {
        **dict.fromkeys(OPERATORS, (("varchar", "varchar"), ("text", "varchar"))),
        **dict.fromkeys(OPERATORS_OF_NAMES, (("name", "name"),)),
    }
    for operator, types in pairs.items():
        for one, other in types:
            function = sql.Identifier("public", f"planted_{one}_{other}")
            arguments = sql.SQL(f"({one}, {other})")
            cursor.execute(
                sql.SQL(
                    "create or replace function {function}{arguments} returns boolean "
                    "language plpgsql as "
                    "$$ begin raise exception 'planted: operator'; end $$"
                ).format(function=function, arguments=arguments)
            )
            cursor.execute(
                sql.SQL(
                    "create operator public.{operator} (leftarg = {one}, "
                    "rightarg = {other}, function = {function})"
                ).format(
                    operator=sql.SQL(operator),
                    one=sql.SQL(one),
                    other=sql.SQL(other),
                    function=function,
                )
            )


def captured_tables(database: Database) -> list[str]:
    """The tables whose triggers record changes."""
    rows = database.execute(
        "select distinct tgrelid::regclass::text from pg_trigger "
        "where tgfoid = 'record_change'::regproc and tgparentid = 0"
    )
    return sorted(name for (name,) in rows)


@pytest.mark.parametrize("role", ["owner", "application"])
def test_no_trigger_runs_what_a_lesser_role_planted(planted: Stage, role: str) -> None:
    database = planted.owner if role == "owner" else planted.login(planted.application)
    tables = captured_tables(planted.admin)
    assert len(tables) == 15
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        # What this session itself looks up is its own affair.
        cursor.execute("set search_path = pg_catalog")
        for table in tables:
            name = sql.SQL("public.{}").format(sql.Identifier(table))
            cursor.execute("savepoint before_it")
            cursor.execute(sql.SQL("update {table} set id = id").format(table=name))
            delete = "delete from {table}"
            if table == "users":
                delete += " where id not in (select owner_id from public.teams)"
            cursor.execute(sql.SQL(delete).format(table=name))
            assert cursor.rowcount > 0
            cursor.execute("rollback to savepoint before_it")
        connection.rollback()


def test_no_function_runs_what_a_lesser_role_planted(planted: Stage) -> None:
    with closing(planted.owner.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("set search_path = pg_catalog")
        for call in (
            "aggregate_daily_usage('2026-03-02')",
            "aggregate_monthly_usage(2026, 3)",
            "aggregate_stale_usage()",
            "create_event_partitions('2031-01-01', '2031-02-01')",
            "clear_change_tombstones('-1 days')",
            "place_function('public.stamp_change()')",
        ):
            cursor.execute("delete from public.usage_aggregates_daily")
            cursor.execute(sql.SQL("select public." + call))
        connection.rollback()


@pytest.mark.parametrize("role", ["transformer", "owner"])
def test_dbt_runs_nothing_that_a_lesser_role_planted(
    planted: Stage, role: str, tmp_path: Path
) -> None:
    if role == "transformer":
        database = planted.login(planted.transformer)
    else:
        # It takes the place of the marts' owner, which no one else may be then.
        database = planted.owner
        planted.admin.execute(
            sql.SQL("alter role {} nologin").format(sql.Identifier(planted.transformer))
        )
    # Of each kind of resource.
    chosen = ("+fct_revenue_monthly", "subscriptions_history")
    wide = ("--indirect-selection", "cautious")

    built = dbt("build", "--select", *chosen, *wide, database=database, target=tmp_path)

    assert built.returncode == 0, built.stdout[-3000:]
    assert " unit test" in built.stdout


# --- A schema that others may create in -----------------------------------------------


@pytest.fixture
def open_stage(server_url: str) -> Iterator[Stage]:
    """A source in a schema that is open to every role, one of which has a login."""
    with set_stage(server_url, "createrole") as made:
        made.make_roles().check_returncode()
        made.login(made.analyst)
        made.admin.execute("grant create on schema public to public")
        yield made


def test_migrate_refuses_a_schema_that_a_lesser_role_may_create_in(
    open_stage: Stage,
) -> None:
    message = refusal(run("migrate", env=open_stage.environment()))

    assert 'may create in schema "public"' in message
    assert "revoke create on schema" in message

    status = run("status", env=open_stage.environment())
    assert status.returncode == 1
    assert "Unsafe: role " in status.stdout
    assert 'may create in schema "public"' in status.stdout


def test_what_was_planted_is_named_after_the_schema_was_closed(
    open_stage: Stage,
) -> None:
    open_stage.login(open_stage.analyst).execute(
        "create function public.format(text, name) returns text language sql "
        "as $$ select 'planted' $$"
    )
    open_stage.admin.execute("revoke create on schema public from public")

    message = refusal(run("migrate", env=open_stage.environment()))

    assert "holds function" in message
    assert "format(text,name)" in message
    assert f'of role "{open_stage.analyst}"' in message


def test_roles_closes_the_schema_where_it_may_and_refuses_where_not(
    open_stage: Stage,
) -> None:
    # The owner of the database owns the schema.
    open_stage.make_roles().check_returncode()
    assert run("status", env=open_stage.environment()).returncode == 0

    open_stage.admin.execute(
        "alter schema public owner to postgres; grant create on schema public to public"
    )
    assert "may create in schema" in refusal(open_stage.make_roles())


def test_a_schema_of_marts_that_a_lesser_role_may_create_in_is_refused(
    open_stage: Stage,
) -> None:
    stage = open_stage
    stage.make_roles().check_returncode()
    for schema in settings.load({}).dbt_schemas():
        grant = "grant create on schema {} to {}"
        names = sql.Identifier(schema), sql.Identifier(stage.analyst)
        stage.admin.execute(sql.SQL(grant).format(*names))

        message = refusal(stage.make_roles())
        status = run("status", env=stage.environment())

        assert f'role "{stage.analyst}" may create in schema "{schema}"' in message
        assert f'revoke create on schema "{schema}" from' in message
        assert status.returncode == 1
        assert f"Unsafe: {message}." in status.stdout
        revoke = "revoke create on schema {} from {}"
        stage.admin.execute(sql.SQL(revoke).format(*names))
    assert run("status", env=stage.environment()).returncode == 0


def test_a_table_planted_under_the_name_of_a_mart_is_not_handed_over(
    open_stage: Stage,
) -> None:
    stage = open_stage
    stage.make_roles().check_returncode()
    names = {"analyst": sql.Identifier(stage.analyst)}
    analyst = stage.login(stage.analyst)
    grant = "grant usage, create on schema analytics to {analyst}"
    stage.admin.execute(sql.SQL(grant).format(**names))
    analyst.execute("create table analytics.fct_mrr_monthly ()")
    revoke = "revoke create on schema analytics from {analyst}"
    stage.admin.execute(sql.SQL(revoke).format(**names))

    message = refusal(stage.make_roles())

    assert 'schema "analytics" holds relation analytics.fct_mrr_monthly' in message
    assert f'of role "{stage.analyst}"' in message


def test_daily_work_looks_up_nothing_where_others_create(planted: Stage) -> None:
    for command in (("partitions",), ("erase-user", PERSON)):
        done = run(*command, env=planted.environment())
        assert done.returncode == 0, done.stderr
