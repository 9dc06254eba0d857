"""The affiliate programme and its counters."""

from bootstrap.migrate import sql_files

revision = "002_affiliates"
down_revision = "001_initial_schema"

upgrade, downgrade = sql_files(revision)
