"""An index of payments by their time."""

from bootstrap.migrate import sql_files

revision = "008_payment_time_index"
down_revision = "007_stale_usage_lets_go"

upgrade, downgrade = sql_files(revision)
