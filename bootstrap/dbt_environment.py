"""Gives plain `dbt` and `sqlfluff` the project's settings.

dbt's profile can only read environment variables. The virtual environment imports this
module when Python starts (`saas_analytics.pth`, written by scripts/install); for any
other program it does nothing.
"""

import os
import sys

PROGRAMS = ("dbt", "sqlfluff")

# What needs no database starts no server.
COMMANDS_WITHOUT_DATABASE = ("parse", "list", "ls", "deps", "clean", "init")
OPTIONS_WITHOUT_DATABASE = {"--version", "-v", "--help", "-h"}

# Where dbt looks names up: nowhere that lesser roles may create.
SEARCH_PATH = "pg_catalog,pg_temp"


def variables() -> dict[str, str]:
    """The variables that profiles.yml and _sources.yml read.

    Raises:
        UserError: a setting that can't be used.
    """
    import getpass

    from psycopg2.extensions import parse_dsn

    from bootstrap import embedded, settings
    from bootstrap.errors import UserError

    configuration = settings.load()
    url = configuration.database_url or embedded.default_server().url()
    parameters = parse_dsn(url)
    if len(set(parameters.get("port", "").split(","))) > 1:
        raise UserError("dbt takes one port only: name one server in DATABASE_URL")
    names = {
        "host": "DBT_HOST",
        "port": "DBT_PORT",
        "dbname": "DBT_DBNAME",
        "user": "DBT_USER",
        "password": "DBT_PASSWORD",
        "sslmode": "DBT_SSLMODE",
        "sslrootcert": "DBT_SSLROOTCERT",
        "sslcert": "DBT_SSLCERT",
        "sslkey": "DBT_SSLKEY",
        # libpq reads these by itself.
        "channel_binding": "PGCHANNELBINDING",
        "gssencmode": "PGGSSENCMODE",
        "options": "PGOPTIONS",
        "passfile": "PGPASSFILE",
        "sslcrl": "PGSSLCRL",
        "sslnegotiation": "PGSSLNEGOTIATION",
        "target_session_attrs": "PGTARGETSESSIONATTRS",
    }
    # What the URL leaves out, as libpq would take it.
    if "user" not in parameters:
        parameters["user"] = os.environ.get("PGUSER") or getpass.getuser()
    defaults = {
        "DBT_HOST": os.environ.get("PGHOST", ""),
        "DBT_PORT": os.environ.get("PGPORT", "5432"),
        "DBT_PASSWORD": os.environ.get("PGPASSWORD", ""),
    }
    # dbt's own search_path would take the place of these options.
    options = parameters.get("options", os.environ.get("PGOPTIONS", ""))
    parameters["options"] = f"{options} -c search_path={SEARCH_PATH}".strip()
    return {
        # DBT_THREADS and whatever else .env says to dbt itself.
        **{
            name: value
            for name, value in settings.environment().items()
            if name.startswith("DBT_")
        },
        **defaults,
        **{name: parameters[key] for key, name in names.items() if key in parameters},
        "DBT_SOURCE_SCHEMA": configuration.source_schema,
        "DBT_SCHEMA": configuration.marts_schema,
        "DBT_SEARCH_PATH": "",
        "REFRESH_TIMEOUT": f"{configuration.refresh_timeout:.0f}",
    }


def prepare(arguments: list[str]) -> None:
    """Give dbt, in this process, the settings, a safe search_path, and the marts' role.

    dbt looks up operators of the catalog before its first hook, so no check within dbt
    is early enough. A pooler may refuse or drop options: there the schemas of the
    search_path must be safe by themselves.

    Args:
        arguments: dbt's command line.

    Raises:
        UserError: a setting that can't be used, a search_path that is not safe, or a
            user who may not run what is in the marts' schemas.
    """
    from bootstrap import database, marts_owner, settings

    given = os.environ.get("PGOPTIONS", "")
    os.environ.update(variables())
    if not needs_database(arguments):
        return
    url = database.url_in_use(settings.load())
    if not _has_search_path(url):
        os.environ["PGOPTIONS"] = given
        _refuse_planted()
    os.environ.update(marts_owner.dbt_variables(settings.load()))


def _has_search_path(url: str) -> bool:
    """Whether sessions get the search_path; true where the server can't be reached."""
    import contextlib

    import psycopg2

    try:
        options = os.environ["PGOPTIONS"]
        with (
            contextlib.closing(psycopg2.connect(url, options=options)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("select pg_catalog.current_setting('search_path')")
            return cursor.fetchone() == (SEARCH_PATH,)
    except psycopg2.OperationalError as error:
        # dbt says what else is wrong.
        return "unsupported startup parameter" not in str(error)


def _refuse_planted() -> None:
    """Stop where a session looks names up in a schema that lesser roles may create in.

    Raises:
        UserError: it does.
    """
    from bootstrap import database, settings, trust
    from bootstrap.errors import UserError

    with (
        database.connected(settings.load()) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "select unnest(string_to_array(reset_val, ',')) from pg_settings "
            "where name = 'search_path'"
        )
        for (name,) in cursor.fetchall():
            schema = name.strip().strip('"').replace('""', '"')
            if found := trust.complaint(cursor, schema):
                raise UserError(f"the pooler does not pass on search_path, and {found}")


def _install() -> None:
    program = sys.orig_argv[1].rpartition("/")[2] if len(sys.orig_argv) > 1 else ""
    if program not in PROGRAMS:
        return
    try:
        if program == "dbt":
            prepare(sys.orig_argv[2:])
        else:
            os.environ.update(variables())
    except KeyboardInterrupt:
        os._exit(130)
    except Exception as error:
        # Raised, it would only be printed, and dbt would go on without settings.
        print(f"error: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def needs_database(arguments: list[str]) -> bool:
    """Whether a dbt command line needs the server to run."""
    commands = [argument for argument in arguments if not argument.startswith("-")]
    return (
        bool(commands)
        and commands[0] not in COMMANDS_WITHOUT_DATABASE
        and OPTIONS_WITHOUT_DATABASE.isdisjoint(arguments)
    )


_install()
