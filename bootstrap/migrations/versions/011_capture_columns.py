"""A function that captures changes of more columns, or of a renamed table."""

from bootstrap.migrate import sql_files

revision = "011_capture_columns"
down_revision = "010_functions_look_up_nothing"

upgrade, downgrade = sql_files(revision)
