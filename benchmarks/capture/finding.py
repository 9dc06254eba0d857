"""Seconds to find the changed rows, and the events of their scopes."""

import statistics
from collections.abc import Sequence

from psycopg2 import sql

from benchmarks import server
from benchmarks.capture.designs import FOLDER
from benchmarks.ingest.designs import Design
from benchmarks.ingest.reading import time_query

CHANGED = 1_000
SCOPES = 1_000
TRIES = 15

# The newest again, a tenth of them late by up to 30 days.
CHANGE = """
insert into usage_events (
    user_id, license_id, team_id, event_type, event_category, event_name, session_id,
    occurred_at
)
select
    user_id, license_id, team_id, event_type, event_category, event_name, session_id,
    now() - case
        when mod(row_number() over (), 10) = 0 then interval '30 days' * random()
        else interval '0'
    end
from (
    select * from usage_events order by occurred_at desc limit %s
) as newest
"""

# The query of the engine's changes_sql().
UNSEEN = """
select occurred_at, user_id from usage_events
where change_xid >= pg_snapshot_xmin({seen}::pg_snapshot)
    and change_xid < pg_snapshot_xmax(pg_current_snapshot())
    and not pg_visible_in_snapshot(change_xid, {seen}::pg_snapshot)
"""
BY_NUMBER = """
    and change_xid::text::bigint >= pg_snapshot_xmin({seen}::pg_snapshot)::text::bigint
"""

# Of whole days, the newest first or drawn.
DRAW_SCOPES = """
drop table if exists refresh_scopes;
create temporary table refresh_scopes as
select usage_date, user_id from analytics.fct_usage_daily
where usage_date < current_date
    and usage_date >= current_date - {days}
    and user_id is not null
group by usage_date, user_id
order by {order}
limit {count};
analyze refresh_scopes
"""
DRAWS = {
    "the newest": (365, "usage_date desc, user_id"),
    "of 30 days": (30, "md5(user_id::text || usage_date)"),
    "of a year": (365, "md5(user_id::text || usage_date)"),
}

BY_ENGINE = """
select 'select count(*) from ('
    || analytics_refresh._touched_sql(input, input -> 'mappings' -> 0, scope)
    || ') as touched'
from analytics_refresh.models
cross join jsonb_array_elements(inputs) as input
where model = 'fct_usage_daily'
"""
BY_KEY = """
select format(
    'select count(*) from analytics_staging.stg_saas__usage_events '
    'where occurred_at >= %L and occurred_at < %L '
    'and public.scope_key(occurred_at, user_id) = any (array('
    'select public.scope_key(usage_date::timestamp at time zone ''UTC'', user_id) '
    'from refresh_scopes))',
    min(usage_date), max(usage_date) + 1
)
from refresh_scopes
"""


def time_changes(designs: Sequence[Design]) -> dict[str, tuple[float, float]]:
    """By design with capture: when nothing changed, and after a change."""
    found = {}
    for design in designs:
        with design.connection.cursor() as cursor:
            cursor.execute("select pg_current_snapshot()::text")
            (seen,) = cursor.fetchone() or ()
            query = UNSEEN + (BY_NUMBER if design.name == "brin" else "")
            unseen = sql.SQL(query).format(seen=sql.Literal(seen))
            nothing = _median(design, unseen)
            cursor.execute(CHANGE, (CHANGED,))
            cursor.execute(unseen)
            assert cursor.rowcount == CHANGED
        found[design.name] = (nothing, _median(design, unseen))
    return found


def time_scopes(ours: Design) -> dict[str, dict[str, float]]:
    """By how the scopes are drawn and by the index that finds their events.

    The marts must exist. It changes the indexes.
    """
    found: dict[str, dict[str, float]] = {name: {} for name in DRAWS}
    events: dict[str, set[object]] = {name: set() for name in DRAWS}
    for way, file, writing in (
        ("ours", None, BY_ENGINE),
        ("btree", "users.sql", BY_ENGINE),
        ("key", "key.sql", BY_KEY),
    ):
        if file is not None:
            server.run_file(ours.connection, FOLDER / file)
        with ours.connection.cursor() as cursor:
            cursor.execute("vacuum (analyze) usage_events")
            for name, (days, order) in DRAWS.items():
                cursor.execute(DRAW_SCOPES.format(days=days, order=order, count=SCOPES))
                cursor.execute(writing)
                (query,) = cursor.fetchone() or ("",)
                cursor.execute(query)
                events[name].add(cursor.fetchone())
                found[name][way] = _median(ours, sql.Composed([sql.SQL(query)]))
    assert all(len(counts) == 1 for counts in events.values()), events
    return found


def _median(design: Design, query: sql.Composed) -> float:
    return statistics.median(time_query(design.connection, query) for _ in range(TRIES))
