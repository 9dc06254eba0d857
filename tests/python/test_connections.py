"""Each command takes the connection and the schema that it needs.

What can't work there is refused in one line before anything is made.
"""

import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from saas_analytics import settings
from tests.python.roles import Stage, set_stage
from tests.python.rows import identifier
from tests.python.support import (
    ROOT,
    Database,
    copy_project,
    dbt,
    environment,
    refusal,
    run,
    with_database,
    with_login,
)


def bare_environment() -> dict[str, str]:
    """This process's environment without any of our settings, not even empty."""
    return {name: value for name, value in environment().items() if value}


@pytest.fixture(scope="module")
def stage(server_url: str) -> Iterator[Stage]:
    """A migrated database with its roles."""
    with ExitStack() as stages:
        made = stages.enter_context(set_stage(server_url, "createrole"))
        made.make_roles().check_returncode()
        yield made


def env_file(stage: Stage, *lines: str) -> str:
    """A `.env` by which dbt connects as the transformer."""
    return "\n".join(
        [
            f"DATABASE_URL={stage.login(stage.transformer).url}",
            f"DB_TRANSFORMER_ROLE={stage.transformer}",
            f"DB_ANALYST_ROLE={stage.analyst}",
            f"DB_APPLICATION_ROLE={stage.application}",
            *lines,
        ]
    )


def of_the_schedule(command: str) -> list[str]:
    """The arguments of each cron line in the documentation that runs a command."""
    pages = ("README.md", "docs/how-to/schedule-runs.md")
    texts = [(ROOT / name).read_text() for name in pages]
    lines = re.findall(r"&& \.venv/bin/(saas .*)$", "\n".join(texts), re.M)
    found = [line.partition("#")[0].split()[1:] for line in lines]
    return [" ".join(each) for each in found if each[0] == command]


# --- The owner and the transformer side by side ---------------------------------------


def test_one_env_file_serves_the_owners_commands_and_dbt(
    stage: Stage, tmp_path: Path
) -> None:
    project = copy_project(tmp_path)
    owner = f"OWNER_DATABASE_URL={stage.owner.url}"
    (project / ".env").write_text(env_file(stage, owner))
    env = bare_environment()

    scheduled = of_the_schedule("partitions")
    assert len(scheduled) == 2
    for line in (
        *scheduled,
        "migrate",
        "status",
        "roles",
        "rollback",
        "migrate",
        "stamp",
    ):
        result = run(*line.split(), env=env, root=project)
        assert result.returncode == 0, f"{line}: {result.stderr}"
    run("up", "--migrated", "--build", env=env, root=project).check_returncode()
    urls = {
        run("url", *option, env=env, root=project).stdout
        for option in ([], ["--owner"])
    }
    assert {parse_dsn(url.strip())["user"] for url in urls} == {
        stage.transformer,
        parse_dsn(stage.owner.url)["user"],
    }


@pytest.mark.parametrize(
    "command", ["partitions", "migrate", "rollback", "stamp", "capture users"]
)
def test_what_needs_the_owners_connection_asks_for_it(
    stage: Stage, command: str
) -> None:
    env = stage.login(stage.transformer).environment()

    message = refusal(run(*command.split(), env=env))

    assert f'"{stage.transformer}" may not change the source tables' in message
    assert "set OWNER_DATABASE_URL to the owner's connection" in message


def test_a_server_named_for_one_command_is_the_owners_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        "DATABASE_URL=postgresql://a/x\nOWNER_DATABASE_URL=postgresql://b/x\n"
    )
    monkeypatch.setattr("saas_analytics.project.root", lambda: tmp_path)
    for name in ("DATABASE_URL", "OWNER_DATABASE_URL", "DB_HOST"):
        monkeypatch.delenv(name, raising=False)

    assert settings.load().for_owner().database_url == "postgresql://b/x"
    monkeypatch.setenv("DATABASE_URL", "postgresql://c/x")
    assert settings.load().for_owner().database_url == "postgresql://c/x"


def test_an_owner_without_a_database_to_build_in_is_refused() -> None:
    env = environment(OWNER_DATABASE_URL="postgresql://b/x")

    assert "set DATABASE_URL" in refusal(run("url", env=env))


# --- Settings that are mistaken -------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that commands take for the project's, to put a `.env` into."""
    monkeypatch.setattr("saas_analytics.project.root", lambda: tmp_path)
    return tmp_path


def test_a_misspelt_setting_in_the_env_file_is_named(root: Path) -> None:
    for name, meant in {
        "DATABSE_URL": "DATABASE_URL",
        "DATABASE_URl": "DATABASE_URL",
        "OWNER_DATABASEURL": "OWNER_DATABASE_URL",
        "DB_SHCEMA": "DB_SCHEMA",
        "DB_PASSWD": "DB_PASSWORD",
        "DBT_THREDS": "DBT_THREADS",
        "DB_ANALYSTS_ROLE": "DB_ANALYST_ROLE",
    }.items():
        (root / ".env").write_text(f"OTHER=1\n{name}=s3cret\n")

        message = refusal(run("url", env=environment()))

        assert f".env sets {name}, which is not a setting: correct it to {meant}" in (
            message
        )
        assert "s3cret" not in message


def test_what_other_programs_keep_in_the_env_file_is_left_alone(root: Path) -> None:
    names = ("SECRET_KEY", "TEST_DATABASE_URL", "DB_POOL", "DB_TYPE", "DBT_TARGET_PATH")
    others = ("PGHOST", "PORT", "DB_CONNECTION", "DBT_PROFILES_DIR", "DB_DRIVER")
    url = "DATABASE_URL=postgresql://localhost/x\n"
    lines = "".join(f"{name}=x\n" for name in (*names, *others))
    (root / ".env").write_text(url + lines)

    run("url", env=bare_environment()).check_returncode()


def test_a_number_of_threads_that_is_none_is_one_line(tmp_path: Path) -> None:
    database = Database("postgresql://localhost:1/saas")
    said = "DBT_THREADS is not a number of threads: give 1 to 999"
    for threads in ("0", "-1", "many", "1.5", "\u0663"):
        refused = run("url", env=database.environment(DBT_THREADS=threads))
        assert refusal(refused) == said

    result = dbt("run", database=database, target=tmp_path, DBT_THREADS="0")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [f"error: {said}"]


def test_a_word_for_production_that_is_none_is_refused() -> None:
    env = environment(DATABASE_URL="postgresql://localhost/x", DBT_PRODUCTION="0")

    assert "DBT_PRODUCTION has a value that can't be used" in refusal(
        run("url", env=env)
    )


def test_a_schema_without_the_source_tables_is_named_and_so_is_theirs(
    database: Database,
) -> None:
    env = database.environment(DB_SCHEMA="ap")
    for change in ("select", "create schema ap"):
        database.execute(change)
        for command in (
            *("up --migrated", "partitions", "demo --if-empty"),
            f"erase-user {identifier('ada')}",
        ):
            message = refusal(run(*command.split(), env=env))
            assert 'schema "ap" has no source tables, but ' in message
            assert 'schema "public" has them: correct DB_SCHEMA' in message
    database.execute("drop schema ap")

    # And a second one is not made without a word.
    status = run("status", env=env)
    migrated = run("migrate", "001", env=env)

    assert status.returncode == 1
    assert 'schema "public" has them: correct DB_SCHEMA' in status.stderr
    first = migrated.stdout.splitlines()[0]
    assert first == 'creating schema "ap", though schema "public" has them'


# --- Databases and users that will not do ---------------------------------------------


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def narrow_database(server_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a database that can't hold every text."""
    name = f"narrow_{uuid.uuid4().hex[:8]}"
    with closing(psycopg2.connect(server_url)) as admin:
        admin.autocommit = True
        admin.cursor().execute(
            f"create database {name} template template0 encoding '{request.param}' "
            "locale_provider libc lc_collate 'C' lc_ctype 'C'"
        )
        yield with_database(server_url, name)
        admin.cursor().execute(f"drop database {name} with (force)")


def test_a_database_that_cannot_hold_every_text_is_refused_before_anything_is_made(
    narrow_database: str,
) -> None:
    database = Database(narrow_database)

    for command in ("migrate", "demo", "up --migrated"):
        message = refusal(run(*command.split(), env=database.environment()))
        assert "has the encoding" in message
        assert "createdb --encoding=UTF8" in message
    made = "select count(*) from pg_class where oid >= 16384"
    assert database.execute(made) == [(0,)]


def test_the_build_of_a_user_who_only_reads_is_one_line(database: Database) -> None:
    reader = f"reader_{uuid.uuid4().hex[:8]}"
    database.execute(f"create role {reader} login password 'x'")
    database.execute(f"grant select on all tables in schema public to {reader}")
    try:
        env = Database(with_login(database.url, reader, "x")).environment()

        message = refusal(run("up", "--migrated", "--build", env=env))

        assert f'user "{reader}" may not create tables in schema "analytics"' in message
        assert "DATABASE_URL" in message
        run("up", "--migrated", env=env).check_returncode()
    finally:
        database.execute(f"drop owned by {reader}")
        database.execute(f"drop role {reader}")
