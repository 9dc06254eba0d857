"""Erasing a person: nothing leads to them any more, and no money moves."""

import re
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from psycopg2 import errors
from psycopg2.extensions import parse_dsn

from bootstrap import erase
from bootstrap.erase import mixing
from bootstrap.erase.mixing import activity_statements
from saas_analytics.errors import UserError
from tests.python.personal_data import (
    OTHER,
    PERSON,
    SESSION,
    THIRD,
    WHEN,
    Mark,
    identity,
    marks_in_tables,
    personal_columns,
    plant,
    rows_of_a_person,
)
from tests.python.support import Database, new_database, refusal, run

# What the books hold.
MONEY = {
    "subscriptions": "id, license_id, status, plan_type, billing_cycle, amount_cents, "
    "currency, stripe_subscription_id, created_at",
    "payment_transactions": "id, subscription_id, amount_cents, currency, status, "
    "refunded_amount_cents, stripe_payment_intent_id, stripe_invoice_id, processed_at",
    "affiliate_referrals": "id, affiliate_id, referred_user_id, status, converted_at",
    "affiliate_commissions": "id, affiliate_id, referral_id, amount_cents, currency, "
    "commission_type, status, created_at",
    "affiliate_payouts": "id, affiliate_id, amount_cents, status, payment_reference",
    "affiliates": "id, user_id, total_referrals, total_earnings_cents, paid_out_cents, "
    "pending_payout_cents",
}


@dataclass(frozen=True)
class Planted:
    """A database with the person in it."""

    database: Database
    marks: dict[str, Mark]

    def found(self) -> set[str]:
        """The marks that any table of the source holds."""
        return set().union(*marks_in_tables(self.database, ["public"]).values())


@pytest.fixture(scope="module")
def template(server_url: str, template_database: str) -> Iterator[Planted]:
    with new_database(server_url, template=template_database) as made:
        yield Planted(made, plant(made, rows_of_a_person()))


@pytest.fixture
def planted(server_url: str, template: Planted) -> Iterator[Planted]:
    name = parse_dsn(template.database.url)["dbname"]
    with new_database(server_url, template=name) as made:
        yield Planted(made, template.marks)


def erase_user(
    planted: Planted, *options: str, user: str = PERSON
) -> subprocess.CompletedProcess[str]:
    return run("erase-user", user, *options, env=planted.database.environment())


def contents(database: Database) -> dict[str, Any]:
    """Everything that the source holds."""
    tables = database.execute(
        "select relname::text from pg_class where relkind in ('r', 'p') "
        "and relnamespace = 'public'::regnamespace and not relispartition"
    )
    return {
        table: database.execute(
            f"select coalesce(array_agg(rows::text order by rows::text), '{{}}') "
            f"from {table} as rows"
        )
        for (table,) in tables
    }


# --- What goes and what stays ---------------------------------------------------------


def test_every_column_that_may_be_personal_is_planted(template: Planted) -> None:
    columns = {
        f"{table}.{column}"
        for table, columns in personal_columns(template.database).items()
        for column in columns
    }
    assert {place.column for place in template.marks.values()} == columns
    # And the search finds each mark while it is there.
    assert template.found() == template.marks.keys()


def test_nothing_leads_to_an_erased_person(planted: Planted) -> None:
    result = erase_user(planted)

    assert result.returncode == 0, result.stderr
    gone = {mark for mark, place in planted.marks.items() if place.goes}
    left = gone & planted.found()
    assert {planted.marks[mark].column for mark in left} == set()
    # No activity either: events, calls, errors and actions have no user.
    for table in ("usage_events", "api_usage", "error_logs", "audit_logs"):
        where = f"from {table} where user_id = %s"
        assert planted.database.execute(f"select count(*) {where}", (PERSON,)) == [(0,)]
    for column, own in (("license_id", "license"), ("team_id", "team")):
        assert planted.database.execute(
            f"select distinct user_id::text from usage_events where {column} = %s",
            (identity(f"{own} person"),),
        ) == [(OTHER,)]


def test_what_belongs_to_others_stays(planted: Planted) -> None:
    erase_user(planted).check_returncode()

    kept = {mark for mark, place in planted.marks.items() if not place.goes}
    lost = kept - planted.found()
    assert {planted.marks[mark].column for mark in lost} == set()


def test_money_and_counters_stay(planted: Planted) -> None:
    def books() -> dict[str, Any]:
        return {
            table: planted.database.execute(
                f"select {columns} from {table} order by id"
            )
            for table, columns in MONEY.items()
        }

    before = books()
    assert all(before.values())

    erase_user(planted).check_returncode()

    assert books() == before


def test_the_end_of_a_subscription_that_only_updated_at_has_is_kept(
    planted: Planted,
) -> None:
    ((unpaid,),) = planted.database.execute(
        "insert into subscriptions (license_id, plan_type, status, billing_cycle,"
        " amount_cents, stripe_customer_id, created_at, updated_at) select license_id,"
        " plan_type, status, billing_cycle, amount_cents, 'cus_x', created_at,"
        " updated_at from subscriptions where id = %s returning id::text",
        (identity("subscription person"),),
    )

    erase_user(planted).check_returncode()

    ends = "select canceled_at from subscriptions where id = %s"
    paid = planted.database.execute(ends, (identity("subscription person"),))
    assert paid == [(None,)]
    assert planted.database.execute(
        "select canceled_at = %s from subscriptions where id = %s", (WHEN, unpaid)
    ) == [(True,)]


def test_figures_of_activity_stay_nobodys(planted: Planted) -> None:
    planted.database.execute(
        'update usage_events set event_data = \'{"duration_seconds": 90, "a": 1}\''
    )
    figures = (
        "select count(*), count(distinct session_id), "
        "sum((event_data ->> 'duration_seconds')::numeric) from usage_events"
    )
    before = planted.database.execute(figures)

    erase_user(planted).check_returncode()

    assert planted.database.execute(figures) == before
    assert planted.database.execute(
        "select count(*), count(distinct session_id), max(event_data::text) "
        "from usage_events where user_id is null and license_id is null"
    ) == [(3, 1, '{"duration_seconds": 90}')]
    assert planted.database.execute(
        "select count(*) from usage_events where session_id = %s", (SESSION,)
    ) == [(0,)]


def test_the_account_is_closed_and_its_seats_are_free(planted: Planted) -> None:
    erase_user(planted).check_returncode()

    assert planted.database.execute(
        "select email, password_hash, role, is_active, email_verified, "
        "coalesce(email_verified_at, last_login_at) from users where id = %s",
        (PERSON,),
    ) == [(f"erased-{PERSON}@erased.invalid", "!", "user", False, False, None)]
    assert planted.database.execute("select seats_used from licenses") == [(1,), (1,)]
    assert planted.database.execute(
        "select distinct user_id::text from team_members"
    ) == [(OTHER,)]


def test_aggregates_can_be_made_anew(planted: Planted) -> None:
    planted.database.execute("select aggregate_daily_usage('2026-03-02')")

    erase_user(planted).check_returncode()
    planted.database.execute("select aggregate_stale_usage()")

    events, aggregates = (
        planted.database.execute(
            f"select user_id, license_id, team_id, {count} from {table} "
            "group by 1, 2, 3 order by 1, 2, 3"
        )
        for count, table in (
            ("count(*)", "usage_events"),
            ("sum(event_count)::bigint", "usage_aggregates_daily"),
        )
    )
    assert aggregates == events


def test_an_address_that_names_a_thing_goes_too(planted: Planted) -> None:
    planted.database.execute(
        "insert into audit_logs (action, resource_type, resource_id, status, "
        "ip_address) select 'user.login', 'user', email, 'failure', '192.0.2.1' "
        "from users where id = %s",
        (PERSON,),
    )

    erase_user(planted).check_returncode()

    assert planted.database.execute(
        "select resource_id, ip_address from audit_logs where action = 'user.login'"
    ) == [(None, None)]


def test_that_it_was_done_is_accounted_for(planted: Planted) -> None:
    erase_user(planted).check_returncode()

    assert planted.database.execute(
        "select user_id, resource_type, resource_id, status, changes "
        "from audit_logs where action = 'user.erased'"
    ) == [(None, "user", None, "success", {})]


# --- The command ----------------------------------------------------------------------


def test_it_may_be_repeated_and_then_changes_nothing(planted: Planted) -> None:
    erase_user(planted).check_returncode()
    before = contents(planted.database)

    again = erase_user(planted)

    assert again.stdout.splitlines()[0].startswith("0 rows changed")
    assert contents(planted.database) == before


def test_a_dry_run_tells_what_would_change_and_changes_nothing(
    planted: Planted,
) -> None:
    before = contents(planted.database)

    dry = erase_user(planted, "--dry-run")

    assert contents(planted.database) == before
    real = erase_user(planted)
    told, done = (
        [line.split() for line in each.stdout.splitlines()] for each in (dry, real)
    )
    assert told[:18] == done[:18]
    assert ["usage_events", "4"] in told
    assert ["audit_logs", "9"] in told
    assert "rows would change" in dry.stdout


def test_what_is_still_to_be_settled_is_told(planted: Planted) -> None:
    planted.database.execute("update subscriptions set status = 'active'")

    told = erase_user(planted, "--dry-run").stdout

    assert "1 subscriptions are not canceled yet" in told
    assert "2 approved commissions and payouts are not paid yet" in told


def test_an_id_that_is_none_or_nobodys_is_refused(planted: Planted) -> None:
    before = contents(planted.database)

    assert "'ada' is not a valid UUID" in refusal(erase_user(planted, user="ada"), 2)
    nobody = str(uuid.uuid4())
    assert f"there is no user {nobody}" in refusal(erase_user(planted, user=nobody))
    assert contents(planted.database) == before


def test_without_the_tables_it_says_so(empty_database: Database) -> None:
    refused = run("erase-user", PERSON, env=empty_database.environment())

    assert "saas migrate" in refusal(refused)


# What is whose: users as such, and what hangs on them.
ACCOUNTS = ("users", "licenses", "teams", "subscriptions", "payment_transactions")


def accounts_of_others(database: Database, persons: tuple[str, ...]) -> set[str]:
    """Each row of accounts, every column of it, except those of some persons."""
    gone = [
        *persons,
        *(
            identity(f"{kind} {name}")
            for kind in ("license", "team", "subscription", "payment")
            for name in ("person",)
        ),
    ]
    return {
        row
        for table in ACCOUNTS
        for (row,) in database.execute(
            f"select rows::text from {table} as rows where id::text <> all (%s)",
            (gone,),
        )
    }


def test_an_erasure_rewrites_no_live_account_of_an_earlier_transaction(
    planted: Planted,
) -> None:
    """One transaction of the application wrote to erased and to live accounts."""
    database = planted.database
    database.execute(
        "insert into users (email, password_hash) "
        "select number || '@example.com', 'x' from generate_series(1, 200) as number"
    )
    erase_user(planted).check_returncode()
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        for table in ACCOUNTS:
            cursor.execute(f"update {table} set metadata = metadata")
        connection.commit()
    ((shared,),) = database.execute(
        "select count(*) from users where change_xid = "
        "(select change_xid from users where id = %s)",
        (PERSON,),
    )
    assert shared > 200
    before = accounts_of_others(database, (PERSON, THIRD))

    erase_user(planted, user=THIRD).check_returncode()

    assert accounts_of_others(database, (PERSON, THIRD)) == before
    # The erased accounts are mixed, whatever wrote to them in between.
    assert database.execute(
        "select count(*), count(distinct change_xid), count(distinct updated_at) "
        "from users where id in (%s, %s)",
        (PERSON, THIRD),
    ) == [(2, 1, 1)]


def test_the_cost_of_an_erasure_does_not_grow_with_erased_accounts(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixing, "OTHER_ACCOUNTS", 20)
    planted.database.execute(
        "insert into users (id, email, password_hash, is_active) "
        "select id, 'erased-' || id || '@erased.invalid', '!', false "
        "from (select gen_random_uuid() as id from generate_series(1, 100)) as ids"
    )

    with closing(planted.database.connect()) as connection:
        erase.erase(connection, uuid.UUID(PERSON), dry_run=False)

    # The person may be among those that were drawn.
    assert planted.database.execute(
        "select count(*) from users where change_xid = "
        "(select change_xid from users where id = %s)",
        (PERSON,),
    ) in ([(20,)], [(21,)])


# --- Cost and company -----------------------------------------------------------------


def test_every_table_that_grows_is_reached_by_an_index(planted: Planted) -> None:
    with (
        closing(planted.database.connect()) as connection,
        connection.cursor() as cursor,
    ):
        erase.give(cursor, uuid.UUID(PERSON))
        erase.find_person(cursor)
        # Tables of some rows would be read whole.
        cursor.execute("set local enable_seqscan = off")
        parts = erase.statements()
        explained = [text for part in parts.values() for _, text in part]
        explained += [each.as_string(cursor) for each in activity_statements("public")]
        assert len(explained) > 30
        for statement in explained:
            cursor.execute(f"explain {statement}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            read_whole = set(re.findall(r"Seq Scan on (?!own_|given)(\w+)", plan))
            assert read_whole == set(), f"{statement}\n{plan}"


def test_rows_that_are_being_written_are_waited_for_and_erased(
    planted: Planted,
) -> None:
    with closing(planted.database.connect()) as writer:
        cursor = writer.cursor()
        cursor.execute(INSERT_EVENT, (PERSON, None))
        thread, results = erase_beside(planted)
        wait_for_waiters(planted.database)
        writer.commit()
        thread.join(300)

    assert results[0].rows["usage_events"] == 5
    assert planted.database.execute(
        "select count(*) from usage_events where event_type = 'late' "
        "and user_id is null and ip_address is null"
    ) == [(1,)]


def test_a_deadlock_with_a_writer_is_survived(planted: Planted) -> None:
    with closing(planted.database.connect()) as writer:
        cursor = writer.cursor()
        # The other one has to notice it.
        cursor.execute("set deadlock_timeout = '60s'")
        cursor.execute(INSERT_EVENT, (None, identity("license person")))
        thread, results = erase_beside(planted)
        wait_for_waiters(planted.database)
        cursor.execute(INSERT_EVENT, (PERSON, None))
        writer.commit()
        thread.join(300)

    assert results[0].rows["usage_events"] == 6


def test_it_gives_up_on_others_after_a_while(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def in_the_way(*_: object) -> None:
        tries.append(1)
        raise errors.DeadlockDetected

    monkeypatch.setattr(erase, "find_person", in_the_way)
    monkeypatch.setattr(time, "sleep", lambda _: None)

    with (
        closing(planted.database.connect()) as connection,
        pytest.raises(UserError, match="run it again"),
    ):
        erase.erase(connection, uuid.UUID(PERSON), dry_run=False)
    assert len(tries) == erase.ATTEMPTS


INSERT_EVENT = (
    "insert into usage_events (user_id, license_id, event_type, event_category, "
    "event_name, ip_address) values (%s, %s, 'late', 'feature', 'late', '192.0.2.1')"
)


def erase_beside(planted: Planted) -> tuple[threading.Thread, list[erase.Erasure]]:
    """Erase the person in a thread; its result is in the list when that has ended."""
    results: list[erase.Erasure] = []

    def work() -> None:
        with closing(planted.database.connect()) as connection:
            results.append(erase.erase(connection, uuid.UUID(PERSON), dry_run=False))

    thread = threading.Thread(target=work)
    thread.start()
    return thread, results


def wait_for_waiters(database: Database) -> None:
    """Until a process waits for a lock."""
    for _ in range(200):
        if database.execute(
            "select exists (select from pg_stat_activity "
            "where wait_event_type = 'Lock' and datname = current_database())"
        ) == [(True,)]:
            return
        time.sleep(0.05)
    pytest.fail("no process waits")
