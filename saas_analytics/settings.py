"""Every setting, its default and its source.

The environment overrides `.env` in the project's root. Without DATABASE_URL and DB_HOST
the database is on the embedded server.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from saas_analytics import env_file, project
from saas_analytics.errors import UserError
from saas_analytics.urls import build_url, checked_url, port_number

OLDEST_SERVER = 14

# In bytes. PostgreSQL truncates longer names, so they could name another object.
LONGEST_NAME = 63

# In seconds. In milliseconds it fits an integer of PostgreSQL.
LONGEST_TIMEOUT = 2_000_000


@dataclass(frozen=True)
class Settings:
    """The settings of one run."""

    database_url: str | None
    """libpq URL of the server; None means the embedded one."""

    source_schema: str
    """Schema of the OLTP tables."""

    marts_schema: str
    """Schema of the marts; the other dbt schemas begin with it."""

    transformer_role: str
    """Role that dbt runs as."""

    analyst_role: str
    """Role that may only read the marts."""

    application_role: str
    """Role that writes the rows of the OLTP tables."""

    owner_database_url: str | None = None
    """libpq URL of the OLTP tables' owner; None means `database_url`."""

    is_production: bool = False
    """Whether commands that delete data or rebuild everything are refused."""

    refresh_timeout: float = 3600
    """Seconds that a statement of a run may take; 0 for no limit."""

    def for_owner(self) -> "Settings":
        """The settings of a command that changes the OLTP tables."""
        return replace(self, database_url=self.owner_database_url or self.database_url)

    def dbt_schemas(self) -> list[str]:
        """Names of all schemas that the transformer writes to, the marts' first."""
        parts = (
            *("staging", "intermediate", "seeds", "snapshots", "test_failures"),
            # The schemas in which runs record their state.
            *("refresh", "expectations"),
        )
        return [self.marts_schema, *(f"{self.marts_schema}_{part}" for part in parts)]


def environment() -> dict[str, str]:
    """The environment over the `.env` file; empty values count as not set.

    Raises:
        UserError: the file can't be read.
    """
    from_file = env_file.read(project.root() / ".env")
    # DATABASE_URL overrides DB_HOST within one source, and the environment the file.
    if os.environ.get("DB_HOST"):
        from_file.pop("DATABASE_URL", None)
    # A server that the environment names applies to the owner's commands, too.
    if os.environ.get("DATABASE_URL") or os.environ.get("DB_HOST"):
        from_file.pop("OWNER_DATABASE_URL", None)
    merged = {**from_file, **os.environ}
    return {name: value for name, value in merged.items() if value}


def load(variables: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Raises:
        UserError: a setting that can't be used.
    """
    env = environment() if variables is None else variables
    settings = Settings(
        database_url=_database_url(env),
        source_schema=env.get("DB_SCHEMA", "public"),
        marts_schema=env.get("DBT_SCHEMA", "analytics"),
        transformer_role=env.get("DB_TRANSFORMER_ROLE", "saas_transformer"),
        analyst_role=env.get("DB_ANALYST_ROLE", "saas_analyst"),
        application_role=env.get("DB_APPLICATION_ROLE", "saas_application"),
        owner_database_url=_owner_database_url(env),
        is_production=_is_production(env),
        refresh_timeout=_seconds(env.get("REFRESH_TIMEOUT", "3600")),
    )
    _check_threads(env)
    names = {
        "DB_SCHEMA": settings.source_schema,
        # The longest name of a schema that begins with it.
        "DBT_SCHEMA": max(settings.dbt_schemas(), key=len),
        "DB_TRANSFORMER_ROLE": settings.transformer_role,
        "DB_ANALYST_ROLE": settings.analyst_role,
        "DB_APPLICATION_ROLE": settings.application_role,
    }
    for setting, name in names.items():
        if len(name.encode()) > LONGEST_NAME:
            raise UserError(
                f'{setting} makes the name "{name}": PostgreSQL takes at most '
                f"{LONGEST_NAME} bytes"
            )
    if re.search(r"""['"$\\]|[\x00-\x1f]""", settings.marts_schema):
        raise UserError(
            "DBT_SCHEMA holds a quote, a dollar, a backslash or a control character: "
            "name the marts' schema without one"
        )
    roles = {
        "DB_TRANSFORMER_ROLE": settings.transformer_role,
        "DB_ANALYST_ROLE": settings.analyst_role,
        "DB_APPLICATION_ROLE": settings.application_role,
    }
    for setting, role in roles.items():
        if role.startswith("pg_") or role in ("public", "none"):
            raise UserError(
                f'{setting} names the role "{role}", which is PostgreSQL\'s own: name '
                "another one"
            )
    if len(set(roles.values())) < len(roles):
        raise UserError(
            f"{', '.join(roles)} name one role twice: name three roles, each with "
            "fewer rights than the one before it"
        )
    if settings.source_schema in settings.dbt_schemas():
        raise UserError(
            f'the marts can\'t share the schema "{settings.source_schema}" with the '
            "source: change DB_SCHEMA or DBT_SCHEMA"
        )
    return settings


def _check_threads(env: Mapping[str, str]) -> None:
    threads = env.get("DBT_THREADS", "1")
    if not (threads.isascii() and threads.isdecimal()) or not 0 < int(threads) < 1000:
        raise UserError("DBT_THREADS is not a number of threads: give 1 to 999")


def _is_production(env: Mapping[str, str]) -> bool:
    value = env.get("DBT_PRODUCTION", "")
    if value and value.lower() not in ("1", "true", "yes", "on"):
        raise UserError(
            "DBT_PRODUCTION has a value that can't be used: set it to 1, or remove it"
        )
    return bool(value)


def _owner_database_url(env: Mapping[str, str]) -> str | None:
    url = env.get("OWNER_DATABASE_URL")
    if url is None:
        return None
    if "DATABASE_URL" not in env and "DB_HOST" not in env:
        raise UserError(
            "OWNER_DATABASE_URL is set but DATABASE_URL is not: set DATABASE_URL to "
            "the connection that builds the marts"
        )
    return checked_url(url, setting="OWNER_DATABASE_URL")


def _database_url(env: Mapping[str, str]) -> str | None:
    if url := env.get("DATABASE_URL"):
        return checked_url(url)
    if host := env.get("DB_HOST"):
        if "DB_NAME" not in env:
            raise UserError("DB_HOST is set but DB_NAME is not: name the database")
        return build_url(
            host=host,
            port=port_number(env.get("DB_PORT", "5432"), setting="DB_PORT"),
            database=env["DB_NAME"],
            user=env.get("DB_USER"),
            password=env.get("DB_PASSWORD"),
        )
    for name in ("DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD"):
        if name in env:
            raise UserError(
                f"{name} is set but DB_HOST is not: set DB_HOST (or DATABASE_URL), "
                f"or unset {name} to use the embedded server"
            )
    return None


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdecimal()) or int(text) > LONGEST_TIMEOUT:
        raise UserError(
            "REFRESH_TIMEOUT is not a number of seconds: give one from 0 (no limit) "
            f"to {LONGEST_TIMEOUT}"
        )
    return float(text)
