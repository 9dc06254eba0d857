"""Code in the marts' schemas runs as their owner, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg2 import sql

from saas_analytics import marts_owner, settings
from saas_analytics.errors import UserError
from tests.python.roles import PASSWORD, Stage, set_stage
from tests.python.support import (
    DBT,
    ROOT,
    Database,
    copy_project,
    refusal,
    run,
    with_login,
)

# Each runs code in a session that uses the relation; `evil()` leaves a trace.
PLANTS = {
    "function": "create function analytics.evil() returns text language plpgsql as $$ "
    "begin reset role; insert into analytics.traces values (current_user); "
    "return 'x'; end $$",
    "trigger": "create table analytics_refresh.models (model text); "
    "create function analytics_refresh.fire() returns trigger language plpgsql as "
    "$$ begin perform analytics.evil(); return null; end $$; "
    "create trigger fires after insert or update or delete on analytics_refresh.models "
    "for each statement execute function analytics_refresh.fire()",
    "rule": "create rule also as on update to analytics_refresh.models "
    "do also select analytics.evil()",
    "view": "create view analytics.fct_active_users_daily as select analytics.evil()",
    "default": "create table analytics_refresh.runs "
    "(model text default analytics.evil())",
    "index expression": "create function analytics.still(text) returns text "
    "language plpgsql immutable as $$ begin return analytics.evil(); end $$; "
    "create index on analytics_refresh.models (analytics.still(model))",
    "policy": "alter table analytics_refresh.models enable row level security, "
    "force row level security; create policy seen on analytics_refresh.models "
    "using (analytics.evil() is not null)",
    "type": "create domain analytics.checked as text "
    "check (analytics.evil() is not null)",
    "operator": "create function analytics.same(text, text) returns boolean "
    "language sql as 'select analytics.evil() is null'; "
    "create operator analytics.= (leftarg = text, rightarg = text, "
    "function = analytics.same)",
    "cast": "create function analytics.made(analytics.checked) returns integer "
    "language sql as 'select length(analytics.evil())'; "
    "create type analytics.odd as (one text); "
    "create function analytics.odd_text(analytics.odd) returns text "
    "language sql as 'select analytics.evil()'; "
    "create cast (analytics.odd as text) with function analytics.odd_text as implicit",
    "select kept as text": "create table analytics_refresh.inputs as "
    "select 'select analytics.evil()' as definition",
}

COMMANDS = {
    "refresh": [sys.executable, "-m", "refresh"],
    "tour": [sys.executable, "-m", "bootstrap", "tour"],
    "dbt": [str(DBT), "run"],
    "dbt test": [str(DBT), "test"],
    "expectations": [sys.executable, "-m", "saas_analytics", "expectations"],
}


@pytest.fixture(scope="module")
def stage(server_url: str) -> Iterator[Stage]:
    """A database whose marts belong to a transformer with a login, who plants code."""
    with set_stage(server_url, "createrole") as made:
        made.make_roles().check_returncode()
        transformer = made.login(made.transformer)
        transformer.execute("create table analytics.traces (name text)")
        for statement in PLANTS.values():
            transformer.execute(statement)
        yield made


def act(database: Database, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a database."""
    return subprocess.run(
        COMMANDS[command],
        cwd=ROOT,
        env=database.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def configured(database: Database) -> settings.Settings:
    """The settings of a command on a database."""
    return settings.load({"DATABASE_URL": database.url})


def acting(database: Database) -> tuple[str, str]:
    """As whom a command acts on a database: its role, and who logged in."""
    configuration = configured(database)
    with (
        marts_owner.connected(configuration) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select current_user::text, session_user::text")
        ((role, user),) = cursor.fetchall()
        return role, user


@pytest.mark.parametrize("command", ["refresh", "tour", "dbt", "dbt test"])
@pytest.mark.parametrize("greater", ["owner", "admin"])
def test_no_greater_role_runs_what_the_owner_of_the_marts_planted(
    stage: Stage, command: str, greater: str
) -> None:
    result = act(getattr(stage, greater), command)

    assert result.returncode != 0
    (line,) = (result.stderr or result.stdout).splitlines()
    assert f'the marts belong to "{stage.transformer}"' in line
    assert "connect as" in line
    assert stage.admin.execute("select * from analytics.traces") == []


def test_the_owner_of_the_marts_runs_its_own_code_as_itself(stage: Stage) -> None:
    transformer = stage.login(stage.transformer)
    assert acting(transformer) == (stage.transformer, stage.transformer)


def test_dbt_started_in_another_way_is_refused_as_well(
    stage: Stage, tmp_path: Path
) -> None:
    """Such as by a dbt outside of the virtual environment, which takes no role."""
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os; from saas_analytics import hook; hook.remove(); "
            "from saas_analytics.dbt import environment; "
            "os.environ.update(environment.variables()); "
            "from dbt.cli.main import dbtRunner; "
            "outcome = dbtRunner().invoke(['run', '--select', 'dim_plans']); "
            "raise SystemExit(not outcome.success)",
        ],
        cwd=ROOT,
        env=stage.owner.environment(
            DBT_TARGET_PATH=str(tmp_path), DBT_LOG_PATH=str(tmp_path)
        ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 1
    assert "The marts belong to" in result.stdout
    assert stage.admin.execute("select * from analytics.traces") == []


def test_a_role_that_is_only_a_member_of_the_owner_acts_as_the_owner(
    stage: Stage,
) -> None:
    name = f"deploys {os.getpid()}"
    role = sql.Identifier(name)
    stage.admin.execute(
        sql.SQL("create role {} login password {} in role {}").format(
            role, sql.Literal(PASSWORD), sql.Identifier(stage.transformer)
        )
    )
    try:
        deploys = Database(with_login(stage.admin.url, name, PASSWORD))
        assert acting(deploys) == (stage.transformer, name)

        for grant, revoke in (
            ("alter role {} createrole", "alter role {} nocreaterole"),
            ("grant select on users to {}", "revoke select on users from {}"),
            ("grant pg_read_server_files to {}", "revoke pg_read_server_files from {}"),
        ):
            stage.admin.execute(sql.SQL(grant).format(role))
            with pytest.raises(UserError, match="has more rights"):
                acting(deploys)
            stage.admin.execute(sql.SQL(revoke).format(role))
        assert acting(deploys) == (stage.transformer, name)
    finally:
        stage.admin.execute(sql.SQL("drop role {}").format(role))


def test_a_stranger_is_told_whose_the_marts_are(stage: Stage) -> None:
    analyst = stage.login(stage.analyst)
    with pytest.raises(UserError, match="is not a member of it: connect as"):
        acting(analyst)


def test_while_nobody_can_log_in_as_the_owner_a_greater_role_takes_its_place(
    server_url: str,
) -> None:
    """As `make demo` on your own server: the roles have no login yet."""
    with set_stage(server_url, "createrole") as made:
        made.make_roles().check_returncode()
        assert acting(made.owner)[0] == made.transformer
        # To the administrator the owner of the source is another role.
        with pytest.raises(UserError, match="has more rights"):
            acting(made.admin)
        assert "run `make build`" in refusal(act(made.owner, "refresh"))
        made.login(made.transformer)
        with pytest.raises(UserError, match="has more rights"):
            acting(made.owner)


@pytest.mark.parametrize(
    ("schema", "relation"),
    [
        ("analytics_staging", "view {}.stg_saas__before as select 1 as one"),
        ("analytics_refresh", "table {}.models (model text)"),
    ],
)
def test_a_build_names_what_another_role_built_and_the_command_that_hands_it_over(
    server_url: str, schema: str, relation: str
) -> None:
    with set_stage(server_url, "createrole") as made:
        made.make_roles().check_returncode()
        transformer = made.login(made.transformer)
        # A former version let its user build into the schemas of the transformer.
        made.admin.execute(f"grant create, usage on schema {schema} to public")
        made.owner.execute(f"create {relation.format(schema)}")
        made.admin.execute(f"revoke create, usage on schema {schema} from public")

        said = act(transformer, "dbt")

        assert said.returncode == 1
        (line,) = said.stderr.splitlines()
        assert f"{schema}." in line
        assert "belongs to" in line
        assert "run `saas roles` as the source's owner" in line

        made.make_roles().check_returncode()
        assert marts_owner.dbt_variables(configured(transformer), "")


def test_the_embedded_server_is_entered_as_the_owner_of_the_marts(
    tmp_path: Path,
) -> None:
    root = copy_project(tmp_path)
    environment = Database("").environment()
    try:
        for command in ("migrate", "roles"):
            made = run(command, env=environment, root=root)
            assert made.returncode == 0, made.stderr
        program = (
            "from saas_analytics import marts_owner, settings\n"
            "with marts_owner.connected(settings.load()) as connection:\n"
            "    cursor = connection.cursor()\n"
            "    cursor.execute('select current_user, session_user')\n"
            "    print(*cursor.fetchone())\n"
            "print(marts_owner.dbt_variables(settings.load(), ''))\n"
        )
        result = subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env={**environment, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        acts, variables = result.stdout.splitlines()
        assert acts == "saas_transformer saas_transformer"
        assert variables == "{'DBT_USER': 'saas_transformer', 'DBT_ROLE': ''}"
    finally:
        run("down", env=environment, root=root)


def test_what_the_owner_makes_belongs_to_it_whoever_runs(server_url: str) -> None:
    """So no later run as the owner stops at a table of another role."""
    with set_stage(server_url, "createrole") as made:
        made.make_roles().check_returncode()
        with (
            marts_owner.connected(configured(made.owner)) as connection,
            connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute("create table analytics.mine as select 1 as one")
        assert made.admin.execute(
            "select pg_get_userbyid(relowner)::text from pg_class "
            "where oid = 'analytics.mine'::regclass"
        ) == [(made.transformer,)]
