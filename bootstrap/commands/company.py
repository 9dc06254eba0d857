"""The command that fills an empty schema with demo data."""

import datetime

import click

from saas_analytics import database, settings
from saas_analytics.database import trust


@click.command()
@click.option(
    "--scale",
    default=1.0,
    show_default=True,
    type=float,
    help="Size of the company: 1 is about 1,500 users; the smallest has about 200.",
)
@click.option("--seed", default=1, show_default=True, type=int)
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Last day of its history (UTC). [default: now]",
)
@click.option(
    "--if-empty", is_flag=True, help="Do nothing if the schema already has users."
)
def demo(
    scale: float, seed: int, until: datetime.datetime | None, if_empty: bool
) -> None:
    """Fill an empty schema with the data of a demo company.

    The same options give the same data.
    """
    from rich.console import Console

    from bootstrap.demo import load_demo

    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection:
        database.require_unicode(connection)
        database.require_source(connection, configuration)
        with connection.cursor() as cursor:
            trust.refuse(cursor, configuration.source_schema)
        database.use_source(connection, configuration)
        if if_empty:
            with connection.cursor() as cursor:
                cursor.execute("select exists (select from users)")
                if (cursor.fetchone() or (False,))[0]:
                    click.echo("The schema already has users, and is left unchanged.")
                    return
            connection.rollback()
        load_demo(
            connection,
            scale=scale,
            seed=seed,
            until=until.date() if until else None,
            console=Console(stderr=False),
        )
