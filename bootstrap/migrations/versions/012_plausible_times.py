"""Times and durations that are not plausible count nowhere."""

from bootstrap.migrate import sql_files

revision = "012_plausible_times"
down_revision = "011_capture_columns"

upgrade, downgrade = sql_files(revision)
