"""Daily usage aggregates, equal to the events."""

from bootstrap.migrate import sql_files

revision = "007_daily_usage"
down_revision = "006_refresh_indexes"

upgrade, downgrade = sql_files(revision)
