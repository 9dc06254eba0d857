"""Functions that look up nothing where others may create."""

from bootstrap.migrate import sql_files

revision = "010_functions_look_up_nothing"
down_revision = "009_account_time_indexes"

upgrade, downgrade = sql_files(revision)
