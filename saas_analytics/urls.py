"""URLs of databases in libpq's form."""

from urllib.parse import quote, urlencode

import psycopg2
from psycopg2.extensions import parse_dsn

from saas_analytics.errors import UserError

URL_FORM = "postgresql://user:password@host:5432/database"


def checked_url(url: str, setting: str = "DATABASE_URL") -> str:
    """The URL in libpq's form. Errors omit it, because it may hold a password."""
    scheme, separator, rest = url.partition("://")
    # SQLAlchemy names the driver in the scheme: postgresql+psycopg2://
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise UserError(f"{setting} is not a PostgreSQL URL: write {URL_FORM}")
    url = f"postgresql://{rest}"
    authority, _, path = rest.partition("?")[0].partition("/")
    try:
        # libpq would read a part of such a password as the host, which errors show.
        if "@" in path or authority.count("@") > 1:
            raise psycopg2.ProgrammingError
        parameters = parse_dsn(url)
    except psycopg2.ProgrammingError:
        raise UserError(
            f"{setting} can't be read: write {URL_FORM}, with special characters "
            "in the password percent-encoded and only options of libpq after a ?"
        ) from None
    for port in parameters.get("port", "5432").split(","):
        port_number(port, setting=setting)
    if "dbname" not in parameters:
        raise UserError(f"{setting} names no database: write {URL_FORM}")
    return url


def port_number(text: str, setting: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 0 < int(text) < 65536:
        raise UserError(f"{setting} has no usable port: give a number from 1 to 65535")
    return int(text)


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
