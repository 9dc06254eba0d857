"""Monthly usage aggregates, equal to the events."""

from bootstrap.migrate import sql_files

revision = "008_monthly_usage"
down_revision = "007_daily_usage"

upgrade, downgrade = sql_files(revision)
