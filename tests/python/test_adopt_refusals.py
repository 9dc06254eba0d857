"""Databases of before 0.1.0 that are refused: each in a line that says what to do."""

import uuid
from contextlib import closing
from typing import Any

import pytest
from psycopg2 import sql

from bootstrap import adopt, migrate
from tests.python.former import (
    BASE,
    FILES,
    Way,
    by_alembic,
    by_command,
    by_psql,
    each_way,
    load,
    rows,
)
from tests.python.schema_meaning import meaning
from tests.python.support import Database, refusal, run, with_login
from tests.python.test_migrations import applied

on_one_server = pytest.mark.parametrize(
    "former", [("server_url", "18")], ids=["18"], indirect=True
)

DIFFERENCES = {
    "alter table users alter email drop not null": "column users.email differs",
    "alter table users alter role set default 'admin'": "column users.role differs",
    "alter table users rename last_login_at to at": (
        "column users.last_login_at is missing"
    ),
    "alter table feature_usage alter total_uses type integer": (
        "type of column feature_usage.total_uses is integer, not bigint"
    ),
    "alter table licenses alter license_key type varchar(99)": (
        "type of column licenses.license_key is character varying(99), not "
        "character varying(255)"
    ),
    "alter table users drop constraint users_role_check": (
        "constraint users.users_role_check is missing"
    ),
    "alter table users drop constraint users_role_check, "
    "add constraint users_role_check check (role in ('user', 'admin'))": (
        "constraint users.users_role_check differs"
    ),
    "alter table teams drop constraint teams_license_id_fkey, add constraint "
    "teams_license_id_fkey foreign key (license_id) references licenses (id)": (
        "constraint teams.teams_license_id_fkey differs"
    ),
    "drop index users_role_idx": "index users_role_idx is missing",
    "drop index licenses_started_at_idx; "
    "create index licenses_started_at_idx on licenses (started_at)": (
        "index licenses_started_at_idx differs"
    ),
    "drop index affiliate_clicks_campaign_idx; "
    "create index affiliate_clicks_campaign_idx on affiliate_clicks (utm_campaign) "
    "where utm_campaign is not null": "index affiliate_clicks_campaign_idx differs",
    "alter table affiliates reset (fillfactor)": (
        "setting affiliates.fillfactor is missing"
    ),
    "alter table change_tombstones replica identity default": (
        "replica identity of change_tombstones is missing"
    ),
    "drop trigger users_stamped on users": "trigger users.users_stamped is missing",
    "alter table users enable trigger users_moved": "trigger users.users_moved differs",
    "drop trigger users_moved on users; "
    "create trigger users_moved after update on users for each row when (false) "
    "execute function record_change('users', 'id', 'created_at'); "
    "alter table users enable always trigger users_moved": (
        "trigger users.users_moved differs"
    ),
    "drop trigger teams_deleted on teams; "
    "create trigger teams_deleted after delete on teams for each row "
    "execute function record_change('teams', 'id'); "
    "alter table teams enable always trigger teams_deleted": (
        "column kept by trigger teams.teams_deleted.license_id is missing"
    ),
    "create or replace function stamp_change() returns trigger language plpgsql "
    "set search_path = pg_catalog, pg_temp as 'begin return new; end'": (
        "function stamp_change() differs"
    ),
    "alter function stamp_change() security definer": "function stamp_change() differs",
    "grant execute on function record_change() to public": (
        "revoke from public on function record_change() is missing"
    ),
    "alter table usage_events detach partition usage_events_default": (
        "default partition usage_events_default is missing"
    ),
    "comment on table users is 'ours'": "comment on table users differs",
}


def test_each_difference_is_named(former: Database) -> None:
    with closing(former.connect()) as connection, connection.cursor() as cursor:
        adopt.make_expected(cursor, [migrate.statements(file) for file in FILES])
        assert adopt.differences(cursor, "public") == ""
        for statement, difference in DIFFERENCES.items():
            cursor.execute("savepoint before_it; set local search_path = public")
            cursor.execute(statement)
            assert adopt.differences(cursor, "public") == difference
            cursor.execute("rollback to savepoint before_it")


@each_way
@on_one_server
def test_a_schema_that_differs_is_refused_in_one_line_and_stays(
    former: Database, way: Way
) -> None:
    former.execute(
        "drop table erasures_to_forget; drop index users_role_idx; "
        "drop index users_created_at_idx"
    )
    before = meaning(former.url), rows(former, "ctid", "xmin")

    result = way(former)

    message = result.stdout + result.stderr
    assert result.returncode != 0
    assert message.count("\n") == 1
    assert "not the one of 009_stale_usage: table erasures_to_forget is m" in message
    assert " more; nothing was changed" in message
    assert (meaning(former.url), rows(former, "ctid", "xmin")) == before
    assert former.execute("select version_num from alembic_version") == [(adopt.LAST,)]


@on_one_server
def test_an_owner_who_changed_the_schema_on_purpose_can_say_so(
    former: Database,
) -> None:
    former.execute("alter table users rename to accounts")
    advice = f"run `saas stamp {adopt.SAME_AS}`"
    assert advice in refusal(by_command(former))

    run("stamp", adopt.SAME_AS, env=former.environment()).check_returncode()

    assert applied(former) == BASE


OLDER = [*adopt.SAME_NAMES, *adopt.FORMER_NAMES[:-1]]


def refuses_as_older(database: Database, way: Way, revision: str) -> None:
    database.execute(f"update alembic_version set version_num = '{revision}'")
    before = meaning(database.url)

    result = way(database)

    message = result.stdout + result.stderr
    assert result.returncode != 0
    assert message.count("\n") == 1
    assert revision in message
    assert "bring it to 015_long_names first, with the former release" in message
    assert "git checkout 4451698" in message
    assert meaning(database.url) == before
    assert database.execute("select version_num from alembic_version") == [(revision,)]


@on_one_server
def test_each_older_database_is_refused_with_what_to_do(former: Database) -> None:
    assert len(OLDER) == 14
    for revision in OLDER:
        refuses_as_older(former, by_command, revision)
    for way in (by_alembic, by_psql):
        refuses_as_older(former, way, OLDER[-1])


def test_each_former_revision_is_known() -> None:
    checksums = {**adopt.SAME_NAMES, "009_account_time_indexes": "0" * 64}
    for revision in (*OLDER, adopt.LAST):
        assert adopt.former_revision([revision], checksums) == revision
    assert adopt.former_revision(BASE[-1:], {}) is None


@on_one_server
def test_before_it_is_moved_over_other_commands_say_to_migrate(
    former: Database,
) -> None:
    for command in ("status", "rollback"):
        message = refusal(run(command, env=former.environment()))
        assert "run `saas migrate`" in message


@on_one_server
def test_a_database_that_psql_made_is_told_from_an_older_one(former: Database) -> None:
    former.execute("drop table alembic_version, migration_checksums")
    env = former.environment()
    by_psql(former).check_returncode()
    assert f"`saas stamp {adopt.SAME_AS}`" in refusal(run("migrate", env=env))

    # None of the older ones made it.
    former.execute("drop index affiliate_clicks_campaign_idx")

    assert "bring it to 015_long_names first" in refusal(run("migrate", env=env))
    assert "lacks objects of 006_refresh_indexes.sql" in refusal(run("stamp", env=env))
    assert "index affiliate_clicks_campaign_idx is missing" in by_psql(former).stderr
    assert "stamp" not in run("status", env=env).stdout


def test_an_owner_who_may_make_no_schema_is_told_which_grant(
    empty_database: Database,
) -> None:
    owner = f"owner_{uuid.uuid4().hex[:8]}"
    empty_database.execute(f"create role {owner} login password 'secret'")
    try:
        empty_database.execute(f"alter schema public owner to {owner}")
        theirs = Database(with_login(empty_database.url, owner, "secret"))
        load(theirs, "18")

        assert "grant the user create on the database" in refusal(by_command(theirs))

        ((name,),) = theirs.execute("select current_database()::text")
        empty_database.execute(
            sql.SQL("grant create on database {} to {}").format(
                sql.Identifier(name), sql.Identifier(owner)
            )
        )
        assert by_command(theirs).returncode == 0
        assert applied(theirs) == BASE
    finally:
        empty_database.execute(
            "alter schema public owner to current_user; "
            f"drop owned by {owner} cascade; drop role {owner}"
        )


@on_one_server
def test_a_compared_table_can_be_written_but_not_altered(former: Database) -> None:
    with (
        closing(former.connect()) as writing,
        closing(former.connect()) as altering,
        closing(former.connect()) as comparing,
    ):
        writer: Any = writing.cursor()
        writer.execute("update users set full_name = 'New'")
        adopt.prove(
            comparing.cursor(),
            "public",
            {file.name: migrate.statements(file) for file in FILES},
        )
        writer.execute("update users set full_name = 'Newer'")
        writing.rollback()
        with pytest.raises(Exception, match="lock timeout"):
            altering.cursor().execute(
                "set local lock_timeout = '10ms'; alter table users add note text"
            )
