"""python -m tests.zones: do the marts build, pass and stay exact in other zones?

It uses one small company. On its last day Havana's clocks go back over midnight. In
each zone it builds every mart with all its tests, writes rows around midnight, and
compares a refresh with a rebuild.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import psycopg2

from saas_analytics.errors import UserError
from tests import steps
from tests.python.servers import fast_server, server_folder
from tests.python.support import Database, new_database

# Summer time that ends at midnight, none and a quarter of an hour, the far side of the
# date line.
ZONES = ("America/Havana", "Asia/Kathmandu", "Pacific/Apia")
COMPANY = ("--scale", "0.02", "--seed", "1", "--until", "2026-11-01")
NOW = "2026-11-01T23:59:59Z"

# Inserts every ten minutes of three days around the end of the month, by several users,
# moves of rows into and out of these days, and deletions.
WRITES = """
insert into usage_events (user_id, license_id, event_type, event_category, event_name,
    occurred_at, created_at)
select license.user_id, license.id, 'view', 'feature', 'search_used', moment, moment
from generate_series(timestamptz '2026-10-30 12:00+00', '2026-11-02 12:00+00',
    interval '10 minutes') as moments (moment)
cross join (select id, user_id from licenses order by id limit 3) as license;

update api_usage set occurred_at = timestamptz '2026-11-01 00:00+00' + (
    abs(hashtext(id::text)) % 20) * interval '30 minutes'
where id in (select id from api_usage order by md5(id::text) limit 40);

update payment_transactions
set processed_at = timestamptz '2026-11-01 03:30+00' + (
    abs(hashtext(id::text)) % 4) * interval '30 minutes'
where id in (select id from payment_transactions order by md5(id::text) limit 5);

update licenses set cancelled_at = '2026-11-01 04:30+00'
where id in (select id from licenses order by md5(id::text) limit 3);

update affiliate_clicks set clicked_at = '2026-11-01 04:30+00'
where id in (select id from affiliate_clicks order by md5(id::text) limit 5);

delete from usage_events
where id in (
    select id from usage_events
    where occurred_at >= '2026-10-31' order by md5(id::text) limit 20
);
"""


@click.command()
@click.argument("zones", nargs=-1)
def main(zones: Sequence[str]) -> None:
    """Build, test and refresh a small company in ZONES; exit 1 if one fails."""
    steps.leave_no_server()
    failures = []
    with server_folder() as scratch:
        server = fast_server(scratch / "server")
        server.start()
        try:
            with new_database(server.url("postgres"), name="company") as company:
                steps.bootstrap(company, "migrate")
                steps.bootstrap(company, "demo", *COMPANY)
                for zone in zones or ZONES:
                    try:
                        _try_zone(company, zone, scratch / "target")
                    except (UserError, psycopg2.Error) as error:
                        failures.append(f"{zone}: {str(error).strip()}")
        finally:
            server.stop()
    for failure in failures:
        click.echo(f"error: {failure}", err=True)
    sys.exit(1 if failures else 0)


def _try_zone(company: Database, zone: str, target: Path) -> None:
    started = time.monotonic()
    variables = json.dumps({"reporting_timezone": zone, "as_of": NOW})
    steps.build(company, variables, target)
    built = time.monotonic()
    company.execute(WRITES)
    steps.refresh(company)
    click.echo(
        f"{zone:16} built and tested in {built - started:.0f} s, "
        f"refreshed and compared in {time.monotonic() - built:.0f} s"
    )


if __name__ == "__main__":
    main()
