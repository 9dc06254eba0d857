"""Accounts and billing."""

from bootstrap.migrate import sql_files

revision = "001_initial_schema"
down_revision = None

upgrade, downgrade = sql_files(revision)
