"""Amounts beyond 2,147,483,647 minor units."""

from bootstrap.migrate import sql_files

revision = "014_wide_amounts"
down_revision = "013_erasures_forgotten"

upgrade, downgrade = sql_files(revision)
