"""The counters on affiliates are exact after any change, from many connections too."""

import io
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any

import pytest
from psycopg2 import errors

from tests.python.concurrency import (
    PATIENCE,
    Session,
    at_once,
    burst,
    errors_of,
    wait_until_waiting,
)
from tests.python.support import Database

CONNECTIONS = 8
SIZES = (2, 3, 15, 60)

DRIFT = """
select affiliate.id::text, to_jsonb(counters), to_jsonb(truth)
from affiliates as affiliate
cross join lateral (
    select total_referrals, total_earnings_cents, paid_out_cents, pending_payout_cents
) as counters
cross join lateral (
    select
        (
            select count(*) from affiliate_referrals
            where affiliate_id = affiliate.id and status in ('qualified', 'converted')
        ) as total_referrals,
        coalesce(sum(amount_cents) filter (where status in ('approved', 'paid')), 0)
            as total_earnings_cents,
        coalesce(sum(amount_cents) filter (where status = 'paid'), 0) as paid_out_cents,
        coalesce(sum(amount_cents) filter (where status = 'approved'), 0)
            as pending_payout_cents
    from affiliate_commissions where affiliate_id = affiliate.id
) as truth
where to_jsonb(counters) <> to_jsonb(truth)
"""

ADD_COMMISSIONS = """
insert into affiliate_commissions (
    affiliate_id, referral_id, commission_type, amount_cents, commission_rate, status
)
select affiliate_id, id, 'recurring', %(amount)s, 20, %(status)s
from affiliate_referrals cross join generate_series(1, %(times)s)
where id = any (%(referrals)s::uuid[])
returning id
"""

ANY_REFERRAL = (
    "(select id from affiliate_referrals where affiliate_id = %(affiliate)s "
    "order by id offset floor(%(pick)s * (select count(*) from affiliate_referrals "
    "where affiliate_id = %(affiliate)s)) limit 1)"
)
ANY_COMMISSION = ANY_REFERRAL.replace("affiliate_referrals", "affiliate_commissions")
ADD_COMMISSION_OF_ANY_REFERRAL = (
    "insert into affiliate_commissions (affiliate_id, referral_id, commission_type, "
    "amount_cents, commission_rate, status) "
    "select affiliate_id, id, 'recurring', %(amount)s, 20, %(status)s "
    f"from affiliate_referrals where id = {ANY_REFERRAL}"
)

COUNTERS = """
select array[
    total_referrals, total_earnings_cents, paid_out_cents, pending_payout_cents
]
from affiliates where id = %s
"""

ROWS_READ = """
select seq_tup_read + coalesce(idx_tup_fetch, 0)
from pg_stat_xact_user_tables where relname = 'affiliate_commissions'
"""


class Programme:
    """An affiliate programme in a database, and what its counters should say."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connection = database.connect()
        self.connection.autocommit = True

    def close(self) -> None:
        self.connection.close()

    def run(self, statement: str, parameters: Any = None) -> list[Any]:
        """Run a statement; the first column of its rows."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return [row[0] for row in cursor.fetchall()] if cursor.description else []

    def clear(self) -> None:
        """Delete everything: quicker than to truncate so many small tables."""
        self.run("delete from users")
        self.run("delete from payment_transactions")

    def users(self, number: int = 1) -> list[str]:
        return self.run(
            "insert into users (email, password_hash) "
            "select gen_random_uuid(), '' from generate_series(1, %s) returning id",
            (number,),
        )

    def affiliates(self, number: int = 1) -> list[str]:
        return self.run(
            "insert into affiliates (user_id, affiliate_code) "
            "select id, left(id::text, 50) from unnest(%s::uuid[]) as id returning id",
            (self.users(number),),
        )

    def referrals(
        self, affiliate: str, number: int = 1, status: str = "converted"
    ) -> list[str]:
        return self.run(
            "insert into affiliate_referrals (affiliate_id, referred_user_id, status) "
            "select %s, id, %s from unnest(%s::uuid[]) as id returning id",
            (affiliate, status, self.users(number)),
        )

    def commissions(
        self,
        referrals: list[str],
        amount: int = 100,
        status: str = "approved",
        times: int = 1,
    ) -> list[str]:
        """So many commissions on each of the referrals."""
        return self.run(
            ADD_COMMISSIONS,
            {
                "amount": amount,
                "status": status,
                "referrals": referrals,
                "times": times,
            },
        )

    def counters(self, affiliate: str) -> tuple[int, int, int, int]:
        """Referrals, earnings, paid and pending of an affiliate."""
        ((counters,),) = self.database.execute(COUNTERS, (affiliate,))
        referrals, earnings, paid, pending = counters
        return referrals, earnings, paid, pending

    def check(self) -> None:
        """Fail where a counter differs from the sum of its rows."""
        assert self.database.execute(DRIFT) == []

    def company(self) -> tuple[str, str]:
        """Two affiliates with eight referrals each, and commissions of every status."""
        first, second = self.affiliates(2)
        for affiliate in (first, second):
            referrals = self.referrals(affiliate, 7)
            referrals += self.referrals(affiliate, 1, status="pending")
            for status in COMMISSION_STATUSES:
                self.commissions(referrals, status=status)
        return first, second


REFERRAL_STATUSES = ["pending", "qualified", "converted", "cancelled", "refunded"]
COMMISSION_STATUSES = ["pending", "approved", "paid", "cancelled", "disputed"]


@pytest.fixture
def programme(module_database: Database) -> Iterator[Programme]:
    """An empty programme."""
    with closing(Programme(module_database)) as made:
        made.clear()
        yield made


# One connection ---------------------------------------------------------------------

STATEMENTS = {
    "thousands of rows": """
        insert into affiliate_commissions (affiliate_id, referral_id, commission_type,
            amount_cents, commission_rate, status)
        select affiliate_id, id, 'bonus', number, 20, 'approved'
        from affiliate_referrals, generate_series(1, 500) as number""",
    "sums beyond four bytes": """
        update affiliate_commissions set amount_cents = 2147483647""",
    "an upsert": """
        insert into affiliate_referrals (affiliate_id, referred_user_id, status)
        select affiliates.id, users.id, 'qualified' from affiliates, users
        where users.id <> affiliates.user_id
        on conflict (affiliate_id, referred_user_id) do update set status = 'pending'
        """,
    "a merge": """
        merge into affiliate_commissions as present
        using (select id, %(second)s::uuid as other from affiliate_commissions) as fresh
        on present.id = fresh.id and present.status <> 'cancelled'
        when matched and status = 'pending' then update set status = 'approved'
        when matched and status = 'approved' then delete
        when matched then update set affiliate_id = other
        when not matched then insert (affiliate_id, referral_id, commission_type,
            amount_cents, commission_rate, status)
        values (other, (select min(id::text)::uuid from affiliate_referrals), 'bonus',
            1000, 20, 'approved')""",
    "an insert, an update and a delete at once": """
        with gone as (
            delete from affiliate_commissions where status = 'paid'
        ), changed as (
            update affiliate_commissions set status = 'paid' where status = 'approved'
        ) insert into affiliate_commissions (affiliate_id, referral_id,
            commission_type, amount_cents, commission_rate, status)
        select affiliate_id, id, 'bonus', 7, 20, 'approved' from affiliate_referrals""",
    "referrals that move to another affiliate": """
        update affiliate_referrals set affiliate_id = %(second)s
        where affiliate_id = %(first)s""",
    "an erased referred user": """
        delete from users where id = (select min(referred_user_id::text)::uuid
            from affiliate_referrals)""",
    # Some of whose commissions hang on a referral of the other.
    "an erased affiliate": """
        update affiliate_commissions set affiliate_id = %(first)s where status = 'paid';
        delete from users where id = (select user_id from affiliates
            where id = %(first)s)""",
    "a deleted payment": """
        with payment as (
            insert into payment_transactions (amount_cents, status)
            values (1, 'succeeded') returning id
        ) update affiliate_commissions set payment_transaction_id = payment.id
        from payment;
        delete from payment_transactions""",
    "truncated commissions": "truncate affiliate_commissions",
    "truncated referrals": "truncate affiliate_referrals cascade",
    "truncated affiliates": "truncate affiliates cascade",
    "truncated users": "truncate users cascade",
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_counters_are_exact_after(programme: Programme, name: str) -> None:
    if name == "a merge" and programme.connection.server_version < 150000:
        pytest.skip("MERGE came with PostgreSQL 15")
    first, second = programme.company()
    before = programme.counters(first)
    assert before == (7, 1600, 800, 800)
    programme.run("begin; savepoint here")
    for end in ("rollback to here", "rollback"):
        programme.run(STATEMENTS[name], {"first": first, "second": second})
        assert programme.run(DRIFT) == [], "seen by the transaction itself"
        programme.run(end)
        assert programme.run(COUNTERS, (first,)) == [list(before)]

    programme.run(STATEMENTS[name], {"first": first, "second": second})
    programme.check()


def test_copied_rows_are_counted(programme: Programme) -> None:
    (affiliate,) = programme.affiliates()
    (referral,) = programme.referrals(affiliate)
    lines = [
        f"{affiliate}\t{referral}\tbonus\t{amount}\t20\tapproved\n"
        for amount in range(2000)
    ]
    with programme.connection.cursor() as cursor:
        cursor.copy_expert(
            "copy affiliate_commissions (affiliate_id, referral_id, commission_type, "
            "amount_cents, commission_rate, status) from stdin",
            io.StringIO("".join(lines)),
        )
    programme.check()
    assert programme.counters(affiliate)[1] == sum(range(2000))


def test_a_change_reads_nothing_of_the_affiliates_history(programme: Programme) -> None:
    (affiliate,) = programme.affiliates()
    referrals = programme.referrals(affiliate)
    programme.commissions(referrals, times=500)
    programme.run("begin")
    read_before = programme.run(ROWS_READ)
    programme.commissions(referrals)
    read_after = programme.run(ROWS_READ)
    programme.run("rollback")
    assert read_after == read_before


def test_a_change_of_no_counter_does_not_wait(programme: Programme) -> None:
    (affiliate,) = programme.affiliates()
    referrals = programme.referrals(affiliate)
    programme.commissions(referrals, status="paid")
    with Session(programme.database) as other:
        other.run(
            "select from affiliates where id = %s for no key update", (affiliate,)
        )
        programme.run("set lock_timeout = '1s'")
        programme.run(
            "update affiliate_commissions set notes = 'seen', paid_at = now()"
        )
        programme.run("update affiliate_referrals set utm_source = 'mail'")
        programme.commissions(referrals, status="pending")
    programme.check()


# Many connections -------------------------------------------------------------------

BURSTS = {
    "new commissions": (
        "affiliate_referrals",
        "insert into affiliate_commissions (affiliate_id, referral_id, commission_type,"
        " amount_cents, commission_rate, status) select affiliate_id, id, 'bonus', 7,"
        " 20, 'approved' from affiliate_referrals where id = %(id)s",
    ),
    "new status of commissions": (
        "affiliate_commissions",
        "update affiliate_commissions set status = 'paid' where id = %(id)s",
    ),
    "new amounts": (
        "affiliate_commissions",
        "update affiliate_commissions set amount_cents = 1 where id = %(id)s",
    ),
    "commissions that move to another affiliate": (
        "affiliate_commissions",
        "update affiliate_commissions set affiliate_id = %(other)s where id = %(id)s",
    ),
    "deleted commissions": (
        "affiliate_commissions",
        "delete from affiliate_commissions where id = %(id)s",
    ),
    "new referrals": (
        "users",
        "insert into affiliate_referrals (affiliate_id, referred_user_id, status)"
        " values (%(affiliate)s, %(id)s, 'qualified')",
    ),
    "new status of referrals": (
        "affiliate_referrals",
        "update affiliate_referrals set status = 'refunded' where id = %(id)s",
    ),
    "deleted referrals": (
        "affiliate_referrals",
        "delete from affiliate_referrals where id = %(id)s",
    ),
}


@pytest.mark.parametrize("name", BURSTS)
def test_counters_are_exact_after_changes_at_the_same_moment(
    programme: Programme, name: str
) -> None:
    affiliate, other = programme.affiliates(2)
    referrals = programme.referrals(affiliate, CONNECTIONS)
    commissions = programme.commissions(referrals)
    table, statement = BURSTS[name]
    ids = {
        "users": programme.users(CONNECTIONS),
        "affiliate_referrals": referrals,
        "affiliate_commissions": commissions,
    }[table]
    before = programme.counters(affiliate)
    parameters = [{"id": each, "affiliate": affiliate, "other": other} for each in ids]

    assert not burst(programme.database, [(statement, each) for each in parameters])

    programme.check()
    assert programme.counters(affiliate) != before


def test_single_changes_from_many_connections_for_seconds(programme: Programme) -> None:
    """Any mix of changes, one affiliate a transaction: no drift, and no error."""
    affiliates = programme.affiliates(3)
    for affiliate in affiliates:
        referrals = programme.referrals(affiliate, 30)
        programme.commissions(referrals, times=3)
    ends = time.monotonic() + 1.5
    done = [0] * CONNECTIONS

    def change(worker: int) -> None:
        choose = random.Random(worker)
        with Session(programme.database, autocommit=True) as session:
            while time.monotonic() < ends:
                try:
                    session.run(*random_change(choose, affiliates[choose.randrange(3)]))
                except errors.ForeignKeyViolation:
                    # The referral was erased in the same moment.
                    continue
                done[worker] += 1

    futures = at_once([partial(change, worker) for worker in range(CONNECTIONS)])
    assert errors_of(futures) == []
    assert min(done) > 10
    programme.check()
    assert programme.run("select sum(total_earnings_cents) > 0 from affiliates") == [
        True
    ]


def random_change(choose: random.Random, affiliate: str) -> tuple[str, dict[str, Any]]:
    """A statement that changes one row of one affiliate."""
    statement = choose.choices(
        [
            ADD_COMMISSION_OF_ANY_REFERRAL,
            "update affiliate_commissions set status = %(status)s "
            "where id = " + ANY_COMMISSION,
            "update affiliate_commissions set amount_cents = %(amount)s "
            "where id = " + ANY_COMMISSION,
            "delete from affiliate_commissions where id = " + ANY_COMMISSION,
            "with referred as (insert into users (email, password_hash) "
            "values (gen_random_uuid(), '') returning id) "
            "insert into affiliate_referrals (affiliate_id, referred_user_id, status) "
            "select %(affiliate)s, id, 'qualified' from referred",
            "update affiliate_referrals set status = %(referral_status)s "
            "where id = " + ANY_REFERRAL,
            "delete from users where id = (select referred_user_id "
            "from affiliate_referrals where id = " + ANY_REFERRAL + ")",
        ],
        weights=[8, 6, 4, 3, 3, 3, 1],
    )[0]
    return statement, {
        "affiliate": affiliate,
        "status": choose.choice(COMMISSION_STATUSES),
        "referral_status": choose.choice(REFERRAL_STATUSES),
        "amount": choose.randrange(1000),
        "pick": choose.random(),
    }


def test_statements_over_the_same_affiliates_never_meet_a_deadlock(
    programme: Programme,
) -> None:
    affiliates = programme.affiliates(60)
    referrals = [programme.referrals(each)[0] for each in affiliates]
    ends = time.monotonic() + 1.5

    def change(worker: int) -> None:
        """Statements over a few affiliates or many, on rows of the worker's own."""
        choose = random.Random(worker)
        with Session(programme.database, autocommit=True) as session:
            while time.monotonic() < ends:
                own = [
                    made
                    for (made,) in session.run(
                        ADD_COMMISSIONS,
                        {
                            "amount": worker,
                            "status": "approved",
                            "referrals": choose.sample(referrals, choose.choice(SIZES)),
                            "times": 1,
                        },
                    )
                ]
                for statement in (
                    "update affiliate_commissions set status = 'paid' "
                    "where id = any (%s::uuid[])",
                    "delete from affiliate_commissions where id = any (%s::uuid[])",
                ):
                    chosen = choose.sample(own, choose.randrange(1, len(own) + 1))
                    session.run(statement, (chosen,))

    workers = [partial(change, worker) for worker in range(CONNECTIONS)]
    assert errors_of(at_once(workers)) == []
    programme.check()


@pytest.mark.parametrize(
    ("second", "end", "counters"),
    [
        # What is rolled back is not counted by the change that waited for it.
        (ADD_COMMISSIONS, "rollback", (1, 100, 0, 100)),
        ("truncate affiliate_commissions", "commit", (1, 0, 0, 0)),
    ],
)
def test_a_change_that_waits_for_another_counts_what_became_of_it(
    programme: Programme, second: str, end: str, counters: tuple[int, ...]
) -> None:
    (affiliate,) = programme.affiliates()
    referrals = programme.referrals(affiliate)
    change = {"amount": 100, "status": "approved", "times": 1, "referrals": referrals}
    with (
        Session(programme.database) as first,
        Session(programme.database, autocommit=True) as later,
    ):
        first.run(ADD_COMMISSIONS, change)
        waiting = later.start(second, change)
        wait_until_waiting([(later, waiting)])
        first.run(end)
        waiting.result(PATIENCE)
    programme.check()
    assert programme.counters(affiliate) == counters


@pytest.mark.parametrize(
    "change",
    [
        "update affiliate_commissions set status = 'paid'",
        "delete from affiliate_commissions",
        "truncate affiliate_commissions",
        "delete from affiliate_referrals",
    ],
)
def test_an_old_snapshot_ends_in_a_serialization_failure_not_in_drift(
    programme: Programme, change: str
) -> None:
    (affiliate,) = programme.affiliates()
    referrals = programme.referrals(affiliate)
    for status in ("pending", "approved"):
        programme.run("truncate affiliate_commissions")
        programme.commissions(referrals, status=status)
        with Session(programme.database) as old:
            old.connection.set_session(isolation_level="REPEATABLE READ")
            old.run("select count(*) from affiliates")
            programme.commissions(referrals)
            with suppress(errors.SerializationFailure):
                old.run(change)
                old.connection.commit()
        programme.check()


def test_erasing_affiliates_while_they_earn_leaves_no_drift(
    programme: Programme,
) -> None:
    affiliates = programme.affiliates(6)
    for affiliate in affiliates:
        programme.commissions(programme.referrals(affiliate, 5), times=2)
    # Commissions on the first affiliate's referrals that others earn.
    programme.run(
        "update affiliate_commissions set affiliate_id = %s where id in "
        "(select id from affiliate_commissions where affiliate_id = %s limit 3)",
        (affiliates[5], affiliates[0]),
    )
    ends = time.monotonic() + 1

    def change(worker: int) -> None:
        choose = random.Random(worker)
        with Session(programme.database, autocommit=True) as session:
            while time.monotonic() < ends:
                # An affiliate is held before the rows that hang on it, and a change
                # holds its row before the affiliate: one of the two may have to yield.
                with suppress(errors.ForeignKeyViolation, errors.DeadlockDetected):
                    session.run(*random_change(choose, choose.choice(affiliates)))

    def erase() -> None:
        for affiliate in affiliates[:4]:
            time.sleep(0.2)
            with (
                Session(programme.database, autocommit=True) as session,
                suppress(errors.DeadlockDetected),
            ):
                session.run("delete from affiliates where id = %s", (affiliate,))

    workers: list[Callable[[], None]] = [
        partial(change, worker) for worker in range(CONNECTIONS)
    ]
    assert errors_of(at_once([*workers, erase])) == []
    programme.check()
