"""Gives plain `dbt` and `sqlfluff` the project's settings.

dbt's profile can only read environment variables. The virtual environment imports this
module when Python starts (`saas_analytics.pth`, written by scripts/install); for any
other program it does nothing.
"""

import os
import sys
from pathlib import Path

PROGRAMS = ("dbt", "sqlfluff")

# What needs no database starts no server.
WITHOUT_DATABASE = {
    "parse",
    "list",
    "ls",
    "deps",
    "clean",
    "init",
    "--version",
    "--help",
}


def variables() -> dict[str, str]:
    """The variables that profiles.yml and _sources.yml read."""
    from psycopg2.extensions import parse_dsn

    from bootstrap import embedded, settings

    configuration = settings.load()
    url = configuration.database_url or embedded.default_server().url()
    parameters = parse_dsn(url)
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
        "target_session_attrs": "PGTARGETSESSIONATTRS",
        "options": "PGOPTIONS",
    }
    found = {name: parameters[key] for key, name in names.items() if key in parameters}
    defaults = {"DBT_HOST": "localhost", "DBT_PORT": "5432", "DBT_PASSWORD": ""}
    return {
        **defaults,
        **found,
        "DBT_SOURCE_SCHEMA": configuration.source_schema,
        "DBT_SCHEMA": configuration.marts_schema,
    }


def _install() -> None:
    program = Path(sys.orig_argv[1]).name if len(sys.orig_argv) > 1 else ""
    if program not in PROGRAMS:
        return
    from bootstrap.errors import UserError

    try:
        os.environ.update(variables())
        arguments = set(sys.orig_argv[2:])
        if program == "dbt" and arguments and not arguments & WITHOUT_DATABASE:
            from bootstrap import database, settings

            database.url_in_use(settings.load())
    except UserError as error:
        # An exception here would only be printed, and dbt would go on without settings.
        print(f"error: {error}", file=sys.stderr, flush=True)
        os._exit(1)


_install()
