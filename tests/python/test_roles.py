"""The roles: each can do its work and nothing more."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest
from psycopg2 import errors, sql

from bootstrap import columns, roles
from bootstrap.columns import PRIVATE_COLUMNS
from saas_analytics import settings
from tests.python.personal_data import (
    PERSON,
    personal_columns,
    plant,
    rows_of_a_person,
)
from tests.python.roles import MakeStage, Stage, attempt, set_stage
from tests.python.support import Database, refusal, run

PRIVATE = {
    f"{table}.{column}"
    for table, columns in PRIVATE_COLUMNS.items()
    for column in columns
}


@pytest.fixture(scope="module")
def make_stage(request: pytest.FixtureRequest) -> Iterator[MakeStage]:
    """Sets stages: "18 superuser", "15 createrole", "18 nothing" …"""
    with ExitStack() as stages:

        def make(kind: str) -> Stage:
            version, right = kind.split()
            fixture = {"18": "server_url", "15": "second_server_url"}[version]
            return stages.enter_context(
                set_stage(
                    request.getfixturevalue(fixture), right.replace("nothing", "")
                )
            )

        yield make


# --- What the roles may do, by any role that makes them -------------------------------


@pytest.mark.parametrize(
    "kind", ["18 superuser", "18 createrole", "15 superuser", "15 createrole"]
)
def test_who_may_make_roles_needs_no_more_and_may_repeat_it(
    make_stage: MakeStage, kind: str
) -> None:
    stage = make_stage(kind)
    schemas = settings.load({}).dbt_schemas()
    # A mart and a view that the owner built before there were any roles.
    stage.owner.execute(
        "create schema analytics; create table analytics.old as select 1 as one;"
        "create schema analytics_staging;"
        "create view analytics_staging.old as select id from public.users"
    )

    for _ in range(2):
        made = stage.make_roles()
        assert made.returncode == 0, made.stderr
        assert stage.transformer in made.stdout
        assert "no source table" not in made.stdout

    owners = stage.admin.execute(
        "select nspname, pg_get_userbyid(nspowner) from pg_namespace "
        "where nspname like 'analytics%%'"
    )
    assert sorted(owners) == sorted((schema, stage.transformer) for schema in schemas)
    source = stage.relations("public")
    assert len(source) > 20
    assert not stage.allowed(stage.transformer, "insert, update, delete") & source
    assert stage.allowed(stage.analyst, "select") == {("analytics", "old")}

    # Marts to come are readable at once, by any role that builds them.
    transformer = stage.login(stage.transformer)
    transformer.execute(
        "alter table analytics.old rename to older;"
        "create table analytics.new as select 2 as two;"
        "create table analytics_intermediate.new as select 2 as two;"
        "create table analytics_test_failures.new as select 2 as two;"
        "create table analytics_refresh.new as select 2 as two;"
        "create or replace view analytics_staging.old as select id from public.users"
    )
    stage.owner.execute("create table analytics.by_owner as select 3 as three")
    assert stage.allowed(stage.analyst, "select") == {
        ("analytics", "older"),
        ("analytics", "new"),
        ("analytics", "by_owner"),
    }


# --- What dbt may read of the source --------------------------------------------------


def columns_of_source(stage: Stage, *, of_partitions: bool) -> set[str]:
    """Table and column, of partitions or of everything else in the source's schema."""
    rows = stage.admin.execute(
        "select relname || '.' || attname from pg_attribute "
        "inner join pg_class on attrelid = pg_class.oid "
        "where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v') "
        "and attnum > 0 and not attisdropped and relispartition = %s",
        (of_partitions,),
    )
    return {column for (column,) in rows}


def selected(database: Database, columns: set[str]) -> set[str]:
    """Those of the columns that a select is not refused; each is tried."""
    found = set()
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for column in columns:
            table, _, name = column.partition(".")
            select = sql.SQL("select {} from public.{} limit 0").format(
                sql.Identifier(name), sql.Identifier(table)
            )
            with suppress(errors.InsufficientPrivilege):
                cursor.execute(select)
                found.add(column)
    return found


def test_roles_of_an_empty_source_are_to_be_made_again(make_stage: MakeStage) -> None:
    stage = make_stage("18 createrole")
    stage.owner.execute("create schema nothing_yet")

    made = run("roles", env={**stage.environment(), "DB_SCHEMA": "nothing_yet"})

    made.check_returncode()
    assert "There are no source tables yet: run" in made.stdout


@pytest.mark.parametrize("kind", ["18 createrole", "15 superuser"])
def test_dbt_reads_each_column_that_is_not_private_and_no_other(
    make_stage: MakeStage, kind: str
) -> None:
    stage = make_stage(kind)
    stage.make_roles().check_returncode()
    transformer = stage.login(stage.transformer)
    partitions = columns_of_source(stage, of_partitions=True)
    columns = columns_of_source(stage, of_partitions=False)
    assert columns >= PRIVATE
    # From these a run learns which rows were written.
    assert {
        *("change_tombstones.old_row", "change_tombstones_cleared.up_to_xid"),
        "usage_events.change_xid",
    } <= columns - PRIVATE

    assert selected(transformer, columns | partitions) == columns - PRIVATE

    # What comes later stays closed until the roles are made again. A partition needs
    # nothing: it is read through its table.
    stage.owner.execute(
        "create table public.invoices (id integer);"
        "alter table public.users add locale text;"
        "alter table public.team_members add locale text;"
        "select public.create_event_partitions('2031-01-01', '2031-01-01')"
    )
    later = columns_of_source(stage, of_partitions=True) | {
        *("invoices.id", "users.locale", "team_members.locale")
    }
    assert selected(transformer, later) == set()
    read = "select id from public.usage_events where occurred_at >= '2031-01-01'"
    assert attempt(transformer, read) is None

    # An earlier version granted whole tables, and those to come.
    stage.owner.execute(
        sql.SQL(
            "grant select on all tables in schema public to {0};"
            "alter default privileges in schema public grant select on tables to {0};"
            "create table public.payouts (id integer)"
        ).format(sql.Identifier(stage.transformer))
    )
    every = columns | later | {"payouts.id"}
    assert selected(transformer, every) == every
    made = stage.make_roles()
    made.check_returncode()
    columns = columns_of_source(stage, of_partitions=False)
    # A column of our tables counts as personal until it is classified.
    unclassified = {"users.locale", "team_members.locale"}
    assert selected(transformer, every) == columns - PRIVATE - unclassified
    assert "team_members.locale, users.locale. Add" in made.stdout
    stage.owner.execute("create table public.refunds (id integer)")
    assert selected(transformer, {"refunds.id"}) == set()


def test_each_personal_column_is_private_unless_something_reads_it(
    database: Database,
) -> None:
    personal = {
        f"{table}.{column}"
        for table, columns in personal_columns(database).items()
        for column in columns
    }

    assert personal >= PRIVATE
    assert personal - PRIVATE == {
        # Only its duration_seconds, and only as a number.
        "usage_events.event_data",
        # In a query of those that are there twice, which doesn't show it.
        "payment_transactions.stripe_invoice_id",
    }


def test_who_can_read_private_columns_all_the_same_cannot_be_dbt(
    make_stage: MakeStage,
) -> None:
    stage = make_stage("18 createrole")
    owner = owner_of(stage)
    as_owner = stage.environment() | {"DB_TRANSFORMER_ROLE": owner}

    message = refusal(run("roles", env=as_owner))

    assert f'role "{owner}" could still read affiliate_clicks.' in message
    assert "DB_TRANSFORMER_ROLE" in message
    assert attempt(stage.owner, "select email from public.users") is None

    stage.owner.execute("grant select (email) on public.users to public")
    message = refusal(stage.make_roles())
    assert f'role "{stage.transformer}" could still read users.email' in message
    assert stage.relations("analytics%") == set(), "all or nothing"


@pytest.mark.parametrize(
    ("rename", "missing"),
    [
        ("users rename full_name to display_name", "column users.full_name"),
        ("usage_events rename event_data to payload", "column usage_events.event_data"),
        ("affiliates rename to partners", "table affiliates"),
        ("users rename to accounts", "table users"),
    ],
)
def test_a_private_column_is_not_opened_by_another_name(
    make_stage: MakeStage, rename: str, missing: str
) -> None:
    stage = make_stage("18 createrole")
    stage.owner.execute(f"alter table public.{rename}")

    message = refusal(stage.make_roles())

    assert f"{missing} may hold personal data and is missing" in message
    assert "bootstrap/columns.py" in message
    assert stage.relations("analytics%") == set(), "all or nothing"


def test_a_column_of_ones_own_is_opened_once_it_is_classified(
    make_stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = make_stage("18 createrole")
    stage.owner.execute("alter table public.users add locale text, add phone text")
    monkeypatch.setattr(columns, "OPEN_COLUMNS", {"users": ("locale",)})

    given = {name: value for name, value in stage.environment().items() if value}

    with closing(stage.owner.connect()) as connection:
        closed = roles.create(connection, settings.load(given))

    assert closed == ["users.phone"]
    transformer = stage.login(stage.transformer)
    added = {"users.locale", "users.phone"}
    assert selected(transformer, added) == {"users.locale"}


# --- What is refused ------------------------------------------------------------------


def test_who_may_make_no_roles_is_told_what_to_ask_for(make_stage: MakeStage) -> None:
    stage = make_stage("18 nothing")

    message = refusal(stage.make_roles())

    names = (stage.transformer, stage.analyst, stage.application)
    role, analyst, app = map(sql.Identifier, names)
    with closing(stage.admin.connect()) as connection:
        quoted, quoted_analyst, quoted_app = (
            name.as_string(connection) for name in (role, analyst, app)
        )
    assert f"create role {quoted}; grant {quoted} to " in message
    assert f"create role {quoted_analyst}; create role {quoted_app}`" in message
    assert "optional" in message
    assert stage.relations("analytics%") == set()

    # What the administrator was asked for is enough.
    stage.admin.execute(
        sql.SQL(
            "create role {}; create role {}; create role {}; grant {} to {}"
        ).format(role, analyst, app, role, sql.Identifier(owner_of(stage)))
    )
    assert stage.make_roles().returncode == 0


def owner_of(stage: Stage) -> str:
    ((name,),) = stage.owner.execute("select current_user::text")
    assert isinstance(name, str)
    return name


def test_who_does_not_own_the_source_cannot_open_it_to_dbt(
    make_stage: MakeStage,
) -> None:
    stage = make_stage("18 createrole")
    stage.admin.execute(
        sql.SQL(
            "alter table public.users owner to current_user;"
            "grant select on public.users to {}"
        ).format(sql.Identifier(owner_of(stage)))
    )

    message = refusal(stage.make_roles())

    assert "may not grant others the right to read the source" in message
    assert stage.admin.execute(
        "select count(*) from pg_roles where rolname in (%s, %s, %s)",
        (stage.transformer, stage.analyst, stage.application),
    ) == [(0,)], "all or nothing"


# --- The application and the migrator -------------------------------------------------

# What the database keeps for itself.
BOOKKEEPING = {
    *("alembic_version", "migration_checksums"),
    *("change_tombstones", "change_tombstones_cleared", "erasures_to_forget"),
}


def test_the_application_writes_rows_and_changes_nothing_else(
    make_stage: MakeStage,
) -> None:
    stage = make_stage("18 createrole")
    plant(stage.owner, rows_of_a_person())
    stage.make_roles().check_returncode()
    source = {
        (schema, name)
        for schema, name in stage.relations("public")
        if name not in BOOKKEEPING
    }

    for privilege in ("select", "insert", "update", "delete"):
        assert stage.allowed(stage.application, privilege) == source
    assert stage.allowed(stage.application, "truncate, references, trigger") == set()
    # Migrations to come bring tables that it may write.
    stage.owner.execute("create table public.invoices (id integer)")
    assert ("public", "invoices") in stage.allowed(stage.application, "insert")

    application = stage.login(stage.application)
    for statement in (
        "insert into public.users (email, password_hash) values ('a', 'b')",
        "insert into public.usage_events (event_type, event_category, event_name) "
        "values ('a', 'feature', 'b')",
        # Both leave tombstones, by a right that is not its own.
        "update public.usage_events set user_id = null",
        "delete from public.affiliates",
        "select public.aggregate_daily_usage('2026-03-02')",
        "select public.aggregate_monthly_usage(2026, 3)",
        "select public.aggregate_stale_usage()",
    ):
        assert attempt(application, statement) is None, statement
    for statement in (
        "select from public.change_tombstones",
        "insert into public.change_tombstones (table_name, old_row) values ('', '{}')",
        "delete from public.change_tombstones",
        "update public.change_tombstones_cleared set up_to_xid = '1'",
        "select public.clear_change_tombstones('0 days')",
        "select public.record_change()",
        "create temporary table mine (id uuid); create trigger forged "
        "after insert on mine for each row "
        "execute function public.record_change('users', 'id')",
        "select from public.alembic_version",
        "update public.migration_checksums set sha256 = ''",
        "truncate public.users",
        "drop table public.users",
        "alter table public.users add column mine integer",
        "alter table public.users disable trigger all",
        "set session_replication_role = replica",
        "create or replace function public.stamp_change() returns trigger "
        "language plpgsql as 'begin return new; end'",
        "create table public.mine ()",
        "create schema mine",
        "create role mine",
        "select public.create_event_partitions('2031-01-01', '2031-01-01')",
        "create table analytics.mine ()",
        "select from analytics_refresh.models",
    ):
        assert attempt(application, statement) is errors.InsufficientPrivilege, (
            statement
        )

    erased = run("erase-user", PERSON, env=application.environment())
    assert erased.returncode == 0, erased.stderr


def test_the_migrator_is_nobody_beyond_its_schema(make_stage: MakeStage) -> None:
    stage = make_stage("18 nothing")

    for statement in (
        "create role mine",
        "set session_replication_role = replica",
        "select from pg_authid",
        "copy public.users to program 'true'",
        "create function mine() returns void language c as 'mine'",
        "select pg_read_file('/etc/passwd')",
    ):
        assert attempt(stage.owner, statement) is errors.InsufficientPrivilege, (
            statement
        )


# --- Any order, and any names ---------------------------------------------------------


@pytest.mark.parametrize(
    ("revision", "until"),
    # The last one stops before the migration that closes what is there by itself.
    [("001", "head"), ("003", "head"), ("head", "head"), ("001", "004")],
)
def test_rights_of_bookkeeping_do_not_depend_on_the_order(
    make_stage: MakeStage, revision: str, until: str
) -> None:
    stage = make_stage("18 createrole")
    env = stage.environment()
    run("rollback", "base", env=env).check_returncode()
    run("migrate", revision, env=env).check_returncode()
    stage.make_roles().check_returncode()

    run("migrate", until, env=env).check_returncode()

    bookkeeping = {
        *("alembic_version", "migration_checksums", "change_tombstones"),
        *("change_tombstones_cleared", "erasures_to_forget"),
    }
    written = stage.allowed(stage.application, "insert, update, delete, truncate")
    assert {name for _, name in written} & bookkeeping == set()
    assert ("public", "users") in written


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DB_ANALYST_ROLE": "pg_read_all_data"}, "PostgreSQL's own"),
        ({"DB_ANALYST_ROLE": "one", "DB_APPLICATION_ROLE": "one"}, "one role twice"),
        ({"DB_ANALYST_ROLE": "postgres"}, "a superuser"),
    ],
)
def test_a_role_that_has_more_or_is_named_twice_is_refused(
    make_stage: MakeStage, variables: dict[str, str], message: str
) -> None:
    stage = make_stage("18 createrole")

    assert message in refusal(run("roles", env={**stage.environment(), **variables}))


def test_the_owner_of_the_source_is_no_analyst(make_stage: MakeStage) -> None:
    stage = make_stage("18 createrole")
    ((owner,),) = stage.owner.execute("select current_user::text")

    message = refusal(
        run("roles", env={**stage.environment(), "DB_ANALYST_ROLE": owner})
    )

    assert "the owner of the source" in message
