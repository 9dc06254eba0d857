"""What an application, its administrators and its accidents do to the source tables.

Each operation takes a cursor and a random generator, and touches some rows drawn at
random. Shared by the tests of the refresh engine and by benchmarks/workload.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2 import errors

from saas_analytics.refresh import engine
from tests.python.references import OF_ANY_VALUES, mismatch, reference
from tests.python.support import Database

Operation = Callable[[Any, random.Random], None]

SOME_EVENTS = """
(select id, occurred_at from usage_events tablesample system (50)
 order by random() limit {})
"""

WRITES: dict[str, str] = {
    "events arrive": """
        insert into usage_events (user_id, license_id, team_id, event_type,
            event_category, event_name, event_data, session_id, occurred_at)
        select user_id, license_id, team_id, event_type, event_category, event_name,
            event_data, session_id, occurred_at + interval '1 hour'
        from usage_events tablesample system (50) order by random() limit {n}
    """,
    "events arrive years late": """
        insert into usage_events (user_id, event_type, event_category, event_name,
            session_id, occurred_at)
        select user_id, event_type, 'feature', event_name, session_id,
            occurred_at - random() * interval '5 years'
        from usage_events tablesample system (50) order by random() limit {n}
    """,
    "anonymous events arrive": """
        insert into usage_events (event_type, event_category, event_name, session_id,
            occurred_at)
        select event_type, event_category, event_name, 'unknown', occurred_at
        from usage_events tablesample system (50) order by random() limit {n}
    """,
    "events move to another day": """
        update usage_events set
            occurred_at = occurred_at - random() * interval '70 days'
        where (id, occurred_at) in (select * from """
    + SOME_EVENTS.format("{n}")
    + """ as chosen)
    """,
    "events change hands": """
        update usage_events set user_id = (select id from users limit 1),
            event_type = 'taken_over'
        where (id, occurred_at) in (select * from """
    + SOME_EVENTS.format("{n}")
    + """ as chosen)
    """,
    "events last longer": """
        update usage_events set event_data = '{{"duration_seconds": 7.25}}',
            session_id = 'another'
        where (id, occurred_at) in (select * from """
    + SOME_EVENTS.format("{n}")
    + """ as chosen)
    """,
    "events are deleted": """
        delete from usage_events where (id, occurred_at) in (select * from """
    + SOME_EVENTS.format("{n}")
    + """ as chosen)
    """,
    "calls arrive": """
        insert into api_usage (endpoint, method, status_code, response_time_ms,
            occurred_at)
        select endpoint, method, 500, response_time_ms + 1,
            occurred_at - random() * interval '90 days'
        from api_usage tablesample system (50) order by random() limit {n}
    """,
    "calls are deleted": """
        delete from api_usage where (id, occurred_at) in (
            select id, occurred_at from api_usage order by random() limit {n})
    """,
    "errors change": """
        update error_logs set severity = 'critical',
            occurred_at = occurred_at - interval '3 days'
        where (id, occurred_at) in (
            select id, occurred_at from error_logs order by random() limit {n})
    """,
    "actions arrive": """
        insert into audit_logs (user_id, action, resource_type, status, occurred_at)
        select user_id, action, resource_type, 'failure', occurred_at + interval '1 day'
        from audit_logs tablesample system (50) order by random() limit {n}
    """,
    "a user signs up": """
        insert into users (email, password_hash)
        values (gen_random_uuid()::text || '@example.com', 'x')
    """,
    "a sign-up is dated back": """
        update users set created_at = created_at - interval '40 days'
        where id in (select id from users order by random() limit 1)
    """,
    "a user is erased": """
        delete from users where id in (
            select id from users
            where not exists (select from teams where teams.owner_id = users.id)
            order by random() limit 1)
    """,
    "a license changes its plan": """
        update licenses set plan_type = (array['free', 'starter', 'pro', 'enterprise'])
            [1 + floor(random() * 4)::int]
        where id in (select id from licenses order by random() limit 2)
    """,
    "a license ends": """
        update licenses set status = 'cancelled', cancelled_at = started_at
            + random() * interval '300 days'
        where id in (select id from licenses order by random() limit 1)
    """,
    "a license ends in a moment": """
        update licenses set cancelled_at = null,
            expires_at = clock_timestamp() + random() * interval '5 seconds'
        where id in (select id from licenses order by random() limit 1)
    """,
    "a license begins in a moment": """
        update licenses set cancelled_at = null, expires_at = null,
            started_at = clock_timestamp() + random() * interval '5 seconds'
        where id in (select id from licenses order by random() limit 1)
    """,
    "subscriptions change": """
        update subscriptions set amount_cents = amount_cents + 100,
            plan_type = (array['starter', 'pro', 'enterprise'])
                [1 + floor(random() * 3)::int]
        where id in (select id from subscriptions order by random() limit 3)
    """,
    "a subscription is cancelled": """
        update subscriptions set status = 'canceled', canceled_at = created_at
            + random() * interval '200 days', cancel_at_period_end = false
        where id in (select id from subscriptions order by random() limit 1)
    """,
    "rows are written to without a change of terms": """
        with licensed as (
            update licenses set metadata = jsonb_build_object('moved', random())
            where id in (select id from licenses order by random() limit 2)
        )
        update subscriptions set metadata = jsonb_build_object('moved', random())
        where id in (select id from subscriptions order by random() limit 5)
    """,
    "subscriptions are not paid": """
        update subscriptions set status = 'unpaid',
            current_period_start = coalesce(current_period_start, created_at)
                + floor(random() * 5) * interval '1 month'
        where id in (select id from subscriptions order by random() limit 2)
    """,
    "a subscription is cancelled on request": """
        update subscriptions set status = 'canceled', cancel_at_period_end = false,
            canceled_at = created_at + random() * interval '40 days',
            current_period_end = created_at + interval '1 year'
        where id in (select id from subscriptions order by random() limit 2)
    """,
    "a payer is given a trial": """
        update subscriptions set trial_start = created_at + interval '90 days',
            trial_end = created_at + interval '120 days'
        where id in (select subscription_id from payment_transactions
            where subscription_id is not null order by random() limit 1)
    """,
    "a subscription follows another": """
        insert into subscriptions (license_id, plan_type, billing_cycle, amount_cents,
            currency, status, created_at)
        select license_id, plan_type, billing_cycle, amount_cents, currency, 'active',
            coalesce(canceled_at, created_at) + random() * interval '2 hours'
        from subscriptions order by random() limit 1
    """,
    "a subscription moves to another license": """
        update subscriptions set
            license_id = (select id from licenses order by random() limit 1)
        where id in (select id from subscriptions order by random() limit 1)
    """,
    "what is owed is paid": """
        insert into payment_transactions (subscription_id, amount_cents, currency,
            status, processed_at, created_at)
        select id, greatest(amount_cents, 1), currency, 'succeeded',
            created_at + random() * interval '400 days',
            created_at + random() * interval '400 days'
        from subscriptions where status in ('unpaid', 'canceled')
        order by random() limit 3
    """,
    "payments fail after all": """
        update payment_transactions set status = 'failed'
        where id in (select id from payment_transactions order by random() limit 3)
    """,
    "a payment was for another subscription": """
        update payment_transactions set
            subscription_id = (select id from subscriptions order by random() limit 1)
        where id in (select id from payment_transactions order by random() limit 1)
    """,
    "payments are deleted": """
        delete from payment_transactions where id in (
            select id from payment_transactions order by random() limit 1)
    """,
    "payments are refunded": """
        update payment_transactions set status = 'refunded',
            refunded_amount_cents = amount_cents
        where id in (select id from payment_transactions order by random() limit 3)
    """,
    "payments arrive": """
        insert into payment_transactions (subscription_id, amount_cents, currency,
            status, processed_at, created_at)
        select subscription_id, amount_cents, currency, 'succeeded',
            processed_at + interval '40 days', created_at
        from payment_transactions order by random() limit 3
    """,
    "commissions change": """
        update affiliate_commissions set status = (array['pending', 'approved', 'paid',
            'cancelled', 'disputed'])[1 + floor(random() * 5)::int]
        where id in (select id from affiliate_commissions order by random() limit 3)
    """,
    "commissions lose their time": """
        update affiliate_commissions
        set created_at = case created_at when 'infinity' then now() else 'infinity' end
        where id in (select id from affiliate_commissions order by random() limit 2)
    """,
    "commissions go": """
        delete from affiliate_commissions where id in (
            select id from affiliate_commissions order by random() limit 1)
    """,
    "clicks arrive": """
        insert into affiliate_clicks (affiliate_id, utm_campaign, clicked_at, converted)
        select affiliate_id, utm_campaign, clicked_at - interval '2 days', true
        from affiliate_clicks order by random() limit {n}
    """,
    "referrals move on": """
        update affiliate_referrals set
            qualified_at = coalesce(qualified_at, created_at) + interval '1 day',
            converted_at = created_at + random() * interval '60 days',
            status = 'converted'
        where id in (select id from affiliate_referrals order by random() limit 2)
    """,
    "a team moves to another license": """
        update teams set
            license_id = (select id from licenses order by random() limit 1)
        where id in (select id from teams order by random() limit 1)
    """,
    "a team is closed": """
        delete from teams where id in (select id from teams order by random() limit 1)
    """,
    "a member joins": """
        insert into team_members (team_id, user_id)
        select team_id, user_id
        from (select id as team_id from teams order by random() limit 1) as some_teams
        cross join (
            select id as user_id from users order by random() limit 1) as some_users
        on conflict do nothing
    """,
    "a member leaves": """
        delete from team_members where id in (
            select id from team_members order by random() limit 1)
    """,
}

# What only administrators do; none of it fires a trigger.
ADMINISTRATION: dict[str, tuple[str, ...]] = {
    "partitions are made": (
        "select create_event_partitions((now() - interval '{m} months')::date, "
        "(now() - interval '{m} months')::date)",
    ),
    "a partition is emptied": ("truncate {partition}",),
    "a partition is dropped": ("drop table {partition}",),
    "a partition changes while it is away": (
        "alter table usage_events detach partition {partition}",
        "update {partition} set event_type = 'changed_while_away'",
        "alter table usage_events attach partition {partition} "
        "for values from ('{first}') to ('{last}')",
    ),
    "rows are written to the partition itself": (
        "insert into {partition} (event_type, event_category, event_name, occurred_at) "
        "values ('direct', 'feature', 'direct', '{first}')",
        "update {partition} set user_id = null where random() < 0.05",
        "delete from {partition} where random() < 0.02",
    ),
    "a replica applies rows": (
        "set local session_replication_role = replica",
        "delete from usage_events where random() < 0.001",
        "update usage_events set user_id = null where random() < 0.001",
        "update affiliate_payouts set amount_cents = amount_cents + 1 "
        "where random() < 0.1",
        "set local session_replication_role = origin",
    ),
    "a table is emptied": ("truncate affiliate_clicks",),
    "a table is rewritten": (
        "alter table error_logs alter column metadata type jsonb using '{{}}'",
    ),
}


def write(cursor: Any, generator: random.Random) -> str:
    """One thing that the application does; its name."""
    name = generator.choice(list(WRITES))
    cursor.execute(WRITES[name].format(n=generator.randint(1, 20)))
    return name


def administrate(cursor: Any, generator: random.Random, name: str | None = None) -> str:
    """One thing that an administrator does, in the transaction; its name."""
    cursor.execute("set local lock_timeout = '5s'")
    name = name or generator.choice(list(ADMINISTRATION))
    cursor.execute(
        "select inhrelid::regclass::text, pg_get_expr(relpartbound, inhrelid) "
        "from pg_inherits inner join pg_class on pg_class.oid = inhrelid "
        "where inhparent = 'usage_events'::regclass "
        "and pg_get_expr(relpartbound, inhrelid) <> 'DEFAULT' order by 1"
    )
    partitions = cursor.fetchall()
    partition, bounds = generator.choice(partitions)
    _, first, _, last, _ = bounds.split("'")
    for statement in ADMINISTRATION[name]:
        cursor.execute(
            statement.format(
                m=generator.randint(0, 70), partition=partition, first=first, last=last
            )
        )
    return name


class Writers:
    """Threads that write in transactions of every shape until they are stopped."""

    def __init__(self, database: Database, seed: int, count: int = 5) -> None:
        self.database = database
        self.stopped = threading.Event()
        self.written: list[str] = []
        self.failures: list[str] = []
        self.threads = [
            threading.Thread(target=self._work, args=(random.Random(f"{seed} {n}"),))
            for n in range(count)
        ]

    def __enter__(self) -> Writers:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _work(self, generator: random.Random) -> None:
        with closing(self.database.connect()) as connection:
            while not self.stopped.is_set():
                try:
                    self._transaction(connection, generator)
                except (
                    errors.DeadlockDetected,
                    errors.ForeignKeyViolation,  # a user went in between
                    errors.LockNotAvailable,
                    errors.SerializationFailure,
                ):
                    connection.rollback()
                except psycopg2.Error as error:
                    connection.rollback()
                    self.failures.append(str(error))

    def _transaction(self, connection: Any, generator: random.Random) -> None:
        with connection.cursor() as cursor:
            for _ in range(generator.randint(1, 4)):
                if generator.random() < 0.3:
                    cursor.execute("savepoint here")
                    write(cursor, generator)
                    if generator.random() < 0.5:
                        cursor.execute("rollback to savepoint here")
                else:
                    self.written.append(write(cursor, generator))
            # Some commit long after runs that began after them.
            time.sleep(generator.choice((0, 0, 0.05, 0.5, 1.5)))
        if generator.random() < 0.2:
            connection.rollback()
        else:
            connection.commit()


SCHEMA = "analytics_refresh"


def refresh(database: Database, **options: Any) -> dict[str, engine.Run]:
    """Refresh, and compare every mart with its meaning in the same snapshot."""

    def compare(connection: Any) -> None:
        with connection.cursor() as cursor:
            different = disagreements(cursor)
            assert different == {}, different

    with closing(database.connect()) as connection:
        runs = engine.refresh(connection, SCHEMA, inspect=compare, **options)
    return {run.model: run for run in runs}


def disagreements(cursor: Any) -> dict[str, Any]:
    """What is wrong with marts in the transaction's snapshot: nothing, always.

    Each model is compared with its own select over its inputs, and the main marts with
    another query over the source tables.
    """
    cursor.execute(f"select model, {SCHEMA}.verify(model) from {SCHEMA}.models")
    found = {model: rows for model, rows in cursor.fetchall() if rows}
    for mart in OF_ANY_VALUES:
        if rows := mismatch(cursor, mart, reference(mart)):
            found[f"{mart} by its meaning"] = rows
    return found
