"""Migrations: plain SQL files, run and tracked by Alembic.

A migration is `NAME.sql`, with its reversal in `NAME.down.sql`. The revision in
`versions/NAME.py` only defines its place in the order. A table of checksums next to
Alembic's own table shows when a file was edited after it ran.
"""

from bootstrap.migrate.commands import downgrade, stamp, upgrade
from bootstrap.migrate.files import FOLDER, checksum, revisions, statements
from bootstrap.migrate.objects import tables_by_file
from bootstrap.migrate.reversal import Reversal, plan_reversal
from bootstrap.migrate.running import (
    LOCK_NUMBER,
    prepare,
    record_checksums,
    sql_files,
)
from bootstrap.migrate.state import (
    CHECKSUM_TABLE,
    VERSION_TABLE,
    MigrationState,
    states,
    unrecorded,
)

__all__ = [
    "CHECKSUM_TABLE",
    "FOLDER",
    "LOCK_NUMBER",
    "VERSION_TABLE",
    "MigrationState",
    "Reversal",
    "checksum",
    "downgrade",
    "plan_reversal",
    "prepare",
    "record_checksums",
    "revisions",
    "sql_files",
    "stamp",
    "statements",
    "states",
    "tables_by_file",
    "unrecorded",
    "upgrade",
]
