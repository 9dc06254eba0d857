"""${message}"""

from bootstrap.migrate import sql_files

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

upgrade, downgrade = sql_files(revision)
