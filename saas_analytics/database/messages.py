"""Errors of libpq and of the server as one line that says how to resolve them."""

import psycopg2


def explain(error: psycopg2.Error) -> str:
    """A database error in one line, with its remedy where one is known."""
    code = error.pgcode or ""
    message = error.diag.message_primary or str(error).strip().partition("\n")[0]
    detail = (error.diag.message_detail or "").partition("\n")[0]
    if code.startswith("57P") or (
        not code and isinstance(error, psycopg2.OperationalError)
    ):
        return f"the connection to the server was lost ({message}): run it again"
    if code == "25006":
        return f"{message}, on a standby or read-only server: name the primary server"
    if code == "2BP01":
        return f"{message} ({detail}): drop the dependent objects first"
    if code in ("42501", "P0001") and error.diag.message_hint:
        return f"{message}: {error.diag.message_hint}"
    if code == "42501":
        return f"{message}: ask the owner for the privilege, or connect as the owner"
    if code == "53400":
        return (
            f"{message}: the statement needed more temporary space than the server "
            "allows; give it more with `alter role … set temp_file_limit`"
        )
    if code == "53100":
        return f"the server's disk is full ({message}): free space and run it again"
    if code == "55P03":
        return f"{message}: another session uses the table; run it again"
    return message


def why_no_connection(message: str, parameters: dict[str, str]) -> str:
    """The remedy for a refused connection, by its text: libpq gives no error code."""
    host = parameters.get("host", "localhost")
    port = parameters.get("port", "5432")
    where = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}"
    user = parameters.get("user", "")
    database = parameters.get("dbname", "")
    # libpq gives one such line per address that it tried. The last one counts.
    lines = message.splitlines()
    tried = [line for line in lines if " failed: " in line] or lines[:1] or [""]
    reason = tried[-1].rsplit(" failed: ", 1)[-1]
    refusal = reason.removeprefix("FATAL:").strip()

    if "password authentication failed" in reason or "no password supplied" in reason:
        return (
            f'the server at {where} refused the password of user "{user}": correct it '
            "in DATABASE_URL or DB_PASSWORD"
        )
    if f'database "{database}" does not exist' in reason:
        return (
            f'there is no database "{database}" at {where}: create it (createdb '
            f"{database}), or correct DATABASE_URL or DB_NAME"
        )
    if f'role "{user}" does not exist' in reason:
        return (
            f'there is no user "{user}" at {where}: create it, or correct DATABASE_URL '
            "or DB_USER"
        )
    if "permission denied for database" in reason:
        return (
            f'user "{user}" may not connect to "{database}": grant connect on database '
            f'"{database}" to "{user}"'
        )
    if "too many clients" in reason or "connection slots are reserved" in reason:
        return f"the server at {where} has no free connection: close some, or try later"
    if "starting up" in reason or "shutting down" in reason or "recovery" in reason:
        return f"the server at {where} is not ready ({refusal}): try again in a moment"
    if "unsupported startup parameter" in reason:
        return (
            f"the pooler at {where} refused an option of DATABASE_URL ({refusal}): "
            "remove it, or add it to the pooler's ignore_startup_parameters"
        )
    if reason.startswith("invalid"):
        return f"DATABASE_URL has an option that can't be used: {reason}"
    if "FATAL" in reason or "SSL" in reason or "certificate" in reason:
        return (
            f"the server at {where} refused the connection ({refusal}): correct "
            "DATABASE_URL, or the server's settings"
        )
    return (
        f"no PostgreSQL server answers at {where} ({reason}): start it, "
        "or correct DATABASE_URL or DB_HOST and DB_PORT"
    )
