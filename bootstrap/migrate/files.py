"""The files of migrations: their order, their text and its checksum."""

import hashlib
import re
import sys
from collections.abc import Collection
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from saas_analytics.database import locks
from saas_analytics.errors import UserError

FOLDER = Path(__file__).resolve().parent.parent / "migrations"


def config(wait_seconds: float = locks.WAIT_SECONDS) -> Config:
    """Alembic's configuration, with the seconds to wait for another migration."""
    # Alembic's own commands read alembic.ini, which an installed package lacks.
    # By default Alembic prints to what was stdout when it was imported.
    made = Config(stdout=sys.stdout)
    made.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    made.attributes["wait_seconds"] = wait_seconds
    return made


def existing(revision: str) -> str:
    if revision in ("head", "base") or re.fullmatch(r"[+-]\d+", revision):
        return revision
    names = [name for name in revisions() if name.startswith(revision)]
    if len(names) != 1:
        raise UserError(
            f"there is no migration {revision}: give one of {', '.join(revisions())}, "
            "head or base"
        )
    return names[0]


def revisions() -> list[str]:
    """All revisions, the oldest first."""
    scripts = ScriptDirectory.from_config(config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


def up_to(heads: Collection[str]) -> list[str]:
    """The applied revisions of a database at these heads, the oldest first."""
    known = revisions()
    return known[: max((known.index(head) + 1 for head in heads), default=0)]


def checksum(revision: str) -> str:
    """SHA-256 of a migration's file, in hex."""
    return hashlib.sha256(read(FOLDER / f"{revision}.sql").encode()).hexdigest()


def statements(path: Path) -> str:
    """A migration without its begin and commit, because Alembic opens a transaction.

    Raises:
        UserError: the file is missing or isn't one transaction.
    """
    content = read(path)
    begin_or_commit = r"^(?:begin|commit);$"
    found = re.findall(begin_or_commit, content, flags=re.MULTILINE)
    if found != ["begin;", "commit;"] or not content.endswith("\ncommit;\n"):
        raise UserError(
            f"migration {path.name} must be one transaction: a line `begin;` before "
            "its first statement and a line `commit;` at its end"
        )
    return re.sub(begin_or_commit, "", content, flags=re.MULTILINE)


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"migration {path.name} can't be read: {reason}") from None
