"""Marks for aggregates that a cascade took away."""

from bootstrap.migrate import sql_files

revision = "004_stale_usage_aggregates"
down_revision = "003_analytics"

upgrade, downgrade = sql_files(revision)
