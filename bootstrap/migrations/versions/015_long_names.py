"""Names of any length in calls, errors, audited actions, clicks and referrals."""

from bootstrap.migrate import sql_files

revision = "015_long_names"
down_revision = "014_wide_amounts"

upgrade, downgrade = sql_files(revision)
