"""The environment variables that pass the project's settings to dbt.

hook.py sets them in programs of other projects, such as those that call dbtRunner.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2.extensions import parse_dsn

from saas_analytics import database, hook, marts_owner, project, settings
from saas_analytics.database import trust
from saas_analytics.errors import FAILED, INTERRUPTED, UserError
from saas_analytics.server import embedded

# Commands that need no database don't start the server.
COMMANDS_WITHOUT_DATABASE = ("parse", "list", "ls", "deps", "clean", "init")
OPTIONS_WITHOUT_DATABASE = {"--version", "-v", "--help", "-h"}

# dbt's search_path: no schema in which lesser roles may create.
SEARCH_PATH = "pg_catalog,pg_temp"
_SEARCH_PATH_OPTION = f"-c search_path={SEARCH_PATH}"

# Parts of the URL with the variables that profiles.yml reads.
_OF_PROFILE = {
    "host": "DBT_HOST",
    "port": "DBT_PORT",
    "dbname": "DBT_DBNAME",
    "user": "DBT_USER",
    "password": "DBT_PASSWORD",
    "sslmode": "DBT_SSLMODE",
    "sslrootcert": "DBT_SSLROOTCERT",
    "sslcert": "DBT_SSLCERT",
    "sslkey": "DBT_SSLKEY",
}
# Variables that libpq reads.
_OF_LIBPQ = {
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "sslcrl": "PGSSLCRL",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


def variables() -> dict[str, str]:
    """The variables for a process that only runs dbt.

    Its search_path is an option of the connection, added to those of the URL.

    Raises:
        UserError: a setting that can't be used.
    """
    configuration = settings.load()
    parameters = parse_dsn(
        configuration.database_url or embedded.default_server().url()
    )
    if len(set(parameters.get("port", "").split(","))) > 1:
        raise UserError("dbt takes one port only: name one server in DATABASE_URL")
    # libpq's defaults for parts that the URL omits.
    if "user" not in parameters:
        parameters["user"] = os.environ.get("PGUSER") or getpass.getuser()
    defaults = {
        "DBT_HOST": os.environ.get("PGHOST", ""),
        "DBT_PORT": os.environ.get("PGPORT", "5432"),
        "DBT_PASSWORD": os.environ.get("PGPASSWORD", ""),
    }
    # dbt's own search_path would replace these options.
    options = parameters.get("options", os.environ.get("PGOPTIONS", ""))
    if _SEARCH_PATH_OPTION not in options:
        parameters["options"] = f"{options} {_SEARCH_PATH_OPTION}".strip()
    names = {**_OF_PROFILE, **_OF_LIBPQ}
    return {
        "DBT_SSLMODE": os.environ.get("PGSSLMODE") or "prefer",
        # DBT_THREADS and other settings of dbt in .env.
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


def shared_variables() -> dict[str, str]:
    """The variables for a shell, or for a process that does not only run dbt.

    They set dbt's own search_path, because PGOPTIONS would apply to every connection.
    dbt's search_path would replace options of the URL or of PGOPTIONS. If there are
    any, the search_path is one of them instead.

    Raises:
        UserError: a setting that can't be used.
    """
    found = variables()
    url = settings.load().database_url
    if not (url and "options" in parse_dsn(url)) and not os.environ.get("PGOPTIONS"):
        found.pop("PGOPTIONS", None)
        found["DBT_SEARCH_PATH"] = SEARCH_PATH
    return found


def connection() -> dict[str, str]:
    """The shared variables with the role that owns the marts. Starts the server.

    Raises:
        UserError: a setting that can't be used, a search_path that is not safe, or a
            user who may not run what is in the marts' schemas.
    """
    found = shared_variables()
    configuration = settings.load()
    options = found.get("PGOPTIONS", "")
    url = database.url_in_use(configuration)
    if not _has_search_path(url, options or _SEARCH_PATH_OPTION):
        found["DBT_SEARCH_PATH"] = ""
        options = os.environ.get("PGOPTIONS", "")
        found.pop("PGOPTIONS", None)
        _refuse_planted()
    return {**found, **marts_owner.dbt_variables(configuration, options)}


def prepare(arguments: Sequence[str]) -> None:
    """Set up this process for dbt: settings, a safe search_path and the marts' role.

    dbt resolves operators of the catalog before its first hook, so a check within dbt
    is too late. A pooler may refuse or drop options. Then the schemas of the default
    search_path must be safe.

    Args:
        arguments: dbt's command line.

    Raises:
        UserError: a setting that can't be used, a search_path that is not safe, or a
            user who may not run what is in the marts' schemas.
    """
    hook.remove()
    given = os.environ.get("PGOPTIONS", "")
    os.environ.update(variables())
    if not needs_database(arguments):
        return
    configuration = settings.load()
    url = database.url_in_use(configuration)
    if not _has_search_path(url, os.environ["PGOPTIONS"]):
        os.environ["PGOPTIONS"] = given
        _refuse_planted()
    os.environ.update(marts_owner.dbt_variables(configuration, os.environ["PGOPTIONS"]))


def start(arguments: Sequence[str]) -> None:
    """Prepare the program `dbt`, or end it with one line if that fails."""
    try:
        folders = _folders(arguments)
        if project.serves(*folders):
            with project.served(*folders):
                prepare(arguments)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    except Exception as error:
        # Python would print the exception and run dbt without settings.
        print(f"error: {error}", file=sys.stderr, flush=True)
        os._exit(FAILED)


def provide(profiles_folder: str) -> None:
    """Set up dbt in another program, when it reads the profile of this project.

    Args:
        profiles_folder: the folder of the profile that dbt reads.

    Raises:
        DbtProfileError: a setting or the connection fails.
    """
    from dbt.exceptions import DbtProfileError
    from dbt.flags import get_flags
    from dbt_common.context import try_get_invocation_context

    flags = get_flags()  # type: ignore[no-untyped-call]
    folders = (Path(profiles_folder), Path(getattr(flags, "PROJECT_DIR", None) or "."))
    if not project.serves(*folders):
        return
    command = getattr(flags, "WHICH", None)
    try:
        with project.served(*folders):
            found = (
                shared_variables()
                if command in COMMANDS_WITHOUT_DATABASE
                else connection()
            )
    except UserError as error:
        raise DbtProfileError(str(error)) from None
    os.environ.update(found)
    # dbt copied the environment when its command began.
    context = try_get_invocation_context()
    if context is not None:
        context._env = {**context.env, **found}


def needs_database(arguments: Sequence[str]) -> bool:
    """Whether a dbt command line needs the server to run."""
    commands = [argument for argument in arguments if not argument.startswith("-")]
    return (
        bool(commands)
        and commands[0] not in COMMANDS_WITHOUT_DATABASE
        and OPTIONS_WITHOUT_DATABASE.isdisjoint(arguments)
    )


def _folders(arguments: Sequence[str]) -> list[Path]:
    """The folders of project and profile in a dbt command line.

    By default these are the working folder and its parents, which dbt searches.
    """
    found = []
    for option, variable in (
        ("--project-dir", "DBT_PROJECT_DIR"),
        ("--profiles-dir", "DBT_PROFILES_DIR"),
    ):
        given = os.environ.get(variable, "")
        for number, argument in enumerate(arguments):
            if argument == option and number + 1 < len(arguments):
                given = arguments[number + 1]
            elif argument.startswith(f"{option}="):
                given = argument.partition("=")[2]
        if given:
            found.append(Path(given))
    here = Path.cwd()
    return found or [here, *here.parents]


def _has_search_path(url: str, options: str) -> bool:
    """Whether sessions get the search_path; true if the server does not answer."""
    try:
        with (
            closing(psycopg2.connect(url, options=options)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("select pg_catalog.current_setting('search_path')")
            return cursor.fetchone() == (SEARCH_PATH,)
    except psycopg2.OperationalError as error:
        # dbt reports other errors.
        return "unsupported startup parameter" not in str(error)


def _refuse_planted() -> None:
    """Refuse a default search_path with a schema in which lesser roles may create.

    Raises:
        UserError: it has such a schema.
    """
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
                raise UserError(f"the pooler drops the option search_path, and {found}")
