"""Calls, errors and actions found by group and day."""

from bootstrap.migrate import sql_files

revision = "006_group_indexes"
down_revision = "005_change_capture"

upgrade, downgrade = sql_files(revision)
