"""Which rows were written since a run: a transaction each, and tombstones."""

from bootstrap.migrate import sql_files

revision = "005_change_capture"
down_revision = "004_stale_usage_aggregates"

upgrade, downgrade = sql_files(revision)
