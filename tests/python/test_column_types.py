"""A column of the source may get another type: what depends on it follows."""

from __future__ import annotations

import os

import pytest
from psycopg2 import sql

from bootstrap import retype as retyping
from saas_analytics import database, settings
from tests.python.support import (
    Database,
    DbtProject,
    refresh,
    refusal,
    run,
)

LONG = "an event whose name is longer than a hundred characters " * 3


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the project, parsed once."""
    domains = ("operations", "usage", "adoption", "revenue", "affiliates")
    return DbtProject.copy(tmp_path_factory.mktemp("types"), domains=domains)


@pytest.fixture
def company(marts: Database) -> Database:
    """A company with its marts, all of it this test's own."""
    return marts


def retype(company: Database, table: str, column: str, data_type: str) -> None:
    """Do what `saas retype` does."""
    configuration = settings.load({"DATABASE_URL": company.url})
    with database.connected(configuration) as connection:
        retyping.retype(connection, configuration, table, column, data_type)


def column_types(company: Database, pattern: str) -> set[tuple[str, str, str]]:
    """Relation, column and type of what staging or the models have."""
    return set(
        company.execute(
            "select attrelid::regclass::text, attname::text, "
            "format_type(atttypid, atttypmod) from pg_attribute "
            "join pg_class on attrelid = pg_class.oid "
            "where relnamespace::regnamespace::text like %s and relkind in ('r', 'v') "
            "and attnum > 0 and not attisdropped",
            (pattern,),
        )
    )


def triggers(company: Database) -> list[tuple[object, ...]]:
    """Each trigger, and in which sessions it fires."""
    return company.execute(
        "select tgrelid::regclass::text, tgname::text, tgenabled::text, tgtype, "
        "tgfoid::regproc::text, tgargs::text, tgqual is null "
        "from pg_trigger where not tgisinternal order by 1, 2"
    )


def test_what_takes_its_types_from_the_source_follows_every_widened_column(
    project: DbtProject, company: Database
) -> None:
    """Tables, their logs and snapshots: after one build no type is narrower."""
    assert project.dbt("snapshot", database=company) == ""
    wide = {"character varying": "text", "integer": "bigint"}
    before = triggers(company)
    widened = company.execute(
        "select distinct on (1, 2) pg_class.relname::text, attname::text, "
        "split_part(format_type(atttypid, atttypmod), '(', 1) "
        "from pg_depend join pg_rewrite on objid = pg_rewrite.oid "
        "join pg_class on refobjid = pg_class.oid "
        "join pg_attribute on attrelid = refobjid and attnum = refobjsubid "
        "where ev_class::regclass::text like 'analytics_staging.%%' "
        "and relnamespace = 'public'::regnamespace "
        "and (atttypid = 'varchar'::regtype "
        "or atttypid = 'int4'::regtype and attname like '%%\\_cents')",
        (),
    )
    assert len(widened) > 30
    for table, column, kind in widened:
        retype(company, table, column, wide[kind])
    assert triggers(company) == before

    assert project.dbt("run", database=company) == ""
    assert project.dbt("snapshot", database=company) == ""

    narrow = [
        found
        for found in column_types(company, "analytics%")
        if found[2].startswith("character varying(") and "seeds" not in found[0]
    ]
    # What a model computes as an integer, such as a count of days, stays one.
    assert narrow == []
    assert refresh(company, "--verify").returncode == 0
    assert project.dbt("snapshot", database=company) == ""


def test_a_snapshot_holds_the_first_number_that_its_column_was_too_narrow_for(
    project: DbtProject, company: Database
) -> None:
    assert project.dbt("snapshot", database=company) == ""
    retype(company, "licenses", "seats_total", "bigint")
    company.execute(
        "update licenses set seats_total = 3000000000 "
        "where id in (select id from licenses limit 1)"
    )

    assert project.dbt("snapshot", database=company) == ""

    assert company.execute(
        "select seats_total from analytics_snapshots.licenses_history "
        "where dbt_valid_to is null and seats_total > 2147483647"
    ) == [(3000000000,)]


def test_a_refresh_before_the_build_says_what_to_do_and_the_build_does_it(
    project: DbtProject, company: Database
) -> None:
    own = "models/intermediate/usage/int_sessions.sql"
    select = 'select distinct session_id from {{ ref("stg_saas__usage_events") }}'
    long_session = LONG * 2
    with project.added(own, select):
        assert project.dbt("run", "--select", "+int_sessions", database=company) == ""
        retype(company, "usage_events", "session_id", "text")
        company.execute(
            "update usage_events set session_id = %s where id in "
            "(select id from usage_events where event_category = 'feature' limit 3)",
            (long_session,),
        )
        for options in ((), ("--rebuild",)):
            assert "`make build`" in refusal(refresh(company, *options))
        assert project.dbt("run", database=company) == ""
        assert refresh(company, "--verify").returncode == 0
    assert company.execute(
        "select count(*) from analytics_intermediate.int_sessions "
        "where session_id = %s",
        (long_session,),
    ) == [(1,)]


def test_a_widened_name_needs_no_build(company: Database) -> None:
    """A mart's names are text, whatever the source's are."""
    retype(company, "usage_events", "event_name", "text")
    company.execute(
        "update usage_events set event_name = %s where id in "
        "(select id from usage_events where event_category = 'feature' limit 3)",
        (LONG,),
    )
    assert refresh(company, "--verify").returncode == 0
    assert company.execute(
        "select sum(total_uses) from "
        "analytics_intermediate.int_feature_uses__by_day_feature_license_user "
        "where feature_name = %s",
        (LONG,),
    ) == [(3,)]


def test_a_narrower_timestamp_and_number_lose_no_digit_of_later_ones(
    project: DbtProject, company: Database
) -> None:
    """Rounded ones raise no error: a table that is narrower has to be made again."""
    own = "models/intermediate/usage/int_precise.sql"
    select = 'select click_id, clicked_at from {{ ref("stg_saas__affiliate_clicks") }}'
    moment = "2026-01-02 03:04:05.678901+00"
    with project.added(own, select):
        retype(company, "affiliate_clicks", "clicked_at", "timestamptz(0)")
        assert project.dbt("run", "--select", "+int_precise", database=company) == ""
        retype(company, "affiliate_clicks", "clicked_at", "timestamptz")
        company.execute(
            "update affiliate_clicks set clicked_at = %s "
            "where id = (select min(id::text)::uuid from affiliate_clicks)",
            (moment,),
        )
        said = refusal(refresh(company, "int_precise"))
        assert "clicked_at is timestamp(0) with time zone" in said
        assert "`make build`" in said
        assert project.dbt("run", "--select", "+int_precise", database=company) == ""
    assert company.execute(
        "select count(*) from analytics_intermediate.int_precise where clicked_at = %s",
        (moment,),
    ) == [(1,)]


def test_a_table_of_floating_points_does_not_hold_numbers(
    project: DbtProject, company: Database
) -> None:
    """PostgreSQL casts them without being asked, and leaves digits out."""
    own = "models/intermediate/affiliates/int_rates.sql"
    select = (
        'select affiliate_id, commission_percent from {{ ref("stg_saas__affiliates") }}'
    )
    with project.added(own, select):
        retype(company, "affiliates", "commission_rate", "real")
        assert project.dbt("run", "--select", "+int_rates", database=company) == ""
        retype(company, "affiliates", "commission_rate", "numeric(12, 8)")
        company.execute("update affiliates set commission_rate = 12.34567891")
        said = refusal(refresh(company, "int_rates"))
        assert "commission_percent is real, and not numeric" in said
        assert "`make build`" in said


def test_retype_keeps_views_of_others_and_what_is_granted_on_them(
    company: Database,
) -> None:
    view = "analytics_staging.stg_saas__error_logs"
    reader = f"reader {os.getpid()}"
    role = sql.Identifier(reader)
    company.execute(sql.SQL("create role {}").format(role))
    try:
        company.execute(
            sql.SQL(
                "create view theirs with (security_barrier = true) as "
                f"select severity as of_it from {view}; "
                "create view on_theirs as select of_it from theirs; "
                "grant select on theirs to {role}; "
                "grant select (of_it) on on_theirs to {role} with grant option; "
                "comment on column theirs.of_it is 'what''s kept'"
            ).format(role=role)
        )

        def kept() -> list[tuple[object, ...]]:
            return company.execute(
                "select relname::text, relowner, reloptions, relacl::text, "
                "(select string_agg(attacl::text, ' ') from pg_attribute "
                "where attrelid = pg_class.oid), col_description(oid, 1) "
                "from pg_class where relname in ('theirs', 'on_theirs') order by 1"
            )

        before = kept()
        retype(company, "error_logs", "severity", "text")
        assert kept() == before
        assert company.execute("select pg_typeof(of_it)::text from on_theirs limit 1")

        company.execute("create materialized view stored as select * from theirs")
        said = refusal(
            run(
                "retype",
                "error_logs",
                "severity",
                "varchar(90)",
                env=company.environment(),
            )
        )
        assert said.startswith("public.stored reads error_logs.severity")
        assert kept() == before
    finally:
        company.execute(sql.SQL("drop owned by {0}; drop role {0}").format(role))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("error_logs", "gravity", "text"), "there is no column error_logs.gravity"),
        (("error_logs", "severity", "text; drop table users"), "there is no type"),
        (("error_logs", "severity", "integer"), "can't become integer"),
    ],
)
def test_retype_refuses_what_it_cannot_do_and_changes_nothing(
    company: Database, arguments: tuple[str, ...], message: str
) -> None:
    before = (triggers(company), column_types(company, "analytics_staging"))
    said = refusal(run("retype", *arguments, env=company.environment()))
    assert message in said
    assert (triggers(company), column_types(company, "analytics_staging")) == before
