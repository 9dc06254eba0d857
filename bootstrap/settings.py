"""Every setting, its default and where it comes from.

The environment wins over `.env` in the project's root. Without DATABASE_URL and DB_HOST
the embedded server is meant.
"""

import difflib
import io
import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg2
from dotenv.parser import parse_stream
from psycopg2.extensions import parse_dsn

from bootstrap.errors import UserError

ROOT = Path(__file__).resolve().parent.parent

# What the embedded server keeps: its data, its socket and its log.
EMBEDDED_FOLDER = ROOT / ".postgres"
EMBEDDED_USER = "postgres"
EMBEDDED_DATABASE = "saas"

OLDEST_SERVER = 14

# PostgreSQL cuts longer names, and would then find another object than was meant.
LONGEST_NAME = 63

_WARNED: set[Path] = set()
# In milliseconds it is still an integer of PostgreSQL.
LONGEST_TIMEOUT = 2_000_000

URL_FORM = "postgresql://user:password@host:5432/database"

# What `.env` may hold for this project. Other names in it belong to other programs.
NAMES = (
    *("DATABASE_URL", "OWNER_DATABASE_URL"),
    *("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD", "DB_SCHEMA"),
    *("DB_TRANSFORMER_ROLE", "DB_ANALYST_ROLE", "DB_APPLICATION_ROLE"),
    *("DBT_SCHEMA", "DBT_PRODUCTION", "DBT_THREADS"),
    *("DBT_LOCK_WAIT", "REFRESH_TIMEOUT"),
)
# From 0 to 1; DB_POOL and TEST_DATABASE_URL are below it, DB_PASSWD is above.
ALIKE = 0.85


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

    application_role: str
    """Role that writes the rows of the OLTP tables."""

    owner_database_url: str | None = None
    """libpq URL of the OLTP tables' owner; None means `database_url`."""

    is_production: bool = False
    """Whether commands that delete data or rebuild all of it are to be refused."""

    refresh_timeout: float = 3600
    """Seconds that a statement of a run may take; 0 for as long as it needs."""

    def for_owner(self) -> "Settings":
        """The settings of a command that changes the OLTP tables."""
        return replace(self, database_url=self.owner_database_url or self.database_url)

    def dbt_schemas(self) -> list[str]:
        """Names of all schemas that the transformer writes to, the marts' first."""
        parts = (
            *("staging", "intermediate", "seeds", "snapshots", "test_failures"),
            # What runs remember of each other.
            *("refresh", "expectations"),
        )
        return [self.marts_schema, *(f"{self.marts_schema}_{part}" for part in parts)]


def environment() -> dict[str, str]:
    """The environment over the `.env` file; empty values count as not set.

    Raises:
        UserError: the file can't be read.
    """
    from_file = _read_env_file(ROOT / ".env")
    # DATABASE_URL stands above DB_HOST, but not when only the file has it.
    if os.environ.get("DB_HOST"):
        from_file.pop("DATABASE_URL", None)
    # Who names a server for one command means it for the owner's commands too.
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
        # The longest of the schemas that begin with it.
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
            f"{', '.join(roles)} name one role twice: each is to have less than the "
            "one before it, so name three"
        )
    if settings.source_schema in settings.dbt_schemas():
        raise UserError(
            f'the marts can\'t share the schema "{settings.source_schema}" with the '
            "source: change DB_SCHEMA or DBT_SCHEMA"
        )
    return settings


def _read_env_file(path: Path) -> dict[str, str]:
    """The file's values as they stand: a $ in a password means nothing."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(
            f"{path.name} can't be read ({reason}): mend or remove it"
        ) from None
    _warn_of_readers(path, content)
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(content)):
        if binding.error or (binding.key is not None and binding.value is None):
            text = binding.original.string
            blank_lines = text[: len(text) - len(text.lstrip())].count("\n")
            # The line itself is not shown: it may hold a password.
            raise UserError(
                f"{path.name} has no NAME=value in line "
                f"{binding.original.line + blank_lines}: mend it, see .env.example"
            )
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    _refuse_typos(values, path)
    return values


def _refuse_typos(names: Iterable[str], path: Path) -> None:
    for name in names:
        meant = difflib.get_close_matches(name.upper(), NAMES, n=1, cutoff=ALIKE)
        if meant and name not in NAMES:
            raise UserError(
                f"{path.name} sets {name}, which is no setting: correct it to "
                f"{meant[0]}, or remove the line"
            )


def _check_threads(env: Mapping[str, str]) -> None:
    threads = env.get("DBT_THREADS", "1")
    if not (threads.isascii() and threads.isdecimal()) or not 0 < int(threads) < 1000:
        raise UserError("DBT_THREADS is no number of threads: give 1 to 999")


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
    return _checked_url(url, setting="OWNER_DATABASE_URL")


def _warn_of_readers(path: Path, content: str) -> None:
    """Say so, once, where other users can read a password in the file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    holds_one = re.search(
        r"^\s*(?:export\s+)?DB_PASSWORD\s*=|://[^/\s]*:[^/\s]*@|"
        r"[?&](?:ssl)?password=",
        content,
        re.MULTILINE,
    )
    if mode & (stat.S_IRGRP | stat.S_IROTH) and holds_one and path not in _WARNED:
        _WARNED.add(path)
        print(
            f"warning: {path.name} holds a password and other users may read it: run "
            f"`chmod 600 {path.name}`",
            file=sys.stderr,
        )


def _database_url(env: Mapping[str, str]) -> str | None:
    if url := env.get("DATABASE_URL"):
        return _checked_url(url)
    if host := env.get("DB_HOST"):
        if "DB_NAME" not in env:
            raise UserError("DB_HOST is set but DB_NAME is not: name the database")
        return build_url(
            host=host,
            port=_port(env.get("DB_PORT", "5432"), setting="DB_PORT"),
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


def _checked_url(url: str, setting: str = "DATABASE_URL") -> str:
    """The URL as libpq takes it. Errors never repeat it: it may hold a password."""
    scheme, separator, rest = url.partition("://")
    # SQLAlchemy names the driver in the scheme: postgresql+psycopg2://
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise UserError(f"{setting} is not a PostgreSQL URL: write {URL_FORM}")
    url = f"postgresql://{rest}"
    authority, _, path = rest.partition("?")[0].partition("/")
    try:
        # libpq would take a part of such a password for the host, which errors show.
        if "@" in path or authority.count("@") > 1:
            raise psycopg2.ProgrammingError
        parameters = parse_dsn(url)
    except psycopg2.ProgrammingError:
        raise UserError(
            f"{setting} can't be read: write {URL_FORM}, with special characters "
            "in the password percent-encoded and only options of libpq after a ?"
        ) from None
    for port in parameters.get("port", "5432").split(","):
        _port(port, setting=setting)
    if "dbname" not in parameters:
        raise UserError(f"{setting} names no database: write {URL_FORM}")
    return url


def _port(text: str, setting: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 65536:
        raise UserError(f"{setting} has no usable port: give a number from 1 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdecimal()) or int(text) > LONGEST_TIMEOUT:
        raise UserError(
            f"REFRESH_TIMEOUT is no number of seconds: give one from 0 (no limit) to "
            f"{LONGEST_TIMEOUT}"
        )
    return float(text)


def build_url(
    *,
    host: str,
    database: str,
    user: str | None = None,
    password: str | None = None,
    port: int = 5432,
) -> str:
    """A libpq URL. A host that begins with / is the folder of a unix socket."""
    login = "" if user is None else quote(user, safe="")
    if password is not None:
        login += ":" + quote(password, safe="")
    if login:
        login += "@"
    name = quote(database, safe="")
    if host.startswith("/"):
        return f"postgresql://{login}/{name}?" + urlencode(
            {"host": host, "port": port}, quote_via=quote, safe="/"
        )
    if ":" in host:
        # An IPv6 address, with or without its brackets.
        return f"postgresql://{login}[{host.strip('[]')}]:{port}/{name}"
    return f"postgresql://{login}{quote(host, safe='')}:{port}/{name}"
