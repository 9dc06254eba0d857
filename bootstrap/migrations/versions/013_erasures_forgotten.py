"""Before-images of erasures that go once they are read."""

from bootstrap.migrate import sql_files

revision = "013_erasures_forgotten"
down_revision = "012_plausible_times"

upgrade, downgrade = sql_files(revision)
