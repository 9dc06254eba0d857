"""Indexes of referrals and licences by their times."""

from bootstrap.migrate import sql_files

revision = "009_account_time_indexes"
down_revision = "008_payment_time_index"

upgrade, downgrade = sql_files(revision)
