"""Before-images of erasures that go once they are read."""

from bootstrap.migrate import sql_files

revision = "005_erasures"
down_revision = "004_change_capture"

upgrade, downgrade = sql_files(revision)
