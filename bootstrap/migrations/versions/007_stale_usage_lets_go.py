"""Marked periods are aggregated anew without a deadlock."""

from bootstrap.migrate import sql_files

revision = "007_stale_usage_lets_go"
down_revision = "006_group_indexes"

upgrade, downgrade = sql_files(revision)
