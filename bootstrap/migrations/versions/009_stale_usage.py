"""Marks for aggregates that lost rows to an erasure."""

from bootstrap.migrate import sql_files

revision = "009_stale_usage"
down_revision = "008_monthly_usage"

upgrade, downgrade = sql_files(revision)
