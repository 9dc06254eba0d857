"""Write bootstrap/schema.sql: the schema that all migrations make, for readers.

    .venv/bin/python -m scripts.dump_schema

It omits partitions, because their months depend on the day. It starts a temporary
server, so that it touches no user's data.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from bootstrap import migrate
from saas_analytics import project
from saas_analytics.server import embedded, programs

FILE = project.root() / "bootstrap" / "schema.sql"

HEADING = """\
-- The sum of the migrations, as pg_dump shows it. Made by scripts/dump_schema.py: to
-- change the schema, write a migration. Partitions by month are left out.

"""

# Column options and storage parameters from PostgreSQL's documentation.
OPTIONS = (
    "autosummarize|autovacuum_[a-z_]+|buffering|check_option|deduplicate_items"
    "|fastupdate|fillfactor|gin_pending_list_limit|log_autovacuum_min_duration"
    "|n_distinct|n_distinct_inherited|pages_per_range|parallel_workers"
    "|security_barrier|security_invoker|toast_tuple_target|user_catalog_table"
    "|vacuum_[a-z_]+"
)

# Objects that are not part of the schema: Alembic's tables and monthly partitions.
LEFT_OUT = (
    *(migrate.VERSION_TABLE, migrate.CHECKSUM_TABLE),
    *("*_y[0-9][0-9][0-9][0-9]m[0-9][0-9]",),
)


def dump(url: str, left_out: tuple[str, ...] = LEFT_OUT) -> str:
    """The schema of a database as SQL; equal schemas give equal texts."""
    result = subprocess.run(
        [
            str(programs.binaries() / "pg_dump"),
            *("--schema-only", "--no-owner", "--no-privileges"),
            *(f"--exclude-table={pattern}" for pattern in left_out),
            url,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return without_noise(result.stdout)


def without_noise(text: str) -> str:
    """A dump without run-specific lines and headings."""
    for noise in (
        r"^--\n-- (?:Name|PostgreSQL database dump).*\n--\n",
        r"^-- Dumped .*\n",
        r"^\\(?:un)?restrict .*\n",
        r"^(?:SET|SELECT pg_catalog\.set_config).*;\n",
    ):
        text = re.sub(noise, "", text, flags=re.MULTILINE)
    for options in (
        r"^(ALTER TABLE .* ALTER COLUMN .* SET )\(([^()]*)\);\n",
        r"\s(WITH )\(([^()]*)\)",
    ):
        text = re.sub(options, _without_notes, text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _without_notes(match: re.Match[str]) -> str:
    """Options without a server's internal ones, which PostgreSQL 15.20 adds."""
    statement, given = match.group(0), match.group(2)
    kept = [
        each for each in given.split(", ") if re.match(f"(toast\\.)?({OPTIONS})=", each)
    ]
    return statement.replace(f"({given})", f"({', '.join(kept)})") if kept else ""


def main() -> int:
    os.environ["DATABASE_URL"] = ""
    with tempfile.TemporaryDirectory() as folder:
        server = embedded.EmbeddedServer(Path(folder, "server"))
        server.start()
        try:
            os.environ["DATABASE_URL"] = server.url()
            migrate.upgrade()
            FILE.write_text(HEADING + dump(server.url()), encoding="utf-8")
        finally:
            server.stop()
    print(f"wrote {FILE.relative_to(project.root())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
