"""What refreshes note of themselves, which does not grow for ever."""

from tests.python.support import Database, refresh

RUNS = "analytics_refresh.runs"


def test_runs_are_kept_for_thirty_days(marts: Database) -> None:
    marts.execute(
        f"insert into {RUNS} "
        "(model, method, rows_removed, rows_added, milliseconds, refreshed_at) "
        "select 'fct_usage_daily', 'partial', days, 0, 0, "
        "now() - days * interval '1 day' from unnest(array[29, 31, 400]) as days"
    )
    marts.execute(
        "delete from usage_events where id in "
        "(select id from usage_events order by occurred_at desc limit 5)"
    )

    refresh(marts).check_returncode()

    old = f"select rows_removed from {RUNS} where refreshed_at < now() - interval '9 d'"
    assert marts.execute(old) == [(29,)]
