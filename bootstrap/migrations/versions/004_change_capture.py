"""Which rows were written since a refresh: a transaction each, and before-images."""

from bootstrap.migrate import sql_files

revision = "004_change_capture"
down_revision = "003_analytics"

upgrade, downgrade = sql_files(revision)
