"""Tables of events by month, feature usage and usage aggregates."""

from bootstrap.migrate import sql_files

revision = "003_analytics"
down_revision = "002_affiliates"

upgrade, downgrade = sql_files(revision)
