"""The roles: dbt can do its work, analysts read marts, and neither more than that."""

import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from psycopg2 import errors, sql

from bootstrap import settings
from tests.python.support import (
    Database,
    dbt,
    new_database,
    refusal,
    run,
    with_login,
)

PASSWORD = "secret"


@dataclass(frozen=True)
class Stage:
    """A migrated database, its owner, and roles of its own."""

    admin: Database
    """The database as the server's administrator sees it."""

    owner: Database
    """The same as the user sees it who migrates."""

    transformer: str
    analyst: str

    def environment(self) -> dict[str, str]:
        return self.owner.environment(
            DB_TRANSFORMER_ROLE=self.transformer, DB_ANALYST_ROLE=self.analyst
        )

    def make_roles(self) -> subprocess.CompletedProcess[str]:
        return run("roles", env=self.environment())

    def login(self, role: str) -> Database:
        """The database for a role, which gets a password for it."""
        self.admin.execute(
            sql.SQL("alter role {} login password {}").format(
                sql.Identifier(role), sql.Literal(PASSWORD)
            )
        )
        return Database(with_login(self.admin.url, role, PASSWORD))

    def relations(self, schema: str = "%") -> set[tuple[str, str]]:
        """Schema and name of every table and view that is not the server's own."""
        rows = self.admin.execute(
            "select nspname::text, relname::text from pg_class "
            "join pg_namespace on pg_namespace.oid = relnamespace "
            "where relkind in ('r', 'p', 'v', 'm') and nspname like %s "
            "and nspname not like 'pg\\_%%' and nspname <> 'information_schema'",
            (schema,),
        )
        return {(schema, name) for schema, name in rows}

    def allowed(self, role: str, privilege: str) -> set[tuple[str, str]]:
        """Those of them that a role may select from, insert into and so on."""
        return {
            (schema, name)
            for schema, name in self.relations()
            if self.admin.execute(
                "select has_schema_privilege(%s, %s, 'usage') "
                "and has_table_privilege(%s, format('%%I.%%I', %s, %s), %s)",
                (role, schema, role, schema, name, privilege),
            )
            == [(True,)]
        }


MakeStage = Callable[[str], Stage]


@pytest.fixture(scope="module")
def make_stage(request: pytest.FixtureRequest) -> Iterator[MakeStage]:
    """Sets stages: "18 superuser", "15 createrole", "18 nothing" …"""
    with ExitStack() as clean_up:

        def make(kind: str) -> Stage:
            version, right = kind.split()
            fixture = {"18": "server_url", "15": "second_server_url"}[version]
            server_url: str = request.getfixturevalue(fixture)
            server = Database(server_url)
            suffix = uuid.uuid4().hex[:8]
            # Names that need quoting, as one's own roles may.
            owner = f"owner-{suffix}"
            roles = (f'dbt "x" {suffix}', f"Analysts 100% {suffix}")
            server.execute(
                sql.SQL("create role {} login password {} {}").format(
                    sql.Identifier(owner),
                    sql.Literal(PASSWORD),
                    sql.SQL("" if right == "nothing" else right),
                )
            )
            for role in (owner, *roles):
                clean_up.callback(
                    server.execute,
                    sql.SQL("drop role if exists {}").format(sql.Identifier(role)),
                )
            made = clean_up.enter_context(new_database(server_url, owner=owner))
            as_owner = Database(with_login(made.url, owner, PASSWORD))
            stage = Stage(made, as_owner, *roles)
            run("migrate", env=stage.environment()).check_returncode()
            return stage

        yield make


def attempt(database: Database, statement: str) -> type[Exception] | None:
    """What a statement is refused with, if it is; it leaves nothing."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(statement)
        except Exception as error:
            return type(error)
        finally:
            connection.rollback()
    return None


# --- What the roles may do, whoever makes them ----------------------------------------


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

    owners = stage.admin.execute(
        "select nspname, pg_get_userbyid(nspowner) from pg_namespace "
        "where nspname like 'analytics%%'"
    )
    assert sorted(owners) == sorted((schema, stage.transformer) for schema in schemas)
    source = stage.relations("public")
    assert len(source) > 20
    # What tells a run which rows were written.
    assert {
        ("public", "change_tombstones"),
        ("public", "change_tombstones_cleared"),
    } <= source
    assert stage.allowed(stage.transformer, "select") >= source
    assert not stage.allowed(stage.transformer, "insert, update, delete") & source
    assert stage.allowed(stage.analyst, "select") == {("analytics", "old")}

    # Marts to come are readable at once, whoever builds them; their making is not.
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
    # Migrations to come bring tables that dbt may read.
    stage.owner.execute("create table public.invoices (id integer)")
    assert ("public", "invoices") in stage.allowed(stage.transformer, "select")


# --- What is refused ------------------------------------------------------------------


def test_who_may_make_no_roles_is_told_what_to_ask_for(make_stage: MakeStage) -> None:
    stage = make_stage("18 nothing")

    message = refusal(stage.make_roles())

    role, analyst = sql.Identifier(stage.transformer), sql.Identifier(stage.analyst)
    with closing(stage.admin.connect()) as connection:
        quoted = role.as_string(connection)
        quoted_analyst = analyst.as_string(connection)
    assert f"create role {quoted}; grant {quoted} to " in message
    assert f"create role {quoted_analyst}`" in message
    assert "optional" in message
    assert stage.relations("analytics%") == set()

    # What the administrator was asked for is enough.
    stage.admin.execute(
        sql.SQL("create role {}; create role {}; grant {} to {}").format(
            role, analyst, role, sql.Identifier(owner_of(stage))
        )
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
        "select count(*) from pg_roles where rolname in (%s, %s)",
        (stage.transformer, stage.analyst),
    ) == [(0,)], "all or nothing"


# --- With dbt -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(
    make_stage: MakeStage, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Stage, Database]:
    """Everything, built by dbt as the transformer; and the transformer's login."""
    stage = make_stage("18 createrole")
    stage.make_roles().check_returncode()
    transformer = stage.login(stage.transformer)
    target: Path = tmp_path_factory.mktemp("target")
    result = dbt("build", database=transformer, target=target)
    assert result.returncode == 0, result.stdout[-5000:]
    return stage, transformer


def test_dbt_builds_and_tests_everything_as_the_transformer(
    built: tuple[Stage, Database],
) -> None:
    stage, _ = built

    filled = {schema for schema, _ in stage.relations("analytics%")}
    # Seeds, snapshots, every layer, and the failures of tests; runs may remember things.
    schemas = set(settings.load({}).dbt_schemas())
    assert schemas - {"analytics_refresh"} <= filled <= schemas


def test_the_transformer_can_neither_write_the_source_nor_grow(
    built: tuple[Stage, Database],
) -> None:
    _, transformer = built
    refused: dict[str, Any] = {
        statement: attempt(transformer, statement)
        for statement in (
            "insert into public.users (email, password_hash) values ('a', 'b')",
            "update public.users set email = ''",
            "delete from public.users",
            "truncate public.users",
            "drop table public.users",
            "create table public.mine ()",
            "create schema mine",
            "create role mine",
        )
    }

    assert set(refused.values()) == {errors.InsufficientPrivilege}, refused


def test_an_analyst_reads_every_mart_and_nothing_else(
    built: tuple[Stage, Database],
) -> None:
    stage, _ = built
    marts = stage.relations("analytics")
    assert len(marts) > 10

    assert stage.allowed(stage.analyst, "select") == marts
    assert stage.allowed(stage.analyst, "insert, update, delete, truncate") == set()
    created = stage.admin.execute(
        "select nspname from pg_namespace where nspname not like 'pg\\_temp%%' "
        "and has_schema_privilege(%s, oid, 'create')",
        (stage.analyst,),
    )
    assert created == []

    # And so it is for one who logs in.
    analyst = stage.login(stage.analyst)
    for schema, name in marts:
        assert attempt(analyst, f"select count(*) from {schema}.{name}") is None
    for statement in (
        "select from public.users",
        "select from public.usage_events_default",
        "select from analytics_staging.stg_saas__users",
        "select from analytics_seeds.currencies",
        "create table analytics_refresh.mine ()",
        "select from public.change_tombstones",
        "select public.clear_change_tombstones()",
        "create table analytics.mine ()",
        "create table public.mine ()",
        "create schema mine",
        "select public.aggregate_daily_usage(date '2026-01-01')",
        "select public.create_event_partitions(date '2031-01-01', date '2031-01-01')",
    ):
        assert attempt(analyst, statement) is errors.InsufficientPrivilege, statement
