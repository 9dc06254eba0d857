"""Every setting, its default and where it comes from.

The environment wins over `.env` in the project's root. Without DATABASE_URL and DB_HOST
the embedded server is meant.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import dotenv
import psycopg2
from psycopg2.extensions import parse_dsn

from bootstrap.errors import UserError

ROOT = Path(__file__).resolve().parent.parent

# What the embedded server keeps: its data, its socket and its log.
EMBEDDED_FOLDER = ROOT / ".postgres"
EMBEDDED_USER = "postgres"
EMBEDDED_DATABASE = "saas"

OLDEST_SERVER = 14

URL_FORM = "postgresql://user:password@host:5432/database"


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
    """Role that reads the marts and nothing else."""

    def dbt_schemas(self) -> list[str]:
        """Names of all schemas that dbt writes to, the marts' first."""
        parts = ("staging", "intermediate", "seeds", "snapshots", "test_failures")
        return [self.marts_schema, *(f"{self.marts_schema}_{part}" for part in parts)]


def environment() -> dict[str, str]:
    """The environment over the `.env` file; empty values count as not set."""
    from_file = dotenv.dotenv_values(ROOT / ".env")
    merged = {**from_file, **os.environ}
    return {name: value for name, value in merged.items() if value}


def load(variables: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Raises:
        UserError: a setting that can't be used.
    """
    env = environment() if variables is None else variables
    return Settings(
        database_url=_database_url(env),
        source_schema=env.get("DB_SCHEMA", "public"),
        marts_schema=env.get("DBT_SCHEMA", "analytics"),
        transformer_role=env.get("DB_TRANSFORMER_ROLE", "saas_transformer"),
        analyst_role=env.get("DB_ANALYST_ROLE", "saas_analyst"),
    )


def _database_url(env: Mapping[str, str]) -> str | None:
    if url := env.get("DATABASE_URL"):
        return _checked_url(url)
    if host := env.get("DB_HOST"):
        return build_url(
            host=host,
            port=_port(env.get("DB_PORT", "5432")),
            database=env.get("DB_NAME", "postgres"),
            user=env.get("DB_USER", "postgres"),
            password=env.get("DB_PASSWORD"),
        )
    for name in ("DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD"):
        if name in env:
            raise UserError(
                f"{name} is set but DB_HOST is not: set DB_HOST (or DATABASE_URL), "
                f"or unset {name} to use the embedded server"
            )
    return None


def _checked_url(url: str) -> str:
    """The URL as libpq takes it. Errors never repeat it: it may hold a password."""
    scheme, separator, rest = url.partition("://")
    # SQLAlchemy names the driver in the scheme: postgresql+psycopg2://
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise UserError(f"DATABASE_URL is not a PostgreSQL URL: write {URL_FORM}")
    url = f"postgresql://{rest}"
    try:
        parameters = parse_dsn(url)
    except psycopg2.ProgrammingError:
        raise UserError(
            f"DATABASE_URL can't be read: write {URL_FORM}, with special characters "
            "in the password percent-encoded"
        ) from None
    _port(parameters.get("port", "5432").split(",")[0], setting="DATABASE_URL")
    if "dbname" not in parameters:
        raise UserError(f"DATABASE_URL names no database: write {URL_FORM}")
    return url


def _port(text: str, setting: str = "DB_PORT") -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UserError(f"{setting} has no usable port: give a number from 1 to 65535")
    return int(text)


def build_url(
    *,
    host: str,
    database: str,
    user: str,
    password: str | None = None,
    port: int = 5432,
) -> str:
    """A libpq URL. A host that begins with / is the folder of a unix socket."""
    login = quote(user, safe="")
    if password is not None:
        login += ":" + quote(password, safe="")
    name = quote(database, safe="")
    if host.startswith("/"):
        return f"postgresql://{login}@/{name}?" + urlencode(
            {"host": host, "port": port}, quote_via=quote, safe="/"
        )
    address = f"[{host}]" if ":" in host else host
    return f"postgresql://{login}@{address}:{port}/{name}"
