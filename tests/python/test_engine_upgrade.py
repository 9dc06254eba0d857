"""A database that a former engine kept is upgraded, and no mart is rebuilt."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from saas_analytics.refresh import engine
from tests.python.support import ROOT, Database, dbt, refresh

SCHEMA = "analytics_refresh"

# The state as the engine without a number kept it, and one of its functions.
VERSION_0 = f"""
do $$
declare
    present regprocedure;
begin
    for present in
        select oid from pg_proc where pronamespace = '{SCHEMA}'::regnamespace
    loop
        execute format('drop function if exists %s cascade', present);
    end loop;
end;
$$;
comment on schema {SCHEMA} is 'Refresh engine 0cc175b9c0f1b6a831c399e269772661';
create function {SCHEMA}.differences(model_name text) returns bigint
language sql as 'select 0::bigint';
alter table {SCHEMA}.models rename column key_columns to scope;
alter table {SCHEMA}.models add column rows_column text;
alter table {SCHEMA}.runs rename column key_count to scopes;
update {SCHEMA}.models set
    definition_hash = md5(definition),
    definition = definition || ' -- as it was',
    method = 'quiet',
    inputs = (
        select coalesce(jsonb_agg(
            (item - 'lookup' - 'delta' - 'mappings') || '{{"through": "select 1"}}'
        ), '[]')
        from jsonb_array_elements(inputs) as item
    );
alter table {SCHEMA}.models alter column definition_hash set not null;
insert into {SCHEMA}.runs (model, method, rows_removed, rows_added, milliseconds)
values ('fct_usage_daily', 'scoped', 1, 1, 1)
"""

# Late, moved and deleted rows, which the marts have not seen when they are upgraded.
UNSEEN = (
    "update usage_events set occurred_at = occurred_at - interval '40 days' "
    "where id in (select id from usage_events order by id limit 5)",
    "delete from usage_events where id in "
    "(select id from usage_events order by id desc limit 5)",
    "update licenses set plan_type = "
    "case plan_type when 'pro' then 'starter' else 'pro' end where id in "
    "(select id from licenses order by id limit 2)",
    "update payment_transactions set refunded_amount_cents = amount_cents, "
    "status = 'refunded' where id in (select id from payment_transactions "
    "where status = 'succeeded' order by id limit 2)",
)


# The names that intermediate models had, by their present ones.
FORMER_NAMES = {
    path.stem: former[1]
    for path in (ROOT / "models" / "intermediate").rglob("*.sql")
    if (former := re.search(r'"renamed_from": "(\w+)"', path.read_text("utf-8")))
}


def tables(database: Database) -> dict[str, int]:
    """The tables of marts, intermediate models and logs, with their oids."""
    return dict(
        database.execute(
            "select oid::regclass::text, oid::bigint from pg_class where relkind = 'r' "
            "and relnamespace = any (array['analytics', 'analytics_intermediate', %s]"
            "::regnamespace[])",
            (SCHEMA,),
        )
    )


def test_an_upgrade_keeps_what_every_mart_has_seen(
    marts: Database, tmp_path: Path
) -> None:
    refresh(marts)
    for statement in UNSEEN:
        marts.execute(statement)
    before = tables(marts)
    for present, former in FORMER_NAMES.items():
        relation = f'"analytics_intermediate"."{former}"'
        marts.execute(
            f"alter table analytics_intermediate.{present} rename to {former}"
        )
        marts.execute(
            f"select {SCHEMA}._rename_model(%s, %s, %s)", (present, former, relation)
        )
    marts.execute(VERSION_0)

    refused = refresh(marts)
    assert refused.returncode == 1
    assert "the marts were built by an earlier version: run `make build`" in (
        refused.stderr
    )
    only = ("--resource-type", "seed", "--resource-type", "model")
    dbt("build", *only, database=marts, target=tmp_path).check_returncode()

    # The same tables, under their present names, and none under a former one.
    assert tables(marts) == before
    methods = dict(marts.execute(f"select model, method from {SCHEMA}.models"))
    assert methods["fct_usage_daily"] == "partial"
    assert methods["fct_revenue_monthly"] == "partial"
    assert methods["int_active_user_changes__by_day_plan"] == "delta"
    assert "created" not in methods.values()
    # A model is computed whole where an input without keys changed, and nowhere else.
    assert (
        marts.execute(
            f"select model from {SCHEMA}.runs join {SCHEMA}.models using (model) "
            "where runs.refreshed_at = models.refreshed_at and runs.method = 'full' "
            "and key_count is null and not exists ("
            "select from jsonb_array_elements(inputs) as input "
            "where not input ?| array['mappings', 'lookup', 'delta'])"
        )
        == []
    )
    assert marts.execute(
        f"select sum({SCHEMA}.verify(model)) from {SCHEMA}.models"
    ) == [(0,)]
    # The history is kept, in the names of today.
    assert ("partial",) in marts.execute(f"select method from {SCHEMA}.runs")
    assert marts.execute(f"select count(*) from {SCHEMA}.unbuilt") == [(0,)]
    refresh(marts).check_returncode()


def test_a_model_that_an_upgrade_has_not_built_yet_is_not_refreshed(
    marts: Database, tmp_path: Path
) -> None:
    marts.execute(VERSION_0)
    command = ("run", "--select", "fct_usage_daily")
    dbt(*command, database=marts, target=tmp_path).check_returncode()

    with (
        closing(marts.connect()) as connection,
        pytest.raises(psycopg2.Error, match="built since the engine changed"),
    ):
        engine.refresh(connection, SCHEMA)


def test_tests_of_version_1_apply_until_the_next_build(
    marts: Database, tmp_path: Path
) -> None:
    marts.execute(
        f"""update {SCHEMA}.models set checks = case model
            when 'fct_usage_daily' then '[
                {{"name": "no_events", "fails": "event_count > 0"}},
                {{"name": "one_row_in_all", "grain": "event_count > 0"}}
            ]'::jsonb
            else '[]' end;
        comment on schema {SCHEMA} is 'exact 1 0123'"""
    )
    command = ("run", "--select", "dim_currencies")
    dbt(*command, database=marts, target=tmp_path).check_returncode()
    marts.execute(UNSEEN[0])

    done = refresh(marts)

    assert done.returncode == 1
    assert "no_events" in done.stderr
    assert "one_row_in_all" in done.stderr


def test_a_later_engine_is_not_replaced(marts: Database, tmp_path: Path) -> None:
    marts.execute(f"comment on schema {SCHEMA} is 'exact 9999 0123'")

    command = ("run", "--select", "fct_usage_daily")
    done = dbt(*command, database=marts, target=tmp_path)

    assert done.returncode != 0
    assert "is of a later version of the package exact" in done.stdout
