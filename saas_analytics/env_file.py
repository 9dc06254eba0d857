"""The file .env in the project's folder: one NAME=value per line."""

import difflib
import io
import re
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from dotenv.parser import parse_stream

from saas_analytics.errors import UserError

# The names that this project reads. Other names in `.env` belong to other programs.
NAMES = (
    *("DATABASE_URL", "OWNER_DATABASE_URL"),
    *("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD", "DB_SCHEMA"),
    *("DB_TRANSFORMER_ROLE", "DB_ANALYST_ROLE", "DB_APPLICATION_ROLE"),
    *("DBT_SCHEMA", "DBT_PRODUCTION", "DBT_THREADS"),
    *("DBT_LOCK_WAIT", "REFRESH_TIMEOUT"),
)
# A similarity from 0 to 1. It takes DB_PASSWD for a typo, but not DB_POOL.
ALIKE = 0.85

_WARNED: set[Path] = set()


def read(path: Path) -> dict[str, str]:
    """The values of the file, without interpolation: a password may contain a $."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(
            f"{path.name} can't be read ({reason}): correct or remove it"
        ) from None
    _warn_of_readers(path, content)
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(content)):
        if binding.error or (binding.key is not None and binding.value is None):
            text = binding.original.string
            blank_lines = text[: len(text) - len(text.lstrip())].count("\n")
            # The message omits the line itself, which may hold a password.
            raise UserError(
                f"{path.name} has no NAME=value in line "
                f"{binding.original.line + blank_lines}: correct it, see .env.example"
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
                f"{path.name} sets {name}, which is not a setting: correct it to "
                f"{meant[0]}, or remove the line"
            )


def _warn_of_readers(path: Path, content: str) -> None:
    """Warn once if the file holds a password and other users may read it."""
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
