"""Indexes by which a refresh finds rows."""

from bootstrap.migrate import sql_files

revision = "006_refresh_indexes"
down_revision = "005_erasures"

upgrade, downgrade = sql_files(revision)
