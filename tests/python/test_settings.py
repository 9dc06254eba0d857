"""Settings: where they come from, what is refused, and that dbt gets the same."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn

from saas_analytics import settings
from saas_analytics.dbt import environment as dbt_environment
from saas_analytics.errors import UserError
from saas_analytics.server import embedded
from saas_analytics.urls import build_url
from tests.python.servers import FAST, server_folder
from tests.python.support import (
    DBT,
    ROOT,
    Database,
    DbtProject,
    copy_packages,
    copy_project,
    dbt,
    environment,
    refresh,
    refusal,
    run,
    with_login,
)

# Whatever has a meaning in a URL, a shell, .env or Python's formatting.
AWKWARD = "p@ss:w/o?rd#1%20 $HOME ${HOME} 'x' \"y\" \\ &=+ü"


PARTS = {"DB_HOST": "db", "DB_PORT": "6000", "DB_NAME": "saas", "DB_USER": "ada"}
PARTS_PARSED = {"host": "db", "port": "6000", "dbname": "saas", "user": "ada"}

# --- The URL and its parts ------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "parsed"),
    [
        *(
            ({"DATABASE_URL": f"{scheme}://ada@db:6000/saas"}, PARTS_PARSED)
            for scheme in ("postgresql", "postgres", "postgresql+psycopg2")
        ),
        (
            {**PARTS, "DATABASE_URL": "postgresql://h/one"},
            {"host": "h", "dbname": "one"},
        ),
        ({**PARTS, "DB_PASSWORD": "s"}, {**PARTS_PARSED, "password": "s"}),
        (
            {**PARTS, "DB_NAME": AWKWARD, "DB_USER": AWKWARD, "DB_PASSWORD": AWKWARD},
            {
                "host": "db",
                "port": "6000",
                "dbname": AWKWARD,
                "user": AWKWARD,
                "password": AWKWARD,
            },
        ),
        *(
            ({**PARTS, "DB_HOST": host}, {**PARTS_PARSED, "host": host.strip("[]")})
            for host in ("::1", "[2001:db8::7]", "/var/run", "/with space/and,comma")
        ),
    ],
)
def test_libpq_reads_the_url_as_the_settings_mean_it(
    variables: dict[str, str], parsed: dict[str, str]
) -> None:
    url = settings.load(variables).database_url
    assert url is not None
    assert parse_dsn(url) == parsed


def test_without_settings_the_embedded_server_is_meant() -> None:
    found = settings.load({})
    assert found.database_url is None
    assert (found.source_schema, found.marts_schema) == ("public", "analytics")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://ada:s3cret@host/saas",
        "postgresql:/ada:s3cret@host/saas",
        "postgresql://ada:s3cret@host",
        "postgresql://ada:s3cret@host/",
        "postgresql://ada:s3cret@host:0/saas",
        "postgresql://ada:s3cret@host:s3cret/saas",
        "postgresql://ada:s3cret@host:70000/saas",
        "postgresql://ada:s3cret@host/saas?s3cret",
        "postgresql://ada:s3cret@host/saas?no_such_option=s3cret",
        "postgresql://ada:s3cret%@host/saas",
        "postgresql://ada:s3cret%zz@host/saas",
        "postgresql://ada:s3cret@[::1/saas",
        "postgresql://ada:12@s3cret@host/saas",
        "postgresql://ada:12/s3cret@host/saas",
        "postgresql://ada:12/34@s3cret/saas",
    ],
)
def test_a_malformed_url_is_refused_in_one_line_without_the_password(url: str) -> None:
    with pytest.raises(UserError) as refused:
        settings.load({"DATABASE_URL": url})

    message = str(refused.value)
    assert message.startswith("DATABASE_URL ")
    assert "s3cret" not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        *(
            ({**PARTS, "DB_PORT": port}, "DB_PORT has no usable port")
            for port in ("0", "-1", "65536", "5432x", "5 432", "٣٤")
        ),
        ({"DB_NAME": "saas"}, "DB_NAME is set but DB_HOST is not"),
        ({"DB_HOST": "localhost"}, "DB_HOST is set but DB_NAME is not"),
        # PostgreSQL would cut off the end of these, or of <it>_test_failures.
        ({"DB_SCHEMA": "ü" * 32}, "DB_SCHEMA makes the name"),
        ({"DBT_SCHEMA": "m" * 50}, "DBT_SCHEMA makes the name"),
        ({"DB_ANALYST_ROLE": "r" * 64}, "DB_ANALYST_ROLE makes the name"),
        ({"DB_SCHEMA": "analytics"}, "can't share the schema"),
        ({"DB_SCHEMA": "analytics_staging"}, "can't share the schema"),
    ],
)
def test_a_setting_that_can_not_be_used_is_refused_by_name(
    variables: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        settings.load(variables)


# --- .env -----------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, with a `.env` of its own."""
    return copy_project(tmp_path)


def bare_environment(**variables: str) -> dict[str, str]:
    """This process's environment without any of our settings, not even empty."""
    kept = {name: value for name, value in environment().items() if value}
    return {**kept, **variables}


def url_of(project: Path, **variables: str) -> dict[str, str]:
    result = run("url", env=bare_environment(**variables), root=project)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("\n") == 1
    return parse_dsn(result.stdout.strip())


def test_env_file_holds_settings_and_the_environment_wins(project: Path) -> None:
    (project / ".env").write_text(
        "# The server\n"
        "export DB_HOST=from-file\n"
        "\n"
        "DB_NAME=from-file   # a remark\n"
        "DB_USER='ada'\n"
        "DB_PASSWORD='${HOME} $HOME #1'\n"
    )

    assert url_of(project, DB_NAME="from-environment") == {
        "host": "from-file",
        "port": "5432",
        "dbname": "from-environment",
        "user": "ada",
        "password": "${HOME} $HOME #1",
    }


def test_parts_in_the_environment_win_over_a_url_in_the_file(project: Path) -> None:
    (project / ".env").write_text("DATABASE_URL=postgresql://from-file/saas\n")

    assert url_of(project)["host"] == "from-file"
    assert url_of(project, DB_HOST="h", DB_NAME="n")["host"] == "h"


def test_an_empty_variable_counts_as_unset_and_hides_the_files(project: Path) -> None:
    (project / ".env").write_text("DATABASE_URL=\nDB_HOST=h\nDB_NAME=n\nDB_USER=ada\n")

    assert url_of(project, DB_USER="") == {"host": "h", "port": "5432", "dbname": "n"}


def test_the_committed_example_sets_nothing_until_it_is_uncommented(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in settings.environment():
        if name.startswith(("DB_", "DBT_")) or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    monkeypatch.setattr("saas_analytics.project.root", lambda: project)

    (project / ".env").write_text(example, encoding="utf-8")
    assert settings.load() == settings.load({})

    lines = example.replace("#DB", "DB").replace("#DATABASE_URL", "DATABASE_URL")
    (project / ".env").write_text(lines, encoding="utf-8")
    assert settings.load().database_url is not None
    assert settings.load().source_schema == "public"


# --- dbt ------------------------------------------------------------------------------


def test_dbt_works_with_parts_other_schemas_and_an_env_file(
    database: Database, tmp_path: Path
) -> None:
    """A copy of the project, as .env lies in its root."""
    root = DbtProject.copy(tmp_path, domains=()).root
    copy_packages(root)
    found = parse_dsn(database.url)
    (root / ".env").write_text(
        f"DB_HOST='{found['host']}'\n"
        f"DB_PORT={found.get('port', 5432)}\n"
        f"DB_NAME={found['dbname']}\n"
        f"DB_USER={found.get('user', '')}\n"
        f"DB_PASSWORD='{found.get('password', '')}'\n"
        "DB_SCHEMA='the source'\n"
        "DBT_SCHEMA=reporting\n"
        "DBT_THREADS=3\n"
    )
    database.execute('alter schema public rename to "the source"')

    result = subprocess.run(
        [str(DBT), "run", "-s", "stg_saas__users"],
        cwd=root,
        env=bare_environment(PYTHONPATH=str(root)),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert "Concurrency: 3 threads" in result.stdout, result.stdout + result.stderr
    assert database.execute("select count(*) from reporting_staging.stg_saas__users")


def test_a_build_before_the_migrations_says_so_and_makes_no_table(
    empty_database: Database, tmp_path: Path
) -> None:
    project = DbtProject.copy(tmp_path, domains=())

    message = project.dbt("build", database=empty_database)

    assert "(public.affiliate_clicks and 14 more)" in message
    assert "run `saas migrate` first" in message
    # Of the schemas that dbt makes before it asks anything, none has anything in it.
    assert (
        empty_database.execute(
            "select nspname from pg_namespace where nspname like 'analytics%refresh' "
            "union all "
            "select relname from pg_class where relnamespace::regnamespace::text "
            "!~ '^(pg_|information_schema)' union all select proname from pg_proc "
            "where pronamespace::regnamespace::text !~ '^(pg_|information_schema)'"
        )
        == []
    )


def test_a_build_before_the_migrations_is_one_line(empty_database: Database) -> None:
    env = empty_database.environment()

    for command in (("up", "--migrated"), ("build",), ("freshness",)):
        message = refusal(run(*command, env=env))
        assert "has no source tables" in message
        assert "run `saas migrate` first" in message
    run("migrate", env=env).check_returncode()
    run("up", "--migrated", env=env).check_returncode()


def test_dbt_run_with_a_malformed_url_prints_one_line_and_fails(tmp_path: Path) -> None:
    nonsense = Database("postgresql://ada:s3cret@host:port/saas")

    result = dbt("run", database=nonsense, target=tmp_path)

    assert "DATABASE_URL has no usable port" in refusal(result)
    assert result.stdout == ""
    assert "s3cret" not in result.stderr


def test_dbt_names_the_server_that_does_not_answer(tmp_path: Path) -> None:
    nowhere = Database("postgresql://ada:s3cret@localhost:1/nothing")

    result = dbt("debug", database=nowhere, target=tmp_path)

    assert result.returncode != 0
    assert "Connection refused" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert "s3cret" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("run", True),
        ("--log-level debug run", True),
        ("build --select list", True),
        ("ls --resource-type model", False),
        ("--quiet parse", False),
        ("--version", False),
        ("run --help", False),
        ("", False),
    ],
)
def test_only_a_dbt_command_that_needs_a_server_starts_one(
    line: str, expected: bool
) -> None:
    assert dbt_environment.needs_database(line.split()) is expected


def test_dbt_gets_what_libpq_would_take_for_what_the_url_leaves_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql:///saas?sslmode=verify-full")
    monkeypatch.setenv("PGUSER", "ada")
    monkeypatch.delenv("PGHOST", raising=False)

    found = dbt_environment.variables()

    # An empty host is the default socket.
    assert (found["DBT_HOST"], found["DBT_USER"]) == ("", "ada")
    assert found["DBT_SSLMODE"] == "verify-full"


# --- Passwords ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded() -> Iterator[Database]:
    """A server of its own on the loopback interface that asks "ada" for a password."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    configuration = {**FAST, "listen_addresses": "localhost", "port": str(port)}
    with server_folder() as folder:
        server = embedded.EmbeddedServer(
            folder / "server", configuration=tuple(configuration.items())
        )
        server.start()
        try:
            yield Database(_guard(server))
        finally:
            server.stop()


def _guard(server: embedded.EmbeddedServer) -> str:
    """Set a server up to ask for passwords. Returns ada's URL, password and all."""
    admin = Database(server.url())
    admin.execute("create role ada login password %s", (AWKWARD,))
    admin.execute("create role guest login")
    admin.execute(f"grant create on database {embedded.DATABASE} to ada")
    (server.data / "pg_hba.conf").write_text(
        "local all postgres trust\n"
        "host all ada localhost scram-sha-256\n"
        "host all guest localhost trust\n"
    )
    admin.execute("select pg_reload_conf()")
    return build_url(
        host="localhost",
        port=server.port,
        database=embedded.DATABASE,
        user="ada",
        password=AWKWARD,
    )


def test_a_password_with_any_character_is_accepted_by_the_server(
    guarded: Database, tmp_path: Path
) -> None:
    assert run("up", env=guarded.environment()).stdout == "PostgreSQL 18 answers.\n"

    found = parse_dsn(guarded.url)
    parts = environment(
        DB_HOST=found["host"],
        DB_PORT=found["port"],
        DB_NAME=found["dbname"],
        DB_USER=found["user"],
        DB_PASSWORD=found["password"],
    )
    assert run("up", env=parts).returncode == 0
    debug = dbt("debug", database=guarded, target=tmp_path)
    assert debug.returncode == 0, debug.stdout
    assert AWKWARD not in debug.stdout + (tmp_path / "dbt.log").read_text()


def test_a_refused_password_is_told_by_nobody(
    guarded: Database, tmp_path: Path
) -> None:
    wrong = Database(with_login(guarded.url, "ada", "wr0ng"))

    debug = dbt("debug", database=wrong, target=tmp_path)
    refreshed = refresh(wrong)

    for result in (debug, refreshed):
        assert result.returncode == 1, result.stdout + result.stderr
        assert "wr0ng" not in result.stdout + result.stderr
    assert "password authentication failed" in debug.stdout
    assert "wr0ng" not in (tmp_path / "dbt.log").read_text()
    assert "refused the password" in refreshed.stderr


def test_psql_is_run_with_a_password_that_no_process_list_shows(
    guarded: Database,
) -> None:
    result = run(
        *("psql", "-XAt", "-c", "select current_user"),
        *("-c", "\\! ps -o args= -p $PPID"),
        env=guarded.environment(),
    )

    user, command_line = result.stdout.splitlines()
    assert user == "ada", result.stderr
    assert "psql --dbname " in command_line
    assert "password" not in command_line
    assert AWKWARD not in command_line


@pytest.mark.parametrize("password", ["wr0ng", None])
def test_a_wrong_or_missing_password_is_refused_in_one_line(
    guarded: Database, password: str | None
) -> None:
    found = parse_dsn(guarded.url)
    url = build_url(
        host=found["host"],
        port=int(found["port"]),
        database=found["dbname"],
        user="ada",
        password=password,
    )

    no_file = {"PGPASSFILE": str(ROOT / "none")}
    message = refusal(run("up", env={**environment(DATABASE_URL=url), **no_file}))

    assert 'refused the password of user "ada"' in message
    assert "DB_PASSWORD" in message
    assert "wr0ng" not in message


def test_a_user_without_access_and_missing_encryption_are_told_apart(
    guarded: Database,
) -> None:
    stranger = with_login(guarded.url, "stranger", "x")
    message = refusal(run("up", env=environment(DATABASE_URL=stranger)))
    assert "no pg_hba.conf entry" in message

    message = refusal(
        run("up", env=environment(DATABASE_URL=f"{guarded.url}?sslmode=require"))
    )
    assert "does not support SSL" in message


def test_an_unusable_option_of_the_url_is_named(guarded: Database) -> None:
    url = f"{guarded.url}?sslmode=perhaps"

    message = refusal(run("up", env=environment(DATABASE_URL=url)))

    assert message == (
        "DATABASE_URL has an option that can't be used: "
        'invalid sslmode value: "perhaps"'
    )
