"""Alembic's environment: one connection that holds a lock."""

import psycopg2
import sqlalchemy
from alembic import context
from alembic.util import CommandError
from psycopg2.extensions import connection as Connection

from bootstrap import migrate
from saas_analytics import database, settings
from saas_analytics.errors import UserError

# The names that Alembic's commands give the function that plans their steps.
TASKS = {"upgrade": "upgrade", "downgrade": "downgrade", "do_stamp": "stamp"}


def _connection(configuration: settings.Settings) -> Connection:
    """A connection for the files, whose statements name no schema."""
    connection = database.connect(configuration)
    database.use_source(connection, configuration)
    return connection


def run() -> None:
    """Run the steps of Alembic's command."""
    if context.is_offline_mode():
        raise CommandError(
            "Alembic's offline mode is not supported: run the files with psql -f"
        )
    configuration = settings.load().for_owner()
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg2://",
        creator=lambda: _connection(configuration),
        poolclass=sqlalchemy.pool.NullPool,
    )
    with engine.connect() as connection, database.interruptible():

        def configure(*, transaction_per_migration: bool) -> None:
            context.configure(
                connection=connection,
                version_table_schema=configuration.source_schema,
                transaction_per_migration=transaction_per_migration,
                on_version_apply=migrate.record_checksums,
            )

        configure(transaction_per_migration=True)
        # Other commands only read.
        task = TASKS.get(context.get_context().opts["fn"].__name__)
        if task in ("downgrade", "stamp"):
            # A reversal is all or nothing. A stamp first deletes all records, and a
            # refused one must restore them.
            configure(transaction_per_migration=False)
        if task is not None:
            migrate.prepare(connection, configuration, task)
        with context.begin_transaction():
            context.run_migrations()


try:
    run()
except UserError as error:
    raise CommandError(str(error)) from None
except psycopg2.Error as error:
    raise CommandError(database.explain(error)) from None
except sqlalchemy.exc.DBAPIError as error:
    if not isinstance(error.orig, psycopg2.Error):
        raise
    raise CommandError(database.explain(error.orig)) from None
