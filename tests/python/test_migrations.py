"""Migrations: three ways to the same schema, all or nothing, in any order of events."""

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn

from bootstrap import migrate
from saas_analytics.errors import UserError
from saas_analytics.server import programs
from scripts.dump_schema import FILE, dump
from tests.python.schema_meaning import meaning
from tests.python.support import (
    ROOT,
    SETTING_NAMES,
    Database,
    command,
    copy_project,
    new_database,
    refusal,
    run,
    with_login,
)

REVISIONS = migrate.revisions()
FILES = [migrate.FOLDER / f"{revision}.sql" for revision in REVISIONS]
OUR_TABLES = (migrate.VERSION_TABLE, migrate.CHECKSUM_TABLE)

Use = Callable[[Database], None]


def alembic(
    *arguments: str, env: dict[str, str], root: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("alembic")), *arguments],
        cwd=root,
        env={**env, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def psql(*files: Path, url: str) -> subprocess.CompletedProcess[str]:
    """Run files as `psql -f` does, each going on after an error."""
    return subprocess.run(
        [
            str(programs.binaries() / "psql"),
            *("--no-psqlrc", "--quiet", f"--dbname={url}"),
            *(f"--file={file}" for file in files),
        ],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def whole(database: Database) -> list[str]:
    """What the whole schema means, partitions too, except what Alembic keeps."""
    return without(OUR_TABLES, meaning(database.url))


def without(patterns: Iterable[str], lines: list[str]) -> list[str]:
    """The lines in which none of these regular expressions is found."""
    return [line for line in lines if not re.search("|".join(patterns), line)]


def tables(database: Database, schema: str = "public") -> set[str]:
    rows = database.execute(
        "select relname from pg_class where relkind in ('r', 'p') "
        "and relnamespace = to_regnamespace(quote_ident(%s))",
        (schema,),
    )
    return {name for (name,) in rows}


def applied(database: Database, schema: str = "public") -> list[str]:
    with closing(database.connect()) as connection:
        states = migrate.states(connection, schema)
    return [state.revision for state in states if state.is_applied]


def edited(database: Database) -> list[str]:
    with closing(database.connect()) as connection:
        states = migrate.states(connection, "public")
    return [state.revision for state in states if state.is_edited]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Makes `migrate.upgrade()` and the like work on a database in this process."""

    def point_to(database: Database) -> None:
        for name in SETTING_NAMES:
            monkeypatch.setenv(name, "")
        monkeypatch.setenv("DATABASE_URL", database.url)

    return point_to


@pytest.fixture(params=["18", "15"])
def any_server_url(request: pytest.FixtureRequest) -> str:
    """URL of each of the two servers in turn."""
    name = {"18": "server_url", "15": "second_server_url"}[request.param]
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, whose migrations a test may edit."""
    return copy_project(tmp_path)


def edit(project: Path, revision: str, *, after: str, new: str) -> None:
    """Put something into a copied migration, behind the first place of a text."""
    path = project / "bootstrap" / "migrations" / f"{revision}.sql"
    before, found, rest = path.read_text().partition(after)
    assert found
    path.write_text(before + found + new + rest)


def add_migration(project: Path, content: str, revision: str = "999_more") -> None:
    """Add a migration to a copied project, the way the documentation says."""
    result = alembic(
        "revision",
        "--rev-id",
        revision,
        "-m",
        "More",
        env=dict(os.environ),
        root=project,
    )
    result.check_returncode()
    folder = project / "bootstrap" / "migrations"
    assert (folder / "versions" / f"{revision}.py").exists()
    (folder / f"{revision}.sql").write_text(f"begin;\n{content}\ncommit;\n")
    (folder / f"{revision}.down.sql").write_text("begin;\n\ncommit;\n")


# --- Three ways -----------------------------------------------------------------------


def test_psql_the_command_and_alembic_make_the_same_schema(any_server_url: str) -> None:
    with (
        new_database(any_server_url) as by_psql,
        new_database(any_server_url) as by_command,
        new_database(any_server_url) as by_alembic,
    ):
        assert psql(*FILES, url=by_psql.url).stderr == ""
        run("migrate", env=by_command.environment()).check_returncode()
        alembic("upgrade", "head", env=by_alembic.environment()).check_returncode()

        assert whole(by_command) == whole(by_psql)
        assert whole(by_alembic) == whole(by_psql)


def test_each_way_back_undoes_its_migration_exactly(
    empty_database: Database, empty_database_15: Database, use: Use
) -> None:
    use(empty_database)
    schemas = [whole(empty_database)]
    for revision in REVISIONS:
        migrate.upgrade(revision)
        schemas.append(whole(empty_database))
    assert len(set(map(tuple, schemas))) == len(REVISIONS) + 1

    for before in reversed(schemas[:-1]):
        migrate.downgrade("-1")
        assert whole(empty_database) == before
    assert tables(empty_database) == set(OUR_TABLES)

    migrate.upgrade()
    assert whole(empty_database) == schemas[-1]

    # And so by psql, on the other server.
    nothing = whole(empty_database_15)
    way_back = [file.with_suffix(".down.sql") for file in reversed(FILES)]
    assert psql(*FILES, *way_back, url=empty_database_15.url).stderr == ""
    assert whole(empty_database_15) == nothing


def test_alembics_own_commands_work(empty_database: Database) -> None:
    env = empty_database.environment()

    history = alembic("history", env=env)
    assert all(revision in history.stdout for revision in REVISIONS)
    assert alembic("current", env=env).stdout == ""
    assert tables(empty_database) == set(), "current only reads"

    up = alembic("upgrade", "head", env=env)
    assert up.stdout.splitlines() == [f"applying {file.name}" for file in FILES]
    down = alembic("downgrade", "-1", env=env)
    assert down.stdout.splitlines() == [f"taking back {REVISIONS[-1]}.down.sql"]
    assert REVISIONS[-2] in alembic("current", env=env).stdout

    alembic("stamp", REVISIONS[0], env=env).check_returncode()
    assert REVISIONS[0] in alembic("current", env=env).stdout

    result = alembic("upgrade", "head", "--sql", env=env)
    assert result.returncode != 0
    assert "psql -f" in result.stdout + result.stderr


def test_the_dumped_schema_is_up_to_date(
    database: Database,
    server_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if database.execute("show server_version_num")[0][0] < "180000":
        pytest.skip("the file shows the schema as PostgreSQL 18 has it")
    now = tmp_path / "now.sql"
    now.write_text(dump(database.url))
    # The functions come before their tables in a dump.
    monkeypatch.setenv("PGOPTIONS", "-c check_function_bodies=off")

    # Both are loaded: PostgreSQL words some conditions in another way after that.
    meanings = []
    for file in (FILE, now):
        with new_database(server_url) as loaded:
            assert psql(file, url=loaded.url).stderr == ""
            meanings.append(meaning(loaded.url))
    assert meanings[0] == meanings[1], "run python -m scripts.dump_schema"


# --- Steps ----------------------------------------------------------------------------


def test_rollback_goes_back_one_step_to_a_revision_or_to_the_start(
    database: Database,
) -> None:
    env = database.environment()
    assert applied(database) == REVISIONS

    run("rollback", env=env).check_returncode()
    # A stamp of what is not there is refused, and forgets no migration.
    assert "lacks objects of" in refusal(run("stamp", env=env))
    assert applied(database) == REVISIONS[:-1]
    run("rollback", "-1", env=env).check_returncode()
    assert applied(database) == REVISIONS[:-2]
    run("rollback", "001_initial_schema", env=env).check_returncode()
    assert applied(database) == REVISIONS[:1]
    # The beginning of a name is enough.
    run("migrate", "002", env=env).check_returncode()
    assert applied(database) == REVISIONS[:2]
    assert "base" in run("rollback", "base", env=env).stdout
    assert applied(database) == []

    assert "no migration to revert" in refusal(run("rollback", env=env))


def test_rollback_beyond_what_is_applied_is_refused(
    database: Database, use: Use
) -> None:
    use(database)
    migrate.downgrade("002")

    message = refusal(run("rollback", "003", env=database.environment()))
    assert "003_analytics is not applied" in message
    with pytest.raises(UserError, match="-9"):
        migrate.downgrade("-9")
    assert applied(database) == REVISIONS[:2]


@pytest.mark.parametrize("name", ["005_nothing", "00"])
def test_an_unknown_or_ambiguous_revision_is_refused_with_those_there_are(
    database: Database, use: Use, name: str
) -> None:
    use(database)
    message = refusal(run("migrate", name, env=database.environment()))
    assert f"there is no migration {name}" in message
    assert all(revision in message for revision in REVISIONS)

    for function in (migrate.downgrade, migrate.stamp):
        with pytest.raises(UserError, match=f"there is no migration {name}"):
            function(name)
    assert applied(database) == REVISIONS


def test_status_exits_1_until_every_migration_is_applied(
    empty_database: Database, use: Use
) -> None:
    use(empty_database)
    env = empty_database.environment()
    assert run("status", env=env).returncode == 1
    assert tables(empty_database) == set(), "status only reads"

    migrate.upgrade("002")
    result = run("status", env=env)
    assert result.returncode == 1
    first, *lines = result.stdout.splitlines()
    assert first == f'Schema "public" of {place(empty_database)}:'
    assert [line.split() for line in lines] == [
        ["applied" if number < 2 else "missing", revision]
        for number, revision in enumerate(REVISIONS)
    ]

    migrate.upgrade()
    assert run("status", env=env).returncode == 0


def place(database: Database) -> str:
    """A database as commands name it."""
    found = parse_dsn(database.url)
    on_network = not found["host"].startswith("/")
    port = f":{found.get('port', 5432)}" if on_network else ""
    return f"{found['dbname']} at {found['host']}{port}"


def test_a_database_that_the_url_leaves_to_the_environment_is_named(
    database: Database,
) -> None:
    found = parse_dsn(database.url)
    rest = Database(f"postgresql:///{found['dbname']}")
    parts = {"host", "port", "user", "password"} & found.keys()
    elsewhere = {f"PG{part.upper()}": found[part] for part in parts}

    result = run("status", env=rest.environment(**elsewhere))

    assert result.stdout.startswith(f'Schema "public" of {place(database)}:\n')


def test_migrating_twice_changes_nothing(database: Database) -> None:
    before = whole(database)

    result = run("migrate", env=database.environment())

    result.check_returncode()
    assert result.stdout == (
        f'Schema "public" of {place(database)} is at {REVISIONS[-1]}.\n'
    )
    assert whole(database) == before


# --- All or nothing -------------------------------------------------------------------


def test_a_migration_that_fails_leaves_nothing_and_can_be_run_again(
    empty_database: Database, project: Path
) -> None:
    env = empty_database.environment()
    path = project / "bootstrap" / "migrations" / "002_affiliates.sql"
    whole_file = path.read_text()
    edit(
        project,
        "002_affiliates",
        after="create table affiliate_commissions",
        new="_x ();\nselect 1 / 0;\ncreate table affiliate_commissions",
    )

    message = refusal(run("migrate", env=env, root=project))
    assert "002_affiliates.sql failed" in message
    assert "division by zero" in message
    assert applied(empty_database) == REVISIONS[:1]
    assert "affiliates" not in tables(empty_database)

    psql(path, url=empty_database.url)
    assert "affiliates" not in tables(empty_database), "with psql too"

    path.write_text(whole_file)
    run("migrate", env=env, root=project).check_returncode()
    assert applied(empty_database) == REVISIONS


@pytest.mark.parametrize(
    "content",
    [
        "select 1;\n",
        "begin;\nselect 1;\n",
        "begin;\nselect 1;\ncommit;\nselect 2;\n",
        "begin;\nselect 1;\ncommit;\nbegin;\nselect 2;\ncommit;\n",
    ],
)
def test_a_file_that_is_not_one_transaction_is_refused_by_name(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "005_halves.sql"
    path.write_text(content)

    with pytest.raises(UserError, match=r"005_halves\.sql must be one trans"):
        migrate.statements(path)


def test_a_missing_file_is_named_and_nothing_runs(
    empty_database: Database, project: Path
) -> None:
    (project / "bootstrap" / "migrations" / "003_analytics.sql").unlink()

    message = refusal(run("migrate", env=empty_database.environment(), root=project))

    assert "003_analytics.sql can't be read" in message
    assert "users" not in tables(empty_database)


def test_percent_colon_dollar_quotes_and_umlauts_arrive_as_they_are(
    empty_database: Database, project: Path
) -> None:
    text = "100% of %s and %(name)s, :name and ::text, $$, $1, Größe — ü"
    add_migration(
        project,
        f"""
        comment on table users is '{text}';
        do $body$
        begin
            raise notice '% of %', 1, '{text}';
        end;
        $body$;
        """,
    )

    run("migrate", env=empty_database.environment(), root=project).check_returncode()

    comment = empty_database.execute(
        "select obj_description('users'::regclass, 'pg_class')"
    )
    assert comment == [(text,)]


# --- Many at once ---------------------------------------------------------------------


def test_concurrent_runs_queue_up_and_all_succeed(empty_database: Database) -> None:
    env = empty_database.environment()
    processes = [
        subprocess.Popen(
            command("migrate"),
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    outputs = [process.communicate(timeout=240) for process in processes]

    assert [process.returncode for process in processes] == [0] * 4, outputs
    steps = [
        line
        for output, _ in outputs
        for line in output.splitlines()
        if line.startswith("applying")
    ]
    assert sorted(steps) == [f"applying {file.name}" for file in FILES]
    assert applied(empty_database) == REVISIONS


def test_a_run_that_has_to_wait_says_so(database: Database) -> None:
    with closing(database.connect()) as other:
        other.cursor().execute("select pg_advisory_lock(%s)", (migrate.LOCK_NUMBER,))
        with subprocess.Popen(
            command("migrate"),
            cwd=ROOT,
            env={**database.environment(), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting for another migration to end\n"
            other.close()
            assert process.wait(timeout=300) == 0


# --- Edited files ---------------------------------------------------------------------


@pytest.mark.parametrize("pending", [True, False])
def test_an_edited_migration_is_refused_by_name(
    database: Database, use: Use, project: Path, pending: bool
) -> None:
    env = database.environment()
    use(database)
    if pending:
        migrate.downgrade("001")
    edit(project, "001_initial_schema", after="begin;\n", new="-- edited\n")

    for subcommand in ("migrate",) if pending else ("migrate", "rollback"):
        message = refusal(run(subcommand, env=env, root=project))
        assert "001_initial_schema.sql was edited after it ran" in message
        assert "stamp" in message
    result = alembic("upgrade", "head", env=env, root=project)
    assert result.returncode != 0
    assert "001_initial_schema.sql was edited" in result.stdout + result.stderr
    assert ("affiliates" in tables(database)) != pending
    if pending:
        return
    status = run("status", env=env, root=project)
    assert status.returncode == 1
    assert "edited   001_initial_schema" in status.stdout.splitlines()

    # An operator who knows that the schema is what the file says can record that.
    run("stamp", env=env, root=project).check_returncode()
    run("migrate", env=env, root=project).check_returncode()


def test_a_migration_taken_back_may_be_edited(
    database: Database, use: Use, project: Path
) -> None:
    use(database)
    migrate.downgrade()
    edit(project, REVISIONS[-1], after="begin;\n", new="-- edited\n")

    run("migrate", env=database.environment(), root=project).check_returncode()

    # The file that ran is the edited one, not the one in this project.
    assert edited(database) == [REVISIONS[-1]]


# --- Databases with a past ------------------------------------------------------------


@pytest.mark.parametrize("made", [2, len(FILES)])
def test_a_database_made_with_psql_is_refused_until_it_is_stamped(
    empty_database: Database, use: Use, made: int
) -> None:
    """Also where the last migrations make no table."""
    database, env = empty_database, empty_database.environment()
    use(database)
    psql(*FILES[:made], url=database.url)
    before = whole(database)
    revision = REVISIONS[made - 1]

    message = refusal(run("migrate", env=env))
    assert "already has objects of 001_initial_schema.sql" in message
    assert f"`saas stamp {revision}`" in message
    assert not tables(database) & set(OUR_TABLES)
    status = run("status", env=env)
    assert status.returncode == 1
    assert status.stdout.splitlines()[-1].endswith(f"run `saas stamp {revision}`.")

    result = run("stamp", revision, env=env)
    assert result.stdout == f'Schema "public" of {place(database)} is at {revision}.\n'
    assert whole(database) == before

    migrate.upgrade()
    assert applied(database) == REVISIONS
    # Its files are known from now on.
    known = database.execute(f"select revision from {migrate.CHECKSUM_TABLE}")
    assert sorted(known) == [(revision,) for revision in REVISIONS]


@pytest.mark.parametrize("made", [0, 5])
def test_what_never_ran_is_not_stamped(empty_database: Database, made: int) -> None:
    env = empty_database.environment()
    if made:
        psql(*FILES[:made], url=empty_database.url)
    before = whole(empty_database)

    message = refusal(run("stamp", env=env))
    assert f"lacks objects of {FILES[made].name}" in message
    assert "saas migrate" in message
    through_alembic = alembic("stamp", "head", env=env)
    assert through_alembic.returncode != 0
    assert "lacks objects of" in through_alembic.stdout + through_alembic.stderr

    assert whole(empty_database) == before
    assert applied(empty_database) == []


def test_a_database_ahead_of_the_project_is_left_alone(
    database: Database, use: Use
) -> None:
    use(database)
    database.execute(f"update {migrate.VERSION_TABLE} set version_num = '999_future'")
    before = whole(database)

    message = refusal(run("status", env=database.environment()))
    assert "at migration 999_future, which this project does not have" in message
    for function in (migrate.upgrade, migrate.downgrade):
        with pytest.raises(UserError, match="999_future"):
            function()
    result = alembic("upgrade", "head", env=database.environment())
    assert result.returncode != 0
    assert "999_future" in result.stdout + result.stderr
    assert whole(database) == before


# --- Other schemas, other owners ------------------------------------------------------


def test_another_schema_gets_the_same_objects_and_public_none(
    database: Database, empty_database: Database
) -> None:
    schema = 'Über "us" %s \\ .x $name$ it\'s $function$ %1$I'
    env = empty_database.environment(DB_SCHEMA=schema)

    run("migrate", env=env).check_returncode()

    assert tables(empty_database) == set()
    assert tables(empty_database, schema) == tables(database)
    quoted = '"' + schema.replace('"', '""') + '"'
    # Each schema has its own name, and public rights of its own.
    schemas = ("^pg_namespace ", f"^privilege ({re.escape(quoted)}|public):")
    ours = without(schemas, whole(empty_database))
    ours = [
        line.replace(quoted, "public").replace(f"'{schema}'", "'public'")
        for line in ours
    ]
    assert sorted(ours) == without(schemas, whole(database))

    # Triggers and functions find their tables, whatever the session's search_path is.
    empty_database.execute(
        f"""
        insert into {quoted}.users (email, password_hash) values ('a@example.com', '');
        update {quoted}.users set role = 'admin';
        select {quoted}.aggregate_daily_usage(date '2026-01-01');
        select {quoted}.create_event_partitions(date '2031-01-01', date '2031-01-01');
        """
    )
    run("rollback", "base", "--yes", env=env).check_returncode()
    assert tables(empty_database, schema) == set(OUR_TABLES)


def test_two_schemas_of_one_database_are_migrated_apart(
    database: Database, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(database)
    monkeypatch.setenv("DB_SCHEMA", "second")

    migrate.upgrade("001")

    assert applied(database) == REVISIONS
    assert applied(database, "second") == REVISIONS[:1]
    assert "affiliates" not in tables(database, "second")


@pytest.fixture
def owned_database(any_server_url: str) -> Iterator[Database]:
    """A database of a user who may do nothing else."""
    owner = f"owner_{uuid.uuid4().hex[:8]}"
    server = Database(any_server_url)
    server.execute(f"create role {owner} login password 'secret'")
    try:
        with new_database(any_server_url, owner=owner) as made:
            yield Database(with_login(made.url, owner, "secret"))
    finally:
        server.execute(f"drop role {owner}")


def test_the_databases_owner_needs_no_superuser(
    owned_database: Database, use: Use
) -> None:
    use(owned_database)

    migrate.upgrade()
    run("partitions", "--ahead", "5", env=owned_database.environment())
    assert applied(owned_database) == REVISIONS
    migrate.downgrade("base")

    assert tables(owned_database) == set(OUR_TABLES)


def test_a_lock_that_another_role_holds_is_waited_for_as_told_and_named(
    empty_database: Database,
) -> None:
    with closing(empty_database.connect(application_name="a nosy one")) as other:
        other.cursor().execute("select pg_advisory_lock(%s)", (migrate.LOCK_NUMBER,))
        refused = run("migrate", "--wait", "0.5", env=empty_database.environment())

    message = refusal(refused)
    assert "has held its lock for 0.5 s, as postgres (process" in message
    assert "a nosy one" in message
    run("migrate", env=empty_database.environment()).check_returncode()
